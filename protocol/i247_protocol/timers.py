"""Remember what is due when, cheaply, for machines that keep many deadlines."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from heapq import heapify, heappop, heappush
from typing import Final, Generic, TypeVar

from i247_protocol.names import MonoMs

SLACK: Final = 64
K = TypeVar("K", bound=Hashable)


class Timers(Generic[K]):
    """At most one deadline for each key; setting it again moves it."""

    __slots__ = ("_at", "_heap", "_n")

    def __init__(self) -> None:
        self._at: dict[K, tuple[MonoMs, int]] = {}
        self._heap: list[tuple[MonoMs, int, K]] = []
        self._n = 0  # breaks ties in the order of setting, so that keys need no order of their own

    def set(self, key: K, at: MonoMs) -> None:
        """Let `key` be due at `at`."""
        self._n += 1
        self._at[key] = (at, self._n)
        heappush(self._heap, (at, self._n, key))
        if len(self._heap) > 2 * len(self._at) + SLACK:  # else a deadline moved often would fill memory
            self._heap = [(when, n, one) for one, (when, n) in self._at.items()]
            heapify(self._heap)

    def cancel(self, key: K) -> None:
        """Let `key` not be due; no harm when it was not."""
        self._at.pop(key, None)

    def __contains__(self, key: K) -> bool:
        return key in self._at

    def __len__(self) -> int:
        return len(self._at)

    def next(self) -> MonoMs | None:
        """Return the earliest deadline."""
        self._clean()
        return self._heap[0][0] if self._heap else None

    def due(self, now: MonoMs) -> Iterator[K]:
        """Remove and yield the keys that are due, earliest first."""
        while (at := self.next()) is not None and at <= now:
            _, _, key = heappop(self._heap)
            del self._at[key]
            yield key

    def _clean(self) -> None:
        heap = self._heap
        while heap and self._at.get(heap[0][2]) != heap[0][:2]:
            heappop(heap)
