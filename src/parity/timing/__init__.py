"""How long one operator or one collective takes on a chip."""
