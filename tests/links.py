"""Real sockets on 127.0.0.1 for tests: fresh keys, ends that remember what they heard, bounded waiting."""

import sys
import time
from collections.abc import Callable
from itertools import count
from typing import Protocol

import zmq
from zmq.utils import z85

from i247_edges.link import Context, Socket, link_key
from i247_protocol.machine import FrameArrived, LinkId, LinkLost, LinkUp, Peer

ANY_PORT = "tcp://127.0.0.1:*"
LINK = LinkId(b"hub:here:express")
PATIENCE_S = 8.0

Event = FrameArrived | LinkUp | LinkLost


class Pollable(Protocol):
    def poll(self, timeout_ms: int, frames_max: int) -> list[Event]: ...


class Ear:
    """One end, and all that it has heard."""

    def __init__(self, end: Pollable) -> None:
        self.end = end
        self.heard: list[Event] = []

    def listen(self, timeout_ms: int = 5) -> None:
        self.heard += self.end.poll(timeout_ms, 256)

    @property
    def frames(self) -> list[FrameArrived]:
        return [one for one in self.heard if isinstance(one, FrameArrived)]

    @property
    def news(self) -> list[str]:
        return [type(one).__name__ for one in self.heard if not isinstance(one, FrameArrived)]


def wait_until(condition: Callable[[], bool], *ears: Ear, seconds: float = PATIENCE_S) -> None:
    """Let all ends work until `condition` holds; fail with what they heard when it does not in time."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, [(ear.news, len(ear.frames)) for ear in ears]
        for ear in ears:
            ear.listen()
        if not ears:
            time.sleep(0.005)


def fresh_secret() -> bytes:
    return z85.decode(zmq.curve_keypair()[1])


class Rogue:
    """A program that keeps to no rule but the transport's."""

    def __init__(self, context: Context, peer: Peer, secret: bytes | None, routing_id: bytes = b"") -> None:
        self.socket: Socket = context.socket(zmq.DEALER)
        self.socket.set(zmq.LINGER, 0)
        if routing_id:
            self.socket.set(zmq.ROUTING_ID, routing_id)
        if secret is not None:
            self.socket.set(zmq.CURVE_SERVERKEY, peer.key)
            self.socket.set(zmq.CURVE_SECRETKEY, secret)
            self.socket.set(zmq.CURVE_PUBLICKEY, link_key(secret))
        self._monitor = self.socket.get_monitor_socket(HANDSHAKES, f"inproc://rogue/{next(_ROGUES)}")
        self.socket.connect(peer.endpoint)

    def is_let_in(self) -> bool:
        """Wait for the end of the handshake."""
        assert self._monitor.poll(int(PATIENCE_S * 1_000)), "the handshake has no end"
        event = int.from_bytes(self._monitor.recv_multipart()[0][:2], sys.byteorder)
        return event == zmq.EVENT_HANDSHAKE_SUCCEEDED

    def close(self) -> None:
        self.socket.disable_monitor()
        self._monitor.close(linger=0)
        self.socket.close(linger=0)


_ROGUES = count()
HANDSHAKES = zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_DISCONNECTED
