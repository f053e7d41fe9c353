"""Route events to the parts of a hub; the hub's own rules are theirs.

Admission says who speaks, custody what is taken, mailboxes what waits, and this machine carries words
between them: greetings, envelopes in and out, custody back, questions, the directory and keycards.
It touches nothing: no socket, clock, disk or randomness but what it is given. docs/protocol.md 9.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final

from i247_hub.admission import Caller, admitted_keys, caller_of
from i247_hub.connections import Connection, Connections
from i247_hub.custody import EVERYBODY, Surroundings, Verdict, judge
from i247_hub.mailbox import LANES, Mailbox
from i247_hub.records import (
    DropExpired,
    Forget,
    HandedOn,
    Held,
    Hold,
    Hop,
    HubMemory,
    KeepCard,
    KeepDirectory,
    Owe,
    Settle,
)
from i247_hub.returns import bounce
from i247_hub.room import Room
from i247_keys.cardfile import CardFile
from i247_keys.identity import Identity
from i247_keys.network_file import extend
from i247_keys.returned import verify_bounce
from i247_keys.trust import Trust
from i247_protocol.counters import Counters
from i247_protocol.errors import PeerFault
from i247_protocol.frames import (
    Ask,
    Bounce,
    Busy,
    Cards,
    CardWant,
    Credit,
    Custody,
    DirHave,
    DirWant,
    Fate,
    Frame,
    Hello,
    Known,
    Pair,
    Parcel,
    Put,
    Reset,
    Returned,
    Role,
    Told,
    parse_frame,
)
from i247_protocol.header import parse_header
from i247_protocol.limits import (
    BUSY_RETRY_MS,
    CARDS_IN_FRAME_MAX,
    MAILBOX_PAGE_ROWS,
    MINUTE_TICKS,
    PAIRS_MAX,
    STORE_BYTES_MAX,
    TICK_MS,
    WINDOW_BYTES,
    WINDOW_MESSAGES,
)
from i247_protocol.machine import (
    Admit,
    Claim,
    Dial,
    DirectoryGiven,
    Effect,
    Forward,
    FrameArrived,
    LinkId,
    LinkLost,
    LinkUp,
    Peer,
    Persist,
    Tell,
    TimePassed,
)
from i247_protocol.names import (
    EnvelopeId,
    HubName,
    KeyId,
    MemberCode,
    Minutes,
    MonoMs,
    Now,
    SessionId,
    WallMs,
    expiry_wall,
)
from i247_protocol.priority import Lane, lane_of
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
    ) -> None:
        self.me = me
        self.counters = Counters()
        self.trust = trust
        self.connections = Connections()
        self._identity = identity
        self._memory = memory
        self._entropy = entropy
        self._cards = CardFile()
        self._room = Room(memory.used_bytes(), store_bytes_max)
        self._seq = memory.last_seq()
        self._mailboxes: dict[tuple[Hop, Lane], Mailbox] = {}
        self._tick: MonoMs | None = None
        self._ticks = 0
        self._around: Surroundings | None = None
        self._wall = WallMs(0)
        self._judged_from: dict[MemberCode, int] = {}  # rows after this `seq` were judged by the member's present card

    # What drives it.

    def start(self, now: Now) -> list[Effect]:
        """Return what to do first: whom to admit and whom to dial. Rebuilds what was saved."""
        for card in self._memory.cards():
            try:
                newest = self._cards.offer(card, self.trust.directory, now.wall)
            except PeerFault as fault:
                self.counters.add(f"card.{fault.reason}")
            else:
                self._judged_from[MemberCode(newest.member)] = self._seq
        for waiting in self._memory.backlog():
            self._mailbox(waiting.hop, lane_of(waiting.prio)).behind(waiting.prio, waiting.rows)
        self._tick = MonoMs(now.mono + TICK_MS)
        return list(self._neighbourhood())

    def handle(self, event: Event, now: Now) -> list[Effect]:
        """Take one event; return what must be done, in order."""
        self._wall = now.wall
        match event:
            case FrameArrived():
                return list(self._frame_arrived(event, now))
            case LinkUp(link):
                return list(self._begin(link, now))
            case LinkLost(link):
                self._end(link)
                return []
            case TimePassed():
                return list(self._time_passed(now))
            case DirectoryGiven(data):
                return list(self._directory_given(data, now))

    def next_deadline(self) -> MonoMs | None:
        """Return when `TimePassed` is wanted next."""
        return self._tick

    def waiting(self) -> Iterator[tuple[str, Lane, int, bool]]:
        """Yield for each next place and lane how many rows wait and whether it is connected."""
        for (hop, lane), mailbox in self._mailboxes.items():
            if mailbox.rows:
                yield hop.text, lane, mailbox.rows, self.connections.outward(hop.text, lane) is not None

    # Links.

    def _begin(self, link: LinkId, now: Now) -> Iterator[Effect]:
        """Greet on a link that this hub dials."""
        self._end(link)
        peer = self._dialled(link)
        row = None if peer is None else self.trust.directory.hub(HubName(peer[0]))
        if peer is None or row is None:
            return
        name, lane = peer
        caller = Caller(Role.HUB, name, in_good_standing=True)
        session = Session(SessionId(self._entropy(8)), now, dialled=True)
        self.connections.begun(Connection(link, row.link, caller, lane, session))
        yield Claim(link, self._hello(session, lane, now))

    def _end(self, link: LinkId) -> None:
        """Forget a link; what was on the way waits in its mailbox again, in the store."""
        ended = self.connections.drop(link)
        if ended is not None:
            self._let_go(ended)

    def _let_go(self, ended: Connection) -> None:
        self._around = None
        if ended.carries_mail_out:
            mailbox = self._mailboxes.get((self._hop_to(ended.caller), ended.lane))
            if mailbox is not None:
                mailbox.let_go()

    def _frame_arrived(self, event: FrameArrived, now: Now) -> Iterator[Effect]:
        caller = caller_of(self.trust.directory, event.key, now.wall)
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
            yield from self._greeted(event.link, event.key, caller, frame, now)
            return
        connection = self.connections.on(event.link)
        if connection is None or connection.session.id != frame.session or connection.caller.name != caller.name:
            self._refuse(Reason.UNKNOWN_SESSION)
            if not isinstance(frame, Reset) and self._dialled(event.link) is None:
                yield Claim(event.link, Reset(frame.session))
            return
        connection.caller = caller
        connection.session.heard(now)
        if not connection.session.is_open:
            if isinstance(frame, Reset):
                yield from self._begin(event.link, now)
            else:
                self._refuse(Reason.OUT_OF_TURN)
            return
        if not caller.in_good_standing and not isinstance(frame, ALWAYS_HEARD):
            self._refuse(Reason.SUSPENDED)
            return
        yield from self._heard(connection, frame, now)

    def _greeted(self, link: LinkId, key: bytes, caller: Caller, hello: Hello, now: Now) -> Iterator[Effect]:
        known = self.connections.on(link)
        if self._dialled(link) is not None:  # the answer to a greeting of ours
            if known is None or known.session.id != hello.session:
                self._refuse(Reason.UNKNOWN_SESSION)
                return
            known.session.heard(now)
            connection = known
        else:
            if hello.role is not caller.role or (known is None and self.connections.full):
                self._refuse(Reason.OUT_OF_TURN)
                return
            if known is not None:
                self._end(link)
            session = Session(SessionId(hello.session), now, dialled=False)
            connection = Connection(link, key, caller, hello.lane, session)
            yield Claim(link, self._hello(session, hello.lane, now))
        replaced = self.connections.greeted(connection, hello)
        if replaced is not None:
            self.counters.add(f"link.{Reason.REPLACED}")
            self._let_go(replaced)
        self._around = None
        yield from self._opened(connection, hello)

    def _opened(self, connection: Connection, hello: Hello) -> Iterator[Effect]:
        session, link = connection.session, connection.link
        mine = self.trust
        if hello.roster > mine.directory.version or (
            hello.roster == mine.directory.version and hello.pulse != mine.pulse_hash
        ):
            yield Claim(link, DirWant(session.id, mine.directory.version, mine.pulse_hash))
        if hello.cards != self._cards.digest and connection.lane is Lane.EXPRESS:
            yield Claim(link, CardWant(session.id, self._cards.versions()))
        if connection.lane is Lane.EXPRESS and connection.carries_mail_out:
            owed = tuple(self._memory.owed(connection.caller.name, PAIRS_MAX))
            if owed:
                yield Claim(link, Returned(session.id, owed))
        if connection.carries_mail_out:
            yield from self._deliver(self._mailbox(self._hop_to(connection.caller), connection.lane))

    def _heard(self, connection: Connection, frame: Frame, now: Now) -> Iterator[Effect]:
        match frame:
            case Put():
                yield from self._put(connection, frame, now)
            case Custody():
                yield from self._custody(connection, frame, now)
            case Returned():
                yield from self._returned(connection, frame, now)
            case Busy():
                self._busy(connection, frame, now)
            case Ask():
                yield Claim(connection.link, Told(frame.session, tuple(self._answers(frame))))
            case Credit():
                connection.session.allow(frame)
                if connection.carries_mail_out:
                    yield from self._deliver(self._mailbox(self._hop_to(connection.caller), connection.lane))
            case DirWant():
                yield Claim(connection.link, DirHave(frame.session, self.trust.steps_since(frame.roster)))
            case DirHave():
                yield from self._directory_given(frame.data, now)
            case CardWant():
                yield from self._give_cards(connection, self._cards.newer_than(frame.have))
            case Cards():
                yield from self._cards_arrived(connection, frame, now)
            case Reset():
                if connection.session.dialled:
                    yield from self._begin(connection.link, now)
            case _:
                self._refuse(Reason.OUT_OF_TURN)

    # Envelopes.

    def _put(self, connection: Connection, put: Put, now: Now) -> Iterator[Effect]:
        touched: dict[tuple[Hop, Lane], Mailbox] = {}
        kept: list[Pair] = []
        refused: dict[Reason, list[Pair]] = {}
        around = self._surroundings(now)
        for parcel in put.parcels:
            if not connection.session.take(parcel.size):
                self._refuse(Reason.CREDIT_EXCEEDED)
                continue
            verdict = judge(parcel, connection.caller.name, around, self._next_seq)
            if verdict.busy is not None:
                self._refuse(verdict.busy)
                refused.setdefault(verdict.busy, []).append(Pair(verdict.envelope, verdict.targets))
                continue
            yield from self._hold(verdict, touched)
            covered = tuple(member for row in verdict.rows for member in row.recipients)
            if covered:
                kept.append(Pair(verdict.envelope, covered))
            if verdict.returned:
                bounces = tuple(self._bounce(verdict.envelope, *one, now.wall) for one in verdict.returned)
                yield Claim(connection.link, Returned(put.session, bounces))
        if kept:
            yield Claim(connection.link, Custody(put.session, tuple(kept), None))
        for reason, pairs in refused.items():
            yield Claim(connection.link, Busy(put.session, tuple(pairs), reason.value, BUSY_RETRY_MS))
        credit = connection.session.grant()
        if credit is not None:
            yield Claim(connection.link, credit)
        for mailbox in touched.values():
            yield from self._deliver(mailbox)

    def _hold(self, verdict: Verdict, touched: dict[tuple[Hop, Lane], Mailbox]) -> Iterator[Effect]:
        rows = self._not_held_yet(verdict)
        if not rows:
            return
        yield Persist(Hold(rows))
        self.counters.add("held")
        for row in rows:
            self._room.taken(row.size)
            lane = lane_of(row.prio)
            mailbox = self._mailbox(row.hop, lane)
            touched[row.hop, lane] = mailbox
            mailbox.add(row, connected=self.connections.outward(row.hop.text, lane) is not None)

    def _not_held_yet(self, verdict: Verdict) -> tuple[Held, ...]:
        """Return the rows of a verdict less what is held already: a second copy gets the same custody."""
        held = self._memory.held(verdict.envelope)
        if not held:
            return tuple(verdict.rows)
        already = {member for row in held for member in row.recipients}
        fresh = []
        for row in verdict.rows:
            left = tuple(member for member in row.recipients if member not in already)
            if left:
                wraps = tuple(wrap for wrap in row.wraps if wrap[0] in left)
                fresh.append(row._replace(recipients=left, wraps=wraps))
        if len(fresh) < len(verdict.rows):
            self.counters.add("held-again")
        return tuple(fresh)

    def _deliver(self, mailbox: Mailbox) -> Iterator[Effect]:
        """Put what waits for a place, as far as its credit reaches."""
        connection = self.connections.outward(mailbox.hop.text, mailbox.lane)
        if connection is None or not connection.caller.in_good_standing or mailbox.paused_until:
            return
        while True:
            for row in mailbox.take(connection.session):
                undeliverable = self._undeliverable(row)
                if undeliverable is None:
                    parcel = Parcel(row.hops, row.header, row.body, row.wraps)
                    yield Forward(connection.link, Put(connection.session.id, (parcel,)))
                else:
                    yield from self._give_up(mailbox, row, undeliverable)
            wanted = mailbox.wanted_page()
            if wanted is None:
                return
            prio, after = wanted
            page = self._memory.page(mailbox.hop, prio, after, MAILBOX_PAGE_ROWS)
            mailbox.page_in(prio, page, MAILBOX_PAGE_ROWS)
            if not page:
                return

    def _undeliverable(self, row: Held) -> Reason | None:
        if expiry_wall(row.exp) <= self._wall:
            return Reason.EXPIRED
        member = row.hop.member
        if member is None or row.seq > self._judged_from.get(member, 0):
            return None
        kid = row.wraps[0][1] if row.wraps else parse_header(row.header).kid
        return Reason.DEAD_KEY if kid is not None and self._cards.is_dead(member, KeyId(kid)) else None

    def _give_up(self, mailbox: Mailbox, row: Held, reason: Reason) -> Iterator[Effect]:
        """Free a row that will not be delivered; its source is told, except of an expiry, which its clock knows."""
        self._refuse(reason)
        for part, done in mailbox.settle(row.envelope, row.recipients):
            if done:
                yield from self._forget(part)
            if reason is not Reason.EXPIRED:
                for member in part.recipients:
                    yield from self._owe(part, self._bounce(part.envelope, member, reason, self._wall))

    def _owe(self, row: Held, word: Bounce) -> Iterator[Effect]:
        yield Persist(Owe(row.source, word, row.exp))
        connection = self.connections.outward(row.source, Lane.EXPRESS)
        if connection is not None:
            yield Claim(connection.link, Returned(connection.session.id, (word,)))

    def _custody(self, connection: Connection, custody: Custody, now: Now) -> Iterator[Effect]:
        place = connection.caller.name
        mailbox = self._mailbox(self._hop_to(connection.caller), connection.lane)
        for pair in custody.pairs:
            envelope = EnvelopeId(pair.envelope)
            settled = list(mailbox.settle(envelope, pair.recipients))
            if not settled:
                # Saved rows that a let-go mailbox no longer has in memory, or a word of return.
                settled = list(self._settle_saved(place, envelope, pair))
                for member in pair.recipients:
                    yield Persist(Settle(place, envelope, MemberCode(member)))
            for row, done in settled:
                for member in row.recipients:
                    yield Persist(HandedOn(envelope, member, place, now.wall, row.exp))
                if done:
                    yield from self._forget(row)
                    self.counters.add("handed-on")
        yield from self._deliver(mailbox)

    def _settle_saved(self, place: str, envelope: EnvelopeId, pair: Pair) -> Iterator[tuple[Held, bool]]:
        named = set(pair.recipients)
        for row in self._memory.held(envelope):
            if row.hop.text == place and named.issuperset(row.recipients):
                yield row, True

    def _forget(self, row: Held) -> Iterator[Effect]:
        self._room.freed(row.size)
        yield Persist(Forget(row.seq))

    def _returned(self, connection: Connection, returned: Returned, now: Now) -> Iterator[Effect]:
        """Take words of return from the next place: free the rows, and owe the words to their source."""
        told: list[Pair] = []
        for word in returned.bounces:
            try:
                verify_bounce(word, self.trust.directory, now.wall)
            except PeerFault as fault:
                self._refuse(fault.reason)
                continue
            envelope = EnvelopeId(word.envelope)
            rows = [row for row in self._memory.held(envelope) if row.hop.text == connection.caller.name]
            for row in rows:
                members = row.recipients if word.recipient == EVERYBODY else (MemberCode(word.recipient),)
                mailbox = self._mailbox(row.hop, lane_of(row.prio))
                for part, done in list(mailbox.settle(envelope, members)) or [
                    (row, set(row.recipients) <= set(members))
                ]:
                    if done:
                        yield from self._forget(part)
                    yield from self._owe(part, word)
            if word.recipient != EVERYBODY:
                told.append(Pair(word.envelope, (word.recipient,)))
        if told:
            yield Claim(connection.link, Custody(returned.session, tuple(told), None))

    def _busy(self, connection: Connection, busy: Busy, now: Now) -> None:
        mailbox = self._mailbox(self._hop_to(connection.caller), connection.lane)
        for pair in busy.pairs:
            mailbox.put_back(EnvelopeId(pair.envelope))
        mailbox.paused_until = MonoMs(now.mono + min(max(busy.retry_after, TICK_MS), BUSY_RETRY_MS * 12))
        self.counters.add("busy-heard")

    def _answers(self, ask: Ask) -> Iterator[Known]:
        for pair in ask.pairs:
            envelope = EnvelopeId(pair.envelope)
            held = {member: row.hop.text for row in self._memory.held(envelope) for member in row.recipients}
            for text in pair.recipients:
                member = MemberCode(text)
                handed = None if member in held else self._memory.handed_on(envelope, member)
                if member in held:
                    yield Known(envelope, member, Fate.HELD, held[member], 0)
                elif handed is not None:
                    yield Known(envelope, member, Fate.PASSED, handed.hop, handed.at)
                else:
                    yield Known(envelope, member, Fate.UNKNOWN, "", 0)

    # Directory and keycards.

    def _directory_given(self, data: bytes, now: Now) -> Iterator[Effect]:
        before = self.trust
        try:
            self.trust = extend(before, data, now.wall)
        except PeerFault as fault:
            self.counters.add(f"directory.{fault.reason}")
            return
        if self.trust is before:
            return
        self.counters.add("directory.newer")
        self._around = None
        self._cards.void_all_but(self.trust.directory)
        yield Persist(KeepDirectory(self.trust.to_bytes()))
        yield from self._neighbourhood()
        self._look_again_who_speaks()
        for connection in self.connections:
            if connection.session.is_open and connection.lane is Lane.EXPRESS:
                yield Claim(connection.link, DirHave(connection.session.id, self.trust.steps_since(connection.roster)))
                connection.roster = self.trust.directory.version

    def _look_again_who_speaks(self) -> None:
        """End the sessions of keys that the directory no longer admits, and note who is suspended or back."""
        for connection in self.connections:
            caller = caller_of(self.trust.directory, connection.key, self._wall)
            if caller is None or caller.name != connection.caller.name:
                self._refuse(Reason.STRANGER)
                self._end(connection.link)
            else:
                connection.caller = caller

    def _neighbourhood(self) -> Iterator[Effect]:
        directory = self.trust.directory
        yield Tell(Admit(admitted_keys(directory, self.me)))
        peers = (
            Peer(_link_to(row.name, lane), row.endpoints[0], row.link)
            for row in directory.hubs
            if row.name != self.me
            for lane in Lane
        )
        yield Tell(Dial(tuple(peers)))

    def _cards_arrived(self, connection: Connection, frame: Cards, now: Now) -> Iterator[Effect]:
        fresh = []
        for data in frame.cards:
            try:
                card = self._cards.offer(data, self.trust.directory, now.wall)
            except PeerFault as fault:
                self.counters.add(f"card.{fault.reason}")
                continue
            fresh.append(data)
            self._judged_from[MemberCode(card.member)] = self._seq
            yield Persist(KeepCard(MemberCode(card.member), data))
        if not fresh:
            return
        for other in self.connections:
            if other.session.is_open and other.lane is Lane.EXPRESS and other.link != connection.link:
                yield from self._give_cards(other, fresh)

    def _give_cards(self, connection: Connection, cards: Iterable[bytes]) -> Iterator[Effect]:
        batch = list(cards)
        for begin in range(0, len(batch), CARDS_IN_FRAME_MAX):
            chunk = tuple(batch[begin : begin + CARDS_IN_FRAME_MAX])
            yield Claim(connection.link, Cards(connection.session.id, chunk))

    # Time.

    def _time_passed(self, now: Now) -> Iterator[Effect]:
        self._tick = MonoMs(now.mono + TICK_MS)
        self._ticks += 1
        self._around = None
        for connection in self.connections:
            yield from self._look_after(connection, now)
        for mailbox in self._mailboxes.values():
            if mailbox.paused_until and mailbox.paused_until <= now.mono:
                mailbox.paused_until = MonoMs(0)
                yield from self._deliver(mailbox)
        if self._ticks % MINUTE_TICKS == 0:
            self._look_again_who_speaks()
            yield Persist(DropExpired(Minutes(now.wall // 60_000)))

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
            frame = session.credit() if session.is_open else self._hello(session, connection.lane, now)
            if session.is_open or session.dialled:
                yield Claim(connection.link, frame)

    # Small parts.

    def _surroundings(self, now: Now) -> Surroundings:
        if self._around is None or self._around.wall != now.wall:
            reachable = self.connections.reachable_hubs() if self._around is None else self._around.reachable
            self._around = Surroundings(self.me, self.trust.directory, self._cards, self._room, reachable, now.wall)
        return self._around

    def _mailbox(self, hop: Hop, lane: Lane) -> Mailbox:
        mailbox = self._mailboxes.get((hop, lane))
        if mailbox is None:
            mailbox = self._mailboxes[hop, lane] = Mailbox(hop, lane)
        return mailbox

    def _hello(self, session: Session, lane: Lane, now: Now) -> Hello:
        return Hello(
            session.id,
            Role.HUB,
            lane,
            self.trust.directory.version,
            self.trust.pulse_hash,
            self._cards.digest,
            now.wall,
            WINDOW_MESSAGES,
            WINDOW_BYTES,
        )

    def _hop_to(self, caller: Caller) -> Hop:
        if caller.role is Role.MEMBER:
            return Hop(MemberCode(caller.name), None)
        return Hop(None, HubName(caller.name))

    def _dialled(self, link: LinkId) -> tuple[str, Lane] | None:
        """Return which hub and lane a link of ours leads to; None for an inbound link."""
        if not link.startswith(DIALLED):
            return None
        _, name, lane = link.decode().split(":")
        return name, Lane(lane)

    def _bounce(self, envelope: EnvelopeId, member: MemberCode, reason: Reason, wall: WallMs) -> Bounce:
        self._refuse(reason)
        return bounce(self.me, self._identity, envelope, member, reason, wall)

    def _refuse(self, reason: Reason) -> None:
        self.counters.add(f"refused.{reason.value}")

    def _next_seq(self) -> int:
        self._seq += 1
        return self._seq


def _link_to(hub: HubName, lane: Lane) -> LinkId:
    return LinkId(DIALLED + f"{hub}:{lane.value}".encode())


DIALLED: Final = b"hub:"
ALWAYS_HEARD: Final = (DirWant, DirHave, Credit, Reset)
