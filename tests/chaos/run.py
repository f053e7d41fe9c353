"""Run hubs and nodes under load while a plan goes wrong, let all come to rest, and examine what is left.

Real processes on loopback, in a folder of their own.
"""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path

from tests.chaos.daemons import Daemon, Network, left_over
from tests.chaos.evidence import judge, leaks, read_book
from tests.chaos.mischief import Mischief
from tests.chaos.plan import draw
from tests.chaos.proxy import Proxy
from tests.chaos.traffic import Ledger, Users


class Run:
    """One network, through its troubles and back to rest."""

    def __init__(self, root: Path, seed: int, seconds: float, *, is_calm: bool = False) -> None:
        """Set a network up in `root`; when it is calm, it carries its load for so many seconds undisturbed."""
        self.seed = seed
        self.seconds = seconds
        self.is_calm = is_calm
        self.breaches: list[str] = []
        self.ledger = Ledger(breaches=self.breaches)
        self.network = Network(root, HOMES)
        self.daemons = {name: Daemon(self.network, name, self.breaches) for name in (*HUBS, *self.network.nodes)}
        self.proxies = {hub: Proxy(self.network.fronts[hub], self.network.backs[hub]) for hub in HUBS}
        self.users = {
            code: Users(self.network, self.daemons[code], self.ledger, CALM_WITHIN_S if is_calm else WITHIN_S, seed)
            for code in self.network.nodes
        }
        self.mischief = Mischief(seed, self.network, self.daemons, self.proxies, self.users)
        self.rested_s = 0.0

    async def go(self) -> None:
        """Do all of it; what is wrong is in `breaches` afterwards."""
        plan = [] if self.is_calm else draw(self.seed, self.seconds, HUBS, self.network.nodes)
        tell(f"{len(plan)} troubles in {self.seconds:g} s, in {self.network.root}", *map(str, plan))
        for proxy in self.proxies.values():
            await proxy.open()
        kept = [asyncio.create_task(daemon.keep()) for daemon in self.daemons.values()]
        try:
            await self._wait(self._links_are_up, START_S, "the network did not begin to work")
            kept += [asyncio.create_task(part) for one in self.users.values() for part in (one.read(), one.watch())]
            speaking = [asyncio.create_task(one.speak()) for one in self.users.values()]
            await asyncio.gather(self.mischief.carry_out(plan, tell), asyncio.sleep(self.seconds))
            await self.mischief.heal()
            for one in self.users.values():
                one.hush()
            await asyncio.gather(*speaking)
            await self._come_to_rest()
        finally:
            await self._end(kept)
        self._examine()

    def report(self) -> None:
        """Print how it went."""
        tell("done: " + ", ".join(f"{kind} {n}" for kind, n in sorted(self.mischief.done.items())))
        for name, one in self.daemons.items():
            memory = f"{one.least_kib // 1024} to {one.most_kib // 1024} MiB"
            tell(f"{name:<10} {one.lives} lives, {one.ends_by_disk} of them ended by its disk; memory {memory}")
        told = Counter(one.kind for one in self.ledger.accepted)
        tell(f"accepted: {dict(told)}; declined: {dict(self.ledger.refusals)}; questions: {dict(self.ledger.ends)}")
        tell(f"confirmed: {sum(map(len, self.ledger.confirmed.values()))} entries; at rest after {self.rested_s:.0f} s")
        tell(*(f"BROKEN {what}" for what in self.breaches[:SHOWN_MAX]))

    async def _come_to_rest(self) -> None:
        began = time.monotonic()
        await self._wait(self._links_are_up, HEAL_S, "the network did not come back")
        # A last word on every way: whatever waits for its next try is taken up at a sign of life.
        asked = [(one, to) for one in self.users.values() for to in self.network.nodes if to != one.name]
        answers = await asyncio.gather(*(one.probe(to) for one, to in asked))
        self.breaches += [f"P5: {wrong}" for wrong in answers if wrong is not None]
        await self._wait(self._is_at_rest, REST_S, "not all has ended")
        self.rested_s = time.monotonic() - began

    async def _wait(self, what_is_left: Callable[[], Awaitable[str | None]], seconds: float, wrong: str) -> None:
        until = time.monotonic() + seconds
        while (left := await what_is_left()) and time.monotonic() < until:  # noqa: ASYNC110  processes set no event
            await asyncio.sleep(0.3)
        if left:
            self.breaches.append(f"P5: {wrong} within {seconds:g} s: {left}")

    async def _links_are_up(self) -> str | None:
        for daemon in self.daemons.values():
            if not daemon.is_ready:
                return f"{daemon.name} does not run"
        return _first(await asyncio.gather(*(one.is_cut_off() for one in self.users.values())))

    async def _is_at_rest(self) -> str | None:
        return _first(await asyncio.gather(*(one.is_at_rest() for one in self.users.values())))

    async def _end(self, kept: list[asyncio.Task[None]]) -> None:
        for task in kept:
            task.cancel()
        for failed in await asyncio.gather(*kept, return_exceptions=True):
            if isinstance(failed, Exception):
                self.breaches.append(f"the test itself failed: {failed!r}")
        for one in self.users.values():
            await one.close()
        for name, daemon in self.daemons.items():
            daemon.signal(signal.SIGCONT)
            code = await daemon.end(signal.SIGTERM)
            if code != 0:
                self.breaches.append(f"{name} ended with {code} when it was told to stop")
        for proxy in self.proxies.values():
            await proxy.close()

    def _examine(self) -> None:
        root, network = self.network.root, self.network
        books = {code: read_book(network.store(code)) for code in network.nodes}
        self.breaches += judge(books, ((one.node, one.id) for one in self.ledger.accepted))
        states = Counter(
            f"{state.value} {one.reasons[to]}".strip()
            for book in books.values()
            for one in book.said.values()
            for to, state in one.states.items()
        )
        tell(f"deliveries: {dict(states)}; entries: {sum(len(book.heard) for book in books.values())}")
        files = [path for hub in HUBS for path in (root / hub).rglob("*") if path.is_file()]
        self.breaches += leaks([*files, *root.glob("*.log")])
        self.breaches += [f"a process was left: {one}" for one in left_over(root)]
        for name, daemon in self.daemons.items():
            if daemon.most_kib > MEMORY_KIB_MAX:
                self.breaches.append(f"P10: {name} took {daemon.most_kib} KiB")
            if "Traceback" in network.log(name):
                self.breaches.append(f"{name} left a traceback in its log")


def _first(found: Iterable[str | None]) -> str | None:
    return next((one for one in found if one), None)


def tell(*lines: str) -> None:
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    sys.stdout.flush()


HUBS = ("lyon", "singapore")
HOMES = {"FR": "lyon singapore", "SG": "singapore lyon", "BR": "lyon", "XP": "lyon"}
WITHIN_S = (3, 8, 15)
CALM_WITHIN_S = (120,)  # longer than all that is recorded: a hub forgets what has expired
START_S = 60.0
HEAL_S = 90.0  # a dialler that has failed often waits for up to 22 s, and an attempt may last 10 s
REST_S = 120.0
MEMORY_KIB_MAX = 256 * 1024
SHOWN_MAX = 40
