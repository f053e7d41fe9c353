"""Tell each observer of what it looks at, and of nothing else.

A world has millions of effects and records and a dozen observers, each of which looks at a few kinds. Who is to be told
of a kind is found once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, ClassVar, Protocol


class Observer(Protocol):
    """Whoever has methods to be told by, and a table of the kinds that each of them looks at."""

    looks_at: ClassVar[dict[str, frozenset[type]]]


class Audience(dict[type, tuple[Callable[..., Any], ...]]):
    """Who is told of each kind by one method; a method without a table is told of all."""

    def __init__(self, observers: Iterable[Observer], method: str) -> None:
        super().__init__()
        self._observers = tuple(observers)
        self._method = method

    def __missing__(self, kind: type) -> tuple[Callable[..., Any], ...]:
        """Find who looks at a kind."""
        found = tuple(
            getattr(one, self._method) for one in self._observers if kind in one.looks_at.get(self._method, (kind,))
        )
        self[kind] = found
        return found
