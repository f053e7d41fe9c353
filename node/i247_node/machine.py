"""Route events to the parts of a node; the node's own rules are theirs.

The desk holds directory and keys, the speaker signs, the outbox carries, the listener takes in, answering
replies. This machine lives the sessions with the hubs and carries words between the parts. It touches
nothing: no socket, clock, disk or randomness but what it is given. docs/architecture.md 4.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final

from i247_keys.cardfile import CardFile
from i247_keys.cipher import SODIUM, Cipher
from i247_keys.custodian import Custodian
from i247_keys.identity import Identity
from i247_keys.returned import verify_bounce
from i247_keys.trust import Trust
from i247_keys.vouching import Proofs
from i247_node.accounts import Accounts
from i247_node.answering import Answering
from i247_node.commands import (
    Accepted,
    Command,
    Declined,
    GatherEvidence,
    LinkStatus,
    LookupFinished,
    NodeStatus,
    ReportStatus,
)
from i247_node.conversations import Conversations
from i247_node.desk import Desk
from i247_node.evidence import Evidence
from i247_node.gaps import Gaps
from i247_node.inbox import Inbox
from i247_node.links import Link, Links, hello
from i247_node.listening import Listener
from i247_node.outbox import Outbox
from i247_node.policy import Policy
from i247_node.receipts import Receipts
from i247_node.records import DropExpired, NodeMemory
from i247_node.registers import Registers
from i247_node.speaking import Speaker
from i247_node.trail import Trail
from i247_protocol.counters import Counters
from i247_protocol.errors import CallerFault, PeerFault
from i247_protocol.frames import (
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
    Pair,
    Put,
    Reset,
    Returned,
    Shown,
    Told,
    parse_frame,
)
from i247_protocol.limits import BUSY_RETRY_MS, MINUTE_TICKS, TICK_MS
from i247_protocol.machine import (
    Claim,
    Dial,
    DirectoryGiven,
    Effect,
    FrameArrived,
    LinkId,
    LinkLost,
    LinkUp,
    Persist,
    Tell,
    TimePassed,
)
from i247_protocol.names import MINUTE_MS, MemberCode, Minutes, MonoMs, Now, WallMs
from i247_protocol.priority import Lane
from i247_protocol.reasons import Reason

Event = FrameArrived | LinkUp | LinkLost | TimePassed | DirectoryGiven | LookupFinished | Command


class NodeMachine:
    """A member's node, without a world."""

    def __init__(
        self,
        me: MemberCode,
        identity: Identity,
        trust: Trust,
        memory: NodeMemory,
        entropy: Callable[[int], bytes],
        *,
        registers: Registers,
        policy: Policy,
        incarnation: int,
        drop_epoch_secrets: bool = False,
        cipher: Cipher = SODIUM,
        cards: CardFile | None = None,
    ) -> None:
        """Be `me`; `cards` is an empty file for keycards, where another than the usual one is wanted."""
        self.me = me
        self.counters = counters = Counters()
        self._memory = memory
        self._verify = cipher.verify
        self._drop_epoch_secrets = drop_epoch_secrets
        self._tick = MonoMs(0)
        self._ticks = 0
        trail = Trail(memory.audit_end())
        inbox = Inbox(memory)
        self._links = links = Links(entropy)
        self._custodian = custodian = Custodian(me, identity)
        self._evidence = Evidence(memory, links, counters)
        self._desk = desk = Desk(
            me, identity, trust, memory, links, entropy, counters, trail, CardFile() if cards is None else cards
        )
        self._receipts = receipts = Receipts()
        self._conversations = conversations = Conversations()
        self._outbox = outbox = Outbox(memory, desk.cards, links, entropy, cipher, counters, conversations.refused)
        self._speaker = speaker = Speaker(
            identity,
            memory,
            entropy,
            incarnation,
            desk=desk,
            links=links,
            outbox=outbox,
            inbox=inbox,
            conversations=conversations,
            trail=trail,
            counters=counters,
        )
        self._gaps = gaps = Gaps(memory.heard(), entropy, counters)
        self._answering = answering = Answering(registers, policy, memory, speaker, trail, counters)
        self._listener = Listener(
            memory,
            cipher=cipher,
            desk=desk,
            inbox=inbox,
            outbox=outbox,
            receipts=receipts,
            conversations=conversations,
            answering=answering,
            gaps=gaps,
            accounts=Accounts(memory, outbox, speaker, counters),
            custodian=custodian,
            trail=trail,
            counters=counters,
        )

    @property
    def trust(self) -> Trust:
        """What this node believes about the directory."""
        return self._desk.trust

    def adopt(self, registers: Registers, policy: Policy) -> None:
        """Answer by other registers and another policy from now on."""
        self._answering.registers = registers
        self._answering.policy = policy

    def start(self, now: Now) -> list[Effect]:
        """Return what to do first. Takes up everything that was left when this node stopped."""
        self._tick = MonoMs(now.mono + TICK_MS)
        self._read_clock(now)
        self._outbox.start(now)
        self._gaps.start(now)
        self._conversations.start(self._memory, now)
        keys = self._desk.start(now, drop_epoch_secrets=self._drop_epoch_secrets)
        return [*keys, *self._dial(now), *self._answering.start(now)]

    def handle(self, event: Event, now: Now) -> Iterable[Effect]:
        """Take one event; yield what must be done, in order."""
        self._read_clock(now)
        match event:
            case FrameArrived():
                return self._frame_arrived(event, now)
            case LinkUp(link):
                return self._begin(link, now)
            case LinkLost(link):
                return self._lost(link, now)
            case TimePassed():
                return self._time_passed(now)
            case DirectoryGiven(data):
                return self._directory_given(data, None, now)
            case LookupFinished():
                return self._answering.lookup_finished(event, now)
            case GatherEvidence():
                return self._gather(event)
            case ReportStatus(token):
                return [Tell(self._status(token, now))]
            case _:
                return self._speaker.command(event, now)

    def finish(self, now: Now) -> Iterable[Effect]:
        """Yield the custody of what this turn has saved, signed once."""
        return self._custodian.finish(now)

    def next_deadline(self) -> MonoMs | None:
        """Return when `TimePassed` is wanted next."""
        said = (self._receipts.next_deadline(), self._gaps.next_deadline())
        if self._links.clock_is_doubtful:  # nothing is signed until it is set
            said = (None, None)
        earliest = self._tick
        for at in (self._outbox.next_deadline(), self._conversations.next_deadline(), *said):
            if at is not None and at < earliest:
                earliest = at
        return earliest

    def _read_clock(self, now: Now) -> None:
        pulse = self._desk.trust.pulse
        self._links.read_clock(now, signed=None if pulse is None else WallMs(pulse.iat))

    # Sessions.

    def _dial(self, now: Now) -> Iterator[Effect]:
        peers, gone = self._links.settle_on(self.me, self._desk.directory)
        for link in gone:
            yield from self._lost(link, now)
        yield Tell(Dial(peers))

    def _begin(self, name: LinkId, now: Now) -> Iterator[Effect]:
        link = self._links.on(name)
        if link is None:
            return
        if link.session is not None:
            yield from self._lost(name, now)
        yield self._greeting(link, now)

    def _greeting(self, link: Link, now: Now) -> Claim:
        trust = self._desk.trust
        session = self._links.begin(link, now)
        frame = hello(
            session,
            link.lane,
            roster=trust.directory.version,
            pulse=trust.pulse_hash,
            cards=self._desk.cards.digest,
            now=now,
        )
        return Claim(link.id, frame)

    def _lost(self, name: LinkId, now: Now) -> Iterator[Effect]:
        self._outbox.lost(name)
        self._listener.lost(name)
        link = self._links.on(name)
        if link is not None and link.session is not None:
            link.session = None
            self.counters.add("link.lost")
            yield from self._outbox.push(now, link.lane)  # another hub may carry it

    def _frame_arrived(self, event: FrameArrived, now: Now) -> Iterator[Effect]:
        link = self._links.on(event.link)
        if link is None or link.key != event.key:
            self._refuse(Reason.STRANGER)
            return
        try:
            frame = parse_frame(event.data)
        except PeerFault as fault:
            self._refuse(fault.reason)
            return
        if isinstance(frame, Hello):
            if self._links.greeted(link, frame, now):
                yield from self._desk.opened(link, frame)
                yield from self._outbox.push(now, link.lane)
            else:
                self._refuse(Reason.UNKNOWN_SESSION)
            return
        if link.session is None or link.session.id != frame.session:
            self._refuse(Reason.UNKNOWN_SESSION)
            return
        link.session.heard(now)
        if isinstance(frame, Reset):
            yield from self._begin(link.id, now)
        elif link.session.is_open:
            yield from self._heard(link, frame, now)
        else:
            self._refuse(Reason.OUT_OF_TURN)

    def _heard(self, link: Link, frame: Frame, now: Now) -> Iterator[Effect]:
        """Hand a frame to the part that it is for."""
        match frame:
            case Put():
                yield from self._listener.put(link, frame, now, doubtful=self._links.clock_is_doubtful)
            case Custody():
                yield from self._custody(link, frame, now)
            case Shown():
                yield from self._evidence.shown(frame, self._desk.directory, now)
            case Credit():
                if link.session is not None:
                    link.session.allow(frame)
                yield from self._outbox.push(now, link.lane)
            case Busy():
                self._outbox.busy(frame.pairs, frame.reason, frame.retry_after, now)
                self.counters.add("busy-heard")
            case Returned():
                yield from self._returned(link, frame, now)
            case Told():
                yield from self._outbox.told(frame.known, now)
            case Cards():
                yield from self._cards_came(frame, now)
            case CardWant():
                yield from self._desk.own_card_wanted(link, frame)
            case DirWant():
                yield self._desk.wanted(link, frame)
            case DirHave():
                version = self._desk.directory.version
                yield from self._directory_given(frame.data, link.key, now)
                yield from self._desk.still_wanted(link, before=version)
                yield from self._listener.judge_parked(link, now)
            case _:
                self._refuse(Reason.OUT_OF_TURN)

    # Directory, keycards, words of return.

    def _directory_given(self, data: bytes, giver: bytes | None, now: Now) -> Iterator[Effect]:
        before = self._desk.trust
        yield from self._desk.given(data, giver, now)
        if self._desk.trust is before:
            return
        if self._desk.directory.version != before.directory.version:
            yield from self._dial(now)
        yield from self._listener.release_withheld(now)

    def _cards_came(self, frame: Cards, now: Now) -> Iterator[Effect]:
        members, effects = self._desk.cards_came(frame.cards, now)
        yield from effects
        for member in members:
            yield from self._outbox.card_came(member, now)

    def _returned(self, link: Link, frame: Returned, now: Now) -> Iterator[Effect]:
        told = []
        for word in frame.bounces:
            try:
                reason = verify_bounce(word, self._desk.directory, now.wall)
            except PeerFault as fault:
                self._refuse(fault.reason)
                continue
            yield from self._outbox.returned(word, reason, now)
            if reason in (Reason.DEAD_KEY, Reason.NO_KEYCARD):
                yield Claim(link.id, CardWant(frame.session, self._desk.cards.versions()))
            if word.recipient:
                told.append(Pair(word.envelope, (word.recipient,)))
        if told:
            yield Claim(link.id, Noted(frame.session, tuple(told)))

    def _custody(self, link: Link, frame: Custody, now: Now) -> Iterator[Effect]:
        """Believe a hub's custody when it has signed for just what was put; otherwise put it again a little later."""
        try:
            proofs = Proofs(frame, link.hub, self._desk.directory, now.wall, self._verify)
        except PeerFault as fault:
            self._refuse(fault.reason)
            put = [Pair(one.envelope, one.recipients) for one in frame.taken]
            self._outbox.busy(put, fault.reason.value, BUSY_RETRY_MS, now)
            return
        own = [one for one in frame.taken if one.hops == 0]
        if len(own) < len(frame.taken):
            self._refuse(Reason.MALFORMED)
        yield from self._outbox.custody(link.hub, own, proofs, now)

    def _gather(self, command: GatherEvidence) -> Iterator[Effect]:
        message = self._memory.outgoing_by_id(command.message)
        if message is None:
            fault = CallerFault("gathering evidence", "give the id of a message of ours; see `outbox`")
            yield Tell(Declined(command.token, fault))
            return
        yield from self._evidence.ask(message)
        yield Tell(Accepted(command.token, message.id, message.sid, message.conv))

    # Time.

    def _time_passed(self, now: Now) -> Iterator[Effect]:
        yield from self._conversations.time_passed(now)
        yield from self._outbox.time_passed(now)
        if not self._links.clock_is_doubtful:  # with a doubtful clock nothing is signed
            for kind, sids in self._receipts.due(now):
                yield from self._speaker.give_receipt(kind, sids, now)
            for member, missing in self._gaps.due(now):
                yield from self._speaker.ask_for(member, missing, now)
        if now.mono >= self._tick:
            self._tick = MonoMs(now.mono + TICK_MS)
            self._ticks += 1
            yield from self._each_second(now)

    def _each_second(self, now: Now) -> Iterator[Effect]:
        doubtful = self._links.clock_is_doubtful
        if not doubtful:  # or a wrong clock would end what has not expired, and drop keys and marks before their time
            yield from self._desk.time_passed(now)
            yield from self._outbox.expire(now)
        self._outbox.look_for_waiting(now)
        yield from self._gaps.changes()
        if self._ticks % DOUBT_TICKS == 0 and doubtful:
            # Of a hub's clock its greetings alone tell, so one that was set right there would stay doubtful.
            for link in self._links:
                yield from self._begin(link.id, now)
        for link in self._links:
            yield from self._look_after(link, now)
        for lane in Lane:
            yield from self._outbox.push(now, lane)
        if self._ticks % MINUTE_TICKS == 0 and not doubtful:
            yield Persist(DropExpired(Minutes(now.wall // MINUTE_MS)))
            self._gaps.give_up(now)
            yield from self._listener.release_withheld(now)

    def _look_after(self, link: Link, now: Now) -> Iterator[Effect]:
        session = link.session
        if session is None:
            return
        if session.is_silent(now):
            yield from self._lost(link.id, now)
            yield self._greeting(link, now)
        elif session.is_idle(now):
            session.said(now)
            yield Claim(link.id, session.credit()) if session.is_open else self._greeting(link, now)

    def _status(self, token: int, now: Now) -> NodeStatus:
        trust = self._desk.trust
        return NodeStatus(
            token=token,
            member=self.me,
            health=trust.health(now.wall).value,
            roster=trust.directory.version,
            roster_expires=WallMs(trust.directory.roster.exp),
            pulse_expires=None if trust.pulse is None else WallMs(trust.pulse.exp),
            links=tuple(
                LinkStatus(link.hub, link.lane.value, link.is_open, self._links.clock_offset_ms(link))
                for link in self._links
            ),
            # Its own is held whether or not a hub has given it back.
            cards=len({self.me, *(member for member, _ in self._desk.cards.versions())}),
            card_version=self._desk.card_version,
            members=len(trust.directory.members),
            waiting=self._outbox.waiting,
            open_conversations=len(self._conversations),
            missing=self._gaps.numbers,
            counters=self.counters.snapshot(),
        )

    def _refuse(self, reason: Reason) -> None:
        self.counters.add(f"refused.{reason.value}")


DOUBT_TICKS: Final = 15
