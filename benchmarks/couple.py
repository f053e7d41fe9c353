"""Be a sender and a receiver at one hub, or at a bare one: they batch as nodes do, and keep nothing."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from typing import Final, Protocol

import zmq
from zmq.utils import z85

from bare_hub import MESSAGE_BYTES, NUMBER_BYTES
from i247_edges.link import Context, Socket
from i247_edges.poller import Poller
from i247_protocol.limits import BATCH_BYTES_MAX, BATCH_PARCELS_MAX, WINDOW_MESSAGES
from member_lane import BODY_BYTES, MemberLane, Membership
from network import ASKER, NEIGHBOUR, Bare, World


class Couple(Protocol):
    """A sender and a receiver."""

    def carry(self, messages: int) -> float:
        """Have so many messages carried; return the seconds until all are held and have arrived."""
        ...

    def close(self) -> None:
        """Hang up."""
        ...


class MemberCouple:
    """The bulk lanes of two members, at one hub or at two."""

    def __init__(self, sender: Membership, receiver: Membership, body_bytes: int = BODY_BYTES) -> None:
        self._body_bytes = body_bytes
        self._context: Context = zmq.Context()
        self._poller = Poller()
        self._sender, self._receiver = (MemberLane(self._context, self._poller, one) for one in (sender, receiver))
        end = time.monotonic() + PATIENCE_S
        while not all(side.session.is_open for side in (self._sender, self._receiver)):
            self._turn(end)

    @classmethod
    def at(cls, world: World, hub: str) -> MemberCouple:
        """Return two members that are at home at one hub."""
        return cls(Membership.of(world, hub, ASKER, NEIGHBOUR), Membership.of(world, hub, NEIGHBOUR, ASKER))

    def carry(self, messages: int) -> float:
        """Have messages carried, as many in one frame as a node's pump would put."""
        many = min(BATCH, max(1, BATCH_BYTES_MAX // self._body_bytes))
        batches = [
            self._sender.batch(min(many, messages - begun), self._body_bytes) for begun in range(0, messages, many)
        ]
        batches.reverse()
        self._sender.held = self._receiver.arrived = 0
        begin = time.perf_counter()
        end = time.monotonic() + PATIENCE_S
        while self._sender.held < messages or self._receiver.arrived < messages:
            while batches and self._sender.put(batches[-1]):
                batches.pop()
            self._turn(end)
        return time.perf_counter() - begin

    def show_life(self) -> None:
        """Say something on both lanes, and take what has come."""
        for lane in (self._sender, self._receiver):
            lane.show_life()
        self._turn(time.monotonic() + PATIENCE_S)

    def close(self) -> None:
        """Hang up."""
        self._sender.close()
        self._receiver.close()
        self._poller.close()
        self._context.destroy(linger=0)

    def _turn(self, end: float) -> None:
        if time.monotonic() > end:
            raise TimeoutError("waited for a hub to carry messages")
        ready = self._poller.wait(TURN_MS)
        self._sender.turn(ready)
        self._receiver.turn(ready)


class BareCouple:
    """A sender and a receiver at the bare hub, with the same window."""

    def __init__(self, hub: Bare) -> None:
        self._context: Context = zmq.Context()
        self._sender, self._receiver = (self._dialled(hub) for _ in range(2))
        self._receiver.send_multipart([b"take", b""])
        self._poller = zmq.Poller()
        for one in (self._sender, self._receiver):
            self._poller.register(one, zmq.POLLIN)
        self.echo()

    def carry(self, messages: int) -> float:
        """Have messages carried in frames of the same size."""
        waiting = [os.urandom(MESSAGE_BYTES * min(BATCH, messages - begun)) for begun in range(0, messages, BATCH)]
        frames, held, arrived, on_the_way = len(waiting), 0, 0, 0
        begin = time.perf_counter()
        while held < frames or arrived < frames:
            while waiting and on_the_way < WINDOW_MESSAGES // BATCH:
                self._sender.send_multipart([b"put", waiting.pop()])
                on_the_way += 1
            self._poller.poll(TURN_MS)
            for _ in _all_from(self._sender):
                held, on_the_way = held + 1, on_the_way - 1
            for (frame,) in _all_from(self._receiver):
                arrived += 1
                self._receiver.send_multipart([b"done", frame[:NUMBER_BYTES]])
        return time.perf_counter() - begin

    def echo(self) -> float:
        """Send a kilobyte there and back; return the seconds."""
        begin = time.perf_counter()
        self._sender.send_multipart([b"echo", bytes(BODY_BYTES)])
        if not self._sender.poll(int(PATIENCE_S * 1000)):
            raise TimeoutError("waited for an echo")
        self._sender.recv()
        return time.perf_counter() - begin

    def close(self) -> None:
        """Hang up."""
        self._context.destroy(linger=0)

    def _dialled(self, hub: Bare) -> Socket:
        one: Socket = self._context.socket(zmq.DEALER)
        public, secret = zmq.curve_keypair()
        one.set(zmq.CURVE_PUBLICKEY, public)
        one.set(zmq.CURVE_SECRETKEY, secret)
        one.set(zmq.CURVE_SERVERKEY, z85.encode(hub.key))
        one.connect(hub.endpoint)
        return one


def _all_from(one: Socket) -> Sequence[list[bytes]]:
    found = []
    while one.poll(0):
        found.append(one.recv_multipart())
    return found


BATCH: Final = BATCH_PARCELS_MAX
TURN_MS: Final = 100
PATIENCE_S: Final = 60.0
