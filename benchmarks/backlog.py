"""Measure a hub that holds much for a member that is away: `make bench-backlog`, or with ARGS="--messages 1000000".

What is asked: how much memory that takes, whether others notice, how fast it leaves when the member comes back, how
long the hub takes to start with it, and whether the file is used again. Members speak the link's protocol from here and
from processes of their own. docs/performance.md 11.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Final

from finding import Finding
from i247_hub import status
from measures import in_turn, median, percentile, ratios, resident_mib
from member_lane import Membership
from network import ALL_CODES, ASKER, NEIGHBOUR, World
from probes import disk_times, told
from run import preamble
from stations import Giver, Passing, receiving


def main() -> None:
    """Fill a hub, restart it, empty it, fill it again; print the table."""
    words = argparse.ArgumentParser(description="Measure a hub with a backlog, as docs/performance.md 11 tells.")
    words.add_argument("--messages", type=int, default=100_000, help="how many wait for the member (100000)")
    words.add_argument("--json", action="store_true", help="print JSON")
    options = words.parse_args()
    with tempfile.TemporaryDirectory(prefix="i247-backlog-") as folder:
        head = list(preamble(Path(folder)))
        before = disk_times(Path(folder))
        began = time.monotonic()
        findings = []
        for one in measure(Path(folder), options.messages):
            print(one.line(), file=sys.stderr, flush=True)
            findings.append(one)
        disk = told(before, disk_times(Path(folder)))
    if options.json:
        figures = [{**asdict(one), "is_met": one.is_met} for one in findings]
        print(json.dumps({"head": head, "disk": disk, "messages": options.messages, "figures": figures}, indent=1))
        return
    print(
        "\n".join([*head, f"disk      {disk}", "", f"{options.messages:,} messages of 1 KiB for a member that is away"])
    )
    print("\n".join(one.line() for one in findings))
    print(f"\n{time.monotonic() - began:.0f} s. Loopback only; nothing is left running.")


def measure(folder: Path, messages: int) -> Iterator[Finding]:
    """Yield what a backlog does to a hub, beside a hub of the same kind that holds next to nothing."""
    for name in ("full", "empty"):
        (folder / name).mkdir()
    full, empty = (World(folder / name, ALL_CODES[:MEMBERS]) for name in ("full", "empty"))
    with ExitStack() as stack:
        idle_pid = stack.enter_context(empty.running(HUB))[HUB]
        with full.running(HUB) as pids:
            yield from _fill(full, empty, messages)
            yield from _memory(full, pids[HUB], idle_pid)
        began = time.monotonic()
        pids = stack.enter_context(full.running(HUB, again=True))
        started = time.monotonic() - began
        yield Finding("start with it, until the hub's status answers", started, "s", START_S_MAX, "≤")
        yield Finding("  resident memory then", resident_mib(pids[HUB])[0], "MiB")
        yield from _drain(full)
        yield from _refill(full, messages)


def _fill(full: World, empty: World, messages: int) -> Iterator[Finding]:
    """Submit it all; then compare with a hub that holds next to nothing, in turn."""
    with ExitStack() as stack:
        giver = stack.enter_context(Giver(Membership.of(full, HUB, GIVER, AWAY)))
        yield Finding("submitted, all of it", messages / giver.give(messages), "/s")
        idle = stack.enter_context(Giver(Membership.of(empty, HUB, GIVER, AWAY)))  # now: a hub hangs up on the silent
        idle.give(ROUND)
        rates, floors = in_turn(COMPARE_S, lambda: ROUND / giver.give(ROUND), lambda: ROUND / idle.give(ROUND))
    yield Finding("submitted on top of it", median(rates), "/s")
    yield Finding("  of the rate at an empty hub, in turn", median(ratios(rates, floors)), "×", SUBMIT_MIN, "≥")


def _memory(full: World, pid: int, idle_pid: int) -> Iterator[Finding]:
    yield Finding("resident memory with it", resident_mib(pid)[0], "MiB", MIB_MAX, "≤")
    yield Finding("  of an empty hub", resident_mib(idle_pid)[0], "MiB")
    yield Finding("database and its log", _file_mib(full), "MiB")


def _drain(world: World) -> Iterator[Finding]:
    """Let the member come back, while two others go on."""
    waiting = next(box.bulk for box in status.ask(_state(world) / "hub.sock").mailboxes if box.place == AWAY)
    with Passing(Membership.of(world, HUB, ONE, OTHER), Membership.of(world, HUB, OTHER, ONE)) as others:
        usual = others.times_ms(NORMAL_S)
        meanwhile: list[float] = []
        with receiving(Membership.of(world, HUB, AWAY, GIVER), waiting) as drained:
            while not drained.poll():
                meanwhile += others.times_ms(PART_S)
            rate = waiting / float(drained.recv())
        usual += others.times_ms(NORMAL_S)
    yield Finding("drained", rate, "/s", DRAIN_MIN, "≥")
    before, during = (percentile(times, 0.99) for times in (usual, meanwhile))
    yield Finding("others' messages, p50 before and after", median(usual), "ms")
    yield Finding("  p50 meanwhile", median(meanwhile), "ms")
    yield Finding("  p99 before and after", before, "ms")
    yield Finding("  p99 meanwhile", during, "ms")
    yield Finding("  p99 meanwhile, of that before and after", during / before, "×", P99_MAX, "≤")


def _refill(world: World, messages: int) -> Iterator[Finding]:
    """See whether the room of what has left is used again."""
    before = _file_mib(world)
    yield Finding("database and its log, emptied", before, "MiB")
    with Giver(Membership.of(world, HUB, GIVER, AWAY)) as giver:
        giver.give(messages // REFILL_PART)
    yield Finding(f"  with 1 in {REFILL_PART} again, of that", _file_mib(world) / before, "×", GROWTH_MAX, "≤")


def _file_mib(world: World) -> float:
    return sum(path.stat().st_size for path in _state(world).glob("*.db*")) / 2**20


def _state(world: World) -> Path:
    return world.folder / HUB / "state"


HUB: Final = "lyon"
MEMBERS: Final = 20
GIVER: Final = ASKER
AWAY: Final = NEIGHBOUR
ONE, OTHER = ALL_CODES[4:6]
ROUND: Final = 4_096
COMPARE_S: Final = 15.0
NORMAL_S: Final = 4.0
PART_S: Final = 0.5
REFILL_PART: Final = 4
SUBMIT_MIN: Final = 0.8
MIB_MAX: Final = 250
START_S_MAX: Final = 3
DRAIN_MIN: Final = 8_000
P99_MAX: Final = 3
GROWTH_MAX: Final = 1.05

if __name__ == "__main__":
    main()
