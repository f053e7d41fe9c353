"""Lay out a hub's tables, say how they are asked, and turn their rows into records.

A held row is found by its queue, by its envelope and by its expiry; what is remembered of those that are gone lies in
one table for each day of expiry. docs/architecture.md 6.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from i247_hub.records import Held, hop_named
from i247_protocol.names import MemberCode
from i247_protocol.priority import Priority

Row = tuple[Any, ...]
Wrap = tuple[str, bytes, bytes]


def short(envelope: bytes) -> int:
    """Return the first eight bytes of an id, under which it is looked for; it must be compared whole afterwards."""
    return int.from_bytes(envelope[:8], "big", signed=True)


def bare(row: Row) -> Held:
    """Return the row of custody in a row of `HELD` or `EXPIRED`; header and body are left empty."""
    seq, name, queue, envelope, to, exp, hops, source, wraps, size = row
    prio = Priority(queue % QUEUES)
    return Held(
        seq, hop_named(name), envelope, members_of(to), prio, exp, hops, source, b"", b"", wraps_of(wraps), size
    )


def members_of(text: str) -> tuple[MemberCode, ...]:
    """Return the members that a column lists."""
    return tuple(map(MemberCode, text.split(" ")))


def listed(numbers: tuple[int, ...]) -> str:
    """Return numbers as one value, which a statement takes apart."""
    return f"[{','.join(map(str, numbers))}]"


def packed(wraps: tuple[Wrap, ...]) -> bytes | None:
    """Return what the column of wraps holds."""
    return WRAPS_OUT(wraps) if wraps else None


def wraps_of(data: bytes | None) -> tuple[Wrap, ...]:
    """Return the wraps in their column."""
    return () if data is None else WRAPS_IN(data)


QUEUES: Final = 4
"""Queues of one place, one for each priority."""

OWNER: Final = 0x69324801
STEPS: Final = (
    """
    CREATE TABLE mark (seq INTEGER NOT NULL, used INTEGER NOT NULL) STRICT;
    INSERT INTO mark VALUES (0, 0);
    CREATE TABLE places (n INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;
    CREATE TABLE bodies (n INTEGER PRIMARY KEY, header BLOB NOT NULL, body BLOB NOT NULL) STRICT;
    CREATE TABLE held (
        seq INTEGER PRIMARY KEY,
        queue INTEGER NOT NULL,      -- places.n * 4 + priority
        short INTEGER NOT NULL,      -- the first 8 bytes of envelope
        shared INTEGER,              -- bodies.n, or null for a row that has header and body of its own
        size INTEGER NOT NULL,
        room INTEGER NOT NULL,       -- the part of size that is this row's own
        exp INTEGER NOT NULL,
        hops INTEGER NOT NULL,
        envelope BLOB NOT NULL,
        recipients TEXT NOT NULL,
        source TEXT NOT NULL,
        wraps BLOB,
        header BLOB,
        body BLOB
    ) STRICT;
    CREATE INDEX held_by_queue ON held (queue, seq, size);
    CREATE INDEX held_by_envelope ON held (short);
    CREATE INDEX held_by_expiry ON held (exp);
    CREATE TABLE owed (
        n INTEGER PRIMARY KEY,
        short INTEGER NOT NULL,
        hop TEXT NOT NULL,
        exp INTEGER NOT NULL,
        envelope BLOB NOT NULL,
        recipient TEXT NOT NULL,
        reason TEXT NOT NULL,
        at INTEGER NOT NULL,
        hub TEXT NOT NULL,
        signature BLOB NOT NULL
    ) STRICT;
    CREATE INDEX owed_by_hop ON owed (hop);
    CREATE INDEX owed_by_envelope ON owed (short);
    CREATE INDEX owed_by_expiry ON owed (exp);
    CREATE TABLE cards (member TEXT PRIMARY KEY, card BLOB NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE directory (one INTEGER PRIMARY KEY, data BLOB NOT NULL) STRICT;
    """,
    """
    ALTER TABLE held ADD COLUMN at INTEGER NOT NULL DEFAULT 0;  -- when it was saved; 0 before this was noted
    CREATE TABLE given (source TEXT PRIMARY KEY, size INTEGER NOT NULL) STRICT, WITHOUT ROWID;
    INSERT INTO given SELECT source, sum(size) FROM held GROUP BY source;
    """,
)

HOLD: Final = "INSERT INTO held VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)"
FORGET: Final = """
    DELETE FROM held WHERE seq IN (SELECT value FROM json_each(?)) RETURNING shared, size, room, short, source
"""
SHARERS: Final = "SELECT 1 FROM held WHERE short = ? AND shared = ? LIMIT 1"
BACKLOG: Final = "SELECT queue, count(*), sum(size) FROM held GROUP BY queue ORDER BY queue"
PAGE: Final = """
    SELECT seq, envelope, recipients, exp, hops, source, wraps, size,
        coalesce(held.header, bodies.header), coalesce(held.body, bodies.body)
    FROM held LEFT JOIN bodies ON bodies.n = shared
    WHERE queue = ? AND seq > ? ORDER BY seq LIMIT ?
"""
HELD: Final = """
    SELECT seq, name, queue, envelope, recipients, exp, hops, source, wraps, size
    FROM held CROSS JOIN places ON places.n = queue / 4
    WHERE short = ? AND envelope = ? ORDER BY seq
"""
EXPIRED: Final = """
    SELECT seq, name, queue, envelope, recipients, exp, hops, source, wraps, size
    FROM held CROSS JOIN places ON places.n = queue / 4
    WHERE exp <= ? ORDER BY exp LIMIT ?
"""
PASSED_CREATE: Final = """
    CREATE TABLE {table} (
        n INTEGER PRIMARY KEY,
        short INTEGER NOT NULL,
        recipient TEXT NOT NULL,
        envelope BLOB NOT NULL,
        hop TEXT NOT NULL,
        at INTEGER NOT NULL,
        exp INTEGER NOT NULL,
        vouched BLOB,                -- for all that were handed on by one frame: only in the first of its rows
        first INTEGER                -- n of that row, in the others
    ) STRICT;
    CREATE INDEX {table}_by_envelope ON {table} (short)
"""
PASSED_INSERT: Final = "INSERT INTO {table} VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?)"
PASSED_FIND: Final = """
    SELECT one.hop, one.at, one.exp, coalesce(one.vouched, head.vouched)
    FROM {table} AS one LEFT JOIN {table} AS head ON head.n = one.first
    WHERE one.short = ? AND one.recipient = ? AND one.envelope = ? ORDER BY one.n DESC LIMIT 1
"""
ENDED_CREATE: Final = """
    CREATE TABLE {table} (
        n INTEGER PRIMARY KEY,
        short INTEGER NOT NULL,
        recipient TEXT NOT NULL,
        envelope BLOB NOT NULL,
        reason TEXT NOT NULL,
        at INTEGER NOT NULL,
        exp INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX {table}_by_envelope ON {table} (short)
"""
ENDED_INSERT: Final = "INSERT INTO {table} VALUES (NULL, ?, ?, ?, ?, ?, ?)"
ENDED_FIND: Final = """
    SELECT reason, at, exp FROM {table} WHERE short = ? AND recipient = ? AND envelope = ? ORDER BY n DESC LIMIT 1
"""
OWE: Final = "INSERT INTO owed VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
SETTLE: Final = "DELETE FROM owed WHERE short = ? AND hop = ? AND recipient = ? AND envelope = ?"
OWED: Final = "SELECT envelope, recipient, reason, at, hub, signature FROM owed WHERE hop = ? ORDER BY n LIMIT ?"
WRAPS_OUT: Final = msgspec.msgpack.Encoder().encode
WRAPS_IN: Final = msgspec.msgpack.Decoder(tuple[Wrap, ...]).decode
