"""Run one hub or node: its machine under the real pump, on a disk, a network and a clock that are made up.

A program takes in whatever has arrived, has one turn, and is busy until its commit is done: only then do claims and
news leave. Killed before that, it has said nothing. docs/simulation.md 2.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol

from i247_hub.machine import HubMachine
from i247_node.machine import NodeMachine
from i247_protocol.errors import WorldFault
from i247_protocol.limits import EVENTS_IN_TURN_MAX
from i247_protocol.machine import Effect, LinkId, Persist, Tell
from i247_protocol.names import MonoMs, Now
from i247_protocol.pump import Pump
from i247_simulations.agenda import Agenda
from i247_simulations.audience import Audience
from i247_simulations.clocks import Clock
from i247_simulations.disk import Disk
from i247_simulations.network import Network

Real = HubMachine | NodeMachine


class Bent(Protocol):
    """Bends what a machine takes and wants done: how planted bugs are made."""

    def __call__(
        self,
        program: Program,
        event: Any,  # noqa: ANN401  each machine has its own events
        now: Now,
        handle: Callable[..., Iterable[Effect]],
    ) -> Iterable[Effect]:
        """Return the effects of an event, which `handle(event, now)` gives when nothing is bent."""
        ...


class Surroundings(Protocol):
    """What a program reports to."""

    def said(self, program: Program, news: object) -> None:
        """Take news, after the commit."""
        ...

    def turned(self, program: Program) -> None:
        """See that a turn is over."""
        ...

    def failed(self, program: Program) -> None:
        """See that the disk has ended a program."""
        ...


class Program:
    """One life of a hub or node."""

    def __init__(
        self,
        name: str,
        boot: int,
        machine: Real,
        *,
        disk: Disk,
        clock: Clock,
        agenda: Agenda,
        network: Network,
        around: Surroundings,
        commit_us: int,
        audience: Audience,
        bent: Bent | None,
        pump: type[Pump[Any]],
    ) -> None:
        self.name = name
        self.boot = boot
        self.machine = machine
        self.disk = disk
        self.clock = clock
        self.runs = True
        self.turns = 0
        self.began_us = agenda.now_us
        self.admitted: frozenset[bytes] = frozenset()
        self._agenda = agenda
        self._network = network
        self._around = around
        self._commit_us = commit_us
        self._audience = audience
        self._bent = bent
        self._inbox: list[object] = []
        self._is_due = False
        self._busy_until_us = 0
        self._wakes_us: int | None = None
        self._commits = 0
        self._news: list[object] = []
        self.pump = pump(_Watched(self), disk, self, self._news.append)

    @property
    def is_hub(self) -> bool:
        """Whether this is a hub."""
        return isinstance(self.machine, HubMachine)

    @property
    def now(self) -> Now:
        """What its clocks show."""
        return self.clock.read(self._agenda.now_us)

    def start(self) -> None:
        """Have the first turn."""
        now = self.now
        self._turn(self.pump.perform, self._watched(self.machine.start(now)))

    def take(self, event: object) -> None:
        """Take an event in."""
        self._inbox.append(event)
        self._become_due()

    def kill(self, *, pending_is_kept: bool) -> bool:
        """End this life; return whether anything was lost from the disk's point of view."""
        self.runs = False
        return self.disk.crash(pending_is_kept=pending_is_kept)

    # The pump's wire.

    def transmit(self, link: LinkId, data: bytes) -> bool:
        """Send one frame: now, or when the turn's commit is done."""
        return self._network.transmit(self.name, link, data, self._agenda.now_us + self._delay_us())

    # Parts.

    def bend(self, event: object, now: Now) -> Iterator[Effect]:
        """Let the machine handle an event, under whatever is planted."""
        handle: Callable[..., Iterable[Effect]] = self.machine.handle
        bent = self._bent
        return self._watched(handle(event, now) if bent is None else bent(self, event, now, handle))

    def finish(self, now: Now) -> Iterator[Effect]:
        """Let the machine do what it does once a turn."""
        return self._watched(self.machine.finish(now))

    def _watched(self, effects: Iterable[Effect]) -> Iterator[Effect]:
        """Show each effect, as it is yielded, to those who look at its kind."""
        audience = self._audience
        for effect in effects:
            if isinstance(effect, Persist):
                what = effect.record
            else:
                what = effect.news if isinstance(effect, Tell) else effect.frame
            for see in audience[type(what)]:
                see(self, effect)
            yield effect

    def _become_due(self) -> None:
        if not self._is_due:
            self._is_due = True
            self._agenda.at(self._busy_until_us, self._due, None)

    def _due(self, _: object) -> None:
        self._is_due = False
        if not self.runs:
            return
        events, self._inbox = self._inbox, []
        if len(events) > EVENTS_IN_TURN_MAX:
            events, self._inbox = events[:EVENTS_IN_TURN_MAX], events[EVENTS_IN_TURN_MAX:]
        self._turn(self.pump.turn, events, self.now)
        if self._inbox and self.runs:
            self._become_due()

    def _turn(self, turn: Callable[..., None], *given: object) -> None:
        self.turns += 1
        self._commits = self.disk.commits
        try:
            turn(*given)
        except WorldFault:
            self._news.clear()
            self._around.failed(self)
            return
        news = self._news.copy()
        self._news.clear()
        delay_us = self._delay_us()
        self._busy_until_us = self._agenda.now_us + delay_us
        if delay_us:
            self._agenda.after(delay_us, self._committed, news)
        else:
            self._say(news)
        self._around.turned(self)
        self._wake_later()

    def _delay_us(self) -> int:
        return self._commit_us + self.disk.delay_us if self.disk.commits > self._commits else 0

    def _committed(self, news: list[object]) -> None:
        if self.runs:
            self.disk.settle()
            self._say(news)

    def _say(self, news: list[object]) -> None:
        for one in news:
            self._around.said(self, one)

    def _wake_later(self) -> None:
        deadline = self.pump.next_deadline()
        if deadline is None:
            return
        at_us = max(self._agenda.now_us, self.clock.instant_of(deadline))
        if self._wakes_us is None or at_us < self._wakes_us or self._wakes_us < self._agenda.now_us:
            self._wakes_us = at_us
            self._agenda.at(at_us, self._wake, at_us)

    def _wake(self, at_us: int) -> None:
        if self.runs and self._wakes_us == at_us:
            self._wakes_us = None
            self._become_due()


class _Watched:
    """The machine as the pump sees it."""

    def __init__(self, program: Program) -> None:
        self._program = program

    def handle(self, event: object, now: Now) -> Iterator[Effect]:
        return self._program.bend(event, now)

    def finish(self, now: Now) -> Iterator[Effect]:
        return self._program.finish(now)

    def next_deadline(self) -> MonoMs | None:
        return self._program.machine.next_deadline()
