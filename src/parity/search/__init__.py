"""The answers: best layout, and what equals what."""
