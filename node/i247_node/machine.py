"""Route events to the parts of a node; the node's own rules are theirs.

Acceptance says what is true, the inbox keeps it, answering replies, the outbox carries, conversations end.
This machine carries words between them, the application and the hubs. It touches nothing: no socket, clock,
disk or randomness but what it is given. docs/architecture.md 4.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import replace
from typing import Final

from i247_keys.cardfile import CardFile
from i247_keys.identity import Identity
from i247_keys.keyring import Keyring
from i247_keys.network_file import extend
from i247_keys.returned import verify_bounce
from i247_keys.roster import State
from i247_keys.trust import Health, Trust
from i247_node.acceptance import Opened, Verified, names_newer_roster, open_parcel, verify_opened
from i247_node.answering import look_up_now, permitted, reply_with
from i247_node.commands import (
    Accepted,
    AskQuestion,
    Command,
    ConfirmEntry,
    Declined,
    LinkStatus,
    LookUp,
    LookupFinished,
    NodeStatus,
    PublishNotice,
    ReportStatus,
    WriteLetter,
)
from i247_node.composing import Draft, sign
from i247_node.conversations import Conversations
from i247_node.inbox import OFFERED, Inbox, arrival, on_the_board
from i247_node.links import Link, Links, hello
from i247_node.outbox import Outbox
from i247_node.policy import Policy
from i247_node.receipts import Kind, Receipts
from i247_node.records import (
    AnswerGiven,
    ConversationState,
    DeliveryState,
    DropExpired,
    Entry,
    EntryState,
    KeepAudit,
    KeepCard,
    KeepConversation,
    KeepEntryState,
    KeepKeyring,
    KeepSequence,
    KeepTrust,
    NodeMemory,
    Outgoing,
    OweAnswer,
    Quarantine,
)
from i247_node.registers import Registers
from i247_protocol.audit import Chain, chain_after
from i247_protocol.bodies import Body, body_is_sound, parse_body
from i247_protocol.correspondence import Correspondence
from i247_protocol.counters import Counters
from i247_protocol.digests import envelope_id
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
    Pair,
    Parcel,
    Put,
    Reset,
    Returned,
    Told,
    parse_frame,
)
from i247_protocol.handling import ROUTINE_HANDLING, Purpose
from i247_protocol.limits import (
    BUSY_RETRY_MS,
    LIFETIME_MS_MAX,
    MINUTE_TICKS,
    NOTICE_LIFETIME_MS,
    PARKED_PER_LINK_MAX,
    RECEIPT_LIFETIME_MS,
    REPLY_TIME_MS_MAX,
    TICK_MS,
    WITHHELD_PAGE_ROWS,
)
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
from i247_protocol.names import (
    SECRETARIAT,
    EvidenceId,
    MemberCode,
    MessageId,
    Minutes,
    MonoMs,
    Now,
    WallMs,
)
from i247_protocol.notices import Notice
from i247_protocol.priority import Lane, Priority
from i247_protocol.queries import Query, Reply, Status
from i247_protocol.reasons import Reason
from i247_protocol.receipts import Outcome, Receipt
from i247_protocol.statement import Act, Statement, parse_statement

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
    ) -> None:
        self.me = me
        self.trust = trust
        self.counters = Counters()
        self.registers = registers
        self.policy = policy
        self._identity = identity
        self._memory = memory
        self._entropy = entropy
        self._incarnation = incarnation
        self._drop_epoch_secrets = drop_epoch_secrets
        self._cards = CardFile()
        self._links = Links(entropy)
        self._outbox = Outbox(memory, self._cards, self._links, entropy, self.counters)
        self._receipts = Receipts()
        self._conversations = Conversations()
        outgoing, entries, _ = memory.last_numbers()
        self._last_outgoing = outgoing
        self._inbox = Inbox(memory, entries)
        self._audit = chain_after(memory.audit_end())
        self._sequences = {(kept.to, kept.prio): kept.last for kept in memory.sequences()}
        self._keyring = Keyring()
        self._card_version = 0
        self._card = b""
        self._keys_change = WallMs(0)
        self._parked: dict[LinkId, list[Parcel]] = {}
        self._tick = MonoMs(0)
        self._ticks = 0

    # What drives it.

    def start(self, now: Now) -> list[Effect]:
        """Return what to do first. Takes up everything that was left when this node stopped."""
        self._tick = MonoMs(now.mono + TICK_MS)
        for data in self._memory.cards():
            try:
                self._cards.offer(data, self.trust.directory, now.wall)
            except PeerFault as fault:
                self.counters.add(f"card.{fault.reason}")
        self._outbox.start(now)
        self._conversations.start(self._memory, now)
        return [*self._unlock_epoch_keys(now), *self._dial(), *self._take_up_answers(now)]

    def handle(self, event: Event, now: Now) -> list[Effect]:
        """Take one event; return what must be done, in order."""
        match event:
            case FrameArrived():
                return list(self._frame_arrived(event, now))
            case LinkUp(link):
                return list(self._begin(link, now))
            case LinkLost(link):
                return list(self._lost(link, now))
            case TimePassed():
                return list(self._time_passed(now))
            case DirectoryGiven(data):
                return list(self._directory_given(data, now))
            case LookupFinished():
                return list(self._lookup_finished(event, now))
            case _:
                return list(self._command(event, now))

    def next_deadline(self) -> MonoMs | None:
        """Return when `TimePassed` is wanted next."""
        others = (self._outbox.next_deadline(), self._receipts.next_deadline(), self._conversations.next_deadline())
        return min((self._tick, *(at for at in others if at is not None)))

    # Commands of the application.

    def _command(self, command: Command, now: Now) -> Iterator[Effect]:
        try:
            match command:
                case ReportStatus(token):
                    yield Tell(self._status(token, now))
                case ConfirmEntry(token, entry):
                    yield self._inbox.confirm(entry)
                    yield Tell(Accepted(token, MessageId(b""), EvidenceId(b""), b""))
                case AskQuestion():
                    yield from self._ask(command, now)
                case PublishNotice():
                    yield from self._publish(command, now)
                case WriteLetter():
                    letter = Correspondence(subject=command.subject, text=command.text)
                    draft = Draft(
                        Act.CORRESPONDENCE,
                        command.to,
                        letter,
                        command.prio,
                        NOTICE_LIFETIME_MS,
                        command.purpose,
                        command.handling,
                        conv=command.thread,
                    )
                    yield from self._submit(draft, command.token, now)
        except CallerFault as fault:
            yield Tell(Declined(command.token, fault))

    def _ask(self, command: AskQuestion, now: Now) -> Iterator[Effect]:
        if not SECOND <= command.within_ms <= REPLY_TIME_MS_MAX:
            raise CallerFault("asking", "give a time for the answer between one second and 24 hours")
        reply_by = WallMs(now.wall + command.within_ms)
        query = Query(criteria=command.criteria, register=command.register, reply_by=reply_by)
        draft = Draft(
            Act.QUERY, (command.to,), query, command.prio, command.within_ms, command.purpose, command.handling
        )
        message = self._signed(draft, now)
        yield from self._conversations.begin(
            KeepConversation(
                conv=message.conv,
                query=message.id,
                to=command.to,
                register=command.register,
                asked=now.wall,
                reply_by=reply_by,
                state=ConversationState.OPEN,
                answer=None,
            ),
            now,
        )
        yield from self._send(message, command.token, now)

    def _publish(self, command: PublishNotice, now: Now) -> Iterator[Effect]:
        act = Act.NOTICE if command.to is None else Act.DIFFUSION
        if act is Act.NOTICE and self.me != SECRETARIAT:
            raise CallerFault(
                "publishing a notice to all", "only the Secretariat does that; send a diffusion to members"
            )
        everybody = (
            row.code
            for row in self.trust.directory.members
            if row.code != self.me and row.state_at(now.wall) is State.ACTIVE
        )
        to = tuple(everybody) if command.to is None else command.to
        draft = Draft(act, to, command.notice, command.prio, NOTICE_LIFETIME_MS, command.purpose, command.handling)
        yield from self._submit(draft, command.token, now)

    def _submit(self, draft: Draft, token: int, now: Now) -> Iterator[Effect]:
        yield from self._send(self._signed(draft, now), token, now)

    def _send(self, message: Outgoing, token: int, now: Now) -> Iterator[Effect]:
        for member in message.to if len(message.to) == 1 else ():
            yield Persist(KeepSequence(member, message.prio, self._sequences[member, message.prio]))
        yield self._audited(
            "sent", message.to[0] if len(message.to) == 1 else "*", message.sid, message.conv, message.act.value, now
        )
        yield from self._outbox.accept(message, now)
        yield Tell(Accepted(token, message.id, message.sid, message.conv))
        self.counters.add(f"sent.{message.act.value}")

    def _signed(self, draft: Draft, now: Now) -> Outgoing:
        self._require_fit_to_speak(draft.to, now)
        if not body_is_sound(draft.body):
            raise CallerFault("sending a message", "shorten its texts; docs/protocol.md 11 has the limits")
        if len(draft.to) == 1:
            key = (draft.to[0], draft.prio)
            self._sequences[key] = self._sequences.get(key, 0) + 1
            draft = replace(draft, seq=(self._incarnation, self._sequences[key]))
        self._last_outgoing += 1
        return self._sign(draft, self._last_outgoing, now)

    def _sign(self, draft: Draft, n: int, now: Now) -> Outgoing:
        directory = (self.trust.directory.version, self.trust.pulse_hash)
        return sign(
            draft, n=n, me=self.me, identity=self._identity, directory=directory, wall=now.wall, entropy=self._entropy
        )

    def _require_fit_to_speak(self, to: Iterable[MemberCode], now: Now) -> None:
        """Refuse to sign with a doubtful clock or a stale directory, and for members that are not there."""
        if self._links.clock_is_doubtful:
            raise CallerFault(
                "sending a message", "set this machine's clock: the hubs' clocks differ by over 5 minutes"
            )
        if self.trust.health(now.wall) is Health.HOLD:
            raise CallerFault("sending a message", "the directory is out of date; fetch a fresh pulse or network file")
        members = tuple(to)
        if not members or self.me in members or len(set(members)) != len(members):
            raise CallerFault("sending a message", "name one or more other members, each once")
        for member in members:
            state = self.trust.directory.state_of(member, now.wall)
            if state is not State.ACTIVE:
                known = "is suspended" if state is State.SUSPENDED else "is not in the directory"
                raise CallerFault(f"sending a message to {member}", f"{member} {known}; see i247-node status")
        if self.trust.directory.state_of(self.me, now.wall) is not State.ACTIVE:
            raise CallerFault("sending a message", "this member is not in good standing, so hubs take nothing from it")

    # Links.

    def _dial(self) -> Iterator[Effect]:
        peers, gone = self._links.settle_on(self.me, self.trust.directory)
        for link in gone:
            self._outbox.lost(link)
            self._parked.pop(link, None)
        yield Tell(Dial(peers))

    def _begin(self, name: LinkId, now: Now) -> Iterator[Effect]:
        link = self._links.on(name)
        if link is None:
            return
        if link.session is not None:
            yield from self._lost(name, now)
        yield self._hello_on(link, now)

    def _hello_on(self, link: Link, now: Now) -> Claim:
        session = self._links.begin(link, now)
        trust = self.trust
        return Claim(
            link.id,
            hello(
                session,
                link.lane,
                roster=trust.directory.version,
                pulse=trust.pulse_hash,
                cards=self._cards.digest,
                now=now,
            ),
        )

    def _lost(self, name: LinkId, now: Now) -> Iterator[Effect]:
        link = self._links.on(name)
        self._outbox.lost(name)
        self._parked.pop(name, None)  # no custody was given, so the hub puts it again
        if link is not None and link.session is not None:
            link.session = None
            self.counters.add("link.lost")
            yield from self._outbox.push(now, link.lane)

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
                yield from self._opened(link, frame, now)
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

    def _opened(self, link: Link, frame: Hello, now: Now) -> Iterator[Effect]:
        session = frame.session
        version = self.trust.directory.version
        if frame.roster > version or (frame.roster == version and frame.pulse != self.trust.pulse_hash):
            yield Claim(link.id, DirWant(session, version, self.trust.pulse_hash))
        if link.lane is Lane.EXPRESS:
            yield Claim(link.id, Cards(session, (self._card,)))
            if frame.cards != self._cards.digest:
                yield Claim(link.id, CardWant(session, self._cards.versions()))
        yield from self._outbox.push(now, link.lane)

    def _heard(self, link: Link, frame: Frame, now: Now) -> Iterator[Effect]:
        match frame:
            case Put():
                yield from self._put(link, frame, now)
            case Custody():
                yield from self._outbox.custody(link.hub, frame.pairs, now)
                yield from self._outbox.push(now, link.lane)
            case Credit():
                if link.session is not None:
                    link.session.allow(frame)
                yield from self._outbox.push(now, link.lane)
            case Busy():
                self._outbox.busy(frame.pairs)
                self.counters.add("busy-heard")
            case Returned():
                yield from self._returned(link, frame, now)
            case Told():
                yield from self._outbox.told(frame.known, now)
            case Cards():
                yield from self._cards_arrived(frame.cards, now)
            case CardWant():
                own = dict(frame.have).get(self.me, -1) < self._card_version
                if own:
                    yield Claim(link.id, Cards(frame.session, (self._card,)))
            case DirWant():
                yield Claim(link.id, DirHave(frame.session, self.trust.steps_since(frame.roster)))
            case DirHave():
                yield from self._directory_given(frame.data, now)
                yield from self._judge_parked(link, now)
            case _:
                self._refuse(Reason.OUT_OF_TURN)

    # What comes in.

    def _put(self, link: Link, put: Put, now: Now) -> Iterator[Effect]:
        taken: list[Pair] = []
        for parcel in put.parcels:
            if link.session is None or not link.session.take(parcel.size):
                self._refuse(Reason.CREDIT_EXCEEDED)
                continue
            if (yield from self._take(link, parcel, now, may_park=True)):
                taken.append(Pair(envelope_id(parcel.header, parcel.body), (self.me,)))
        if taken:
            yield Claim(link.id, Custody(put.session, tuple(taken), None))
        credit = None if link.session is None else link.session.grant()
        if credit is not None:
            yield Claim(link.id, credit)

    def _take(self, link: Link, parcel: Parcel, now: Now, *, may_park: bool) -> Generator[Effect, None, bool]:
        """Take one parcel; return whether the hub may forget it."""
        try:
            opened = open_parcel(parcel, self.me, self._keyring, now.wall)
            if names_newer_roster(opened, self.trust.directory):
                if may_park:
                    yield from self._park(link, parcel, opened)
                    return False
                raise PeerFault(Reason.NEWER_ROSTER)
            verified = verify_opened(opened, self.me, self.trust.directory, now.wall)
        except PeerFault as fault:
            self._refuse(fault.reason)
            envelope = envelope_id(parcel.header, parcel.body)
            yield Persist(Quarantine(link.hub, envelope, fault.reason.value, now.wall, parcel.header))
            return True
        seen = self._memory.seen(verified.statement.author, verified.statement.message_id)
        if seen is not None:
            yield from self._seen_before(verified, seen, now)
        elif verified.suspended or self.trust.health(now.wall) is Health.HOLD:
            self.counters.add("withheld")
            _, saving = self._inbox.keep(verified, EntryState.WITHHELD, offered=False, now=now)
            yield from saving
        else:
            yield from self._admit(verified, now)
        return True

    def _park(self, link: Link, parcel: Parcel, opened: Opened) -> Iterator[Effect]:
        """Keep a parcel that names a newer roster until that is here; the hub has no custody, and keeps it too."""
        parked = self._parked.setdefault(link.id, [])
        if link.session is None:
            return
        if len(parked) >= PARKED_PER_LINK_MAX:
            self._refuse(Reason.PARKED_FULL)
            pair = Pair(opened.envelope, (self.me,))
            yield Claim(link.id, Busy(link.session.id, (pair,), Reason.PARKED_FULL.value, BUSY_RETRY_MS))
            return
        parked.append(parcel)
        self.counters.add("parked")
        if len(parked) == 1:
            yield Claim(link.id, DirWant(link.session.id, self.trust.directory.version, self.trust.pulse_hash))

    def _judge_parked(self, link: Link, now: Now) -> Iterator[Effect]:
        taken = []
        for parcel in self._parked.pop(link.id, []):
            if (yield from self._take(link, parcel, now, may_park=False)):
                taken.append(Pair(envelope_id(parcel.header, parcel.body), (self.me,)))
        if taken and link.session is not None:
            yield Claim(link.id, Custody(link.session.id, tuple(taken), None))

    def _seen_before(self, verified: Verified, seen: EvidenceId, now: Now) -> Iterator[Effect]:
        statement = verified.statement
        if seen != verified.sid:
            self._refuse(Reason.EVIDENCE_CONFLICT)
            yield self._audited(
                "refused", statement.author, verified.sid, statement.conv, Reason.EVIDENCE_CONFLICT.value, now
            )
            return
        self._refuse(Reason.DUPLICATE)
        if statement.act is not Act.RECEIPT:
            kind = Kind(statement.author, Outcome.DELIVERED, None)
            self._receipts.owe(kind, verified.sid, statement.prio, now)

    def _admit(self, verified: Verified, now: Now) -> Iterator[Effect]:
        statement = verified.statement
        offered = statement.act in OFFERED
        refusal = self._why_not(statement)
        body: Body | None = None
        if refusal is None:
            try:
                body = parse_body(statement)
            except PeerFault as fault:
                refusal = fault.reason
        state = EntryState.NEW if offered and refusal is None else EntryState.CONFIRMED
        entry, saving = self._inbox.keep(verified, state, offered=offered and refusal is None, now=now)
        yield from saving
        yield from self._act_on(entry, statement, body, refusal, now)

    def _act_on(
        self, entry: Entry, statement: Statement, body: Body | None, refusal: Reason | None, now: Now
    ) -> Iterator[Effect]:
        """Do what an entry asks for, once it is saved and may be handed over."""
        if refusal is not None or body is None:
            reason = refusal or Reason.UNKNOWN_BODY
            self._refuse(reason)
            yield self._audited("refused", entry.sender, entry.sid, entry.conv, reason.value, now)
            self._receipts.owe(Kind(entry.sender, Outcome.REFUSED, reason.value), entry.sid, entry.prio, now)
            return
        self.counters.add(f"received.{entry.act.value}")
        if not isinstance(body, Query):
            yield self._audited("received", entry.sender, entry.sid, entry.conv, entry.act.value, now)
        match body:
            case Query():
                yield from self._answer(entry, statement, body, now)
                return
            case Receipt():
                state = DeliveryState.REFUSED if body.outcome is Outcome.REFUSED else DeliveryState.DELIVERED
                for sid in statement.answers:
                    yield from self._outbox.settle(sid, entry.sender, entry.sid, state, body.reason, now)
                return
            case Reply():
                for sid in statement.answers:
                    yield from self._outbox.settle(sid, entry.sender, entry.sid, DeliveryState.DELIVERED, None, now)
                yield from self._reply_came(entry, body)
            case Notice():
                yield from on_the_board(self._memory, entry, body)
            case Correspondence():
                pass
        yield arrival(entry, statement)
        self._receipts.owe(Kind(entry.sender, Outcome.DELIVERED, None), entry.sid, entry.prio, now)

    def _why_not(self, statement: Statement) -> Reason | None:
        if statement.act is Act.NOTICE and statement.author != SECRETARIAT:
            return Reason.POLICY
        refused = statement.author in self.policy.refuse and statement.act in (Act.DIFFUSION, Act.CORRESPONDENCE)
        return Reason.POLICY if refused else None

    def _reply_came(self, entry: Entry, reply: Reply) -> Iterator[Effect]:
        if self._conversations.expects(entry.conv, entry.sender):
            yield from self._conversations.reply_came(entry.conv, entry.sender, reply, entry.n)
        else:
            self.counters.add("reply.unexpected")

    # Answering.

    def _answer(self, entry: Entry, statement: Statement, query: Query, now: Now) -> Iterator[Effect]:
        found = permitted(self.policy, self.registers, entry.sender, query, statement.basis)
        if isinstance(found, Reply):
            yield from self._reply(entry, statement, found, now)
        elif found.is_immediate:
            yield from self._reply(entry, statement, look_up_now(found, query), now)
        else:
            yield Persist(OweAnswer(entry.n))
            yield Tell(LookUp(entry.n, query.register, query.criteria))

    def _reply(self, entry: Entry, statement: Statement, reply: Reply, now: Now) -> Iterator[Effect]:
        """Send a reply; it names the query's evidence id and so is its receipt."""
        draft = Draft(
            act=Act.REPLY,
            to=(entry.sender,),
            body=reply,
            prio=entry.prio,
            lifetime_ms=min(LIFETIME_MS_MAX, max(REPLY_LIFETIME_MS_MIN, entry.exp * MINUTE - now.wall)),
            basis=statement.basis,
            handling=statement.handling,
            conv=entry.conv,
            re=(entry.sid,),
        )
        detail = reply.status.value if reply.reason is None else f"{reply.status.value}:{reply.reason}"
        yield self._audited("answered", entry.sender, entry.sid, entry.conv, detail, now)
        self._last_outgoing += 1
        yield from self._outbox.accept(self._sign(draft, self._last_outgoing, now), now)
        self.counters.add(f"answered.{reply.status.value}")

    def _lookup_finished(self, event: LookupFinished, now: Now) -> Iterator[Effect]:
        entry = next((owed for owed in self._memory.answers_owed() if owed.n == event.entry), None)
        if entry is None:
            return
        statement = parse_statement(entry.statement)
        query = parse_body(statement)
        if isinstance(query, Query):
            yield from self._reply(entry, statement, reply_with(query, event.finding), now)
        yield Persist(AnswerGiven(entry.n))

    def _take_up_answers(self, now: Now) -> Iterator[Effect]:
        """Look up again, after a restart, what was asked and not answered."""
        for entry in self._memory.answers_owed():
            query = parse_body(parse_statement(entry.statement))
            if isinstance(query, Query) and entry.exp * MINUTE > now.wall:
                yield Tell(LookUp(entry.n, query.register, query.criteria))
            else:
                yield Persist(AnswerGiven(entry.n))

    # Directory, keycards, words of return.

    def _directory_given(self, data: bytes, now: Now) -> Iterator[Effect]:
        before = self.trust
        try:
            self.trust = extend(before, data, now.wall)
        except PeerFault as fault:
            self.counters.add(f"directory.{fault.reason}")
            if fault.reason is Reason.FORKED:
                yield self._audited("directory", "", b"", b"", fault.reason.value, now)
            return
        if self.trust is before:
            return
        self.counters.add("directory.newer")
        yield Persist(KeepTrust(self.trust.to_bytes()))
        if self.trust.directory.version != before.directory.version:
            self._cards.void_all_but(self.trust.directory)
            yield from self._dial()
        for link in self._links.open_on(Lane.EXPRESS):
            if link.session is not None and link.hub_roster < self.trust.directory.version:
                yield Claim(link.id, DirHave(link.session.id, self.trust.steps_since(link.hub_roster)))
                link.hub_roster = self.trust.directory.version
        yield from self._release_withheld(now)

    def _release_withheld(self, now: Now) -> Iterator[Effect]:
        """Act on what was withheld, where its author is in good standing and the directory fresh enough again."""
        if self.trust.health(now.wall) is Health.HOLD:
            return
        for entry in self._memory.withheld(0, WITHHELD_PAGE_ROWS):
            state = self.trust.directory.state_of(entry.sender, now.wall)
            if state is not State.ACTIVE or entry.exp * MINUTE <= now.wall:
                continue
            statement = parse_statement(entry.statement)
            refusal = self._why_not(statement)
            body: Body | None = None
            try:
                body = parse_body(statement)
            except PeerFault as fault:
                refusal = fault.reason
            offered = entry.act in OFFERED and refusal is None
            state_after = EntryState.NEW if offered else EntryState.CONFIRMED
            yield Persist(KeepEntryState(entry.n, state_after, offered=offered))
            yield from self._act_on(entry, statement, body, refusal, now)

    def _cards_arrived(self, cards: Iterable[bytes], now: Now) -> Iterator[Effect]:
        for data in cards:
            try:
                card = self._cards.offer(data, self.trust.directory, now.wall)
            except PeerFault as fault:
                self.counters.add(f"card.{fault.reason}")
                continue
            member = MemberCode(card.member)
            if member == self.me and card.version > self._card_version:
                # Somebody published a card of ours that this node does not know: a clone, or a restored copy.
                self.counters.add("card.foreign-own")
                self._card_version = card.version
                yield from self._renew_epoch_keys(now, drop=True)
                continue
            yield Persist(KeepCard(member, data))
            yield from self._outbox.card_came(member, now)

    def _unlock_epoch_keys(self, now: Now) -> Iterator[Effect]:
        saved = self._memory.keyring()
        if saved is not None:
            self._keyring = Keyring.from_bytes(saved.data)
            self._card_version, self._card = saved.card_version, saved.card
            self._keys_change = self._keyring.next_change(now.wall)
        if saved is None or self._drop_epoch_secrets or self._keys_change <= now.wall:
            yield from self._renew_epoch_keys(now, drop=saved is None or self._drop_epoch_secrets)

    def _renew_epoch_keys(self, now: Now, *, drop: bool) -> Iterator[Effect]:
        keyring = self._keyring
        self._keyring = (keyring.dropped if drop else keyring.renewed)(now.wall, self._entropy)
        # After a loss the last version is not known; the clock is ahead of any version that counted up from it.
        self._card_version = max(self._card_version + 1, now.wall // 1000 if drop else 0)
        self._card = self._keyring.card(self.me, self._card_version, now.wall, self._identity)
        self._keys_change = self._keyring.next_change(now.wall)
        yield Persist(KeepKeyring(self._keyring.to_bytes(), self._card_version, self._card))
        for link in self._links.open_on(Lane.EXPRESS):
            if link.session is not None:
                yield Claim(link.id, Cards(link.session.id, (self._card,)))

    def _returned(self, link: Link, frame: Returned, now: Now) -> Iterator[Effect]:
        told = []
        for word in frame.bounces:
            try:
                reason = verify_bounce(word, self.trust.directory, now.wall)
            except PeerFault as fault:
                self._refuse(fault.reason)
                continue
            yield from self._outbox.returned(word, reason, now)
            if reason in (Reason.DEAD_KEY, Reason.NO_KEYCARD):
                yield Claim(link.id, CardWant(frame.session, self._cards.versions()))
            if word.recipient:
                told.append(Pair(word.envelope, (word.recipient,)))
        if told:
            yield Claim(link.id, Custody(frame.session, tuple(told), None))

    # Time.

    def _time_passed(self, now: Now) -> Iterator[Effect]:
        yield from self._conversations.time_passed(now)
        yield from self._outbox.time_passed(now)
        for kind, sids in self._receipts.due(now):
            yield from self._give_receipt(kind, sids, now)
        if now.mono >= self._tick:
            self._tick = MonoMs(now.mono + TICK_MS)
            self._ticks += 1
            yield from self._each_second(now)

    def _each_second(self, now: Now) -> Iterator[Effect]:
        if self._keys_change <= now.wall:
            yield from self._renew_epoch_keys(now, drop=False)
        yield from self._outbox.expire(now)
        for link in self._links:
            session = link.session
            if session is None:
                continue
            if session.is_silent(now):
                yield from self._lost(link.id, now)
                yield self._hello_on(link, now)
            elif session.is_idle(now):
                yield Claim(link.id, session.credit()) if session.is_open else self._hello_on(link, now)
                session.said(now)
        for lane in Lane:
            yield from self._outbox.push(now, lane)
        if self._ticks % MINUTE_TICKS == 0:
            yield Persist(DropExpired(Minutes(now.wall // MINUTE)))
            yield from self._release_withheld(now)

    def _give_receipt(self, kind: Kind, sids: tuple[EvidenceId, ...], now: Now) -> Iterator[Effect]:
        draft = Draft(
            act=Act.RECEIPT,
            to=(kind.member,),
            body=Receipt(outcome=kind.outcome, reason=kind.reason),
            prio=Priority.CONTROL,
            lifetime_ms=RECEIPT_LIFETIME_MS,
            basis=Purpose.ADMINISTRATION,
            handling=ROUTINE_HANDLING,
            re=sids,
        )
        yield from self._outbox.accept_unsaved(self._sign(draft, 0, now), now)
        self.counters.add("receipts.given", len(sids))

    # Small parts.

    def _status(self, token: int, now: Now) -> NodeStatus:
        directory = self.trust.directory
        pulse = self.trust.pulse
        return NodeStatus(
            token=token,
            member=self.me,
            health=self.trust.health(now.wall).value,
            roster=directory.version,
            roster_expires=WallMs(directory.roster.exp),
            pulse_expires=None if pulse is None else WallMs(pulse.exp),
            links=tuple(LinkStatus(l.hub, l.lane.value, l.is_open, l.clock_offset_ms) for l in self._links),
            cards=len(self._cards.versions()),
            card_version=self._card_version,
            members=len(directory.members),
            waiting=self._outbox.waiting,
            open_conversations=len(self._conversations),
            counters=self.counters.snapshot(),
        )

    def _audited(self, what: str, peer: str, sid: bytes, conv: bytes, detail: str, now: Now) -> Persist:
        data = self._audit.append(what, at=now.wall, peer=peer, sid=sid, conv=conv, detail=detail)
        return Persist(KeepAudit(self._audit.n, now.wall, sid, data))

    def _refuse(self, reason: Reason) -> None:
        self.counters.add(f"refused.{reason.value}")


SECOND: Final = 1_000
MINUTE: Final = 60_000
REPLY_LIFETIME_MS_MIN: Final = 60_000
