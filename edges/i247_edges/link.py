"""Hold what both ends of a link share: keys in raw form, bounds of a socket, sending without waiting.

docs/protocol.md 9.1.
"""

from __future__ import annotations

import zmq
from zmq.utils import z85

from i247_protocol.errors import CallerFault
from i247_protocol.limits import FRAME_BYTES_MAX

Context = zmq.Context[zmq.Socket[bytes]]
Socket = zmq.Socket[bytes]


def link_key(link_secret: bytes) -> bytes:
    """Return the raw public key of a raw curve secret; raise CallerFault when it is not one."""
    if len(link_secret) != KEY_BYTES:
        raise CallerFault("use a link secret that is not 32 bytes", "give the raw secret, not its text form")
    return z85.decode(zmq.curve_public(z85.encode(link_secret)))


def set_link_options(one: Socket) -> None:
    """Bound frames, queues, handshakes and silence."""
    for option, value in LINK_OPTIONS:
        one.set(option, value)


def send_at_once(one: Socket, data: bytes, flags: int = 0) -> None:
    """Send without waiting; raise zmq.Again only when there is truly no room."""
    try:
        one.send(data, zmq.NOBLOCK | flags)
    except zmq.Again:
        # ZeroMQ may notice freed room a millisecond late, unless it is asked for events.
        one.get(zmq.EVENTS)
        one.send(data, zmq.NOBLOCK | flags)


def skip_parts(one: Socket) -> None:
    """Drop the parts of the present message that are left."""
    while one.recv(zmq.NOBLOCK, copy=False).more:
        pass


KEY_BYTES = 32
# ZeroMQ applies its bound to the encrypted frame: 8 of command name, 8 of nonce, 1 of flags, 16 of authentication.
CURVE_BYTES = 33
HANDSHAKE_MS = 4_000

LINK_OPTIONS: tuple[tuple[int, int], ...] = (
    (zmq.LINGER, 0),
    (zmq.MAXMSGSIZE, FRAME_BYTES_MAX + CURVE_BYTES),
    (zmq.HANDSHAKE_IVL, HANDSHAKE_MS),
    (zmq.HEARTBEAT_IVL, 1_500),
    (zmq.HEARTBEAT_TIMEOUT, 4_500),
    (zmq.HEARTBEAT_TTL, 6_000),
    (zmq.SNDHWM, 1_024),
    (zmq.RCVHWM, 64),
)
