"""Dial hubs and keep the connections: one socket for each attempt, each proved by the hub's key.

ZeroMQ's own reconnection is off. It gives up for good after a refused handshake or a protocol error, and
it would carry frames of an old session into a new one. Here each connection has a socket of its own that
ends with it, so LinkLost always stands between two LinkUp, and what was queued is gone. Which hubs to dial
and what to say is for the machine. docs/protocol.md 9.1.
"""

from __future__ import annotations

import secrets
import struct
from collections.abc import Iterable, Iterator, Sequence
from enum import Enum, auto
from itertools import count
from typing import NamedTuple

import zmq

from i247_edges.clock import read_clocks
from i247_edges.link import KEY_BYTES, Context, Socket, link_key, send_at_once, set_link_options, skip_parts
from i247_edges.poller import Poller, Ready, Source
from i247_protocol.counters import Counters
from i247_protocol.errors import CallerFault
from i247_protocol.machine import FrameArrived, LinkId, LinkLost, LinkUp, Peer
from i247_protocol.reasons import Reason

LinkNews = LinkUp | LinkLost


class Dialler:
    """Connections to exactly the peers last named; none of its methods waits."""

    def __init__(
        self, context: Context, poller: Poller, link_secret: bytes, counters: Counters, peers: Iterable[Peer] = ()
    ) -> None:
        """Begin to dial `peers`; raise CallerFault when `link_secret` is not a raw 32-byte curve secret."""
        self._caller = _Caller(context, poller, counters, link_key(link_secret), link_secret)
        self._counters = counters
        self._lines: dict[LinkId, _Line] = {}
        self._news: list[LinkNews] = []
        self._first = 0
        self.dial(peers)

    def dial(self, peers: Iterable[Peer]) -> None:
        """Keep connections to exactly `peers`; a changed endpoint or key is a new connection."""
        wanted = {peer.link: peer for peer in peers}
        for link, line in list(self._lines.items()):
            if wanted.get(link) != line.peer:
                self._hang_up(line)
                del self._lines[link]
        for link, peer in wanted.items():
            if link not in self._lines:
                self._lines[link] = _Line(peer, self._caller)

    def transmit(self, link: LinkId, data: bytes) -> bool:
        """Send one frame; when it cannot leave at once the connection ends and is dialled anew."""
        line = self._lines.get(link)
        if line is None or line.stage is not Stage.UP:
            return False
        if not line.send(data):
            self._counters.add("dial.full")
            self._hang_up(line)
            return False
        return True

    def sources(self, ready: Ready) -> Sequence[Source]:
        """Return the connections that have frames to be read, a different one first each time."""
        lines = [line for line in self._lines.values() if line.stage is Stage.UP and line.socket in ready]
        self._first += 1
        first = self._first % len(lines) if lines else 0
        return lines[first:] + lines[:first]

    def attend(self, ready: Ready) -> list[LinkNews]:
        """Follow what became of the connections and dial those that are due; return what is news."""
        now_ms = read_clocks().mono
        for line in self._lines.values():
            if line.monitor in ready:
                self._follow(line)
            if line.due_ms is not None and line.due_ms <= now_ms:
                self._act(line)
        news, self._news = self._news, []
        return news

    def patience_ms(self, timeout_ms: int) -> int:
        """Return how long a wait may last until `attend` is wanted, `timeout_ms` at most."""
        if self._news:
            return 0
        due_ms = min((line.due_ms for line in self._lines.values() if line.due_ms is not None), default=None)
        return timeout_ms if due_ms is None else max(0, min(timeout_ms, due_ms - read_clocks().mono))

    def close(self) -> None:
        """End all connections and dial nobody."""
        self.dial(())
        self._news.clear()

    def _act(self, line: _Line) -> None:
        if line.stage is Stage.CALLING:
            self._counters.add("dial.unanswered")
            self._hang_up(line)
        elif not line.call():
            self._counters.add("dial.impossible")
            self._hang_up(line)

    def _follow(self, line: _Line) -> None:
        for event in line.events():
            if event == zmq.EVENT_HANDSHAKE_SUCCEEDED:
                line.answered()
                self._counters.add("dial.up")
                self._news.append(LinkUp(line.peer.link))
            else:
                self._counters.add("dial.lost" if line.stage is Stage.UP else FAILURES[event])
                self._hang_up(line)
                return

    def _hang_up(self, line: _Line) -> None:
        if line.stage is Stage.UP:
            self._news.append(LinkLost(line.peer.link))
        line.hang_up()


class Stage(Enum):
    """Where one dialled connection stands."""

    WAITING = auto()
    CALLING = auto()
    UP = auto()


class _Caller(NamedTuple):
    """What every call needs."""

    context: Context
    poller: Poller
    counters: Counters
    key: bytes
    secret: bytes

    def __repr__(self) -> str:
        return "_Caller(…)"


class _Line:
    """One peer: the wait before a call, the call, the connection."""

    __slots__ = ("_caller", "_tries", "_up_at_ms", "due_ms", "monitor", "peer", "socket", "stage")

    def __init__(self, peer: Peer, caller: _Caller) -> None:
        self.peer = peer
        self.stage = Stage.WAITING
        self.due_ms: int | None = 0
        self.socket: Socket | None = None
        self.monitor: Socket | None = None
        self._caller = caller
        self._tries = 0
        self._up_at_ms = 0

    def call(self) -> bool:
        """Dial once; return False when this endpoint, or this machine, does not allow it."""
        # Any other transport would go past CURVE (inproc) or past the network (ipc).
        if not self.peer.endpoint.startswith("tcp://") or len(self.peer.key) != KEY_BYTES:
            return False
        try:
            self.socket = self._caller.context.socket(zmq.DEALER)
            self._prepare(self.socket)
            self.monitor = _monitor_of(self.socket, self._caller.context)
            self.socket.connect(self.peer.endpoint)
        except zmq.ZMQError:
            return False
        self._caller.poller.watch(self.monitor)
        self.stage, self.due_ms = Stage.CALLING, read_clocks().mono + ATTEMPT_MS
        return True

    def answered(self) -> None:
        """Take the connection into use."""
        connection = self._connection
        connection.get(zmq.EVENTS)  # it notices its new pipe, without which the first frame could not leave
        self._caller.poller.watch(connection)
        self.stage, self.due_ms = Stage.UP, None
        self._up_at_ms = read_clocks().mono

    def send(self, data: bytes) -> bool:
        """Send one frame; return False when there is no room."""
        try:
            send_at_once(self._connection, data)
        except zmq.Again:
            return False
        return True

    def read(self) -> FrameArrived | None:
        """Take one message, None when it has not exactly one part; raise zmq.Again when there is none."""
        connection = self._connection
        part = connection.recv(zmq.NOBLOCK, copy=False)
        if part.more:
            skip_parts(connection)
            self._caller.counters.add(f"link.refused.{Reason.MALFORMED}")
            return None
        return FrameArrived(self.peer.link, self.peer.key, part.bytes)

    def events(self) -> Iterator[int]:
        """Yield what the monitor has seen, oldest first."""
        while self.monitor is not None:
            try:
                event, _ = EVENT_LAYOUT.unpack(self.monitor.recv_multipart(zmq.NOBLOCK)[0])
            except zmq.Again:
                return
            yield event

    def hang_up(self) -> None:
        """End the connection or the call, and wait before the next one: longer each time, and at random."""
        now_ms = read_clocks().mono
        if self.stage is Stage.UP and now_ms >= self._up_at_ms + STEADY_MS:
            self._tries = 0
        if self.stage is not Stage.WAITING and self.monitor is not None:
            self._caller.poller.forget(self.monitor)
        if self.stage is Stage.UP:
            self._caller.poller.forget(self._connection)
        if self.socket is not None:
            # First of all: an I/O thread that still has an event for a closed monitor waits for it for ever.
            self.socket.disable_monitor()
            self.socket.close(linger=0)
        if self.monitor is not None:
            self.monitor.close(linger=0)
        self.socket = self.monitor = None
        pause_ms = min(REDIAL_MS_MAX, REDIAL_MS_MIN << self._tries)
        self._tries = min(self._tries + 1, DOUBLINGS_MAX)
        self.stage, self.due_ms = Stage.WAITING, now_ms + pause_ms // 2 + secrets.randbelow(pause_ms)

    @property
    def _connection(self) -> Socket:
        if self.socket is None:
            raise CallerFault("use a connection that is not there", "ask for its stage first")
        return self.socket

    def _prepare(self, one: Socket) -> None:
        set_link_options(one)
        one.set(zmq.IMMEDIATE, 1)
        one.set(zmq.RECONNECT_IVL, -1)
        one.set(zmq.CONNECT_TIMEOUT, CONNECT_MS)
        one.set(zmq.IPV6, int("[" in self.peer.endpoint))
        one.set(zmq.CURVE_SERVERKEY, self.peer.key)
        one.set(zmq.CURVE_PUBLICKEY, self._caller.key)
        one.set(zmq.CURVE_SECRETKEY, self._caller.secret)


def _monitor_of(one: Socket, context: Context) -> Socket:
    # pyzmq names its monitors by file descriptor, which a later socket may have again.
    endpoint = f"inproc://dialler/{next(_MONITORS)}"
    one.monitor(endpoint, MONITORED)
    monitor = context.socket(zmq.PAIR)
    monitor.set(zmq.LINGER, 0)
    monitor.connect(endpoint)
    return monitor


EVENT_LAYOUT = struct.Struct("=HI")
_MONITORS = count()

# A handshake that cannot end is given up by ZeroMQ after its HANDSHAKE_IVL, a connection that cannot begin after
# CONNECT_MS; ATTEMPT_MS is for what it does not report, such as a name that cannot be resolved.
CONNECT_MS = 5_000
ATTEMPT_MS = 10_000
REDIAL_MS_MIN = 200
REDIAL_MS_MAX = 15_000
DOUBLINGS_MAX = 7
STEADY_MS = 10_000

# What may end a call, by the counter that tells of it.
FAILURES: dict[int, str] = {
    zmq.EVENT_HANDSHAKE_FAILED_AUTH: "dial.refused",
    zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL: "dial.wrong-protocol",
    zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL: "dial.broken-off",
    zmq.EVENT_DISCONNECTED: "dial.broken-off",
    zmq.EVENT_CLOSED: "dial.unreachable",
}
MONITORED = zmq.EVENT_HANDSHAKE_SUCCEEDED | sum(FAILURES)
