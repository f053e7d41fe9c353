"""Bound the lists, texts, keys and lifetimes of directory documents. docs/protocol.md 8.1 and 11."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from i247_protocol.errors import PeerFault
from i247_protocol.limits import EPOCH_KEEP_MS, MEMBERS_MAX
from i247_protocol.names import DAY_MS
from i247_protocol.reasons import Reason


def require(condition: bool) -> None:  # noqa: FBT001  reads as the rule that it states
    """Raise PeerFault unless a rule about the shape of a document holds."""
    if not condition:
        raise PeerFault(Reason.MALFORMED)


def require_lifetime(iat: int, exp: int, lifetime_ms_max: int) -> None:
    """Raise PeerFault unless a document ends after it begins, and not later than its kind may."""
    require(0 <= iat < exp)
    if exp - iat > lifetime_ms_max:
        raise PeerFault(Reason.LIFETIME_TOO_LONG)


def require_bytes32(*values: bytes | None) -> None:
    """Raise PeerFault unless each value that is present has the 32 bytes of a key or a hash."""
    require(all(value is None or len(value) == BYTES32 for value in values))


def require_increasing(values: Iterable[str]) -> None:
    """Raise PeerFault unless `values` are sorted and none is there twice."""
    before: str | None = None
    for value in values:
        require(before is None or before < value)
        before = value


def require_names(names: Mapping[str, str]) -> None:
    """Raise PeerFault unless `names` has a printable name for at least one language code, and few of them."""
    require(1 <= len(names) <= LANGUAGES_MAX)
    for language, text in names.items():
        require(language.isascii() and language.islower() and language.isalpha() and 2 <= len(language) <= 3)  # noqa: PLR2004
        require_text(text)


def require_text(text: str) -> None:
    """Raise PeerFault unless `text` is printable, not empty and short."""
    require(0 < len(text) <= TEXT_BYTES_MAX and text.isprintable() and len(text.encode()) <= TEXT_BYTES_MAX)


BYTES32: Final = 32
TEXT_BYTES_MAX: Final = 256
LANGUAGES_MAX: Final = 8
ENDPOINTS_MAX: Final = 8
RETIRED_KEYS_MAX: Final = 32
CHARTER_KEYS_MAX: Final = 64
BALLOTS_MAX: Final = MEMBERS_MAX
EVIDENCE_MAX: Final = MEMBERS_MAX  # decisions, and requests, that one roster carries out
STEPS_MAX: Final = 100_000
REQUEST_LIFETIME_MS: Final = 30 * DAY_MS
DECISION_LIFETIME_MS: Final = 180 * DAY_MS
ROTATION_GRACE_MS: Final = EPOCH_KEEP_MS  # what was signed just before a rotation may still be on its way
