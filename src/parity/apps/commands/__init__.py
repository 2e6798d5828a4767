"""One module a command: a typed function over one public library function."""
