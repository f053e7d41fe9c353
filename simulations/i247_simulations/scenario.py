"""Describe a world to be run: who is there, at which hubs, how much they say, what goes wrong, and for how long.

A scenario and a seed fix everything else. Its hash names all of its content in results and failures, so that a failure
is not replayed on another world by mistake. Where scenarios come from is for `scenarios`. docs/simulation.md 4.
"""

from __future__ import annotations

from hashlib import blake2b

import msgspec

from i247_protocol.errors import CallerFault
from i247_simulations.crypto import Crypto
from i247_simulations.faults import Fault, end_of
from i247_simulations.latency import Latency, Place
from i247_simulations.quantities import spelled_duration
from i247_simulations.traffic import Traffic


class Scenario(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
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
    latency: Latency
    commit_us: int
    store_bytes_max: int
    sample_ms: int
    places: dict[str, Place]
    """Of members and hubs, as far as they are known."""
    faults: tuple[Fault, ...]
    """What goes wrong in any case, in order of time; a level draws more."""
    crypto: Crypto = Crypto.REAL
    """What seals and signs messages."""
    is_acquainted: bool = False
    """Whether all begin with everybody's keycard, as on any day but the first; else each has to be told."""

    @property
    def members(self) -> tuple[str, ...]:
        """All members, by code."""
        return tuple(sorted(self.homes))

    @property
    def hubs(self) -> tuple[str, ...]:
        """All hubs, by name."""
        return tuple(sorted({hub for homes in self.homes.values() for hub in homes}))

    @property
    def until_ms(self) -> int:
        """The instant at which people fall silent and faults are over."""
        return self.warm_ms + self.chaos_ms

    @property
    def hash(self) -> str:
        """Name exactly this scenario."""
        data = msgspec.msgpack.encode(self, order="deterministic")
        return blake2b(data, digest_size=8, person=b"i247/scenario").hexdigest()


def with_until(scenario: Scenario, until_ms: int | None) -> Scenario:
    """Return `scenario` with traffic and faults until an instant."""
    if until_ms is None:
        return scenario
    if until_ms <= scenario.warm_ms:
        raise CallerFault(
            "choosing how long to run", f"let it last longer than its warm-up of {spelled_duration(scenario.warm_ms)}"
        )
    last = max(map(end_of, scenario.faults), default=0)
    if until_ms < last:
        raise CallerFault("choosing how long to run", f"its faults last until {spelled_duration(last)}")
    return msgspec.structs.replace(scenario, chaos_ms=until_ms - scenario.warm_ms)


def with_crypto(scenario: Scenario, crypto: Crypto | None) -> Scenario:
    """Return `scenario` under another cipher."""
    return scenario if crypto is None else msgspec.structs.replace(scenario, crypto=crypto)


def with_load(scenario: Scenario, factor: float | None) -> Scenario:
    """Return `scenario` with all streams of traffic so many times as strong."""
    if factor is None:
        return scenario
    traffic = msgspec.structs.replace(scenario.traffic, scale=scenario.traffic.scale * factor)
    return msgspec.structs.replace(scenario, traffic=traffic)
