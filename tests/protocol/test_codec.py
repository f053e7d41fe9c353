"""One value, one encoding; one encoding, one value; and bytes from outside are never this program's fault."""

from typing import Any

import msgpack
import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from i247_protocol import codec
from i247_protocol.errors import PeerFault
from i247_protocol.limits import DEPTH_MAX
from i247_protocol.reasons import Reason

LEAVES = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text() | st.binary()
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(), inner, max_size=5), max_leaves=30
)


class Shape(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    data: bytes
    number: int
    text: str
    nothing: bytes | None
    truth: bool


GOOD = {"data": b"AAAA", "number": 1, "text": "AAAA", "nothing": None, "truth": True}


def refusal(data: bytes, bytes_max: int = 4096) -> Reason:
    with pytest.raises(PeerFault) as fault:
        codec.decode(data, bytes_max=bytes_max)
    return fault.value.reason


def nested(levels: int, empty: list[Any] | dict[str, Any]) -> Any:
    value: Any = empty
    for _ in range(levels - 1):
        value = [value] if isinstance(empty, list) else {"": value}
    return value


@given(VALUES)
def test_what_is_encoded_is_decoded(value: Any) -> None:
    assert same(codec.decode(codec.encode(value), bytes_max=2**20), value)


@given(VALUES)
def test_the_bytes_are_those_of_msgpacks_own_library(value: Any) -> None:
    plain = msgspec.to_builtins(value, builtin_types=(bytes,), order="sorted")
    assert codec.encode(value) == msgpack.packb(plain, use_bin_type=True)


@given(st.dictionaries(st.text(), LEAVES, max_size=8))
def test_the_order_of_a_dict_changes_nothing(value: dict[str, Any]) -> None:
    assert codec.encode(dict(reversed(value.items()))) == codec.encode(value)


@given(st.binary(max_size=80))
@settings(max_examples=3_000)
@example(b"\x82\xa1b\x00\xa1a\x00")
@example(b"\xdf\xff\xff\xff\xff")
@example(b"\x91" * 80)
def test_any_bytes_are_one_value_or_a_peers_fault(data: bytes) -> None:
    try:
        value = codec.decode(data, bytes_max=80)
    except PeerFault:
        return
    assert codec.encode(value) == data


@given(VALUES, st.data())
@settings(max_examples=1_000)
def test_a_changed_byte_is_another_value_or_a_peers_fault(value: Any, data: st.DataObject) -> None:
    encoded = bytearray(codec.encode(value))
    encoded[data.draw(st.integers(0, len(encoded) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        other = codec.decode(bytes(encoded), bytes_max=2**20)
    except PeerFault:
        return
    assert not same(other, value)


@given(VALUES)
def test_what_other_encoders_write_is_taken_in_its_one_form_only(value: Any) -> None:
    loose = msgpack.packb(value, use_bin_type=True)
    strict = codec.encode(value)
    if loose == strict:
        assert same(codec.decode(loose, bytes_max=2**20), value)
    else:
        assert refusal(loose, 2**20) is Reason.NOT_CANONICAL


def same(one: Any, other: Any) -> bool:
    """Compare without taking 1 for true."""
    if type(one) is not type(other):
        return False
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[name], other[name]) for name in one)
    return bool(one == other)


@pytest.mark.parametrize("empty", [[], {}])
def test_depth_has_a_bound(empty: list[Any] | dict[str, Any]) -> None:
    deepest = nested(DEPTH_MAX, empty)
    assert codec.decode(codec.encode(deepest), bytes_max=4096) == deepest
    assert refusal(codec.encode(nested(DEPTH_MAX + 1, empty))) is Reason.MALFORMED
    assert refusal(codec.encode(nested(500, empty))) is Reason.MALFORMED


def test_the_size_is_asked_first() -> None:
    assert codec.decode(b"\xc0", bytes_max=1) is None
    assert refusal(b"\xc1\xc1", bytes_max=1) is Reason.TOO_LARGE


@pytest.mark.parametrize("data", [b"\xdd\xff\xff\xff\xff", b"\xdf\xff\xff\xff\xff", b"\xc6\xff\xff\xff\xff"])
def test_a_promised_length_is_not_believed(data: bytes) -> None:
    assert refusal(data + bytes(64)) is Reason.MALFORMED


# --- shapes ---


def test_a_shape_is_taken() -> None:
    shaped = codec.decode_as(Shape, codec.encode(GOOD), bytes_max=4096)
    assert shaped == Shape(b"AAAA", 1, "AAAA", None, truth=True)
    assert codec.encode(shaped) == codec.encode(GOOD)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("data", "AAAA"),  # base64 for three zero bytes: a second encoding of them, were it taken
        ("data", "AAAAAA=="),
        ("data", None),
        ("data", []),
        ("number", "1"),
        ("number", True),
        ("number", None),
        ("text", b"AAAA"),
        ("text", 1),
        ("nothing", "AAAA"),
        ("nothing", 0),
        ("truth", 1),
        ("truth", 0),
        ("truth", "true"),
        ("unknown", None),
    ],
)
def test_no_value_passes_for_another_type(name: str, value: object) -> None:
    with pytest.raises(PeerFault) as fault:
        codec.decode_as(Shape, codec.encode(GOOD | {name: value}), bytes_max=4096)
    assert fault.value.reason is Reason.MALFORMED


@pytest.mark.parametrize("name", GOOD)
def test_every_field_must_be_there(name: str) -> None:
    with pytest.raises(PeerFault) as fault:
        codec.shape(Shape, {field: value for field, value in GOOD.items() if field != name})
    assert fault.value.reason is Reason.MALFORMED


@given(st.fixed_dictionaries(dict.fromkeys(GOOD, VALUES)))
@settings(max_examples=1_000)
def test_any_value_is_of_a_shape_in_one_way_or_a_peers_fault(value: dict[str, Any]) -> None:
    data = codec.encode(value)
    try:
        shaped = codec.decode_as(Shape, data, bytes_max=2**20)
    except PeerFault:
        return
    assert codec.encode(shaped) == data


class Nest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    many: tuple[tuple[str, bytes], ...]


@pytest.mark.parametrize("length", [b"\xdd\xff\xff\xff\xff", b"\xdd\x01\x00\x00\x00"])
def test_a_promised_length_is_not_believed_of_a_shape(length: bytes) -> None:
    with pytest.raises(PeerFault) as fault:
        codec.decode_as(Nest, b"\x81\xa4many" + length + b"\x92\xa1a\xc4\x01b" * 20, bytes_max=4096)
    assert fault.value.reason is Reason.MALFORMED


@given(st.lists(st.tuples(st.text(), st.binary()), max_size=4), st.integers(0, 40), st.integers(0, 255))
def test_a_shape_in_bytes_is_taken_just_when_the_plain_decoder_takes_them(
    many: list[tuple[str, bytes]], place: int, other: int
) -> None:
    data = bytearray(codec.encode(Nest(tuple(many))))
    data[place % len(data)] = other
    plain: object
    try:
        plain = codec.shape(Nest, codec.decode(bytes(data), bytes_max=4096))
    except PeerFault as fault:
        plain = fault.reason
    typed: object
    try:
        typed = codec.decode_as(Nest, bytes(data), bytes_max=4096)
    except PeerFault as fault:
        typed = fault.reason
    assert typed == plain


def test_a_fault_says_nothing_of_the_value() -> None:
    with pytest.raises(PeerFault) as fault:
        codec.shape(Shape, GOOD | {"text": b"a name of a case"})
    assert str(fault.value) == "malformed"
    assert fault.value.__cause__ is None
    assert fault.value.__suppress_context__
