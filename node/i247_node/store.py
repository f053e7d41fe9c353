"""Save what a node owes and has seen in one SQLite database, and answer from it at once.

Decides nothing about messages: `tables` says how rows lie, `views` reads them for people. What was seen
lies in one table for each day of expiry. Epoch secrets are overwritten, in the log as well.
docs/architecture.md 6.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from i247_edges.day_tables import DayTables
from i247_edges.sqlite import Layout, open_database
from i247_node import tables
from i247_node.records import (
    AnswerGiven,
    Delivery,
    DeliveryState,
    DropExpired,
    Entry,
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
from i247_node.tables import (
    CONVERSATION_NUMBER,
    DELIVERY_NUMBER,
    ENTRY_NUMBER,
    HEARD,
    SIGNED,
    SIGNED_NUMBER,
    conversation_of,
    delivery_of,
    entry_of,
    heard_of,
    outgoing_of,
    short,
    signed_of,
)
from i247_node.views import Views
from i247_protocol import codec
from i247_protocol.errors import CallerFault
from i247_protocol.limits import EPOCH_KEEP_MS, PROOFS_KEPT_MS, QUARANTINE_PER_SENDER_MAX, SKEW_MS
from i247_protocol.names import MINUTE_MS, EnvelopeId, EvidenceId, MemberCode, MessageId, Minutes
from i247_protocol.priority import Priority


class NodeStore:
    """A node's journal and memory in the file `path`; with `:memory:`, in this object."""

    def __init__(self, path: str, *, vfs: str | None = None, checkpoint_pages: int | None = None) -> None:
        self._db = open_database(path, LAYOUT, secure_delete="on", vfs=vfs, checkpoint_pages=checkpoint_pages)
        self._seen = DayTables(self._db, "seen", create=_SEEN_CREATE, insert=_SEEN_INSERT, find=_SEEN_FIND)
        self._quarantined: dict[str, int] = dict(self._db.rows("SELECT hub, count(*) FROM quarantine GROUP BY hub"))
        self._writers: dict[type, Callable[[Any], None]] = {
            KeepOutgoing: self._keep_outgoing,
            KeepDelivery: lambda record: self._keep_delivery(record.delivery),
            KeepSigned: self._keep_signed,
            KeepSeen: self._keep_seen,
            KeepEntry: self._keep_entry,
            KeepEntryState: self._keep_entry_state,
            KeepConversation: self._keep_conversation,
            OweAnswer: lambda record: self._db.write("INSERT OR IGNORE INTO answers_owed VALUES (?)", (record.n,)),
            AnswerGiven: lambda record: self._db.write("DELETE FROM answers_owed WHERE n = ?", (record.n,)),
            KeepNotice: self._keep_notice,
            KeepAudit: self._keep_audit,
            Quarantine: self._quarantine,
            KeepTrust: lambda record: self._db.write("INSERT OR REPLACE INTO trust VALUES (1, ?)", (record.data,)),
            KeepCard: self._keep_card,
            KeepKeyring: self._keep_keyring,
            KeepHeard: self._keep_heard,
            DropExpired: self._drop_expired,
        }

    # --- the journal ---

    def persist(self, record: object) -> None:
        """Take one record into the open turn; raise WorldFault when it cannot."""
        writer = self._writers.get(type(record))
        if writer is None:
            raise CallerFault("saving a record", "a node saves only what its records list")
        writer(record)

    def commit(self) -> None:
        """Make everything since the last commit durable; raise WorldFault when it cannot."""
        self._db.commit()

    def close(self) -> None:
        """Let go of the file; what was not committed is gone."""
        self._db.close()

    @property
    def failed(self) -> bool:
        """Whether a failure has ended this store; only a new start helps."""
        return self._db.failed

    def damage(self) -> list[str]:
        """Return what is wrong with the file, nothing when it is sound; reads all of it."""
        return self._db.damage()

    def views(self) -> Views:
        """Return pages for people over this very connection: for `:memory:`, and for hosts with one thread."""
        return Views(self._db)

    # --- the memory ---

    def last_numbers(self) -> tuple[int, int, int]:
        """Return the last `n` of outgoing messages, of entries and of audit records, 0 where there is none."""
        outgoing, entries, audit = self._db.rows(_LAST_NUMBERS)[0]
        return outgoing or 0, entries or 0, audit or 0

    def audit_end(self) -> bytes | None:
        """Return the last audit record, or None."""
        data: bytes | None = self._one("SELECT data FROM audit ORDER BY n DESC LIMIT 1")
        return data

    def outgoing(self, n: int) -> Outgoing | None:
        """Return one message of ours."""
        row = self._db.row(_OUTGOING, (n,))
        return outgoing_of(row) if row else None

    def outgoing_by_sid(self, sid: EvidenceId) -> Outgoing | None:
        """Return the message of ours with this evidence id."""
        row = self._db.row(_OUTGOING_BY_SID, (short(sid), sid))
        return outgoing_of(row) if row else None

    def outgoing_by_id(self, id: MessageId) -> Outgoing | None:
        """Return the message of ours with this id."""
        row = self._db.row(_OUTGOING_BY_ID, (id,))
        return outgoing_of(row) if row else None

    def signed(self, n: int) -> Sequence[tuple[Signed, bytes]]:
        """Return what others signed about message `n`, in order."""
        return signed_of(self._db.rows(SIGNED, (n,)))

    def delivery(self, n: int, recipient: MemberCode) -> Delivery | None:
        """Return where message `n` stands for `recipient`."""
        row = self._db.row(_DELIVERY, (n, recipient))
        return delivery_of(row) if row else None

    def delivery_by_envelope(self, envelope: EnvelopeId, recipient: MemberCode) -> Delivery | None:
        """Return the delivery whose newest envelope to `recipient` is this one."""
        row = self._db.row(_DELIVERY_BY_ENVELOPE, (short(envelope), recipient, envelope))
        return delivery_of(row) if row else None

    def deliveries(self, state: DeliveryState, prio: Priority, after: int, limit: int) -> Sequence[Delivery]:
        """Return at most `limit` deliveries in a state whose message has this priority and `n` > `after`, by n."""
        number = DELIVERY_NUMBER[state]
        sql = _DELIVERIES_UNSETTLED if number < SETTLED else _DELIVERIES
        return [delivery_of(row) for row in self._db.rows(sql, (number, prio, after, limit))]

    def waiting_for(self, recipient: MemberCode, state: DeliveryState, limit: int) -> Sequence[Delivery]:
        """Return at most `limit` deliveries to `recipient` in a state, oldest first."""
        number = DELIVERY_NUMBER[state]
        sql = _WAITING_UNSETTLED if number < SETTLED else _WAITING
        return [delivery_of(row) for row in self._db.rows(sql, (number, recipient, limit))]

    def recipients_waiting(self, state: DeliveryState) -> Sequence[MemberCode]:
        """Return the members that have a delivery in this state, sorted."""
        number = DELIVERY_NUMBER[state]
        sql = _RECIPIENTS_UNSETTLED if number < SETTLED else _RECIPIENTS
        return [MemberCode(member) for (member,) in self._db.rows(sql, (number,))]

    def next_delivery_expiry(self) -> Minutes | None:
        """Return the earliest expiry among messages that have an unsettled delivery."""
        exp: Minutes | None = self._one("SELECT exp FROM deliveries WHERE state < 2 ORDER BY exp LIMIT 1")
        return exp

    def expired_deliveries(self, minute: Minutes, limit: int) -> Sequence[Delivery]:
        """Return at most `limit` unsettled deliveries whose message expired at or before `minute`, earliest first."""
        return [delivery_of(row) for row in self._db.rows(_EXPIRED, (minute, limit))]

    def seen(self, sender: MemberCode, message: MessageId) -> EvidenceId | None:
        """Return the evidence id under which this message was accepted, or None."""
        row = self._seen.find((message, sender))
        return row[0] if row else None

    def entry(self, n: int) -> Entry | None:
        """Return one entry."""
        row = self._db.row(_ENTRY, (n,))
        return entry_of(row) if row else None

    def answers_owed(self) -> Sequence[Entry]:
        """Return the queries that wait for their answer, in order."""
        return [entry_of(row) for row in self._db.rows(_ANSWERS_OWED)]

    def withheld(self, after: int, limit: int) -> Sequence[Entry]:
        """Return at most `limit` withheld entries with `n` > `after`, in order."""
        return [entry_of(row) for row in self._db.rows(_WITHHELD, (after, limit))]

    def open_conversations(self) -> Sequence[KeepConversation]:
        """Return our queries that have not ended, in order of `reply_by`."""
        return [conversation_of(row) for row in self._db.rows(_OPEN_CONVERSATIONS)]

    def notice_version(self, publisher: MemberCode, number: str) -> int | None:
        """Return the version on the board, or None."""
        key = (publisher, number)
        version: int | None = self._one("SELECT version FROM notices WHERE publisher = ? AND number = ?", key)
        return version

    def outgoing_by_number(self, to: MemberCode, prio: Priority, incarnation: int, number: int) -> int | None:
        """Return the `n` of the message to `to` that was counted so."""
        n: int | None = self._one(_OUTGOING_BY_NUMBER, (to, prio, incarnation, number))
        return n

    def last_number(self, to: MemberCode, prio: Priority, incarnation: int) -> int:
        """Return the last number used in messages to `to` at one priority, or 0."""
        return self._one(_LAST_NUMBER, (to, prio, incarnation)) or 0

    def heard(self) -> Sequence[KeepHeard]:
        """Return which numbers of each sender and priority have come."""
        return [heard_of(row) for row in self._db.rows(HEARD)]

    def trust(self) -> bytes | None:
        """Return the directory as last saved, or None."""
        data: bytes | None = self._one("SELECT data FROM trust")
        return data

    def cards(self) -> Sequence[bytes]:
        """Return the newest keycard of each member that has one, by member code."""
        return [card for (card,) in self._db.rows("SELECT card FROM cards ORDER BY member")]

    def keyring(self) -> KeepKeyring | None:
        """Return the epoch secrets as last saved, or None."""
        row = self._db.row("SELECT data, card_version, card FROM keyring")
        return KeepKeyring(*row) if row else None

    def _one(self, sql: str, bindings: Sequence[str | bytes | int | None] = ()) -> Any:  # noqa: ANN401  by its column
        row = self._db.row(sql, bindings)
        return row[0] if row else None

    # --- one method a record ---

    def _keep_outgoing(self, record: KeepOutgoing) -> None:
        message = record.message
        n, sid, write = message.n, message.sid, self._db.write
        to = " ".join(message.to)
        names = (n, short(sid), message.id, sid, message.act, message.conv)
        counted = (None, None) if message.seq is None else message.seq
        write(
            "INSERT INTO outgoing VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (*names, message.prio, message.exp, message.created, to, *counted),
        )
        write("INSERT INTO outgoing_statements VALUES (?, ?, ?)", (n, message.statement, message.signature))
        for delivery in record.deliveries:
            self._add_delivery(delivery, message.prio, message.exp)
            # That it was queued when it was created is understood.
            if delivery.state is not DeliveryState.QUEUED:
                self._add_to_history(delivery)

    def _keep_delivery(self, delivery: Delivery) -> None:
        number, envelope = DELIVERY_NUMBER[delivery.state], delivery.envelope
        moved = (number, delivery.hub, delivery.at, delivery.reason, delivery.receipt)
        key = (delivery.n, delivery.recipient)
        # The envelope seldom changes, and leaving it alone spares its index.
        self._db.write(_MOVE, (*moved, *key, envelope))
        if not self._db.changed():
            code = None if envelope is None else short(envelope)
            self._db.write(_MOVE_TO_ENVELOPE, (*moved, code, envelope, *key))
            if not self._db.changed():
                message = self._db.rows("SELECT prio, exp FROM outgoing WHERE n = ?", (delivery.n,))
                if not message:
                    raise CallerFault("saving a delivery", "save its message first")
                self._add_delivery(delivery, *message[0])
        self._add_to_history(delivery)

    def _add_delivery(self, delivery: Delivery, prio: int, exp: int) -> None:
        n, recipient, envelope = delivery.n, delivery.recipient, delivery.envelope
        state, code = DELIVERY_NUMBER[delivery.state], None if envelope is None else short(envelope)
        rest = (delivery.hub, delivery.at, delivery.reason, delivery.receipt)
        self._db.write(
            "INSERT INTO deliveries VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (n, recipient, state, prio, exp, code, envelope, *rest),
        )

    def _add_to_history(self, delivery: Delivery) -> None:
        number = DELIVERY_NUMBER[delivery.state]
        n, hub = delivery.n, delivery.hub
        self._db.write(_HISTORY, (n, n, delivery.recipient, number, delivery.at, hub, delivery.reason))

    def _keep_signed(self, record: KeepSigned) -> None:
        row = (record.n, record.exp, SIGNED_NUMBER[record.kind], record.data)
        self._db.write("INSERT INTO signed VALUES (NULL, ?, ?, ?, ?)", row)

    def _keep_seen(self, record: KeepSeen) -> None:
        sender, message, sid, exp = record.seen
        self._seen.add(exp, (message, sender, sid))

    def _keep_entry(self, record: KeepEntry) -> None:
        entry = record.entry
        n, sid, write = entry.n, entry.sid, self._db.write
        names = (n, short(sid), sid, entry.id, entry.sender, entry.act, entry.conv)
        state = ENTRY_NUMBER[entry.state]
        write(
            "INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (*names, entry.prio, entry.exp, entry.received, state, entry.offered),
        )
        write("INSERT INTO entry_statements VALUES (?, ?, ?)", (n, entry.statement, entry.signature))

    def _keep_entry_state(self, record: KeepEntryState) -> None:
        values = (ENTRY_NUMBER[record.state], record.offered, record.n)
        self._db.write("UPDATE entries SET state = ?, offered = ? WHERE n = ?", values)

    def _keep_conversation(self, one: KeepConversation) -> None:
        times = (one.asked, one.reply_by)
        number = CONVERSATION_NUMBER[one.state]
        self._db.write(_CONVERSATION, (one.conv, one.query, one.to, one.register, *times, number, one.answer))

    def _keep_notice(self, one: KeepNotice) -> None:
        self._db.write(
            "INSERT OR REPLACE INTO notices VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (one.publisher, one.number, one.version, one.entry, one.colour, one.event, one.title, one.valid_until),
        )

    def _keep_audit(self, one: KeepAudit) -> None:
        code = short(one.sid) if one.sid else None
        self._db.write("INSERT INTO audit VALUES (?, ?, ?, ?, ?)", (one.n, one.at, code, one.sid, one.data))

    def _quarantine(self, one: Quarantine) -> None:
        self._db.write(
            "INSERT INTO quarantine VALUES (NULL, ?, ?, ?, ?, ?)",
            (one.hub, one.envelope, one.reason, one.at, one.header),
        )
        count = self._quarantined.get(one.hub, 0)
        if count >= QUARANTINE_PER_SENDER_MAX:
            self._db.write(_QUARANTINE_OLDEST, (one.hub,))
        else:
            self._quarantined[one.hub] = count + 1

    def _keep_card(self, record: KeepCard) -> None:
        self._db.write("INSERT OR REPLACE INTO cards VALUES (?, ?)", (record.member, record.card))

    def _keep_keyring(self, record: KeepKeyring) -> None:
        values = (record.data, record.card_version, record.card)
        self._db.write("INSERT OR REPLACE INTO keyring VALUES (1, ?, ?, ?)", values)
        self._db.scrub_at_commit()

    def _keep_heard(self, one: KeepHeard) -> None:
        values = (one.sender, one.prio, one.incarnation, one.last, codec.encode(one.gaps))
        self._db.write("INSERT OR REPLACE INTO heard VALUES (?, ?, ?, ?, ?)", values)

    def _drop_expired(self, record: DropExpired) -> None:
        # A clock may be behind by the skew, here or at the sender: until then a repeat could come through.
        self._seen.drop(Minutes(record.minute - SKEW_MS // MINUTE_MS))
        self._db.write("DELETE FROM signed WHERE exp <= ?", (record.minute - PROOFS_KEPT_MS // MINUTE_MS,))
        oldest = record.minute * MINUTE_MS - EPOCH_KEEP_MS
        for (hub,) in self._db.rows("DELETE FROM quarantine WHERE at <= ? RETURNING hub", (oldest,)):
            self._quarantined[hub] -= 1


SETTLED: Final = 2
"""The number of the first state in which nothing is left to do."""
LAYOUT: Final = Layout(owner=tables.OWNER, steps=tables.STEPS)

_LAST_NUMBERS: Final = """
    SELECT (SELECT max(n) FROM outgoing), (SELECT max(n) FROM entries), (SELECT max(n) FROM audit)
"""
_OUTGOING: Final = tables.OUTGOING + "WHERE n = ?"
_OUTGOING_BY_ID: Final = tables.OUTGOING + "WHERE id = ? ORDER BY n LIMIT 1"
_OUTGOING_BY_SID: Final = tables.OUTGOING + "WHERE short = ? AND sid = ?"
_NUMBERED: Final = "FROM outgoing WHERE recipients = ? AND prio = ? AND incarnation = ? AND number"
_OUTGOING_BY_NUMBER: Final = f"SELECT n {_NUMBERED} = ?"
_LAST_NUMBER: Final = f"SELECT max(number) {_NUMBERED} IS NOT NULL"
_DELIVERY: Final = tables.DELIVERY + " WHERE n = ? AND recipient = ?"
_DELIVERY_BY_ENVELOPE: Final = tables.DELIVERY + " WHERE short = ? AND recipient = ? AND envelope = ?"
_DELIVERIES: Final = tables.DELIVERY + " WHERE state = ? AND prio = ? AND n > ? ORDER BY n, recipient LIMIT ?"
_WAITING: Final = tables.DELIVERY + " WHERE state = ? AND recipient = ? ORDER BY n LIMIT ?"
_RECIPIENTS: Final = "SELECT DISTINCT recipient FROM deliveries WHERE state = ? ORDER BY recipient"
# The term `state < 2` tells SQLite that the partial index has them all.
_DELIVERIES_UNSETTLED: Final = _DELIVERIES.replace("state = ?", "state = ? AND state < 2")
_WAITING_UNSETTLED: Final = _WAITING.replace("state = ?", "state = ? AND state < 2")
# Steps from one recipient to the next; DISTINCT would read every delivery that waits.
_RECIPIENTS_UNSETTLED: Final = """
    WITH RECURSIVE step (recipient) AS (
        SELECT min(recipient) FROM deliveries WHERE state = ?1 AND state < 2
        UNION ALL
        SELECT (
            SELECT min(recipient) FROM deliveries
            WHERE state = ?1 AND state < 2 AND deliveries.recipient > step.recipient
        ) FROM step WHERE recipient IS NOT NULL
    )
    SELECT recipient FROM step WHERE recipient IS NOT NULL
"""
_EXPIRED: Final = tables.DELIVERY + " WHERE exp <= ? AND state < 2 ORDER BY exp, n LIMIT ?"
_MOVE: Final = """
    UPDATE deliveries SET state = ?, hub = ?, at = ?, reason = ?, receipt = ?
    WHERE n = ? AND recipient = ? AND envelope IS ?
"""
_MOVE_TO_ENVELOPE: Final = """
    UPDATE deliveries SET state = ?, hub = ?, at = ?, reason = ?, receipt = ?, short = ?, envelope = ?
    WHERE n = ? AND recipient = ?
"""
_HISTORY: Final = """
    INSERT INTO delivery_history VALUES (
        ?, (SELECT coalesce(max(step), 0) + 1 FROM delivery_history WHERE n = ?), ?, ?, ?, ?, ?
    )
"""
_ENTRY: Final = tables.ENTRY + "WHERE n = ?"
_ANSWERS_OWED: Final = f"{tables.ENTRY} WHERE n IN (SELECT n FROM answers_owed) ORDER BY n"  # noqa: S608  constants alone
_WITHHELD: Final = tables.ENTRY + "WHERE state = 0 AND n > ? ORDER BY n LIMIT ?"
_CONVERSATION: Final = """
    INSERT INTO conversations VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (conv) DO UPDATE SET
        query = excluded.query, recipient = excluded.recipient, register = excluded.register, asked = excluded.asked,
        reply_by = excluded.reply_by, state = excluded.state, answer = excluded.answer
"""
_OPEN_CONVERSATIONS: Final = tables.CONVERSATION + " WHERE state < 2 ORDER BY reply_by, n"
_QUARANTINE_OLDEST: Final = "DELETE FROM quarantine WHERE n = (SELECT min(n) FROM quarantine WHERE hub = ?)"
# A message's id is its sender's choice, so it is indexed whole: chosen alike in its beginning, a million of them
# would make each look-up read them all.
_SEEN_CREATE: Final = """
    CREATE TABLE {table} (
        n INTEGER PRIMARY KEY, message BLOB NOT NULL, sender TEXT NOT NULL, sid BLOB NOT NULL
    ) STRICT;
    CREATE INDEX {table}_by_message ON {table} (message)
"""
_SEEN_INSERT: Final = "INSERT INTO {table} VALUES (NULL, ?, ?, ?)"
_SEEN_FIND: Final = "SELECT sid FROM {table} WHERE message = ? AND sender = ?"
