"""Wait for sockets, let any thread end the wait, and take frames from many sockets in turn.

What a frame is and whether it is taken is for the socket's owner; here it is decided only how many are
taken before the machine gets its turn. docs/protocol.md 9.1.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Protocol

import zmq

from i247_protocol.machine import FrameArrived

TURN_BYTES_MAX = 128 * 1024
"""Some 100 envelopes of 1 KiB, or custody for 2,500: a few tens of milliseconds of a machine's work at most."""

Ready = Mapping[Any, int]
"""The sockets that have something to be read, after one wait."""


class Source(Protocol):
    """A socket from which frames come."""

    def read(self) -> FrameArrived | None:
        """Take one message, None when it was refused; raise zmq.Again when there is none."""
        ...


class Poller:
    """Sockets to wait for, and a bell that any thread or signal handler may ring."""

    def __init__(self) -> None:
        self._sockets = zmq.Poller()
        # ZeroMQ sockets belong to one thread, this pair does not.
        self._ear, self._bell = socket.socketpair()
        self._ear.settimeout(0)
        self._bell.settimeout(0)
        self._sockets.register(self._ear, zmq.POLLIN)

    def watch(self, one: zmq.Socket[bytes]) -> None:
        """Wait for `one` as well."""
        self._sockets.register(one, zmq.POLLIN)

    def forget(self, one: zmq.Socket[bytes]) -> None:
        """Wait for `one` no longer; it must be done before the socket is closed."""
        self._sockets.unregister(one)

    def wait(self, timeout_ms: int | None) -> Ready:
        """Return what is ready, at the latest after `timeout_ms` (None: never) or when woken."""
        ready = dict(self._sockets.poll(timeout_ms))
        if ready.pop(self._ear.fileno(), 0):
            with suppress(BlockingIOError):
                self._ear.recv(RINGS_READ_MAX)
        return ready

    def wake(self) -> None:
        """End the present wait, or the next one; safe from any thread, and without effect after `close`."""
        with suppress(OSError):  # a full pair already wakes; a closed one has nobody to wake
            self._bell.send(b"\0")

    def close(self) -> None:
        """Release the bell; the sockets are closed by whoever opened them."""
        self._ear.close()
        self._bell.close()


def drain(sources: Sequence[Source], messages_max: int, bytes_max: int = TURN_BYTES_MAX) -> list[FrameArrived]:
    """Take what has arrived, from each source its share, up to a bound on messages and about so many bytes.

    A short turn lets the machine speak to the others soon; each source has at least one message in it.
    """
    frames: list[FrameArrived] = []
    taken = size = 0
    waiting = list(sources)
    while waiting and taken < messages_max and size < bytes_max:
        share = max(1, (messages_max - taken) // len(waiting))
        share_bytes = (bytes_max - size) // len(waiting)
        for source in waiting.copy():
            enough = size + share_bytes
            try:
                for _ in range(min(share, messages_max - taken)):
                    frame = source.read()
                    taken += 1
                    if frame is not None:
                        frames.append(frame)
                        size += len(frame.data)
                        if size >= enough:
                            break
            except zmq.Again:
                waiting.remove(source)
    return frames


RINGS_READ_MAX = 4096
