"""Be a sender and a receiver at one hub, or at a bare one: they batch as nodes do, and keep nothing."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from typing import Final, Protocol

import zmq
from zmq.utils import z85

from bare_hub import MESSAGE_BYTES, NUMBER_BYTES
from i247_edges.clock import read_clocks
from i247_edges.dialler import Dialler
from i247_edges.link import Context, Socket
from i247_edges.poller import Poller, Ready, drain
from i247_keys.custodian import Custodian
from i247_protocol.bundle import Bundle
from i247_protocol.counters import Counters
from i247_protocol.digests import envelope_id
from i247_protocol.frames import Credit, Custody, Frame, Hello, Parcel, Put, Role, Taken, encode_frame, parse_frame
from i247_protocol.header import encode_header
from i247_protocol.limits import NODE_FRAMES_IN_TURN_MAX, WINDOW_BYTES, WINDOW_MESSAGES
from i247_protocol.machine import FrameArrived, LinkId, LinkUp, Peer
from i247_protocol.names import KeyId, MemberCode, SessionId, WallMs, expiry_minutes
from i247_protocol.priority import Lane, Priority
from i247_protocol.session import Session
from network import ASKER, NEIGHBOUR, Bare, World


class Couple(Protocol):
    """A sender and a receiver."""

    def carry(self, messages: int) -> float:
        """Have so many messages carried; return the seconds until all are held and have arrived."""
        ...

    def close(self) -> None:
        """Hang up."""
        ...


class MemberCouple:
    """The bulk lanes of two members that are at home at one hub."""

    def __init__(self, world: World, hub: str) -> None:
        row = world.hub(hub)
        self._context: Context = zmq.Context()
        self._poller = Poller()
        self._sender, self._receiver = (
            _Side(
                self._context,
                self._poller,
                world.link_secret(code),
                Peer(LINK, row.endpoints[0], row.link),
                Custodian(code, world.identity(code)),
            )
            for code in (ASKER, NEIGHBOUR)
        )
        end = time.monotonic() + PATIENCE_S
        while not all(side.session.is_open for side in (self._sender, self._receiver)):
            self._turn(end)

    def carry(self, messages: int) -> float:
        """Have messages carried, as many in one frame as a node's pump would put."""
        batches = [self._sender.batch(min(BATCH, messages - begun)) for begun in range(0, messages, BATCH)]
        batches.reverse()
        self._sender.held = self._receiver.arrived = 0
        begin = time.perf_counter()
        end = time.monotonic() + PATIENCE_S
        while self._sender.held < messages or self._receiver.arrived < messages:
            while batches and self._sender.put(batches[-1]):
                batches.pop()
            self._turn(end)
        return time.perf_counter() - begin

    def close(self) -> None:
        """Hang up."""
        self._sender.dialler.close()
        self._receiver.dialler.close()
        self._poller.close()
        self._context.destroy(linger=0)

    def _turn(self, end: float) -> None:
        if time.monotonic() > end:
            raise TimeoutError("waited for a hub to carry messages")
        ready = self._poller.wait(TURN_MS)
        self._sender.turn(ready)
        self._receiver.turn(ready)


class _Side:
    """One member's bulk lane."""

    def __init__(self, context: Context, poller: Poller, secret: bytes, peer: Peer, custodian: Custodian) -> None:
        self._custodian = custodian
        self.dialler = Dialler(context, poller, secret, Counters(), (peer,))
        self.session = Session(SessionId(os.urandom(8)), read_clocks(), dialled=True)
        self.held = self.arrived = 0
        self._may = self._spent = 0

    def batch(self, messages: int) -> tuple[bytes, list[int]]:
        """Return a frame of sealed-like messages, and the size of each."""
        exp = expiry_minutes(WallMs(read_clocks().wall + 3_600_000))
        header = encode_header((MemberCode(NEIGHBOUR),), KeyId(bytes(8)), Priority.ROUTINE, exp)
        parcels = [Parcel(0, header, os.urandom(BODY_BYTES), ()) for _ in range(messages)]
        return encode_frame(Put(self.session.id, tuple(parcels))), [parcel.size for parcel in parcels]

    def put(self, batch: tuple[bytes, list[int]]) -> bool:
        """Send a batch when there is credit for it."""
        data, sizes = batch
        if self._spent + len(sizes) > self._may:
            return False
        self._spent += len(sizes)
        self._say(data)
        return True

    def turn(self, ready: Ready) -> None:
        """Take what has come, and answer as a node does after its commit."""
        said = Bundle()
        frames = drain(self.dialler.sources(ready), NODE_FRAMES_IN_TURN_MAX)
        for event in (*self.dialler.attend(ready), *frames):
            match event:
                case LinkUp():
                    said.add(LINK, self._hello())
                case FrameArrived(_, _, data):
                    self._heard(parse_frame(data), said)
                case _:
                    raise ConnectionError("the hub has hung up")
        for claim in self._custodian.finish(read_clocks()):
            said.add(LINK, claim.frame)
        for _, data in said.frames():
            self._say(data)

    def _heard(self, frame: Frame, said: Bundle) -> None:
        match frame:
            case Hello():
                self.session.opened(frame)
                self._may = frame.window_messages
            case Credit():
                self._may = frame.total_messages  # a frame never reaches the window of bytes first
            case Custody(taken=taken):
                self.held += len(taken)
            case Put(parcels=parcels):
                self.arrived += len(parcels)
                for parcel in parcels:
                    self.session.take(parcel.size)
                arrived = [Taken(envelope_id(one.header, one.body), one.hops, (NEIGHBOUR,)) for one in parcels]
                self._custodian.took(LINK, self.session.id, arrived)
                credit = self.session.grant()
                if credit is not None:
                    said.add(LINK, credit)
            case _:
                pass

    def _hello(self) -> Hello:
        wall = read_clocks().wall
        return Hello(self.session.id, Role.MEMBER, Lane.BULK, 1, b"", b"", wall, WINDOW_MESSAGES, WINDOW_BYTES)

    def _say(self, data: bytes) -> None:
        if not self.dialler.transmit(LINK, data):
            raise ConnectionError("the link is full")


class BareCouple:
    """A sender and a receiver at the bare hub, with the same window."""

    def __init__(self, hub: Bare) -> None:
        self._context: Context = zmq.Context()
        self._sender, self._receiver = (self._dialled(hub) for _ in range(2))
        self._receiver.send_multipart([b"take", b""])
        self._poller = zmq.Poller()
        for one in (self._sender, self._receiver):
            self._poller.register(one, zmq.POLLIN)
        self.echo()

    def carry(self, messages: int) -> float:
        """Have messages carried in frames of the same size."""
        waiting = [os.urandom(MESSAGE_BYTES * min(BATCH, messages - begun)) for begun in range(0, messages, BATCH)]
        frames, held, arrived, on_the_way = len(waiting), 0, 0, 0
        begin = time.perf_counter()
        while held < frames or arrived < frames:
            while waiting and on_the_way < WINDOW_MESSAGES // BATCH:
                self._sender.send_multipart([b"put", waiting.pop()])
                on_the_way += 1
            self._poller.poll(TURN_MS)
            for _ in _all_from(self._sender):
                held, on_the_way = held + 1, on_the_way - 1
            for (frame,) in _all_from(self._receiver):
                arrived += 1
                self._receiver.send_multipart([b"done", frame[:NUMBER_BYTES]])
        return time.perf_counter() - begin

    def echo(self) -> float:
        """Send a kilobyte there and back; return the seconds."""
        begin = time.perf_counter()
        self._sender.send_multipart([b"echo", bytes(BODY_BYTES)])
        if not self._sender.poll(int(PATIENCE_S * 1000)):
            raise TimeoutError("waited for an echo")
        self._sender.recv()
        return time.perf_counter() - begin

    def close(self) -> None:
        """Hang up."""
        self._context.destroy(linger=0)

    def _dialled(self, hub: Bare) -> Socket:
        one: Socket = self._context.socket(zmq.DEALER)
        public, secret = zmq.curve_keypair()
        one.set(zmq.CURVE_PUBLICKEY, public)
        one.set(zmq.CURVE_SECRETKEY, secret)
        one.set(zmq.CURVE_SERVERKEY, z85.encode(hub.key))
        one.connect(hub.endpoint)
        return one


def _all_from(one: Socket) -> Sequence[list[bytes]]:
    found = []
    while one.poll(0):
        found.append(one.recv_multipart())
    return found


LINK: Final = LinkId(b"hub:lyon:bulk")
BODY_BYTES: Final = 1024 + 48
"""1 KiB of padded plaintext, sealed to one recipient."""
BATCH: Final = 64
TURN_MS: Final = 100
PATIENCE_S: Final = 60.0
