"""Measure in rounds, and tell medians, spreads and ratios; read what a process has used."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path


def per_call_us(call: Callable[[], object], calls: int) -> float:
    """Return this thread's processor time for one call in µs, so that whoever else is on the machine counts less."""
    begin = time.thread_time()
    for _ in range(calls):
        call()
    return (time.thread_time() - begin) / calls * 1e6


def in_turn(budget_s: float, *measures: Callable[[], float], rounds_min: int = 3) -> list[list[float]]:
    """Take several measures round by round until `budget_s` is used, so that a noisy moment hits all of them."""
    taken: list[list[float]] = [[] for _ in measures]
    end = time.monotonic() + budget_s
    while len(taken[0]) < rounds_min or time.monotonic() < end:
        for series, measure in zip(taken, measures, strict=True):
            series.append(measure())
    return taken


def median(series: Sequence[float]) -> float:
    """Return the middle."""
    return statistics.median(series)


def spread(series: Sequence[float], form: str = ".0f") -> str:
    """Return the bounds of the middle half of the rounds."""
    low, _, high = statistics.quantiles(series, n=4, method="inclusive")
    return f"{low:{form}} to {high:{form}}"


def percentile(series: Sequence[float], part: float) -> float:
    """Return what the given part of `series` stays under."""
    ordered = sorted(series)
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))]


def ratios(series: Sequence[float], floor: Sequence[float]) -> list[float]:
    """Return the ratio of each round."""
    return [one / under for one, under in zip(series, floor, strict=True)]


def cpu_s(pid: int) -> float:
    """Return the processor time that the living threads of a process have used."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


def resident_mib(pid: int) -> tuple[float, float]:
    """Return a process's resident memory, and its proportional share of it (what is shared is divided)."""
    fields = dict(line.split(":") for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:])
    rss, pss = (int(fields[name].split()[0]) / 1024 for name in ("Rss", "Pss"))
    return rss, pss


def wait_until(condition: Callable[[], bool], what: str, seconds: float = 30.0) -> None:
    """Return when `condition` holds; raise TimeoutError when it does not come to that."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"waited for {what}")
        time.sleep(0.02)  # between two looks; daemons tell nobody when they are ready


@contextmanager
def on_processor(number: int) -> Iterator[None]:
    """Begin what is begun inside on one processor, where this machine has several."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {sorted(before)[number % len(before)]})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
