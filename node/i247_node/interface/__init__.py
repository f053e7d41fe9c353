"""Offer the node to programs of this machine: HTTP with JSON on a Unix socket, in a thread of its own.

Commands go to the engine by its queue; what is only read comes from a second, read-only connection to the store; so
no client, however slow, stalls the links. Edge. docs/interface.md.
"""
