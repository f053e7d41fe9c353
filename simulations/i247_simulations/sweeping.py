"""Run one scenario with many settings, each with the same seeds, and say how sure a difference is. Pure.

Every cell of a sweep gets the same seeds, so cells share their randomness, and the difference between two cells is
taken seed by seed. Intervals are Student's, at 95 %. docs/simulation.md 5.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from itertools import product
from math import sqrt
from statistics import NormalDist, fmean, stdev
from typing import Any, Final, NamedTuple

import msgspec

from i247_protocol.errors import CallerFault
from i247_simulations.faults import Level
from i247_simulations.metrics import METRICS, values_of
from i247_simulations.plants import find_plant
from i247_simulations.quantities import duration_ms, scale
from i247_simulations.resizing import with_hubs, with_members
from i247_simulations.results import SCHEMA, Failure, Result, SeedEnd
from i247_simulations.running import failure_of
from i247_simulations.scenario import Scenario, with_load, with_until


class Case(NamedTuple):
    """What one cell of a sweep runs, with each of its seeds."""

    scenario: Scenario
    level: Level
    plant: str


class Cell(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one choice of settings gave: for each metric one value a seed, in the order of `ends`."""

    settings: dict[str, str]
    scenario_hash: str
    ends: tuple[SeedEnd, ...]
    values: dict[str, tuple[float | None, ...]]


class Sweep(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What all cells gave, in the order of their settings; the first is what others are compared with."""

    schema: int
    version: str
    scenario: str
    level: str
    plant: str
    seeds: tuple[int, ...]
    cells: tuple[Cell, ...]
    failures: tuple[Failure, ...]


class Estimate(NamedTuple):
    """A mean, and how far to both sides the true one lies in 95 of 100 such studies; None for a single value."""

    mean: float
    margin: float | None
    of: int


def choices(words: str) -> tuple[str, list[str]]:
    """Read `key=a,b,c`; a comma within brackets parts nothing."""
    key, is_set, values = words.partition("=")
    found = [value.strip() for value in re.split(r",(?![^\[]*\])", values) if value.strip()]
    if not is_set or not key.strip() or not found:
        raise CallerFault(f"reading --set {words}", "say KEY=A,B,C such as load=0.5,1,2")
    return key.strip(), found


def grid(base: Case, sets: Sequence[tuple[str, Sequence[str]]]) -> list[tuple[dict[str, str], Case]]:
    """Return each combination of settings with what it runs."""
    cells = []
    for picked in product(*(values for _, values in sets)):
        settings = dict(zip((key for key, _ in sets), picked, strict=True))
        cells.append((settings, with_settings(base, settings)))
    return cells


def with_settings(case: Case, settings: Mapping[str, str]) -> Case:
    """Return a case with some of its settings changed."""
    for key, value in settings.items():
        case = _with(case, key, value)
    return case


def swept(
    scenario: str, base: Case, cells: Sequence[dict[str, str]], results: Sequence[Sequence[Result]], version: str
) -> Sweep:
    """Return what the results of each cell tell."""
    seeds = tuple(sorted({result.seed for some in results for result in some}))
    failures = (failure_of(result) for some in results for result in some)
    made = tuple(_cell(settings, some) for settings, some in zip(cells, results, strict=True))
    found = tuple(failure for failure in failures if failure is not None)
    return Sweep(SCHEMA, version, scenario, base.level.value, base.plant, seeds, made, found)


def estimate(values: Sequence[float | None]) -> Estimate | None:
    """Return the mean of some values with its interval; None when there is no value."""
    some = [value for value in values if value is not None]
    if not some:
        return None
    margin = _student(len(some) - 1) * stdev(some) / sqrt(len(some)) if len(some) > 1 else None
    return Estimate(fmean(some), margin, len(some))


def change(first: Cell, other: Cell, key: str) -> Estimate | None:
    """Return the difference of two cells, seed by seed, with its interval."""
    before = dict(zip((end.seed for end in first.ends), first.values[key], strict=True))
    after = dict(zip((end.seed for end in other.ends), other.values[key], strict=True))
    pairs = ((before.get(seed), value) for seed, value in after.items())
    return estimate([value - was for was, value in pairs if was is not None and value is not None])


def _cell(settings: dict[str, str], results: Sequence[Result]) -> Cell:
    values = [values_of(result) for result in results]
    return Cell(
        settings,
        results[0].scenario_hash if results else "",
        tuple(SeedEnd(one.seed, one.verdict, one.trace, one.accepted) for one in results),
        {metric.key: tuple(one[metric.key] for one in values) for metric in METRICS},
    )


def _with(case: Case, key: str, words: str) -> Case:
    doing = f"setting {key} to {words}"
    match key:
        case "faults":
            if words not in {level.value for level in Level}:
                raise CallerFault(doing, f"there are {', '.join(level.value for level in Level)}")
            return case._replace(level=Level(words))
        case "plant":
            find_plant(words)
            return case._replace(plant=words)
        case "members" | "hubs":
            if not words.isdecimal():
                raise CallerFault(doing, f"say how many {key}")
            resized = with_members if key == "members" else with_hubs
            return case._replace(scenario=resized(case.scenario, int(words)))
        case "until" | "load":
            try:
                if key == "load":
                    return case._replace(scenario=with_load(case.scenario, scale(words)))
                return case._replace(scenario=with_until(case.scenario, duration_ms(words)))
            except ValueError as fault:
                raise CallerFault(doing, str(fault)) from None
        case _:
            return case._replace(scenario=_changed(case.scenario, key, words, doing))


def _changed(scenario: Scenario, key: str, words: str, doing: str) -> Scenario:
    """Set a field of a scenario by its dotted path."""
    data: dict[str, Any] = msgspec.to_builtins(scenario)
    *path, last = key.split(".")
    inner: Any = data
    for step in path:
        inner = inner.get(step) if isinstance(inner, dict) else None
    if not isinstance(inner, dict) or last not in inner:
        known = [*KEYS, *_paths(data)]
        near = get_close_matches(key, known, 1)
        raise CallerFault(doing, f"did you mean `{near[0]}`?" if near else f"there are {', '.join(known)}")
    inner[last] = _value(words)
    try:
        return msgspec.convert(data, Scenario)
    except msgspec.ValidationError:
        raise CallerFault(doing, "it is no value of that kind") from None


def _paths(data: Mapping[str, Any]) -> list[str]:
    found = []
    for key, value in data.items():
        if key in {"name", "what", "homes", "places", "faults"}:
            continue
        found += [f"{key}.{inner}" for inner in _paths(value)] if isinstance(value, dict) else [key]
    return found


def _value(words: str) -> object:
    try:
        return msgspec.json.decode(words)
    except msgspec.DecodeError:
        return words


def _student(freedom: int) -> float:
    """Return the quantile of Student's t for 95 % to both sides; beyond the table by Cornish and Fisher."""
    if freedom <= len(STUDENT):
        return STUDENT[freedom - 1]
    z = NormalDist().inv_cdf(0.975)
    return z + (z**3 + z) / (4 * freedom) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * freedom**2)


KEYS: Final = ("faults", "hubs", "load", "members", "plant", "until")
STUDENT: Final = (
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228,
    2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086,
    2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
)  # fmt: skip
