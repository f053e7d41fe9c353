"""Observers of the promises P1 to P12: the machines do not know them, and each can fail. docs/simulation.md 6."""
