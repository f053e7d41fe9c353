"""Say when a wall clock is not to be trusted, by what others' clocks show. docs/protocol.md 9.3.

Two witnesses, or the only one there is, must differ by more than the skew; so one hub that lies about the time stops
nobody who has another. With a doubtful clock nothing is signed, and nothing counts as expired.
"""

from __future__ import annotations

from collections.abc import Collection

from i247_protocol.limits import SKEW_MS
from i247_protocol.names import Now, WallMs


def is_doubtful(offsets_ms: Collection[int]) -> bool:
    """Return whether a clock is, of which others' clocks differ by `offsets_ms`."""
    far = sum(abs(offset) > SKEW_MS for offset in offsets_ms)
    return far > 1 or (far == 1 and len(offsets_ms) == 1)


def is_behind(now: Now, signed: WallMs | None) -> bool:
    """Return whether a clock shows an instant before one at which the authority has signed something."""
    return signed is not None and now.wall < signed - SKEW_MS
