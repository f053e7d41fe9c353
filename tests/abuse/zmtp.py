"""Speak ZMTP 3.1 with CURVE over a bare TCP socket, as far as one wants: what no ZeroMQ library would send."""

from __future__ import annotations

import os
import socket
import struct
import time
from typing import Final

from nacl import bindings

from i247_edges.link import link_key


class Caller:
    """One connection, which may stop at any step of the handshake."""

    def __init__(self, endpoint: str, hub_key: bytes, secret: bytes, timeout_s: float = 8.0) -> None:
        host, _, port = endpoint.removeprefix("tcp://").rpartition(":")
        self.socket = socket.create_connection((host, int(port)), timeout=timeout_s)
        self._hub_key = hub_key
        self._secret = secret
        self._short_public, self._short_secret = bindings.crypto_box_keypair()
        self._hub_short = b""
        self._cookie = b""
        self._nonce = 0

    def greet(self) -> None:
        """Send the greeting and read the other one."""
        self.socket.sendall(GREETING)
        self._read(len(GREETING))

    def hello(self) -> None:
        """Send HELLO, and read WELCOME."""
        box = bindings.crypto_box(bytes(64), b"CurveZMQHELLO---" + self._next(), self._hub_key, self._short_secret)
        nonce = struct.pack(">Q", self._nonce)
        self._command(b"\x05HELLO\x01\0" + bytes(72) + self._short_public + nonce + box)
        welcome = self._read_frame()
        box = bindings.crypto_box_open(welcome[24:], b"WELCOME-" + welcome[8:24], self._hub_key, self._short_secret)
        self._hub_short, self._cookie = box[:32], box[32:]

    def initiate(self, routing_id: bytes = b"") -> None:
        """Say who one is, and read READY; raise ConnectionError when that was not welcome."""
        random = os.urandom(16)
        vouch = bindings.crypto_box(
            self._short_public + self._hub_key, b"VOUCH---" + random, self._hub_short, self._secret
        )
        inside = link_key(self._secret) + random + vouch
        inside += _property(b"Socket-Type", b"DEALER") + _property(b"Identity", routing_id)
        box = bindings.crypto_box(inside, b"CurveZMQINITIATE" + self._next(), self._hub_short, self._short_secret)
        self._command(b"\x08INITIATE" + self._cookie + struct.pack(">Q", self._nonce) + box)
        if not self._read_frame().startswith(b"\x05READY"):
            raise ConnectionError("not welcome")

    def come_in(self, routing_id: bytes = b"") -> Caller:
        """Go through the whole handshake."""
        self.greet()
        self.hello()
        self.initiate(routing_id)
        return self

    def part(self, data: bytes, *, more: bool) -> None:
        """Send one part of a message."""
        self.socket.sendall(self.sealed(data, more=more))

    def sealed(self, data: bytes, *, more: bool) -> bytes:
        """Return one part as it travels."""
        box = bindings.crypto_box(
            bytes([more]) + data, b"CurveZMQMESSAGEC" + self._next(), self._hub_short, self._short_secret
        )
        body = b"\x07MESSAGE" + struct.pack(">Q", self._nonce) + box
        return b"\x02" + struct.pack(">Q", len(body)) + body

    def endless_parts(self, size: int, *, at_most: int) -> None:
        """Send parts of one message, of which the last never comes; raise OSError once the line is cut.

        The pauses leave a hub on a busy machine several of its looks at the line before all is sent.
        """
        for _ in range(at_most // size):
            self.part(bytes(size), more=True)
            time.sleep(0.01)

    def announce(self, size: int) -> None:
        """Begin a frame of `size` bytes, of which a few come."""
        self.socket.sendall(b"\x02" + struct.pack(">Q", size) + b"\x07MESSAGE" + bytes(1000))

    def is_cut(self) -> bool:
        """Whether the other side has ended the connection, now or within the timeout."""
        try:
            while self.socket.recv(65_536):
                pass
        except TimeoutError:
            return False
        except OSError:
            return True
        return True

    def close(self) -> None:
        """Hang up."""
        self.socket.close()

    def _next(self) -> bytes:
        self._nonce += 1
        return struct.pack(">Q", self._nonce)

    def _command(self, body: bytes) -> None:
        head = b"\x04" + bytes([len(body)]) if len(body) < LONG else b"\x06" + struct.pack(">Q", len(body))
        self.socket.sendall(head + body)

    def _read_frame(self) -> bytes:
        flags = self._read(1)[0]
        size = struct.unpack(">Q", self._read(8))[0] if flags & 2 else self._read(1)[0]
        return self._read(size)

    def _read(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            part = self.socket.recv(count - len(data))
            if not part:
                raise ConnectionError("the other side has hung up")
            data += part
        return data


def _property(name: bytes, value: bytes) -> bytes:
    return bytes([len(name)]) + name + struct.pack(">I", len(value)) + value


LONG: Final = 256
GREETING: Final = b"\xff" + bytes(8) + b"\x7f\x03\x01" + b"CURVE".ljust(20, b"\0") + bytes(32)
