"""Write and read what travels on one link between a node and a hub, or two hubs.

A frame is one ZeroMQ message part: a canonical msgpack array whose first element names its kind and
whose second is the session that it belongs to. Frames of one kind for one link may be merged, so many
envelopes share the cost of one send. docs/protocol.md 9.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

import msgspec

from i247_protocol import codec
from i247_protocol.errors import PeerFault
from i247_protocol.header import Envelope, Wrap
from i247_protocol.limits import (
    BATCH_PARCELS_MAX,
    CARDS_IN_FRAME_MAX,
    FRAME_BYTES_MAX,
    MEMBERS_MAX,
    PAIR_RECIPIENTS_MAX,
    PAIRS_MAX,
    RECIPIENTS_MAX,
)
from i247_protocol.names import EnvelopeId, Instant, KeyId, MemberCode, Ordinal, SessionId, parse_member
from i247_protocol.priority import Lane
from i247_protocol.reasons import Reason


class Role(StrEnum):
    """Who speaks at an end of a link."""

    MEMBER = "member"
    HUB = "hub"


class Parcel(NamedTuple):
    """An envelope on a link, with the number of hubs that it has passed."""

    hops: int
    header: bytes
    body: bytes
    wraps: tuple[tuple[str, bytes, bytes], ...]

    @property
    def envelope(self) -> Envelope:
        """The envelope carried."""
        return Envelope(self.header, self.body, tuple(Wrap(MemberCode(m), KeyId(k), s) for m, k, s in self.wraps))

    @property
    def size(self) -> int:
        """Bytes that count against credit."""
        return len(self.header) + len(self.body) + 100 * len(self.wraps)


class Pair(NamedTuple):
    """One envelope on its way to some of its recipients."""

    envelope: bytes
    recipients: tuple[str, ...]


class Fate(StrEnum):
    """What a hub knows of an envelope for one recipient."""

    HELD = "held"
    PASSED = "passed"
    UNKNOWN = "unknown"


class Known(NamedTuple):
    """A hub's answer about one envelope and recipient; `hop` and `at` (ms) are empty when unknown."""

    envelope: bytes
    recipient: str
    fate: Fate
    hop: str
    at: Instant


class Bounce(NamedTuple):
    """A signed word that an envelope will not reach one recipient: why, when (ms), and which hub says so."""

    envelope: bytes
    recipient: str
    reason: str
    at: Instant
    hub: str
    signature: bytes


class _Frame(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    session: bytes


class Hello(_Frame, frozen=True, array_like=True, tag="hello"):
    """Begin a session, or agree to one: who, what is known, and the credit that the other side may use."""

    role: Role
    lane: Lane
    roster: Ordinal
    pulse: bytes
    cards: bytes
    time: Instant
    window_messages: Ordinal
    window_bytes: Ordinal


class Reset(_Frame, frozen=True, array_like=True, tag="reset"):
    """Say that a frame named a session which this side does not have."""


class Put(_Frame, frozen=True, array_like=True, tag="put"):
    """Hand over envelopes."""

    parcels: tuple[Parcel, ...]


class Custody(_Frame, frozen=True, array_like=True, tag="custody"):
    """Say that envelopes, or words of their return, are safely held here; `proof` is reserved and nil."""

    pairs: tuple[Pair, ...]
    proof: None


class Returned(_Frame, frozen=True, array_like=True, tag="returned"):
    """Say that envelopes will not reach some recipients."""

    bounces: tuple[Bounce, ...]


class Busy(_Frame, frozen=True, array_like=True, tag="busy"):
    """Say that envelopes were not taken for want of room, and when (ms from now) to try again."""

    pairs: tuple[Pair, ...]
    reason: str
    retry_after: Ordinal


class Ask(_Frame, frozen=True, array_like=True, tag="ask"):
    """Ask what is known of envelopes."""

    pairs: tuple[Pair, ...]


class Told(_Frame, frozen=True, array_like=True, tag="told"):
    """Answer an ask."""

    known: tuple[Known, ...]


class Credit(_Frame, frozen=True, array_like=True, tag="credit"):
    """Allow the other side so many messages and bytes in this session, counted from its beginning."""

    total_messages: Ordinal
    total_bytes: Ordinal


class DirWant(_Frame, frozen=True, array_like=True, tag="dir-want"):
    """Ask for the directory's documents since a roster version, and for a pulse that is not the one named."""

    roster: int
    pulse: bytes


class DirHave(_Frame, frozen=True, array_like=True, tag="dir-have"):
    """Give directory documents (a network file, whole or from a version on)."""

    data: bytes


class CardWant(_Frame, frozen=True, array_like=True, tag="card-want"):
    """Ask for the keycards that are newer than these versions."""

    have: tuple[tuple[str, int], ...]


class Cards(_Frame, frozen=True, array_like=True, tag="card"):
    """Give keycards, each a signed document."""

    cards: tuple[bytes, ...]


Frame = Hello | Reset | Put | Custody | Returned | Busy | Ask | Told | Credit | DirWant | DirHave | CardWant | Cards


def encode_frame(frame: Frame) -> bytes:
    """Return a frame's bytes."""
    return codec.encode(frame)


def parse_frame(data: bytes) -> Frame:
    """Return the frame in `data`; raise PeerFault when it breaks a rule."""
    frame: Frame = codec.decode_as_any(Frame, data, bytes_max=FRAME_BYTES_MAX)
    if len(frame.session) != SESSION_BYTES or not _within_bounds(frame):
        raise PeerFault(Reason.MALFORMED)
    return frame


def session_of(frame: Frame) -> SessionId:
    """Return the session that a frame names."""
    return SessionId(frame.session)


def _within_bounds(frame: Frame) -> bool:
    match frame:
        case Put():
            return 0 < len(frame.parcels) <= BATCH_PARCELS_MAX and all(_parcel_is_sound(one) for one in frame.parcels)
        case Custody() | Busy() | Ask():
            # An answer to an ask has a line for each recipient, and must fit a frame as well.
            most = PAIRS_MAX if isinstance(frame, Ask) else PAIR_RECIPIENTS_MAX
            few = 0 < len(frame.pairs) <= PAIRS_MAX and sum(len(one.recipients) for one in frame.pairs) <= most
            return few and all(_pair_is_sound(pair) for pair in frame.pairs)
        case Told():
            return len(frame.known) <= PAIRS_MAX
        case Returned():
            return len(frame.bounces) <= PAIRS_MAX
        case CardWant():
            return len(frame.have) <= MEMBERS_MAX
        case Cards():
            return len(frame.cards) <= CARDS_IN_FRAME_MAX
        case _:
            return True


def _parcel_is_sound(parcel: Parcel) -> bool:
    if not 0 <= parcel.hops <= HOPS_FIELD_MAX or len(parcel.wraps) > RECIPIENTS_MAX:
        return False
    for member, _, _ in parcel.wraps:
        parse_member(member)
    return True


def _pair_is_sound(pair: Pair) -> bool:
    if len(pair.envelope) != ENVELOPE_ID_BYTES or not 1 <= len(pair.recipients) <= RECIPIENTS_MAX:
        return False
    for member in pair.recipients:
        parse_member(member)
    return True


def pair(envelope: EnvelopeId, *recipients: MemberCode) -> Pair:
    """Name an envelope and some of its recipients."""
    return Pair(envelope, recipients)


SESSION_BYTES = 8
ENVELOPE_ID_BYTES = 32
HOPS_FIELD_MAX = 15
