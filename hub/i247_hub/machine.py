"""Route events to the parts of a hub; the hub's own rules are theirs.

Admission says who speaks, the desk holds directory and keycards, the carriage holds envelopes, and what is
asked about them is answered. This machine lives the sessions and carries words between the parts. It touches
nothing: no socket, clock, disk or randomness but what it is given. docs/protocol.md 9.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final

from i247_hub.admission import Caller, caller_of
from i247_hub.carriage import Carriage
from i247_hub.connections import Connection, Connections
from i247_hub.desk import Desk, dialled
from i247_hub.neighbours import Neighbours
from i247_hub.questions import Questions
from i247_hub.quotas import USUAL, Quotas, Shares
from i247_hub.records import DropExpired, HubMemory
from i247_hub.returns import Returns
from i247_keys.custodian import Custodian
from i247_keys.identity import Identity, Verify, verify
from i247_keys.trust import Trust
from i247_protocol.counters import Counters
from i247_protocol.errors import PeerFault
from i247_protocol.frames import (
    Ask,
    Busy,
    Cards,
    CardWant,
    Credit,
    Custody,
    DirHave,
    DirWant,
    Frame,
    Hello,
    Noted,
    Put,
    Reach,
    Reset,
    Returned,
    Role,
    Show,
    Shown,
    Told,
    parse_frame,
)
from i247_protocol.limits import (
    CLONE_ALARM_MS,
    MINUTE_TICKS,
    STORE_BYTES_MAX,
    TICK_MS,
    WINDOW_BYTES,
    WINDOW_MESSAGES,
)
from i247_protocol.machine import (
    Claim,
    DirectoryGiven,
    Effect,
    Forward,
    FrameArrived,
    LinkId,
    LinkLost,
    LinkUp,
    Persist,
    TimePassed,
)
from i247_protocol.names import MINUTE_MS, HubName, Minutes, MonoMs, Now, SessionId
from i247_protocol.priority import Lane
from i247_protocol.reasons import Reason
from i247_protocol.session import Session

Event = FrameArrived | LinkUp | LinkLost | TimePassed | DirectoryGiven


class HubMachine:
    """A hub, without a world."""

    def __init__(
        self,
        me: HubName,
        identity: Identity,
        trust: Trust,
        memory: HubMemory,
        entropy: Callable[[int], bytes],
        *,
        store_bytes_max: int = STORE_BYTES_MAX,
        quotas: Quotas = USUAL,
        verify: Verify = verify,
    ) -> None:
        self.me = me
        self.counters = Counters()
        self.connections = Connections()
        self._desk = Desk(me, trust, memory, self.connections, self.counters)
        returns = Returns(me, identity)
        self._neighbours = neighbours = Neighbours(self.connections)
        self._custodian = custodian = Custodian(me, identity)
        self._carriage = Carriage(
            self._desk,
            self.connections,
            memory,
            self.counters,
            returns,
            custodian,
            neighbours,
            store_bytes_max,
            quotas,
            verify,
        )
        self._questions = Questions(self.connections, memory, returns)
        self._entropy = entropy
        self._tick = MonoMs(0)
        self._ticks = 0

    @property
    def trust(self) -> Trust:
        """What this hub believes about the directory."""
        return self._desk.trust

    @property
    def shares(self) -> Shares:
        """What each giver and each mailbox has used of its share."""
        return self._carriage.shares

    def start(self, now: Now) -> list[Effect]:
        """Return what to do first: whom to admit and whom to dial. Rebuilds what was saved."""
        self._desk.start(now)
        self._neighbours.start(now)
        self._carriage.cards_changed(row.code for row in self._desk.directory.members)
        self._tick = MonoMs(now.mono + TICK_MS)
        return list(self._desk.neighbourhood())

    def handle(self, event: Event, now: Now) -> Iterable[Effect]:
        """Take one event; yield what must be done, in order."""
        match event:
            case FrameArrived():
                return self._frame_arrived(event, now)
            case LinkUp(link):
                return self._begin(link, now)
            case LinkLost(link):
                self._end(link)
                return self._neighbours_changed(now)
            case TimePassed():
                return self._time_passed(now)
            case DirectoryGiven(data):
                return self._directory_given(data, None, now)

    def finish(self, now: Now) -> Iterable[Effect]:
        """Yield the custody that is due, signed once."""
        return self._custodian.finish(now)

    def next_deadline(self) -> MonoMs | None:
        """Return when `TimePassed` is wanted next."""
        earliest = self._tick
        for at in (self._carriage.next_deadline(), self._custodian.next_deadline()):
            if at is not None and at < earliest:
                earliest = at
        return earliest

    def waiting(self) -> Iterator[tuple[str, Lane, int, bool]]:
        """Yield for each next place and lane how many rows wait and whether it is connected."""
        return self._carriage.waiting()

    # Sessions.

    def _begin(self, link: LinkId, now: Now) -> Iterator[Effect]:
        """Greet on a link that this hub dials."""
        self._end(link)
        peer = dialled(link)
        row = None if peer is None else self._desk.directory.hub(peer[0])
        if peer is None or row is None:
            return
        name, lane = peer
        caller = Caller(Role.HUB, name, in_good_standing=True)
        session = Session(SessionId(self._entropy(8)), now, dialled=True)
        self.connections.begun(Connection(link, row.link, caller, lane, session, now))
        yield Claim(link, self._hello(session, lane, now))

    def _neighbours_changed(self, now: Now) -> Iterator[Effect]:
        before = self._neighbours.ways
        yield from self._neighbours.changed(now)
        if self._neighbours.ways is not before:
            self._carriage.surroundings_changed()

    def _end(self, link: LinkId) -> None:
        ended = self.connections.drop(link)
        if ended is not None:
            self._carriage.closed(ended)

    def _frame_arrived(self, event: FrameArrived, now: Now) -> Iterator[Effect]:
        caller = caller_of(self._desk.directory, event.key, now.wall)
        if caller is None:
            self._refuse(Reason.STRANGER)
            self._end(event.link)
            return
        try:
            frame = parse_frame(event.data)
        except PeerFault as fault:
            self._refuse(fault.reason)
            return
        if isinstance(frame, Hello):
            yield from self._greeted(event, caller, frame, now)
            return
        connection = self.connections.on(event.link)
        if connection is None or connection.session.id != frame.session or connection.caller.name != caller.name:
            self._refuse(Reason.UNKNOWN_SESSION)
            if not isinstance(frame, Reset) and dialled(event.link) is None:
                yield Claim(event.link, Reset(frame.session))
            return
        if _is_back(connection.caller, caller):
            yield self._start_over(connection)
            return
        connection.caller = caller
        connection.session.heard(now)
        if isinstance(frame, Reset):
            if connection.session.dialled:
                yield from self._begin(event.link, now)
        elif not connection.session.is_open:
            self._refuse(Reason.OUT_OF_TURN)
        elif not caller.in_good_standing and not isinstance(frame, ALWAYS_HEARD):
            self._refuse(Reason.SUSPENDED)
        else:
            yield from self._heard(connection, frame, now)

    def _greeted(self, event: FrameArrived, caller: Caller, hello: Hello, now: Now) -> Iterator[Effect]:
        link = event.link
        known = self.connections.on(link)
        if dialled(link) is not None:  # the answer to a greeting of ours
            if known is None or known.session.id != hello.session:
                self._refuse(Reason.UNKNOWN_SESSION)
                return
            known.session.heard(now)
            connection = known
        else:
            if hello.role is not caller.role or (known is None and self.connections.full):
                self._refuse(Reason.OUT_OF_TURN)
                return
            self._end(link)
            session = Session(SessionId(hello.session), now, dialled=False)
            connection = Connection(link, event.key, caller, hello.lane, session, now)
            # A greeting claims nothing, and must be there before the first envelope, which may precede the commit.
            yield Forward(link, self._hello(session, hello.lane, now))
        if caller.role is Role.HUB:
            self._neighbours.greeted(HubName(caller.name), hello.time, now)
        replaced = self.connections.greeted(connection, hello)
        if replaced is not None:
            self.counters.add(f"link.{Reason.REPLACED.value}")
            if now.mono - replaced.began < CLONE_ALARM_MS:
                self.counters.add("alarm.cloned-node")
            self._carriage.closed(replaced)
        yield from self._neighbours_changed(now)
        yield from self._desk.opened(connection, hello)
        yield from self._carriage.opened(connection, now)

    def _heard(self, connection: Connection, frame: Frame, now: Now) -> Iterator[Effect]:
        """Hand a frame to the part that it is for."""
        match frame:
            case Put():
                yield from self._carriage.put(connection, frame, now)
            case Custody():
                yield from self._carriage.custody(connection, frame, now)
            case Returned():
                yield from self._carriage.returned(connection, frame, now)
            case Noted():
                yield from self._carriage.noted(connection, frame)
            case Busy():
                yield from self._carriage.busy(connection, frame, now)
            case Ask() | Show():
                yield from self._questions.asked(connection, frame)
            case Told() | Shown() if connection.caller.role is Role.HUB:
                yield from self._questions.answered(connection, frame)
            case Credit():
                connection.session.allow(frame)
                yield from self._carriage.deliver(connection, now)
            case Reach() if connection.caller.role is Role.HUB:
                if self._neighbours.told(connection, frame):
                    self._carriage.surroundings_changed()
            case DirWant():
                yield from self._desk.wanted(connection, frame)
            case DirHave():
                version = self._desk.directory.version
                yield from self._directory_given(frame.data, connection.key, now)
                yield from self._desk.still_wanted(connection, before=version)
            case CardWant():
                yield from self._desk.cards_wanted(connection, frame)
            case Cards():
                members, effects = self._desk.cards_came(connection, frame, now)
                self._carriage.cards_changed(members)
                yield from effects
            case _:
                self._refuse(Reason.OUT_OF_TURN)

    # Directory and time.

    def _directory_given(self, data: bytes, giver: bytes | None, now: Now) -> Iterator[Effect]:
        before = self._desk.trust
        yield from self._desk.given(data, giver, now)
        if self._desk.trust is not before:
            self._carriage.surroundings_changed()
            yield from self._look_again_who_speaks(now)

    def _look_again_who_speaks(self, now: Now) -> Iterator[Effect]:
        """End the sessions of keys that the directory no longer admits; note who is suspended, or back."""
        for connection in self.connections:
            caller = caller_of(self._desk.directory, connection.key, now.wall)
            if caller is None or caller.name != connection.caller.name:
                self._refuse(Reason.STRANGER)
                self._end(connection.link)
                continue
            if _is_back(connection.caller, caller):
                yield self._start_over(connection)
            else:
                connection.caller = caller

    def _start_over(self, connection: Connection) -> Claim:
        """Let a member that is back in good standing greet again: it does not know what was not taken meanwhile."""
        self._end(connection.link)
        return Claim(connection.link, Reset(connection.session.id))

    def _time_passed(self, now: Now) -> Iterator[Effect]:
        yield from self._carriage.catch_up(now)
        if now.mono >= self._tick:
            yield from self._each_second(now)

    def _each_second(self, now: Now) -> Iterator[Effect]:
        self._tick = MonoMs(now.mono + TICK_MS)
        self._ticks += 1
        for connection in self.connections:
            yield from self._look_after(connection, now)
            if connection.session.is_open:
                yield from self._carriage.grant(connection, now)
        yield from self._neighbours_changed(now)
        yield from self._carriage.time_passed(now)
        yield from self._carriage.expire(now)
        if self._ticks % MINUTE_TICKS == 0:
            yield from self._look_again_who_speaks(now)
            if not self._carriage.clock_is_doubtful(now):
                yield Persist(DropExpired(Minutes(now.wall // MINUTE_MS)))

    def _look_after(self, connection: Connection, now: Now) -> Iterator[Effect]:
        session = connection.session
        if session.is_silent(now):
            self.counters.add("link.silent")
            if session.dialled:
                yield from self._begin(connection.link, now)
            else:
                self._end(connection.link)
        elif session.is_idle(now):
            session.said(now)
            yield Claim(
                connection.link,
                session.credit() if session.is_open else self._hello(session, connection.lane, now),
            )

    def _hello(self, session: Session, lane: Lane, now: Now) -> Hello:
        trust = self._desk.trust
        return Hello(
            session.id,
            Role.HUB,
            lane,
            trust.directory.version,
            trust.pulse_hash,
            self._desk.cards.digest,
            now.wall,
            WINDOW_MESSAGES,
            WINDOW_BYTES,
        )

    def _refuse(self, reason: Reason) -> None:
        self.counters.add(f"refused.{reason.value}")


def _is_back(before: Caller, after: Caller) -> bool:
    return after.in_good_standing and not before.in_good_standing


ALWAYS_HEARD: Final = (DirWant, DirHave, Credit, Reset)
