"""Draw from a seed what goes wrong, when, where and for how long. Pure: what is done about it is in `mischief`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from random import Random


class Kind(StrEnum):
    """What may go wrong."""

    KILL = "kill"  # SIGKILL; started again afterwards, as are all that follow
    POWER = "power loss"  # SIGKILL, and the disk keeps what was synced and any part of the rest
    STOP = "stop"  # SIGTERM
    PAUSE = "pause"  # SIGSTOP, then SIGCONT
    CLOCK = "clock step"  # by the amount in ms, then back
    SLOW_SYNC = "slow sync"  # each takes the amount in ms longer
    FULL = "disk full"  # after the amount of writes, until there is room again
    BROKEN_WRITE = "write fails"  # once, after the amount of writes; as are the next two
    TORN_WRITE = "write is torn"
    BROKEN_SYNC = "sync fails"
    LYING = "lying sync"  # for a while nothing is synced that is said to be, then power is lost; a hub's disk alone
    DAMAGE = "damaged files"  # of a hub; its operator gives it a new disk afterwards
    LOST_DISK = "lost disk"  # of a hub
    SLOW_READER = "slow reader"  # local programs ask a node for news and do not read them
    DELAY = "late"  # the way to a hub is later by the amount in ms
    RATE = "narrow"  # the way to a hub carries the amount of bytes a second
    STALL = "stalled"
    HOLE = "black hole"
    CLOSED = "closed"
    CUT = "cut"  # connections to a hub end, each by the amount as a chance in %


@dataclass(frozen=True)
class Trouble:
    """One thing that goes wrong; `target` is the process, or the hub whose way it is."""

    at_s: float
    kind: Kind
    target: str
    lasts_s: float
    amount: int

    def __str__(self) -> str:
        return f"{self.at_s:7.1f} s  {self.kind:<14} {self.target:<10} for {self.lasts_s:4.1f} s  {self.amount}"


def draw(seed: int, seconds: float, hubs: Sequence[str], nodes: Sequence[str]) -> list[Trouble]:
    """Return what goes wrong within so many seconds, in order; every kind comes before any comes again."""
    return sorted(_draw(Random(f"{seed}/plan"), seconds, hubs, nodes), key=lambda one: one.at_s)


def _draw(luck: Random, seconds: float, hubs: Sequence[str], nodes: Sequence[str]) -> Iterator[Trouble]:
    at_s = 0.0
    deck: list[Kind] = []
    while True:
        at_s += luck.expovariate(1 / GAP_S)
        if at_s >= seconds:
            return
        if not deck:
            deck = list(Kind)
            luck.shuffle(deck)
        kind = deck.pop()
        targets = hubs if kind in OF_HUBS else nodes if kind in OF_NODES else [*hubs, *nodes]
        least, most = LASTS_S.get(kind, USUAL_S)
        lasts_s = min(luck.uniform(least, most), max(0.5, seconds - at_s))
        yield Trouble(at_s, kind, luck.choice(targets), lasts_s, luck.choice(AMOUNTS.get(kind, (0,))))


GAP_S = 2.0
WAYS = frozenset({Kind.DELAY, Kind.RATE, Kind.STALL, Kind.HOLE, Kind.CLOSED, Kind.CUT})
OF_HUBS = WAYS | {Kind.LYING, Kind.DAMAGE, Kind.LOST_DISK}
OF_NODES = frozenset({Kind.SLOW_READER})
USUAL_S = (0.0, 6.0)
LASTS_S = {
    Kind.PAUSE: (0.5, 20.0),  # both below and above what a silent link is given
    Kind.CLOCK: (3.0, 20.0),
    Kind.SLOW_SYNC: (3.0, 10.0),
    Kind.FULL: (2.0, 8.0),
    Kind.LYING: (2.0, 8.0),
    Kind.DAMAGE: (3.0, 10.0),
    Kind.SLOW_READER: (5.0, 20.0),
    Kind.STALL: (1.0, 20.0),
    Kind.HOLE: (1.0, 20.0),
}
AMOUNTS = {
    Kind.CLOCK: (-600_000, -90_000, -2_000, 2_000, 90_000, 600_000),  # both sides of what is taken for doubtful
    Kind.SLOW_SYNC: (20, 100, 500),
    Kind.FULL: (0, 1, 7, 40),
    Kind.BROKEN_WRITE: (0, 1, 7, 40),
    Kind.TORN_WRITE: (0, 1, 7, 40),
    Kind.BROKEN_SYNC: (0, 1, 4),
    Kind.DAMAGE: tuple(range(6)),
    Kind.DELAY: (5, 50, 250),
    Kind.RATE: (2_000, 20_000, 200_000),
    Kind.CUT: (50, 100),
}
