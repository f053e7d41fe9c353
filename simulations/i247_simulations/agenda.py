"""Order everything that will happen: one heap of (instant, sequence, target, event).

What is due at the same instant happens in the order in which it was put down. docs/simulation.md 1.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from typing import Any

Target = Callable[[Any], None]


class Agenda:
    """What will happen, and what time it is, in microseconds since the run began."""

    __slots__ = ("_heap", "_sequence", "now_us")

    def __init__(self) -> None:
        self.now_us = 0
        self._sequence = 0
        self._heap: list[tuple[int, int, Target, Any]] = []

    def at(self, instant_us: int, target: Target, event: object) -> None:
        """Let `target` be called with `event` at an instant, or now if that is past."""
        self._sequence += 1
        heappush(self._heap, (max(instant_us, self.now_us), self._sequence, target, event))

    def after(self, delay_us: int, target: Target, event: object) -> None:
        """Let `target` be called with `event` after a delay."""
        self.at(self.now_us + delay_us, target, event)

    def run(self, until_us: int) -> None:
        """Let time pass, event by event."""
        heap = self._heap
        while heap and heap[0][0] <= until_us:
            self.now_us, _, target, event = heappop(heap)
            target(event)
        self.now_us = max(self.now_us, until_us)
