"""Run one world, see a failure again, make it smaller. Edge. docs/simulation.md."""

from __future__ import annotations

from pathlib import Path

import click

from i247_simulations.choosing import FAULTS, chosen_level, chosen_scenario, scenario_options
from i247_simulations.cli.forms import (
    BROKEN,
    EXIT,
    HOLDS,
    JSON,
    NO_VERDICT,
    PLANT,
    REPORT,
    command_line,
    keep_failure,
    read_failure,
    say_fault,
    tell,
    version_here,
    write,
    write_text,
)
from i247_simulations.cli.progress import of_a_run
from i247_simulations.faults import Level
from i247_simulations.plants import find_plant
from i247_simulations.report.run_page import run_page
from i247_simulations.results import Verdict
from i247_simulations.running import failure_of, replay, run, scenario_of
from i247_simulations.shrinking import shrunk


@click.command("run")
@click.argument("scenario")
@click.option("--seed", type=int, default=1, show_default=True)
@FAULTS
@scenario_options
@PLANT
@JSON
@REPORT
@click.option(
    "--failure", type=click.Path(path_type=Path), help="Where to write a failure; failure-SEED.json when not given."
)
def run_one(
    scenario: str,
    seed: int,
    faults: str | None,
    members: int | None,
    hubs: int | None,
    until: int | None,
    load: float | None,
    crypto: str | None,
    plant: str,
    json_path: Path | None,
    report: Path | None,
    failure: Path | None,
) -> int:
    """Run one scenario, one of ours or a file, from one seed."""
    find_plant(plant)
    chosen = chosen_scenario(scenario, members, hubs, until, load, crypto)
    level = chosen_level(faults, chosen, Level.NONE)
    click.echo(f"running {chosen.name} from seed {seed}, faults {level.value}", err=True)
    with of_a_run(chosen) as sampled:
        result = run(chosen, seed, level, plant, version=version_here(), command=command_line(), sampled=sampled)
    write(json_path, result)
    if report is not None:
        write_text(report, run_page(result))
    tell(result)
    keep_failure(result, failure)
    return EXIT[result.verdict]


@click.command("replay")
@click.argument("failure", type=click.Path(path_type=Path))
@JSON
@REPORT
def run_again(failure: Path, json_path: Path | None, report: Path | None) -> int:
    """Run a failure again, to the byte."""
    found = read_failure(failure)
    result = replay(found, tell_lives=True, command=command_line())
    write(json_path, result)
    if report is not None:
        write_text(report, run_page(result))
    tell(result)
    if found.version == version_here() and result.trace != found.trace:
        click.echo("the history is another one than in the file", err=True)
        return BROKEN if result.verdict is Verdict.BROKEN else NO_VERDICT
    return EXIT[result.verdict]


@click.command("shrink")
@click.argument("failure", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), help="Where to write it; FAILURE-small.json when not given.")
@click.option("--runs", type=click.IntRange(1), default=200, show_default=True, help="Run at most so many times.")
def make_smaller(failure: Path, out: Path | None, runs: int) -> int:
    """Leave faults out of a failing plan while the same promise still breaks."""
    found = read_failure(failure)
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
        say_fault("the failure does not happen any more", "replay it with the version that found it")
        return NO_VERDICT
    path = out or failure.with_name(f"{failure.stem}-small.json")
    write(path, small)
    click.echo(f"{len(found.faults)} faults became {len(plan)}; see it again with: i247-sim replay {path}")
    return HOLDS
