"""In which order a hub takes up what has arrived, and how much of it waits."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from i247_hub.arrivals import SHARE, SMALL_BYTES_MAX, Arrivals
from i247_protocol.limits import ARRIVED_BYTES_MAX, ARRIVED_FRAMES_MAX
from i247_protocol.machine import FrameArrived, LinkId
from i247_protocol.priority import Lane

SMALL, LARGE = 1, SMALL_BYTES_MAX + 1


def lane_of(link: LinkId) -> Lane:
    return Lane.EXPRESS if link.startswith(b"express") else Lane.BULK


def frame(link: str, size: int = SMALL) -> FrameArrived:
    return FrameArrived(LinkId(link.encode()), b"key", bytes(size))


def arrived(*frames: FrameArrived) -> Arrivals:
    arrivals = Arrivals(lane_of)
    for one in frames:
        arrivals.add(one)
    return arrivals


def never() -> bool:
    return False


def always() -> bool:
    return True


def taken(arrivals: Arrivals, is_enough: Callable[[], bool] = never) -> list[str]:
    """Return the links of one turn's frames."""
    return [one.link.decode() for one in arrivals.take(is_enough)]


def test_links_follow_one_another_however_much_one_of_them_says() -> None:
    arrivals = arrived(*[frame("a")] * 4, frame("b"), frame("c"), frame("c"))
    assert taken(arrivals) == ["a", "b", "c", "a", "c", "a", "a"]
    assert taken(arrivals) == []


def test_express_goes_first_but_not_for_ever() -> None:
    arrivals = arrived(*[frame("bulk")] * 3, *[frame("express")] * (2 * SHARE))
    whole = [*["express"] * SHARE, "bulk"]
    assert taken(arrivals) == [*whole, *whole, "bulk"]


def test_a_hub_ends_what_it_has_begun_before_it_begins_more() -> None:
    puts = [FrameArrived(LinkId(b"giver"), b"key", b"\x93\xa3put" + bytes(LARGE))] * 2
    assert taken(arrived(*puts, frame("taker", LARGE), frame("express", LARGE))) == [
        "express",
        "taker",
        "giver",
        "giver",
    ]


def test_a_turn_takes_one_frame_even_when_there_is_no_time_for_it() -> None:
    arrivals = arrived(frame("a"), frame("a"))
    assert [taken(arrivals, always) for _ in range(3)] == [["a"], ["a"], []]


def test_small_frames_wait_for_one_large_one_at_most() -> None:
    arrivals = arrived(*[frame("large", LARGE)] * 4)
    turns = []
    for _ in range(3):
        arrivals.add(frame("small"))
        turns += [taken(arrivals), taken(arrivals)]
    assert turns == [["small"], ["large"]] * 3
    assert taken(arrivals) == ["large"]


def test_without_small_frames_a_turn_has_as_many_large_ones_as_there_is_time_for() -> None:
    assert taken(arrived(*[frame("large", LARGE)] * 4)) == ["large"] * 4


def test_large_frames_have_their_turn_however_many_small_ones_wait() -> None:
    arrivals = arrived(*[frame("small")] * 10, frame("large", LARGE))
    assert [taken(arrivals, always) for _ in range(3)] == [["small"], ["large"], ["small"]]


@pytest.mark.parametrize("size", [SMALL, LARGE, ARRIVED_BYTES_MAX // 10])
def test_what_waits_is_bounded(size: int) -> None:
    arrivals = Arrivals(lane_of)
    while arrivals.frames_free:
        assert arrivals.bytes_free > 0
        arrivals.add(frame("a", size))
    assert len(arrivals) == min(ARRIVED_FRAMES_MAX, -(-ARRIVED_BYTES_MAX // size))
    while arrivals:
        taken(arrivals)
    assert (arrivals.frames_free, arrivals.bytes_free) == (ARRIVED_FRAMES_MAX, ARRIVED_BYTES_MAX)


@given(st.lists(st.tuples(st.sampled_from(["express 1", "express 2", "a", "b"]), st.sampled_from([SMALL, LARGE]))))
def test_all_is_taken_and_nothing_overtakes_on_one_link(links: Sequence[tuple[str, int]]) -> None:
    frames = [FrameArrived(LinkId(name.encode()), n.to_bytes(4), bytes(size)) for n, (name, size) in enumerate(links)]
    arrivals = arrived(*frames)
    out: list[FrameArrived] = []
    while arrivals:
        out += arrivals.take(always)
    for name in dict(links):
        link = LinkId(name.encode())
        assert [one for one in out if one.link == link] == [one for one in frames if one.link == link]
