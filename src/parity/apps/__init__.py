"""Command line: argv, and nothing else."""
