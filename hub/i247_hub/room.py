"""Say whether there is room, before anything is taken.

At 80 % of its store a hub takes no bulk, at 95 % only control and urgent; each threshold opens again only
5 % below, so that a hub on the edge does not flap. What is full is said as busy: the giver keeps it.
docs/protocol.md 11.
"""

from __future__ import annotations

from typing import Final

from i247_protocol.priority import Priority
from i247_protocol.reasons import Reason


class Room:
    """The bytes that held rows use, and what may still be added."""

    __slots__ = ("_bytes_max", "_shut", "used")

    def __init__(self, used: int, bytes_max: int) -> None:
        self.used = used
        self._bytes_max = bytes_max
        self._shut = {Priority.BULK: False, Priority.ROUTINE: False}

    def lacks(self, prio: Priority, size: int) -> Reason | None:
        """Return why an envelope of `size` bytes finds no room, or None when it does."""
        percent = 100 * (self.used + size) // self._bytes_max
        if percent < CALM and not any(self._shut.values()):  # asked for every envelope, and nearly always so
            return None
        for kind, threshold in THRESHOLDS.items():
            self._shut[kind] = percent >= (threshold - HYSTERESIS if self._shut[kind] else threshold)
        full = percent >= FULL or self._shut.get(prio, False)
        return Reason.STORE_FULL if full else None

    @property
    def percent(self) -> int:
        """How much of it is used."""
        return 100 * self.used // self._bytes_max

    def taken(self, size: int) -> None:
        """Count bytes that were held."""
        self.used += size

    def freed(self, size: int) -> None:
        """Count bytes that were forgotten."""
        self.used = max(0, self.used - size)


THRESHOLDS: Final = {Priority.BULK: 80, Priority.ROUTINE: 95}
HYSTERESIS: Final = 5
CALM: Final = min(THRESHOLDS.values()) - HYSTERESIS
FULL: Final = 100
