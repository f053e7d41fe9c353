"""Own the hub's network sockets: one that listens, connections to the other hubs, and a wake-up.

Who stands behind a frame is the key that the connection was admitted with, read from each message, never
the routing id. Admission of a connection is the door's, whether it may stay is for `guests`; what a member may
say is the machine's, which also drops the frames of a key that was revoked while its connection lives on.
docs/protocol.md 9.1.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack

import zmq
from zmq.utils import z85

from i247_edges.clock import read_clocks
from i247_edges.dialler import Dialler
from i247_edges.door import DOMAIN, Door
from i247_edges.link import Context, Socket, link_key, send_at_once, set_link_options, skip_parts
from i247_edges.poller import TURN_BYTES_MAX, Poller, Ready, Source, drain
from i247_hub.guests import WHY, Guests
from i247_protocol.counters import Counters
from i247_protocol.errors import WorldFault
from i247_protocol.machine import FrameArrived, LinkId, LinkLost, LinkUp, Peer
from i247_protocol.reasons import Reason


class HubSockets:
    """Everything through which frames come and go; only `wake` may be called from another thread."""

    def __init__(
        self,
        link_secret: bytes,
        endpoints: Sequence[str],
        *,
        backlog: int = 512,
        door: Callable[[Context], Door] = Door,
    ) -> None:
        """Listen at `endpoints`, admitting nobody yet; raise WorldFault when it cannot, or not safely."""
        self.key = link_key(link_secret)
        self.counters = Counters()
        self._context: Context = zmq.Context()
        self._poller = Poller()
        self._dialler = Dialler(self._context, self._poller, link_secret, self.counters)
        self._door = door(self._context)
        self._ends = ExitStack()
        for end in (lambda: self._context.destroy(linger=0), self._poller.close, self._door.close, self._dialler.close):
            self._ends.callback(end)
        try:
            self._door.open()
            self._listener = _Listener(self._context, link_secret, backlog)
            self._ends.callback(self._listener.guests.close)
            _prove_door(self._door, self._listener, self._context, self.key)
            self._door.count_in(self.counters)
            self._listener.count_in(self.counters)
            self.endpoints = tuple(self._listener.listen(endpoint) for endpoint in endpoints)
            self._poller.watch(self._listener.socket)
        except BaseException:
            self.close()
            raise

    def admit(self, keys: frozenset[bytes]) -> None:
        """Let connections begin from exactly these public keys; those that live are not touched."""
        self._door.admit(keys)

    def dial(self, peers: Iterable[Peer]) -> None:
        """Keep connections to exactly `peers`."""
        self._dialler.dial(peers)

    def transmit(self, link: LinkId, data: bytes) -> bool:
        """Send one frame; return False when it cannot leave at once, or the far end is gone."""
        if link.startswith(DIALLED):
            return self._dialler.transmit(link, data)
        return self._listener.send(link, data)

    def poll(
        self, timeout_ms: int, frames_max: int, bytes_max: int = TURN_BYTES_MAX
    ) -> list[FrameArrived | LinkUp | LinkLost]:
        """Wait until something arrives, `wake` is called or time is up; return what arrived, in order."""
        guests = self._listener.guests
        ready = self._poller.wait(guests.patience_ms(self._dialler.patience_ms(timeout_ms)))
        self._door.check()
        guests.follow(read_clocks().mono)
        frames = drain(self._sources(ready), frames_max, bytes_max)
        return [*frames, *self._dialler.attend(ready)]

    def wake(self) -> None:
        """End the present wait, or the next one; safe from any thread and from a signal's handler."""
        self._poller.wake()

    def close(self) -> None:
        """End all connections and leave nothing running."""
        self._ends.close()

    def _sources(self, ready: Ready) -> list[Source]:
        sources = list(self._dialler.sources(ready))
        if self._listener.socket in ready:
            sources.append(self._listener)
        return sources


class _Listener:
    """The one socket to which members and other hubs connect."""

    def __init__(self, context: Context, link_secret: bytes, backlog: int) -> None:
        self._counters = Counters()
        _begin_routes_anywhere()
        self.socket: Socket = context.socket(zmq.ROUTER)
        set_link_options(self.socket)
        for option, value in LISTENER_OPTIONS:
            self.socket.set(option, value)
        self.socket.set(zmq.BACKLOG, backlog)
        self.socket.set(zmq.CURVE_SECRETKEY, link_secret)
        self.guests = Guests(context, self.socket, self._counters)

    def count_in(self, counters: Counters) -> None:
        """Count what happens from now on in `counters`."""
        for why in WHY:
            counters.add(f"link.ended.{why}", 0)
        self._counters = counters
        self.guests.count_in(counters)

    def listen(self, endpoint: str) -> str:
        """Bind to `endpoint`; return it with the port that was given."""
        self.socket.set(zmq.IPV6, int("[" in endpoint))
        try:
            self.socket.bind(endpoint)
        except zmq.ZMQError as error:
            raise WorldFault(f"listen at {endpoint}: {error.strerror}", "choose another address or port") from error
        return self.socket.get_string(zmq.LAST_ENDPOINT)

    def deafen(self, endpoint: str) -> None:
        """Stop listening at `endpoint`."""
        self.socket.unbind(endpoint)

    def read(self) -> FrameArrived | None:
        """Take one message, None when it was refused; raise zmq.Again when there is none."""
        route = self.socket.recv(zmq.NOBLOCK)
        part = self.socket.recv(zmq.NOBLOCK, copy=False)
        if part.more:
            skip_parts(self.socket)
            self._refuse(Reason.MALFORMED)
            return None
        descriptor, key = int(str(part.get("__fd"))), bytes.fromhex(str(part.get("User-Id")))
        if not self.guests.speaks(descriptor, key):
            return None
        # A chosen id may still look like a given one. It names nobody: the key does.
        if len(route) != ROUTE_BYTES or route[0] != 0:
            self._refuse(Reason.CHOSEN_ROUTING_ID)
            self.guests.end(descriptor, Reason.CHOSEN_ROUTING_ID.value)
            return None
        return FrameArrived(LinkId(route), key, part.bytes)

    def send(self, link: LinkId, data: bytes) -> bool:
        """Send one frame; return False when there is no room or nobody behind `link`."""
        try:
            send_at_once(self.socket, link, zmq.SNDMORE)
        except zmq.Again:
            self._counters.add("link.full")
            return False
        except zmq.ZMQError as error:
            if error.errno != zmq.EHOSTUNREACH:
                raise
            self._counters.add("link.gone")
            return False
        self.socket.send(data, zmq.NOBLOCK)
        return True

    def _refuse(self, reason: Reason) -> None:
        self._counters.add(f"link.refused.{reason}")


def _begin_routes_anywhere() -> None:
    """Let the next ROUTER begin its routing ids where nobody can guess.

    It counts them up from `rand()`, which libzmq 4.3.5 never seeds: the same first id in every process. A guest that
    chooses an id which is given later aborts this process (an assertion in `add_out_pipe`), so none may be foreseen.
    """
    seed = getattr(ctypes.CDLL(None), "srand", None)
    if seed is None:
        raise WorldFault("seed the numbering of connections", "run a hub on a system whose C library has srand")
    seed(ctypes.c_uint(int.from_bytes(os.urandom(4), "big")))


def _prove_door(door: Door, listener: _Listener, context: Context, key: bytes) -> None:
    """Have a guest and a stranger knock; raise WorldFault unless the guest alone comes in, under its own key."""
    guest, stranger = (z85.decode(zmq.curve_keypair()[1]) for _ in range(2))
    endpoint = listener.listen("tcp://127.0.0.1:*")
    hub = Peer(PROBE, endpoint, key)
    door.admit(frozenset({link_key(guest)}))
    try:
        if _knock(guest, hub, context, listener) != link_key(guest):
            raise WorldFault("admit a known key at this hub's own socket", REPORT)
        if _knock(stranger, hub, context, listener) is not None:
            raise WorldFault("refuse an unknown key at this hub's own socket", REPORT)
    finally:
        door.admit(frozenset())
        listener.deafen(endpoint)


def _knock(secret: bytes, hub: Peer, context: Context, listener: _Listener) -> bytes | None:
    """Return the key under which the holder of `secret` came in; None when it was kept out."""
    poller, counters = Poller(), Counters()
    dialler = Dialler(context, poller, secret, counters, (hub,))
    deadline_ms = read_clocks().mono + PROBE_MS
    try:
        while read_clocks().mono < deadline_ms and not counters.total("dial.refused"):
            news = dialler.attend(poller.wait(dialler.patience_ms(PROBE_STEP_MS)))
            if LinkUp(hub.link) in news:
                dialler.transmit(hub.link, b"")
                return _next_key(listener)
        return None
    finally:
        dialler.close()
        poller.close()


def _next_key(listener: _Listener) -> bytes:
    if listener.socket.poll(PROBE_MS):
        frame = listener.read()
        if frame is not None:
            return frame.key
    return b""


DIALLED = b"hub:"
ROUTE_BYTES = 5

LISTENER_OPTIONS: tuple[tuple[int, int | bytes], ...] = (
    (zmq.ROUTER_MANDATORY, 1),
    (zmq.CURVE_SERVER, 1),
    (zmq.ZAP_DOMAIN, DOMAIN),
    (zmq.ZAP_ENFORCE_DOMAIN, 1),
)

PROBE = LinkId(b"hub:probe")
PROBE_MS = 3_000
PROBE_STEP_MS = 100
REPORT = "do not run this build; report it with the versions of pyzmq and libzmq"
