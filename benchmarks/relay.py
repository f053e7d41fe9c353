"""What one hub carries: 1 KiB envelopes from one member's link to another's, each saved before it is answered for."""

from __future__ import annotations

import os
import time
from pathlib import Path

from i247_keys.network_file import replay
from i247_node.sockets import NodeSockets
from i247_protocol.digests import envelope_id
from i247_protocol.frames import Credit, Custody, Frame, Hello, Pair, Parcel, Put, Role, encode_frame, parse_frame
from i247_protocol.header import encode_header
from i247_protocol.limits import BATCH_PARCELS_MAX
from i247_protocol.machine import FrameArrived, LinkId, LinkUp, Peer
from i247_protocol.names import HubName, KeyId, MemberCode, WallMs, expiry_minutes
from i247_protocol.priority import Lane, Priority
from measures import Row, cpu_s, median, spread
from network import founded, link_secret

WINDOW = (10**9, 2**40)


class Side:
    """One member's bulk lane, as far as a relay needs it."""

    def __init__(self, secret: bytes, peer: Peer) -> None:
        self.sockets = NodeSockets(secret, (peer,))
        self.link = peer.link
        self.session = os.urandom(8)
        self.may = 0
        self.custody = 0
        self.got = 0

    def greet(self) -> None:
        end = time.monotonic() + 10
        while self.may == 0:
            if time.monotonic() > end:
                raise TimeoutError("the hub does not greet")
            self.turn(50)

    def put(self, parcels: tuple[Parcel, ...]) -> None:
        self.send(Put(self.session, parcels))

    def send(self, frame: Frame) -> None:
        if not self.sockets.transmit(self.link, encode_frame(frame)):
            raise ConnectionError("the link is full")

    def turn(self, timeout_ms: int) -> None:
        for event in self.sockets.poll(timeout_ms, 64):
            match event:
                case LinkUp():
                    now = int(time.time() * 1000)
                    self.send(Hello(self.session, Role.MEMBER, Lane.BULK, 1, b"", b"", now, *WINDOW))
                case FrameArrived(_, _, data):
                    self._heard(parse_frame(data))
                case _:
                    pass

    def _heard(self, frame: Frame) -> None:
        match frame:
            case Hello():
                self.may = frame.window_messages
            case Credit():
                self.may = frame.total_messages
            case Custody():
                self.custody += len(frame.pairs)
            case Put():
                self.got += len(frame.parcels)
                pairs = tuple(Pair(envelope_id(one.header, one.body), ("SG",)) for one in frame.parcels)
                self.send(Custody(self.session, pairs, None))
            case _:
                pass


def rows(rounds: int, messages: int, folder: Path) -> list[Row]:
    """Measure, and return the lines of the table."""
    network = founded(folder, {"FR": "lyon", "SG": "lyon", "XP": "lyon"})
    try:
        network.start("lyon")
        pin = bytes.fromhex((folder / "authority/pin.txt").read_text())
        wall = WallMs(int(time.time() * 1000))
        hub = replay((folder / "authority/network.i247").read_bytes(), pin, wall).directory.hub(HubName("lyon"))
        if hub is None:
            raise LookupError("no hub lyon in the directory")
        peer = Peer(LinkId(b"hub:lyon:bulk"), hub.endpoints[0], hub.link)
        sender, receiver = (Side(link_secret(network, code), peer) for code in ("FR", "SG"))
        receiver.greet()
        sender.greet()
        exp = expiry_minutes(WallMs(wall + 3_600_000))
        header = encode_header((MemberCode("SG"),), KeyId(bytes(8)), Priority.ROUTINE, exp)
        pid = network.running["lyon"].pid
        rates, cpus = [], []
        sent = 0
        for _ in range(rounds):
            parcels = [Parcel(0, header, os.urandom(1024), ()) for _ in range(messages)]
            before, begin, goal, sent_before = cpu_s(pid), time.perf_counter(), receiver.got + messages, sent
            while receiver.got < goal:
                for _ in range(4):
                    batch = tuple(parcels[sent - sent_before : sent - sent_before + BATCH_PARCELS_MAX])
                    if not batch or sent + len(batch) > sender.may:
                        break
                    sender.put(batch)
                    sent += len(batch)
                sender.turn(0)
                receiver.turn(1)
            rates.append(messages / (time.perf_counter() - begin))
            cpus.append((cpu_s(pid) - before) / messages * 1e6)
        sender.sockets.close()
        receiver.sockets.close()
    finally:
        network.close()
    return [
        Row(
            "hub relay, 1 KiB, commit a batch",
            f"{median(rates):,.0f} /s",
            spread(rates, ",.0f"),
            "≥ 15,000 /s",
            "durable",
        ),
        Row("  the hub's processor time", f"{median(cpus):.0f} µs a message", spread(cpus), "≤ 66 µs", "with CURVE"),
    ]
