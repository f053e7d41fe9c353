"""A virtual world that runs the same machines as the daemons."""
