"""Be one lane of a member at a hub: batch as a node does, answer as a node does, seal and keep nothing."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from i247_edges.clock import read_clocks
from i247_edges.dialler import Dialler
from i247_edges.link import Context
from i247_edges.poller import Poller, Ready, drain
from i247_keys import key_folder
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
from network import PASSPHRASE, World


@dataclass(frozen=True, slots=True)
class Membership:
    """Who this is, at which hub, and to whom it writes; keys stay in their folder, so it can go to another process."""

    me: str
    partner: str
    keys: Path
    endpoint: str
    hub_key: bytes
    lane: Lane = Lane.BULK

    @classmethod
    def of(cls, world: World, hub: str, me: str, partner: str, lane: Lane = Lane.BULK) -> Membership:
        """Return the membership of `me` in a network."""
        row = world.hub(hub)
        return cls(me, partner, world.folder / me, row.endpoints[0], row.link, lane)


class Batch(NamedTuple):
    """A frame of messages that look sealed, and the size of each."""

    data: bytes
    sizes: Sequence[int]


class MemberLane:
    """One connection of one member."""

    def __init__(self, context: Context, poller: Poller, member: Membership) -> None:
        self.session = Session(SessionId(os.urandom(8)), read_clocks(), dialled=True)
        self.held = self.arrived = 0
        self._member = member
        identity = key_folder.read_identity(member.keys / key_folder.IDENTITY_FILE, PASSPHRASE)
        self._custodian = Custodian(member.me, identity)
        secret = key_folder.read_link_secret(member.keys / key_folder.LINK_FILE, PASSPHRASE)
        peer = Peer(LINK, member.endpoint, member.hub_key)
        self._dialler = Dialler(context, poller, secret, Counters(), (peer,))
        self._may_messages = self._may_bytes = self._spent_messages = self._spent_bytes = 0

    def batch(
        self, messages: int, body_bytes: int, lifetime_ms: int = 3_600_000, prio: Priority | None = None
    ) -> Batch:
        """Return a frame of messages to the partner; they are urgent on the express lane, otherwise routine."""
        prio = prio or (Priority.URGENT if self._member.lane is Lane.EXPRESS else Priority.ROUTINE)
        exp = expiry_minutes(WallMs(read_clocks().wall + lifetime_ms))
        header = encode_header((MemberCode(self._member.partner),), KeyId(bytes(8)), prio, exp)
        parcels = [Parcel(0, header, os.urandom(body_bytes), ()) for _ in range(messages)]
        return Batch(encode_frame(Put(self.session.id, tuple(parcels))), [parcel.size for parcel in parcels])

    def put(self, batch: Batch) -> bool:
        """Send a batch when there is credit for it."""
        size = sum(batch.sizes)
        if self._spent_messages + len(batch.sizes) > self._may_messages or self._spent_bytes + size > self._may_bytes:
            return False
        self._spent_messages += len(batch.sizes)
        self._spent_bytes += size
        self._say(batch.data)
        return True

    def turn(self, ready: Ready) -> None:
        """Take what has come, and answer as a node does after its commit."""
        said = Bundle()
        frames = drain(self._dialler.sources(ready), NODE_FRAMES_IN_TURN_MAX)
        for event in (*self._dialler.attend(ready), *frames):
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

    def show_life(self) -> None:
        """Say something, so that the hub does not take a long silence for a loss."""
        self._say(encode_frame(self.session.credit()))

    def close(self) -> None:
        """Hang up."""
        self._dialler.close()

    def _heard(self, frame: Frame, said: Bundle) -> None:
        match frame:
            case Hello():
                self.session.opened(frame)
                self._may_messages, self._may_bytes = frame.window_messages, frame.window_bytes
            case Credit():
                self._may_messages, self._may_bytes = frame.total_messages, frame.total_bytes
            case Custody(taken=taken):
                self.held += len(taken)
            case Put(parcels=parcels):
                self.arrived += len(parcels)
                for parcel in parcels:
                    self.session.take(parcel.size)
                me = (self._member.me,)
                arrived = [Taken(envelope_id(one.header, one.body), one.hops, me) for one in parcels]
                self._custodian.took(LINK, self.session.id, arrived, read_clocks().mono)
                credit = self.session.grant()
                if credit is not None:
                    said.add(LINK, credit)
            case _:
                pass

    def _hello(self) -> Hello:
        wall = read_clocks().wall
        return Hello(self.session.id, Role.MEMBER, self._member.lane, 1, b"", b"", wall, WINDOW_MESSAGES, WINDOW_BYTES)

    def _say(self, data: bytes) -> None:
        if not self._dialler.transmit(LINK, data):
            raise ConnectionError("the link is full")


LINK: Final = LinkId(b"hub:lyon:bulk")
BODY_BYTES: Final = 1024 + 48
"""1 KiB of padded plaintext, sealed to one recipient."""
