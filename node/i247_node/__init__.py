"""A member's node: holds its secrets and speaks for it."""
