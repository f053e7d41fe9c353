"""Read the two clocks: one never steps and serves timers, the other is civil time and serves expiry."""

from __future__ import annotations

import time

from i247_protocol.names import MonoMs, Now, WallMs


def read_clocks() -> Now:
    """Return both readings, in milliseconds."""
    return Now(MonoMs(time.monotonic_ns() // NS_IN_MS), WallMs(time.time_ns() // NS_IN_MS))


NS_IN_MS = 1_000_000
