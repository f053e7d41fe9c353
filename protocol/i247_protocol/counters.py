"""Count what happens, by stable names; an edge shows the counts. docs/protocol.md 12."""

from __future__ import annotations


class Counters:
    """Totals since start, by name such as `refused.expired`."""

    __slots__ = ("_totals",)

    def __init__(self) -> None:
        self._totals: dict[str, int] = {}

    def add(self, name: str, count: int = 1) -> None:
        """Add `count` to the total of `name`; names come from code, never from a peer."""
        self._totals[name] = self._totals.get(name, 0) + count

    def total(self, name: str) -> int:
        """Return the total of `name`."""
        return self._totals.get(name, 0)

    def snapshot(self) -> dict[str, int]:
        """Return all totals, by name in order."""
        return dict(sorted(self._totals.items()))
