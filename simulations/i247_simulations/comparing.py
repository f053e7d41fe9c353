"""Set two runs beside one another: every metric with difference and ratio, and what makes them unlike. Pure.

Two runs of one seed share every stream of randomness that both use, so what differs is due to what was changed, and
not to luck. docs/simulation.md 5.
"""

from __future__ import annotations

import msgspec

from i247_simulations.metrics import METRICS, values_of
from i247_simulations.results import SCHEMA, Result


class Side(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One of both runs."""

    command: str
    scenario_hash: str
    verdict: str
    trace: str


class Difference(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One metric of both runs; `ratio` is second to first, None where one of them is lacking or the first is 0."""

    key: str
    first: float | None
    second: float | None
    ratio: float | None


class Comparison(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Two runs beside one another."""

    schema: int
    sides: tuple[Side, Side]
    warnings: tuple[str, ...]
    differences: tuple[Difference, ...]


def compared(first: Result, second: Result) -> Comparison:
    """Return how the second run differs from the first."""
    before, after = values_of(first), values_of(second)
    differences = tuple(_difference(metric.key, before[metric.key], after[metric.key]) for metric in METRICS)
    return Comparison(SCHEMA, (_side(first), _side(second)), tuple(_warnings(first, second)), differences)


def _difference(key: str, first: float | None, second: float | None) -> Difference:
    ratio = second / first if first and second is not None else None
    return Difference(key, first, second, ratio)


def _side(result: Result) -> Side:
    return Side(result.command, result.scenario_hash, result.verdict.value, result.trace)


def _warnings(first: Result, second: Result) -> list[str]:
    """Say what keeps the two from being the same world with the same luck."""
    found = []
    if first.trace == second.trace:
        found.append("both are the same history")
    if first.seed != second.seed:
        found.append(f"the seeds differ ({first.seed} and {second.seed}): much of the difference may be luck")
    if first.scenario != second.scenario:
        found.append(f"the scenarios differ: {first.scenario} and {second.scenario}")
    elif first.scenario_hash != second.scenario_hash:
        found.append(f"the scenario {first.scenario} is not the same in both: {_unlike(first, second)}")
    if first.faults != second.faults and first.level == second.level:
        found.append("the plans of faults differ although their level is the same")
    if first.version != second.version:
        found.append(f"the versions differ: {first.version} and {second.version}")
    ended = [which for which, one in (("first", first), ("second", second)) if one.breaches]
    found += [f"the {which} run ended early, at a broken promise" for which in ended]
    return found


def _unlike(first: Result, second: Result) -> str:
    parts = [
        f"{name} {one} and {other}"
        for name, one, other in (
            ("members", len(first.members), len(second.members)),
            ("hubs", len(first.hubs), len(second.hubs)),
            ("until", f"{first.until_ms} ms", f"{second.until_ms} ms"),
        )
        if one != other
    ]
    return ", ".join(parts) or ("homes" if first.homes != second.homes else "traffic, latencies or commits")
