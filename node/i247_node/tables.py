"""Lay out a node's tables, and turn their rows into records.

What changes often lies apart from what never does: a delivery's or an entry's state is written again and
again, a statement and its signature once. What is unsettled has narrow indexes of its own, so that finding
it does not cost more as the evidence grows. docs/architecture.md 6.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from i247_node.records import (
    ConversationState,
    Delivery,
    DeliveryState,
    Entry,
    EntryState,
    Gap,
    KeepAudit,
    KeepConversation,
    KeepHeard,
    KeepNotice,
    Outgoing,
    Signed,
)
from i247_protocol import codec
from i247_protocol.limits import GAPS_MAX
from i247_protocol.names import MemberCode
from i247_protocol.priority import Priority
from i247_protocol.statement import Act

Row = tuple[Any, ...]


def short(digest: bytes) -> int:
    """Return the first eight bytes of a digest, under which it is looked for; it must be compared whole afterwards."""
    return int.from_bytes(digest[:8], "big", signed=True)


def outgoing_of(row: Row) -> Outgoing:
    """Return the message in a row of `OUTGOING`."""
    n, id_, sid, act, conv, prio, exp, created, to, incarnation, number, statement, signature = row
    prio, to, seq = PRIORITIES[prio], members_of(to), None if number is None else (incarnation, number)
    return Outgoing(n, id_, sid, Act(act), conv, prio, exp, created, to, statement, signature, seq)


def delivery_of(row: Row) -> Delivery:
    """Return the delivery in a row of `DELIVERY`."""
    n, recipient, state, envelope, hub, at, reason, receipt = row
    return Delivery(n, recipient, DELIVERY_STATES[state], envelope, hub, at, reason, receipt)


def entry_of(row: Row) -> Entry:
    """Return the entry in a row of `ENTRY`."""
    n, sid, id_, sender, act, conv, prio, exp, received, state, offered, statement, signature = row
    prio, state = PRIORITIES[prio], ENTRY_STATES[state]
    return Entry(n, sid, id_, sender, Act(act), conv, prio, exp, received, state, bool(offered), statement, signature)


def conversation_of(row: Row) -> KeepConversation:
    """Return the conversation in a row of `CONVERSATION`."""
    conv, query, to, register, asked, reply_by, state, answer = row
    return KeepConversation(conv, query, to, register, asked, reply_by, CONVERSATION_STATES[state], answer)


def notice_of(row: Row) -> KeepNotice:
    """Return the notice in a row of `NOTICE`."""
    return KeepNotice(*row)


def audit_of(row: Row) -> KeepAudit:
    """Return the audit record in a row of `AUDIT`."""
    return KeepAudit(*row)


def signed_of(rows: Iterable[Row]) -> list[tuple[Signed, bytes]]:
    """Return what was signed, in rows of `SIGNED`."""
    return [(SIGNED_KINDS[kind], data) for kind, data in rows]


def heard_of(row: Row) -> KeepHeard:
    """Return what was heard, in a row of `HEARD`."""
    sender, prio, incarnation, last, gaps = row
    return KeepHeard(
        sender,
        PRIORITIES[prio],
        incarnation,
        last,
        tuple(Gap(*gap) for gap in codec.decode(gaps, bytes_max=GAPS_BYTES_MAX)),
    )


def members_of(text: str) -> tuple[MemberCode, ...]:
    """Return the members that a column lists."""
    return tuple(map(MemberCode, text.split(" ")))


# The place of a state here is its number in the tables; the partial indexes below know these numbers.
DELIVERY_STATES: Final = (
    DeliveryState.QUEUED,
    DeliveryState.IN_CUSTODY,
    DeliveryState.DELIVERED,
    DeliveryState.REFUSED,
    DeliveryState.EXPIRED,
)
ENTRY_STATES: Final = (EntryState.WITHHELD, EntryState.NEW, EntryState.OFFERED, EntryState.CONFIRMED)
CONVERSATION_STATES: Final = (
    ConversationState.OPEN,
    ConversationState.PENDING,
    ConversationState.ANSWERED,
    ConversationState.REFUSED,
    ConversationState.EXPIRED,
)
SIGNED_KINDS: Final = (Signed.CUSTODY, Signed.RETURN)
DELIVERY_NUMBER: Final = {state: n for n, state in enumerate(DELIVERY_STATES)}
SIGNED_NUMBER: Final = {kind: n for n, kind in enumerate(SIGNED_KINDS)}
ENTRY_NUMBER: Final = {state: n for n, state in enumerate(ENTRY_STATES)}
CONVERSATION_NUMBER: Final = {state: n for n, state in enumerate(CONVERSATION_STATES)}
PRIORITIES: Final = tuple(Priority)

OUTGOING: Final = """
    SELECT n, id, sid, act, conv, prio, exp, created, recipients, incarnation, number, statement, signature
    FROM outgoing CROSS JOIN outgoing_statements USING (n)
"""
DELIVERY: Final = "SELECT n, recipient, state, envelope, hub, at, reason, receipt FROM deliveries"
ENTRY: Final = """
    SELECT n, sid, id, sender, act, conv, prio, exp, received, state, offered, statement, signature
    FROM entries CROSS JOIN entry_statements USING (n)
"""
CONVERSATION: Final = "SELECT conv, query, recipient, register, asked, reply_by, state, answer FROM conversations"
NOTICE: Final = "SELECT publisher, number, version, entry, colour, event, title, valid_until FROM notices"
SIGNED: Final = "SELECT kind, data FROM signed WHERE message = ? ORDER BY n"
HEARD: Final = "SELECT sender, prio, incarnation, last, gaps FROM heard ORDER BY sender, prio"
GAPS_BYTES_MAX: Final = 32 * GAPS_MAX
AUDIT: Final = "SELECT n, at, sid, data FROM audit"

OWNER: Final = 0x69324E01
STEPS: Final = (
    """
    CREATE TABLE outgoing (
        n INTEGER PRIMARY KEY,
        short INTEGER NOT NULL,          -- the first 8 bytes of sid
        id BLOB NOT NULL,
        sid BLOB NOT NULL,
        act TEXT NOT NULL,
        conv BLOB NOT NULL,
        prio INTEGER NOT NULL,
        exp INTEGER NOT NULL,
        created INTEGER NOT NULL,
        recipients TEXT NOT NULL,
        incarnation INTEGER,             -- and number: what its one recipient counts it by
        number INTEGER
    ) STRICT;
    CREATE INDEX outgoing_by_sid ON outgoing (short);
    CREATE INDEX outgoing_by_id ON outgoing (id);
    CREATE INDEX outgoing_by_conv ON outgoing (conv);
    CREATE INDEX outgoing_by_number ON outgoing (recipients, prio, incarnation, number) WHERE number IS NOT NULL;
    CREATE TABLE outgoing_statements (
        n INTEGER PRIMARY KEY, statement BLOB NOT NULL, signature BLOB NOT NULL
    ) STRICT;

    CREATE TABLE deliveries (
        n INTEGER NOT NULL,
        recipient TEXT NOT NULL,
        state INTEGER NOT NULL,
        prio INTEGER NOT NULL,           -- of the message, as is exp
        exp INTEGER NOT NULL,
        short INTEGER,                   -- the first 8 bytes of envelope
        envelope BLOB,
        hub TEXT,
        at INTEGER NOT NULL,
        reason TEXT,
        receipt BLOB,
        PRIMARY KEY (n, recipient)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX deliveries_by_state ON deliveries (state, prio, n) WHERE state < 2;
    CREATE INDEX deliveries_by_recipient ON deliveries (state, recipient, n) WHERE state < 2;
    CREATE INDEX deliveries_by_expiry ON deliveries (exp, n) WHERE state < 2;
    CREATE INDEX deliveries_by_envelope ON deliveries (short) WHERE short IS NOT NULL;
    CREATE TABLE delivery_history (
        n INTEGER NOT NULL,
        step INTEGER NOT NULL,
        recipient TEXT NOT NULL,
        state INTEGER NOT NULL,
        at INTEGER NOT NULL,
        hub TEXT,
        reason TEXT,
        PRIMARY KEY (n, step)
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE signed (
        n INTEGER PRIMARY KEY,
        message INTEGER NOT NULL,        -- outgoing.n
        exp INTEGER NOT NULL,            -- of the message
        kind INTEGER NOT NULL,
        data BLOB NOT NULL
    ) STRICT;
    CREATE INDEX signed_by_message ON signed (message);
    CREATE INDEX signed_by_expiry ON signed (exp);

    CREATE TABLE entries (
        n INTEGER PRIMARY KEY,
        short INTEGER NOT NULL,          -- the first 8 bytes of sid
        sid BLOB NOT NULL,
        id BLOB NOT NULL,
        sender TEXT NOT NULL,
        act TEXT NOT NULL,
        conv BLOB NOT NULL,
        prio INTEGER NOT NULL,
        exp INTEGER NOT NULL,
        received INTEGER NOT NULL,
        state INTEGER NOT NULL,
        offered INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX entries_by_sid ON entries (short);
    CREATE INDEX entries_by_id ON entries (id);
    CREATE INDEX entries_by_conv ON entries (conv);
    CREATE INDEX entries_withheld ON entries (n) WHERE state = 0;
    CREATE INDEX entries_to_confirm ON entries (n) WHERE offered = 1 AND state IN (1, 2);
    CREATE TABLE entry_statements (
        n INTEGER PRIMARY KEY, statement BLOB NOT NULL, signature BLOB NOT NULL
    ) STRICT;

    CREATE TABLE conversations (
        n INTEGER PRIMARY KEY,
        conv BLOB NOT NULL UNIQUE,
        query BLOB NOT NULL,
        recipient TEXT NOT NULL,
        register TEXT NOT NULL,
        asked INTEGER NOT NULL,
        reply_by INTEGER NOT NULL,
        state INTEGER NOT NULL,
        answer INTEGER
    ) STRICT;
    CREATE INDEX conversations_by_query ON conversations (query);
    CREATE INDEX conversations_open ON conversations (reply_by, n) WHERE state < 2;
    CREATE TABLE answers_owed (n INTEGER PRIMARY KEY) STRICT;

    CREATE TABLE notices (
        publisher TEXT NOT NULL,
        number TEXT NOT NULL,
        version INTEGER NOT NULL,
        entry INTEGER NOT NULL,
        colour TEXT NOT NULL,
        event TEXT NOT NULL,
        title TEXT NOT NULL,
        valid_until INTEGER NOT NULL,
        PRIMARY KEY (publisher, number)
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE audit (
        n INTEGER PRIMARY KEY,
        at INTEGER NOT NULL,
        short INTEGER,                   -- the first 8 bytes of sid, where there is one
        sid BLOB NOT NULL,
        data BLOB NOT NULL
    ) STRICT;
    CREATE INDEX audit_by_sid ON audit (short) WHERE short IS NOT NULL;

    CREATE TABLE quarantine (
        n INTEGER PRIMARY KEY,
        hub TEXT NOT NULL,
        envelope BLOB NOT NULL,
        reason TEXT NOT NULL,
        at INTEGER NOT NULL,
        header BLOB NOT NULL
    ) STRICT;
    CREATE INDEX quarantine_by_hub ON quarantine (hub, n);

    CREATE TABLE heard (
        sender TEXT NOT NULL,
        prio INTEGER NOT NULL,
        incarnation INTEGER NOT NULL,
        last INTEGER NOT NULL,
        gaps BLOB NOT NULL,              -- [first, last, since] of each, encoded as messages are
        PRIMARY KEY (sender, prio)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE cards (member TEXT PRIMARY KEY, card BLOB NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE trust (one INTEGER PRIMARY KEY, data BLOB NOT NULL) STRICT;
    CREATE TABLE keyring (
        one INTEGER PRIMARY KEY, data BLOB NOT NULL, card_version INTEGER NOT NULL, card BLOB NOT NULL
    ) STRICT;
    """,
)
