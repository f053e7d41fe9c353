"""Be a hub without rules, the floor of a real one: a ROUTER under CURVE, a row for each message, a commit a batch.

A process of its own: `bare_hub.py DATABASE` prints endpoint and public key, and ends by a signal. One ZeroMQ message
carries many rows: `put` is stored, handed to whoever said `take`, and answered with `held` after the commit; `done`
frees its rows; `echo` comes back at once.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

import apsw
import zmq
from zmq.utils import z85

Message = tuple[bytes, bytes, bytes]
"""Whose, what, and the data."""


def main() -> None:
    """Listen, say where, and carry until a signal ends this process."""
    store = Store(Path(sys.argv[1]))
    public, secret = zmq.curve_keypair()
    listener: zmq.Socket[bytes] = zmq.Context().socket(zmq.ROUTER)
    listener.set(zmq.CURVE_SERVER, 1)
    listener.set(zmq.CURVE_SECRETKEY, secret)
    port = listener.bind_to_random_port("tcp://127.0.0.1")
    sys.stdout.write(f"tcp://127.0.0.1:{port} {z85.decode(public).hex()}\n")
    sys.stdout.flush()
    taker = b""
    while True:
        held: list[tuple[bytes, bytes]] = []
        for whose, what, data in arrived(listener):
            match what:
                case b"echo":
                    listener.send_multipart([whose, data])
                case b"take":
                    taker = whose
                case b"put":
                    number = store.hold(data)
                    listener.send_multipart([taker, number + data])
                    held.append((whose, number))
                case _:
                    store.forget(data)
        if held:
            store.commit()
        for whose, number in held:
            listener.send_multipart([whose, number])


def arrived(listener: zmq.Socket[bytes]) -> list[Message]:
    """Wait, and return all that has come, up to a bound."""
    listener.poll()
    messages: list[Message] = []
    while len(messages) < TURN_MAX:
        try:
            whose, what, data = listener.recv_multipart(zmq.NOBLOCK)
        except zmq.Again:
            break
        messages.append((whose, what, data))
    return messages


class Store:
    """The rows of all messages, by the frame in which they came."""

    def __init__(self, path: Path) -> None:
        self._database = apsw.Connection(str(path))
        self._database.pragma("journal_mode", "wal")
        self._database.pragma("synchronous", "full")
        self._database.execute("CREATE TABLE held (n INTEGER PRIMARY KEY, data BLOB)")
        self._execute = self._database.cursor().execute
        self._last = 0
        self._is_open = False

    def hold(self, data: bytes) -> bytes:
        """Save each message of a frame; return the frame's number."""
        self._begin()
        first = self._last
        for begin in range(0, len(data), MESSAGE_BYTES):
            self._last += 1
            self._execute("INSERT INTO held VALUES (?, ?)", (self._last, data[begin : begin + MESSAGE_BYTES]))
        return first.to_bytes(8) + self._last.to_bytes(8)

    def forget(self, number: bytes) -> None:
        """Free each message of a frame."""
        self._begin()
        for n in range(int.from_bytes(number[:8]) + 1, int.from_bytes(number[8:]) + 1):
            self._execute("DELETE FROM held WHERE n = ?", (n,))

    def commit(self) -> None:
        """Make all of it durable."""
        self._execute("COMMIT")
        self._is_open = False

    def _begin(self) -> None:
        if not self._is_open:
            self._execute("BEGIN IMMEDIATE")
            self._is_open = True


TURN_MAX: Final = 256
NUMBER_BYTES: Final = 16
MESSAGE_BYTES: Final = 1152
"""A sealed 1 KiB message with its header."""

if __name__ == "__main__":
    main()
