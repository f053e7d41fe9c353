"""Shapes and bytes: the contract between machines."""
