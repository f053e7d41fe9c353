"""Hold what a hub saves in plain tables: the same answers as the real store, and a turn can be taken back.

Held against `i247_hub.store` by one model test. Every answer costs a few steps, whatever is held.
docs/simulation.md 2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

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
    Settle,
)
from i247_protocol.errors import CallerFault
from i247_protocol.frames import Bounce
from i247_protocol.limits import PROOFS_KEPT_MS
from i247_protocol.names import MINUTE_MS, EnvelopeId, MemberCode, Minutes
from i247_protocol.priority import Priority
from i247_simulations.ordered import OrderedRows
from i247_simulations.undoing import Undoing

Queue = tuple[str, Priority]
Word = tuple[str, bytes, str]


@dataclass(slots=True)
class _Owed:
    n: int
    bounce: Bounce
    exp: Minutes


class PlainHubMemory:
    """A hub's memory; `persist` changes it, `undoing` takes a turn back."""

    def __init__(self) -> None:
        self.undoing = Undoing()
        self._numbers = {"seq": 0, "used": 0, "owed": 0}
        self._rows: dict[int, tuple[Held, int]] = {}
        self._queues: dict[Queue, OrderedRows[int, Held]] = {}
        self._by_envelope: dict[bytes, dict[int, Held]] = {}
        self._by_expiry: OrderedRows[tuple[int, int], Held] = OrderedRows()
        self._sharers: dict[int, int] = {}
        self._handed: dict[int, dict[tuple[bytes, str], Handing]] = {}
        self._ended: dict[int, dict[tuple[bytes, str], Ended]] = {}
        self._owed: dict[str, OrderedRows[int, Bounce]] = {}
        self._words: dict[Word, _Owed] = {}
        self._words_by_expiry: dict[int, dict[Word, None]] = {}
        self._cards: dict[str, bytes] = {}
        self._directory: dict[int, bytes] = {}

    def persist(self, record: object) -> None:
        """Take one record into the open turn."""
        match record:
            case Hold():
                self._hold(record)
            case Forget(seqs):
                for seq in seqs:
                    self._forget(seq)
            case HandedOn(hop, at, vouched, passed):
                for envelope, recipient, exp in passed:
                    day = self._handed.setdefault(exp // DAY_MINUTES, {})
                    handing = Handing(envelope, recipient, hop, at, exp, vouched)
                    self.undoing.put(day, (envelope, recipient), handing)
            case Ended():
                ended = self._ended.setdefault(record.exp // DAY_MINUTES, {})
                self.undoing.put(ended, (record.envelope, record.recipient), record)
            case Owe():
                self._owe(record)
            case Settle(to, envelope, recipient):
                self._settle((to, envelope, recipient))
            case KeepCard(member, card):
                self.undoing.put(self._cards, member, card)
            case KeepDirectory(data):
                self.undoing.put(self._directory, 1, data)
            case DropExpired(minute):
                self._drop_expired(minute)
            case _:
                raise CallerFault("saving a record", "a hub saves only what its records list")

    # --- the memory ---

    def last_seq(self) -> int:
        """Return the highest `seq` ever used, or 0."""
        return self._numbers["seq"]

    def used_bytes(self) -> int:
        """Return the bytes that held rows and bodies take."""
        return self._numbers["used"]

    def backlog(self) -> Sequence[Backlog]:
        """Return what waits, by next place and priority; asked only at a start."""
        return [
            Backlog(next(iter(rows)).hop, prio, len(rows), sum(row.size for row in rows))
            for (_, prio), rows in self._queues.items()
            if len(rows)
        ]

    def given(self) -> Sequence[Given]:
        """Return what is held, by who gave it; asked only at a start."""
        totals: dict[str, int] = {}
        for row, _ in self._rows.values():
            totals[row.source] = totals.get(row.source, 0) + row.size
        return [Given(*total) for total in sorted(totals.items())]

    def page(self, hop: Hop, prio: Priority, after: int, rows: int) -> Sequence[Held]:
        """Return at most `rows` held rows with `seq` > `after`, in order."""
        queue = self._queues.get((hop.text, prio))
        return [] if queue is None else list(islice(queue.after(after), rows))

    def held(self, envelope: EnvelopeId) -> Sequence[Held]:
        """Return the rows of one envelope, in order; headers and bodies are left empty, as in the real store."""
        rows = self._by_envelope.get(envelope)
        if not rows:
            return ()
        return [_bare(rows[seq]) for seq in sorted(rows)]

    def expired(self, minute: Minutes, limit: int) -> Sequence[Held]:
        """Return at most `limit` held rows that expired at or before a minute, the earliest first."""
        found: list[Held] = []
        for row in self._by_expiry:
            if row.exp > minute or len(found) == limit:
                break
            found.append(_bare(row))
        return found

    def handed_on(self, envelope: EnvelopeId, recipient: MemberCode) -> Handing | None:
        """Return who took this envelope for this recipient, the newest, or None."""
        for day in sorted(self._handed, reverse=True):
            found = self._handed[day].get((envelope, recipient))
            if found is not None:
                return found
        return None

    def ended(self, envelope: EnvelopeId, recipient: MemberCode) -> Ended | None:
        """Return why this envelope went no further for this recipient, the newest, or None."""
        for day in sorted(self._ended, reverse=True):
            found = self._ended[day].get((envelope, recipient))
            if found is not None:
                return found
        return None

    def owed(self, to: str, limit: int) -> Sequence[Bounce]:
        """Return at most `limit` words of return that `to` has not taken, the oldest first."""
        return list(islice(self._owed.get(to, ()), limit))

    def cards(self) -> Sequence[bytes]:
        """Return the newest keycard of each member that has one, by member code."""
        return [self._cards[member] for member in sorted(self._cards)]

    def directory(self) -> bytes | None:
        """Return the directory as last saved, or None."""
        return self._directory.get(1)

    @property
    def rows(self) -> int:
        """How many rows are held; for observers."""
        return len(self._rows)

    def oldest_expiry(self) -> int | None:
        """Return the earliest minute in which a held row expires; for observers."""
        first = self._by_expiry.first()
        return None if first is None else first[0][0]

    # --- one method a record ---

    def _hold(self, record: Hold) -> None:
        first = record.rows[0]
        used = len(first.header) + len(first.body)
        for row in record.rows:
            used += 100 * len(row.wraps)
            self._add(row, first.seq)
            self.undoing.note(self._take, row.seq)
        self._count("used", self._numbers["used"] + used)
        self._count("seq", max(self._numbers["seq"], record.rows[-1].seq, first.seq))

    def _forget(self, seq: int) -> None:
        taken = self._take(seq)
        if taken is None:
            return
        row, body = taken
        self.undoing.note(self._add, row, body)
        used = 100 * len(row.wraps)
        if body not in self._sharers:
            used += len(row.header) + len(row.body)
        self._count("used", self._numbers["used"] - used)

    def _add(self, row: Held, body: int) -> None:
        self._rows[row.seq] = (row, body)
        self._sharers[body] = self._sharers.get(body, 0) + 1
        self._queues.setdefault((row.hop.text, row.prio), OrderedRows()).put(row.seq, row)
        self._by_envelope.setdefault(row.envelope, {})[row.seq] = row
        self._by_expiry.put((row.exp, row.seq), row)

    def _take(self, seq: int) -> tuple[Held, int] | None:
        taken = self._rows.pop(seq, None)
        if taken is None:
            return None
        row, body = taken
        self._sharers[body] -= 1
        if not self._sharers[body]:
            del self._sharers[body]
        self._queues[row.hop.text, row.prio].remove(seq)
        rows = self._by_envelope[row.envelope]
        del rows[seq]
        if not rows:
            del self._by_envelope[row.envelope]
        self._by_expiry.remove((row.exp, seq))
        return taken

    def _owe(self, record: Owe) -> None:
        word = (record.to, record.bounce.envelope, record.bounce.recipient)
        self._settle(word)
        n = self._numbers["owed"] + 1
        self._count("owed", n)
        self._add_word(word, _Owed(n, record.bounce, record.exp))
        self.undoing.note(self._take_word, word)

    def _settle(self, word: Word) -> None:
        taken = self._take_word(word)
        if taken is not None:
            self.undoing.note(self._add_word, word, taken)

    def _add_word(self, word: Word, owed: _Owed) -> None:
        self._words[word] = owed
        self._words_by_expiry.setdefault(owed.exp, {})[word] = None
        self._owed.setdefault(word[0], OrderedRows()).put(owed.n, owed.bounce)

    def _take_word(self, word: Word) -> _Owed | None:
        owed = self._words.pop(word, None)
        if owed is None:
            return None
        del self._words_by_expiry[owed.exp][word]
        if not self._words_by_expiry[owed.exp]:
            del self._words_by_expiry[owed.exp]
        self._owed[word[0]].remove(owed.n)
        return owed

    def _drop_expired(self, minute: Minutes) -> None:
        kept_since = minute - PROOFS_KEPT_MS // MINUTE_MS
        for day in [day for day in self._handed if (day + 1) * DAY_MINUTES - 1 <= kept_since]:
            self.undoing.pop(self._handed, day)
        for day in [day for day in self._ended if (day + 1) * DAY_MINUTES - 1 <= kept_since]:
            self.undoing.pop(self._ended, day)
        for exp in [exp for exp in self._words_by_expiry if exp <= minute]:
            for word in list(self._words_by_expiry[exp]):
                self._settle(word)

    def _count(self, name: str, value: int) -> None:
        self.undoing.put(self._numbers, name, value)


def _bare(row: Held) -> Held:
    return row._replace(header=b"", body=b"")


DAY_MINUTES: Final = 24 * 60
