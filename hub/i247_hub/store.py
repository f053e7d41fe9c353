"""Save what a hub holds in one SQLite database, and answer from it at once; `tables` says how rows lie.

Rows are appended in order of arrival under an integer key; what must be found by an envelope's id has a
narrow index on the first eight bytes of it (a digest, so hardly two share them) and is compared whole
afterwards. A body that several rows share lies in a table of its own. Who gave an envelope is written in
its row, and in a total of bytes for each giver; both are overwritten when they go. docs/architecture.md 6.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, Final

from i247_edges.day_tables import DAY_MINUTES, DayTables
from i247_edges.sqlite import Bindings, Layout, open_database
from i247_hub import tables
from i247_hub.records import (
    Backlog,
    DropExpired,
    Ended,
    Forget,
    Given,
    HandedOn,
    Handing,
    Held,
    Hold,
    Hop,
    KeepCard,
    KeepDirectory,
    Owe,
    Passed,
    Settle,
    hop_named,
)
from i247_hub.tables import QUEUES, bare, listed, members_of, packed, short, wraps_of
from i247_protocol.errors import CallerFault
from i247_protocol.frames import Bounce
from i247_protocol.limits import PROOFS_KEPT_MS
from i247_protocol.names import MINUTE_MS, EnvelopeId, MemberCode, Minutes
from i247_protocol.priority import Priority


class HubStore:
    """A hub's journal and memory in the file `path`; with `:memory:`, in this object."""

    def __init__(
        self, path: str, *, vfs: str | None = None, checkpoint_pages: int | None = None, aside: bool = False
    ) -> None:
        """Open it; with `aside`, a thread of its own brings the log into the file, and commits do not wait for it."""
        self._db = open_database(
            path, LAYOUT, cache_kib=CACHE_KIB, vfs=vfs, checkpoint_pages=checkpoint_pages, aside=aside
        )
        self._handed = DayTables(
            self._db, "passed", create=tables.PASSED_CREATE, insert=tables.PASSED_INSERT, find=tables.PASSED_FIND
        )
        self._ended = DayTables(
            self._db, "ended", create=tables.ENDED_CREATE, insert=tables.ENDED_INSERT, find=tables.ENDED_FIND
        )
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
            for queue, rows, size in self._db.rows(tables.BACKLOG)
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
        found = self._db.rows(tables.PAGE, (place * QUEUES + prio, after, rows))
        return [
            Held(seq, hop, envelope, members_of(to), prio, exp, hops, source, header, body, wraps_of(wraps), size)
            for seq, envelope, to, exp, hops, source, wraps, size, header, body in found
        ]

    def held(self, envelope: EnvelopeId) -> Sequence[Held]:
        """Return the rows of one envelope, in order; headers and bodies are left empty."""
        return [bare(row) for row in self._db.rows(tables.HELD, (short(envelope), envelope))]

    def expired(self, minute: Minutes, limit: int) -> Sequence[Held]:
        """Return at most `limit` held rows that expired at or before a minute; headers and bodies are left empty."""
        return [bare(row) for row in self._db.rows(tables.EXPIRED, (minute, limit))]

    def handed_on(self, envelope: EnvelopeId, recipient: MemberCode) -> Handing | None:
        """Return who took this envelope for this recipient, the newest, or None."""
        row = self._handed.find((short(envelope), recipient, envelope))
        return Handing(envelope, recipient, *row) if row else None

    def ended(self, envelope: EnvelopeId, recipient: MemberCode) -> Ended | None:
        """Return why this envelope went no further for this recipient, the newest, or None."""
        row = self._ended.find((short(envelope), recipient, envelope))
        return Ended(envelope, recipient, *row) if row else None

    def owed(self, to: str, limit: int) -> Sequence[Bounce]:
        """Return at most `limit` words of return that `to` has not taken, oldest first."""
        return [Bounce(*row) for row in self._db.rows(tables.OWED, (to, limit))]

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
        code = short(first.envelope)
        for row in rows:
            name = row.hop.text
            place = self._places.get(name) or self._new_place(name)
            room = 100 * len(row.wraps) if shared else row.size
            self._used += room
            self._given[row.source] += row.size
            self._given_anew[row.source] = None
            self._db.write(
                tables.HOLD,
                (
                    row.seq,
                    place * QUEUES + row.prio,
                    code,
                    first.seq if shared else None,
                    row.size,
                    room,
                    row.exp,
                    row.hops,
                    row.envelope,
                    " ".join(row.recipients),
                    row.source,
                    packed(row.wraps),
                    None if shared else row.header,
                    None if shared else row.body,
                    record.at,
                ),
            )
            self._seq = max(self._seq, row.seq)

    def _forget(self, record: Forget) -> None:
        bodies: dict[tuple[int, int], int] = {}
        for shared, size, room, code, source in self._db.rows(tables.FORGET, (listed(record.seqs),)):
            self._used -= room
            self._given[source] -= size
            self._given_anew[source] = None
            if shared is not None:
                bodies[code, shared] = size - room
        for (code, shared), size in bodies.items():
            if not self._db.rows(tables.SHARERS, (code, shared)):
                self._db.write("DELETE FROM bodies WHERE n = ?", (shared,))
                self._used -= size

    def _hand_on(self, record: HandedOn) -> None:
        of_days: dict[int, list[Passed]] = {}
        for one in record.passed:
            of_days.setdefault(one.exp // DAY_MINUTES, []).append(one)
        for passed in of_days.values():
            self._hand_on_of_a_day(record, passed)

    def _hand_on_of_a_day(self, record: HandedOn, passed: list[Passed]) -> None:
        def row(one: Passed, vouched: bytes | None, first: int | None) -> Bindings:
            return short(one.envelope), one.recipient, one.envelope, record.hop, record.at, one.exp, vouched, first

        exp = passed[0].exp
        self._handed.add(exp, row(passed[0], record.vouched, None))
        if len(passed) > 1:
            first = self._db.last_row()
            self._handed.add_many(exp, [row(one, None, first) for one in passed[1:]])

    def _end(self, record: Ended) -> None:
        code, envelope = short(record.envelope), record.envelope
        self._ended.add(record.exp, (code, record.recipient, envelope, record.reason, record.at, record.exp))

    def _owe(self, record: Owe) -> None:
        bounce = record.bounce
        self._settle(Settle(record.to, EnvelopeId(bounce.envelope), MemberCode(bounce.recipient)))
        self._db.write(tables.OWE, (short(bounce.envelope), record.to, record.exp, *bounce))

    def _settle(self, record: Settle) -> None:
        self._db.write(tables.SETTLE, (short(record.envelope), record.to, record.recipient, record.envelope))

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


CACHE_KIB: Final = 64 * 1024
LAYOUT: Final = Layout(owner=tables.OWNER, steps=tables.STEPS)
