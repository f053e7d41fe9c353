"""Let hubs lie and members misbehave, on the wire alone: their machines stay honest and know nothing of it.

A hub that lies sees its own frames as they leave, and those of others before its machine does. When its time is over
its connections are broken, as when the intruder is thrown out and the program started anew. docs/simulation.md 3.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from random import Random
from typing import Final

from i247_keys.identity import Identity
from i247_keys.keycard import VERSION_MAX, parse_keycard
from i247_keys.keyring import Keyring
from i247_keys.vouching import root_of, vouch
from i247_protocol import codec
from i247_protocol.digests import envelope_id
from i247_protocol.errors import PeerFault
from i247_protocol.frames import Cards, Custody, DirHave, Frame, Parcel, Put, Taken, encode_frame, parse_frame
from i247_protocol.header import parse_header
from i247_protocol.names import MemberCode, WallMs
from i247_simulations.faults import HostileHub, HubLie


class Liar:
    """What one hub does to frames while a fault lasts."""

    def __init__(
        self,
        fault: HostileHub,
        identity: Identity,
        chance: Random,
        entropy: Callable[[int], bytes],
        *,
        cards: Iterable[bytes],
        papers: bytes,
        wall: WallMs,
    ) -> None:
        self.fault = fault
        self._identity = identity
        self._chance = chance
        self._past: deque[Parcel] = deque(maxlen=64)
        self._kept: bytes | None = None
        self._papers = papers
        self._keyring = Keyring().renewed(wall, entropy)
        self._cards = tuple(self._own_card(card, wall) for card in cards)
        self.lies = 0

    @property
    def kids(self) -> Iterable[bytes]:
        """The key ids of the epoch keys that it would have others seal to."""
        return (key.kid for key in self._keyring.keys)

    def sends(self, data: bytes) -> list[bytes]:
        """Return what goes out instead of a frame of this hub."""
        lie = self.fault.lie
        frame = _parsed(data) if _is_of(data, LIES_IN.get(lie, ())) else None
        if frame is None or self._chance.random() * 100 >= self.fault.percent:
            if isinstance(frame, Put):
                self._past.extend(frame.parcels)
            return [data]
        self.lies += 1
        match lie, frame:
            case (HubLie.DROP, _) | (HubLie.NO_CUSTODY, _) | (HubLie.WITHHOLD_DIRECTORY, _):
                return []
            case HubLie.REPLAY, Put():
                again = tuple(self._chance.sample(list(self._past), min(4, len(self._past))))
                self._past.extend(frame.parcels)
                return [data, *([encode_frame(Put(frame.session, again))] if again else [])]
            case HubLie.REORDER, _:
                kept, self._kept = self._kept, data if self._kept is None else None
                return [] if kept is None else [data, kept]
            case HubLie.FORGE_DIRECTORY | HubLie.FORK_DIRECTORY, _:
                return [encode_frame(DirHave(frame.session, self._papers)), data]
            case HubLie.FORGE_CARDS, _:
                return [encode_frame(Cards(frame.session, self._cards)), data]
            case HubLie.ROT, Put():
                return [encode_frame(Put(frame.session, tuple(map(self._rotten, frame.parcels))))]
            case HubLie.SWAP, Put():
                return [encode_frame(Put(frame.session, self._swapped(frame.parcels)))]
            case HubLie.ALTER, Put():
                return [encode_frame(Put(frame.session, tuple(map(self._altered, frame.parcels))))]
            case _:
                return [data]

    def hears(self, data: bytes, wall: WallMs) -> tuple[list[bytes], list[bytes]]:
        """Return what reaches this hub's machine instead of a frame for it, and what is answered at once."""
        if self.fault.lie is not HubLie.FORGE_CUSTODY or self._chance.random() * 100 >= self.fault.percent:
            return [data], []
        frame = _parsed(data) if _is_of(data, (b"put",)) else None
        if not isinstance(frame, Put):
            return [data], []
        self.lies += 1
        taken = tuple(
            Taken(envelope_id(one.header, one.body), one.hops, _recipients(one))
            for one in frame.parcels
            if _recipients(one)
        )
        if not taken:
            return [], []
        voucher = vouch(self.fault.program, self._identity, wall, [root_of(taken)])
        return [], [encode_frame(Custody(frame.session, taken, voucher))]

    def _swapped(self, parcels: Iterable[Parcel]) -> tuple[Parcel, ...]:
        swapped = []
        for one in parcels:
            other = self._chance.choice(self._past) if self._past else one
            self._past.append(one)
            swapped.append(one._replace(body=other.body))
        return tuple(swapped)

    def _rotten(self, parcel: Parcel) -> Parcel:
        body = bytearray(parcel.body)
        body[self._chance.randrange(len(body))] ^= 1 << self._chance.randrange(8)
        return parcel._replace(body=bytes(body))

    def _own_card(self, data: bytes, wall: WallMs) -> bytes:
        """Return a newer keycard of the same member with keys of this hub, under its own signature."""
        card, _ = parse_keycard(data)
        return self._keyring.card(card.member, min(card.version + 1, VERSION_MAX), wall, self._identity)

    def _altered(self, parcel: Parcel) -> Parcel:
        header = codec.decode(parcel.header, bytes_max=2_048)
        if self._chance.random() < 0.5:
            header["exp"] += 60
        else:
            header["prio"] = (header["prio"] + 1) % 4
        return parcel._replace(header=codec.encode(header))


def _recipients(parcel: Parcel) -> tuple[MemberCode, ...]:
    if parcel.wraps:
        return tuple(MemberCode(member) for member, _, _ in parcel.wraps)
    return parse_header(parcel.header).recipients


def _is_of(data: bytes, kinds: Iterable[bytes]) -> bool:
    """Look at a frame's kind without reading the frame: an array, then the short text of its tag."""
    return any(data[2 : 2 + len(kind)] == kind and data[1] == 0xA0 + len(kind) for kind in kinds)


def _parsed(data: bytes) -> Frame | None:
    try:
        return parse_frame(data)
    except PeerFault:
        return None


LIES_IN: Final = {
    HubLie.DROP: (b"put", b"custody", b"returned", b"told"),
    HubLie.REPLAY: (b"put",),
    HubLie.NO_CUSTODY: (b"custody",),
    HubLie.REORDER: (b"put", b"custody", b"returned", b"told", b"credit"),
    HubLie.SWAP: (b"put",),
    HubLie.ALTER: (b"put",),
    HubLie.ROT: (b"put",),
    HubLie.FORGE_CARDS: (b"put", b"custody", b"credit"),
    HubLie.FORGE_DIRECTORY: (b"put", b"custody", b"credit"),
    HubLie.FORK_DIRECTORY: (b"put", b"custody", b"credit"),
    HubLie.WITHHOLD_DIRECTORY: (b"dir-have", b"card"),
}
