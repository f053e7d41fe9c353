"""Queue what has arrived until its turn: small frames apart from large ones, express before bulk, link after link.

A socket is read much faster than what it brings is done. Who has much to say or to sign for so waits behind itself
alone: turns with small frames and turns with one large frame alternate where both come; links follow one another, a
frame each; and express goes before bulk, but never for more than `SHARE` frames in a row while bulk
waits. What finds no room stays with ZeroMQ, which knows no lanes. docs/protocol.md 9.5 and 11.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import Final

from i247_protocol.limits import ARRIVED_BYTES_MAX, ARRIVED_FRAMES_MAX
from i247_protocol.machine import FrameArrived, LinkId
from i247_protocol.priority import Lane

Links = dict[LinkId, deque[FrameArrived]]
"""The frames of each link, in order; the link whose turn is next comes first."""


class Arrivals:
    """The frames that a hub has read and not handled yet."""

    def __init__(self, lane_of: Callable[[LinkId], Lane]) -> None:
        """Queue frames by what `lane_of` says of their links when they arrive."""
        self._lane_of = lane_of
        self._small = _Lanes()
        self._large = _Lanes()
        self._were_small = False
        self._frames = self._bytes = 0

    def __len__(self) -> int:
        return self._frames

    @property
    def frames_free(self) -> int:
        """How many more frames may be read now."""
        return max(0, ARRIVED_FRAMES_MAX - self._frames) if self.bytes_free else 0

    @property
    def bytes_free(self) -> int:
        """After how many more bytes reading should stop."""
        return max(0, ARRIVED_BYTES_MAX - self._bytes)

    def add(self, frame: FrameArrived) -> None:
        """Append a frame to what waits of its link."""
        lane, link = self._lane_of(frame.link), frame.link
        if len(frame.data) > SMALL_BYTES_MAX or self._large.has(lane, link):  # nothing overtakes on one link
            self._large.add(lane, frame)
        else:
            self._small.add(lane, frame)
        self._frames += 1
        self._bytes += len(frame.data)

    def take(self, is_enough: Callable[[], bool]) -> Iterator[FrameArrived]:
        """Yield frames in their order, until it is enough or others should have their turn; one at least, if any."""
        after_small = self._were_small
        lanes = self._large if self._large.wait and (after_small or not self._small.wait) else self._small
        self._were_small = lanes is self._small
        while lanes.wait:
            frame = lanes.next()
            self._frames -= 1
            self._bytes -= len(frame.data)
            yield frame
            if is_enough() or (lanes is self._large and (after_small or self._small.wait)):
                return


class _Lanes:
    """Frames of one size, by lane and link."""

    __slots__ = ("_bulk", "_express", "_in_a_row")

    def __init__(self) -> None:
        self._express: Links = {}
        self._bulk: Links = {}
        self._in_a_row = 0

    @property
    def wait(self) -> bool:
        return bool(self._express or self._bulk)

    def has(self, lane: Lane, link: LinkId) -> bool:
        return link in self._links(lane)

    def add(self, lane: Lane, frame: FrameArrived) -> None:
        self._links(lane).setdefault(frame.link, deque()).append(frame)

    def next(self) -> FrameArrived:
        if self._express and (self._in_a_row < SHARE or not self._bulk):
            self._in_a_row += 1
            links = self._express
        else:
            self._in_a_row = 0
            links = self._bulk
        link = next(iter(links))
        frames = links.pop(link)
        frame = frames.popleft()
        if frames:
            links[link] = frames
        return frame

    def _links(self, lane: Lane) -> Links:
        return self._express if lane is Lane.EXPRESS else self._bulk


SHARE: Final = 8
SMALL_BYTES_MAX: Final = 2_048
"""An envelope of 1 KiB, or custody for some thirty; a large frame may take a machine ten times as long as a commit."""
