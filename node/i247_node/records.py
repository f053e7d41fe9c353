"""List what a node saves, and what it may ask of what it saved.

Saved: what this node owes (messages not yet acknowledged, queries not yet answered, entries not yet
confirmed), what it has seen, and its evidence. Never saved: connections and timers. The store is behind
these types alone. docs/architecture.md 4.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple, Protocol

from i247_protocol.names import EnvelopeId, EvidenceId, HubName, MemberCode, MessageId, Minutes, WallMs
from i247_protocol.priority import Priority
from i247_protocol.statement import Act


class DeliveryState(StrEnum):
    """Where one message stands for one recipient; the transitions are in `deliveries`."""

    QUEUED = "queued"
    IN_CUSTODY = "in-custody"
    DELIVERED = "delivered"
    REFUSED = "refused"
    EXPIRED = "expired"


class ConversationState(StrEnum):
    """Where one of our own queries stands; the transitions are in `conversations`."""

    OPEN = "open"
    PENDING = "pending"
    ANSWERED = "answered"
    REFUSED = "refused"
    EXPIRED = "expired"


class EntryState(StrEnum):
    """Where an inbox entry stands with the application; withheld ones are not handed over until that is allowed."""

    WITHHELD = "withheld"
    NEW = "new"
    OFFERED = "offered"
    CONFIRMED = "confirmed"


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A statement of ours: `n` is this store's running number, `statement` and `signature` the exact bytes.

    `seq` is its incarnation and number towards its one recipient at its priority, where it is counted.
    """

    n: int
    id: MessageId
    sid: EvidenceId
    act: Act
    conv: bytes
    prio: Priority
    exp: Minutes
    created: WallMs
    to: tuple[MemberCode, ...]
    statement: bytes
    signature: bytes
    seq: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message for one recipient. `receipt` is the evidence id of what acknowledged it; `reason` a code or None."""

    n: int
    recipient: MemberCode
    state: DeliveryState
    envelope: EnvelopeId | None
    hub: HubName | None
    at: WallMs
    reason: str | None
    receipt: EvidenceId | None


class Gap(NamedTuple):
    """Numbers from `first` to `last` that have not come; noticed at `since`."""

    first: int
    last: int
    since: WallMs


class Seen(NamedTuple):
    """A statement that was accepted once; kept until `exp` has passed by more than the skew."""

    sender: MemberCode
    id: MessageId
    sid: EvidenceId
    exp: Minutes


@dataclass(frozen=True, slots=True)
class Entry:
    """Something that was accepted from another member: the evidence, and where it stands with the application.

    `n` is this store's running number. Queries, replies, notices, diffusions and correspondence become
    entries; receipts do not. Only entries with `offered` true are shown in the application's inbox.
    """

    n: int
    sid: EvidenceId
    id: MessageId
    sender: MemberCode
    act: Act
    conv: bytes
    prio: Priority
    exp: Minutes
    received: WallMs
    state: EntryState
    offered: bool
    statement: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class KeepOutgoing:
    """Save a message and its deliveries."""

    message: Outgoing
    deliveries: tuple[Delivery, ...]


@dataclass(frozen=True, slots=True)
class KeepDelivery:
    """Save the new state of one delivery."""

    delivery: Delivery


class Signed(StrEnum):
    """What others sign about a message of ours on its way: that they took it, or that it goes no further."""

    CUSTODY = "custody"
    RETURN = "return"


@dataclass(frozen=True, slots=True)
class KeepSigned:
    """Save a proof of custody or a word of return about message `n`, for 30 days beyond its expiry."""

    n: int
    exp: Minutes
    kind: Signed
    data: bytes


@dataclass(frozen=True, slots=True)
class KeepSeen:
    """Save that a statement was accepted."""

    seen: Seen


@dataclass(frozen=True, slots=True)
class KeepEntry:
    """Save a new entry."""

    entry: Entry


@dataclass(frozen=True, slots=True)
class KeepEntryState:
    """Save where an entry stands with the application."""

    n: int
    state: EntryState
    offered: bool


@dataclass(frozen=True, slots=True)
class KeepConversation:
    """Save (new or changed) one of our own queries; `answer` is the entry `n` of the reply or None."""

    conv: bytes
    query: MessageId
    to: MemberCode
    register: str
    asked: WallMs
    reply_by: WallMs
    state: ConversationState
    answer: int | None


@dataclass(frozen=True, slots=True)
class OweAnswer:
    """Save that the query in entry `n` waits for its answer."""

    n: int


@dataclass(frozen=True, slots=True)
class AnswerGiven:
    """Save that the query in entry `n` was answered."""

    n: int


@dataclass(frozen=True, slots=True)
class KeepNotice:
    """Save the newest version of a notice on the board (key: publisher and number), replacing older ones."""

    publisher: MemberCode
    number: str
    version: int
    entry: int
    colour: str
    event: str
    title: str
    valid_until: WallMs


@dataclass(frozen=True, slots=True)
class KeepAudit:
    """Append one audit record; `sid` is what it is about."""

    n: int
    at: WallMs
    sid: bytes
    data: bytes


@dataclass(frozen=True, slots=True)
class Quarantine:
    """Keep, bounded for each sender link, what failed before its signature was checked."""

    hub: HubName
    envelope: EnvelopeId
    reason: str
    at: WallMs
    header: bytes


@dataclass(frozen=True, slots=True)
class KeepTrust:
    """Save the whole directory as this node believes it."""

    data: bytes


@dataclass(frozen=True, slots=True)
class KeepCard:
    """Save the newest keycard of a member, replacing the one before."""

    member: MemberCode
    card: bytes


@dataclass(frozen=True, slots=True)
class KeepKeyring:
    """Save this node's epoch secrets and the version of its newest keycard; the row before is securely deleted."""

    data: bytes
    card_version: int
    card: bytes


@dataclass(frozen=True, slots=True)
class KeepHeard:
    """Save which numbers of `sender` at one priority have come: all up to `last`, but those in the gaps."""

    sender: MemberCode
    prio: Priority
    incarnation: int
    last: int
    gaps: tuple[Gap, ...]


@dataclass(frozen=True, slots=True)
class DropExpired:
    """Remove seen rows and quarantine that expired at or before a minute, and what was signed 30 days before it."""

    minute: Minutes


Record = (
    KeepOutgoing
    | KeepDelivery
    | KeepSigned
    | KeepSeen
    | KeepEntry
    | KeepEntryState
    | KeepConversation
    | OweAnswer
    | AnswerGiven
    | KeepNotice
    | KeepAudit
    | Quarantine
    | KeepTrust
    | KeepCard
    | KeepKeyring
    | KeepHeard
    | DropExpired
)


class NodeMemory(Protocol):
    """What a node may ask of what it saved; answers include the open turn's records and come at once."""

    def last_numbers(self) -> tuple[int, int, int]:
        """Return the last `n` of outgoing messages, of entries and of audit records, 0 where there is none."""
        ...

    def audit_end(self) -> bytes | None:
        """Return the last audit record, or None."""
        ...

    def outgoing(self, n: int) -> Outgoing | None:
        """Return one message of ours."""
        ...

    def outgoing_by_sid(self, sid: EvidenceId) -> Outgoing | None:
        """Return the message of ours with this evidence id."""
        ...

    def delivery(self, n: int, recipient: MemberCode) -> Delivery | None:
        """Return where message `n` stands for `recipient`."""
        ...

    def delivery_by_envelope(self, envelope: EnvelopeId, recipient: MemberCode) -> Delivery | None:
        """Return the delivery that went out in this envelope to `recipient`."""
        ...

    def deliveries(self, state: DeliveryState, prio: Priority, after: int, limit: int) -> Sequence[Delivery]:
        """Return at most `limit` deliveries in a state, of messages with this priority and `n` > `after`, by n."""
        ...

    def waiting_for(self, recipient: MemberCode, state: DeliveryState, limit: int) -> Sequence[Delivery]:
        """Return at most `limit` deliveries to `recipient` in a state, oldest first."""
        ...

    def recipients_waiting(self, state: DeliveryState) -> Sequence[MemberCode]:
        """Return the members that have a delivery in this state, sorted."""
        ...

    def next_delivery_expiry(self) -> Minutes | None:
        """Return the earliest expiry among messages that have an unsettled delivery."""
        ...

    def expired_deliveries(self, minute: Minutes, limit: int) -> Sequence[Delivery]:
        """Return at most `limit` unsettled deliveries whose message expired at or before `minute`."""
        ...

    def signed(self, n: int) -> Sequence[tuple[Signed, bytes]]:
        """Return what others signed about message `n`, in order."""
        ...

    def outgoing_by_id(self, id: MessageId) -> Outgoing | None:
        """Return the message of ours with this id."""
        ...

    def seen(self, sender: MemberCode, message: MessageId) -> EvidenceId | None:
        """Return the evidence id under which this message was accepted, or None."""
        ...

    def entry(self, n: int) -> Entry | None:
        """Return one entry."""
        ...

    def answers_owed(self) -> Sequence[Entry]:
        """Return the queries that wait for their answer, in order."""
        ...

    def withheld(self, after: int, limit: int) -> Sequence[Entry]:
        """Return at most `limit` withheld entries with `n` > `after`, in order."""
        ...

    def open_conversations(self) -> Sequence[KeepConversation]:
        """Return our queries that have not ended, in order of `reply_by`."""
        ...

    def notice_version(self, publisher: MemberCode, number: str) -> int | None:
        """Return the version on the board, or None."""
        ...

    def outgoing_by_number(self, to: MemberCode, prio: Priority, incarnation: int, number: int) -> int | None:
        """Return the `n` of the message to `to` that was counted so."""
        ...

    def last_number(self, to: MemberCode, prio: Priority, incarnation: int) -> int:
        """Return the last number used in messages to `to` at one priority, or 0."""
        ...

    def heard(self) -> Sequence[KeepHeard]:
        """Return which numbers of each sender and priority have come."""
        ...

    def trust(self) -> bytes | None:
        """Return the directory as last saved, or None."""
        ...

    def cards(self) -> Sequence[bytes]:
        """Return the newest keycard of each member that has one, by member code."""
        ...

    def keyring(self) -> KeepKeyring | None:
        """Return the epoch secrets as last saved, or None."""
        ...
