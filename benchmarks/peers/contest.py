"""Let all who take part do the same work in turn, round by round, and keep what each round came to."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

from measures import median, percentile
from peers.entrants import Entrant
from peers.processes import Place, Running
from probes import DiskTimes, disk_times


@dataclass(slots=True)
class Score:
    """What one peer came to, an entry a round."""

    entrant: Entrant
    rates: list[float] = field(default_factory=list)
    cpu_ms: list[float] = field(default_factory=list)
    p50_ms: list[float] = field(default_factory=list)
    alone_ms: list[float] = field(default_factory=list)
    resident_mib: list[Mapping[str, float]] = field(default_factory=list)
    lost: int = 0
    left_out: str | None = None

    @property
    def has_figures(self) -> bool:
        """Whether it took part in all rounds."""
        return self.left_out is None and bool(self.rates)

    @property
    def p99_ms(self) -> float:
        """What all but one in a hundred round trips took at most, one at a time."""
        return percentile(self.alone_ms, 0.99)

    @property
    def largest_mib(self) -> float:
        """The resident memory of the larger of its brokers when all was done."""
        return max(self.resident_mib[-1].values())

    def take(self, running: Running, seconds: float) -> None:
        """Take one round with many in flight, and one with a query at a time."""
        lasts = seconds * self.entrant.patience
        used = running.cpu_s()
        together = running.round(lasts, IN_FLIGHT)
        self.cpu_ms.append((running.cpu_s() - used) / together.ended * 1e3)
        self.rates.append(together.ended / together.seconds)
        alone = running.round(lasts * ALONE_PART, 1)
        self.p50_ms.append(median(alone.times_ms))
        self.alone_ms += alone.times_ms
        self.resident_mib.append(running.resident_mib())
        self.lost += together.lost + alone.lost


def compete(
    entrants: Sequence[Entrant], place: Place, rounds: int, seconds: float, told: Callable[[str], None]
) -> tuple[list[Score], DiskTimes]:
    """Start all, take them in turn, and end them; who is missing or fails is left out with the reason.

    The disk is probed before each round, so that what it takes stands beside what needs it.
    """
    disk = DiskTimes([], [])
    scores = [Score(entrant) for entrant in entrants]
    with ExitStack() as stack:
        up: list[tuple[Score, Running]] = []
        for score in scores:
            name = score.entrant.name
            score.left_out = score.entrant.missing(place)
            if score.left_out is None:
                told(f"starting {name}")
                try:
                    up.append((score, stack.enter_context(score.entrant.running(place.at(name)))))
                except FAULTS as fault:
                    score.left_out = f"did not start: {fault}"
        for number in range(-1, rounds):
            told(f"round {number + 1} of {rounds}" if number >= 0 else "warming up")
            probed = disk_times(place.folder, PROBES)
            disk.syncs.extend(probed.syncs)
            disk.commits.extend(probed.commits)
            for score, running in up:
                try:
                    if number < 0:
                        running.round(seconds * WARM_UP_PART * score.entrant.patience, IN_FLIGHT)
                    elif score.left_out is None:
                        score.take(running, seconds)
                except FAULTS as fault:
                    score.left_out = f"failed: {fault}"
    return scores, disk


IN_FLIGHT = 64
ALONE_PART = 0.7
WARM_UP_PART = 0.5
PROBES = 50
FAULTS = (OSError, TimeoutError, ChildProcessError, subprocess.SubprocessError, ZeroDivisionError)
