"""Checkers can fail: each planted bug is caught, and by the checker that is there for it."""

from __future__ import annotations

import msgspec
import pytest

from i247_simulations.faults import Level
from i247_simulations.plants import PLANTS, Plant
from i247_simulations.results import Verdict
from i247_simulations.running import failure_of, replay, run
from i247_simulations.scenarios import TINY, with_until
from i247_simulations.shrinking import shrunk

SHORT = msgspec.structs.replace(with_until(TINY, 120_000), calm_ms_max=600_000)
SEEDS = range(1, 4)


@pytest.mark.parametrize("plant", [one for one in PLANTS.values() if not one.has_no_luck], ids=lambda one: one.name)
def test_a_planted_bug_is_caught(plant: Plant) -> None:
    for seed in SEEDS:
        result = run(SHORT, seed, Level.NONE, plant.name, tell_lives=False)
        if result.verdict is Verdict.BROKEN:
            # Of what several see in one moment, the first in the list may be another's.
            first = [one for one in result.breaches if one.at_ms == result.breaches[0].at_ms]
            assert any(one.checker in plant.caught_by for one in first), first
            return
    raise AssertionError(f"nobody has caught {plant.name} in {len(SEEDS)} seeds")


@pytest.mark.parametrize("plant", [one for one in PLANTS.values() if one.faults(SHORT)], ids=lambda one: one.name)
def test_what_a_bug_needs_to_show_breaks_nothing_without_it(plant: Plant) -> None:
    if "lying" in plant.name:
        pytest.skip("no program can live with such a disk")
    result = run(SHORT, 1, Level.NONE, plan=plant.faults(SHORT), tell_lives=False)
    assert result.verdict is Verdict.HOLDS, result.breaches[:1]


def test_a_failure_is_replayed_to_the_byte_and_shrinks() -> None:
    scenario = with_until(TINY, 60_000)
    result = run(scenario, 3, Level.HARSH, "no-replay-table", tell_lives=False)
    failure = failure_of(result)
    assert failure is not None
    assert replay(failure).trace == failure.trace
    small = shrunk(failure.faults, lambda plan: bool(replay(failure, plan=plan).breaches), runs_max=60)
    assert 1 <= len(small) <= 3
