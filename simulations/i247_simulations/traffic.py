"""Describe how much people and systems say: how often, in which rhythm, how long, who to whom, and what on a date.

Data alone; `workload` says it. Rates are for the whole world and an hour. docs/simulation.md 4.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import msgspec


class Kind(StrEnum):
    """What is said."""

    QUERY = "query"
    LETTER = "letter"
    DIFFUSION = "diffusion"
    NOTICE = "notice"


class _Data(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    pass


class Fixed(_Data, frozen=True, tag_field="kind", tag="fixed"):
    """Every text has so many bytes."""

    bytes: int


class Exponential(_Data, frozen=True, tag_field="kind", tag="exponential"):
    """Many short texts, few long ones; `mean` bytes on average."""

    mean: int


class HeavyTailed(_Data, frozen=True, tag_field="kind", tag="heavy-tailed"):
    """Lognormal: half of the texts have less than `median` bytes, a few a hundred times that.

    `spread` is the standard deviation of the logarithm.
    """

    median: int
    spread: float


Size = Fixed | Exponential | HeavyTailed


class Swing(_Data, frozen=True):
    """Day and night: the rate of each member rises and falls with its own local hour, by `share` of its mean."""

    share: float
    peak_h: float
    """The local hour at which most is said."""


class Stream(_Data, frozen=True):
    """Independent arrivals of one kind."""

    per_hour: float
    size: Size | None
    """Of the text; None for as short as can be."""
    swing: Swing | None
    """None when all hours are alike."""


class Burst(_Data, frozen=True):
    """Many at once, or one to all at a given instant."""

    at_ms: int
    kind: Kind
    count: int
    within_ms: int
    """Over which time they are spread, by luck."""
    sender: str | None
    """None when anybody may be the one."""
    to: tuple[str, ...]
    """Nobody named: anybody, and all for a notice."""
    size: Size | None


class Line(_Data, frozen=True, array_like=True):
    """One message of a log that is said again; without recipients it is a notice to all."""

    at_ms: int
    sender: str
    to: tuple[str, ...]
    kind: Kind
    bytes: int


class Traffic(_Data, frozen=True):
    """All that is said in a world."""

    streams: dict[Kind, Stream]
    scale: float
    """By which the rates of streams are multiplied, and lines of a log are drawn."""
    hit_every: int
    """Every so-manyth query asks for something that is there."""
    shares: dict[str, float]
    """Which part of all is said by these members; the others share the rest alike."""
    asked: dict[str, float]
    """Which part of all queries is put to these members; likewise."""
    bursts: tuple[Burst, ...]
    replayed: tuple[Line, ...]


TEXT_BYTES_MAX: Final = 30_000
"""A text stays below the protocol's bound for one, with room for what stands around it."""
