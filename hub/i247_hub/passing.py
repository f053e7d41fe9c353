"""Remember envelopes that are put to their next place before they are saved here.

As long as this hub has not given custody, the giver has them. If the next place signs for one in the meantime, no row
of it needs to be written; otherwise it is saved after a moment. Nothing here survives a stop, and nothing of it was
promised. docs/protocol.md 9.4, docs/decisions/0012-custody-by-the-next-place.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import NamedTuple

from i247_hub.records import Held, Hop
from i247_protocol.limits import PASSING_BYTES_MAX, PASSING_ROWS_MAX
from i247_protocol.machine import LinkId
from i247_protocol.names import EnvelopeId, MonoMs, Now, WallMs
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
    left: list[Held]
    """The rows that no next place has signed for yet."""
    began: WallMs
    due: MonoMs

    @property
    def envelope(self) -> EnvelopeId:
        """Which envelope it is."""
        return self.rows[0].envelope

    @property
    def size(self) -> int:
        """Bytes for which its rows count."""
        return sum(row.size for row in self.rows)


class Passing:
    """All envelopes that are not saved, oldest first."""

    def __init__(self, within_ms: int) -> None:
        """Let each be saved after `within_ms`; with 0, nothing passes without being saved."""
        self._within_ms = within_ms
        self._passages: dict[EnvelopeId, Passage] = {}
        self.size = 0
        """Bytes for which all of it counts."""

    def has_room(self, rows: Sequence[Held]) -> bool:
        """Whether one more envelope may pass."""
        size = sum(row.size for row in rows)
        few = len(self._passages) < PASSING_ROWS_MAX and self.size + size <= PASSING_BYTES_MAX
        return few and self._within_ms > 0

    def begin(self, rows: tuple[Held, ...], giver: Giver, now: Now) -> None:
        """Note an envelope that is about to be put."""
        passage = Passage(giver, rows, list(rows), now.wall, MonoMs(now.mono + self._within_ms))
        self._passages[passage.envelope] = passage
        self.size += passage.size

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
        return True, None if left else self.take_out(row.envelope)

    def take_out(self, envelope: EnvelopeId) -> Passage | None:
        """Remove an envelope: it has passed, or is saved now."""
        passage = self._passages.pop(envelope, None)
        if passage is not None:
            self.size -= passage.size
        return passage

    def due(self, now: Now) -> list[EnvelopeId]:
        """Return the envelopes that have taken too long."""
        return [one.envelope for one in takewhile(lambda one: one.due <= now.mono, self._passages.values())]

    def at(self, hop: Hop, lane: Lane) -> Iterator[EnvelopeId]:
        """Yield the envelopes of which a row waits in one mailbox."""
        for passage in list(self._passages.values()):
            if any(row.hop == hop and lane_of(row.prio) is lane for row in passage.left):
                yield passage.envelope

    def next_deadline(self) -> MonoMs | None:
        """Return when the oldest has taken too long."""
        return next((one.due for one in self._passages.values()), None)
