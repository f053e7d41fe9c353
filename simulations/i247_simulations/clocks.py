"""Give each program clocks of its own: a steady one and a wall clock, both from the world's one virtual time.

Virtual time is in microseconds since the run began. A drift runs from when it is set; a step moves the wall alone.
All arithmetic is on integers, so no two machines round differently. docs/simulation.md 1.
"""

from __future__ import annotations

from typing import Final

from i247_protocol.names import MonoMs, Now, WallMs


class Clock:
    """One machine's clocks."""

    __slots__ = ("_from_us", "_gained_us", "_ppm", "_wall_at_start", "step_ms")

    def __init__(self, wall_at_start: WallMs, offset_ms: int) -> None:
        self._wall_at_start = wall_at_start + offset_ms
        self._from_us = 0
        self._gained_us = AHEAD_US
        self._ppm = 0
        self.step_ms = 0

    def read(self, at_us: int) -> Now:
        """Return both readings at an instant of virtual time."""
        mono = self._own_us(at_us) // 1_000
        return Now(MonoMs(mono), WallMs(self._wall_at_start + mono - AHEAD_US // 1_000 + self.step_ms))

    def drift(self, ppm: int, at_us: int) -> None:
        """Run fast or slow from now on."""
        self._gained_us = self._own_us(at_us) - at_us
        self._from_us, self._ppm = at_us, ppm

    def instant_of(self, mono: int) -> int:
        """Return the first instant of virtual time at which the steady clock shows `mono`."""
        lacking = mono * 1_000 - self._gained_us - self._from_us
        if not self._ppm:
            return self._from_us + lacking
        return self._from_us - (-lacking * MILLION // (MILLION + self._ppm))

    def wall_error_ms(self, at_us: int) -> int:
        """Return by how much the wall clock is ahead of what a true one would show."""
        return self.read(at_us).wall - self._wall_at_start - at_us // 1_000

    def _own_us(self, at_us: int) -> int:
        if not self._ppm:
            return at_us + self._gained_us
        return at_us + self._gained_us + (at_us - self._from_us) * self._ppm // MILLION


START: Final = WallMs(1_800_000_000_000)
"""What true clocks show when a run begins: 15 January 2027, 8:00 UTC."""
MILLION: Final = 1_000_000
AHEAD_US: Final = MILLION
"""A steady clock does not begin at zero, where "never" and "now" would look alike."""
