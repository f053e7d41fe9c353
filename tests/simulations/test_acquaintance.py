"""A world on another day than its first."""

from __future__ import annotations

import msgspec

from i247_simulations.faults import Level
from i247_simulations.results import Result, Verdict
from i247_simulations.running import run
from i247_simulations.scenarios import TINY, with_until


def card_frames(*, is_acquainted: bool) -> tuple[Result, int]:
    scenario = msgspec.structs.replace(with_until(TINY, 20_000), is_acquainted=is_acquainted)
    result = run(scenario, 1, Level.NONE, tell_lives=False)
    assert result.verdict is Verdict.HOLDS, result.breaches[:1]
    return result, sum(flow.frames for flow in result.flows)


def test_who_is_acquainted_has_nothing_to_tell_of_its_keys() -> None:
    first_day, frames_on_first = card_frames(is_acquainted=False)
    other_day, frames_on_other = card_frames(is_acquainted=True)
    assert frames_on_other < frames_on_first
    assert other_day.accepted == first_day.accepted
    assert other_day.marks["mail waited for a keycard"] == 0
