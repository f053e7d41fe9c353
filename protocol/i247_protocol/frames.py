"""Write and read what travels on one link between a node and a hub, or two hubs.

A frame is one ZeroMQ message part: a canonical msgpack array whose first element names its kind and
whose second is the session that it belongs to. Frames of one kind for one link may be merged, so many
envelopes share the cost of one send. docs/protocol.md 9.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, NamedTuple

import msgspec
from msgspec import Meta

from i247_protocol import codec
from i247_protocol.errors import PeerFault
from i247_protocol.header import Envelope, Wrap
from i247_protocol.limits import (
    BATCH_PARCELS_MAX,
    CARDS_IN_FRAME_MAX,
    FRAME_BYTES_MAX,
    HUBS_MAX,
    MEMBERS_MAX,
    PAIR_RECIPIENTS_MAX,
    PAIRS_MAX,
    RECIPIENTS_MAX,
    ROOTS_MAX,
    SHOW_PAIRS_MAX,
)
from i247_protocol.names import EnvelopeId, Instant, KeyId, MemberCode, Ordinal, SessionId, parse_hub, parse_member
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
    wraps: Annotated[tuple[tuple[str, bytes, bytes], ...], Meta(max_length=RECIPIENTS_MAX)]

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
    recipients: Annotated[tuple[str, ...], Meta(max_length=RECIPIENTS_MAX)]


class Taken(NamedTuple):
    """One envelope that was taken for some recipients, with the number of hubs that it had passed by then."""

    envelope: bytes
    hops: int
    recipients: Annotated[tuple[str, ...], Meta(max_length=RECIPIENTS_MAX)]


class Voucher(NamedTuple):
    """A custodian's signature over what it took at `at` (ms): the roots of up to 16 frames of one commit."""

    at: Instant
    roots: Annotated[tuple[bytes, ...], Meta(max_length=ROOTS_MAX)]
    signature: bytes


class Proof(NamedTuple):
    """What shows anybody that `by` took one envelope for one recipient: its voucher, and the path to one root."""

    envelope: bytes
    hops: int
    recipient: str
    by: str
    leaf: Ordinal
    leaves: Ordinal
    path: tuple[bytes, ...]
    voucher: Voucher


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

    parcels: Annotated[tuple[Parcel, ...], Meta(max_length=BATCH_PARCELS_MAX)]


class Custody(_Frame, frozen=True, array_like=True, tag="custody"):
    """Say, and sign, that envelopes are safely held here."""

    taken: Annotated[tuple[Taken, ...], Meta(max_length=PAIRS_MAX)]
    voucher: Voucher


class Noted(_Frame, frozen=True, array_like=True, tag="noted"):
    """Say that words of return are safely held here."""

    pairs: Annotated[tuple[Pair, ...], Meta(max_length=PAIRS_MAX)]


class Returned(_Frame, frozen=True, array_like=True, tag="returned"):
    """Say that envelopes will not reach some recipients."""

    bounces: Annotated[tuple[Bounce, ...], Meta(max_length=PAIRS_MAX)]


class Busy(_Frame, frozen=True, array_like=True, tag="busy"):
    """Say that envelopes were not taken for want of room, and when (ms from now) to try again."""

    pairs: Annotated[tuple[Pair, ...], Meta(max_length=PAIRS_MAX)]
    reason: str
    retry_after: Ordinal


class Ask(_Frame, frozen=True, array_like=True, tag="ask"):
    """Ask what is known of envelopes."""

    pairs: Annotated[tuple[Pair, ...], Meta(max_length=PAIRS_MAX)]


class Told(_Frame, frozen=True, array_like=True, tag="told"):
    """Answer an ask."""

    known: Annotated[tuple[Known, ...], Meta(max_length=PAIRS_MAX)]


class Show(_Frame, frozen=True, array_like=True, tag="show"):
    """Ask what shows how envelopes have left the hub asked."""

    pairs: Annotated[tuple[Pair, ...], Meta(max_length=SHOW_PAIRS_MAX)]


class Shown(_Frame, frozen=True, array_like=True, tag="shown"):
    """Answer a `show`: the next places' custody, and signed words of return or expiry."""

    proofs: Annotated[tuple[Proof, ...], Meta(max_length=2 * SHOW_PAIRS_MAX)]
    words: Annotated[tuple[Bounce, ...], Meta(max_length=2 * SHOW_PAIRS_MAX)]


class Credit(_Frame, frozen=True, array_like=True, tag="credit"):
    """Allow the other side so many messages and bytes in this session, counted from its beginning."""

    total_messages: Ordinal
    total_bytes: Ordinal


class Reach(_Frame, frozen=True, array_like=True, tag="reach"):
    """Say which other hubs this one reaches, with both lanes open."""

    hubs: tuple[str, ...]


class DirWant(_Frame, frozen=True, array_like=True, tag="dir-want"):
    """Ask for the directory's documents since a roster version, and for a pulse that is not the one named."""

    roster: int
    pulse: bytes


class DirHave(_Frame, frozen=True, array_like=True, tag="dir-have"):
    """Give directory documents (a network file, whole or from a version on)."""

    data: bytes


class CardWant(_Frame, frozen=True, array_like=True, tag="card-want"):
    """Ask for the keycards that are newer than these versions."""

    have: Annotated[tuple[tuple[str, int], ...], Meta(max_length=MEMBERS_MAX)]


class Cards(_Frame, frozen=True, array_like=True, tag="card"):
    """Give keycards, each a signed document."""

    cards: Annotated[tuple[bytes, ...], Meta(max_length=CARDS_IN_FRAME_MAX)]


Frame = (
    Hello
    | Reset
    | Put
    | Custody
    | Returned
    | Noted
    | Busy
    | Ask
    | Told
    | Show
    | Shown
    | Credit
    | Reach
    | DirWant
    | DirHave
    | CardWant
    | Cards
)


def encode_frame(frame: Frame) -> bytes:
    """Return a frame's bytes."""
    return codec.encode(frame)


def is_put(data: bytes) -> bool:
    """Return whether a frame brings envelopes, told by its first bytes before it is parsed."""
    return data.startswith(b"put", 2)


def parse_frame(data: bytes) -> Frame:
    """Return the frame in `data`; raise PeerFault when it breaks a rule."""
    frame: Frame = codec.decode_as_any(Frame, data, bytes_max=FRAME_BYTES_MAX)
    if len(frame.session) != SESSION_BYTES or not _within_bounds(frame):
        raise PeerFault(Reason.MALFORMED)
    return frame


def session_of(frame: Frame) -> SessionId:
    """Return the session that a frame names."""
    return SessionId(frame.session)


def proof_is_sound(proof: Proof) -> bool:
    """Whether the lengths and numbers in a proof are within their bounds; raise PeerFault for no member."""
    parse_member(proof.recipient)
    lengths = len(proof.envelope) == ENVELOPE_ID_BYTES and all(len(one) == HASH_BYTES for one in proof.path)
    bounds = 0 <= proof.hops <= HOPS_FIELD_MAX and len(proof.path) <= PATH_MAX
    return lengths and bounds and _voucher_is_sound(proof.voucher)


def _within_bounds(frame: Frame) -> bool:
    match frame:
        case Put():
            return 0 < len(frame.parcels) <= BATCH_PARCELS_MAX and all(_parcel_is_sound(one) for one in frame.parcels)
        case Custody():
            return _are_sound(frame.taken, PAIR_RECIPIENTS_MAX) and _voucher_is_sound(frame.voucher)
        case Noted() | Busy():
            return _are_sound(frame.pairs, PAIR_RECIPIENTS_MAX)
        case Ask() | Show():
            # An answer has a line for each recipient, and must fit a frame as well.
            return _are_sound(frame.pairs, PAIRS_MAX if isinstance(frame, Ask) else SHOW_PAIRS_MAX)
        case Shown():
            few = len(frame.proofs) + len(frame.words) <= 2 * SHOW_PAIRS_MAX
            return few and all(proof_is_sound(proof) for proof in frame.proofs)
        case Told():
            return len(frame.known) <= PAIRS_MAX
        case Returned():
            return len(frame.bounces) <= PAIRS_MAX
        case Reach():
            return len(frame.hubs) <= HUBS_MAX and all(parse_hub(hub) for hub in frame.hubs)
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


def _are_sound(pairs: Sequence[Pair | Taken], recipients_max: int) -> bool:
    few = 0 < len(pairs) <= PAIRS_MAX and sum(len(one.recipients) for one in pairs) <= recipients_max
    return few and all(_pair_is_sound(pair) for pair in pairs)


def _pair_is_sound(pair: Pair | Taken) -> bool:
    if len(pair.envelope) != ENVELOPE_ID_BYTES or not 1 <= len(pair.recipients) <= RECIPIENTS_MAX:
        return False
    if isinstance(pair, Taken) and not 0 <= pair.hops <= HOPS_FIELD_MAX:
        return False
    for member in pair.recipients:
        parse_member(member)
    return True


def _voucher_is_sound(voucher: Voucher) -> bool:
    return 0 < len(voucher.roots) <= ROOTS_MAX and all(len(root) == HASH_BYTES for root in voucher.roots)


def pair(envelope: EnvelopeId, *recipients: MemberCode) -> Pair:
    """Name an envelope and some of its recipients."""
    return Pair(envelope, recipients)


SESSION_BYTES = 8
ENVELOPE_ID_BYTES = 32
HASH_BYTES = 32
PATH_MAX = 11
"""Steps from a leaf to the root of a frame's `PAIR_RECIPIENTS_MAX` leaves."""
HOPS_FIELD_MAX = 15
