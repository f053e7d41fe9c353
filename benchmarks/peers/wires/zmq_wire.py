"""A DEALER under CURVE, for the floor."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

import zmq
from zmq.utils import z85

from peers.ends import Heard


def connected(settings: Mapping[str, str], heard: Heard) -> DealerWire:
    """Dial the proxy."""
    return DealerWire(settings, heard)


class DealerWire:
    """The asker sends what it has; the answerer sends back along the way by which a query came."""

    def __init__(self, settings: Mapping[str, str], heard: Heard) -> None:
        self._heard = heard
        self._socket: zmq.Socket[bytes] = zmq.Context().socket(zmq.DEALER)
        public, secret = zmq.curve_keypair()
        self._socket.set(zmq.CURVE_PUBLICKEY, public)
        self._socket.set(zmq.CURVE_SECRETKEY, secret)
        self._socket.set(zmq.CURVE_SERVERKEY, z85.encode(bytes.fromhex(settings["key"])))
        self._socket.connect(settings["endpoint"])

    def send(self, messages: Sequence[bytes]) -> None:
        """Send messages; nobody confirms them."""
        for message in messages:
            self._socket.send(message)

    def work(self, until: Callable[[], bool], seconds: float) -> None:
        """Read, and send what follows."""
        end = time.monotonic() + seconds
        while not until() and (left := end - time.monotonic()) > 0:
            if not self._socket.poll(int(left * 1000) + 1):
                continue
            while True:
                try:
                    *way, data = self._socket.recv_multipart(zmq.NOBLOCK)
                except zmq.Again:
                    break
                for message in self._heard(data):
                    self._socket.send_multipart([*way, message])
