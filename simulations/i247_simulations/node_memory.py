"""Hold what a node saves in plain tables: the same answers as the real store, and a turn can be taken back.

Held against `i247_node.store` by one model test. Every answer that a machine asks for while it runs costs a few
steps, whatever is held; what is asked only at a start may cost as much as it shows. docs/simulation.md 2.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import islice
from typing import Final

from i247_node.records import (
    AnswerGiven,
    ConversationState,
    Delivery,
    DeliveryState,
    DropExpired,
    Entry,
    EntryState,
    KeepAudit,
    KeepCard,
    KeepConversation,
    KeepDelivery,
    KeepEntry,
    KeepEntryState,
    KeepHeard,
    KeepKeyring,
    KeepNotice,
    KeepOutgoing,
    KeepSeen,
    KeepSigned,
    KeepTrust,
    Outgoing,
    OweAnswer,
    Quarantine,
    Signed,
)
from i247_protocol.errors import CallerFault
from i247_protocol.limits import PROOFS_KEPT_MS, QUARANTINE_PER_SENDER_MAX, SKEW_MS
from i247_protocol.names import MINUTE_MS, EnvelopeId, EvidenceId, MemberCode, MessageId, Minutes
from i247_protocol.priority import Priority
from i247_simulations.ordered import OrderedRows
from i247_simulations.undoing import Undoing

Place = tuple[int, MemberCode]


class PlainNodeMemory:
    """A node's memory; `persist` changes it, `undoing` takes a turn back."""

    def __init__(self) -> None:
        self.undoing = Undoing()
        self.messages: dict[int, Outgoing] = {}
        self.entries: dict[int, Entry] = {}
        self.audit: list[KeepAudit] = []
        self.conversations: dict[bytes, KeepConversation] = {}
        self.delivered: dict[Place, Delivery] = {}
        self._last = {"outgoing": 0, "entries": 0}
        self._by_sid: dict[bytes, int] = {}
        self._by_envelope: dict[tuple[bytes, str], int] = {}
        self._queued: dict[tuple[DeliveryState, Priority], OrderedRows[Place, Delivery]] = {}
        self._for_member: dict[tuple[DeliveryState, MemberCode], OrderedRows[int, Delivery]] = {}
        self._by_expiry: OrderedRows[tuple[int, int, MemberCode], Place] = OrderedRows()
        self._by_id: dict[bytes, int] = {}
        self._signed: dict[int, dict[int, tuple[tuple[Signed, bytes], ...]]] = {}
        self._seen: dict[int, dict[tuple[str, bytes], EvidenceId]] = {}
        self._withheld: OrderedRows[int, int] = OrderedRows()
        self._owed: OrderedRows[int, int] = OrderedRows()
        self._open: dict[bytes, int] = {}
        self._numbers: dict[bytes, int] = {}
        self._notices: dict[tuple[str, str], KeepNotice] = {}
        self._quarantine: dict[str, deque[Quarantine]] = {}
        self._numbered: dict[tuple[MemberCode, Priority, int], dict[int, int]] = {}
        self._heard: dict[tuple[MemberCode, Priority], KeepHeard] = {}
        self._cards: dict[str, bytes] = {}
        self._trust: dict[int, bytes] = {}
        self._keyring: dict[int, KeepKeyring] = {}

    def persist(self, record: object) -> None:  # noqa: PLR0912  one line a record
        """Take one record into the open turn."""
        put = self.undoing.put
        match record:
            case KeepOutgoing(message, deliveries):
                self._keep_message(message)
                for delivery in deliveries:
                    self._deliver(delivery)
            case KeepDelivery(delivery):
                self._deliver(delivery)
            case KeepSigned(n, exp, kind, data):
                until = self._signed.setdefault(exp, {})
                put(until, n, (*until.get(n, ()), (kind, data)))
            case KeepSeen(seen):
                day = self._seen.setdefault(seen.exp // DAY_MINUTES, {})
                put(day, (seen.sender, seen.id), seen.sid)
            case KeepEntry(entry):
                put(self._last, "entries", max(self._last["entries"], entry.n))
                self._enter(entry)
            case KeepEntryState(n, state, offered):
                if n in self.entries:
                    self._enter(replace(self.entries[n], state=state, offered=offered))
            case KeepConversation():
                self._converse(record)
            case OweAnswer(n):
                self._mark(self._owed, n, is_marked=True)
            case AnswerGiven(n):
                self._mark(self._owed, n, is_marked=False)
            case KeepNotice():
                put(self._notices, (record.publisher, record.number), record)
            case KeepAudit():
                self.audit.append(record)
                self.undoing.note(self.audit.pop)
            case Quarantine():
                self._set_aside(record)
            case KeepTrust(data):
                put(self._trust, 1, data)
            case KeepCard(member, card):
                put(self._cards, member, card)
            case KeepKeyring():
                put(self._keyring, 1, record)
            case KeepHeard():
                put(self._heard, (record.sender, record.prio), record)
            case DropExpired(minute):
                self._drop_expired(minute)
            case _:
                raise CallerFault("saving a record", "a node saves only what its records list")

    # --- the memory ---

    def last_numbers(self) -> tuple[int, int, int]:
        """Return the last `n` of outgoing messages, of entries and of audit records, 0 where there is none."""
        return self._last["outgoing"], self._last["entries"], self.audit[-1].n if self.audit else 0

    def audit_end(self) -> bytes | None:
        """Return the last audit record, or None."""
        return self.audit[-1].data if self.audit else None

    def outgoing(self, n: int) -> Outgoing | None:
        """Return one message of ours."""
        return self.messages.get(n)

    def outgoing_by_sid(self, sid: EvidenceId) -> Outgoing | None:
        """Return the message of ours with this evidence id."""
        return self.messages.get(self._by_sid.get(sid, 0))

    def outgoing_by_id(self, id: MessageId) -> Outgoing | None:
        """Return the message of ours with this id."""
        return self.messages.get(self._by_id.get(id, 0))

    def signed(self, n: int) -> Sequence[tuple[Signed, bytes]]:
        """Return what others signed about message `n`, in order."""
        message = self.messages.get(n)
        return [] if message is None else list(self._signed.get(message.exp, {}).get(n, ()))

    def delivery(self, n: int, recipient: MemberCode) -> Delivery | None:
        """Return where message `n` stands for `recipient`."""
        return self.delivered.get((n, recipient))

    def delivery_by_envelope(self, envelope: EnvelopeId, recipient: MemberCode) -> Delivery | None:
        """Return the delivery whose newest envelope to `recipient` is this one."""
        n = self._by_envelope.get((envelope, recipient))
        return None if n is None else self.delivered.get((n, recipient))

    def deliveries(self, state: DeliveryState, prio: Priority, after: int, limit: int) -> Sequence[Delivery]:
        """Return at most `limit` deliveries in a state whose message has this priority and `n` > `after`, by n."""
        if state in UNSETTLED:
            rows = self._queued.get((state, prio))
            return [] if rows is None else list(islice(rows.after((after, BEHIND_ALL)), limit))
        found = (self.delivered[place] for place in sorted(self.delivered) if place[0] > after)
        return [one for one in found if one.state is state and self.messages[one.n].prio is prio][:limit]

    def waiting_for(self, recipient: MemberCode, state: DeliveryState, limit: int) -> Sequence[Delivery]:
        """Return at most `limit` deliveries to `recipient` in a state, oldest first."""
        if state in UNSETTLED:
            return list(islice(self._for_member.get((state, recipient), ()), limit))
        found = (self.delivered[place] for place in sorted(self.delivered))
        return [one for one in found if one.state is state and one.recipient == recipient][:limit]

    def recipients_waiting(self, state: DeliveryState) -> Sequence[MemberCode]:
        """Return the members that have a delivery in this state, sorted."""
        if state in UNSETTLED:
            return sorted(member for (held, member), rows in self._for_member.items() if held is state and len(rows))
        return sorted({one.recipient for one in self.delivered.values() if one.state is state})

    def next_delivery_expiry(self) -> Minutes | None:
        """Return the earliest expiry among messages that have an unsettled delivery."""
        first = self._by_expiry.first()
        return None if first is None else Minutes(first[0][0])

    def expired_deliveries(self, minute: Minutes, limit: int) -> Sequence[Delivery]:
        """Return at most `limit` unsettled deliveries whose message expired at or before `minute`, earliest first."""
        found: list[Delivery] = []
        for place in self._by_expiry:
            if self.messages[place[0]].exp > minute or len(found) == limit:
                break
            found.append(self.delivered[place])
        return found

    def seen(self, sender: MemberCode, message: MessageId) -> EvidenceId | None:
        """Return the evidence id under which this message was accepted, or None."""
        for day in self._seen.values():
            sid = day.get((sender, message))
            if sid is not None:
                return sid
        return None

    def entry(self, n: int) -> Entry | None:
        """Return one entry."""
        return self.entries.get(n)

    def answers_owed(self) -> Sequence[Entry]:
        """Return the queries that wait for their answer, in order."""
        return [self.entries[n] for n in self._owed]

    def withheld(self, after: int, limit: int) -> Sequence[Entry]:
        """Return at most `limit` withheld entries with `n` > `after`, in order."""
        return [self.entries[n] for n in islice(self._withheld.after(after), limit)]

    def open_conversations(self) -> Sequence[KeepConversation]:
        """Return our queries that have not ended, in order of `reply_by`, then of their beginning."""
        found = [(self.conversations[conv].reply_by, n, conv) for conv, n in self._open.items()]
        return [self.conversations[conv] for _, _, conv in sorted(found)]

    def notice_version(self, publisher: MemberCode, number: str) -> int | None:
        """Return the version on the board, or None."""
        held = self._notices.get((publisher, number))
        return None if held is None else held.version

    def outgoing_by_number(self, to: MemberCode, prio: Priority, incarnation: int, number: int) -> int | None:
        """Return the `n` of the message to `to` that was counted so."""
        return self._numbered.get((to, prio, incarnation), {}).get(number)

    def last_number(self, to: MemberCode, prio: Priority, incarnation: int) -> int:
        """Return the last number used in messages to `to` at one priority, or 0."""
        return max(self._numbered.get((to, prio, incarnation), ()), default=0)

    def heard(self) -> Sequence[KeepHeard]:
        """Return which numbers of each sender and priority have come."""
        return [self._heard[key] for key in sorted(self._heard)]

    def trust(self) -> bytes | None:
        """Return the directory as last saved, or None."""
        return self._trust.get(1)

    def cards(self) -> Sequence[bytes]:
        """Return the newest keycard of each member that has one, by member code."""
        return [self._cards[member] for member in sorted(self._cards)]

    def keyring(self) -> KeepKeyring | None:
        """Return the epoch secrets as last saved, or None."""
        return self._keyring.get(1)

    def numbers_of_others(self) -> Iterable[KeepHeard]:
        """Return what was heard of each sender and priority, in no order; for observers."""
        return self._heard.values()

    def unsettled(self) -> Sequence[Delivery]:
        """Return every delivery that has not ended; for observers."""
        return [self.delivered[place] for place in self._by_expiry]

    # --- parts ---

    def _keep_message(self, message: Outgoing) -> None:
        put = self.undoing.put
        put(self.messages, message.n, message)
        put(self._by_sid, message.sid, message.n)
        put(self._by_id, message.id, message.n)
        put(self._last, "outgoing", max(self._last["outgoing"], message.n))
        if message.seq is not None:
            incarnation, number = message.seq
            put(self._numbered.setdefault((message.to[0], message.prio, incarnation), {}), number, message.n)

    def _deliver(self, delivery: Delivery) -> None:
        place = delivery.n, delivery.recipient
        before = self.delivered.get(place)
        self._move(before, delivery, place)
        self.undoing.note(self._move, delivery, before, place)

    def _move(self, before: Delivery | None, after: Delivery | None, place: Place) -> None:
        n, member = place
        message = self.messages[n]
        if before is not None:
            if before.envelope is not None:
                self._by_envelope.pop((before.envelope, member), None)
            if before.state in UNSETTLED:
                self._queued[before.state, message.prio].remove(place)
                self._for_member[before.state, member].remove(n)
                self._by_expiry.remove((message.exp, n, member))
        if after is None:
            del self.delivered[place]
            return
        self.delivered[place] = after
        if after.envelope is not None:
            self._by_envelope[after.envelope, member] = n
        if after.state in UNSETTLED:
            self._queued.setdefault((after.state, message.prio), OrderedRows()).put(place, after)
            self._for_member.setdefault((after.state, member), OrderedRows()).put(n, after)
            self._by_expiry.put((message.exp, n, member), place)

    def _enter(self, entry: Entry) -> None:
        self.undoing.put(self.entries, entry.n, entry)
        self._mark(self._withheld, entry.n, is_marked=entry.state is EntryState.WITHHELD)

    def _mark(self, table: OrderedRows[int, int], n: int, *, is_marked: bool) -> None:
        if is_marked and n not in table:
            table.put(n, n)
            self.undoing.note(table.remove, n)
        elif not is_marked and table.remove(n) is not None:
            self.undoing.note(table.put, n, n)

    def _converse(self, record: KeepConversation) -> None:
        self.undoing.put(self.conversations, record.conv, record)
        if record.state in OPEN and record.conv not in self._open:
            # By its first appearance; a number that a crash took back is not given to another.
            n = self._numbers.setdefault(record.conv, len(self._numbers))
            self.undoing.put(self._open, record.conv, n)
        elif record.state not in OPEN:
            self.undoing.pop(self._open, record.conv)

    def _set_aside(self, record: Quarantine) -> None:
        rows = self._quarantine.setdefault(record.hub, deque())
        if len(rows) >= QUARANTINE_PER_SENDER_MAX:
            oldest = rows.popleft()
            self.undoing.note(rows.appendleft, oldest)
        rows.append(record)
        self.undoing.note(rows.pop)

    def _drop_expired(self, minute: Minutes) -> None:
        gone = minute - SKEW_MS // MINUTE_MS
        for day in [day for day in self._seen if (day + 1) * DAY_MINUTES - 1 <= gone]:
            self.undoing.pop(self._seen, day)
        for exp in [exp for exp in self._signed if exp <= minute - PROOFS_KEPT_MS // MINUTE_MS]:
            self.undoing.pop(self._signed, exp)


UNSETTLED: Final = frozenset({DeliveryState.QUEUED, DeliveryState.IN_CUSTODY})
OPEN: Final = frozenset({ConversationState.OPEN, ConversationState.PENDING})
BEHIND_ALL: Final = MemberCode("~")
DAY_MINUTES: Final = 24 * 60
