"""Do harm to one hub for some seconds, as a process of its own: `python -m tests.abuse.attack NAME` and a JSON target.

Each attack is bounded in connections and bytes, and goes to loopback alone. What it can do is printed as JSON.
"""

from __future__ import annotations

import json
import os
import resource
import socket
import struct
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import zmq
from tests.abuse.zmtp import GREETING, Caller
from zmq.utils import z85

from i247_protocol.frames import Hello, Role, encode_frame
from i247_protocol.names import WallMs
from i247_protocol.priority import Lane


@dataclass(frozen=True)
class Victim:
    """The hub, and a link secret that the attacker has come by."""

    endpoint: str
    hub_key: bytes
    secret: bytes
    until: float

    @property
    def time_is_left(self) -> bool:
        return time.monotonic() < self.until

    def caller(self, secret: bytes | None = None) -> Caller:
        return Caller(self.endpoint, self.hub_key, secret or self.secret, timeout_s=2.0)

    def raw(self) -> socket.socket:
        host, _, port = self.endpoint.removeprefix("tcp://").rpartition(":")
        return socket.create_connection((host, int(port)), timeout=2.0)


def strangers(victim: Victim, did: Counter[str]) -> None:
    """Hold 2,000 connections that say nothing, and open again those that are closed."""
    most = _files(2_000, did)
    held: list[socket.socket] = []
    while victim.time_is_left:
        while len(held) < most and victim.time_is_left:
            with suppress(OSError):
                held.append(victim.raw())
                held[-1].setblocking(False)
                did["connections"] += 1
        time.sleep(0.2)
        held = [one for one in held if not _is_over(one)]
    did["held at the end"] = len(held)


def half_handshakes(victim: Victim, did: Counter[str]) -> None:
    """Hold 500 connections that stop after HELLO."""
    held: list[Caller] = []
    while victim.time_is_left:
        with suppress(OSError):
            caller = victim.caller()
            caller.greet()
            caller.hello()
            did["hellos"] += 1
            held.append(caller)
        if len(held) > HALF:
            held.pop(0).close()


def old_protocols(victim: Victim, did: Counter[str]) -> None:
    """Send ZMTP 1.0, ZMTP 3 without CURVE, HTTP and noise."""
    while victim.time_is_left:
        for data in (
            b"\x01\0\x05hello\x04\0hey",
            GREETING.replace(b"CURVE", b"NULL\0") + b"\x04\x19\x05READY",
            b"GET / HTTP/1.1\r\n\r\n",
            bytes(range(256)) * 40,
        ):
            with suppress(OSError), victim.raw() as one:
                one.sendall(data)
                did["connections"] += 1


def unknown_keys(victim: Victim, did: Counter[str]) -> None:
    """Go through the whole handshake with keys that nobody admitted."""
    while victim.time_is_left:
        try:
            victim.caller(z85.decode(zmq.curve_keypair()[1])).come_in()
            did["let in"] += 1
        except OSError:
            did["kept out"] += 1


def announced_frames(victim: Victim, did: Counter[str]) -> None:
    """Come in as a member and announce a frame of 200 MiB."""
    while victim.time_is_left:
        with suppress(OSError):
            caller = victim.caller().come_in()
            caller.announce(200 * 1024 * 1024)
            did["cut off"] += caller.is_cut()
        time.sleep(0.1)


def many_parts(victim: Victim, did: Counter[str]) -> None:
    """Come in as a member and send messages of 200 parts of 512 KiB, of which every other one never ends."""
    while victim.time_is_left:
        with suppress(OSError):
            caller = victim.caller().come_in()
            for _ in range(199):
                caller.part(PART, more=True)
                did["parts"] += 1
            did["whole messages"] += 1
            caller.part(PART, more=False)
            for _ in range(400):
                caller.part(PART, more=True)
                did["parts"] += 1
        did["cut off"] += 1


def routing_ids(victim: Victim, did: Counter[str]) -> None:
    """Come in as a member under routing ids that ZeroMQ may give to others, and under names of hubs."""
    guess = FIRST_ROUTE
    while victim.time_is_left:
        for route in (b"\0" + struct.pack(">I", guess), b"hub:lyon:express", b"\0"):
            with suppress(OSError):
                caller = victim.caller().come_in(route)
                caller.part(_hello(), more=False)
                did["chosen"] += 1
        guess += 1
        time.sleep(0.05)


def reconnects(victim: Victim, did: Counter[str]) -> None:
    """Come in again and again, greet, and hang up; the key may be a suspended member's."""
    while victim.time_is_left:
        try:
            caller = victim.caller().come_in()
            caller.part(_hello(), more=False)
            caller.close()
            did["came in"] += 1
        except OSError:
            did["kept out"] += 1


def many_connections(victim: Victim, did: Counter[str]) -> None:
    """Come in a thousand times as one member and stay."""
    held: list[Caller] = []
    for _ in range(_files(1_000, did)):
        if not victim.time_is_left:
            break
        try:
            held.append(victim.caller().come_in())
            held[-1].part(_hello(), more=False)
            did["came in"] += 1
        except OSError:
            did["kept out"] += 1
    while victim.time_is_left:
        time.sleep(0.1)
    for one in held:
        one.socket.settimeout(0.001)
    did["held at the end"] = sum(not one.is_cut() for one in held)


def _hello() -> bytes:
    now = WallMs(time.time_ns() // 1_000_000)
    return encode_frame(Hello(bytes(8), Role.MEMBER, Lane.BULK, 0, b"", b"", now, 1024, 1 << 23))


def _files(wanted: int, did: Counter[str]) -> int:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < wanted + SPARE_FILES:
        soft = min(hard, wanted + SPARE_FILES)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    if soft < wanted + SPARE_FILES:
        did[f"fewer than {wanted}, since this system allows {soft} open files"] = 1
    return min(wanted, soft - SPARE_FILES)


def _is_over(one: socket.socket) -> bool:
    try:
        while one.recv(4096):
            pass
    except BlockingIOError:
        return False
    except OSError:
        pass
    one.close()
    return True


Attack = Callable[[Victim, Counter[str]], None]
ATTACKS: Final[dict[str, Attack]] = {
    one.__name__.replace("_", "-"): one
    for one in (
        strangers,
        half_handshakes,
        old_protocols,
        unknown_keys,
        announced_frames,
        many_parts,
        routing_ids,
        reconnects,
        many_connections,
    )
}
PART: Final = bytes(512 * 1024)
HALF: Final = 500
SPARE_FILES: Final = 64
FIRST_ROUTE: Final = 0xE43C986A  # what the second ROUTER of every process begins with, where nothing seeds `rand`

if __name__ == "__main__":
    os.nice(19)  # an attacker has processors of its own: it should not take those of hub and members
    asked = json.loads(sys.argv[2])
    told: Counter[str] = Counter()
    ATTACKS[sys.argv[1]](
        Victim(
            asked["endpoint"],
            bytes.fromhex(asked["hub_key"]),
            bytes.fromhex(asked["secret"]),
            time.monotonic() + asked["seconds"],
        ),
        told,
    )
    sys.stdout.write(json.dumps(told))
