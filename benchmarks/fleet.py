"""Run the world on one machine: 196 node daemons at 8 hubs, asked at the real network's rate: `make bench-fleet`.

Who is at home where, and who asks how much, are those of the simulator's `world-load`. Queries come at random instants
whether or not earlier ones have ended, through the nodes' own interfaces; each is timed from when it was due. All hubs
and nodes are the real programs, save to disk, and end with the run. docs/performance.md 13.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import resource
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Final

from finding import Finding
from i247_node import calls
from i247_node.calls import BureauError, answer_of
from i247_node.client import Purpose, TravelDocument
from i247_node.forms import StatusShown
from i247_simulations.scenario import Scenario
from i247_simulations.scenarios import find_scenario, with_members
from local_calls import LocalCalls
from measures import cpu_s, median, percentile, resident_mib
from network import REGISTER, World
from probes import disk_times, told
from run import preamble


def main() -> None:
    """Found, start, ask, end; print the table."""
    words = argparse.ArgumentParser(description="Run the world on one machine, as docs/performance.md tells.")
    words.add_argument("--members", type=int, default=0, help="how many of the world's members (all 197)")
    words.add_argument("--seconds", type=int, default=600, help="how long queries come (600)")
    words.add_argument("--rate", type=float, default=RATE, help=f"queries a second ({RATE:g})")
    words.add_argument("--seed", type=int, default=1, help="fixes who asks whom, and when (1)")
    options = words.parse_args()
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))  # so that no daemon is left running
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    scenario = find_scenario(SCENARIO)
    if options.members:
        scenario = with_members(scenario, options.members)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="i247-fleet-") as folder:
        print("\n".join(preamble(Path(folder))), flush=True)
        with fleet(Path(folder), scenario) as ships:
            findings = asyncio.run(measured(ships, scenario, options.rate, options.seconds, options.seed))
    print("\n".join(["", *(one.line() for one in findings)]))
    print(f"\n{time.monotonic() - began:.0f} s. Loopback only; nothing is left running.")


@dataclass(frozen=True, slots=True)
class Fleet:
    """What runs: the network, and the process of each hub and node."""

    world: World
    hubs: Mapping[str, int]
    nodes: Mapping[str, int]

    def socket(self, code: str) -> Path:
        """Return where a node listens to its own side."""
        return self.world.folder / code / "state" / "node.sock"

    def used_s(self, names: Mapping[str, int]) -> float:
        """Return the processor time that processes have used."""
        return sum(map(cpu_s, names.values()))


@contextmanager
def fleet(folder: Path, scenario: Scenario) -> Iterator[Fleet]:
    """Found the network and start all of it, a few nodes at a time; it ends with the block."""
    codes, hubs = scenario.members, scenario.hubs
    say(f"founding {len(codes)} members and {len(hubs)} hubs")
    world = World(folder, codes, hubs, homes=scenario.homes, run=codes, answer=codes)
    with ExitStack() as stack:
        say("starting the hubs")
        pids = stack.enter_context(world.running(*hubs))
        nodes: dict[str, int] = {}
        ships = Fleet(world, pids, nodes)
        for first in range(0, len(codes), AT_ONCE):
            wave = codes[first : first + AT_ONCE]
            nodes |= stack.enter_context(world.running(*wave))
            asyncio.run(_until_linked(ships, wave))
            if not first % (AT_ONCE * 8):
                say(f"{len(nodes)} nodes are up")
        yield ships
        say("ending all of it")


async def measured(ships: Fleet, scenario: Scenario, rate: float, seconds: int, seed: int) -> list[Finding]:
    """Ask for so long, and tell what came of it."""
    codes = scenario.members
    with connected(ships, codes) as bureaus:
        say("waiting until everybody has everybody's keycard")
        await _until(bureaus, lambda one: one.cards >= len(codes), "all keycards", PATIENCE_S)
        idle = await _idle_us(ships)
        before = disk_times(ships.world.folder)
        used = [ships.used_s(ships.hubs), ships.used_s(ships.nodes), time.process_time()]
        questions = Questions(bureaus, scenario, HIT_RATE, seed)
        say(f"asking {rate:g} queries a second for {seconds} s")
        await questions.ask(rate, seconds)
        now = [ships.used_s(ships.hubs), ships.used_s(ships.nodes), time.process_time()]
        say("waiting until every receipt has come")
        await _until(bureaus, _is_at_rest, "every receipt", REST_S)
        disk = told(before, disk_times(ships.world.folder))
        say(f"disk      {disk}")
        statuses = await _statuses(bureaus)
        spent = [
            (after - earlier) / max(1, len(questions.taken_ms)) * 1e6 for earlier, after in zip(used, now, strict=True)
        ]
    return [*_told(questions, statuses), *_costs(spent, idle), *_memory(ships)]


@dataclass(slots=True)
class Questions:
    """Queries at random instants, from members by their share to any other."""

    bureaus: Mapping[str, LocalCalls]
    scenario: Scenario
    hit_rate: float
    seed: int
    taken_ms: list[float] = field(default_factory=list)
    ends: Counter[str] = field(default_factory=Counter)
    asked: int = 0
    overdue: int = 0

    async def ask(self, rate: float, seconds: int) -> None:
        """Ask for so long, then wait for the last answers."""
        chance, loop = Random(self.seed), asyncio.get_running_loop()
        codes, weights = list(self.bureaus), list(shares(self.scenario))
        due, end = loop.time(), loop.time() + seconds
        tasks: set[asyncio.Task[None]] = set()
        next_word = due + TELL_S
        while (due := due + chance.expovariate(rate)) < end:
            if (early := due - loop.time()) > 0:
                await asyncio.sleep(early)
            asker = chance.choices(codes, weights)[0]
            answerer = chance.choice([code for code in codes if code != asker])
            self.asked += 1
            if len(tasks) >= IN_FLIGHT_MAX:
                self.overdue += 1
                continue
            task = asyncio.create_task(self._one(asker, answerer, chance.random() < self.hit_rate, due))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
            if loop.time() >= next_word:
                next_word += TELL_S
                say(f"{self.asked} asked, {sum(self.ends.values())} ended, {len(tasks)} in flight")
        await asyncio.gather(*tasks)

    async def _one(self, asker: str, answerer: str, hits: bool, due: float) -> None:  # noqa: FBT001  one of two documents
        document = TravelDocument(country="UTO", number=KNOWN if hits else UNKNOWN, type="P")
        call = calls.ask(
            document,
            to=answerer,
            register=REGISTER,
            purpose=Purpose.BORDER_CONTROL,
            within=f"{WITHIN_S}s",
            is_awaited=True,
        )
        try:
            answer = answer_of(await self.bureaus[asker].make(call))
        except (BureauError, EOFError, OSError) as error:
            self.ends[type(error).__name__] += 1
            return
        self.ends[answer.outcome.value] += 1
        self.taken_ms.append((asyncio.get_running_loop().time() - due) * 1e3)


def shares(scenario: Scenario) -> Iterator[float]:
    """Yield how much of all queries each member asks: some have a share of their own, the others the rest alike."""
    named = scenario.traffic.shares
    others = len(scenario.members) - sum(code in named for code in scenario.members)
    rest = 1.0 - sum(share for code, share in named.items() if code in scenario.members)
    for code in scenario.members:
        yield named.get(code, rest / others)


def _told(questions: Questions, statuses: Mapping[str, StatusShown]) -> Iterator[Finding]:
    taken, answered = questions.taken_ms, questions.ends["hit"] + questions.ends["no-hit"]
    said = Counter[str]()
    for status in statuses.values():
        said.update(status.counters)
    left = sum(status.counts.queued + status.counts.in_custody for status in statuses.values())
    yield Finding("queries asked", questions.asked, "")
    yield Finding("  answered", answered, "", questions.asked, "≥")
    for end, count in sorted(questions.ends.items()):
        yield Finding(f"  ended as {end}", count, "")
    yield Finding("  left out, since too many were in flight", questions.overdue, "", 0, "≤")
    yield Finding("queries taken by their answerers, beyond one each", said["received.query"] - answered, "", 0, "≤")
    yield Finding("replies taken by their askers, beyond one each", said["received.reply"] - answered, "", 0, "≤")
    yield Finding("messages without a receipt at the end", left, "", 0, "≤")
    yield Finding("from due to answered, p50", median(taken), "ms")
    yield Finding("  p99", percentile(taken, 0.99), "ms", P99_MS, "≤")
    yield Finding("  longest", max(taken), "ms")


def _costs(spent: Sequence[float], idle: tuple[float, float]) -> Iterator[Finding]:
    hubs, nodes, asking = spent
    yield Finding("processor time of all hubs, a query", hubs, "µs")
    yield Finding("  of all nodes", nodes, "µs")
    yield Finding("  of the program that asks", asking, "µs")
    yield Finding("processor time of an idle hub, a second", idle[0], "µs")
    yield Finding("  of an idle node", idle[1], "µs")


def _memory(ships: Fleet) -> Iterator[Finding]:
    for what, pids in (("hub", ships.hubs), ("node", ships.nodes)):
        taken = [resident_mib(pid) for pid in pids.values()]
        yield Finding(f"resident memory of the largest {what}", max(rss for rss, _ in taken), "MiB")
        yield Finding(f"  of all {len(taken)}, what they share counted once", sum(pss for _, pss in taken), "MiB")


async def _idle_us(ships: Fleet) -> tuple[float, float]:
    """Return what a hub and a node use in a second while nothing is asked."""
    used = ships.used_s(ships.hubs), ships.used_s(ships.nodes)
    await asyncio.sleep(IDLE_S)
    hubs, nodes = ships.used_s(ships.hubs) - used[0], ships.used_s(ships.nodes) - used[1]
    return hubs / len(ships.hubs) / IDLE_S * 1e6, nodes / len(ships.nodes) / IDLE_S * 1e6


@contextmanager
def connected(ships: Fleet, codes: Sequence[str]) -> Iterator[dict[str, LocalCalls]]:
    """Give a way to call each of these nodes."""
    with ExitStack() as stack:
        yield {code: stack.enter_context(closing(LocalCalls(ships.socket(code)))) for code in codes}


async def _until_linked(ships: Fleet, codes: Sequence[str]) -> None:
    with connected(ships, codes) as bureaus:
        await _until(bureaus, lambda one: all(link.open for link in one.links), "links", PATIENCE_S)


async def _until(
    bureaus: Mapping[str, LocalCalls], is_so: Callable[[StatusShown], bool], what: str, seconds: float
) -> None:
    """Return when it is so at all of them; raise TimeoutError when it does not come to that."""
    waiting, end = dict(bureaus), time.monotonic() + seconds
    while waiting:
        for code, bureau in list(waiting.items()):
            try:
                if is_so(await bureau.make(calls.status())):
                    del waiting[code]
            except (BureauError, EOFError, OSError):
                pass  # it has not begun to listen
        if time.monotonic() > end:
            raise TimeoutError(f"waited for {what} at {', '.join(waiting)}")
        await asyncio.sleep(LOOK_S)


async def _statuses(bureaus: Mapping[str, LocalCalls]) -> dict[str, StatusShown]:
    return {code: await bureau.make(calls.status()) for code, bureau in bureaus.items()}


def _is_at_rest(status: StatusShown) -> bool:
    return not status.counts.queued and not status.counts.in_custody


def say(what: str) -> None:
    """Tell on stderr how far it is."""
    print(f"{time.strftime('%H:%M:%S')}  load {os.getloadavg()[0]:4.1f}  {what}", file=sys.stderr, flush=True)


SCENARIO: Final = "world-load"
RATE: Final = 250.0
HIT_RATE: Final = 0.0002
AT_ONCE: Final = 6
PATIENCE_S: Final = 120.0
REST_S: Final = 60.0
LOOK_S: Final = 0.2
IDLE_S: Final = 20.0
TELL_S: Final = 30.0
WITHIN_S: Final = 30
IN_FLIGHT_MAX: Final = 5_000
P99_MS: Final = 500.0
KNOWN: Final = "L898902C3"
UNKNOWN: Final = "X0000000Z"

if __name__ == "__main__":
    main()
