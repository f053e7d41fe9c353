"""Write freely from bureau to bureau, in threads. docs/protocol.md 7.4."""

from __future__ import annotations

from typing import Final

import msgspec

from i247_protocol.limits import TEXT_BYTES_MAX


class Correspondence(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A letter; its thread is the statement's conversation."""

    subject: str
    text: str


def correspondence_is_sound(letter: Correspondence) -> bool:
    """Whether every length is within its bound."""
    return 0 < len(letter.subject) <= SUBJECT_MAX and len(letter.text.encode()) <= TEXT_BYTES_MAX


SUBJECT_MAX: Final = 200
