"""The command line: exit codes, what a failure prints, files."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from i247_simulations.cli import run_command
from i247_simulations.results import Failure, Result

Printed = pytest.CaptureFixture[str]


def test_a_run_that_holds(tmp_path: Path, capsys: Printed) -> None:
    path = tmp_path / "result.json"
    assert run_command(["run", "tiny-4", "--seed", "2", "--until", "20s", "--json", str(path)]) == 0
    assert capsys.readouterr().out.startswith("holds: tiny-4 seed 2")
    assert msgspec.json.decode(path.read_bytes(), type=Result).seed == 2


def test_a_run_that_breaks_can_be_seen_again_and_made_smaller(tmp_path: Path, capsys: Printed) -> None:
    path = tmp_path / "failure.json"
    arguments = ["run", "tiny-4", "--seed", "3", "--faults", "harsh", "--until", "30s", "--plant", "no-replay-table"]
    assert run_command([*arguments, "--failure", str(path)]) == 1
    printed = capsys.readouterr().out
    for part in ("broken: P4", "seed 3", "the life of", f"i247-sim replay {path}"):
        assert part in printed
    assert run_command(["replay", str(path)]) == 1
    assert run_command(["shrink", str(path), "--out", str(tmp_path / "small.json")]) == 0
    assert len(msgspec.json.decode((tmp_path / "small.json").read_bytes(), type=Failure).faults) <= 3


def test_a_swarm(tmp_path: Path, capsys: Printed) -> None:
    arguments = ["swarm", "--seeds", "1..3", "--until", "15s", "--jobs", "2", "--json", str(tmp_path / "all.json")]
    assert run_command(arguments) == 0
    assert "3 of 3 seeds run, every promise held" in capsys.readouterr().out
    assert run_command([*arguments, "--time-budget", "0s"]) == 2


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["run", "tinny-4"], "did you mean `tiny-4`?"),
        (["run", "tiny-4", "--plant", "no-replay"], "did you mean `no-replay-table`?"),
        (["run", "tiny-4", "--faults", "wild"], "wild"),
        (["run", "tiny-4", "--until", "soon"], "duration"),
        (["run", "tiny-4", "--until", "1s"], "warm-up"),
        (["replay", "/nowhere.json"], "/nowhere.json"),
        (["swarm", "--seeds", "x"], "range"),
        (["fly"], "fly"),
    ],
)
def test_wrong_use_is_told(arguments: list[str], told: str, capsys: Printed) -> None:
    assert run_command(arguments) == 64
    assert told in capsys.readouterr().err


def test_scenarios_are_listed(capsys: Printed) -> None:
    assert run_command(["scenarios"]) == 0
    printed = capsys.readouterr().out
    assert "world-196" in printed
    assert "no-replay-table" in printed
