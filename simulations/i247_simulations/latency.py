"""Say how long the way from one program to another is at least.

Each link has its own least latency for a whole run; what comes on top of it frame by frame (`jitter`, and queues) is
for `network`. Where luck decides, it is of a stream of the link's own, so another member moves no link.
docs/simulation.md 4.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import asin, cos, exp, radians, sin, sqrt
from random import Random
from typing import Final

import msgspec

from i247_simulations.streams import luck


class Place(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where a program stands, in degrees, and its local time."""

    latitude: float
    longitude: float
    utc_offset_min: int


class _Latency(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind"):
    jitter: float
    """How much of the least latency may come on top, by luck: seldom all of it, a quarter of it on average."""


class Uniform(_Latency, frozen=True, tag="uniform"):
    """Anything between two bounds, drawn for each direction of each link."""

    low_ms: float
    high_ms: float


class Constant(_Latency, frozen=True, tag="constant"):
    """The same for all."""

    rtt_ms: float


class Matrix(_Latency, frozen=True, tag="matrix"):
    """As measured; a direction that is not there is as long as the other one, and any other `otherwise_ms`."""

    one_way_us: dict[str, dict[str, int]]
    otherwise_ms: float | None
    """One way."""


class Distance(_Latency, frozen=True, tag="distance"):
    """RTT = `base_rtt_ms` + `ms_per_km` x distance x s, where s is lognormal and of one link.

    `stretch` is the median of s, `spread` the standard deviation of its logarithm; s is never below 1, the speed of
    light in a straight fibre.
    """

    base_rtt_ms: float
    ms_per_km: float
    stretch: float
    spread: float


Latency = Uniform | Constant | Matrix | Distance


class Ways:
    """The least latency of each way in one run."""

    def __init__(self, seed: int, latency: Latency, places: Mapping[str, Place]) -> None:
        self.jitter = latency.jitter
        self._seed = seed
        self._latency = latency
        self._places = places

    def least_us(self, sender: str, receiver: str, chance: Random) -> int:
        """Return how long a frame takes at least; `chance` is the luck of this direction."""
        match self._latency:
            case Uniform(low_ms=low, high_ms=high):
                return int(1_000 * (low + (high - low) * chance.random()))
            case Constant(rtt_ms=rtt):
                return int(500 * rtt)
            case Matrix(one_way_us=measured, otherwise_ms=otherwise):
                found = measured.get(sender, {}).get(receiver) or measured.get(receiver, {}).get(sender)
                return int(1_000 * (otherwise or 0)) if found is None else found
            case Distance() as model:
                between = sorted((sender, receiver))
                stretch = max(
                    1.0,
                    model.stretch * exp(model.spread * luck(self._seed, "/".join(["distance", *between])).gauss(0, 1)),
                )
                km = distance_km(self._places[sender], self._places[receiver])
                return int(500 * (model.base_rtt_ms + model.ms_per_km * km * stretch))


def distance_km(here: Place, there: Place) -> float:
    """Return the length of the great circle between two places."""
    lat, lon, lat_there, lon_there = map(radians, (here.latitude, here.longitude, there.latitude, there.longitude))
    half = sin((lat_there - lat) / 2) ** 2 + cos(lat) * cos(lat_there) * sin((lon_there - lon) / 2) ** 2
    return 2 * EARTH_KM * asin(min(1.0, sqrt(half)))


EARTH_KM: Final = 6_371.0
