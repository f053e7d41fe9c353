"""Drive a machine in turns: handle all that has arrived, commit once, only then let claims out.

The same pump serves the daemon, the embedded driver and the simulator, so the rule "what was not saved
is not said" is written once. Handing on a foreign envelope claims nothing and goes before the commit. A turn
that says nothing (rows freed by somebody's custody) leaves its records to the next commit, a moment later at
most: should they be lost, they are asked for or sent once more.
docs/decisions/0002-machines-and-pump.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import Generic, Protocol, TypeVar

from i247_protocol.bundle import Bundle
from i247_protocol.limits import COMMIT_WITHIN_MS
from i247_protocol.machine import Claim, Effect, Forward, LinkId, LinkLost, Machine, Persist, Tell, TimePassed
from i247_protocol.names import MonoMs, Now

E = TypeVar("E")


class Journal(Protocol):
    """Where records are saved: `persist` makes one visible to reads, `commit` makes all of them durable."""

    def persist(self, record: object) -> None:
        """Take one record into the open turn; raise WorldFault when it cannot."""
        ...

    def commit(self) -> None:
        """Make everything since the last commit durable; raise WorldFault when it cannot."""
        ...


class Wire(Protocol):
    """Where frames leave."""

    def transmit(self, link: LinkId, data: bytes) -> bool:
        """Send one frame; return False when the link cannot take it, which ends its session."""
        ...


class Pump(Generic[E]):
    """One machine, its journal and its wire, run in turns."""

    def __init__(
        self,
        machine: Machine[E | TimePassed | LinkLost],
        journal: Journal,
        wire: Wire,
        tell: Callable[[object], None],
    ) -> None:
        self._machine = machine
        self._journal = journal
        self._wire = wire
        self._tell = tell
        self._lost: list[LinkId] = []
        self._dirty = False
        self._commit_by: MonoMs | None = None

    def turn(self, events: Iterable[E], now: Now) -> None:
        """Handle `events` and whatever is due, commit once if anything was saved, then speak."""
        lost, self._lost = self._lost, []
        arrived: Iterable[E | TimePassed | LinkLost] = chain(map(LinkLost, lost), events, self._due(now))
        self.perform(self._effects(arrived, now))
        if not self._dirty:
            self._commit_by = None
        elif self._commit_by is None:
            self._commit_by = MonoMs(now.mono + COMMIT_WITHIN_MS)
        elif self._commit_by <= now.mono:
            self.commit()

    def perform(self, effects: Iterable[Effect]) -> None:
        """Perform `effects` as one turn; a machine's first effects come this way."""
        forwards, claims = Bundle(), Bundle()
        news: list[object] = []
        for effect in effects:
            match effect:
                case Persist(record):
                    self._journal.persist(record)
                    self._dirty = True
                case Forward(link, frame):
                    forwards.add(link, frame)
                case Claim(link, frame):
                    claims.add(link, frame)
                case Tell(one):
                    news.append(one)
        self._send(forwards.frames())
        spoken = claims.frames()
        if spoken or news:
            self.commit()
        self._send(spoken)
        for one in news:
            self._tell(one)

    def commit(self) -> None:
        """Make durable what is saved and not committed yet; a program that stops calls it last."""
        if self._dirty:
            self._journal.commit()
            self._dirty = False
        self._commit_by = None

    def next_deadline(self) -> MonoMs | None:
        """Return when the next turn is due even if nothing arrives."""
        if self._lost:
            return MonoMs(0)
        deadlines = [at for at in (self._machine.next_deadline(), self._commit_by) if at is not None]
        return min(deadlines, default=None)

    def _effects(self, events: Iterable[E | TimePassed | LinkLost], now: Now) -> Iterator[Effect]:
        for event in events:
            yield from self._machine.handle(event, now)
        yield from self._machine.finish(now)

    def _due(self, now: Now) -> Iterable[TimePassed]:
        # Evaluated after the events were handled, since they may have moved the deadline.
        deadline = self._machine.next_deadline()
        if deadline is not None and deadline <= now.mono:
            yield TimePassed()

    def _send(self, frames: Iterable[tuple[LinkId, bytes]]) -> None:
        for link, data in frames:
            if link not in self._lost and not self._wire.transmit(link, data):
                self._lost.append(link)
