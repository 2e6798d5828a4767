"""What is known about chips, and who says so."""
