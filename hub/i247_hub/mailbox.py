"""Queue what waits for one next place, in order, with only the head in memory.

Rows near the head are kept with their bodies while the place is connected; the rest lies in the store and
is paged in. First in, first out within one priority; between the priorities of one lane the more urgent
goes first, but never for more than `SHARE` in a row while the other waits. docs/protocol.md 9.5.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Final

from i247_hub.records import Held, Hop
from i247_protocol.limits import (
    MAILBOX_READY_BYTES_MAX,
    MAILBOX_READY_MAX,
    ON_THE_WAY_BYTES_MAX,
    ON_THE_WAY_MAX,
)
from i247_protocol.names import EnvelopeId, MonoMs
from i247_protocol.priority import Lane, Priority
from i247_protocol.session import Session


class Mailbox:
    """The rows for one next place over one lane."""

    def __init__(self, hop: Hop, lane: Lane) -> None:
        self.hop = hop
        self.lane = lane
        self.looked_through = dict.fromkeys(LANES[lane], 0)
        """Up to which `seq` another way was looked for in this round."""
        self.is_cut_short = False
        self._look_again_at = MonoMs(0)
        self._queues = {prio: _Queue() for prio in LANES[lane]}
        self._first, self._second = self._queues.values()
        self._on_the_way: dict[EnvelopeId, list[Held]] = {}
        self._on_the_way_bytes = 0
        self._aside: list[tuple[MonoMs, Held]] = []
        self._in_a_row = 0

    def add(self, row: Held, *, connected: bool) -> None:
        """Append a new row."""
        self._queues[row.prio].add(row, keep=connected)

    def keeps(self, row: Held) -> bool:
        """Whether a new row for a connected place would stay in memory, to leave soon."""
        return not self._queues[row.prio].paused_until and self._queues[row.prio].keeps(row)

    def behind(self, prio: Priority, rows: int) -> None:
        """Learn at start that `rows` rows lie in the store."""
        self._queues[prio].on_disk += rows

    def drop(self, row: Held) -> None:
        """Forget a row that was removed from the store, wherever it is here (its body may be missing)."""
        on_the_way = self._on_the_way.get(row.envelope, [])
        kept = [one for one in on_the_way if one.seq != row.seq]
        if len(kept) < len(on_the_way):
            self._on_the_way[row.envelope] = kept
            self._on_the_way_bytes -= row.size
            if not kept:
                del self._on_the_way[row.envelope]
            return
        self._aside = [(until, one) for until, one in self._aside if one.seq != row.seq]
        self._queues[row.prio].drop(row.seq)

    def wanted_page(self) -> tuple[Priority, int] | None:
        """Return the priority and the `seq` after which rows should be paged in, or None when enough are here."""
        for prio, queue in self._queues.items():
            if queue.on_disk and queue.is_low and not queue.paused_until:
                return prio, queue.tail
        return None

    def page_in(self, prio: Priority, rows: Sequence[Held], asked: int) -> None:
        """Append rows from the store; fewer than were asked for means that nothing is left there."""
        queue = self._queues[prio]
        here = self._numbers_here(queue) if queue.tail < queue.read_before else ()
        fresh = [row for row in rows if row.seq not in here]
        for row in fresh:
            queue.append(row)
        if rows:
            queue.tail = rows[-1].seq
        queue.on_disk = max(0, queue.on_disk - len(fresh)) if len(rows) == asked else 0

    def take(self, session: Session) -> Iterator[Held]:
        """Yield rows in their order as far as the session's credit reaches; they are then on the way.

        The caller spends the credit for what it truly puts, before it takes the next row. A place that gives credit and
        no custody gets only so many, since all that is on the way is in memory.
        """
        while (queue := self._next()) is not None:
            row = queue.ready[0]
            if not session.may_put(row.size) or self._is_far_ahead:
                return
            queue.popped()
            self._on_the_way.setdefault(row.envelope, []).append(row)
            self._on_the_way_bytes += row.size
            yield row

    def settle(self, envelope: EnvelopeId, recipients: tuple[str, ...]) -> list[tuple[Held, bool]]:
        """Return each row on the way that covers some of `recipients`, and whether it is done with."""
        rows = self._on_the_way.get(envelope)
        if rows is None:
            return []
        if len(rows) == 1 and rows[0].recipients == recipients:
            del self._on_the_way[envelope]
            self._on_the_way_bytes -= rows[0].size
            return [(rows[0], True)]
        settled = _settle(rows, set(recipients))
        self._on_the_way_bytes -= sum(row.size for row, done in settled if done)
        if not rows:
            del self._on_the_way[envelope]
        return settled

    def put_back(self) -> None:
        """Queue again, at the head and in order, all that is on the way; it is for a new session."""
        self._prepend(self._all_on_the_way())

    def pause(self, envelope: EnvelopeId, until: MonoMs) -> None:
        """Queue one envelope again, at the head, and let nothing of its priority leave before `until`."""
        back = self._taken_back(envelope)
        self._prepend(back)
        for row in back:
            self._queues[row.prio].paused_until = until

    def put_aside(self, envelope: EnvelopeId, until: MonoMs) -> None:
        """Keep one envelope back for a while, and let the others pass."""
        self._aside += [(until, row) for row in self._taken_back(envelope)]

    def pass_over(self, row: Held, until: MonoMs) -> None:
        """Leave a row that is on the way to the store alone, and let the others pass; `until` holds for the first."""
        if not any(queue.passed_over for queue in self._queues.values()):
            self._look_again_at = until
        self.drop(row)
        self._queues[row.prio].pass_over(row.seq)

    def resumes(self, now: MonoMs) -> bool:
        """Whether there is something to put again, now that a pause is over."""
        over = [row for until, row in self._aside if until <= now]
        self._aside = [(until, row) for until, row in self._aside if until > now]
        self._prepend(over)
        paused = [queue for queue in self._queues.values() if 0 < queue.paused_until <= now]
        for queue in paused:
            queue.paused_until = MonoMs(0)
        return bool(over or paused) or self._looks_again(now)

    def let_go(self) -> None:
        """Keep nothing in memory for a place that is not connected; the store has it all."""
        self.put_back()
        for _, row in self._aside:
            self._queues[row.prio].prepend(row)
        self._aside.clear()
        for queue in self._queues.values():
            queue.let_go()

    def on_the_way(self, envelope: EnvelopeId) -> Sequence[Held]:
        """Return the rows of an envelope that were put and are not settled."""
        return self._on_the_way.get(envelope, ())

    @property
    def rows_on_disk(self) -> int:
        """How many rows are known to lie in the store alone."""
        return sum(queue.on_disk + queue.passed_over for queue in self._queues.values())

    @property
    def rows(self) -> int:
        """How many rows wait or are on the way."""
        ready = sum(len(queue.ready) for queue in self._queues.values())
        return ready + len(self._aside) + self.rows_on_disk + sum(len(rows) for rows in self._on_the_way.values())

    def _looks_again(self, now: MonoMs) -> bool:
        """Go on where a look at what waits was cut short; at its end, now and then, begin anew with what was passed."""
        cut_short, self.is_cut_short = self.is_cut_short, False
        if cut_short or any(queue.on_disk for queue in self._queues.values()):
            return cut_short
        if now < self._look_again_at or not any(queue.passed_over for queue in self._queues.values()):
            return False
        for queue in self._queues.values():
            queue.read_again()
        return True

    def _numbers_here(self, queue: _Queue) -> set[int]:
        aside = (row for _, row in self._aside)
        return {row.seq for row in chain(queue.ready, aside, *self._on_the_way.values())}

    def _prepend(self, rows: Iterable[Held]) -> None:
        # Two pauses may end in another order than they began in.
        for row in sorted(rows, key=lambda row: row.seq, reverse=True):
            self._queues[row.prio].prepend(row)

    def _all_on_the_way(self) -> list[Held]:
        rows = [row for rows in self._on_the_way.values() for row in rows]
        self._on_the_way.clear()
        self._on_the_way_bytes = 0
        return rows

    def _taken_back(self, envelope: EnvelopeId) -> list[Held]:
        rows = self._on_the_way.pop(envelope, [])
        self._on_the_way_bytes -= sum(row.size for row in rows)
        return rows

    @property
    def _is_far_ahead(self) -> bool:
        return len(self._on_the_way) >= ON_THE_WAY_MAX or self._on_the_way_bytes >= ON_THE_WAY_BYTES_MAX

    def _next(self) -> _Queue | None:
        first, second = self._first, self._second
        first_leaves, second_leaves = first.leaves, second.leaves
        if not (first_leaves and second_leaves):
            self._in_a_row = 0
            return first if first_leaves else second if second_leaves else None
        if self._in_a_row >= SHARE:
            self._in_a_row = 0
            return second
        self._in_a_row += 1
        return first


def _settle(rows: list[Held], named: set[str]) -> list[tuple[Held, bool]]:
    """Take what is `named` out of `rows`; return the parts taken, each with whether its row is done with."""
    settled = []
    for row in list(rows):
        if named.isdisjoint(row.recipients):
            continue
        rows.remove(row)
        left = tuple(member for member in row.recipients if member not in named)
        if left:
            rows.append(row._replace(recipients=left))
        settled.append((row._replace(recipients=tuple(m for m in row.recipients if m in named)), not left))
    return settled


class _Queue:
    """One priority: rows in memory, then rows in the store."""

    __slots__ = ("on_disk", "passed_over", "paused_until", "read_before", "ready", "size", "tail")

    def __init__(self) -> None:
        self.ready: deque[Held] = deque()
        self.size = 0
        self.tail = 0
        self.on_disk = 0
        self.passed_over = 0
        """Rows up to `tail` that were left in the store."""
        self.read_before = 0
        """Rows up to this one may be here already."""
        self.paused_until = MonoMs(0)
        """When its place has said that it is busy."""

    @property
    def leaves(self) -> bool:
        return bool(self.ready) and not self.paused_until

    @property
    def is_low(self) -> bool:
        return len(self.ready) < MAILBOX_READY_MAX // 4 and self.size < MAILBOX_READY_BYTES_MAX // 2

    def keeps(self, row: Held) -> bool:
        full = len(self.ready) >= MAILBOX_READY_MAX or self.size + row.size > MAILBOX_READY_BYTES_MAX
        return not self.on_disk and not full

    def add(self, row: Held, *, keep: bool) -> None:
        if keep and self.keeps(row):
            self.append(row)
        else:
            self.on_disk += 1

    def append(self, row: Held) -> None:
        self.ready.append(row)
        self.size += row.size
        self.tail = row.seq

    def prepend(self, row: Held) -> None:
        # It was read before, so the tail is behind it, or is on its way there again.
        self.ready.appendleft(row)
        self.size += row.size

    def popped(self) -> None:
        self.size -= self.ready.popleft().size

    def drop(self, seq: int) -> None:
        for row in self.ready:
            if row.seq == seq:
                self.ready.remove(row)
                self.size -= row.size
                return
        if self.passed_over and seq <= self.tail:
            self.passed_over -= 1
        else:
            self.on_disk = max(0, self.on_disk - 1)

    def pass_over(self, seq: int) -> None:
        if seq <= self.tail:
            self.passed_over += 1
        else:
            self.on_disk += 1

    def let_go(self) -> None:
        self.on_disk += len(self.ready) + self.passed_over
        self.passed_over = 0
        self.ready.clear()
        self.size = 0
        self.tail = 0
        self.read_before = 0

    def read_again(self) -> None:
        before = max(self.tail, self.read_before)
        self.let_go()
        self.read_before = before


LANES: Final = {
    Lane.EXPRESS: (Priority.CONTROL, Priority.URGENT),
    Lane.BULK: (Priority.ROUTINE, Priority.BULK),
}
SHARE: Final = 8
