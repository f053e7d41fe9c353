"""Compare a hub that saves what it carries with a bare poll loop that only passes it on, in turn, on one processor."""

from __future__ import annotations

import os
import sys
import time
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Final, NamedTuple

import zmq
from zmq.utils import z85

from bare_hub import MESSAGE_BYTES
from couple import MemberCouple
from measures import in_turn, on_processor, ratios
from network import World
from peers.processes import PATIENCE_S, Place, Stage
from relay import Pace


class Relays(NamedTuple):
    """Messages a second, round by round."""

    hub: list[float]
    bare: list[float]

    @property
    def ratios(self) -> list[float]:
        """How much of the bare relay's rate the hub carries, round by round."""
        return ratios(self.hub, self.bare)


def compare(place: Place, seconds: float) -> Relays:
    """Return what both carried."""
    world = World(place.folder)
    with Stage(place) as stage, ExitStack() as ends:
        with on_processor(0):  # both: only one of them is busy at a time
            pid = ends.enter_context(world.running("lyon"))["lyon"]
            bare = stage.module("bare-relay", "bare_relay", python=Path(sys.executable))
            endpoint, key = bare.lines(1, PATIENCE_S)[0].split()
        ends.enter_context(on_processor(1))
        real = Pace(pid, ends.enter_context(closing(MemberCouple.at(world, "lyon"))))
        floor = Pace(bare.pid, ends.enter_context(closing(RelayCouple(endpoint, bytes.fromhex(key)))))
        in_turn(seconds, real.carry, floor.carry)
    return Relays(real.rates, floor.rates)


class RelayCouple:
    """A sender and a receiver at the bare relay, with a window that the receiver opens once a batch."""

    def __init__(self, endpoint: str, key: bytes) -> None:
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._sender, self._receiver = (self._dialled(endpoint, key) for _ in range(2))
        self._receiver.send_multipart([b"take", b""])
        time.sleep(SETTLE_S)  # the bare relay answers nothing, so nothing tells that it knows its receiver
        self._poller = zmq.Poller()
        for one in (self._sender, self._receiver):
            self._poller.register(one, zmq.POLLIN)

    def carry(self, messages: int) -> float:
        """Have messages carried; return the seconds until all have arrived."""
        data = os.urandom(MESSAGE_BYTES)
        sent = arrived = allowed = 0
        begin = time.perf_counter()
        end = begin + PATIENCE_S
        while arrived < messages:
            while sent < messages and sent - allowed < WINDOW:
                self._sender.send_multipart([b"put", data])
                sent += 1
            if time.perf_counter() > end:
                raise TimeoutError("waited for the bare relay")
            self._poller.poll(TURN_MS)
            while self._receiver.poll(0):
                self._receiver.recv()
                arrived += 1
                if arrived % BATCH == 0:
                    self._receiver.send_multipart([b"done", b""])
            while self._sender.poll(0):
                self._sender.recv()
                allowed += BATCH
        return time.perf_counter() - begin

    def close(self) -> None:
        """Hang up."""
        self._context.destroy(linger=0)

    def _dialled(self, endpoint: str, key: bytes) -> zmq.Socket[bytes]:
        one = self._context.socket(zmq.DEALER)
        public, secret = zmq.curve_keypair()
        one.set(zmq.CURVE_PUBLICKEY, public)
        one.set(zmq.CURVE_SECRETKEY, secret)
        one.set(zmq.CURVE_SERVERKEY, z85.encode(key))
        one.connect(endpoint)
        return one


WINDOW: Final = 1_024
BATCH: Final = 64
TURN_MS: Final = 100
SETTLE_S: Final = 0.5
