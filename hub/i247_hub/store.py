"""Save what a hub holds in one SQLite database, and answer from it at once.

Rows are appended in order of arrival under an integer key; what must be found by an envelope's id has a
narrow index on the first eight bytes of it (a digest, so hardly two share them) and is compared whole
afterwards. A body that several rows share lies in a table of its own. Who gave an envelope is written in
its row, and in a total of bytes for each giver; both are overwritten when they go. docs/architecture.md 6.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec

from i247_edges.day_tables import DayTables
from i247_edges.sqlite import Layout, Row, open_database
from i247_hub.records import (
    Backlog,
    DropExpired,
    Ended,
    Forget,
    Given,
    HandedOn,
    Held,
    Hold,
    Hop,
    KeepCard,
    KeepDirectory,
    Owe,
    Settle,
    hop_named,
)
from i247_protocol.errors import CallerFault
from i247_protocol.frames import Bounce
from i247_protocol.limits import PROOFS_KEPT_MS
from i247_protocol.names import MINUTE_MS, EnvelopeId, MemberCode, Minutes
from i247_protocol.priority import Priority


class HubStore:
    """A hub's journal and memory in the file `path`; with `:memory:`, in this object."""

    def __init__(self, path: str, *, vfs: str | None = None, checkpoint_pages: int | None = None) -> None:
        self._db = open_database(path, LAYOUT, cache_kib=CACHE_KIB, vfs=vfs, checkpoint_pages=checkpoint_pages)
        self._handed = DayTables(self._db, "handed", create=_HANDED_CREATE, insert=_HANDED_INSERT, find=_HANDED_FIND)
        self._ended = DayTables(self._db, "ended", create=_ENDED_CREATE, insert=_ENDED_INSERT, find=_ENDED_FIND)
        self._places: dict[str, int] = {name: n for n, name in self._db.rows("SELECT n, name FROM places")}
        mark = self._db.row("SELECT seq, used FROM mark")
        self._seq: int
        self._used: int
        self._seq, self._used = mark or (0, 0)
        self._marked = (self._seq, self._used)
        self._given: Counter[str] = Counter(dict(self._db.rows("SELECT source, size FROM given")))
        self._given_anew: dict[str, None] = {}
        self._writers: dict[type, Callable[[Any], None]] = {
            Hold: self._hold,
            Forget: self._forget,
            HandedOn: self._hand_on,
            Ended: self._end,
            Owe: self._owe,
            Settle: self._settle,
            KeepCard: self._keep_card,
            KeepDirectory: self._keep_directory,
            DropExpired: self._drop_expired,
        }

    # --- the journal ---

    def persist(self, record: object) -> None:
        """Take one record into the open turn; raise WorldFault when it cannot."""
        writer = self._writers.get(type(record))
        if writer is None:
            raise CallerFault("saving a record", "a hub saves only what its records list")
        writer(record)

    def commit(self) -> None:
        """Make everything since the last commit durable; raise WorldFault when it cannot."""
        mark = (self._seq, self._used)
        if mark != self._marked:
            self._db.write("UPDATE mark SET seq = ?, used = ?", mark)
        for source in self._given_anew:
            self._save_given(source)
        self._given_anew.clear()
        self._db.commit()
        self._marked = mark

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

    # --- the memory ---

    def last_seq(self) -> int:
        """Return the highest `seq` ever used, or 0."""
        self._db.require_sound()
        return self._seq

    def used_bytes(self) -> int:
        """Return the bytes that held rows and bodies take: each header and body once, each row's wraps at 100."""
        self._db.require_sound()
        return self._used

    def backlog(self) -> Sequence[Backlog]:
        """Return what waits, by next place and priority."""
        names = {n: name for name, n in self._places.items()}
        return [
            Backlog(hop_named(names[queue // QUEUES]), Priority(queue % QUEUES), rows, size)
            for queue, rows, size in self._db.rows(_BACKLOG)
        ]

    def given(self) -> Sequence[Given]:
        """Return what is held, by who gave it, in order of names."""
        self._db.require_sound()
        return [Given(source, size) for source, size in sorted(self._given.items()) if size]

    def page(self, hop: Hop, prio: Priority, after: int, rows: int) -> Sequence[Held]:
        """Return at most `rows` held rows with `seq` > `after`, in order."""
        place = self._places.get(hop.text)
        if place is None:
            return []
        found = self._db.rows(_PAGE, (place * QUEUES + prio, after, rows))
        return [
            Held(seq, hop, envelope, _members(to), prio, exp, hops, source, header, body, _wraps(wraps), size)
            for seq, envelope, to, exp, hops, source, wraps, size, header, body in found
        ]

    def held(self, envelope: EnvelopeId) -> Sequence[Held]:
        """Return the rows of one envelope, in order; headers and bodies are left empty."""
        return [_bare(row) for row in self._db.rows(_HELD, (_short(envelope), envelope))]

    def expired(self, minute: Minutes, limit: int) -> Sequence[Held]:
        """Return at most `limit` held rows that expired at or before a minute; headers and bodies are left empty."""
        return [_bare(row) for row in self._db.rows(_EXPIRED, (minute, limit))]

    def handed_on(self, envelope: EnvelopeId, recipient: MemberCode) -> HandedOn | None:
        """Return who took this envelope for this recipient, the newest, or None."""
        row = self._handed.find((_short(envelope), recipient, envelope))
        return HandedOn(envelope, recipient, *row) if row else None

    def ended(self, envelope: EnvelopeId, recipient: MemberCode) -> Ended | None:
        """Return why this envelope went no further for this recipient, the newest, or None."""
        row = self._ended.find((_short(envelope), recipient, envelope))
        return Ended(envelope, recipient, *row) if row else None

    def owed(self, to: str, limit: int) -> Sequence[Bounce]:
        """Return at most `limit` words of return that `to` has not taken, oldest first."""
        return [Bounce(*row) for row in self._db.rows(_OWED, (to, limit))]

    def cards(self) -> Sequence[bytes]:
        """Return the newest keycard of each member that has one, by member code."""
        return [card for (card,) in self._db.rows("SELECT card FROM cards ORDER BY member")]

    def directory(self) -> bytes | None:
        """Return the directory as last saved, or None."""
        row = self._db.row("SELECT data FROM directory")
        return row[0] if row else None

    # --- one method a record ---

    def _hold(self, record: Hold) -> None:
        rows = record.rows
        first = rows[0]
        shared = len(rows) > 1
        if shared:
            if any(row.envelope != first.envelope for row in rows):
                # A body would be handed out under another's name.
                raise CallerFault("saving a record", "the rows of one Hold are of one envelope")
            self._db.write("INSERT INTO bodies VALUES (?, ?, ?)", (first.seq, first.header, first.body))
            self._used += len(first.header) + len(first.body)
        short = _short(first.envelope)
        for row in rows:
            name = row.hop.text
            place = self._places.get(name) or self._new_place(name)
            room = 100 * len(row.wraps) if shared else row.size
            self._used += room
            self._given[row.source] += row.size
            self._given_anew[row.source] = None
            self._db.write(
                _HOLD,
                (
                    row.seq,
                    place * QUEUES + row.prio,
                    short,
                    first.seq if shared else None,
                    row.size,
                    room,
                    row.exp,
                    row.hops,
                    row.envelope,
                    " ".join(row.recipients),
                    row.source,
                    _WRAPS_OUT(row.wraps) if row.wraps else None,
                    None if shared else row.header,
                    None if shared else row.body,
                    record.at,
                ),
            )
            self._seq = max(self._seq, row.seq)

    def _forget(self, record: Forget) -> None:
        gone = self._db.rows(_FORGET, (record.seq,))
        if not gone:
            return
        shared, size, room, short, source = gone[0]
        self._used -= room
        self._given[source] -= size
        self._given_anew[source] = None
        if shared is not None and not self._db.rows(_SHARERS, (short, shared)):
            self._db.write("DELETE FROM bodies WHERE n = ?", (shared,))
            self._used -= size - room

    def _hand_on(self, record: HandedOn) -> None:
        short, envelope = _short(record.envelope), record.envelope
        self._handed.add(
            record.exp, (short, record.recipient, envelope, record.hop, record.at, record.exp, record.proof)
        )

    def _end(self, record: Ended) -> None:
        short, envelope = _short(record.envelope), record.envelope
        self._ended.add(record.exp, (short, record.recipient, envelope, record.reason, record.at, record.exp))

    def _owe(self, record: Owe) -> None:
        bounce = record.bounce
        self._settle(Settle(record.to, EnvelopeId(bounce.envelope), MemberCode(bounce.recipient)))
        self._db.write(_OWE, (_short(bounce.envelope), record.to, record.exp, *bounce))

    def _settle(self, record: Settle) -> None:
        self._db.write(_SETTLE, (_short(record.envelope), record.to, record.recipient, record.envelope))

    def _keep_card(self, record: KeepCard) -> None:
        self._db.write("INSERT OR REPLACE INTO cards VALUES (?, ?)", (record.member, record.card))

    def _keep_directory(self, record: KeepDirectory) -> None:
        self._db.write("INSERT OR REPLACE INTO directory VALUES (1, ?)", (record.data,))

    def _drop_expired(self, record: DropExpired) -> None:
        kept_since = Minutes(record.minute - PROOFS_KEPT_MS // MINUTE_MS)
        self._handed.drop(kept_since)
        self._ended.drop(kept_since)
        self._db.write("DELETE FROM owed WHERE exp <= ?", (record.minute,))

    def _save_given(self, source: str) -> None:
        if self._given[source]:
            self._db.write("INSERT OR REPLACE INTO given VALUES (?, ?)", (source, self._given[source]))
        else:
            del self._given[source]
            self._db.write("DELETE FROM given WHERE source = ?", (source,))

    def _new_place(self, name: str) -> int:
        place = len(self._places) + 1
        self._db.write("INSERT INTO places VALUES (?, ?)", (place, name))
        self._places[name] = place
        return place


def _short(envelope: bytes) -> int:
    return int.from_bytes(envelope[:8], "big", signed=True)


def _bare(row: Row) -> Held:
    seq, name, queue, envelope, to, exp, hops, source, wraps, size = row
    prio = Priority(queue % QUEUES)
    return Held(seq, hop_named(name), envelope, _members(to), prio, exp, hops, source, b"", b"", _wraps(wraps), size)


def _members(text: str) -> tuple[MemberCode, ...]:
    return tuple(map(MemberCode, text.split(" ")))


def _wraps(data: bytes | None) -> tuple[tuple[str, bytes, bytes], ...]:
    return () if data is None else _WRAPS_IN(data)


CACHE_KIB: Final = 64 * 1024
QUEUES: Final = 4
"""Queues of one place, one for each priority."""

LAYOUT: Final = Layout(
    owner=0x69324801,
    steps=(
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
    ),
)

_HOLD: Final = "INSERT INTO held VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)"
_FORGET: Final = "DELETE FROM held WHERE seq = ? RETURNING shared, size, room, short, source"
_SHARERS: Final = "SELECT 1 FROM held WHERE short = ? AND shared = ? LIMIT 1"
_BACKLOG: Final = "SELECT queue, count(*), sum(size) FROM held GROUP BY queue ORDER BY queue"
_PAGE: Final = """
    SELECT seq, envelope, recipients, exp, hops, source, wraps, size,
        coalesce(held.header, bodies.header), coalesce(held.body, bodies.body)
    FROM held LEFT JOIN bodies ON bodies.n = shared
    WHERE queue = ? AND seq > ? ORDER BY seq LIMIT ?
"""
_HELD: Final = """
    SELECT seq, name, queue, envelope, recipients, exp, hops, source, wraps, size
    FROM held CROSS JOIN places ON places.n = queue / 4
    WHERE short = ? AND envelope = ? ORDER BY seq
"""
_EXPIRED: Final = """
    SELECT seq, name, queue, envelope, recipients, exp, hops, source, wraps, size
    FROM held CROSS JOIN places ON places.n = queue / 4
    WHERE exp <= ? ORDER BY exp LIMIT ?
"""
_HANDED_CREATE: Final = """
    CREATE TABLE {table} (
        n INTEGER PRIMARY KEY,
        short INTEGER NOT NULL,
        recipient TEXT NOT NULL,
        envelope BLOB NOT NULL,
        hop TEXT NOT NULL,
        at INTEGER NOT NULL,
        exp INTEGER NOT NULL,
        proof BLOB NOT NULL
    ) STRICT;
    CREATE INDEX {table}_by_envelope ON {table} (short)
"""
_HANDED_INSERT: Final = "INSERT INTO {table} VALUES (NULL, ?, ?, ?, ?, ?, ?, ?)"
_HANDED_FIND: Final = """
    SELECT hop, at, exp, proof FROM {table} WHERE short = ? AND recipient = ? AND envelope = ? ORDER BY n DESC LIMIT 1
"""
_ENDED_CREATE: Final = """
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
_ENDED_INSERT: Final = "INSERT INTO {table} VALUES (NULL, ?, ?, ?, ?, ?, ?)"
_ENDED_FIND: Final = """
    SELECT reason, at, exp FROM {table} WHERE short = ? AND recipient = ? AND envelope = ? ORDER BY n DESC LIMIT 1
"""
_OWE: Final = "INSERT INTO owed VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_SETTLE: Final = "DELETE FROM owed WHERE short = ? AND hop = ? AND recipient = ? AND envelope = ?"
_OWED: Final = "SELECT envelope, recipient, reason, at, hub, signature FROM owed WHERE hop = ? ORDER BY n LIMIT ?"
_WRAPS_OUT: Final = msgspec.msgpack.Encoder().encode
_WRAPS_IN: Final = msgspec.msgpack.Decoder(tuple[tuple[str, bytes, bytes], ...]).decode
