"""Gather the frames of one turn, and merge neighbours of one kind for one link.

Thirty-two envelopes in one frame cost a hub about what three cost in three. Order within a link is kept:
only neighbours merge. docs/protocol.md 9.2.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

from i247_protocol.frames import Ask, Frame, Pair, Parcel, Put, Taken, encode_frame
from i247_protocol.limits import BATCH_BYTES_MAX, BATCH_PARCELS_MAX, PAIR_RECIPIENTS_MAX, PAIRS_MAX
from i247_protocol.machine import LinkId

P = TypeVar("P", Pair, Taken)


class Bundle:
    """Frames to be sent, by link, in order."""

    def __init__(self) -> None:
        self._queues: dict[LinkId, list[Frame | _Open]] = {}

    def add(self, link: LinkId, frame: Frame) -> None:
        """Append `frame`, merging it into the last one for `link` where both allow it."""
        queue = self._queues.get(link)
        if queue is None:
            self._queues[link] = [frame]
            return
        last = queue[-1]
        if isinstance(last, _MERGEABLE) and type(last) is type(frame):
            last = queue[-1] = _Open(last)  # only now, since most frames stay alone
        if not isinstance(last, _Open) or not last.absorbs(frame):
            queue.append(frame)

    def frames(self) -> list[tuple[LinkId, bytes]]:
        """Return the encoded frames link by link."""
        return [
            (link, encode_frame(one.closed() if isinstance(one, _Open) else one))
            for link, queue in self._queues.items()
            for one in queue
        ]


def framefuls(named: Iterable[P]) -> Iterator[tuple[P, ...]]:
    """Yield what names envelopes and recipients in order, as much at a time as one frame may hold."""
    batch: list[P] = []
    count = 0
    for one in named:
        if batch and (len(batch) == PAIRS_MAX or count + len(one.recipients) > PAIR_RECIPIENTS_MAX):
            yield tuple(batch)
            batch, count = [], 0
        batch.append(one)
        count += len(one.recipients)
    if batch:
        yield tuple(batch)


def batches(parcels: Iterable[Parcel]) -> Iterator[tuple[Parcel, ...]]:
    """Yield `parcels` in order, as many at a time as one frame should carry."""
    batch: list[Parcel] = []
    size = 0
    for parcel in parcels:
        if batch and (len(batch) == BATCH_PARCELS_MAX or size + parcel.size > BATCH_BYTES_MAX):
            yield tuple(batch)
            batch, size = [], 0
        batch.append(parcel)
        size += parcel.size
    if batch:
        yield tuple(batch)


class _Open:
    """A frame that may still grow."""

    __slots__ = ("count", "first", "items", "size")

    def __init__(self, frame: Frame) -> None:
        self.first = frame
        self.items = list(_items(frame))
        self.count = _count(self.items)
        self.size = _size(frame)

    def absorbs(self, frame: Frame) -> bool:
        mine = self.first
        if type(frame) is not type(mine) or frame.session != mine.session:
            return False
        size = _size(frame)
        many = BATCH_PARCELS_MAX if isinstance(frame, Put) else PAIRS_MAX
        more = _items(frame)
        if self.size + size > BATCH_BYTES_MAX or self.count + _count(more) > many:
            return False
        self.count += _count(more)
        self.items += more
        self.size += size
        return True

    def closed(self) -> Frame:
        frame = self.first
        match frame:
            case Put():
                return Put(frame.session, tuple(item for item in self.items if isinstance(item, Parcel)))
            case Ask():
                return Ask(frame.session, tuple(item for item in self.items if isinstance(item, Pair)))
            case _:
                return frame


def _items(frame: Frame) -> tuple[object, ...]:
    match frame:
        case Put():
            return frame.parcels
        case Ask():
            return frame.pairs
        case _:
            return ()


def _count(items: Iterable[object]) -> int:
    return sum(len(item.recipients) if isinstance(item, Pair) else 1 for item in items)


def _size(frame: Frame) -> int:
    match frame:
        case Put():
            return sum(parcel.size for parcel in frame.parcels)
        case Ask():
            return PAIR_BYTES * len(frame.pairs)
        case _:
            return 0


_MERGEABLE = (Put, Ask)
PAIR_BYTES = 48
