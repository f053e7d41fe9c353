"""Take in what other members say: verify, remember, act, acknowledge.

`acceptance` decides what is true; this module decides what follows from it: withhold, refuse, settle, answer,
put on the board, show to the application, owe a receipt. docs/protocol.md 6.4 and 6.5.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator

from i247_keys.cipher import Cipher
from i247_keys.custodian import Custodian
from i247_keys.roster import State
from i247_keys.trust import Health
from i247_node.acceptance import Opened, Verified, names_newer_roster, open_parcel, verify_opened
from i247_node.accounts import Accounts
from i247_node.answering import Answering
from i247_node.conversations import Conversations
from i247_node.desk import Desk
from i247_node.gaps import Gaps
from i247_node.inbox import OFFERED, Inbox, arrival, on_the_board
from i247_node.links import Link
from i247_node.outbox import Outbox
from i247_node.receipts import Kind, Receipts
from i247_node.records import DeliveryState, Entry, EntryState, KeepEntryState, NodeMemory, Quarantine
from i247_node.trail import Trail
from i247_protocol.bodies import Body, parse_body
from i247_protocol.correspondence import Correspondence
from i247_protocol.counters import Counters
from i247_protocol.digests import envelope_id
from i247_protocol.errors import PeerFault
from i247_protocol.frames import Busy, DirWant, Pair, Parcel, Put, Taken
from i247_protocol.gaps import Account, Missing
from i247_protocol.limits import BUSY_RETRY_MS, PARKED_PER_LINK_MAX, WITHHELD_PAGE_ROWS
from i247_protocol.machine import Claim, Effect, Forward, LinkId, Persist
from i247_protocol.names import MINUTE_MS, SECRETARIAT, EvidenceId, Now
from i247_protocol.notices import Notice
from i247_protocol.queries import Query, Reply
from i247_protocol.reasons import Reason
from i247_protocol.receipts import Outcome, Receipt
from i247_protocol.statement import UNANSWERED, Act, Statement, parse_statement


class Listener:
    """This member's ear."""

    def __init__(
        self,
        memory: NodeMemory,
        *,
        cipher: Cipher,
        desk: Desk,
        inbox: Inbox,
        outbox: Outbox,
        receipts: Receipts,
        conversations: Conversations,
        answering: Answering,
        gaps: Gaps,
        accounts: Accounts,
        custodian: Custodian,
        trail: Trail,
        counters: Counters,
    ) -> None:
        self._me = desk.me
        self._memory = memory
        self._cipher = cipher
        self._desk = desk
        self._inbox = inbox
        self._outbox = outbox
        self._receipts = receipts
        self._conversations = conversations
        self._answering = answering
        self._gaps = gaps
        self._accounts = accounts
        self._custodian = custodian
        self._trail = trail
        self._counters = counters
        self._parked: dict[LinkId, list[Parcel]] = {}

    def lost(self, link: LinkId) -> None:
        """Forget what was parked on a lost link: no custody was given, so the hub puts it again."""
        self._parked.pop(link, None)

    def put(self, link: Link, put: Put, now: Now, *, doubtful: bool) -> Iterator[Effect]:
        """Take what a hub puts; what is taken, or is worth nothing, the hub may forget."""
        if doubtful:  # what has expired cannot be told; the hub keeps all of it
            yield from self._too_early(link, put)
            return
        taken: list[Taken] = []
        for parcel in put.parcels:
            if link.session is None or not link.session.take(parcel.size):
                self._refuse(Reason.CREDIT_EXCEEDED)
                continue
            if (yield from self._take(link, parcel, now, may_park=True)):
                taken.append(Taken(envelope_id(parcel.header, parcel.body), parcel.hops, (self._me,)))
        if taken:
            self._custodian.took(link.id, put.session, taken, now.mono)
        credit = None if link.session is None else link.session.grant()
        if credit is not None:
            yield Forward(link.id, credit)

    def _too_early(self, link: Link, put: Put) -> Iterator[Effect]:
        self._counters.add(f"refused.{Reason.DOUBTFUL_CLOCK.value}", len(put.parcels))
        for parcel in put.parcels:
            if link.session is not None:
                link.session.take(parcel.size)
        pairs = tuple(Pair(envelope_id(parcel.header, parcel.body), (self._me,)) for parcel in put.parcels)
        yield Forward(link.id, Busy(put.session, pairs, Reason.DOUBTFUL_CLOCK.value, BUSY_RETRY_MS))

    def _take(self, link: Link, parcel: Parcel, now: Now, *, may_park: bool) -> Generator[Effect, None, bool]:
        """Take one parcel; return whether the hub may forget it."""
        try:
            opened = open_parcel(parcel, self._me, self._desk.keyring, now.wall, self._cipher)
            if names_newer_roster(opened, self._desk.directory):
                if may_park:
                    yield from self._park(link, parcel, opened)
                    return False
                raise PeerFault(Reason.NEWER_ROSTER)
            verified = verify_opened(opened, self._me, self._desk.directory, now.wall, self._cipher)
        except PeerFault as fault:
            self._refuse(fault.reason)
            envelope = envelope_id(parcel.header, parcel.body)
            yield Persist(Quarantine(link.hub, envelope, fault.reason.value, now.wall, parcel.header))
            return True
        statement = verified.statement
        if statement.seq is not None:
            self._gaps.came(statement.author, statement.prio, statement.seq, now)
        seen = self._memory.seen(statement.author, statement.message_id)
        if seen is not None:
            yield from self._seen_before(verified, seen, now)
        elif self._must_withhold(verified, now):
            self._counters.add("withheld")
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
            pair = Pair(opened.envelope, (self._me,))
            yield Forward(link.id, Busy(link.session.id, (pair,), Reason.PARKED_FULL.value, BUSY_RETRY_MS))
            return
        parked.append(parcel)
        self._counters.add("parked")
        if len(parked) == 1:
            yield Claim(link.id, DirWant(link.session.id, self._desk.directory.version, self._desk.trust.pulse_hash))

    def judge_parked(self, link: Link, now: Now) -> Iterator[Effect]:
        """Judge once, under the directory held now, what had to wait for it."""
        taken = []
        for parcel in self._parked.pop(link.id, []):
            if (yield from self._take(link, parcel, now, may_park=False)):
                envelope = envelope_id(parcel.header, parcel.body)
                taken.append(Taken(envelope, parcel.hops, (self._me,)))
        if taken and link.session is not None:
            self._custodian.took(link.id, link.session.id, taken, now.mono)

    def _seen_before(self, verified: Verified, seen: EvidenceId, now: Now) -> Iterator[Effect]:
        statement = verified.statement
        if seen != verified.sid:
            self._refuse(Reason.EVIDENCE_CONFLICT)
            yield self._trail.of(
                "refused", statement.author, verified.sid, statement.conv, Reason.EVIDENCE_CONFLICT.value, now=now
            )
            return
        self._refuse(Reason.DUPLICATE)
        if statement.act in UNANSWERED or self._must_withhold(verified, now):
            return
        refusal = self._refusal_of(statement)
        outcome = Outcome.DELIVERED if refusal is None else Outcome.REFUSED
        kind = Kind(statement.author, outcome, None if refusal is None else refusal.value)
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
            yield self._trail.of("refused", entry.sender, entry.sid, entry.conv, reason.value, now=now)
            if entry.act not in UNANSWERED:  # or two nodes that cannot read each other's would never be done
                self._receipts.owe(Kind(entry.sender, Outcome.REFUSED, reason.value), entry.sid, entry.prio, now)
            return
        self._counters.add(f"received.{entry.act.value}")
        if not isinstance(body, Query):
            yield self._trail.of("received", entry.sender, entry.sid, entry.conv, entry.act.value, now=now)
        match body:
            case Query():
                yield from self._answering.query_came(entry, statement, body, now)
                return
            case Receipt():
                state = DeliveryState.REFUSED if body.outcome is Outcome.REFUSED else DeliveryState.DELIVERED
                for sid in statement.answers:
                    yield from self._outbox.settle(sid, entry.sender, entry.sid, state, body.reason, now)
                return
            case Missing():
                yield from self._accounts.asked(entry.sender, body, now)
                return
            case Account():
                for end in self._gaps.accounted(entry.sender, body):  # the entry has the numbers, signed
                    yield self._trail.of("missing", entry.sender, entry.sid, entry.conv, end.value, now=now)
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

    def _must_withhold(self, verified: Verified, now: Now) -> bool:
        return verified.suspended or self._desk.trust.health(now.wall) is Health.HOLD

    def _refusal_of(self, statement: Statement) -> Reason | None:
        try:
            parse_body(statement)
        except PeerFault as fault:
            return fault.reason
        return self._why_not(statement)

    def _why_not(self, statement: Statement) -> Reason | None:
        if statement.act is Act.NOTICE and statement.author != SECRETARIAT:
            return Reason.POLICY
        refused = statement.author in self._answering.policy.refuse and statement.act in (
            Act.DIFFUSION,
            Act.CORRESPONDENCE,
        )
        return Reason.POLICY if refused else None

    def _reply_came(self, entry: Entry, reply: Reply) -> Iterator[Effect]:
        if self._conversations.expects(entry.conv, entry.sender):
            yield from self._conversations.reply_came(entry.conv, entry.sender, reply, entry.n)
        else:
            self._counters.add("reply.unexpected")

    def release_withheld(self, now: Now) -> Iterator[Effect]:
        """Act on what was withheld, where its author is in good standing and the directory fresh enough again."""
        if self._desk.trust.health(now.wall) is Health.HOLD:
            return
        after = 0
        while page := self._memory.withheld(after, WITHHELD_PAGE_ROWS):
            after = page[-1].n
            for entry in page:
                yield from self._release(entry, now)

    def _release(self, entry: Entry, now: Now) -> Iterator[Effect]:
        if entry.exp * MINUTE_MS <= now.wall:  # its author has been told by its own clock
            self._refuse(Reason.EXPIRED)
            yield Persist(KeepEntryState(entry.n, EntryState.CONFIRMED, offered=False))
            return
        if self._desk.directory.state_of(entry.sender, now.wall) is not State.ACTIVE:
            return
        statement = parse_statement(entry.statement)
        refusal = self._refusal_of(statement)
        body = parse_body(statement) if refusal is None else None
        offered = entry.act in OFFERED and refusal is None
        state = EntryState.NEW if offered else EntryState.CONFIRMED
        yield Persist(KeepEntryState(entry.n, state, offered=offered))
        yield from self._act_on(entry, statement, body, refusal, now)

    def _refuse(self, reason: Reason) -> None:
        self._counters.add(f"refused.{reason.value}")
