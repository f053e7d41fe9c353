"""Remember envelopes that are put to their next place before they are saved here.

As long as this hub has not given custody, the giver has them. If the next place signs for one in the meantime, no row
of it needs to be written; otherwise it is saved after a moment. Nothing here survives a stop, and nothing of it was
promised. docs/protocol.md 9.4, docs/decisions/0012-custody-by-the-next-place.md.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import NamedTuple

from i247_hub.records import Held, Hop
from i247_protocol.limits import PASSING_BYTES_MAX, PASSING_ENVELOPES_MAX, PASSING_MS
from i247_protocol.machine import LinkId
from i247_protocol.names import EnvelopeId, MonoMs, Now
from i247_protocol.priority import Lane, lane_of


class Giver(NamedTuple):
    """Who waits for custody of an envelope: a session, and the hops that the envelope had in it."""

    link: LinkId
    session: bytes
    hops: int


@dataclass(slots=True)
class Passage:
    """One envelope on its way, with a row for each of its next places."""

    giver: Giver
    rows: tuple[Held, ...]
    size: int
    """Bytes for which its rows count."""
    left: list[Held]
    """The rows that no next place has signed for yet."""
    began: Now

    @property
    def due(self) -> MonoMs:
        """When it has taken too long."""
        return MonoMs(self.began.mono + PASSING_MS)


class Passing:
    """All envelopes that are not saved, oldest first."""

    def __init__(self) -> None:
        self._passages: dict[EnvelopeId, Passage] = {}
        self._rows_at: Counter[tuple[Hop, Lane]] = Counter()
        self.size = 0
        """Bytes for which all of it counts."""

    def begin(self, rows: tuple[Held, ...], giver: Giver, now: Now) -> bool:
        """Note an envelope that is about to be put; return False when there is no room for one more."""
        size = sum(row.size for row in rows)
        if len(self._passages) >= PASSING_ENVELOPES_MAX or self.size + size > PASSING_BYTES_MAX:
            return False
        self._passages[rows[0].envelope] = Passage(giver, rows, size, list(rows), now)
        self._rows_at.update(map(_place, rows))
        self.size += size
        return True

    def rows(self, envelope: EnvelopeId) -> Sequence[Held]:
        """Return the rows of an envelope that nobody has signed for, in order."""
        passage = self._passages.get(envelope)
        return () if passage is None else passage.left

    def over(self, row: Held) -> tuple[bool, Passage | None]:
        """Note that a row is done with; return whether it was here, and the passage when that ends with it."""
        passage = self._passages.get(row.envelope)
        if passage is None:
            return False, None
        left = [one for one in passage.left if one.seq != row.seq]
        if len(left) == len(passage.left):
            return False, None
        passage.left = left
        self._leaves((row,))
        return True, None if left else self.take_out(row.envelope)

    def take_out(self, envelope: EnvelopeId) -> Passage | None:
        """Remove an envelope: it has passed, or is saved now."""
        passage = self._passages.pop(envelope, None)
        if passage is not None:
            self.size -= passage.size
            self._leaves(passage.left)
        return passage

    def due(self, now: Now) -> list[EnvelopeId]:
        """Return the envelopes that have taken too long."""
        return [envelope for envelope, _ in takewhile(lambda one: one[1].due <= now.mono, self._passages.items())]

    def at(self, hop: Hop, lane: Lane) -> Iterator[EnvelopeId]:
        """Yield the envelopes of which a row waits in one mailbox."""
        if not self._rows_at[hop, lane]:  # nearly always, where a mailbox is read page by page
            return
        for envelope, passage in list(self._passages.items()):
            if any(_place(row) == (hop, lane) for row in passage.left):
                yield envelope

    def next_deadline(self) -> MonoMs | None:
        """Return when the oldest has taken too long."""
        return next((one.due for one in self._passages.values()), None)

    def _leaves(self, rows: Sequence[Held]) -> None:
        for row in rows:
            place = _place(row)
            self._rows_at[place] -= 1
            if not self._rows_at[place]:
                del self._rows_at[place]


def _place(row: Held) -> tuple[Hop, Lane]:
    return row.hop, lane_of(row.prio)
