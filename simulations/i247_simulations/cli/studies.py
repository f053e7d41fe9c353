"""Set runs beside one another: compare two, sweep settings, draw a page of what was run before. Edge.

docs/simulation.md 5.
"""

from __future__ import annotations

from pathlib import Path

import click

from i247_edges.terminal import table
from i247_simulations.choosing import FAULTS, chosen_level, chosen_scenario, scenario_options
from i247_simulations.cli.forms import (
    BROKEN,
    DASK,
    HOLDS,
    JOBS,
    JSON,
    PLANT,
    REPORT,
    keep_failures,
    read,
    version_here,
    write,
    write_text,
)
from i247_simulations.cli.progress import of_many
from i247_simulations.cluster import cluster
from i247_simulations.comparing import compared
from i247_simulations.faults import Level
from i247_simulations.metrics import BY_KEY, METRICS
from i247_simulations.plants import find_plant
from i247_simulations.report.run_page import run_page
from i247_simulations.report.study_pages import (
    change_words,
    compare_page,
    comparison_headline,
    estimate_words,
    name_of,
    sweep_page,
)
from i247_simulations.report.words import factor, signed, value_words
from i247_simulations.results import SCHEMA, Result
from i247_simulations.swarm import Task, processes, run_all
from i247_simulations.sweeping import Case, Sweep, change, choices, estimate, grid, swept

_RESULT_HINT = "give what `run --json` has written"


@click.command("compare")
@click.argument("first", type=click.Path(path_type=Path))
@click.argument("second", type=click.Path(path_type=Path))
@JSON
@REPORT
def compare_runs(*, first: Path, second: Path, json_path: Path | None, report: Path | None) -> int:
    """Compare two runs, the second with the first; best of one seed, so that both have the same luck."""
    one, other = (read(path, Result, _RESULT_HINT, schema=SCHEMA) for path in (first, second))
    found = compared(one, other)
    for words in found.warnings:
        click.echo(f"warning: {words}", err=True)
    rows = []
    for each in found.differences:
        unit = BY_KEY[each.key].unit
        gap = "–" if None in (each.first, each.second) else signed(unit, (each.second or 0) - (each.first or 0))
        values = (value_words(unit, value) for value in (each.first, each.second))
        rows.append((BY_KEY[each.key].name, *values, gap, factor(each.ratio)))
    table(("", "first", "second", "difference", "ratio"), rows)
    click.echo(comparison_headline(found))
    write(json_path, found)
    if report is not None:
        write_text(report, compare_page(one, other, found))
    return HOLDS


@click.command("sweep")
@click.argument("scenario")
@click.option("--set", "sets", multiple=True, required=True, metavar="KEY=A,B,C", help="Such as load=0.5,1,2; may be given again.")  # fmt: skip
@click.option("--repeats", type=click.IntRange(1), default=5, show_default=True, help="Seeds for each setting.")
@click.option("--seed", type=int, default=1, show_default=True, help="The first seed.")
@FAULTS
@JOBS
@DASK
@scenario_options
@PLANT
@JSON
@REPORT
def sweep_settings(
    *,
    scenario: str,
    sets: tuple[str, ...],
    repeats: int,
    seed: int,
    faults: str | None,
    jobs: int,
    dask: str | None,
    members: int | None,
    hubs: int | None,
    until: int | None,
    load: float | None,
    crypto: str | None,
    plant: str,
    json_path: Path | None,
    report: Path | None,
) -> int:
    """Run each setting with the same seeds, and tell what it changes and how sure that is."""
    find_plant(plant)
    chosen, version = chosen_scenario(scenario, members, hubs, until, load, crypto), version_here()
    base = Case(chosen, chosen_level(faults, chosen, Level.NONE), plant)
    cells = grid(base, [choices(words) for words in sets])
    # Seed by seed, so that an interrupted sweep would have lost as little as can be.
    tasks = [
        Task(case.scenario, seed + n, case.level, case.plant, version) for n in range(repeats) for _, case in cells
    ]
    with cluster(dask) if dask else processes(jobs) as workers, of_many(len(tasks)) as done:
        results = run_all(tasks, workers, budget_s=None, done=done)
    by_cell = [[results[n * len(cells) + place] for n in range(repeats)] for place in range(len(cells))]
    found = swept(base.scenario.name, base, [settings for settings, _ in cells], by_cell, version)
    _tell_sweep(found)
    write(json_path, found)
    if report is not None:
        write_text(report, sweep_page(found))
    keep_failures(found.failures)
    return BROKEN if found.failures else HOLDS


@click.command("report")
@click.argument("result", type=click.Path(path_type=Path))
@click.argument("page", type=click.Path(path_type=Path))
def draw_report(*, result: Path, page: Path) -> int:
    """Write the page of a run that `run --json` has kept."""
    write_text(page, run_page(read(result, Result, _RESULT_HINT, schema=SCHEMA)))
    return HOLDS


def _tell_sweep(found: Sweep) -> None:
    names = [name_of(cell.settings) for cell in found.cells]
    means = ((m.name, *(estimate_words(m, estimate(cell.values[m.key])) for cell in found.cells)) for m in METRICS)
    table((f"mean of {len(found.seeds)} seeds ± 95 %", *names), means)
    if len(found.cells) > 1:
        first, *others = found.cells
        click.echo("")
        rows = ((m.name, *(change_words(m, change(first, other, m.key)) for other in others)) for m in METRICS)
        table((f"difference to {names[0]}, seed by seed", *names[1:]), rows)
