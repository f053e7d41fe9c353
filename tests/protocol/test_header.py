"""What a hub may see of an envelope, and nothing else."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from i247_protocol import codec
from i247_protocol.errors import PeerFault
from i247_protocol.header import Envelope, Wrap, check_sizes, encode_header, parse_header
from i247_protocol.limits import BODY_BYTES_MAX, HEADER_BYTES_MAX, RECIPIENTS_MAX
from i247_protocol.names import KeyId, MemberCode, Minutes, WallMs, expiry_minutes, expiry_wall, parse_hub, parse_member
from i247_protocol.priority import Lane, Priority, lane_of
from i247_protocol.reasons import Reason

CODES = [MemberCode(f"{one}{two}") for one in "ABCDEFGHIJ" for two in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"]
GOOD: dict[str, Any] = {"v": 1, "suite": 1, "to": ["FR"], "kid": bytes(8), "prio": 2, "exp": 29_000_000}
FIELDS = {"exp", "kid", "prio", "suite", "to", "v"}


def refusal(**changed: Any) -> Reason:
    with pytest.raises(PeerFault) as fault:
        parse_header(codec.encode(GOOD | changed))
    return fault.value.reason


@given(
    st.sets(st.sampled_from(CODES), min_size=1, max_size=RECIPIENTS_MAX),
    st.sampled_from(Priority),
    st.integers(0, 2**32),
    st.binary(min_size=8, max_size=8),
)
def test_what_is_written_is_read(to: set[MemberCode], prio: Priority, exp: int, kid: bytes) -> None:
    named = tuple(sorted(to, reverse=True))
    data = encode_header(named, KeyId(kid) if len(to) == 1 else None, prio, Minutes(exp))
    header = parse_header(data)
    assert header.recipients == tuple(sorted(to))
    assert (header.prio, header.expires, header.kid) == (prio, exp, kid if len(to) == 1 else None)
    assert codec.encode(header) == data


def test_it_says_no_more_than_a_hub_needs() -> None:
    data = encode_header((MemberCode("FR"),), KeyId(bytes(8)), Priority.ROUTINE, Minutes(1))
    assert codec.decode(data, bytes_max=HEADER_BYTES_MAX).keys() == FIELDS


def test_the_most_recipients_fit() -> None:
    data = encode_header(tuple(CODES[:RECIPIENTS_MAX]), None, Priority.BULK, Minutes(2**32))
    assert len(data) <= HEADER_BYTES_MAX
    assert len(parse_header(data).to) == RECIPIENTS_MAX


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"v": 2}, Reason.UNKNOWN_VERSION),
        ({"v": 0}, Reason.UNKNOWN_VERSION),
        ({"suite": 2}, Reason.UNKNOWN_SUITE),
        ({"suite": 0}, Reason.UNKNOWN_SUITE),
        ({"to": []}, Reason.MALFORMED),
        ({"to": [], "kid": None}, Reason.MALFORMED),
        ({"to": ["FR", "SG"]}, Reason.MALFORMED),
        ({"kid": None}, Reason.MALFORMED),
        ({"to": ["SG", "FR"], "kid": None}, Reason.MALFORMED),
        ({"to": ["FR", "FR"], "kid": None}, Reason.MALFORMED),
        ({"to": CODES[: RECIPIENTS_MAX + 1], "kid": None}, Reason.MALFORMED),
        ({"to": ["Fr"]}, Reason.MALFORMED),
        ({"to": ["FRA"]}, Reason.MALFORMED),
        ({"to": ["F"]}, Reason.MALFORMED),
        ({"to": ["FR\n"]}, Reason.MALFORMED),
        ({"to": "FR"}, Reason.MALFORMED),
        ({"kid": bytes(7)}, Reason.MALFORMED),
        ({"kid": "AAAAAAAAAAA="}, Reason.MALFORMED),
        ({"prio": -1}, Reason.MALFORMED),
        ({"prio": 4}, Reason.MALFORMED),
        ({"prio": True}, Reason.MALFORMED),
        ({"exp": -1}, Reason.MALFORMED),
        ({"exp": 2**32 + 1}, Reason.MALFORMED),
        ({"from": "BQ"}, Reason.MALFORMED),
    ],
)
def test_a_broken_rule_has_its_reason(changed: dict[str, Any], reason: Reason) -> None:
    assert refusal(**changed) is reason


@pytest.mark.parametrize("field", sorted(FIELDS))
def test_every_field_is_needed(field: str) -> None:
    with pytest.raises(PeerFault) as fault:
        parse_header(codec.encode({name: value for name, value in GOOD.items() if name != field}))
    assert fault.value.reason is Reason.MALFORMED


@given(st.binary(max_size=200))
@settings(max_examples=1_000)
def test_any_bytes_are_a_header_in_one_way_or_a_peers_fault(data: bytes) -> None:
    try:
        header = parse_header(data)
    except PeerFault:
        return
    assert codec.encode(header) == data


@given(st.fixed_dictionaries({name: st.sampled_from([*GOOD.values(), None, -1, 2**40, "AA", b""]) for name in GOOD}))
@settings(max_examples=1_000)
def test_any_values_are_a_header_in_one_way_or_a_peers_fault(fields: dict[str, Any]) -> None:
    data = codec.encode(fields)
    try:
        header = parse_header(data)
    except PeerFault:
        return
    assert codec.encode(header) == data


@pytest.mark.parametrize(
    ("header", "body", "wraps", "fits"),
    [
        (HEADER_BYTES_MAX, BODY_BYTES_MAX, RECIPIENTS_MAX, True),
        (HEADER_BYTES_MAX + 1, 1, 0, False),
        (1, BODY_BYTES_MAX + 1, 0, False),
        (1, 1, RECIPIENTS_MAX + 1, False),
    ],
)
def test_the_parts_of_an_envelope_have_bounds(header: int, body: int, wraps: int, fits: bool) -> None:
    envelope = Envelope(bytes(header), bytes(body), (Wrap(MemberCode("FR"), KeyId(bytes(8)), bytes(80)),) * wraps)
    if fits:
        check_sizes(*envelope)
        return
    with pytest.raises(PeerFault) as fault:
        check_sizes(*envelope)
    assert fault.value.reason is Reason.TOO_LARGE


# --- names, priorities, expiry ---


@pytest.mark.parametrize("text", ["", "F", "fr", "FRA", "12", "f1", "F-", "ÄÄ", "FR ", "FR\n"])
def test_what_is_no_member_code(text: str) -> None:
    with pytest.raises(PeerFault):
        parse_member(text)


@pytest.mark.parametrize("text", ["", "Lyon", "1yon", "-lyon", "ly on", "lyon\n", "a" * 32, "lyön"])
def test_what_is_no_hub(text: str) -> None:
    with pytest.raises(PeerFault):
        parse_hub(text)


@pytest.mark.parametrize("text", ["a", "lyon", "hub-1", "a" * 31])
def test_what_is_a_hub(text: str) -> None:
    assert parse_hub(text) == text


@given(st.integers(0, 2**45))
def test_an_expiry_is_never_rounded_down(wall: int) -> None:
    expires = expiry_wall(expiry_minutes(WallMs(wall)))
    assert wall <= expires < wall + 60_000


@pytest.mark.parametrize(
    ("prio", "lane"),
    [
        (Priority.CONTROL, Lane.EXPRESS),
        (Priority.URGENT, Lane.EXPRESS),
        (Priority.ROUTINE, Lane.BULK),
        (Priority.BULK, Lane.BULK),
    ],
)
def test_each_priority_has_its_lane(prio: Priority, lane: Lane) -> None:
    assert lane_of(prio) is lane
