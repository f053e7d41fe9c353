"""Know every connection that came in, from its first byte to its last, and end those that may not stay.

ZeroMQ admits a connection and then says nothing more of it: neither how many one key holds, nor that one sends parts of
a message without end, which it keeps in memory below every bound of its own. So the connections are followed by their
descriptors, as the listening socket's monitor tells of them, and one that must go is shut down beneath ZeroMQ, which
takes that for a cut line. Decides which must go; who may come in at all is the door's. docs/protocol.md 9.1.
"""

from __future__ import annotations

import socket
import struct
from contextlib import suppress
from itertools import count
from typing import Final

import zmq

from i247_edges.link import Context, Socket
from i247_protocol.counters import Counters
from i247_protocol.limits import (
    CONNECTIONS_PER_KEY_MAX,
    CONNECTIONS_UNKNOWN_MAX,
    FRAME_BYTES_MAX,
    UNFINISHED_BYTES_MAX,
    UNKNOWN_MS_MAX,
)


class Guests:
    """The connections of one listening socket."""

    def __init__(self, context: Context, listener: Socket, counters: Counters) -> None:
        self._counters = counters
        self._listener = listener
        self._here: dict[int, _Guest] = {}
        self._by_key: dict[bytes, dict[int, _Guest]] = {}
        self._known = 0
        self._has_more_news = False
        self._now_ms = self._looked_ms = 0
        self._turn = 0
        endpoint = f"inproc://guests/{next(_MONITORS)}"
        listener.monitor(endpoint, zmq.EVENT_ACCEPTED | zmq.EVENT_DISCONNECTED)
        self.monitor: Socket = context.socket(zmq.PAIR)
        self.monitor.set(zmq.LINGER, 0)
        self.monitor.set(zmq.RCVHWM, 0)  # an I/O thread that could not tell would stop, and all connections with it
        self.monitor.connect(endpoint)

    def __len__(self) -> int:
        """How many are here."""
        return len(self._here)

    def count_in(self, counters: Counters) -> None:
        """Count what happens from now on in `counters`, apart from who is here already."""
        self._take_news(0)
        for guest in self._here.values():
            guest.is_ended = True
        self._counters = counters

    def patience_ms(self, timeout_ms: int) -> int:
        """Return how long a wait may last until `follow` is wanted, `timeout_ms` at most.

        Nobody is woken for each who comes or goes: a thousand a second would leave no time for mail.
        """
        if self._has_more_news:
            return 0
        return timeout_ms if self._known == len(self._here) else min(timeout_ms, LOOK_MS)

    def follow(self, now_ms: int) -> None:
        """Take note of who came and went, and now and then end those that may not stay."""
        self._now_ms = now_ms
        self._take_news(now_ms)
        looks = min(LOOKS, (now_ms - self._looked_ms) // LOOK_MS)
        if looks:
            self._looked_ms = now_ms
            self._look(now_ms, looks)

    def speaks(self, descriptor: int, key: bytes) -> bool:
        """Note that a whole message of `key` came; return whether its connection may stay."""
        if descriptor not in self._here:
            self._take_news(self._now_ms)  # it came after this turn's look, or is gone
        guest = self._here.get(descriptor)
        if guest is None or guest.key not in (None, key):
            return True  # the last words of a connection that is gone
        guest.has_spoken = True
        if guest.key is None:
            guest.key = key
            self._known += 1
            ours = self._by_key.setdefault(key, {})
            ours[descriptor] = guest
            if len(ours) > CONNECTIONS_PER_KEY_MAX:
                # Of a node whose lines break again and again the newest is alive.
                self.end(next(iter(ours)), "too-many")
        return not guest.is_ended

    def end(self, descriptor: int, why: str) -> None:
        """Shut a connection down; `why` is one of WHY."""
        guest = self._here.get(descriptor)
        if guest is None or guest.is_ended:
            return
        guest.is_ended = True
        self._forget_key(descriptor, guest)
        self._counters.add(f"link.ended.{why}")
        _shut(descriptor, guest.peer)

    def close(self) -> None:
        """Stop listening to the monitor."""
        # First of all: an I/O thread that still has an event for a closed monitor waits for it for ever.
        self._listener.disable_monitor()
        self.monitor.close(linger=0)

    def _take_news(self, now_ms: int) -> None:
        for _ in range(NEWS_IN_TURN_MAX):
            try:
                event, descriptor = EVENT_LAYOUT.unpack(self.monitor.recv_multipart(zmq.NOBLOCK)[0])
            except zmq.Again:
                self._has_more_news = False
                return
            before = self._here.pop(descriptor, None)
            if before is not None:
                self._gone(descriptor, before)
            if event == zmq.EVENT_ACCEPTED:
                self._counters.add("link.came")
                self._here[descriptor] = _Guest(now_ms, _peer_of(descriptor))
        self._has_more_news = True

    def _look(self, now_ms: int, looks: int) -> None:
        """Judge a part of the guests, so that many of them cost no turn much time; all of them after a long wait."""
        due = {(self._turn + n) % LOOKS for n in range(looks)}
        self._turn = (self._turn + looks) % LOOKS
        for descriptor, guest in [one for one in self._here.items() if one[0] % LOOKS in due]:
            if guest.is_ended:
                continue
            if guest.key is None and now_ms >= guest.came_ms + UNKNOWN_MS_MAX:
                self.end(descriptor, "silent")
            elif guest.grows(_received(descriptor)):
                self.end(descriptor, "unfinished")
        if len(self._here) > CONNECTIONS_UNKNOWN_MAX:
            self._thin_out()

    def _thin_out(self) -> None:
        # The oldest go: an honest one has soon said who it is.
        unknown = [one for one, guest in self._here.items() if guest.key is None and not guest.is_ended]
        for descriptor in unknown[: max(0, len(unknown) - CONNECTIONS_UNKNOWN_MAX)]:
            self.end(descriptor, "crowd")

    def _gone(self, descriptor: int, guest: _Guest) -> None:
        self._forget_key(descriptor, guest)
        if not guest.is_ended:
            self._counters.add("link.left.unknown" if guest.key is None else "link.left.known")

    def _forget_key(self, descriptor: int, guest: _Guest) -> None:
        if guest.key is not None:
            ours = self._by_key.get(guest.key, {})
            if ours.pop(descriptor, None) is not None:
                self._known -= 1
            if not ours:
                self._by_key.pop(guest.key, None)


class _Guest:
    """One connection."""

    __slots__ = ("came_ms", "has_spoken", "is_ended", "key", "peer", "received")

    def __init__(self, came_ms: int, peer: object) -> None:
        self.came_ms = came_ms
        self.peer = peer
        self.key: bytes | None = None
        self.has_spoken = False
        self.is_ended = False
        self.received = 0

    def grows(self, received: int) -> bool:
        """Whether so much came since its last whole message that no message could be so long."""
        if self.has_spoken:
            self.has_spoken = False
            self.received = received
        most = FRAME_BYTES_MAX + GREETING_BYTES if self.key is None else UNFINISHED_BYTES_MAX
        return received - self.received > most


def _peer_of(descriptor: int) -> object:
    with suppress(OSError):
        one = _lent(descriptor)
        try:
            return one.getpeername()
        finally:
            one.detach()
    return None


def _lent(descriptor: int) -> socket.socket:
    """Return ZeroMQ's own socket to look at; it must be detached, never closed. The family is not asked for."""
    return socket.socket(socket.AF_INET, socket.SOCK_STREAM, fileno=descriptor)


def _shut(descriptor: int, peer: object) -> None:
    """Cut a line, unless its descriptor has become another's meanwhile."""
    with suppress(OSError):
        one = _lent(descriptor)
        try:
            if one.getpeername() == peer:
                one.shutdown(socket.SHUT_RDWR)
        finally:
            one.detach()


def _received(descriptor: int) -> int:
    """Return how many bytes have come on a connection; 0 where this system does not tell."""
    with suppress(OSError, struct.error):
        one = _lent(descriptor)
        try:
            told = one.getsockopt(socket.IPPROTO_TCP, TCP_INFO, RECEIVED_AT + RECEIVED_LAYOUT.size)
        finally:
            one.detach()
        return int(RECEIVED_LAYOUT.unpack_from(told, RECEIVED_AT)[0])
    return 0


EVENT_LAYOUT: Final = struct.Struct("=HI")
_MONITORS = count()
LOOK_MS: Final = 15
LOOKS: Final = 16  # in so many looks everybody is seen once
NEWS_IN_TURN_MAX: Final = 32  # the rest waits, lest those who come and go keep the hub from its mail
GREETING_BYTES: Final = 8 * 1024  # the handshake and what frames are wrapped in
WHY: Final = ("chosen-routing-id", "crowd", "silent", "too-many", "unfinished")

# linux/tcp.h: tcpi_bytes_received of struct tcp_info. Elsewhere the option has another number or a shorter answer.
TCP_INFO: Final = getattr(socket, "TCP_INFO", -1)
RECEIVED_AT: Final = 128
RECEIVED_LAYOUT: Final = struct.Struct("=Q")
