"""Say who is at home where, by kinds of worlds: the bureaus', the nearest hub, a ring, members spread over a globe.

Each gives every member its homes, and all of them a place where it knows one. docs/simulation.md 4.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, product
from math import asin, degrees
from string import ascii_uppercase, digits
from typing import Final

from i247_protocol.names import SECRETARIAT
from i247_simulations.latency import Place, distance_km


@dataclass(frozen=True, slots=True)
class Topology:
    """Members with their homes, the preferred first; members and hubs with their places."""

    homes: dict[str, tuple[str, ...]]
    places: dict[str, Place]

    @property
    def hubs(self) -> set[str]:
        """All hubs."""
        return {hub for homes in self.homes.values() for hub in homes}

    @property
    def names(self) -> set[str]:
        """All hubs and members."""
        return self.hubs | self.homes.keys()


def of_bureaus(bureaus: Mapping[str, Sequence[str]], homes_each: int) -> dict[str, tuple[str, ...]]:
    """Return all members at their bureaus; a second home is Lyon, or for Lyon's own members another, dealt in turn."""
    others = [hub for hub in bureaus if hub != LYON]
    homes: dict[str, tuple[str, ...]] = {}
    for hub, codes in bureaus.items():
        for n, code in enumerate(codes):
            homes[code] = (hub, others[n % len(others)] if hub == LYON else LYON)[:homes_each]
    return dict(sorted(homes.items()))


def at_nearest(
    members: Sequence[str], hubs: Sequence[str], places: Mapping[str, Place], homes_each: int
) -> dict[str, tuple[str, ...]]:
    """Return each member at home with the hubs nearest to it."""
    return {
        code: tuple(sorted(hubs, key=lambda hub: (distance_km(places[code], places[hub]), hub))[:homes_each])
        for code in sorted(members)
    }


def in_ring(members: int, hubs: int, homes_each: int) -> Topology:
    """Return hubs around the equator, members dealt to them in turn, further homes with the next ones along the ring."""
    ring = _hub_names(hubs)
    places = {hub: _at(0.0, 360 * n / hubs - 180) for n, hub in enumerate(ring)}
    homes: dict[str, tuple[str, ...]] = {}
    for n, code in enumerate(made_up(members)):
        at = n % hubs
        homes[code] = tuple(ring[(at + step) % hubs] for step in range(min(homes_each, hubs)))
        # North and south of their hub, in rows of five degrees.
        row = n // hubs % 24
        places[code] = _at((row // 2 + 1) * (5.0 if row % 2 else -5.0), places[ring[at]].longitude)
    return Topology(dict(sorted(homes.items())), places)


def on_globe(members: int, hubs: int, homes_each: int) -> Topology:
    """Return members spread evenly over a globe, each at home with the nearest of hubs spread likewise."""
    names = _hub_names(hubs)
    places = dict(zip(names, _spread(hubs), strict=True))
    codes = made_up(members)
    places.update(zip(codes, _spread(members), strict=True))
    return Topology(at_nearest(codes, names, places, homes_each), places)


def made_up(count: int) -> list[str]:
    """Return so many codes, the Secretariat's first: 676 of two letters, then 520 of a letter and a digit."""
    pairs = ((ascii_uppercase, ascii_uppercase), (ascii_uppercase, digits), (digits, ascii_uppercase))
    codes = (one + other for ones, others in pairs for one, other in product(ones, others))
    return [SECRETARIAT, *islice((code for code in codes if code != SECRETARIAT), count - 1)]


def _hub_names(count: int) -> list[str]:
    return [f"hub-{n:02}" for n in range(1, count + 1)]


def _spread(count: int) -> Iterator[Place]:
    """Yield places along a spiral around the globe, each with as much of its surface as any other."""
    for n in range(count):
        yield _at(degrees(asin(1 - (2 * n + 1) / count)), n * GOLDEN_ANGLE % 360 - 180)


def _at(latitude: float, longitude: float) -> Place:
    return Place(round(latitude, 1), round(longitude, 1), 60 * round(longitude / 15))


LYON: Final = "lyon"
GOLDEN_ANGLE: Final = 137.50776405003785
