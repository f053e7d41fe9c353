"""Whether a hub has room, as tables."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from i247_hub.room import Room
from i247_protocol.priority import Priority
from i247_protocol.reasons import Reason

ALL = set(Priority)
NO_BULK = ALL - {Priority.BULK}
PRESSING = {Priority.CONTROL, Priority.URGENT}


def taken(room: Room, size: int = 0) -> set[Priority]:
    return {prio for prio in Priority if room.lacks(prio, size) is None}


@pytest.mark.parametrize(
    ("used", "kinds"),
    [
        (0, ALL),
        (799, ALL),
        (800, NO_BULK),
        (949, NO_BULK),
        (950, PRESSING),
        (999, PRESSING),
        (1_000, set()),
        (5_000, set()),
    ],
)
def test_what_is_taken_at_each_level(used: int, kinds: set[Priority]) -> None:
    assert taken(Room(used, 1_000)) == kinds


def test_the_reason_is_one() -> None:
    assert Room(1_000, 1_000).lacks(Priority.CONTROL, 1) is Reason.STORE_FULL


def test_what_comes_counts_before_it_is_taken() -> None:
    assert Room(0, 1_000).lacks(Priority.BULK, 800) is Reason.STORE_FULL
    assert Room(0, 1_000).lacks(Priority.URGENT, 1_000) is Reason.STORE_FULL
    assert Room(0, 1_000).lacks(Priority.URGENT, 989) is None


def test_what_was_shut_opens_five_percent_below() -> None:
    room = Room(800, 1_000)
    assert taken(room) == NO_BULK
    room.freed(10)
    assert taken(room) == NO_BULK
    room.freed(39)
    assert taken(room) == NO_BULK
    room.freed(2)
    assert taken(room) == ALL
    room.taken(49)
    assert taken(room) == ALL, "not shut again before the threshold"
    room.taken(2)
    assert taken(room) == NO_BULK


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 400)), max_size=50))
def test_a_more_urgent_one_is_never_refused_where_a_less_urgent_one_is_taken(changes: list[tuple[bool, int]]) -> None:
    room = Room(0, 1_000)
    for is_taken, size in changes:
        room.taken(size) if is_taken else room.freed(size)
        kinds = taken(room)
        assert kinds in (ALL, NO_BULK, PRESSING, set())
        assert room.used >= 0
