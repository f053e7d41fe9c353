"""Publish a notice to all members, or a diffusion to chosen ones. docs/protocol.md 7.3."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import msgspec

from i247_protocol.limits import TEXT_BYTES_MAX
from i247_protocol.names import Instant


class Colour(StrEnum):
    """What a notice is for."""

    RED = "red"
    BLUE = "blue"
    GREEN = "green"
    YELLOW = "yellow"
    BLACK = "black"
    PURPLE = "purple"
    ORANGE = "orange"
    UN_SPECIAL = "un-special"
    SILVER = "silver"


class Event(StrEnum):
    """What happens to a notice with this message."""

    PUBLISHED = "published"
    AMENDED = "amended"
    SUSPENDED = "suspended"
    WITHDRAWN = "withdrawn"
    CANCELLED = "cancelled"


class Notice(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One version of a notice; `number` is the publisher's, `version` counts up, `valid_until` is ms of wall time."""

    colour: Colour
    event: Event
    number: str
    text: str
    title: str
    valid_until: Instant
    version: int


def notice_is_sound(notice: Notice) -> bool:
    """Whether every length and number is within its bound."""
    return (
        0 < len(notice.number) <= NUMBER_MAX
        and 0 < len(notice.title) <= TITLE_MAX
        and len(notice.text.encode()) <= TEXT_BYTES_MAX
        and 1 <= notice.version <= VERSION_MAX
    )


NUMBER_MAX: Final = 40
TITLE_MAX: Final = 200
VERSION_MAX: Final = 1_000_000
