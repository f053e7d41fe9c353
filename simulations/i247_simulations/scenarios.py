"""Describe a world to be run: who is there, at which hubs, how much they say, and for how long.

A scenario and a seed fix everything else. Its hash names it in results and failures, so that a failure is not replayed
on another world by mistake. docs/simulation.md 4.
"""

from __future__ import annotations

from difflib import get_close_matches
from hashlib import blake2b
from typing import Final

import msgspec

from i247_protocol.errors import CallerFault
from i247_simulations.countries import BUREAUS


class Traffic(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How often each kind of message comes about in the whole world, in an hour."""

    queries: int
    letters: int
    diffusions: int
    notices: int
    letter_bytes: int


class Scenario(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A world to be run."""

    name: str
    what: str
    homes: dict[str, tuple[str, ...]]
    """Members, each with its homes, the preferred first."""
    traffic: Traffic
    warm_ms: int
    chaos_ms: int
    calm_ms_max: int
    """How long after everything is healed all may take to end."""
    latency_ms: tuple[int, int]
    """Between which bounds the least latency of each link is drawn."""
    commit_us: int
    store_bytes_max: int
    sample_ms: int

    @property
    def members(self) -> tuple[str, ...]:
        """All members, by code."""
        return tuple(sorted(self.homes))

    @property
    def hubs(self) -> tuple[str, ...]:
        """All hubs, by name."""
        return tuple(sorted({hub for homes in self.homes.values() for hub in homes}))

    @property
    def hash(self) -> str:
        """Name exactly this scenario."""
        data = msgspec.msgpack.encode(self, order="deterministic")
        return blake2b(data, digest_size=8, person=b"i247/scenario").hexdigest()


def find_scenario(name: str) -> Scenario:
    """Return a scenario of ours by its name."""
    found = SCENARIOS.get(name)
    if found is None:
        near = get_close_matches(name, SCENARIOS, 1)
        hint = f"did you mean `{near[0]}`?" if near else f"there are {', '.join(SCENARIOS)}"
        raise CallerFault(f"finding the scenario {name}", hint)
    return found


def with_until(scenario: Scenario, until_ms: int | None) -> Scenario:
    """Return `scenario` with traffic and faults until an instant."""
    if until_ms is None:
        return scenario
    if until_ms <= scenario.warm_ms:
        raise CallerFault("shortening a run", f"let it last longer than its warm-up of {scenario.warm_ms} ms")
    return msgspec.structs.replace(scenario, chaos_ms=until_ms - scenario.warm_ms)


def with_members(scenario: Scenario, count: int | None) -> Scenario:
    """Return `scenario` with so many of its members, the Secretariat among them, and traffic in proportion."""
    if count is None or count == len(scenario.homes):
        return scenario
    if not 2 <= count <= len(scenario.homes):
        raise CallerFault("choosing members", f"there are 2 to {len(scenario.homes)}")
    # Every so-manyth, so that all hubs keep some.
    others = [code for homes in _by_hub(scenario).values() for code in homes if code != "XP"]
    step = len(others) / (count - 1)
    chosen = {others[int(n * step)] for n in range(count - 1)} | {"XP"}
    homes = {code: scenario.homes[code] for code in sorted(chosen)}
    share = len(homes) / len(scenario.homes)
    traffic = msgspec.structs.replace(
        scenario.traffic,
        queries=max(1, int(scenario.traffic.queries * share)),
        letters=max(1, int(scenario.traffic.letters * share)),
    )
    return msgspec.structs.replace(scenario, homes=homes, traffic=traffic)


def _by_hub(scenario: Scenario) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for code in scenario.members:
        found.setdefault(scenario.homes[code][0], []).append(code)
    return found


def _world_homes() -> dict[str, tuple[str, ...]]:
    """Return each member's bureau, then a second one: Lyon, or for Lyon's own members another, dealt in turn."""
    others = [hub for hub in BUREAUS if hub != "lyon"]
    homes: dict[str, tuple[str, ...]] = {}
    for hub, codes in BUREAUS.items():
        for n, code in enumerate(codes.split()):
            homes[code] = (hub, others[n % len(others)] if hub == "lyon" else "lyon")
    return dict(sorted(homes.items()))


TINY: Final = Scenario(
    name="tiny-4",
    what="Four members at two hubs, one of them at both: small enough to break in thousands of ways.",
    homes={"BR": ("lyon",), "FR": ("lyon", "singapore"), "SG": ("singapore",), "XP": ("lyon",)},
    traffic=Traffic(queries=3_600, letters=900, diffusions=300, notices=120, letter_bytes=400),
    warm_ms=8_000,
    chaos_ms=180_000,
    calm_ms_max=45 * 60_000,
    latency_ms=(2, 120),
    commit_us=2_000,
    store_bytes_max=2**34,
    sample_ms=5_000,
)
WORLD: Final = Scenario(
    name="world-196",
    what="All 196 members and the Secretariat, at home with the eight regional bureaus, each with a second home.",
    homes=_world_homes(),
    traffic=Traffic(queries=36_000, letters=7_200, diffusions=120, notices=30, letter_bytes=800),
    warm_ms=20_000,
    chaos_ms=60_000,
    calm_ms_max=45 * 60_000,
    latency_ms=(5, 150),
    commit_us=4_000,
    store_bytes_max=2**36,
    sample_ms=5_000,
)
SCENARIOS: Final = {one.name: one for one in (TINY, WORLD)}
