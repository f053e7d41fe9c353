"""A node's machine, journal and sockets that do what a test says, and remember in which order things happened."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from threading import Event as Bell

from i247_node.commands import Accepted, ConfirmEntry, LookupFinished, NodeStatus, ReportStatus
from i247_node.engine import Event, LinkEvent
from i247_protocol.counters import Counters
from i247_protocol.errors import WorldFault
from i247_protocol.machine import DirectoryGiven, Effect, LinkId, Peer, Persist, Tell, TimePassed
from i247_protocol.names import EvidenceId, MemberCode, MessageId, MonoMs, Now, WallMs


def accepted(token: int, n: int = 7) -> Accepted:
    return Accepted(token, MessageId(bytes([n]) * 16), EvidenceId(bytes([n]) * 32), bytes([n + 1]) * 16)


def status_of(token: int, **counters: int) -> NodeStatus:
    return NodeStatus(
        token=token,
        member=MemberCode("FR"),
        health="fresh",
        roster=3,
        roster_expires=WallMs(1_800_000_000_000),
        pulse_expires=None,
        links=(),
        cards=2,
        card_version=5,
        members=4,
        waiting=0,
        open_conversations=0,
        missing=0,
        counters=counters,
    )


class ScriptedNode:
    """Saves each command and accepts it, unless `script` says what to do instead."""

    def __init__(self, script: Callable[[object], Sequence[Effect] | None] = lambda event: None) -> None:
        self.script = script
        self.heard: list[object] = []
        self.first: Sequence[Effect] = ()
        self.deadline: MonoMs | None = None

    def start(self, now: Now) -> Sequence[Effect]:
        return self.first

    def handle(self, event: Event | TimePassed, now: Now) -> Sequence[Effect]:
        self.heard.append(event)
        said = self.script(event)
        if said is not None:
            return said
        if isinstance(event, TimePassed):
            self.deadline = None
            return ()
        if isinstance(event, ReportStatus):
            return [Tell(status_of(event.token))]
        if isinstance(event, ConfirmEntry):
            return [Persist(event), Tell(Accepted(event.token, MessageId(b""), EvidenceId(b""), b""))]
        if isinstance(event, LookupFinished | DirectoryGiven) or not hasattr(event, "token"):
            return [Persist(event)]
        return [Persist(event), Tell(accepted(event.token))]

    def finish(self, now: Now) -> Sequence[Effect]:
        return ()

    def next_deadline(self) -> MonoMs | None:
        return self.deadline


class Journal:
    """Remembers turns; fails at the commit numbered `fails_at`."""

    def __init__(self, fails_at: int | None = None) -> None:
        self.turns: list[list[object]] = []
        self._open: list[object] = []
        self._fails_at = fails_at

    def persist(self, record: object) -> None:
        self._open.append(record)

    def commit(self) -> None:
        if self._fails_at == len(self.turns):
            raise WorldFault("saving", "the disk is full: make room")
        self.turns.append(self._open)
        self._open = []


class QuietSockets:
    """No hub anywhere; `arrive` lets something arrive."""

    def __init__(self) -> None:
        self.counters = Counters()
        self.dialled: list[tuple[Peer, ...]] = []
        self.sent: list[tuple[LinkId, bytes]] = []
        self.waits: list[int] = []
        self._arrived: list[LinkEvent] = []
        self._bell = Bell()

    def dial(self, peers: Iterable[Peer]) -> None:
        self.dialled.append(tuple(peers))

    def transmit(self, link: LinkId, data: bytes) -> bool:
        self.sent.append((link, data))
        return True

    def arrive(self, *events: LinkEvent) -> None:
        self._arrived += events
        self.wake()

    def poll(self, timeout_ms: int, frames_max: int) -> list[LinkEvent]:
        self.waits.append(timeout_ms)
        if not self._arrived:
            self._bell.wait(timeout_ms / 1000)
        self._bell.clear()
        taken, self._arrived = self._arrived[:frames_max], self._arrived[frames_max:]
        return taken

    def wake(self) -> None:
        self._bell.set()
