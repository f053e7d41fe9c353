"""Be members at a hub, in this process or in one of their own: submit, receive, and pass messages to one another."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Final, Self

import zmq

from i247_edges.link import Context
from i247_edges.poller import Poller
from i247_protocol.limits import BATCH_PARCELS_MAX
from member_lane import BODY_BYTES, Batch, MemberLane, Membership


class Station:
    """Lanes of some members, turned together."""

    def __init__(self, *members: Membership) -> None:
        self._context: Context = zmq.Context()
        self._poller = Poller()
        self.lanes = [MemberLane(self._context, self._poller, member) for member in members]
        self._alive_until = 0.0
        self.turn_until(lambda: all(lane.session.is_open for lane in self.lanes))

    def turn_until(self, condition: Callable[[], bool], seconds: float = 60.0) -> None:
        """Take what comes until `condition` holds; raise TimeoutError when it does not come to that."""
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                raise TimeoutError("waited for a hub")
            ready = self._poller.wait(TURN_MS)
            for lane in self.lanes:
                lane.turn(ready)

    def turn_for(self, milliseconds: int) -> None:
        """Take what comes, after so long at most."""
        ready = self._poller.wait(milliseconds)
        for lane in self.lanes:
            lane.turn(ready)

    def show_life(self) -> None:
        """Say something on each lane now and then, so that the hub takes no silence for a loss."""
        if time.monotonic() >= self._alive_until:
            self._alive_until = time.monotonic() + ALIVE_S
            for lane in self.lanes:
                lane.show_life()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for lane in self.lanes:
            lane.close()
        self._poller.close()
        self._context.destroy(linger=0)


class Giver(Station):
    """A member that submits messages for one that is away."""

    def give(self, messages: int) -> float:
        """Submit so many, prepared beforehand; return the seconds until the hub has custody of all."""
        (lane,) = self.lanes
        spent = 0.0
        for begun in range(0, messages, PREPARED):
            part = min(PREPARED, messages - begun)
            batches = [lane.batch(min(BATCH, part - n), BODY_BYTES) for n in range(0, part, BATCH)]
            lane.show_life()
            begin = time.perf_counter()
            self._submit(lane, batches, part)
            spent += time.perf_counter() - begin
        return spent

    def _submit(self, lane: MemberLane, batches: list[Batch], messages: int) -> None:
        lane.held = 0

        def is_all_held() -> bool:
            while batches and lane.put(batches[-1]):
                batches.pop()
            return lane.held >= messages

        self.turn_until(is_all_held)


class Passing(Station):
    """Two members at one hub, of whom the first writes to the second, a message at a time."""

    def times_ms(self, seconds: float) -> list[float]:
        """Pass messages for so long; return how many ms each took until it had arrived and its sender had custody."""
        sender, receiver = self.lanes
        taken: list[float] = []
        end = time.monotonic() + seconds
        while not taken or time.monotonic() < end:
            batch = sender.batch(1, BODY_BYTES)
            sender.held = receiver.arrived = 0
            begin = time.perf_counter()
            sender.put(batch)
            self.turn_until(lambda: sender.held > 0 and receiver.arrived > 0)
            taken.append((time.perf_counter() - begin) * 1e3)
            time.sleep(PAUSE_S)  # one at a time: what follows custody must not run into the next
        return taken


@contextmanager
def receiving(member: Membership, messages: int) -> Iterator[Connection]:
    """Let a member come back in a process of its own; the seconds that all its messages took come by the connection."""
    spawned = multiprocessing.get_context("spawn")
    here, there = spawned.Pipe()
    process = spawned.Process(target=_receive, args=(member, messages, there))
    process.start()
    try:
        yield here
    finally:
        process.terminate()
        process.join()


def _receive(member: Membership, messages: int, told: Connection) -> None:
    with Station(member) as station:
        begin = time.perf_counter()
        station.turn_until(lambda: station.lanes[0].arrived >= messages, DRAIN_S)
        told.send(time.perf_counter() - begin)
        time.sleep(SETTLE_S)  # the last custody must have left before the connection ends


BATCH: Final = BATCH_PARCELS_MAX
ALIVE_S: Final = 4.0
PREPARED: Final = 4_096
"""How many messages are made before the clock runs."""
TURN_MS: Final = 100
PAUSE_S: Final = 0.002
SETTLE_S: Final = 0.5
"""For the last custody to arrive."""
DRAIN_S: Final = 1_800.0
