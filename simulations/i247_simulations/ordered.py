"""Keep rows in the order of their keys, so that a page after any key costs only what it shows.

New keys nearly always are the largest so far, and rows go away mostly from the front: a sorted list with gaps, which
is closed up when half of it is gone, does both in a few steps.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator
from typing import Any, Final, Generic, Protocol, TypeVar


class Ordered(Protocol):
    """What can be a key."""

    def __lt__(self, other: Any, /) -> bool: ...  # noqa: ANN401  as ints and tuples have it


K = TypeVar("K", bound=Ordered)
V = TypeVar("V")
GAPS: Final = 64


class OrderedRows(Generic[K, V]):
    """A table with one order."""

    __slots__ = ("_head", "_keys", "_rows")

    def __init__(self) -> None:
        self._rows: dict[K, V] = {}
        self._keys: list[K] = []
        self._head = 0

    def __len__(self) -> int:
        return len(self._rows)

    def __contains__(self, key: K) -> bool:
        return key in self._rows

    def get(self, key: K) -> V | None:
        """Return the row of a key."""
        return self._rows.get(key)

    def put(self, key: K, row: V) -> None:
        """Add a row, or replace it."""
        if key not in self._rows:
            keys = self._keys
            if not keys or keys[-1] < key:
                keys.append(key)
            else:
                at = bisect_left(keys, key)
                if at == len(keys) or keys[at] != key:
                    insort(keys, key)
                self._head = 0
        self._rows[key] = row

    def remove(self, key: K) -> V | None:
        """Take a row away and return it."""
        row = self._rows.pop(key, None)
        if row is not None and len(self._keys) > 2 * len(self._rows) + GAPS:
            self._keys = [one for one in self._keys if one in self._rows]
            self._head = 0
        return row

    def after(self, key: K) -> Iterator[V]:
        """Yield the rows with larger keys, in order."""
        return self._from(bisect_right(self._keys, key))

    def __iter__(self) -> Iterator[V]:
        """Yield all rows in order."""
        self._clean()
        return self._from(self._head)

    def first(self) -> tuple[K, V] | None:
        """Return the smallest key and its row."""
        self._clean()
        if not self._rows:
            return None
        key = self._keys[self._head]
        return key, self._rows[key]

    def _from(self, place: int) -> Iterator[V]:
        keys, rows = self._keys, self._rows
        for at in range(place, len(keys)):
            key = keys[at]
            if key in rows:
                yield rows[key]

    def _clean(self) -> None:
        keys, rows, head = self._keys, self._rows, self._head
        while head < len(keys) and keys[head] not in rows:
            head += 1
        self._head = head
