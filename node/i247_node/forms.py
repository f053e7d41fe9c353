"""Shape what goes over the local interface: requests, answers, news and problems, as JSON.

Decides names and types alone; the server fills them from records (`showing`), the client reads them. Bytes are
hexadecimal text, times are milliseconds since 1970 UTC; a request with a key that its form does not have is refused.
docs/interface.md.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import msgspec

from i247_protocol.correspondence import Correspondence
from i247_protocol.handling import ROUTINE_HANDLING, Handling, Purpose
from i247_protocol.notices import Notice
from i247_protocol.priority import Priority
from i247_protocol.queries import Criteria, Query, Reply


class Urgency(StrEnum):
    """How soon a message of the application goes out; receipts, which the node sends itself, go before all."""

    URGENT = "urgent"
    ROUTINE = "routine"
    BULK = "bulk"


class Form(msgspec.Struct, frozen=True, kw_only=True):
    """What all forms share. A client passes over keys that a newer node adds to its answers."""


# --- what the application asks for ---


class NewQuery(Form, frozen=True, forbid_unknown_fields=True):
    """Ask `register` of the member `to`; the question ends at the latest `within_ms` from now."""

    to: str
    register: str
    criteria: Criteria
    purpose: Purpose
    within_ms: int
    urgency: Urgency = Urgency.ROUTINE
    handling: Handling = ROUTINE_HANDLING


class NewNotice(Form, frozen=True, forbid_unknown_fields=True):
    """Publish a notice to all members, or to those in `to`."""

    notice: Notice
    purpose: Purpose
    to: tuple[str, ...] | None = None
    urgency: Urgency = Urgency.ROUTINE
    handling: Handling = ROUTINE_HANDLING


class NewLetter(Form, frozen=True, forbid_unknown_fields=True):
    """Write to one or more members; `thread` is the conversation that the letter continues."""

    to: tuple[str, ...]
    subject: str
    text: str
    purpose: Purpose
    thread: str | None = None
    urgency: Urgency = Urgency.ROUTINE
    handling: Handling = ROUTINE_HANDLING


# --- what it is told ---


class Taken(Form, frozen=True):
    """A message was accepted and saved: it will be delivered, or its sender is told why not."""

    id: str
    sid: str
    conversation: str


class Confirmed(Form, frozen=True):
    """An inbox entry is not offered again."""

    entry: int


class QueryShown(Form, frozen=True):
    """Where a question of ours stands; `receipt` is the evidence id of what acknowledged it."""

    id: str
    conversation: str
    to: str
    register: str
    asked: int
    reply_by: int
    state: str
    reply: Reply | None
    entry: int | None
    receipt: str | None
    reason: str | None


class EntryShown(Form, frozen=True):
    """What came from another member; one of the four bodies is there. `again`: it was given before, not confirmed."""

    n: int
    id: str
    sid: str
    sender: str
    act: str
    conversation: str
    priority: str
    received: int
    expires: int
    state: str
    again: bool
    purpose: Purpose
    handling: Handling
    query: Query | None
    reply: Reply | None
    notice: Notice | None
    letter: Correspondence | None


class InboxPage(Form, frozen=True):
    """Entries in order of arrival; `next` is the `after` of the next page, or nothing when this is the last."""

    entries: tuple[EntryShown, ...]
    next: int | None


class DeliveryShown(Form, frozen=True):
    """Where one message stands for one recipient."""

    recipient: str
    state: str
    at: int
    hub: str | None
    reason: str | None
    receipt: str | None


class MessageShown(Form, frozen=True):
    """A message of ours and its deliveries."""

    n: int
    id: str
    sid: str
    act: str
    conversation: str
    priority: str
    created: int
    expires: int
    deliveries: tuple[DeliveryShown, ...]


class OutboxPage(Form, frozen=True):
    """Messages in order; `next` is the `after` of the next page, or nothing when this is the last."""

    messages: tuple[MessageShown, ...]
    next: int | None


class NoticeShown(Form, frozen=True):
    """The newest version of a notice."""

    publisher: str
    number: str
    version: int
    colour: str
    event: str
    title: str
    valid_until: int
    entry: int


class Board(Form, frozen=True):
    """All notices that are held."""

    notices: tuple[NoticeShown, ...]


class StepShown(Form, frozen=True):
    """One thing that is known of a message."""

    at: int
    what: str
    peer: str
    detail: str


class Trace(Form, frozen=True):
    """What is known here of one message, in order."""

    id: str
    steps: tuple[StepShown, ...]


class EvidenceShown(Form, frozen=True):
    """The file that proves what became of a message of ours, and the hubs behind which nobody has signed yet."""

    id: str
    file: bytes
    answerable: tuple[str, ...]


class AuditShown(Form, frozen=True):
    """One audit record; `data` is its exact bytes, which the chain is made of."""

    n: int
    at: int
    what: str
    peer: str
    detail: str
    sid: str
    conversation: str
    data: str


class AuditPage(Form, frozen=True):
    """Audit records in order; `next` is the `after` of the next page, or nothing when this is the last."""

    records: tuple[AuditShown, ...]
    next: int | None


class LinkShown(Form, frozen=True):
    """One connection to a hub."""

    hub: str
    lane: str
    open: bool
    clock_offset_ms: int


class CountsShown(Form, frozen=True):
    """How much there is of what somebody may have to look after, and in all."""

    queued: int
    in_custody: int
    inbox_unconfirmed: int
    withheld: int
    conversations_open: int
    answers_owed: int
    notices: int
    quarantined: int
    sent: int
    received: int
    audit_records: int


class StatusShown(Form, frozen=True):
    """How the node stands; `health` is fresh, degraded or hold."""

    member: str
    health: str
    roster: int
    roster_expires: int
    pulse_expires: int | None
    links: tuple[LinkShown, ...]
    cards: int
    card_version: int
    members: int
    waiting: int
    open_conversations: int
    missing: int
    counts: CountsShown
    counters: dict[str, int]


class Problem(Form, frozen=True):
    """Why a request failed; `code` is stable, `doing` and `hint` are for people."""

    code: str
    doing: str
    hint: str
    retryable: bool


# --- news ---


class ConversationNews(Form, frozen=True, tag_field="kind", tag="conversation"):
    """A question of ours was answered, or ended without an answer."""

    id: str
    conversation: str
    to: str
    state: str
    entry: int | None


class EntryNews(Form, frozen=True, tag_field="kind", tag="entry"):
    """Something new lies in the inbox."""

    n: int
    act: str
    sender: str
    priority: str
    exercise: bool


class DeliveryNews(Form, frozen=True, tag_field="kind", tag="delivery"):
    """A message of ours stands differently for one recipient."""

    id: str
    recipient: str
    state: str
    reason: str | None


NewsShown = ConversationNews | EntryNews | DeliveryNews

PRIORITIES: Final = {
    Urgency.URGENT: Priority.URGENT,
    Urgency.ROUTINE: Priority.ROUTINE,
    Urgency.BULK: Priority.BULK,
}
BODY_BYTES_MAX: Final = 256 * 1024
PAGE_MAX: Final = 200
PAGE_USUAL: Final = 50
