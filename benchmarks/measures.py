"""Measure in rounds, and tell medians, spreads and ratios."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table: what, the figure with its unit, its spread, the aim, and a remark."""

    what: str
    figure: str
    spread: str
    aim: str
    remark: str = ""


def per_call_us(call: Callable[[], object], calls: int) -> float:
    """Return the wall time of one call in µs."""
    begin = time.perf_counter()
    for _ in range(calls):
        call()
    return (time.perf_counter() - begin) / calls * 1e6


def in_turn(rounds: int, *measures: Callable[[], float]) -> list[list[float]]:
    """Take several measures round by round, so that a noisy moment hits all of them."""
    taken: list[list[float]] = [[] for _ in measures]
    for _ in range(rounds):
        for series, measure in zip(taken, measures, strict=True):
            series.append(measure())
    return taken


def median(series: Sequence[float]) -> float:
    """Return the middle."""
    return statistics.median(series)


def spread(series: Sequence[float], form: str = ".0f") -> str:
    """Return the least and the most."""
    return f"{min(series):{form}} to {max(series):{form}}"


def ratios(series: Sequence[float], floor: Sequence[float]) -> list[float]:
    """Return the ratio of each round."""
    return [one / under for one, under in zip(series, floor, strict=True)]


def fsync_us(folder: Path, times: int = 100) -> list[float]:
    """Return how long writing and syncing 4 KiB takes, in µs, sorted."""
    path = folder / "fsync-probe"
    taken = []
    descriptor = os.open(path, os.O_CREAT | os.O_WRONLY, 0o600)
    try:
        for _ in range(times):
            begin = time.perf_counter()
            os.write(descriptor, bytes(4096))
            os.fsync(descriptor)
            taken.append((time.perf_counter() - begin) * 1e6)
    finally:
        os.close(descriptor)
        path.unlink()
    return sorted(taken)


def cpu_s(pid: int) -> float:
    """Return the processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_mb(pid: int) -> float:
    """Return the resident memory of a process in MB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:")) / 1024
