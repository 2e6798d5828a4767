"""What a user types, read once: words in, records out, and one clear sentence where that fails."""
