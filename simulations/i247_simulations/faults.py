"""List what may go wrong, as plain data: a plan is a tuple of timed faults, and a run follows it exactly.

A plan is drawn once from the seed (`draw`) or read from a file; after that nothing but the plan decides, so leaving
one fault out changes no other, and a failing plan can be shrunk. What each fault does is for `network`, `disk`,
`hostile` and `world`. docs/simulation.md 3.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from random import Random
from typing import Final

import msgspec


class Level(StrEnum):
    """How rough the world is."""

    NONE = "none"
    MILD = "mild"
    HARSH = "harsh"
    SWARM = "swarm"


class _Fault(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="fault"):
    at_ms: int


class Crash(_Fault, frozen=True, tag="crash"):
    """Kill a program; it starts again after `down_ms` with what its disk had."""

    program: str
    down_ms: int


class CommitFails(_Fault, frozen=True, tag="commit-fails"):
    """Let a program's next commit fail (disk full, I/O error): it ends itself, and starts again after `down_ms`."""

    program: str
    down_ms: int


class PowerLoss(_Fault, frozen=True, tag="power-loss"):
    """Let the power go while a program's next commit is written: its last record is torn, or just came through.

    A torn record does not match its checksum, so the turn is gone as a whole. With `kept` it is there as a whole, though
    nobody was told. The program starts again after `down_ms`.
    """

    program: str
    down_ms: int
    kept: bool


class DiskFull(_Fault, frozen=True, tag="disk-full"):
    """Let every commit of a program fail for `for_ms`: it ends itself, is started again, and ends itself again."""

    program: str
    for_ms: int


class SlowDisk(_Fault, frozen=True, tag="slow-disk"):
    """Let each commit of a program take `delay_ms`."""

    program: str
    for_ms: int
    delay_ms: int


class DiskDestroyed(_Fault, frozen=True, tag="disk-destroyed"):
    """Kill a hub and take its disk away; it starts again after `down_ms` with an empty one."""

    program: str
    down_ms: int


class BitRot(_Fault, frozen=True, tag="bit-rot"):
    """Let a page of a disk decay, so that SQLite calls the file damaged: the program ends, and refuses to start.

    After `down_ms` its operator has mended it as the manual says: a hub gets an empty disk, a node the copy of its
    database that was taken `copy_age_ms` before.
    """

    program: str
    down_ms: int
    copy_age_ms: int


class RestoredCopy(_Fault, frozen=True, tag="restored-copy"):
    """Put an old copy of its disk back under a node, without the mark beside it; it starts again after `down_ms`."""

    program: str
    down_ms: int
    copy_age_ms: int


class LyingSync(_Fault, frozen=True, tag="lying-sync"):
    """Let a disk confirm and not keep: at the end the program is killed, and what it saved meanwhile is gone.

    No level draws it: no program can live with such a disk. It proves that the checkers see what it does.
    """

    program: str
    for_ms: int
    down_ms: int


class Partition(_Fault, frozen=True, tag="partition"):
    """Let nothing through between two groups of programs; with `one_way`, only from the first to the second."""

    here: tuple[str, ...]
    there: tuple[str, ...]
    for_ms: int
    one_way: bool


class HangUp(_Fault, frozen=True, tag="hang-up"):
    """Break all connections of a program; what is on the way may be lost."""

    program: str


class Stall(_Fault, frozen=True, tag="stall"):
    """Hold back, without loss, all that goes from one program to another."""

    sender: str
    receiver: str
    for_ms: int


class Scramble(_Fault, frozen=True, tag="scramble"):
    """Let `percent` of the frames from one program to another come twice, or later than others, and out of order.

    No true connection does that: TCP keeps order, and CURVE ends it. At the end the connections are broken.
    """

    sender: str
    receiver: str
    for_ms: int
    percent: int


class SlowLinks(_Fault, frozen=True, tag="slow-links"):
    """Add `delay_ms` to all that a program sends or is sent, and let only so many bytes through in a second."""

    program: str
    for_ms: int
    delay_ms: int
    bytes_per_s: int


class ClockStep(_Fault, frozen=True, tag="clock-step"):
    """Set a program's wall clock forward or back; it is set right again after `for_ms`."""

    program: str
    for_ms: int
    step_ms: int


class ClockDrift(_Fault, frozen=True, tag="clock-drift"):
    """Let both clocks of a program run fast or slow by `ppm`, from now on."""

    program: str
    ppm: int


class HubLie(StrEnum):
    """How a hub deceives."""

    DROP = "drop"
    REPLAY = "replay"
    REORDER = "reorder"
    SWAP = "swap"
    ALTER = "alter"
    ROT = "rot"
    """One bit of a body is wrong: by ill will, or from a disk that has decayed where SQLite does not look."""
    NO_CUSTODY = "no-custody"
    """It takes, gives credit for more, and never says that it holds anything."""
    FORGE_CUSTODY = "forge-custody"
    FORGE_CARDS = "forge-cards"
    """It hands out keycards of members with keys of its own, to read what is sealed to them."""
    WITHHOLD_DIRECTORY = "withhold-directory"
    FORGE_DIRECTORY = "forge-directory"
    """It hands out a roster that one keyholder alone has signed."""
    FORK_DIRECTORY = "fork-directory"
    """It hands out another roster of the same version that enough keyholders have signed. No level draws it."""


class HostileHub(_Fault, frozen=True, tag="hostile-hub"):
    """Let a hub deceive in `percent` of the frames that it could."""

    program: str
    for_ms: int
    lie: HubLie
    percent: int


class Mischief(StrEnum):
    """How a member misbehaves on its own links."""

    FLOOD = "flood"
    GARBAGE = "garbage"
    REPLAY = "replay"
    HOARD = "hoard"
    """It takes, gives credit for more, and never says that it holds anything."""
    IMPERSONATE = "impersonate"
    """It says what another member is to have said, under its own signature."""


class HostileMember(_Fault, frozen=True, tag="hostile-member"):
    """Let a member's links carry, beside its own frames, others that it should not send, `per_s` each second."""

    program: str
    for_ms: int
    mischief: Mischief
    per_s: int


class Suspension(_Fault, frozen=True, tag="suspension"):
    """Let the authority suspend a member in an emergency; hubs learn of it at once, others by them."""

    member: str


class Theft(_Fault, frozen=True, tag="theft"):
    """Let a thief speak with a member's keys for `for_ms`, through another member's links and on links of its own.

    After a third of that time the member notices: the authority publishes the keys that it had committed to, and its
    node starts with them after `down_ms`.
    """

    member: str
    accomplice: str
    for_ms: int
    down_ms: int


Fault = (
    Crash
    | CommitFails
    | PowerLoss
    | DiskFull
    | SlowDisk
    | DiskDestroyed
    | BitRot
    | RestoredCopy
    | LyingSync
    | Partition
    | HangUp
    | Stall
    | Scramble
    | SlowLinks
    | ClockStep
    | ClockDrift
    | HostileHub
    | HostileMember
    | Suspension
    | Theft
)


def end_of(fault: Fault) -> int:
    """Return the instant at which a fault is over by itself."""
    match fault:
        case Crash() | CommitFails() | PowerLoss() | DiskDestroyed() | BitRot() | RestoredCopy():
            return fault.at_ms + fault.down_ms
        case LyingSync():
            return fault.at_ms + fault.for_ms + fault.down_ms
        case HangUp() | ClockDrift() | Suspension():
            return fault.at_ms
        case _:
            return fault.at_ms + fault.for_ms


def draw(
    level: Level,
    luck: Random,
    *,
    hubs: Sequence[str],
    homes: Mapping[str, Sequence[str]],
    begin_ms: int,
    end_ms: int,
) -> tuple[Fault, ...]:
    """Return a plan in which every fault begins and ends between `begin_ms` and `end_ms`, in order of time."""
    if level is Level.NONE:
        return ()
    kinds = dict(MILD if level is Level.MILD else HARSH)
    per_minute = 2.0 if level is Level.MILD else 6.0
    if level is Level.SWARM:  # which faults there are at all is luck too: one that never rests hides others
        kinds = {kind: weight * luck.choice((0, 0, 1, 4)) for kind, weight in HARSH.items()}
        kinds = kinds if any(kinds.values()) else dict(HARSH)
        per_minute = luck.choice((0.5, 2.0, 6.0, 15.0))
    plan = []
    at = float(begin_ms)
    names, weights = list(kinds), list(kinds.values())
    place = _Place(luck, hubs, homes, end_ms)
    while (at := at + luck.expovariate(per_minute / 60_000)) < end_ms:
        plan.append(DRAWN[luck.choices(names, weights)[0]](place, int(at)))
    return tuple(plan)


class _Place:
    """Where and for how long; all of it luck."""

    def __init__(self, luck: Random, hubs: Sequence[str], homes: Mapping[str, Sequence[str]], end_ms: int) -> None:
        self.luck = luck
        self.hubs = hubs
        self.members = sorted(homes)
        self._homes = homes
        self._end = end_ms

    def program(self) -> str:
        return self.luck.choice(self.hubs if self.luck.random() < 0.5 else self.members)

    def hub(self) -> str:
        return self.luck.choice(self.hubs)

    def member(self) -> str:
        return self.luck.choice(self.members)

    def span(self, at: int, low_ms: int, high_ms: int) -> int:
        """Return a length that is as often short as long, and ends in time."""
        length = int(low_ms * (high_ms / low_ms) ** self.luck.random())
        return max(0, min(length, self._end - at))

    def pair(self) -> tuple[str, str]:
        hub = self.hub()
        others = [one for one in (*self.hubs, *self.members) if one != hub]
        pair = (hub, self.luck.choice(others))
        return pair if self.luck.random() < 0.5 else (pair[1], pair[0])

    def sides(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        everybody = (*self.hubs, *self.members)
        chance = self.luck.random()
        if chance < 0.4:
            alone = self.program()
            return (alone,), tuple(one for one in everybody if one != alone)
        if chance < 0.6 and len(self.hubs) > 1:
            hub = self.hub()
            return (hub,), tuple(one for one in self.hubs if one != hub)
        if chance < 0.8 and len(self.hubs) > 1:  # two regions: hubs, and the members that are first at home there
            some = self.luck.sample(self.hubs, self.luck.randint(1, len(self.hubs) - 1))
            here = tuple(one for one in everybody if self._homes.get(one, (one,))[0] in some)
            return here, tuple(one for one in everybody if one not in here)
        cut = self.luck.random()
        here = tuple(one for one in everybody if self.luck.random() < cut)
        return here, tuple(one for one in everybody if one not in here)


def _partition(place: _Place, at: int) -> Fault:
    here, there = place.sides()
    return Partition(at, here, there, place.span(at, 500, 180_000), place.luck.random() < 0.3)


def _theft(place: _Place, at: int) -> Fault:
    member, accomplice = place.luck.sample(place.members, 2)
    span = place.span(at, 6_000, 60_000)
    return Theft(at, member, accomplice, span, place.luck.randint(0, span // 2))


def _clock_step(place: _Place, at: int) -> Fault:
    step = int(place.luck.choice((-1, 1)) * 1_000 * 1_200 ** place.luck.random())
    return ClockStep(at, place.program(), place.span(at, 5_000, 120_000), step)


MILD: Final = {"crash": 3, "hang-up": 4, "stall": 3, "partition": 2, "slow-links": 2, "slow-disk": 1, "clock-drift": 1}
HARSH: Final = {
    "crash": 6,
    "commit-fails": 3,
    "power-loss": 3,
    "disk-full": 1,
    "slow-disk": 2,
    "disk-destroyed": 1,
    "bit-rot": 0.5,
    "restored-copy": 0.5,
    "partition": 4,
    "hang-up": 4,
    "stall": 3,
    "scramble": 1,
    "slow-links": 2,
    "clock-step": 1,
    "clock-drift": 1,
    "hostile-hub": 3,
    "hostile-member": 1.5,
    "suspension": 0.3,
    "theft": 0.3,
}
LIES_DRAWN: Final = tuple(lie for lie in HubLie if lie is not HubLie.FORK_DIRECTORY)
DRAWN: Final[dict[str, Callable[[_Place, int], Fault]]] = {
    "crash": lambda place, at: Crash(at, place.program(), place.span(at, 50, 90_000)),
    "commit-fails": lambda place, at: CommitFails(at, place.program(), place.span(at, 500, 30_000)),
    "power-loss": lambda place, at: PowerLoss(
        at, place.program(), place.span(at, 50, 60_000), place.luck.random() < 0.5
    ),
    "disk-full": lambda place, at: DiskFull(at, place.program(), place.span(at, 1_000, 40_000)),
    "slow-disk": lambda place, at: SlowDisk(
        at, place.program(), place.span(at, 1_000, 60_000), place.luck.randint(20, 2_000)
    ),
    "disk-destroyed": lambda place, at: DiskDestroyed(at, place.hub(), place.span(at, 500, 60_000)),
    "bit-rot": lambda place, at: BitRot(
        at, place.program(), place.span(at, 500, 60_000), place.luck.randint(1_000, 120_000)
    ),
    "restored-copy": lambda place, at: RestoredCopy(
        at, place.member(), place.span(at, 500, 60_000), place.luck.randint(1_000, 120_000)
    ),
    "partition": _partition,
    "hang-up": lambda place, at: HangUp(at, place.program()),
    "stall": lambda place, at: Stall(at, *place.pair(), place.span(at, 100, 30_000)),
    "scramble": lambda place, at: Scramble(
        at, *place.pair(), place.span(at, 1_000, 30_000), place.luck.choice((2, 10, 40))
    ),
    "slow-links": lambda place, at: SlowLinks(
        at,
        place.program(),
        place.span(at, 1_000, 60_000),
        place.luck.randint(50, 3_000),
        place.luck.choice((4_000, 50_000, 1_000_000)),
    ),
    "clock-step": _clock_step,
    "clock-drift": lambda place, at: ClockDrift(at, place.program(), place.luck.randint(-200, 200)),
    "hostile-hub": lambda place, at: HostileHub(
        at,
        place.hub(),
        place.span(at, 2_000, 60_000),
        place.luck.choice(LIES_DRAWN),
        place.luck.choice((5, 30, 100)),
    ),
    "hostile-member": lambda place, at: HostileMember(
        at,
        place.member(),
        place.span(at, 1_000, 20_000),
        place.luck.choice(tuple(Mischief)),
        place.luck.choice((5, 50)),
    ),
    "suspension": lambda place, at: Suspension(at, place.member()),
    "theft": _theft,
}
