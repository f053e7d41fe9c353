"""Say what may stand in a scenario's file, and lay one file over another that it extends.

Nothing is required here and nothing has a default: a file that extends another says only what is different. What a
setting means, and which must be there in the end, is for `composing`. docs/simulation.md 4.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    pass


class RunTable(_Table, frozen=True):
    """How long the parts of a run last."""

    warm_up: str | None = None
    until: str | None = None
    calm_at_most: str | None = None
    sample_every: str | None = None
    acquainted: bool | None = None


class MachinesTable(_Table, frozen=True):
    """What the machines are like."""

    commit: str | None = None
    store: str | None = None
    crypto: Literal["real", "stub"] | None = None


class PlaceTable(_Table, frozen=True):
    """Where somebody is."""

    latitude: float
    longitude: float
    utc_offset_hours: float


class TopologyTable(_Table, frozen=True):
    """Who is there, and at home where."""

    kind: Literal["listed", "bureaus", "nearest", "ring", "globe"] | None = None
    members: int | None = None
    hubs: int | None = None
    homes_each: int | None = None
    homes: dict[str, list[str]] | None = None
    nearest_of: list[str] | None = None
    places: dict[str, PlaceTable] | None = None


class LatencyTable(_Table, frozen=True):
    """How far apart they are."""

    kind: Literal["uniform", "constant", "matrix", "distance"] | None = None
    least: str | None = None
    most: str | None = None
    rtt: str | None = None
    file: str | None = None
    otherwise: str | None = None
    ms_per_km: float | None = None
    stretch: float | None = None
    spread: float | None = None
    jitter: float | None = None


class SizeTable(_Table, frozen=True):
    """How long texts are."""

    kind: Literal["fixed", "exponential", "heavy-tailed"] | None = None
    bytes: str | None = None
    mean: str | None = None
    median: str | None = None
    spread: float | None = None


class StreamTable(_Table, frozen=True):
    """How often one kind of message comes about."""

    rate: str | None = None
    rhythm: Literal["steady", "day and night"] | None = None
    swing: float | None = None
    peak_hour: float | None = None
    size: SizeTable | None = None


class TrafficTable(_Table, frozen=True):
    """How much is said."""

    scale: str | float | None = None
    hit_rate: float | None = None
    shares: dict[str, float] | None = None
    asked: dict[str, float] | None = None
    replay: str | None = None
    query: StreamTable | None = None
    letter: StreamTable | None = None
    diffusion: StreamTable | None = None
    notice: StreamTable | None = None


class BurstTable(_Table, frozen=True):
    """What is said at an instant."""

    at: str
    what: Literal["query", "letter", "diffusion", "notice"]
    count: int | None = None
    within: str | None = None
    sender: str | None = None
    to: list[str] | None = None
    size: SizeTable | None = None


class Settings(_Table, frozen=True):
    """A scenario's file."""

    what: str | None = None
    extends: str | None = None
    run: RunTable | None = None
    topology: TopologyTable | None = None
    machines: MachinesTable | None = None
    latency: LatencyTable | None = None
    traffic: TrafficTable | None = None
    burst: list[BurstTable] | None = None
    fault: list[dict[str, object]] | None = None


def laid_over(upper: Settings, lower: Settings) -> Settings:
    """Return what `upper` says, and `lower` where it says nothing.

    Tables are laid over one another key by key, but for one whose `kind` is another; lists are taken whole.
    """
    both = _merged(msgspec.to_builtins(upper), msgspec.to_builtins(lower))
    return msgspec.convert(both, Settings)


def _merged(upper: Mapping[str, object], lower: Mapping[str, object]) -> dict[str, object]:
    if "kind" in upper and upper["kind"] != lower.get("kind"):
        return dict(upper)
    merged = dict(lower)
    for key, value in upper.items():
        below = lower.get(key)
        merged[key] = _merged(value, below) if isinstance(value, dict) and isinstance(below, dict) else value
    return merged
