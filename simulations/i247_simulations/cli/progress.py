"""Show on a terminal how far long work is; elsewhere say a line for each step, or nothing. Edge.

Bars need the library `rich` (extra `sim`); without it nothing moves, and nothing else changes.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click

from i247_simulations.results import Result, Sample
from i247_simulations.scenario import Scenario

try:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
except ImportError:
    HAS_BARS = False
else:
    HAS_BARS = True


@contextmanager
def of_a_run(scenario: Scenario) -> Iterator[Callable[[Sample], None] | None]:
    """Yield what is to be told of each sample of a run; the bar reaches its end when traffic does."""
    if not _is_shown():
        yield None
        return
    until_ms = scenario.warm_ms + scenario.chaos_ms
    with _bar() as bar:
        task = bar.add_task(scenario.name, total=until_ms, what="")

        def sampled(sample: Sample) -> None:
            is_over = sample.at_ms > until_ms
            what = f"{sample.at_ms / 1_000:.0f} s of its time, {sample.accepted} messages, {sample.owed} on their way"
            bar.update(task, completed=min(sample.at_ms, until_ms), what=f"{what}, coming to rest" if is_over else what)

        yield sampled


@contextmanager
def of_many(total: int) -> Iterator[Callable[[Result], None]]:
    """Yield what is to be told of each result; without a terminal it says a line for each."""
    if not _is_shown():
        yield lambda one: click.echo(f"seed {one.seed}: {one.verdict.value}, {one.accepted} messages", err=True)
        return
    with _bar() as bar:
        task = bar.add_task("runs", total=total, what=f"0 of {total}")
        count = 0

        def done(result: Result) -> None:
            nonlocal count
            count += 1
            bar.update(task, completed=count, what=f"{count} of {total}, seed {result.seed} {result.verdict.value}")

        yield done


def _is_shown() -> bool:
    return HAS_BARS and sys.stderr.isatty()


def _bar() -> Progress:
    columns = TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[what]}"), TimeElapsedColumn()
    return Progress(*columns, console=Console(stderr=True), transient=True)
