"""Measure what one hub carries: from one member's link to another's, saved before it is answered for.

The sender and the receiver speak the link's protocol over CURVE from a process of their own, and seal and save nothing,
so the hub alone is measured. docs/performance.md 3.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from typing import Final

from couple import BareCouple, Couple, MemberCouple
from measures import cpu_s, in_turn, median, on_processor, ratios, spread
from network import World, bare_hub
from probes import disk_times, told
from table import Figure

NAME: Final = "hub relay, 1 KiB"
BUDGET_S: Final = 40.0


def measure(world: World, budget_s: float) -> Iterator[Figure]:
    """Yield how much a hub carries, and what a message costs it."""
    before = disk_times(world.folder)
    with ExitStack() as stack:
        with on_processor(0):  # both: only one of them is busy at a time
            pid = stack.enter_context(world.running("lyon"))["lyon"]
            bare = stack.enter_context(bare_hub(world.folder))
        stack.enter_context(on_processor(1))
        real = Pace(pid, stack.enter_context(closing(MemberCouple.at(world, "lyon"))))
        floor = Pace(bare.pid, stack.enter_context(closing(BareCouple(bare))))
        in_turn(budget_s, real.carry, floor.carry)
    after = disk_times(world.folder)
    yield Figure(
        NAME,
        f"{median(real.rates):,.0f} /s",
        spread(real.rates, ",.0f"),
        f"≥ {RATE_MIN:,} /s",
        median(real.rates) >= RATE_MIN,
        f"{median(ratios(floor.rates, real.rates)):.1f}",
        note=(
            "one hub process on one core, a commit a batch; floor: a bare ROUTER under CURVE that saves and frees "
            f"rows of the same size, {median(floor.rates):,.0f} /s"
        ),
        disk=told(before, after),
    )
    yield Figure(
        "  processor time of the hub, each",
        f"{median(real.costs):.1f} µs",
        spread(real.costs, ".1f"),
        f"≤ {COST_US_MAX} µs",
        median(real.costs) <= COST_US_MAX,
        f"{median(ratios(real.costs, floor.costs)):.1f}",
        note=f"all its threads, CURVE included; floor {median(floor.costs):.1f} µs. The aim is the rate's",
    )


class Pace:
    """How fast messages were carried, and what that cost the process `pid`, round by round."""

    def __init__(self, pid: int, couple: Couple) -> None:
        self.rates: list[float] = []
        self.costs: list[float] = []
        self._pid = pid
        self._couple = couple
        couple.carry(WARM_UP_MESSAGES)

    def carry(self) -> float:
        """Have messages carried once."""
        used = cpu_s(self._pid)
        seconds = self._couple.carry(ROUND_MESSAGES)
        time.sleep(SETTLE_S)  # the hub frees the last rows a moment after both ends have what they wait for
        self.rates.append(ROUND_MESSAGES / seconds)
        self.costs.append((cpu_s(self._pid) - used) / ROUND_MESSAGES * 1e6)
        return seconds


ROUND_MESSAGES: Final = 8_000
WARM_UP_MESSAGES: Final = 2_000
SETTLE_S: Final = 0.05
"""For the last rows, which are freed after the clock has stopped."""
RATE_MIN: Final = 15_000
COST_US_MAX: Final = 66
