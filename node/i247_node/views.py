"""Read a node's store for people, a page at a time, beside the daemon that writes it.

A connection of its own sees what was committed and cannot write. Decides nothing; what a page looks like
is the terminal's or the console's matter. docs/architecture.md 6.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from i247_edges.sqlite import Layout, Reading, open_reading
from i247_node import tables
from i247_node.records import Delivery, DeliveryState, Entry, KeepAudit, KeepConversation, KeepNotice, Outgoing, Signed
from i247_node.tables import (
    DELIVERY_STATES,
    audit_of,
    conversation_of,
    delivery_of,
    entry_of,
    notice_of,
    outgoing_of,
    short,
    signed_of,
)
from i247_protocol.names import EvidenceId, HubName, MemberCode, MessageId, WallMs


@dataclass(frozen=True, slots=True)
class Sent:
    """A message of ours, and where it stands for each recipient."""

    message: Outgoing
    deliveries: tuple[Delivery, ...]


@dataclass(frozen=True, slots=True)
class Change:
    """When a delivery came into a state."""

    recipient: MemberCode
    state: DeliveryState
    at: WallMs
    hub: HubName | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class Trace:
    """All that is known of one message; each part is in order.

    A message of ours is `sent`, `signed` is what places on its way have signed, and its `changes` begin after it was
    queued, which it was when it was created. One from another member is in `entries`; `audit` has both ends' records
    that name the message.
    """

    sent: Sent | None
    signed: tuple[tuple[Signed, bytes], ...]
    changes: tuple[Change, ...]
    entries: tuple[Entry, ...]
    audit: tuple[KeepAudit, ...]


@dataclass(frozen=True, slots=True)
class Proven:
    """What was signed about a message of ours on its way, what its recipients answered, and the directory's log."""

    message: Outgoing
    signed: tuple[tuple[Signed, bytes], ...]
    answers: tuple[Entry, ...]
    network: bytes


@dataclass(frozen=True, slots=True)
class Exchange:
    """What was said in one conversation; `query` is there when it began with a query of ours."""

    query: KeepConversation | None
    sent: tuple[Sent, ...]
    received: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class Counts:
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


def open_views(path: str, *, vfs: str | None = None) -> Views:
    """Open the store at `path` to read alone, whether the daemon runs or not; raise CallerFault when there is none."""
    return Views(open_reading(path, Layout(tables.OWNER, tables.STEPS), vfs=vfs))


class Views:
    """Pages of one store."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading

    def inbox(self, after: int, limit: int, *, only_new: bool) -> Sequence[Entry]:
        """Return at most `limit` entries for the application with `n` > `after`; new are those not yet confirmed."""
        sql = _INBOX_NEW if only_new else _INBOX
        return [entry_of(row) for row in self._reading.rows(sql, (after, limit))]

    def outbox(self, after: int, limit: int, *, unsettled_only: bool) -> Sequence[Sent]:
        """Return at most `limit` messages of ours with `n` > `after`; unsettled ones have a delivery to wait for."""
        with self._reading.snapshot():
            sql = _OUTBOX_UNSETTLED if unsettled_only else _OUTBOX
            return [self._sent(outgoing_of(row)) for row in self._reading.rows(sql, (after, limit))]

    def message(self, id: MessageId | EvidenceId) -> Trace | None:
        """Return all that is known of the message with this id (16 bytes) or evidence id (32 bytes), or None."""
        key = (id,) if len(id) == MESSAGE_ID_BYTES else (short(id), id)
        outgoing, entry = (_SENT_BY_ID, _ENTRY_BY_ID) if len(key) == 1 else (_SENT_BY_SID, _ENTRY_BY_SID)
        with self._reading.snapshot():
            row = self._reading.row(outgoing, key)
            sent = self._sent(outgoing_of(row)) if row else None
            entries = tuple(entry_of(row) for row in self._reading.rows(entry, key))
            changes = self._changes(sent.message.n) if sent else ()
            signed = signed_of(self._reading.rows(tables.SIGNED, (sent.message.n,))) if sent else ()
            # What is known by the audit trail alone was refused before it became an entry.
            sids: set[bytes] = {one.sid for one in entries} | ({sent.message.sid} if sent else set())
            audit = self._audit_of(sorted(sids or {id}))
        return Trace(sent, tuple(signed), changes, entries, audit) if sent or entries or audit else None

    def proven(self, id: MessageId) -> Proven | None:
        """Return what was signed about the message of ours with this id, or None when there is none."""
        with self._reading.snapshot():
            row = self._reading.row(_SENT_BY_ID, (id,))
            if row is None:
                return None
            sent = self._sent(outgoing_of(row))
            receipts = sorted({one.receipt for one in sent.deliveries if one.receipt is not None})
            answers = [
                entry_of(row) for sid in receipts for row in self._reading.rows(_ENTRY_BY_SID, (short(sid), sid))
            ]
            signed = tuple(signed_of(self._reading.rows(tables.SIGNED, (sent.message.n,))))
            trust = self._reading.row("SELECT data FROM trust")
        return Proven(sent.message, signed, tuple(answers), trust[0] if trust else b"")

    def conversation(self, id: bytes) -> Exchange | None:
        """Return what was said in the conversation with this id, or in that of our query with this message id."""
        with self._reading.snapshot():
            row = self._reading.row(_CONVERSATION, (id, id))
            query = conversation_of(row) if row else None
            conv = query.conv if query else id
            sent = tuple(self._sent(outgoing_of(row)) for row in self._reading.rows(_SENT_BY_CONV, (conv, PARTS_MAX)))
            received = tuple(entry_of(row) for row in self._reading.rows(_ENTRY_BY_CONV, (conv, PARTS_MAX)))
        return Exchange(query, sent, received) if query or sent or received else None

    def board(self) -> Sequence[KeepNotice]:
        """Return the newest version of each notice, by publisher and number."""
        return [notice_of(row) for row in self._reading.rows(tables.NOTICE + " ORDER BY publisher, number")]

    def audit(self, after: int, limit: int) -> Sequence[KeepAudit]:
        """Return at most `limit` audit records with `n` > `after`, in order."""
        return [audit_of(row) for row in self._reading.rows(_AUDIT, (after, limit))]

    def counts(self) -> Counts:
        """Return how much there is; the cost does not grow with the evidence."""
        return Counts(*self._reading.rows(_COUNTS)[0])

    def close(self) -> None:
        """Let go of the file."""
        self._reading.close()

    def _sent(self, message: Outgoing) -> Sent:
        return Sent(message, tuple(delivery_of(row) for row in self._reading.rows(_DELIVERIES, (message.n,))))

    def _changes(self, n: int) -> tuple[Change, ...]:
        rows = self._reading.rows(_HISTORY, (n,))
        return tuple(Change(to, DELIVERY_STATES[state], at, hub, reason) for to, state, at, hub, reason in rows)

    def _audit_of(self, sids: Sequence[bytes]) -> tuple[KeepAudit, ...]:
        found = [audit_of(row) for sid in sids for row in self._reading.rows(_AUDIT_BY_SID, (short(sid), sid))]
        return tuple(sorted(found, key=lambda record: record.n))


MESSAGE_ID_BYTES: Final = 16
PARTS_MAX: Final = 1_000
"""Messages of one conversation that are shown, the first ones, each way."""

_INBOX: Final = tables.ENTRY + "WHERE offered = 1 AND state > 0 AND n > ? ORDER BY n LIMIT ?"
_INBOX_NEW: Final = tables.ENTRY + "WHERE offered = 1 AND state IN (1, 2) AND n > ? ORDER BY n LIMIT ?"
_OUTBOX: Final = tables.OUTGOING + "WHERE n > ? ORDER BY n LIMIT ?"
# Each part walks one stretch of the index of what is unsettled; together they need no index of their own.
_UNSETTLED: Final = """
    SELECT n FROM (
        SELECT DISTINCT n FROM deliveries WHERE state = {state} AND state < 2 AND prio = {prio} AND n > ?1
        ORDER BY n LIMIT ?2
    )
"""
_UNSETTLED_ALL: Final = " UNION ".join(
    _UNSETTLED.replace("{state}", state).replace("{prio}", prio) for state in "01" for prio in "0123"
)
_OUTBOX_UNSETTLED: Final = f"{tables.OUTGOING} WHERE n IN ({_UNSETTLED_ALL}) ORDER BY n LIMIT ?2"
_DELIVERIES: Final = tables.DELIVERY + " WHERE n = ? ORDER BY recipient"
_HISTORY: Final = "SELECT recipient, state, at, hub, reason FROM delivery_history WHERE n = ? ORDER BY step"
_SENT_BY_ID: Final = tables.OUTGOING + "WHERE id = ? ORDER BY n LIMIT 1"
_SENT_BY_SID: Final = tables.OUTGOING + "WHERE short = ? AND sid = ? LIMIT 1"
_SENT_BY_CONV: Final = tables.OUTGOING + "WHERE conv = ? ORDER BY n LIMIT ?"
_ENTRY_BY_ID: Final = tables.ENTRY + "WHERE id = ? ORDER BY n"
_ENTRY_BY_SID: Final = tables.ENTRY + "WHERE short = ? AND sid = ? ORDER BY n"
_ENTRY_BY_CONV: Final = tables.ENTRY + "WHERE conv = ? ORDER BY n LIMIT ?"
_CONVERSATION: Final = tables.CONVERSATION + " WHERE conv = ? OR query = ? LIMIT 1"
_AUDIT: Final = tables.AUDIT + " WHERE n > ? ORDER BY n LIMIT ?"
_AUDIT_BY_SID: Final = tables.AUDIT + " WHERE short = ? AND sid = ? ORDER BY n"
_COUNTS: Final = """
    SELECT
        (SELECT count(*) FROM deliveries WHERE state = 0 AND state < 2),
        (SELECT count(*) FROM deliveries WHERE state = 1 AND state < 2),
        (SELECT count(*) FROM entries WHERE offered = 1 AND state IN (1, 2)),
        (SELECT count(*) FROM entries WHERE state = 0),
        (SELECT count(*) FROM conversations WHERE state < 2),
        (SELECT count(*) FROM answers_owed),
        (SELECT count(*) FROM notices),
        (SELECT count(*) FROM quarantine),
        (SELECT coalesce(max(n), 0) FROM outgoing),
        (SELECT coalesce(max(n), 0) FROM entries),
        (SELECT coalesce(max(n), 0) FROM audit)
"""
