"""How work is divided over chips, and what must be communicated."""
