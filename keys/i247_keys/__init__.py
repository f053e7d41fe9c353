"""Identities, sealing, the directory and its rules.

Imports nothing: importing one module of this package must not bring in another.
"""
