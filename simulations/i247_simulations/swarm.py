"""Run many seeds in several processes until they are done or time is over. Edge. docs/simulation.md 7.

What runs where changes nothing: a task is scenario, seed, level and planted bug, and these fix a history.
"""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from typing import NamedTuple

from i247_protocol.errors import WorldFault
from i247_simulations.faults import Level
from i247_simulations.results import Result
from i247_simulations.running import run
from i247_simulations.scenario import Scenario


class Task(NamedTuple):
    """One run."""

    scenario: Scenario
    seed: int
    level: Level
    plant: str
    version: str


class Workers(NamedTuple):
    """Who runs tasks, and how many at a time."""

    pool: Executor
    width: int


@contextmanager
def processes(jobs: int) -> Iterator[Workers]:
    """Yield so many processes of this machine."""
    # Fresh interpreters: a fork of a process with threads may hang, and would share its caches.
    with ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield Workers(pool, jobs)


def run_all(
    tasks: Sequence[Task], workers: Workers, *, budget_s: float | None, done: Callable[[Result], None]
) -> dict[int, Result]:
    """Return results by their task's place, of as many as the budget allows; `done` is told of each as it comes."""
    ends = None if budget_s is None else time.monotonic() + budget_s
    results: dict[int, Result] = {}
    waiting = list(reversed(range(len(tasks))))
    running: dict[Future[Result], int] = {}
    try:
        while waiting or running:
            while waiting and len(running) < workers.width and (ends is None or time.monotonic() < ends):
                place = waiting.pop()
                running[workers.pool.submit(run_task, tasks[place])] = place
            if not running:
                break
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                results[running.pop(future)] = future.result()
                done(future.result())
    except BrokenExecutor:
        raise WorldFault(
            "running seeds in other processes", "one of them was ended; see whether memory ran out"
        ) from None
    return dict(sorted(results.items()))


def run_task(task: Task) -> Result:
    """Run one task, here."""
    scenario, seed, level, plant, version = task
    return run(scenario, seed, level, plant, version=version, tell_lives=False)
