from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from i247_keys import contexts
from i247_keys.documents import sign_document
from i247_keys.identity import Identity
from i247_keys.keycard import CARD_BYTES_MAX, EpochKey, parse_keycard, sign_keycard, verify_keycard
from i247_protocol import codec
from i247_protocol.digests import document_hash, key_id
from i247_protocol.errors import CallerFault, I247Error, PeerFault
from i247_protocol.limits import EPOCH_KEYS_AHEAD_MAX, EPOCH_KEYS_MAX, EPOCH_USE_MS_MAX
from i247_protocol.names import DAY_MS, KeyId, MemberCode, WallMs
from i247_protocol.reasons import Reason

WALL = WallMs(1_000 * DAY_MS)
FRANCE = Identity(b"\1" * 32)
OTHER = Identity(b"\2" * 32)


def key(number: int, *, starts_d: int = 0, days: int = 7) -> dict[str, Any]:
    public = bytes([9, number]).ljust(32, b"\0")
    use_from = WALL + starts_d * DAY_MS
    return {"kid": key_id(public), "public": public, "use_from": use_from, "use_until": use_from + days * DAY_MS}


def payload(**changes: object) -> bytes:
    return codec.encode({"member": "FR", "version": 3, "iat": WALL, "keys": [key(1), key(2, starts_d=6)]} | changes)


def signed(data: bytes, *signers: Identity, context: bytes = contexts.KEYCARD) -> bytes:
    return sign_document(data, context, signers or (FRANCE,)).to_bytes()


def test_a_card_says_what_was_signed() -> None:
    data = signed(payload())
    card, document = parse_keycard(data)
    assert card == verify_keycard(document, FRANCE.public)
    assert (card.member, card.version, card.iat, card.digest) == ("FR", 3, WALL, document_hash(document.p))
    assert [{"kid": one.kid, "public": one.public} for one in card.keys] == [
        {name: one[name] for name in ("kid", "public")} for one in (key(1), key(2))
    ]
    assert sign_keycard(MemberCode("FR"), 3, WALL, reversed(card.keys), FRANCE) == data


@pytest.mark.parametrize(
    ("after_ms", "number"),
    [
        (-1, None),
        (0, 1),
        (6 * DAY_MS - 1, 1),
        (6 * DAY_MS, 2),  # both are in use; the newer one is taken
        (7 * DAY_MS, 2),
        (13 * DAY_MS - 1, 2),
        (13 * DAY_MS, None),
    ],
)
def test_the_newest_key_in_use_is_sealed_to(after_ms: int, number: int | None) -> None:
    found = parse_keycard(signed(payload()))[0].sealing_key(WallMs(WALL + after_ms))
    assert (found and found.kid) == (number and key(number)["kid"])


def test_a_key_that_is_not_listed_is_dead() -> None:
    card = parse_keycard(signed(payload()))[0]
    assert [card.lists(KeyId(key(number)["kid"])) for number in (1, 2, 3)] == [True, True, False]


def test_a_card_with_all_the_keys_that_it_may_have_is_taken() -> None:
    ahead = [key(number, starts_d=number) for number in range(1, EPOCH_KEYS_AHEAD_MAX + 1)]
    begun = [key(100 - age, starts_d=-age) for age in range(EPOCH_KEYS_MAX - len(ahead))]
    full = sorted(begun + ahead, key=lambda one: one["use_from"])
    data = signed(payload(keys=full))
    assert len(parse_keycard(data)[0].keys) == EPOCH_KEYS_MAX
    assert len(data) < CARD_BYTES_MAX / 2


@pytest.mark.parametrize(
    "changes",
    [
        {"member": "fr"},
        {"member": "FRA"},
        {"version": 0},
        {"version": -1},
        {"version": 2**53},
        {"version": "3"},
        {"iat": -1},
        {"iat": 2**63},
        {"more": 1},
        {"keys": []},
        {"keys": [key(1)] * 2},
        {"keys": [key(2, starts_d=6), key(1)]},
        {"keys": [key(1), key(1, starts_d=6)]},
        {"keys": [key(1) | {"kid": key(2)["kid"]}]},
        {"keys": [key(1) | {"public": b"\x09" * 31}]},
        {"keys": [key(1) | {"more": 1}]},
        {"keys": [key(1, days=0)]},
        {"keys": [key(1, days=-1)]},
        {"keys": [key(1) | {"use_until": WALL + EPOCH_USE_MS_MAX + 1}]},
        {"keys": [key(1) | {"use_from": -1, "use_until": 1}]},
        {"keys": [key(number, starts_d=-number) for number in range(EPOCH_KEYS_MAX, -1, -1)]},
        {"keys": [key(number, starts_d=number) for number in range(1, EPOCH_KEYS_AHEAD_MAX + 2)]},
    ],
)
def test_a_card_that_breaks_a_rule_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(PeerFault) as fault:
        parse_keycard(signed(payload(**changes)))
    assert fault.value.reason is Reason.MALFORMED


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (signed(payload(), OTHER), Reason.BAD_SIGNATURE),
        (signed(payload(), context=contexts.STATEMENT), Reason.BAD_SIGNATURE),
        (sign_document(payload(), contexts.KEYCARD, ()).to_bytes(), Reason.MALFORMED),
        (signed(payload(), FRANCE, OTHER), Reason.MALFORMED),  # a second signature makes it other bytes
        (signed(payload(keys=[key(1) | {"public": bytes(32), "kid": key_id(bytes(32))}])), Reason.MALFORMED),
        (signed(payload()).ljust(CARD_BYTES_MAX + 1, b"\0"), Reason.TOO_LARGE),
        (b"", Reason.MALFORMED),
    ],
)
def test_a_card_that_the_member_did_not_sign_is_refused(data: bytes, reason: Reason) -> None:
    with pytest.raises(PeerFault) as fault:
        verify_keycard(parse_keycard(data)[1], FRANCE.public)
    assert fault.value.reason is reason


@given(st.data())
def test_one_flipped_bit_is_refused(data: st.DataObject) -> None:
    changed = bytearray(signed(payload()))
    changed[data.draw(st.integers(0, len(changed) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(PeerFault):
        verify_keycard(parse_keycard(bytes(changed))[1], FRANCE.public)


@given(st.binary(max_size=300))
def test_any_bytes_are_the_peers_fault(data: bytes) -> None:
    for attempt in (data, signed(data or b"\0")):
        with pytest.raises(PeerFault):
            parse_keycard(attempt)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.binary(max_size=40) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(st.sampled_from(("member", "version", "iat", "keys", "kid", "public", "use_from", "use_until")), VALUES)
def test_any_value_in_any_field_is_taken_or_the_peers_fault(field: str, value: object) -> None:
    changes = {field: value} if field in {"member", "version", "iat", "keys"} else {"keys": [key(1) | {field: value}]}
    try:
        card, document = parse_keycard(signed(payload(**changes)))
        assert verify_keycard(document, FRANCE.public) == card
    except PeerFault:
        pass


def test_a_card_that_nobody_would_take_is_not_signed() -> None:
    keys = [EpochKey(**key(1, days=8))]
    with pytest.raises(CallerFault) as fault:
        sign_keycard(MemberCode("FR"), 1, WALL, keys, FRANCE)
    assert isinstance(fault.value, I247Error)
    assert fault.value.hint
