"""Plain words: each fault, each reason, lengths of time; what is newer than the tables is shown by its own name."""

from __future__ import annotations

import typing

import pytest

from i247_protocol.reasons import Reason
from i247_simulations.faults import ClockStep, Crash, Fault, HostileHub, HubLie, Mischief, Partition
from i247_simulations.report.causes import REASONS, cause
from i247_simulations.report.scales import even_ticks, span_ticks, time_ticks
from i247_simulations.report.told_faults import DEEDS, FAULTS, told
from i247_simulations.report.words import listed, signed, size, span


def test_each_fault_is_told_in_words() -> None:
    kinds = {kind.__struct_config__.tag for kind in typing.get_args(Fault)}
    assert kinds <= FAULTS.keys()
    assert {f"lie.{one}" for one in HubLie} | {f"mischief.{one}" for one in Mischief} <= DEEDS.keys()
    assert {reason.value for reason in Reason} == REASONS.keys()


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (Crash(5, "lyon", 2_000), "lyon was killed and started again after 2 s"),
        (ClockStep(5, "FR", 60_000, -1_500), "the clock of FR was 1.5 s slow, for 1 min"),
        (Partition(5, ("a",), ("b", "c"), 900, one_way=True), "nothing went from a to b and c, for 900 ms"),
        (Partition(5, ("a",), ("b",), 900, one_way=False), "nothing went between a and b, for 900 ms"),
        (
            HostileHub(5, "lyon", 60_000, HubLie.DROP, 30),
            "lyon threw away what it should carry in 30 % of the cases, for 1 min",
        ),
    ],
)
def test_a_fault_in_words(fault: Fault, words: str) -> None:
    assert told(fault) == words


def test_a_cause_in_words() -> None:
    assert cause("refused.duplicate") == ("Not taken", "it had been accepted before")
    assert cause("refused.some-new-reason") == ("Not taken", "some new reason")
    assert cause("directory.newer") is None
    assert cause("received.query") is None


@pytest.mark.parametrize(
    ("ms", "words"),
    [
        (0, "0 ms"),
        (999, "999 ms"),
        (1_000, "1 s"),
        (1_230, "1.2 s"),
        (9_940, "9.9 s"),
        (9_999, "10 s"),
        (59_400, "59 s"),
        (59_700, "1 min"),
        (61_000, "1 min 1 s"),
        (3_599_700, "1 h"),
        (3_661_000, "1 h 1 min"),
    ],
)
def test_a_span_in_words(ms: int, words: str) -> None:
    assert span(ms) == words


def test_other_words() -> None:
    assert [size(999), size(1_500), size(25_000), size(3e9)] == ["999 B", "1.5 kB", "25 kB", "3.0 GB"]
    assert listed([]) == "nobody"
    assert listed(["a", "b", "c", "d"]) == "a, b, c and d"
    assert listed(["a", "b", "c", "d", "e"]) == "a, b, c and 2 others"
    assert [signed("%", -1.25), signed("ms", 30), signed("", 0)] == ["−1.2 points", "+30 ms", "0"]


def test_ticks_are_round_and_within_bounds() -> None:
    assert even_ticks(47, 5) == [0, 10, 20, 30, 40]
    assert time_ticks(249_000, 5) == [0, 60_000, 120_000, 180_000, 240_000]
    assert time_ticks(10**12, 5)[:2] == [0, 168 * 3_600_000]
    assert span_ticks(40, 900) == [50, 100, 200, 500]
    assert span_ticks(1, 10**7) == [1, 10, 100, 1_000, 10_000, 60_000, 600_000, 3_600_000]
