"""Two runs beside one another, sweeps and their intervals, shards put together: arithmetic and what is refused."""

from __future__ import annotations

from pathlib import Path
from statistics import fmean

import msgspec
import pytest

from i247_protocol.errors import CallerFault
from i247_simulations.cli import run_command
from i247_simulations.comparing import Comparison, compared
from i247_simulations.faults import Level
from i247_simulations.measures import EDGES, Spread
from i247_simulations.merging import gathered, merged, never
from i247_simulations.metrics import METRICS, together, values_of
from i247_simulations.results import Result, SeedEnd, Swarm, Verdict
from i247_simulations.running import SEEN, SOMETIMES, run
from i247_simulations.scenarios import TINY, with_until
from i247_simulations.sweeping import Case, Cell, Sweep, change, choices, estimate, grid, with_settings
from i247_simulations.traffic import Kind

SHORT = with_until(TINY, 14_000)
CASE = Case(TINY, Level.NONE, "")
Printed = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def results() -> list[Result]:
    return [run(SHORT, seed, Level.HARSH, version="1", tell_lives=False) for seed in (1, 2, 3, 4)]


# --- two runs ---


def test_differences_and_ratios(results: list[Result]) -> None:
    first = msgspec.structs.replace(results[0], accepted=40)
    second = msgspec.structs.replace(results[0], accepted=50)
    by_key = {one.key: one for one in compared(first, second).differences}
    assert list(by_key) == [metric.key for metric in METRICS]
    assert (by_key["accepted"].first, by_key["accepted"].second, by_key["accepted"].ratio) == (40, 50, 1.25)
    assert by_key["bytes"].ratio == 1
    nothing = msgspec.structs.replace(first, latencies=(), flows=())
    by_key = {one.key: one for one in compared(nothing, second).differences}
    assert (by_key["latency_p50_ms"].first, by_key["latency_p50_ms"].ratio) == (None, None)
    assert (by_key["bytes"].first, by_key["bytes"].ratio) == (0, None)


def test_what_makes_two_runs_unlike_is_said(results: list[Result]) -> None:
    first = results[0]
    other = msgspec.structs.replace(first, trace="another")
    assert compared(first, other).warnings == ()
    for changed, told in (
        (first, "the same history"),
        (msgspec.structs.replace(other, seed=9), "seeds differ (1 and 9)"),
        (msgspec.structs.replace(other, scenario="world-196"), "scenarios differ: tiny-4 and world-196"),
        (msgspec.structs.replace(other, scenario_hash="x", until_ms=99), "until 14000 ms and 99 ms"),
        (msgspec.structs.replace(other, version="2"), "versions differ: 1 and 2"),
        (msgspec.structs.replace(other, faults=()), "plans of faults differ"),
    ):
        assert any(told in words for words in compared(first, changed).warnings), told


# --- sweeps ---


def test_an_interval_is_students() -> None:
    assert estimate([None, 7]) == (7, None, 1)
    assert estimate([]) is None
    for values, margin in (
        ([1, 2, 3, 4, 5], 1.9634),  # t(4) = 2.776, s = 1.5811
        ([0, 1] * 20 + [0.5], 2.0211 * 0.5 / 41**0.5),  # t(40) = 2.0211, s = 0.5
    ):
        found: tuple[object, ...] = tuple(estimate(values) or ())
        assert found == (fmean(values), pytest.approx(margin, rel=1e-3), len(values))


def test_a_difference_is_taken_seed_by_seed() -> None:
    def cell(*values: tuple[int, float | None]) -> Cell:
        ends = tuple(SeedEnd(seed, Verdict.HOLDS, "", 1) for seed, _ in values)
        return Cell({}, "", ends, {"accepted": tuple(value for _, value in values)})

    # Each seed grows by 10, and seeds differ by hundreds: paired, nothing is left to luck.
    found = change(cell((1, 100.0), (2, 400.0), (3, 900.0)), cell((3, 910.0), (1, 110.0), (2, 410.0)), "accepted")
    assert tuple(found or ()) == (10, 0, 3)
    assert change(cell((1, 5.0)), cell((2, 6.0)), "accepted") is None
    assert change(cell((1, 5.0), (2, None)), cell((1, 6.0), (2, 7.0)), "accepted") == (1, None, 1)


@pytest.mark.parametrize(
    ("words", "key", "values"),
    [
        ("load=0.5,1:2", "load", ["0.5", "1:2"]),
        ('homes.BR=["lyon"],["lyon","singapore"]', "homes.BR", ['["lyon"]', '["lyon","singapore"]']),
        (" faults = none , harsh ", "faults", ["none", "harsh"]),
    ],
)
def test_choices_are_read(words: str, key: str, values: list[str]) -> None:
    assert choices(words) == (key, values)


def test_settings_change_what_they_name_and_nothing_else() -> None:
    cells = grid(CASE, [("commit_us", ["1000", "9000"]), ("faults", ["none", "mild"])])
    assert [settings for settings, _ in cells] == [
        {"commit_us": commit, "faults": level} for commit in ("1000", "9000") for level in ("none", "mild")
    ]
    case = cells[3][1]
    assert (case.level, case.scenario) == (Level.MILD, msgspec.structs.replace(TINY, commit_us=9_000))
    changed = with_settings(CASE, {"traffic.streams.query.per_hour": "7", "load": "1:2", "hubs": "1"}).scenario
    assert (changed.traffic.streams[Kind.QUERY].per_hour, changed.traffic.scale, len(changed.hubs)) == (7, 0.5, 1)
    assert with_settings(CASE, {"members": "3", "until": "20s"}).scenario.chaos_ms == 20_000 - TINY.warm_ms
    assert with_settings(CASE, {"plant": "audit-gap"}).plant == "audit-gap"


@pytest.mark.parametrize(
    ("settings", "hint"),
    [
        ({"trafic.scale": "1"}, "did you mean `traffic.scale`?"),
        ({"traffic": "much"}, "no value of that kind"),
        ({"commit_us": "fast"}, "no value of that kind"),
        ({"commit_us.deep": "1"}, "did you mean `commit_us`?"),
        ({"faults": "wild"}, "harsh"),
        ({"until": "soon"}, "duration"),
        ({"members": "few"}, "how many members"),
        ({"hubs": "few"}, "how many hubs"),
        ({"load": "heavy"}, "a scale is wanted"),
        ({"plant": "no-replay"}, "no-replay-table"),
    ],
)
def test_wrong_settings_are_told(settings: dict[str, str], hint: str) -> None:
    with pytest.raises(CallerFault) as found:
        with_settings(CASE, settings)
    assert hint in found.value.hint


# --- metrics ---


def test_kinds_together_have_the_quantiles_of_all(results: list[Result]) -> None:
    whole, spreads = Spread(), [Spread(), Spread()]
    for n in range(1, 400):
        whole.add(n * n)
        spreads[n % 2].add(n * n)
    found = together([spread.latency("any") for spread in spreads])
    assert found == msgspec.structs.replace(whole.latency("all"), kind="all")
    assert abs(found.p50_ms - 200**2) <= 200**2 // 20
    assert EDGES[-1] > 3_600_000
    values = values_of(results[0])
    assert values["accepted"] == results[0].accepted
    assert values["bytes"] == sum(flow.bytes for flow in results[0].flows)


def test_a_run_tells_its_questions_and_what_is_owed(results: list[Result]) -> None:
    for result in results:
        assert result.answers.count == result.questions["answered"] == sum(result.questions.values())
        assert max(one.owed for one in result.samples) > 0
        assert result.owed == 0
        for some in (result.latencies, result.priorities):
            assert sum(one.count for one in some) == together(result.latencies).count > 0


# --- shards ---


def test_shards_merged_are_the_whole_swarm(results: list[Result]) -> None:
    def swarm(some: list[Result], asked: tuple[int, ...]) -> Swarm:
        return gathered(some, asked, SHORT, Level.HARSH, "", "1")

    whole = swarm(results, (1, 2, 3, 4, 5))
    parts = [swarm([results[3], results[1]], (2, 4)), swarm([results[0], results[2]], (1, 3, 5))]
    assert merged(parts) == merged(parts[::-1]) == whole
    assert [end.seed for end in whole.ends] == [1, 2, 3, 4]
    assert set(never(whole)) == {
        word for word in (*SOMETIMES.values(), *SEEN) if not any(one.marks[word] for one in results)
    }
    with pytest.raises(CallerFault, match="share seed 2"):
        merged([whole, parts[0]])
    with pytest.raises(CallerFault) as found:
        merged([parts[0], msgspec.structs.replace(parts[1], level="mild")])
    assert "differ in level" in found.value.hint


# --- the commands ---


def test_a_study_from_the_command_line(tmp_path: Path, capsys: Printed) -> None:
    def at(name: str) -> str:
        return str(tmp_path / name)

    for seed, faults in (("7", "none"), ("7", "harsh")):
        arguments = ["run", "tiny-4", "--seed", seed, "--faults", faults, "--until", "30s", "--json", at(faults)]
        assert run_command([*arguments, "--report", at(f"{faults}.html")]) == 0
    assert run_command(["compare", at("none"), at("harsh"), "--json", at("both"), "--report", at("both.html")]) == 0
    printed = capsys.readouterr()
    assert "99 % arrived within" in printed.out
    assert "warning" not in printed.err
    commands = [side.command for side in msgspec.json.decode((tmp_path / "both").read_bytes(), type=Comparison).sides]
    assert commands == [f"i247-sim run tiny-4 --seed 7 --faults {level} --until 30s" for level in ("none", "harsh")]
    sweep = ["sweep", "tiny-4", "--set", "commit_us=1000,50000", "--repeats", "2", "--until", "12s"]
    assert run_command([*sweep, "--json", at("sweep"), "--report", at("sweep.html")]) == 0
    assert "seed by seed" in capsys.readouterr().out
    found = msgspec.json.decode((tmp_path / "sweep").read_bytes(), type=Sweep)
    assert [[end.seed for end in cell.ends] for cell in found.cells] == [[1, 2], [1, 2]]
    slow = fmean(value or 0 for value in found.cells[1].values["latency_p50_ms"])
    assert slow > fmean(value or 0 for value in found.cells[0].values["latency_p50_ms"])
    for page in ("none.html", "both.html", "sweep.html"):
        assert (tmp_path / page).read_text(encoding="utf-8").startswith("<!doctype html>")


def test_shards_from_the_command_line(tmp_path: Path, capsys: Printed) -> None:
    base = ["swarm", "--seeds", "1..3", "--until", "10s", "--json"]
    whole, parts = tmp_path / "whole", [tmp_path / "1", tmp_path / "2"]
    assert run_command([*base, str(whole)]) == 0
    for n, part in enumerate(parts, 1):
        assert run_command([*base, str(part), "--shard", f"{n}/2"]) == 0
    assert run_command(["merge", *map(str, parts), "--json", str(tmp_path / "merged")]) == 0
    assert (tmp_path / "merged").read_bytes() == whole.read_bytes()
    assert "3 of 3 seeds run, every promise held" in capsys.readouterr().out
    assert run_command(["merge", str(parts[0]), str(whole)]) == 64


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["swarm", "--seeds", "1..3", "--shard", "3/2"], "1/4"),
        (["sweep", "tiny-4", "--set", "commit_us"], "KEY=A,B,C"),
        (["sweep", "tiny-4", "--set", "comit_us=1"], "commit_us"),
        (["compare", "/nowhere", "/nowhere"], "run --json"),
        (["merge", "/nowhere"], "swarm --json"),
        (["report", "/nowhere", "x.html"], "run --json"),
    ],
)
def test_wrong_use_is_told(arguments: list[str], told: str, capsys: Printed) -> None:
    assert run_command(arguments) == 64
    assert told in capsys.readouterr().err


def test_a_file_of_another_schema_is_refused(tmp_path: Path, capsys: Printed) -> None:
    (tmp_path / "old.json").write_text('{"schema": 1}', encoding="utf-8")
    assert run_command(["report", str(tmp_path / "old.json"), str(tmp_path / "x.html")]) == 64
    assert "another schema" in capsys.readouterr().err
