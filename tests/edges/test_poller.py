"""Show that every source gets its share, and that a wait can be ended from elsewhere."""

import threading
import time
from collections import Counter

import pytest
import zmq

from i247_edges.poller import TURN_BYTES_MAX, Poller, drain
from i247_protocol.machine import FrameArrived, LinkId


class Stock:
    """A source with so many frames; every one of `refused` is refused."""

    def __init__(self, name: str, frames: int, size: int = 1, *, is_refused: bool = False) -> None:
        self.frame = FrameArrived(LinkId(name.encode()), b"", bytes(size))
        self.left = frames
        self.is_refused = is_refused

    def read(self) -> FrameArrived | None:
        if not self.left:
            raise zmq.Again
        self.left -= 1
        return None if self.is_refused else self.frame


@pytest.mark.parametrize(
    ("stocks", "frames_max", "shares"),
    [
        ({}, 10, {}),
        ({"a": 3}, 10, {"a": 3}),
        ({"a": 30}, 10, {"a": 10}),
        ({"a": 1_000, "b": 1_000}, 10, {"a": 5, "b": 5}),
        ({"a": 1_000, "b": 2}, 10, {"a": 8, "b": 2}),
        ({"b": 2, "a": 1_000}, 10, {"a": 8, "b": 2}),
        ({"a": 9, "b": 9, "c": 9}, 2, {"a": 1, "b": 1}),
        ({"a": 9}, 0, {}),
    ],
)
def test_each_source_gets_its_share(stocks: dict[str, int], frames_max: int, shares: dict[str, int]) -> None:
    frames = drain([Stock(name, count) for name, count in stocks.items()], frames_max)
    assert Counter(frame.link.decode() for frame in frames) == shares


def test_a_turn_is_bounded_in_bytes() -> None:
    frames = drain([Stock("a", 100, TURN_BYTES_MAX // 4), Stock("b", 100, TURN_BYTES_MAX // 4)], 256)
    assert len(frames) == 4


def test_what_is_refused_counts_as_well() -> None:
    junk = Stock("a", 1_000, is_refused=True)
    assert drain([junk], 100) == []
    assert junk.left == 900


def test_a_wake_before_the_wait_is_not_lost_and_ends_one_wait_only() -> None:
    poller = Poller()
    for _ in range(3):
        poller.wake()
    began = time.monotonic()
    assert poller.wait(5_000) == {}
    assert poller.wait(20) == {}
    assert 0.02 <= time.monotonic() - began < 2
    poller.close()


def test_very_many_wakes_do_not_block() -> None:
    poller = Poller()
    for _ in range(100_000):
        poller.wake()
    assert poller.wait(0) == {}
    poller.close()


def test_a_wake_from_another_thread_ends_the_wait() -> None:
    poller = Poller()
    threading.Timer(0.02, poller.wake).start()
    began = time.monotonic()
    assert poller.wait(None) == {}
    assert time.monotonic() - began < 2
    poller.close()


def test_a_wake_after_the_end_does_nothing() -> None:
    poller = Poller()
    poller.close()
    poller.wake()


def test_a_source_of_large_messages_leaves_the_others_their_share() -> None:
    frames = drain([Stock("large", 100, TURN_BYTES_MAX), Stock("small", 100, 100)], 256)
    assert {frame.link for frame in frames} == {b"large", b"small"}
