"""What travels on a link: every frame has one encoding, and no bytes from outside do worse than be refused."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.vectors.make_protocol import good_frames

from i247_protocol import codec
from i247_protocol.errors import PeerFault
from i247_protocol.frames import (
    Ask,
    Bounce,
    Busy,
    Cards,
    CardWant,
    Credit,
    Custody,
    DirHave,
    DirWant,
    Fate,
    Frame,
    Hello,
    Known,
    Noted,
    Pair,
    Parcel,
    Proof,
    Put,
    Reach,
    Reset,
    Returned,
    Role,
    Show,
    Shown,
    Taken,
    Told,
    Voucher,
    encode_frame,
    pair,
    parse_frame,
    session_of,
)
from i247_protocol.header import Envelope, Wrap
from i247_protocol.limits import (
    BATCH_PARCELS_MAX,
    FRAME_BYTES_MAX,
    MEMBERS_MAX,
    PAIRS_MAX,
    RECIPIENTS_MAX,
    ROOTS_MAX,
    SHOW_PAIRS_MAX,
)
from i247_protocol.names import WALL_MS_MAX, EnvelopeId, KeyId, MemberCode
from i247_protocol.priority import Lane
from i247_protocol.reasons import Reason

SESSION = b"session!"
EVE = EnvelopeId(bytes(range(32)))

sessions = st.binary(min_size=8, max_size=8)
codes = st.from_regex(r"[A-Z][A-Z0-9]|[0-9][A-Z]", fullmatch=True)
envelopes = st.binary(min_size=32, max_size=32)
numbers = st.integers(0, WALL_MS_MAX)
some_bytes = st.binary(max_size=40)
wraps = st.lists(st.tuples(codes, st.binary(min_size=8, max_size=8), some_bytes), max_size=3).map(tuple)
parcels = st.builds(Parcel, st.integers(0, 15), some_bytes, some_bytes, wraps)
pairs = st.builds(Pair, envelopes, st.lists(codes, min_size=1, max_size=4).map(tuple))
many_pairs = st.lists(pairs, min_size=1, max_size=4).map(tuple)
taken = st.builds(Taken, envelopes, st.integers(0, 15), st.lists(codes, min_size=1, max_size=4).map(tuple))
many_taken = st.lists(taken, min_size=1, max_size=4).map(tuple)
hashes = st.binary(min_size=32, max_size=32)
vouchers = st.builds(Voucher, numbers, st.lists(hashes, min_size=1, max_size=3).map(tuple), some_bytes)
proofs = st.builds(
    Proof,
    envelopes,
    st.integers(0, 15),
    codes,
    st.text(max_size=9),
    numbers,
    numbers,
    st.lists(hashes, max_size=11).map(tuple),
    vouchers,
)
known = st.builds(Known, envelopes, codes, st.sampled_from(Fate), st.text(max_size=5), numbers)
bounces = st.builds(Bounce, envelopes, codes, st.text(max_size=9), numbers, st.text(max_size=9), some_bytes)
frames: st.SearchStrategy[Any] = st.one_of(
    st.builds(
        Hello,
        sessions,
        st.sampled_from(Role),
        st.sampled_from(Lane),
        numbers,
        some_bytes,
        some_bytes,
        numbers,
        numbers,
        numbers,
    ),
    st.builds(Reset, sessions),
    st.builds(Put, sessions, st.lists(parcels, min_size=1, max_size=3).map(tuple)),
    st.builds(Custody, sessions, many_taken, vouchers),
    st.builds(Returned, sessions, st.lists(bounces, max_size=3).map(tuple)),
    st.builds(Noted, sessions, many_pairs),
    st.builds(Show, sessions, many_pairs),
    st.builds(Shown, sessions, st.lists(proofs, max_size=3).map(tuple), st.lists(bounces, max_size=3).map(tuple)),
    st.builds(Busy, sessions, many_pairs, st.text(max_size=9), numbers),
    st.builds(Ask, sessions, many_pairs),
    st.builds(Told, sessions, st.lists(known, max_size=3).map(tuple)),
    st.builds(Credit, sessions, numbers, numbers),
    st.builds(Reach, sessions, st.lists(st.sampled_from(["lyon", "a-1"]), max_size=3).map(tuple)),
    st.builds(DirWant, sessions, numbers, some_bytes),
    st.builds(DirHave, sessions, some_bytes),
    st.builds(CardWant, sessions, st.lists(st.tuples(codes, numbers), max_size=3).map(tuple)),
    st.builds(Cards, sessions, st.lists(some_bytes, max_size=3).map(tuple)),
)


def reason_of(value: object) -> Reason:
    with pytest.raises(PeerFault) as fault:
        parse_frame(codec.encode(value))
    return fault.value.reason


@given(frames)
@settings(max_examples=500)
def test_what_is_written_is_read(frame: Frame) -> None:
    data = encode_frame(frame)
    read = parse_frame(data)
    assert (type(read), read) == (type(frame), frame)
    assert encode_frame(read) == data
    assert session_of(read) == frame.session


@given(frames, st.data())
@settings(max_examples=1_000)
def test_a_changed_byte_is_another_frame_or_a_peers_fault(frame: Frame, data: st.DataObject) -> None:
    changed = bytearray(encode_frame(frame))
    changed[data.draw(st.integers(0, len(changed) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        other = parse_frame(bytes(changed))
    except PeerFault:
        return
    assert other != frame
    assert encode_frame(other) == changed


@given(st.binary(max_size=100))
@settings(max_examples=2_000)
def test_any_bytes_are_a_frame_in_one_way_or_a_peers_fault(data: bytes) -> None:
    try:
        frame = parse_frame(data)
    except PeerFault:
        return
    assert encode_frame(frame) == data


@given(frames, st.data())
@settings(max_examples=1_000)
def test_any_values_are_a_frame_in_one_way_or_a_peers_fault(frame: Frame, data: st.DataObject) -> None:
    value = codec.decode(encode_frame(frame), bytes_max=2**20)
    at = data.draw(st.integers(0, len(value) - 1))
    value[at] = data.draw(st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=3) | st.lists(some_bytes))
    encoded = codec.encode(value)
    try:
        other = parse_frame(encoded)
    except PeerFault:
        return
    assert encode_frame(other) == encoded


@given(frames, st.data())
def test_a_frame_has_neither_more_nor_fewer_elements(frame: Frame, data: st.DataObject) -> None:
    value = codec.decode(encode_frame(frame), bytes_max=2**20)
    assert reason_of([*value, data.draw(st.none() | some_bytes)]) is Reason.MALFORMED
    assert reason_of(value[:-1]) is Reason.MALFORMED


@pytest.mark.parametrize("name", good_frames())
def test_every_kind_of_frame_names_its_kind_first_and_its_session_second(name: str) -> None:
    frame = good_frames()[name]
    kind, session, *_ = codec.decode(encode_frame(frame), bytes_max=4096)
    assert (kind, session) == (name.partition(",")[0], frame.session)


def test_all_kinds_are_tried() -> None:
    assert {type(frame) for frame in good_frames().values()} == set(Frame.__args__)


PAIRS = [[EVE, ["FR"]]]
TAKEN = [[EVE, 0, ["FR"]]]
VOUCHER = [0, [bytes(32)], bytes(64)]
PARCEL = [0, b"header", b"body", []]


@pytest.mark.parametrize(
    ("value", "fits"),
    [
        (["put", SESSION, [PARCEL] * BATCH_PARCELS_MAX], True),
        (["put", SESSION, [PARCEL] * (BATCH_PARCELS_MAX + 1)], False),
        (["put", SESSION, []], False),
        (["put", SESSION, [[15, *PARCEL[1:]]]], True),
        (["put", SESSION, [[16, *PARCEL[1:]]]], False),
        (["put", SESSION, [[-1, *PARCEL[1:]]]], False),
        (["put", SESSION, [[*PARCEL[:3], [["FR", b"", b""]] * RECIPIENTS_MAX]]], True),
        (["put", SESSION, [[*PARCEL[:3], [["FR", b"", b""]] * (RECIPIENTS_MAX + 1)]]], False),
        (["put", SESSION, [[*PARCEL[:3], [["Fr", b"", b""]]]]], False),
        (["custody", SESSION, TAKEN * PAIRS_MAX, VOUCHER], True),
        (["custody", SESSION, TAKEN * (PAIRS_MAX + 1), VOUCHER], False),
        (["custody", SESSION, TAKEN, None], False),
        (["custody", SESSION, TAKEN, [0, [bytes(32)] * ROOTS_MAX, b""]], True),
        (["custody", SESSION, TAKEN, [0, [bytes(32)] * (ROOTS_MAX + 1), b""]], False),
        (["custody", SESSION, TAKEN, [0, [], b""]], False),
        (["custody", SESSION, [[EVE, 16, ["FR"]]], VOUCHER], False),
        (["show", SESSION, PAIRS * SHOW_PAIRS_MAX], True),
        (["show", SESSION, PAIRS * (SHOW_PAIRS_MAX + 1)], False),
        (["shown", SESSION, [], []], True),
        (["shown", SESSION, [[EVE, 0, "FR", "lyon", 0, 1, [bytes(32)] * 11, VOUCHER]], []], True),
        (["shown", SESSION, [[EVE, 0, "FR", "lyon", 0, 1, [bytes(32)] * 12, VOUCHER]], []], False),
        (["shown", SESSION, [[EVE, 0, "FR", "lyon", -1, 1, [], VOUCHER]], []], False),
        (["ask", SESSION, [[EVE, ["FR"] * RECIPIENTS_MAX]]], True),
        (["ask", SESSION, [[EVE, ["FR"] * (RECIPIENTS_MAX + 1)]]], False),
        (["ask", SESSION, [[EVE, []]]], False),
        (["ask", SESSION, [[EVE, [""]]]], False),
        (["ask", SESSION, [[EVE[:31], ["FR"]]]], False),
        (["busy", SESSION, [], "store-full", 1], False),
        (["told", SESSION, [[EVE, "FR", "held", "", 0]] * PAIRS_MAX], True),
        (["told", SESSION, [[EVE, "FR", "held", "", 0]] * (PAIRS_MAX + 1)], False),
        (["returned", SESSION, [[EVE, "FR", "expired", 0, "lyon", b""]] * (PAIRS_MAX + 1)], False),
        (["card", SESSION, [b""] * 200], True),
        (["card", SESSION, [b""] * 201], False),
        (["card-want", SESSION, [["FR", 1]] * MEMBERS_MAX], True),
        (["card-want", SESSION, [["FR", 1]] * (MEMBERS_MAX + 1)], False),
        (["reset", SESSION[:7]], False),
        (["reset", SESSION + b"!"], False),
        (["reset", "session!"], False),
        (["blob-put", SESSION, b""], False),
        ([b"reset", SESSION], False),
        ({}, False),
        (None, False),
    ],
)
def test_every_list_has_its_bounds(value: object, fits: bool) -> None:
    if fits:
        parse_frame(codec.encode(value))
    else:
        assert reason_of(value) is Reason.MALFORMED


def test_a_frame_has_a_largest_size() -> None:
    with pytest.raises(PeerFault) as fault:
        parse_frame(bytes(FRAME_BYTES_MAX + 1))
    assert fault.value.reason is Reason.TOO_LARGE


def test_a_parcel_carries_an_envelope() -> None:
    parcel = Parcel(1, b"header", b"body", (("FR", bytes(8), bytes(80)),))
    wrap = Wrap(MemberCode("FR"), KeyId(bytes(8)), bytes(80))
    assert parcel.envelope == Envelope(b"header", b"body", (wrap,))
    assert parcel.size == len(b"header") + len(b"body") + 100


def test_a_pair_names_an_envelope_and_some_recipients() -> None:
    assert pair(EVE, MemberCode("FR"), MemberCode("SG")) == Pair(EVE, ("FR", "SG"))
