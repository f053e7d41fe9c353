"""Run many seeds, here, in shards on several machines or on a cluster, and merge what they tell. Edge.

docs/simulation.md 5 to 7.
"""

from __future__ import annotations

from pathlib import Path

import click

from i247_simulations.choosing import FAULTS, Duration, chosen_level, chosen_scenario, scenario_options
from i247_simulations.cli.forms import (
    BROKEN,
    DASK,
    HOLDS,
    JOBS,
    JSON,
    NO_VERDICT,
    PLANT,
    Seeds,
    Shard,
    keep_failure,
    read,
    tell,
    version_here,
    write,
)
from i247_simulations.cli.progress import of_many
from i247_simulations.cluster import cluster
from i247_simulations.faults import Level
from i247_simulations.merging import gathered, merged, never
from i247_simulations.plants import find_plant
from i247_simulations.results import SCHEMA, Swarm, Verdict
from i247_simulations.swarm import Task, processes, run_all

_REQUIRE = click.option("--require-marks", is_flag=True, help="Exit 2 when an interesting situation never came about.")


@click.command("swarm")
@click.option("--scenario", default="tiny-4", show_default=True)
@click.option("--seeds", type=Seeds(), required=True, help="Such as 1..500.")
@FAULTS
@JOBS
@DASK
@click.option("--shard", type=Shard(), default="1/1", help="Run only this part of the seeds, such as 2/4.")
@click.option("--time-budget", type=Duration(), help="Begin no seed after that time, such as 4m.")
@scenario_options
@PLANT
@_REQUIRE
@JSON
def run_many(
    *,
    scenario: str,
    seeds: range,
    faults: str | None,
    jobs: int,
    dask: str | None,
    shard: slice,
    time_budget: int | None,
    members: int | None,
    hubs: int | None,
    until: int | None,
    load: float | None,
    crypto: str | None,
    plant: str,
    require_marks: bool,
    json_path: Path | None,
) -> int:
    """Run many seeds; stop at none, and tell all that fail."""
    find_plant(plant)
    chosen, version = chosen_scenario(scenario, members, hubs, until, load, crypto), version_here()
    level = chosen_level(faults, chosen, Level.SWARM)
    asked = seeds[shard]
    tasks = [Task(chosen, seed, level, plant, version) for seed in asked]
    budget_s = None if time_budget is None else time_budget / 1_000
    with cluster(dask) if dask else processes(jobs) as workers, of_many(len(tasks)) as done:
        results = list(run_all(tasks, workers, budget_s=budget_s, done=done).values())
    for result in results:
        if result.verdict is Verdict.BROKEN:
            tell(result)
            keep_failure(result, None)
    found = gathered(results, asked, chosen, level, plant, version)
    write(json_path, found)
    return _conclude(found, require_marks=require_marks)


@click.command("merge")
@click.argument("files", type=click.Path(path_type=Path), nargs=-1, required=True)
@_REQUIRE
@JSON
def merge_files(*, files: tuple[Path, ...], require_marks: bool, json_path: Path | None) -> int:
    """Put together what the shards of one swarm have written with --json."""
    found = merged([read(path, Swarm, "give what `swarm --json` has written", schema=SCHEMA) for path in files])
    for failure in found.failures:
        breach = failure.breach
        click.echo(
            f"seed {failure.seed} broken: {breach.promise} at {breach.at_ms} ms, {breach.program}: {breach.what}"
        )
    write(json_path, found)
    return _conclude(found, require_marks=require_marks)


def _conclude(found: Swarm, *, require_marks: bool) -> int:
    broken, missing = list(found.broken), never(found)
    told = f"{len(found.ends)} of {len(found.asked)} seeds run"
    click.echo(f"{told}, {len(broken)} broken: {broken}" if broken else f"{told}, every promise held")
    if missing:
        click.echo(f"never came about: {', '.join(missing)}")
    if broken:
        return BROKEN
    return NO_VERDICT if not found.ends or (require_marks and missing) else HOLDS
