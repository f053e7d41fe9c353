"""Ask and answer over whatever carries the bytes: what is the same at the two ends of every peer.

A wire hands over what came and sends what that leads to, and lets go of what came only when the answer is as safe as
the peer makes it. docs/performance.md 10.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple, Protocol

from peers.sealed import Correspondent

Heard = Callable[[bytes], Sequence[bytes]]
"""Take one message, return those that it leads to."""


class Wire(Protocol):
    """A connection of one end to its broker."""

    def send(self, messages: Sequence[bytes]) -> None:
        """Send messages to the other end."""
        ...

    def work(self, until: Callable[[], bool], seconds: float) -> None:
        """Hand over what comes until `until` holds or so many seconds are over."""
        ...


class Round(NamedTuple):
    """What one round came to: queries answered, within how many seconds, the ms of each, and how many never were."""

    ended: int
    seconds: float
    times_ms: list[float]
    lost: int


class Asker:
    """The end that asks: so many queries on the way at any time."""

    def __init__(self, correspondent: Correspondent) -> None:
        self._correspondent = correspondent
        self._asked = 0
        self._open: dict[int, float] = {}
        self._times: list[float] = []
        self._until = self._last = 0.0

    def heard(self, data: bytes) -> Sequence[bytes]:
        """Take a reply; ask again while the round lasts."""
        began = self._open.pop(self._correspondent.open(data), None)
        if began is None:
            return ()
        self._last = now = time.monotonic()
        self._times.append((now - began) * 1e3)
        return (self._question(),) if now < self._until else ()

    def begin(self, wire: Wire) -> None:
        """Ask until there is an answer: two brokers may need a moment to find each other."""
        end = time.monotonic() + PATIENCE_S
        while not self._times:
            if time.monotonic() > end:
                raise TimeoutError("waited for the first answer")
            wire.send([self._question()])
            wire.work(lambda: bool(self._times), RETRY_S)
        self._open.clear()

    def round(self, wire: Wire, seconds: float, in_flight: int) -> Round:
        """Ask for one round, and wait for the last answer."""
        self._times = []
        began = time.monotonic()
        self._until = began + seconds
        wire.send([self._question() for _ in range(in_flight)])
        wire.work(lambda: not self._open, seconds + PATIENCE_S)
        lost = len(self._open)
        self._open.clear()
        return Round(len(self._times), max(seconds, self._last - began), self._times, lost)

    def _question(self) -> bytes:
        self._asked += 1
        self._open[self._asked] = time.monotonic()
        return self._correspondent.compose(self._asked)


class Answerer:
    """The end that answers."""

    def __init__(self, correspondent: Correspondent) -> None:
        self._correspondent = correspondent

    def heard(self, data: bytes) -> Sequence[bytes]:
        """Take a query, return its reply."""
        return (self._correspondent.compose(self._correspondent.open(data)),)


RETRY_S: Final = 1.0
PATIENCE_S: Final = 20.0
