"""Remember how to take back what a turn has changed, so that a crash leaves tables as they were before it.

Each change notes its opposite. What a turn has noted is kept until the disk says that the turn is durable.
docs/simulation.md 2.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Undoing:
    """The opposites of what the open turn has changed."""

    __slots__ = ("_steps",)

    def __init__(self) -> None:
        self._steps: list[tuple[Callable[..., object], tuple[Any, ...]]] = []

    def note(self, step: Callable[..., object], *arguments: object) -> None:
        """Note what takes one change back."""
        self._steps.append((step, arguments))

    def put(self, table: dict[K, V], key: K, value: V) -> V | None:
        """Write a row of a plain table; return the row before."""
        before = table.get(key)
        self._steps.append((table.pop, (key, None)) if before is None else (table.__setitem__, (key, before)))
        table[key] = value
        return before

    def pop(self, table: dict[K, V], key: K) -> V | None:
        """Remove a row of a plain table and return it. Where it is put back its place in the table is lost."""
        before = table.pop(key, None)
        if before is not None:
            self._steps.append((table.__setitem__, (key, before)))
        return before

    def taken(self) -> Undoing:
        """Return what was noted so far and begin anew."""
        turn = Undoing()
        turn._steps, self._steps = self._steps, []
        return turn

    def undo(self) -> None:
        """Take everything back, the last first."""
        while self._steps:
            step, arguments = self._steps.pop()
            step(*arguments)
