"""Rank messages, and say which of the two connections of a link each rank uses. docs/protocol.md 6.2."""

from __future__ import annotations

from enum import IntEnum, StrEnum


class Priority(IntEnum):
    """How urgent a message is; a smaller number goes first."""

    CONTROL = 0
    URGENT = 1
    ROUTINE = 2
    BULK = 3


class Lane(StrEnum):
    """One of the two connections of a link."""

    EXPRESS = "express"
    BULK = "bulk"


def lane_of(prio: Priority) -> Lane:
    """Return the connection that carries `prio`, so that urgent never waits behind a large frame."""
    return Lane.EXPRESS if prio <= Priority.URGENT else Lane.BULK
