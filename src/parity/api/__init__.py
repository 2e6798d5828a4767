"""The questions as Python functions: words or numbers in, an `Answer` out.

The command line is a thin skin over these, and `import parity` finds them all.
"""
