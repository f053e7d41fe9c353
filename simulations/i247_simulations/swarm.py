"""Run many seeds in several processes until they are done or time is over. Edge. docs/simulation.md 7."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait

from i247_simulations.faults import Level
from i247_simulations.results import Result
from i247_simulations.running import run
from i247_simulations.scenario import Scenario


def swarm(
    scenario: Scenario,
    seeds: Sequence[int],
    level: Level,
    plant: str,
    *,
    jobs: int,
    budget_s: float | None,
    version: str,
    done: Callable[[Result], None],
) -> Iterator[Result]:
    """Yield the results in order of seeds, as many as the budget allows; `done` is told of each as it comes."""
    ends = None if budget_s is None else time.monotonic() + budget_s
    results: dict[int, Result] = {}
    waiting = list(reversed(seeds))
    # Fresh interpreters: a fork of a process with threads may hang, and would share its caches.
    with ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
        running: dict[Future[Result], int] = {}
        while waiting or running:
            while waiting and len(running) < jobs and (ends is None or time.monotonic() < ends):
                seed = waiting.pop()
                running[pool.submit(_one, scenario, seed, level, plant, version)] = seed
            if not running:
                break
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                results[running.pop(future)] = future.result()
                done(future.result())
    yield from (results[seed] for seed in seeds if seed in results)


def _one(scenario: Scenario, seed: int, level: Level, plant: str, version: str) -> Result:
    return run(scenario, seed, level, plant, version=version, tell_lives=False)
