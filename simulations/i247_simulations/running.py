"""Run a scenario once, and say how it ended. Pure: the same arguments give the same result. docs/simulation.md 4."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from i247_protocol.errors import CallerFault
from i247_simulations.faults import Fault, Level, draw
from i247_simulations.plants import find_plant
from i247_simulations.results import FAILURE_SCHEMA, SCHEMA, Failure, Flow, Life, Result, Sample, Verdict
from i247_simulations.scenario import Scenario
from i247_simulations.streams import luck
from i247_simulations.world import CHECKERS, World


def plan_of(scenario: Scenario, seed: int, level: Level, plant: str = "") -> tuple[Fault, ...]:
    """Return what goes wrong: in the scenario, by level and seed, and for a planted bug to show."""
    drawn = draw(
        level,
        luck(seed, f"faults/{level.value}"),
        hubs=scenario.hubs,
        homes=scenario.homes,
        begin_ms=scenario.warm_ms,
        end_ms=scenario.warm_ms + scenario.chaos_ms,
    )
    planted = find_plant(plant)
    wanted = () if planted is None else planted.faults(scenario)
    return tuple(sorted((*scenario.faults, *drawn, *wanted), key=lambda fault: fault.at_ms))


def run(
    scenario: Scenario,
    seed: int,
    level: Level,
    plant: str = "",
    *,
    plan: Sequence[Fault] | None = None,
    version: str = "",
    tell_lives: bool = True,
    command: str = "",
    sampled: Callable[[Sample], None] | None = None,
) -> Result:
    """Run once; with `tell_lives` a second time, to follow the message concerned.

    `sampled` is told how the first of these runs goes on; it can change nothing.
    """
    faults = plan_of(scenario, seed, level, plant) if plan is None else tuple(plan)
    world = World(scenario, seed, faults, find_plant(plant))
    world.measures.sampled = sampled
    world.run()
    breaches = world.sight.breaches
    followed = next(
        (bytes.fromhex(one.message) for one in breaches if one.message), b"" if breaches else world.measures.slowest[1]
    )
    lives = (_follow(scenario, seed, faults, plant, followed),) if tell_lives and followed else ()
    return _result(world, level, plant, faults, lives, version, command)


def failure_of(result: Result) -> Failure | None:
    """Return what is needed to see a result's first breach again; None when there is none."""
    if not result.breaches:
        return None
    return Failure(
        schema=FAILURE_SCHEMA,
        version=result.version,
        scenario=result.scenario,
        scenario_hash=result.scenario_hash,
        seed=result.seed,
        level=result.level,
        plant=result.plant,
        members=len(result.members),
        until_ms=result.until_ms,
        faults=result.faults,
        breach=result.breaches[0],
        trace=result.trace,
        whole=result.whole,
    )


def scenario_of(failure: Failure) -> Scenario:
    """Return the scenario of a failure; raise CallerFault when this version reads another one in it."""
    if failure.whole is None or failure.whole.hash != failure.scenario_hash:
        raise CallerFault("replaying a failure", f"scenarios have changed since version {failure.version}; use that")
    return failure.whole


def replay(
    failure: Failure, *, plan: Sequence[Fault] | None = None, tell_lives: bool = False, command: str = ""
) -> Result:
    """Run a failure again, or with another plan."""
    return run(
        scenario_of(failure),
        failure.seed,
        Level(failure.level),
        failure.plant,
        plan=failure.faults if plan is None else plan,
        version=failure.version,
        tell_lives=tell_lives,
        command=command,
    )


def _follow(scenario: Scenario, seed: int, faults: Sequence[Fault], plant: str, message: bytes) -> Life:
    world = World(scenario, seed, faults, find_plant(plant), message)
    world.run()
    return world.follower.life


def _result(
    world: World,
    level: Level,
    plant: str,
    faults: tuple[Fault, ...],
    lives: tuple[Life, ...],
    version: str,
    command: str,
) -> Result:
    scenario, measures = world.scenario, world.measures
    counters = {name: dict(sorted(totals.items())) for name, totals in world.counters.items()}
    verdict = Verdict.BROKEN if world.is_broken else Verdict.HOLDS if measures.accepted else Verdict.NO_VERDICT
    return Result(
        schema=SCHEMA,
        version=version,
        scenario=scenario.name,
        scenario_hash=scenario.hash,
        seed=world.seed,
        level=level.value,
        plant=plant,
        verdict=verdict,
        trace=world.trace,
        until_ms=scenario.warm_ms + scenario.chaos_ms,
        members=scenario.members,
        hubs=scenario.hubs,
        homes=scenario.homes,
        phases=tuple(world.phases),
        faults=faults,
        breaches=tuple(world.sight.breaches),
        lives=lives,
        latencies=measures.latencies,
        priorities=measures.priorities,
        answers=measures.answers,
        questions=measures.questions,
        samples=tuple(measures.samples),
        flows=tuple(Flow(*way, *flow) for way, flow in sorted(world.network.flows.items())),
        counters=counters,
        marks=_marks(world, counters),
        accepted=measures.accepted,
        ended=measures.ended,
        events=world.turns,
        whole=scenario,
        owed=measures.owed,
        watched=_watched(),
        command=command,
    )


def _marks(world: World, counters: dict[str, dict[str, int]]) -> dict[str, int]:
    """Count what came about, under words of our own; a situation that did not come about is there with 0."""
    marks = dict.fromkeys((*SOMETIMES.values(), *SEEN), 0)
    for totals in counters.values():
        for name, count in totals.items():
            if name in SOMETIMES:
                marks[SOMETIMES[name]] += count
    return dict(sorted({**marks, **world.marks}.items()))


def _watched() -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    for one in CHECKERS:
        found.setdefault(one.promise, []).append(one.__name__)
    return {promise: tuple(sorted(names)) for promise, names in sorted(found.items())}


SOMETIMES: Final = {
    "refused.duplicate": "a duplicate was refused",
    "refused.expired": "something expired on its way",
    "refused.bad-signature": "a signature was wrong",
    "refused.cannot-open": "an envelope could not be opened",
    "refused.dead-key": "a key was dead",
    "refused.doubtful-clock": "a node did not trust its clock",
    "refused.header-mismatch": "a header was not its statement's",
    "refused.unknown-session": "a frame came for a session that is over",
    "refused.malformed": "garbage was refused",
    "refused.suspended": "a suspended member was refused",
    "refused.stranger": "a stranger was refused",
    "delivery.expired": "a message expired and its sender was told",
    "delivery.delivered": "a message was acknowledged",
    "delivery.refused": "a message was refused",
    "missing.asked": "a missing number was asked for",
    "missing.expired": "a missing number had expired",
    "sent-again": "a message was sent again",
    "asked": "a hub was asked after a message",
    "held-again": "a hub was given what it holds",
    "link.silent": "a connection fell silent",
    "link.lost": "a connection was lost",
    "link.replaced": "a newer connection replaced one",
    "busy-heard": "somebody was busy",
    "withheld": "mail was withheld",
    "parked": "mail waited for a newer roster",
    "waiting.no-keycard": "mail waited for a keycard",
    "directory.newer": "a newer directory was believed",
    "directory.too-few-signatures": "a forged directory was refused",
    "card.bad-signature": "a forged keycard was refused",
    "card.foreign-own": "a node met a keycard of its own that it did not know",
    "alarm.card-version-exhausted": "a thief's keycard could have no successor",
    "alarm.cloned-node": "a hub saw one member twice within a minute",
}
SEEN: Final = (
    "a commit failed",
    "a crash lost a turn",
    "a member spoke in another's name",
    "a thief published a keycard",
    "all credit was used",
    "the power went during a commit",
)
"""Marks that the world itself leaves."""
