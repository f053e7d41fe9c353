"""Every failure that the simulator has found once is replayed: it must hold now.

A file in tests/regressions is a failure as `i247-sim` writes it, with the plan that showed it. Those of schema 1 only
name their scenario; where it has changed since, only the plan counts.
"""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from i247_simulations.faults import Level
from i247_simulations.results import Failure, Verdict
from i247_simulations.running import run
from i247_simulations.scenarios import find_scenario, with_members, with_until

FILES = sorted((Path(__file__).parents[1] / "regressions").glob("*.json"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_it_holds_now(path: Path) -> None:
    failure = msgspec.json.decode(path.read_bytes(), type=Failure)
    scenario = failure.whole
    if scenario is None:
        scenario = with_until(with_members(find_scenario(failure.scenario), failure.members), failure.until_ms)
    result = run(scenario, failure.seed, Level(failure.level), plan=failure.faults, tell_lives=False)
    assert result.verdict is Verdict.HOLDS, f"i247-sim replay {path}: {result.breaches[:1]}"
