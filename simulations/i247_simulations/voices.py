"""Say who speaks to whom, whether it is their hour, and how much they have to say. docs/simulation.md 4."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from itertools import accumulate
from math import cos, pi
from random import Random
from typing import Final

from i247_protocol.names import DAY_MS, SECRETARIAT, MemberCode
from i247_simulations.clocks import START
from i247_simulations.scenario import Scenario
from i247_simulations.traffic import TEXT_BYTES_MAX, Exponential, Fixed, HeavyTailed, Kind, Size, Swing


class Voices:
    """The members, and how much of all is said by and put to each."""

    def __init__(self, scenario: Scenario) -> None:
        self._members = [MemberCode(code) for code in scenario.members]
        self._places = scenario.places
        self._said = _shares(self._members, scenario.traffic.shares)
        self._asked = _shares(self._members, scenario.traffic.asked)

    def pair(self, kind: Kind, chance: Random) -> tuple[MemberCode, MemberCode]:
        """Return who says something of a kind, and to which other one if it is for one."""
        if kind is Kind.NOTICE:
            self._alike(chance)
            return SECRETARIAT, SECRETARIAT
        if not self._said and not self._asked:
            author, other = self._alike(chance)
            return author, other
        author = self._of(self._said, chance)
        other = self._of(self._asked if kind is Kind.QUERY else (), chance)
        while other == author:
            other = self._of((), chance)
        return author, other

    def is_up(self, member: MemberCode, swing: Swing, at_us: int, chance: Random) -> bool:
        """Whether what a member might say at its best hour is said at this one."""
        local_ms = START + at_us // 1_000 + self._places[member].utc_offset_min * 60_000
        hour = local_ms % DAY_MS / HOUR_MS
        strength = 1 + swing.share * cos(2 * pi * (hour - swing.peak_h) / 24)
        return chance.random() * (1 + swing.share) < strength

    def _alike(self, chance: Random) -> Sequence[MemberCode]:
        return chance.sample(self._members, 2)

    def _of(self, shares: Sequence[float], chance: Random) -> MemberCode:
        if not shares:
            return chance.choice(self._members)
        return self._members[min(bisect_right(shares, chance.random()), len(self._members) - 1)]


def bytes_of(size: Size | None, chance: Random) -> int:
    """Return how long one text is."""
    match size:
        case None:
            return 0
        case Fixed():
            return size.bytes
        case Exponential(mean=mean):
            return min(TEXT_BYTES_MAX, int(chance.expovariate(1 / mean)) + 1)
        case HeavyTailed():
            return min(TEXT_BYTES_MAX, int(size.median * chance.lognormvariate(0, size.spread)) + 1)


def _shares(members: Sequence[str], named: Mapping[str, float]) -> tuple[float, ...]:
    """Return up to which draw each member is meant; nothing when all are alike."""
    if not named:
        return ()
    others = len(members) - len(named)
    rest = (1 - sum(named.values())) / others if others else 0.0
    return tuple(accumulate(named.get(code, rest) for code in members))


HOUR_MS: Final = 3_600_000
