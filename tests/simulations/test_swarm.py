"""Drawn plans: a fixed set of seeds, and seeds that change with every commit."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

import pytest

from i247_simulations.faults import Level
from i247_simulations.results import Verdict
from i247_simulations.running import SOMETIMES, run
from i247_simulations.scenarios import TINY, with_until

SHORT = with_until(TINY, 90_000)
ROOT = Path(__file__).parents[2]
SEEDS = 12


def state_of_the_sources() -> str:
    """Return the commit, or where there is none a hash over what a commit would hold."""
    asked = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False)
    if asked.returncode == 0:
        return asked.stdout.strip()
    whole = hashlib.sha256()
    for package in ("protocol", "keys", "hub", "node", "simulations"):
        for path in sorted((ROOT / package).rglob("*.py")):
            whole.update(path.read_bytes())
    return whole.hexdigest()


def of_this_commit() -> list[int]:
    state = state_of_the_sources()
    return [int.from_bytes(hashlib.sha256(f"{state}/{n}".encode()).digest()[:4]) for n in range(SEEDS)]


@pytest.mark.parametrize("seed", range(1, SEEDS + 1))
def test_a_fixed_seed(seed: int) -> None:
    assert_holds(seed, Level.HARSH)


@pytest.mark.parametrize("n", range(SEEDS))
def test_a_seed_of_this_commit(n: int) -> None:
    assert_holds(of_this_commit()[n], Level.SWARM)


def assert_holds(seed: int, level: Level) -> None:
    result = run(SHORT, seed, level, tell_lives=False)
    command = f"i247-sim run tiny-4 --seed {seed} --faults {level} --until 90s"
    assert result.verdict is Verdict.HOLDS, f"{command}: {result.breaches[:1]}"
    assert any(result.marks[mark] for mark in SOMETIMES.values())
