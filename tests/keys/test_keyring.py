import copy
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.vectors.make_envelopes import Draws

from i247_keys.identity import Identity
from i247_keys.keycard import Keycard, parse_keycard, verify_keycard
from i247_keys.keyring import OVERLAP_MS, EpochSecret, Keyring
from i247_protocol import codec
from i247_protocol.errors import PeerFault
from i247_protocol.limits import EPOCH_KEEP_MS, EPOCH_KEYS_MAX, EPOCH_USE_MS_MAX, LIFETIME_MS_MAX, SKEW_MS
from i247_protocol.names import DAY_MS, MemberCode, WallMs

WALL = WallMs(1_000 * DAY_MS)
FRANCE = Identity(b"\1" * 32)


def started() -> Keyring:
    return Keyring().renewed(WALL, Draws("started"))


def card(keyring: Keyring, wall: int) -> Keycard:
    document = parse_keycard(keyring.card(MemberCode("FR"), 1, WallMs(wall), FRANCE))[1]
    return verify_keycard(document, FRANCE.public)


def test_a_new_keyring_has_a_current_key_and_one_ahead() -> None:
    current, ahead = started().keys
    assert current.use_from == WALL - SKEW_MS  # in use also for a sender whose clock is behind
    assert current.use_until == current.use_from + EPOCH_USE_MS_MAX
    assert (ahead.use_from, ahead.use_until) == (
        current.use_until - OVERLAP_MS,
        current.use_until - OVERLAP_MS + EPOCH_USE_MS_MAX,
    )


def test_its_card_lists_every_key_held() -> None:
    keyring = started()
    assert card(keyring, WALL).keys == keyring.keys
    for key in keyring.keys:
        held = keyring.secret_for(key.kid)
        assert held is not None
        assert (held.kid, held.public) == (key.kid, key.public)


def test_a_year_of_renewals() -> None:
    """Walk from change to change: never without a key in use, never a message too late for its key."""
    draws, keyring, wall, changes = Draws("a year"), started(), WALL, 0
    last_sealed: dict[bytes, int] = {}
    while wall < WALL + 365 * DAY_MS:
        turn = keyring.next_change(wall)
        assert turn > wall
        for instant in (wall, (wall + turn) // 2, turn - 1):
            sealing = card(keyring, wall).sealing_key(WallMs(instant))
            assert sealing is not None
            last_sealed[sealing.kid] = instant
        before = keyring.renewed(WallMs(turn - 1), draws)
        assert before.keys == keyring.keys
        keyring, wall, changes = keyring.renewed(turn, draws), turn, changes + 1
        held = {key.kid for key in keyring.keys}
        assert held >= {kid for kid, sealed in last_sealed.items() if sealed + LIFETIME_MS_MAX > wall}
        assert 2 <= len(held) <= 5
    assert 100 < changes < 140


def test_a_secret_is_gone_21_days_after_its_keys_first_use() -> None:
    keyring = started()
    first = keyring.keys[0]
    for days in range(22):
        keyring = keyring.renewed(WallMs(WALL + days * DAY_MS), Draws(f"day {days}"))
    assert keyring.secret_for(first.kid) is None
    assert first.use_until + EPOCH_KEEP_MS < WALL + 21 * DAY_MS


@pytest.mark.parametrize("late_d", [0, 1, 5, 6, 6.5, 7, 12, 13, 14, 30, 400])
def test_a_node_that_was_off_has_a_current_key_and_one_ahead_again(late_d: float) -> None:
    wall = WALL + int(late_d * DAY_MS)
    keyring = started().renewed(WallMs(wall), Draws("late"))
    assert card(keyring, wall).sealing_key(WallMs(wall)) is not None
    assert any(key.use_from > wall for key in keyring.keys)
    assert keyring.next_change(WallMs(wall)) > wall


@given(st.lists(st.integers(-20 * 24 * 60, 20 * 24 * 60) | st.integers(-10, 10), max_size=60), st.booleans())
def test_no_jumping_clock_makes_a_card_that_nobody_takes(minutes: list[int], is_renewed_twice: bool) -> None:
    draws, keyring, wall = Draws("jumps"), started(), int(WALL)
    for step in minutes:
        wall += step * 60_000
        keyring = keyring.renewed(WallMs(wall), draws)
        if is_renewed_twice:
            assert keyring.renewed(WallMs(wall), draws).keys == keyring.keys
        assert len(keyring.keys) <= EPOCH_KEYS_MAX
        assert card(keyring, wall).sealing_key(WallMs(wall)) is not None
        assert keyring.next_change(WallMs(wall)) > wall


def test_a_clock_that_is_set_back_by_a_year_leaves_no_key_from_the_future() -> None:
    ahead = started().renewed(WallMs(WALL + 365 * DAY_MS), Draws("future"))
    keyring = ahead.renewed(WALL, Draws("back"))
    assert {key.kid for key in keyring.keys}.isdisjoint(key.kid for key in ahead.keys)


def test_dropping_replaces_every_secret() -> None:
    keyring = started()
    dropped = keyring.dropped(WALL, Draws("dropped"))
    assert len(dropped.keys) == 2
    assert all(dropped.secret_for(key.kid) is None for key in keyring.keys)


def test_nothing_to_do_makes_nothing_new() -> None:
    keyring = started()
    draws = Draws("unused")
    assert keyring.renewed(WALL, draws).keys == keyring.keys
    assert draws.drawn == b""


def test_an_empty_keyring_is_due_at_once() -> None:
    assert Keyring().next_change(WALL) == WALL


@given(st.integers(0, 40))
def test_the_stored_form_comes_back(days: int) -> None:
    keyring = started().renewed(WallMs(WALL + days * DAY_MS), Draws("stored"))
    again = Keyring.from_bytes(keyring.to_bytes())
    assert again.keys == keyring.keys
    assert again.to_bytes() == keyring.to_bytes()


@given(st.binary(max_size=200))
def test_any_bytes_are_the_peers_fault(data: bytes) -> None:
    with pytest.raises(PeerFault):
        Keyring.from_bytes(data)


ROW = {"secret": b"\1" * 32, "use_from": 0, "use_until": EPOCH_USE_MS_MAX}


@pytest.mark.parametrize(
    "stored",
    [
        {"v": 2, "keys": []},
        {"v": 1, "keys": [ROW, ROW]},
        {"v": 1, "keys": [ROW | {"secret": b"\1" * 31}]},
        {"v": 1, "keys": [ROW | {"use_from": -1}]},
        {"v": 1, "keys": [ROW | {"use_until": 0}]},
        {"v": 1, "keys": [ROW | {"use_until": EPOCH_USE_MS_MAX + 1}]},
        {"v": 1, "keys": [ROW | {"use_from": 5}, ROW | {"secret": b"\2" * 32}]},
        {"v": 1, "keys": [ROW | {"secret": bytes([number]) * 32} for number in range(EPOCH_KEYS_MAX + 1)]},
        {"v": 1, "keys": [ROW | {"secret": "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE="}]},
        {"v": 1},
    ],
)
def test_a_stored_form_that_breaks_a_rule_is_refused(stored: dict[str, object]) -> None:
    with pytest.raises(PeerFault):
        Keyring.from_bytes(codec.encode(stored))


def test_secrets_do_not_leak() -> None:
    secret = EpochSecret(b"\xab" * 32, WallMs(0), WallMs(1))
    keyring = Keyring([secret])
    for one in (secret, keyring):
        assert "abab" not in repr(one)
        assert "xab" not in repr(one) + str(one)
        for attempt in (pickle.dumps, copy.copy, copy.deepcopy, hash, lambda it: it == it):  # noqa: PLR0124
            with pytest.raises(TypeError):
                attempt(one)


@pytest.mark.parametrize("length", [0, 31, 33])
def test_an_epoch_secret_is_32_bytes(length: int) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        EpochSecret(bytes(length), WallMs(0), WallMs(1))
