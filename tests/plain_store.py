"""A node's memory as plain tables in this process: the model that the real store is held against, and fast."""

from collections.abc import Sequence
from dataclasses import replace

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
    KeepKeyring,
    KeepNotice,
    KeepOutgoing,
    KeepSeen,
    KeepSequence,
    KeepTrust,
    Outgoing,
    OweAnswer,
    Quarantine,
)
from i247_protocol.names import EnvelopeId, EvidenceId, MemberCode, MessageId, Minutes
from i247_protocol.priority import Priority

UNSETTLED = (DeliveryState.QUEUED, DeliveryState.IN_CUSTODY)
OPEN = (ConversationState.OPEN, ConversationState.PENDING)


class PlainNodeStore:
    def __init__(self) -> None:
        self.messages: dict[int, Outgoing] = {}
        self.by_sid: dict[EvidenceId, int] = {}
        self.rows: dict[tuple[int, MemberCode], Delivery] = {}
        self.by_envelope: dict[tuple[EnvelopeId, MemberCode], int] = {}
        self.seen_rows: dict[tuple[MemberCode, MessageId], tuple[EvidenceId, Minutes]] = {}
        self.entries: dict[int, Entry] = {}
        self.conversations: dict[bytes, KeepConversation] = {}
        self.owed: dict[int, None] = {}
        self.notices: dict[tuple[MemberCode, str], KeepNotice] = {}
        self.audit: list[KeepAudit] = []
        self.quarantine: list[Quarantine] = []
        self.last: dict[tuple[MemberCode, Priority], KeepSequence] = {}
        self.card_rows: dict[MemberCode, bytes] = {}
        self.trust_data: bytes | None = None
        self.keys: KeepKeyring | None = None
        self.commits = 0

    def commit(self) -> None:
        self.commits += 1

    def persist(self, record: object) -> None:  # noqa: PLR0912  one line a record
        match record:
            case KeepOutgoing(message, deliveries):
                self.messages[message.n] = message
                self.by_sid[message.sid] = message.n
                for delivery in deliveries:
                    self._keep(delivery)
            case KeepDelivery(delivery):
                self._keep(delivery)
            case KeepSeen(seen):
                self.seen_rows[seen.sender, seen.id] = (seen.sid, seen.exp)
            case KeepEntry(entry):
                self.entries[entry.n] = entry
            case KeepEntryState(n, state, offered):
                self.entries[n] = replace(self.entries[n], state=state, offered=offered)
            case KeepConversation():
                self.conversations[record.conv] = record
            case OweAnswer(n):
                self.owed[n] = None
            case AnswerGiven(n):
                self.owed.pop(n, None)
            case KeepNotice():
                self.notices[record.publisher, record.number] = record
            case KeepAudit():
                self.audit.append(record)
            case Quarantine():
                self.quarantine.append(record)
            case KeepTrust(data):
                self.trust_data = data
            case KeepCard(member, card):
                self.card_rows[member] = card
            case KeepKeyring():
                self.keys = record
            case KeepSequence():
                self.last[record.to, record.prio] = record
            case DropExpired(minute):
                self.seen_rows = {key: row for key, row in self.seen_rows.items() if row[1] > minute}
            case _:
                raise AssertionError(record)

    def _keep(self, delivery: Delivery) -> None:
        self.rows[delivery.n, delivery.recipient] = delivery
        if delivery.envelope is not None:
            self.by_envelope[delivery.envelope, delivery.recipient] = delivery.n

    def last_numbers(self) -> tuple[int, int, int]:
        return max(self.messages, default=0), max(self.entries, default=0), len(self.audit)

    def audit_end(self) -> bytes | None:
        return self.audit[-1].data if self.audit else None

    def outgoing(self, n: int) -> Outgoing | None:
        return self.messages.get(n)

    def outgoing_by_sid(self, sid: EvidenceId) -> Outgoing | None:
        return self.messages.get(self.by_sid.get(sid, 0))

    def delivery(self, n: int, recipient: MemberCode) -> Delivery | None:
        return self.rows.get((n, recipient))

    def delivery_by_envelope(self, envelope: EnvelopeId, recipient: MemberCode) -> Delivery | None:
        return self.rows.get((self.by_envelope.get((envelope, recipient), 0), recipient))

    def deliveries(self, state: DeliveryState, prio: Priority, after: int, limit: int) -> Sequence[Delivery]:
        return [row for row in self._rows(state) if self.messages[row.n].prio is prio and row.n > after][:limit]

    def waiting_for(self, recipient: MemberCode, state: DeliveryState, limit: int) -> Sequence[Delivery]:
        return [row for row in self._rows(state) if row.recipient == recipient][:limit]

    def recipients_waiting(self, state: DeliveryState) -> Sequence[MemberCode]:
        return sorted({row.recipient for row in self._rows(state)})

    def next_delivery_expiry(self) -> Minutes | None:
        return min((self.messages[row.n].exp for state in UNSETTLED for row in self._rows(state)), default=None)

    def expired_deliveries(self, minute: Minutes, limit: int) -> Sequence[Delivery]:
        unsettled = [row for row in sorted(self.rows.values(), key=_order) if row.state in UNSETTLED]
        return [row for row in unsettled if self.messages[row.n].exp <= minute][:limit]

    def seen(self, sender: MemberCode, message: MessageId) -> EvidenceId | None:
        row = self.seen_rows.get((sender, message))
        return None if row is None else row[0]

    def entry(self, n: int) -> Entry | None:
        return self.entries.get(n)

    def answers_owed(self) -> Sequence[Entry]:
        return [self.entries[n] for n in self.owed]

    def withheld(self, after: int, limit: int) -> Sequence[Entry]:
        found = (entry for n, entry in sorted(self.entries.items()) if n > after)
        return [entry for entry in found if entry.state is EntryState.WITHHELD][:limit]

    def open_conversations(self) -> Sequence[KeepConversation]:
        return sorted((one for one in self.conversations.values() if one.state in OPEN), key=lambda one: one.reply_by)

    def notice_version(self, publisher: MemberCode, number: str) -> int | None:
        held = self.notices.get((publisher, number))
        return None if held is None else held.version

    def sequences(self) -> Sequence[KeepSequence]:
        return list(self.last.values())

    def trust(self) -> bytes | None:
        return self.trust_data

    def cards(self) -> Sequence[bytes]:
        return [self.card_rows[member] for member in sorted(self.card_rows)]

    def keyring(self) -> KeepKeyring | None:
        return self.keys

    def _rows(self, state: DeliveryState) -> list[Delivery]:
        return [row for row in sorted(self.rows.values(), key=_order) if row.state is state]


def _order(delivery: Delivery) -> tuple[int, MemberCode]:
    return delivery.n, delivery.recipient
