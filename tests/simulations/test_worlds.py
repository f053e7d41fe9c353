"""Whole worlds from one seed: every promise holds, and a seed is a history."""

from __future__ import annotations

import os
import subprocess
import sys

import msgspec
import pytest

from i247_simulations.faults import HangUp, Level, end_of
from i247_simulations.results import Result, Verdict
from i247_simulations.running import SOMETIMES, plan_of, run
from i247_simulations.scenarios import TINY, WORLD, with_members, with_until

SHORT = with_until(TINY, 90_000)
FIXED = [(Level.NONE, 1), (Level.MILD, 2), (Level.HARSH, 5), (Level.HARSH, 11), (Level.SWARM, 15), (Level.SWARM, 20)]


def reproduce(result: Result) -> str:
    return f"i247-sim run tiny-4 --seed {result.seed} --faults {result.level} --until 90s: {result.breaches[:1]}"


@pytest.mark.parametrize(("level", "seed"), FIXED)
def test_every_promise_holds(level: Level, seed: int) -> None:
    result = run(SHORT, seed, level, tell_lives=False)
    assert result.verdict is Verdict.HOLDS, reproduce(result)
    assert result.accepted > 20
    assert [phase.name for phase in result.phases] == ["warm-up", "chaos", "heal", "quiet"]
    assert not set(result.marks).isdisjoint(SOMETIMES.values())


def test_a_seed_is_a_history_and_another_seed_another() -> None:
    first, again, other = (run(SHORT, seed, Level.HARSH, tell_lives=False) for seed in (3, 3, 4))
    assert first == again
    assert first.trace != other.trace


PROGRAM = """
import sys
from i247_simulations.running import *
from i247_simulations.scenarios import *
print(run(with_until(TINY, 40_000), 3, Level.HARSH, sys.argv[1], tell_lives=False).trace)
"""


def traces(plant: str) -> set[str]:
    found = set()
    for hash_seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
        command = [sys.executable, "-c", PROGRAM, plant]
        found.add(subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout)
    return found


def test_a_history_does_not_depend_on_the_process() -> None:
    assert len(traces("")) == 1


def test_a_history_that_depends_on_the_process_is_seen() -> None:
    assert len(traces("process-order")) == 2


def test_a_plan_ends_before_healing_and_leaving_a_fault_out_moves_no_other() -> None:
    plan = plan_of(SHORT, 7, Level.HARSH)
    assert plan
    assert all(SHORT.warm_ms <= fault.at_ms and end_of(fault) <= 90_000 for fault in plan)
    fewer = run(SHORT, 7, Level.HARSH, plan=plan[1:], tell_lives=False)
    assert fewer.faults == plan[1:]
    assert fewer.verdict is Verdict.HOLDS


def test_a_hang_up_is_seen_and_mended() -> None:
    result = run(SHORT, 1, Level.NONE, plan=(HangUp(20_000, "lyon"),), tell_lives=True)
    assert result.verdict is Verdict.HOLDS
    assert result.marks["a connection was lost"] > 0
    assert result.lives[0].moments
    assert msgspec.json.decode(msgspec.json.encode(result), type=Result) == result


@pytest.mark.slow
def test_a_part_of_the_world() -> None:
    result = run(with_members(with_until(WORLD, 30_000), 24), 1, Level.MILD, tell_lives=False)
    assert result.verdict is Verdict.HOLDS, result.breaches[:1]
    assert len(result.members) == 24
    assert len(result.hubs) == 8
