"""Queue what has arrived until its turn: small frames apart from large ones, express before bulk, link after link.

A socket is read much faster than what it brings is done. Who has much to say or to sign for so waits behind itself
alone: turns with small frames and turns with one large frame alternate where both come; links follow one another, a
frame each. Express goes before bulk, and on bulk custody and the like before puts, which only begin work: a hub that is
asked too much first ends what it has begun. None of these goes first for more than `SHARE` frames in a row while others
wait. What finds no room stays with ZeroMQ, which knows no lanes. docs/protocol.md 9.5 and 11.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import Final

from i247_protocol.frames import is_put
from i247_protocol.limits import ARRIVED_BYTES_MAX, ARRIVED_FRAMES_MAX
from i247_protocol.machine import FrameArrived, LinkId
from i247_protocol.priority import Lane


class Arrivals:
    """The frames that a hub has read and not handled yet."""

    def __init__(self, lane_of: Callable[[LinkId], Lane]) -> None:
        """Queue frames by what `lane_of` says of their links."""
        self._lane_of = lane_of
        self._waiting: dict[LinkId, deque[FrameArrived]] = {}
        self._small = _Rota()
        self._large = _Rota()
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
        frames = self._waiting.get(frame.link)
        if frames is None:
            self._waiting[frame.link] = deque((frame,))
            self._line_up(frame)
        else:
            frames.append(frame)
        self._frames += 1
        self._bytes += len(frame.data)

    def take(self, is_enough: Callable[[], bool]) -> Iterator[FrameArrived]:
        """Yield frames in their order, until it is enough or others should have their turn; one at least, if any."""
        after_small = self._were_small
        rota = self._large if self._large and (after_small or not self._small) else self._small
        self._were_small = rota is self._small
        while rota:
            yield self._next(rota)
            if is_enough() or (rota is self._large and (after_small or self._small)):
                return

    def _next(self, rota: _Rota) -> FrameArrived:
        link = rota.next()
        frames = self._waiting[link]
        frame = frames.popleft()
        if frames:
            self._line_up(frames[0])
        else:
            del self._waiting[link]
        self._frames -= 1
        self._bytes -= len(frame.data)
        return frame

    def _line_up(self, first: FrameArrived) -> None:
        rota = self._small if len(first.data) <= SMALL_BYTES_MAX else self._large
        rota.add(first.link, self._lane_of(first.link), begins_work=is_put(first.data))


class _Rota:
    """The links whose first frame is of one size, in the order of their turns: express, what ends work, puts."""

    __slots__ = ("_in_a_row", "_lines")

    def __init__(self) -> None:
        self._lines: tuple[deque[LinkId], ...] = (deque(), deque(), deque())
        self._in_a_row = [0, 0, 0]

    def __bool__(self) -> bool:
        return any(self._lines)

    def add(self, link: LinkId, lane: Lane, *, begins_work: bool) -> None:
        self._lines[0 if lane is Lane.EXPRESS else 2 if begins_work else 1].append(link)

    def next(self) -> LinkId:
        for rank, line in enumerate(self._lines):
            if line and (self._in_a_row[rank] < SHARE or not any(self._lines[rank + 1 :])):
                self._in_a_row[rank] += 1
                return line.popleft()
            self._in_a_row[rank] = 0
        raise IndexError("nobody waits")


SHARE: Final = 8
SMALL_BYTES_MAX: Final = 2_048
"""An envelope of 1 KiB, or custody for some thirty; a large frame may take a machine ten times as long as a commit."""
