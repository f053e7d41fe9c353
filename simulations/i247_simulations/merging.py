"""Gather what many seeds have told, and put shards of them together again. Pure. docs/simulation.md 5.

Shards merged tell the same, to the byte, as one swarm of all their seeds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from i247_protocol.errors import CallerFault
from i247_simulations.faults import Level
from i247_simulations.results import SCHEMA, Result, SeedEnd, Swarm
from i247_simulations.running import SEEN, SOMETIMES, failure_of
from i247_simulations.scenario import Scenario


def gathered(
    results: Iterable[Result], asked: Sequence[int], scenario: Scenario, level: Level, plant: str, version: str
) -> Swarm:
    """Return what a swarm tells of its results."""
    by_seed = {result.seed: result for result in results}
    ordered = [by_seed[seed] for seed in sorted(by_seed)]
    failures = (failure_of(result) for result in ordered)
    return Swarm(
        schema=SCHEMA,
        version=version,
        scenario=scenario.name,
        scenario_hash=scenario.hash,
        level=level.value,
        plant=plant,
        asked=tuple(sorted(asked)),
        ends=tuple(SeedEnd(one.seed, one.verdict, one.trace, one.accepted) for one in ordered),
        marks=_summed(one.marks for one in ordered),
        failures=tuple(failure for failure in failures if failure is not None),
    )


def merged(swarms: Sequence[Swarm]) -> Swarm:
    """Return shards as one swarm; raise CallerFault when they are not of one kind or share a seed."""
    first = swarms[0]
    for name in ("version", "scenario", "scenario_hash", "level", "plant"):
        if any(getattr(one, name) != getattr(first, name) for one in swarms):
            raise CallerFault("merging swarms", f"they differ in {name.replace('_', ' ')}; merge shards of one swarm")
    asked = Counter(seed for one in swarms for seed in one.asked)
    twice = [seed for seed, count in sorted(asked.items()) if count > 1]
    if twice:
        raise CallerFault(f"merging swarms that share seed {twice[0]}", "give each shard once")
    return Swarm(
        schema=SCHEMA,
        version=first.version,
        scenario=first.scenario,
        scenario_hash=first.scenario_hash,
        level=first.level,
        plant=first.plant,
        asked=tuple(sorted(asked)),
        ends=tuple(sorted((end for one in swarms for end in one.ends), key=lambda end: end.seed)),
        marks=_summed(one.marks for one in swarms),
        failures=tuple(sorted((failure for one in swarms for failure in one.failures), key=lambda one: one.seed)),
    )


def never(swarm: Swarm) -> list[str]:
    """Return the situations that ought to come about somewhere and never did."""
    return sorted(word for word in (*SOMETIMES.values(), *SEEN) if not swarm.marks.get(word))


def _summed(marks: Iterable[dict[str, int]]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for some in marks:
        total.update(some)
    return dict(sorted(total.items()))
