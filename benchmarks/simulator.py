"""Measure how fast worlds are simulated, at the load of the real world. docs/performance.md 7.

Each world runs in a process of its own, which goes on by so many messages whenever it is asked to; so worlds of several
sizes are measured round by round in turn. A message is what one recipient takes in: query, reply, letter or receipt.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Final, Self, TypeVar

import msgspec

from i247_simulations.crypto import Crypto
from i247_simulations.scenario import Scenario
from i247_simulations.scenarios import WORLD
from i247_simulations.topologies import made_up
from i247_simulations.traffic import Kind, Stream
from i247_simulations.world import World as SimulatedWorld
from measures import median, on_processor, per_call_us, spread
from network import World
from probes import opening_primitives, sealing_primitives
from table import Figure

BUDGET_S: Final = 60.0
T = TypeVar("T")


class Pace(msgspec.Struct, frozen=True):
    """What one round took: processor time in s, messages, and the virtual time that passed, in ms."""

    cpu_s: float
    messages: int
    virtual_ms: int

    @property
    def each_us(self) -> float:
        """Processor time for one message."""
        return self.cpu_s / self.messages * 1e6


class Beginning(msgspec.Struct, frozen=True):
    """What it took to found a world and to let all its programs connect: processor time in s."""

    cpu_s: float


class End(msgspec.Struct, frozen=True):
    """Resident memory at its largest (MiB), the part of it that was there before any message, and all messages."""

    mib: float
    mib_at_first: float
    messages: int


class Run:
    """One world in a process of its own."""

    def __init__(self, members: int, crypto: Crypto, thinned: int = 1) -> None:
        self.members, self.crypto = members, crypto
        self.paces: list[Pace] = []
        with on_processor(0):
            self._process = subprocess.Popen(
                [sys.executable, __file__, str(members), crypto.value, str(thinned)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
            )
        self.beginning = self._told(Beginning)

    def __enter__(self) -> Self:
        """Return the run."""
        return self

    def __exit__(self, *_: object) -> None:
        """End its process."""
        self._process.kill()
        self._process.communicate()

    def advance(self, messages: int) -> float:
        """Go on by so many messages; return the processor time that it took, in s."""
        self._say(str(messages))
        self.paces.append(self._told(Pace))
        return self.paces[-1].cpu_s

    def end(self) -> End:
        """Return what it came to."""
        self._say("end")
        return self._told(End)

    def _say(self, word: str) -> None:
        if self._process.stdin is None:
            raise TypeError("it was begun with pipes")
        self._process.stdin.write(f"{word}\n".encode())
        self._process.stdin.flush()

    def _told(self, kind: type[T]) -> T:
        if self._process.stdout is None:
            raise TypeError("it was begun with pipes")
        return msgspec.json.decode(self._process.stdout.readline(), type=kind)


def measure(_: World, budget_s: float) -> Iterator[Figure]:
    """Yield the pace of a world under both ciphers, how it changes with the members, and the memory that it takes."""
    with ExitStack() as stack:
        sizes = [stack.enter_context(Run(count, Crypto.STUB)) for count in (FEW, WORLD_MEMBERS, MANY)]
        genuine = stack.enter_context(Run(WORLD_MEMBERS, Crypto.REAL))
        thin = stack.enter_context(Run(WORLD_MEMBERS, Crypto.STUB, THINNED))
        runs = (*sizes, genuine)
        spent_s, rounds, floors = 0.0, 0, []
        while rounds < ROUNDS_MIN or spent_s < budget_s:
            spent_s += sum(run.advance(MESSAGES) for run in runs) + thin.advance(MESSAGES // THINNED)
            floors.append(per_call_us(_primitives, CALLS))
            rounds += 1
        ends = {run: run.end() for run in runs}
    stub = sizes[1]
    for run, least, floor in ((genuine, REAL_MIN, median(floors)), (stub, STUB_MIN, None)):
        yield _pace(run, least, floor)
    yield _day(thin)
    yield _flatness(sizes)
    yield _memory(stub, ends[stub])


def _pace(run: Run, least: int, floor_us: float | None) -> Figure:
    rates = [one.messages / one.cpu_s for one in run.paces]
    each_us = median([one.each_us for one in run.paces])
    virtual_s = sum(one.virtual_ms for one in run.paces) / 1_000
    floor = "" if floor_us is None else f"; floor: the primitives of one at both ends, {floor_us:.0f} µs"
    return Figure(
        f"simulated messages, {run.crypto.value} cipher",
        f"{median(rates):,.0f} /s",
        spread(rates, ",.0f"),
        f"≥ {least:,} /s",
        median(rates) >= least,
        "" if floor_us is None else f"{each_us / floor_us:.1f}",
        note=(
            f"{run.members} members, 8 hubs, {QUERIES_PER_S} queries a second in the world; of processor time, "
            f"{each_us:.0f} µs each; {sum(one.cpu_s for one in run.paces) / virtual_s:.1f} s for a second of the "
            f"world, and {run.beginning.cpu_s:.1f} s to begin{floor}"
        ),
    )


def _day(run: Run) -> Figure:
    """Say what a day would take: measured over less, since a world that has begun goes on alike."""
    days = [one.cpu_s / one.virtual_ms * DAY_MS for one in run.paces]
    return Figure(
        f"a day at 1:{THINNED} of the load",
        f"{median(days):,.0f} s",
        spread(days, ",.0f"),
        f"≤ {DAY_S_MAX} s",
        median(days) <= DAY_S_MAX,
        "",
        note=(
            f"{run.members} members, stub cipher; from {sum(one.virtual_ms for one in run.paces) / 1_000:.0f} s of the "
            f"world with {sum(one.messages for one in run.paces)} messages, so nearly all of it is ticks and heartbeats"
        ),
    )


def _flatness(sizes: list[Run]) -> Figure:
    few, *more = sizes
    ratios = [[one.each_us / other.each_us for one, other in zip(run.paces, few.paces, strict=True)] for run in more]
    worst = max(map(median, ratios))
    told = ", ".join(
        f"{run.members}: {median(series):.2f} ({spread(series, '.2f')})"
        for run, series in zip(more, ratios, strict=True)
    )
    return Figure(
        f"cost of one, {MANY} to {FEW} members",
        f"{median(ratios[-1]):.2f}",
        spread(ratios[-1], ".2f"),
        f"≤ {FLAT_MAX}",
        worst <= FLAT_MAX,
        "",
        note=f"stub cipher, as many messages for each member everywhere; against {FEW} members, round by round, {told}",
    )


def _memory(run: Run, end: End) -> Figure:
    each_kib = (end.mib - end.mib_at_first) * 1_024 / end.messages
    return Figure(
        "memory of a simulated world",
        f"{end.mib:.0f} MiB",
        "",
        f"≤ {MIB_MAX} MiB",
        end.mib <= MIB_MAX,
        "",
        note=(
            f"{run.members} members after {end.messages:,} messages; {end.mib_at_first:.0f} MiB before the first, then "
            f"{each_kib:.1f} KiB each, which the simulated disks keep"
        ),
    )


def _primitives() -> None:
    sealing_primitives()
    opening_primitives()


# --- the process of one world ---


def crowd(members: int, crypto: Crypto, thinned: int) -> Scenario:
    """Return the world with so many members, at home with its hubs in turn, each as talkative as a real one is.

    With `thinned` each says only one of so many messages.
    """
    hubs = WORLD.hubs
    chosen = sorted(made_up(members))
    homes = {code: (hubs[n % len(hubs)], hubs[(n + 1) % len(hubs)]) for n, code in enumerate(chosen)}
    share = members / WORLD_MEMBERS / thinned
    letters = msgspec.structs.replace(WORLD.traffic.streams[Kind.LETTER], per_hour=LETTERS_PER_YEAR / 365 / 24 * share)
    queries = Stream(per_hour=QUERIES_PER_S * 3_600 * share, size=None, swing=None)
    traffic = msgspec.structs.replace(WORLD.traffic, streams={Kind.QUERY: queries, Kind.LETTER: letters})
    return msgspec.structs.replace(
        WORLD, name=f"crowd-{members}", homes=homes, traffic=traffic, warm_ms=WARM_MS, places={}, crypto=crypto
    )


def serve(members: int, crypto: Crypto, thinned: int) -> None:
    """Run a world by as many messages as each line of standard input asks for."""
    begin = time.process_time()
    world = SimulatedWorld(crowd(members, crypto, thinned), 1, ())
    world.begin()
    world.agenda.run(WARM_MS * 500)
    _tell(Beginning(time.process_time() - begin))
    world.agenda.run(WARM_MS * 1_000)
    mib_at_first = _mib()
    for line in sys.stdin:
        if line == "end\n":
            _tell(End(_mib(), mib_at_first, world.measures.received))
            return
        began_us, before, begin = world.agenda.now_us, world.measures.received, time.process_time()
        while world.measures.received - before < int(line):
            world.agenda.run(world.agenda.now_us + STEP_US)
        took_s = time.process_time() - begin
        _tell(Pace(took_s, world.measures.received - before, (world.agenda.now_us - began_us) // 1_000))


def _tell(what: Pace | Beginning | End) -> None:
    print(msgspec.json.encode(what).decode(), flush=True)


def _mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1_024


FEW: Final = 50
MANY: Final = 1_000
WORLD_MEMBERS: Final = len(WORLD.members)
QUERIES_PER_S: Final = 250
"""What the real world asks."""
LETTERS_PER_YEAR: Final = 28_000_000
WARM_MS: Final = 6_000
STEP_US: Final = 50_000
MESSAGES: Final = 1_000
THINNED: Final = 100
DAY_MS: Final = 86_400_000
DAY_S_MAX: Final = 180
CALLS: Final = 50
ROUNDS_MIN: Final = 3
REAL_MIN: Final = 2_000
STUB_MIN: Final = 8_000
FLAT_MAX: Final = 1.2
MIB_MAX: Final = 1_024

if __name__ == "__main__":
    serve(int(sys.argv[1]), Crypto(sys.argv[2]), int(sys.argv[3]))
