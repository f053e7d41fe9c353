"""Measure a hub that one member floods, and one that is offered three times what it can carry: `make bench-flood`.

First: a pair passes urgent messages one at a time, with and without a member that offers ten times its quota and heeds
no `busy`. Then: many members, each within its quota, together offer a multiple of what the hub carries, whether it
takes it or not; how much arrives, and how long others notice it afterwards. docs/performance.md 14.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final

from finding import Finding
from i247_protocol.limits import QUOTA_MESSAGES_PER_S
from i247_protocol.priority import Lane, Priority
from measures import median, percentile
from member_lane import BODY_BYTES, Batch, MemberLane, Membership
from network import ALL_CODES, NO_QUOTAS, World
from probes import disk_times, told
from run import preamble
from stations import BATCH, Passing, Station


def main() -> None:
    """Flood a hub, overload it; print the table."""
    words = argparse.ArgumentParser(description="Measure a hub under a flood, as docs/performance.md 14 tells.")
    words.add_argument("--json", action="store_true", help="print JSON")
    options = words.parse_args()
    with tempfile.TemporaryDirectory(prefix="i247-flood-") as folder:
        head = list(preamble(Path(folder)))
        before = disk_times(Path(folder))
        began = time.monotonic()
        findings = []
        for one in measure(Path(folder)):
            print(one.line(), file=sys.stderr, flush=True)
            findings.append(one)
        disk = told(before, disk_times(Path(folder)))
    if options.json:
        figures = [{**asdict(one), "is_met": one.is_met} for one in findings]
        print(json.dumps({"head": head, "disk": disk, "figures": figures}, indent=1))
        return
    print("\n".join([*head, f"disk      {disk}", ""]))
    print("\n".join(one.line() for one in findings))
    print(f"\n{time.monotonic() - began:.0f} s. Loopback only; nothing is left running.")


def measure(folder: Path) -> Iterator[Finding]:
    """Yield what others notice of one member's flood, and what a hub does when all ask too much."""
    world = World(folder, ALL_CODES[:MEMBERS])
    config = world.config(HUB)
    config.write_text(config.read_text().replace(NO_QUOTAS, "[quotas]\n"))
    with world.running(HUB):
        yield from _flood(world)
    with world.running(HUB):
        yield from _overload(world)


def _flood(world: World) -> Iterator[Finding]:
    quiet: list[float] = []
    flooded: list[float] = []
    offered: list[float] = []
    with ExitStack() as stack:
        flood = stack.enter_context(_apart(_flooding, Membership.of(world, HUB, FLOODER, AWAY)))
        pair = stack.enter_context(Passing(*_both(world, URGENT_PAIR, Lane.EXPRESS)))
        pair.times_ms(WARM_UP_S)
        for _ in range(ROUNDS):
            quiet += pair.times_ms(ROUND_S)
            flood.send(TIMES_QUOTA * QUOTA_MESSAGES_PER_S)
            flooded += pair.times_ms(ROUND_S)
            flood.send(0)
            offered.append(float(flood.recv()))
            time.sleep(SETTLE_S)  # what the flood has left in the hub is not the next round's
    before, during = percentile(quiet, 0.99), percentile(flooded, 0.99)
    yield Finding(f"put by the member that offers {TIMES_QUOTA} × its quota", median(offered), "/s")
    yield Finding("urgent messages of others, p50 without", median(quiet), "ms")
    yield Finding("  p50 with the flood", median(flooded), "ms")
    yield Finding("  p99 without", before, "ms")
    yield Finding("  p99 with the flood", during, "ms")
    yield Finding("  p99 with the flood, of that without", during / before, "×", FLOOD_P99_MAX, "≤")


def _overload(world: World) -> Iterator[Finding]:
    couples = [_both(world, pair, Lane.BULK) for pair in COUPLES]
    with ExitStack() as stack:
        crowd = stack.enter_context(_apart(_crowding, couples))
        routine = stack.enter_context(Passing(*_both(world, ROUTINE_PAIR, Lane.BULK)))
        urgent = stack.enter_context(Passing(*_both(world, URGENT_PAIR, Lane.EXPRESS)))
        normal = routine.times_ms(ROUND_S)
        usual = urgent.times_ms(ROUND_S)
        pairs = (routine, urgent)
        best = _offered(crowd, UNBOUNDED, STEP_S, pairs)
        for part in STEPS:
            best = max(best, _offered(crowd, part * best, STEP_S, pairs))
        crowd.send((OVERLOAD * best, OVERLOAD_S))
        _wait(REACHES_S, pairs)  # until the hub has as much as it can take
        meanwhile = urgent.times_ms(OVERLOAD_S - REACHES_S - MARGIN_S)
        goodput = float(crowd.recv())
        ended = time.monotonic()
        calm = CALM_TIMES * median(normal)
        while median(routine.times_ms(PART_S)) > calm and time.monotonic() - ended < RECOVERY_TIMES * 2 * OVERLOAD_S:
            urgent.show_life()
        recovered = time.monotonic() - ended
    yield Finding("best goodput", best, "/s")
    yield Finding(
        f"goodput at {OVERLOAD} × that for {OVERLOAD_S:.0f} s, of the best", goodput / best, "×", GOODPUT_MIN, "≥"
    )
    yield Finding("  urgent messages of others meanwhile, p50", median(meanwhile), "ms")
    yield Finding("  p99, of that before", percentile(meanwhile, 0.99) / percentile(usual, 0.99), "×")
    yield Finding(
        "until routine messages are as before, of its length", recovered / OVERLOAD_S, "×", RECOVERY_TIMES, "≤"
    )


def _both(world: World, pair: Sequence[str], lane: Lane) -> tuple[Membership, Membership]:
    one, other = pair
    return Membership.of(world, HUB, one, other, lane), Membership.of(world, HUB, other, one, lane)


def _offered(crowd: Connection, rate: float, seconds: float, idle: Sequence[Station]) -> float:
    """Return the goodput at an offered rate, after what was on the way has arrived."""
    crowd.send((rate, seconds))
    _wait(seconds + SETTLE_S, idle)
    return float(crowd.recv())


def _wait(seconds: float, idle: Sequence[Station]) -> None:
    """Let time pass for those that have nothing to say."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for station in idle:
            station.turn_for(IDLE_MS)
            station.show_life()


# --- processes of their own ---


@contextmanager
def _apart(work: Callable[..., None], what: object) -> Iterator[Connection]:
    """Let somebody work in a process of its own; orders and answers go by the connection."""
    spawned = multiprocessing.get_context("spawn")
    here, there = spawned.Pipe()
    process = spawned.Process(target=work, args=(what, there))
    process.start()
    try:
        here.recv()
        yield here
    finally:
        process.terminate()
        process.join()


def _flooding(member: Membership, orders: Connection) -> None:
    """Offer what is ordered, routine and bulk in turn, as far as credit reaches; answer each stop with the rate."""
    with Station(member) as station:
        orders.send(None)
        (lane,) = station.lanes
        load = _Load(lane)
        rate, began = 0.0, time.monotonic()
        while True:
            if orders.poll():
                if rate:
                    orders.send(load.put / (time.monotonic() - began))
                rate, began = float(orders.recv()), time.monotonic()
                load = _Load(lane)
            if rate:
                load.offer(rate * (time.monotonic() - began))
            station.turn_for(TURN_MS)


def _crowding(couples: list[tuple[Membership, Membership]], orders: Connection) -> None:
    """Offer (rate, seconds) as ordered, an equal part by each; answer with what arrived a second meanwhile."""
    with Station(*(member for couple in couples for member in couple)) as station:
        orders.send(None)
        senders, receivers = station.lanes[::2], station.lanes[1::2]
        while True:
            if not orders.poll():
                station.turn_for(TURN_MS)
                station.show_life()
                continue
            rate, seconds = orders.recv()
            loads = [_Load(lane) for lane in senders]
            before = sum(lane.arrived for lane in receivers)
            began = time.monotonic()
            while (spent := time.monotonic() - began) < seconds:
                for load in loads:
                    load.offer(rate * spent / len(loads))
                station.turn_for(TURN_MS)
            orders.send((sum(lane.arrived for lane in receivers) - before) / spent)


class _Load:
    """What one sender offers, whether the hub takes it or not."""

    def __init__(self, lane: MemberLane) -> None:
        self.put = 0
        self._lane = lane
        self._next = self._made()

    def offer(self, due: float) -> None:
        """Put what is due by now, as far as credit reaches."""
        while self.put + BATCH <= due and self._lane.put(self._next):
            self.put += BATCH
            self._next = self._made()

    def _made(self) -> Batch:
        prio = Priority.ROUTINE if self.put // BATCH % 2 else Priority.BULK
        return self._lane.batch(BATCH, BODY_BYTES, prio=prio)


HUB: Final = "lyon"
FLOODER, AWAY = ALL_CODES[4:6]
URGENT_PAIR: Final = ALL_CODES[6:8]
ROUTINE_PAIR: Final = ALL_CODES[8:10]
COUPLES_COUNT: Final = 32
COUPLES: Final = [ALL_CODES[n : n + 2] for n in range(10, 10 + 2 * COUPLES_COUNT, 2)]
MEMBERS: Final = 10 + 2 * COUPLES_COUNT
TIMES_QUOTA: Final = 10
ROUNDS: Final = 4
WARM_UP_S: Final = 1.0
ROUND_S: Final = 4.0
SETTLE_S: Final = 3.0
"""For what is on the way to arrive, and for quotas to fill."""
PART_S: Final = 0.5
TURN_MS: Final = 2
IDLE_MS: Final = 50
UNBOUNDED: Final = 1e6
STEP_S: Final = 4.0
STEPS: Final = (0.9, 1.1)
OVERLOAD: Final = 3
OVERLOAD_S: Final = 10.0
REACHES_S: Final = 2.0
MARGIN_S: Final = 1.0
CALM_TIMES: Final = 1.5
"""Routine messages are as before when half of them take at most so many times what they took."""
FLOOD_P99_MAX: Final = 1.2
GOODPUT_MIN: Final = 0.9
RECOVERY_TIMES: Final = 2

if __name__ == "__main__":
    main()
