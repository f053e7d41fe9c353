"""`i247-sim`: run a world, find what breaks it, see it again, make it small. Edge. docs/simulation.md 7.

Exit 0: every promise held. 1: one is broken. 2: no verdict. 64: used wrongly.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

import click
import msgspec

from i247_edges.terminal import explain
from i247_protocol.errors import CallerFault, I247Error
from i247_simulations.choosing import FAULTS, Duration, chosen_level, chosen_scenario, list_scenarios, scenario_options
from i247_simulations.faults import Level
from i247_simulations.plants import find_plant
from i247_simulations.results import Failure, Result, Verdict
from i247_simulations.running import SEEN, SOMETIMES, failure_of, replay, run, scenario_of
from i247_simulations.shrinking import shrunk
from i247_simulations.swarm import swarm


def main() -> None:
    """Run the command line and end the process with its exit code."""
    sys.exit(run_command(sys.argv[1:]))


def run_command(arguments: list[str]) -> int:
    """Run one command; return its exit code."""
    try:
        code = commands.main(arguments, prog_name="i247-sim", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as fault:
        fault.show()
        return USAGE
    except click.ClickException as fault:
        _say_fault(fault.format_message(), "see --help")
        return USAGE
    except click.Abort:
        _say_fault("interrupted", "run it again when ready")
        return NO_VERDICT
    except (I247Error, OSError) as fault:
        _say_fault(*explain(fault))
        return USAGE if isinstance(fault, CallerFault) else NO_VERDICT
    return code if isinstance(code, int) else HOLDS


class _Seeds(click.ParamType[Any]):
    name = "A..B"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> range:  # noqa: ANN401
        """Return the seeds from A to B."""
        found = re.fullmatch(r"(\d+)(?:\.\.(\d+))?", str(value))
        if found is None:
            self.fail(f"{value} is no range such as 1..500", param, ctx)
        return range(int(found[1]), int(found[2] or found[1]) + 1)


_PLANT = click.option("--plant", default="", help="Plant a known bug (see `i247-sim scenarios`).")
_JSON = click.option("--json", "json_path", type=click.Path(path_type=Path), help="Write result.json there.")
_FAILURE_PATH = click.option(
    "--failure", type=click.Path(path_type=Path), help="Where to write a failure; failure-SEED.json when not given."
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def commands() -> None:
    """Simulate the whole network from one seed."""


@commands.command("run")
@click.argument("scenario")
@click.option("--seed", type=int, default=1, show_default=True)
@FAULTS
@scenario_options
@_PLANT
@_JSON
@_FAILURE_PATH
def run_one(
    scenario: str,
    seed: int,
    faults: str | None,
    members: int | None,
    hubs: int | None,
    until: int | None,
    load: float | None,
    plant: str,
    json_path: Path | None,
    failure: Path | None,
) -> int:
    """Run one scenario, one of ours or a file, from one seed."""
    find_plant(plant)
    chosen = chosen_scenario(scenario, members, hubs, until, load)
    level = chosen_level(faults, chosen, Level.NONE)
    click.echo(f"running {chosen.name} from seed {seed}, faults {level.value}", err=True)
    result = run(chosen, seed, level, plant, version=_version())
    _write(json_path, result)
    _tell(result)
    _keep_failure(result, failure)
    return EXIT[result.verdict]


@commands.command("swarm")
@click.option("--scenario", default="tiny-4", show_default=True)
@click.option("--seeds", type=_Seeds(), required=True, help="Such as 1..500.")
@FAULTS
@click.option("--jobs", type=click.IntRange(1), default=1, show_default=True)
@click.option("--time-budget", type=Duration(), help="Begin no seed after that time, such as 4m.")
@scenario_options
@_PLANT
@click.option("--require-marks", is_flag=True, help="Fail when an interesting situation never came about.")
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="Write verdicts, traces and marks there.")
def run_many(
    scenario: str,
    seeds: range,
    faults: str | None,
    jobs: int,
    time_budget: int | None,
    members: int | None,
    hubs: int | None,
    until: int | None,
    load: float | None,
    plant: str,
    require_marks: bool,
    json_path: Path | None,
) -> int:
    """Run many seeds; stop at none, and tell all that fail."""
    find_plant(plant)
    chosen = chosen_scenario(scenario, members, hubs, until, load)
    level = chosen_level(faults, chosen, Level.SWARM)
    budget_s = None if time_budget is None else time_budget / 1_000
    results = []
    for result in swarm(chosen, seeds, level, plant, jobs=jobs, budget_s=budget_s, version=_version(), done=_progress):
        results.append(result)
        if result.verdict is Verdict.BROKEN:
            _tell(result)
            _keep_failure(result, None)
    marks: Counter[str] = Counter()
    for result in results:
        marks.update(result.marks)
    never = sorted(word for word in (*SOMETIMES.values(), *SEEN) if not marks[word])
    broken = [result.seed for result in results if result.verdict is Verdict.BROKEN]
    _write(json_path, {"seeds": {str(r.seed): (r.verdict.value, r.trace) for r in results}, "marks": dict(marks)})
    click.echo(f"{len(results)} of {len(seeds)} seeds run, {len(broken)} broken: {broken}" if broken else
               f"{len(results)} of {len(seeds)} seeds run, every promise held")  # fmt: skip
    if never:
        click.echo(f"never came about: {', '.join(never)}")
    if broken:
        return BROKEN
    return NO_VERDICT if not results or (require_marks and never) else HOLDS


@commands.command("replay")
@click.argument("failure", type=click.Path(path_type=Path))
@_JSON
def run_again(failure: Path, json_path: Path | None) -> int:
    """Run a failure again, to the byte."""
    found = _read_failure(failure)
    result = replay(found, tell_lives=True)
    _write(json_path, result)
    _tell(result)
    if found.version == _version() and result.trace != found.trace:
        click.echo("the history is another one than in the file", err=True)
        return BROKEN if result.verdict is Verdict.BROKEN else NO_VERDICT
    return EXIT[result.verdict]


@commands.command("shrink")
@click.argument("failure", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), help="Where to write it; FAILURE-small.json when not given.")
@click.option("--runs", type=click.IntRange(1), default=200, show_default=True, help="Run at most so many times.")
def make_smaller(failure: Path, out: Path | None, runs: int) -> int:
    """Leave faults out of a failing plan while the same promise still breaks."""
    found = _read_failure(failure)
    scenario_of(found)
    checker = found.breach.checker

    def fails(plan: object) -> bool:
        result = replay(found, plan=plan)  # type: ignore[arg-type]  # as `shrunk` gives it
        fails_too = any(one.checker == checker for one in result.breaches)
        click.echo(f"{len(plan)} faults: {'still fails' if fails_too else 'holds'}", err=True)  # type: ignore[arg-type]
        return fails_too

    plan = shrunk(found.faults, fails, runs_max=runs)
    small = failure_of(replay(found, plan=plan))
    if small is None:
        _say_fault("the failure does not happen any more", "replay it with the version that found it")
        return NO_VERDICT
    path = out or failure.with_name(f"{failure.stem}-small.json")
    _write(path, small)
    click.echo(f"{len(found.faults)} faults became {len(plan)}; see it again with: i247-sim replay {path}")
    return HOLDS


commands.add_command(list_scenarios)


def _tell(result: Result) -> None:
    breach = result.breaches[0] if result.breaches else None
    if breach is None:
        click.echo(
            f"{result.verdict.value}: {result.scenario} seed {result.seed}, {result.accepted} messages accepted, "
            f"{len(result.faults)} faults, trace {result.trace}"
        )
        return
    click.echo(f"broken: {breach.promise} at {breach.at_ms} ms, {breach.program}: {breach.what} ({breach.checker})")
    click.echo(f"  version {result.version}, scenario {result.scenario} {result.scenario_hash}, seed {result.seed}")
    for life in result.lives:
        click.echo(f"  the life of {life.message[:16]}, {life.kind} of {life.sender} for {' '.join(life.recipients)}:")
        for moment in life.moments[:MOMENTS_SHOWN]:
            click.echo(f"    {moment.at_ms:>9} ms  {moment.program}: {moment.what}")


def _keep_failure(result: Result, path: Path | None) -> None:
    failure = failure_of(result)
    if failure is not None:
        path = path or Path(f"failure-{result.seed}.json")
        _write(path, failure)
        click.echo(f"  see it again with: i247-sim replay {path}")


def _progress(result: Result) -> None:
    click.echo(f"seed {result.seed}: {result.verdict.value}, {result.accepted} messages", err=True)


def _write(path: Path | None, value: object) -> None:
    if path is not None:
        path.write_bytes(msgspec.json.format(msgspec.json.encode(value, order="deterministic"), indent=1) + b"\n")


def _read_failure(path: Path) -> Failure:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Failure)
    except OSError:
        raise CallerFault(f"reading {path}", "give the file that a failing run has written") from None
    except msgspec.DecodeError:
        raise CallerFault(f"reading {path}", "it is no failure of this version") from None


def _version() -> str:
    try:
        return version("i247")
    except PackageNotFoundError:
        return "unknown"


def _say_fault(error: str, hint: str) -> None:
    click.echo(f"error: {error}\nhint: {hint}", err=True)


HOLDS: Final = 0
BROKEN: Final = 1
NO_VERDICT: Final = 2
USAGE: Final = 64
EXIT: Final = {Verdict.HOLDS: HOLDS, Verdict.BROKEN: BROKEN, Verdict.NO_VERDICT: NO_VERDICT}
MOMENTS_SHOWN: Final = 60
