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
        (["run", "tiny-4", "--load", "1:0"], "scale"),
        (["run", "tiny-4", "--hubs", "65"], "1 to 64"),
        (["run", "lyon-cut-off", "--until", "2h"], "3h15m"),
        (["run", "mine.toml"], "give the path of a scenario's file"),
        (["scenarios", "tiny"], "`tiny-4`"),
        (["replay", "/nowhere.json"], "/nowhere.json"),
        (["swarm", "--seeds", "x"], "range"),
        (["fly"], "fly"),
    ],
)
def test_wrong_use_is_told(arguments: list[str], told: str, capsys: Printed) -> None:
    assert run_command(arguments) == 64
    assert told in capsys.readouterr().err


def test_scenarios_are_listed_and_shown(capsys: Printed) -> None:
    assert run_command(["scenarios"]) == 0
    printed = capsys.readouterr().out
    for name in ("tiny-4", "world-196", "lyon-cut-off", "day-1-100", "no-replay-table"):
        assert name in printed
    assert run_command(["scenarios", "lyon-cut-off"]) == 0
    assert 'what = "cut off"' in capsys.readouterr().out


FILE = """
extends = "tiny-4"
what = "Lyon is cut off, and BR dies."
[[fault]]
at = "12s"
what = "cut off"
who = "lyon"
for = "2s"
[[fault]]
at = "16s"
what = "crash"
who = "BR"
for = "500ms"
"""


def test_a_failure_of_a_file_needs_the_file_no_more(tmp_path: Path, capsys: Printed) -> None:
    path, failure = tmp_path / "mine.toml", tmp_path / "failure.json"
    path.write_text(FILE)
    arguments = ["run", str(path), "--until", "40s", "--load", "3", "--plant", "no-replay-table", "--seed", "3"]
    assert run_command([*arguments, "--faults", "harsh", "--failure", str(failure)]) == 1
    trace = msgspec.json.decode(failure.read_bytes(), type=Failure).trace
    path.unlink()
    capsys.readouterr()
    assert run_command(["replay", str(failure), "--json", str(tmp_path / "again.json")]) == 1
    assert "scenario mine" in capsys.readouterr().out
    assert msgspec.json.decode((tmp_path / "again.json").read_bytes(), type=Result).trace == trace


def test_the_faults_of_a_file_happen_and_luck_adds_none_unless_asked(tmp_path: Path, capsys: Printed) -> None:
    path, out = tmp_path / "mine.toml", tmp_path / "result.json"
    path.write_text(FILE)
    for faults, added in (([], False), (["--faults", "mild"], True)):
        assert run_command(["run", str(path), "--until", "70s", "--json", str(out), *faults]) == 0
        result = msgspec.json.decode(out.read_bytes(), type=Result)
        assert (len(result.faults) > 2) is added
        assert result.marks["fault: partition"] >= 1
        assert result.whole.faults == tuple(fault for fault in result.faults if fault in result.whole.faults)
    assert run_command(["swarm", "--scenario", str(path), "--seeds", "1", "--until", "30s"]) == 0
    assert "every promise held" in capsys.readouterr().out


def test_hubs_members_and_load_can_be_chosen(tmp_path: Path, capsys: Printed) -> None:
    out = tmp_path / "result.json"
    arguments = ["run", "notice-to-all", "--members", "6", "--hubs", "3", "--load", "1:2", "--json", str(out)]
    assert run_command(arguments) == 0
    result = msgspec.json.decode(out.read_bytes(), type=Result)
    assert (len(result.members), len(result.hubs), result.whole.traffic.scale) == (6, 3, 0.5)
    (notices,) = (one for one in result.latencies if one.kind == "notice")
    assert notices.count == 11 * 5


def test_a_failure_without_its_scenario_is_refused(tmp_path: Path, capsys: Printed) -> None:
    old = Path(__file__).parents[1] / "regressions" / "queued-until-a-key-begins.json"
    assert run_command(["replay", str(old)]) == 64
    assert "scenarios have changed since version" in capsys.readouterr().err
