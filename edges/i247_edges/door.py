"""Say who may connect to a listening socket: a small ZAP service (ZeroMQ RFC 27) in a thread of its own.

pyzmq's authenticator was read and not taken: it lets everybody in for mechanisms other than CURVE, an error
in a callback ends its thread unseen, and it writes the keys of strangers to the log. A thread of its own
keeps handshakes going while a hub waits for its disk. docs/protocol.md 9.1.
"""

from __future__ import annotations

from threading import Thread
from typing import NamedTuple

import zmq

from i247_edges.clock import read_clocks
from i247_edges.link import Context, Socket
from i247_edges.poller import Poller
from i247_protocol.counters import Counters
from i247_protocol.errors import WorldFault


class Door:
    """The keys that are let in; whoever it lets in is known afterwards by the hex of the key."""

    def __init__(self, context: Context) -> None:
        """Prepare to answer for all sockets of `context` whose domain is DOMAIN; admit nobody yet."""
        self._context = context
        self._counters = Counters()
        self._keys: frozenset[bytes] = frozenset()
        self._visits = _Visits()
        self._poller = Poller()
        self._is_closing = False
        self._thread: Thread | None = None

    def open(self) -> None:
        """Begin to answer; only after this may a socket that asks for it listen."""
        asked = self._context.socket(zmq.REP)
        asked.set(zmq.LINGER, 0)
        asked.bind("inproc://zeromq.zap.01")
        self._thread = Thread(target=self._answer_all, args=(asked,), name="i247-door", daemon=True)
        self._thread.start()

    def admit(self, keys: frozenset[bytes]) -> None:
        """Let in exactly `keys` from now on; safe from any thread."""
        self._keys = keys

    def verdict(self, parts: list[bytes]) -> Verdict:
        """Judge one request (the frames of RFC 27, after the empty one)."""
        version, _, domain, _, _, mechanism, *credentials = parts
        if (version, domain, mechanism, len(credentials)) != (VERSION, DOMAIN, b"CURVE", 1):
            return Verdict(b"400", b"not asked properly", b"", "door.refused.malformed")
        (key,) = credentials
        if key not in self._keys:
            return Verdict(b"400", b"unknown key", b"", "door.refused.stranger")
        if not self._visits.allow(key, read_clocks().mono):
            return Verdict(b"400", b"too often", b"", "door.refused.too-often")
        # Hex, since a property of a message is read back as text up to its first zero byte.
        return Verdict(b"200", b"welcome", key.hex().encode(), "door.admitted")

    def count_in(self, counters: Counters) -> None:
        """Add what happens from now on to `counters`, by names of its own."""
        for name in NAMES:  # so that the thread never makes a table grow while another reads it
            counters.add(name, 0)
        self._counters = counters

    def check(self) -> None:
        """Raise WorldFault when the thread has ended: nobody would be let in any more."""
        if self._thread is None or not self._thread.is_alive():
            raise WorldFault("answer for new connections", "restart this program and report the traceback above")

    def close(self) -> None:
        """End the thread."""
        self._is_closing = True
        self._poller.wake()
        if self._thread is not None:
            self._thread.join()
        self._poller.close()

    def _answer_all(self, asked: Socket) -> None:
        self._poller.watch(asked)
        try:
            while not self._is_closing:
                if asked in self._poller.wait(None):
                    parts = asked.recv_multipart()
                    verdict = self.verdict(parts)
                    self._counters.add(verdict.counter)
                    asked.send_multipart([VERSION, parts[1], verdict.status, verdict.text, verdict.user, b""])
        finally:
            asked.close()


class Verdict(NamedTuple):
    """An answer to one request."""

    status: bytes
    text: bytes
    user: bytes
    counter: str


class _Visits:
    """How often each key came in the present minute.

    Every connection uses up a routing id, and a member who chooses its own could meet one that ZeroMQ gives
    later, at which ZeroMQ aborts the process (an assertion in libzmq 4.3.5, `add_out_pipe`). One chance in
    2**32 for each pair, so a bound on connections a minute is a bound on that.
    """

    def __init__(self) -> None:
        self._minute = 0
        self._counts: dict[bytes, int] = {}

    def allow(self, key: bytes, mono_ms: int) -> bool:
        minute = mono_ms // MINUTE_MS
        if minute != self._minute:
            self._minute = minute
            self._counts.clear()
        self._counts[key] = self._counts.get(key, 0) + 1
        return self._counts[key] <= VISITS_A_MINUTE_MAX


DOMAIN = b"i247"
VERSION = b"1.0"
MINUTE_MS = 60_000
VISITS_A_MINUTE_MAX = 120
NAMES = ("door.admitted", "door.refused.malformed", "door.refused.stranger", "door.refused.too-often")
