"""Speak through the nodes as their users would, and note what each was told: the ledger that is checked afterwards."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random

from tests.chaos.daemons import Daemon, Network
from tests.chaos.switches import Switch

from i247_node.client import (
    AsyncBureau,
    BureauError,
    Colour,
    Event,
    Notice,
    NotRunning,
    Outcome,
    Purpose,
    TravelDocument,
    Urgency,
)
from i247_simulations.checkers.keeping import EARLY_MS_MAX, LATE_MS_MAX
from i247_simulations.workload import MARK


@dataclass
class Promise:
    """What a user was told is accepted, and when the answer came."""

    node: str
    id: str
    kind: str
    told_ns: int


@dataclass
class Ledger:
    """What users were told."""

    accepted: list[Promise] = field(default_factory=list)
    confirmed: dict[str, set[int]] = field(default_factory=dict)
    """Entries that a node has confirmed to be confirmed, and after whose answer it must not offer them again."""
    confirmed_ns: dict[tuple[str, int], int] = field(default_factory=dict)
    offered: dict[str, dict[str, int]] = field(default_factory=dict)
    """For each node and evidence id, under which number it was offered."""
    ends: Counter[str] = field(default_factory=Counter)
    refusals: Counter[str] = field(default_factory=Counter)
    breaches: list[str] = field(default_factory=list)


class Users:
    """The users of one node."""

    def __init__(self, network: Network, daemon: Daemon, ledger: Ledger, within_s: Sequence[int], seed: int) -> None:
        self.name = daemon.name
        self.may_read = True
        self._daemon = daemon
        self._ledger = ledger
        self._luck = Random(f"{seed}/{daemon.name}/users")
        self._others = [one for one in network.nodes if one != daemon.name]
        self._bureau = AsyncBureau.connect(network.socket(daemon.name), timeout=f"{PATIENCE_S}s")
        self._within_s = within_s
        self._open: dict[str, _Query] = {}
        self._errands: set[asyncio.Task[None]] = set()
        self._is_on = True
        self._said = 0
        ledger.confirmed[self.name] = set()
        ledger.offered[self.name] = {}

    async def speak(self) -> None:
        """Say one thing after another until `hush`."""
        while self._is_on:
            await asyncio.sleep(self._luck.expovariate(MESSAGES_A_SECOND))
            if len(self._errands) < ERRANDS_MAX and self._is_on:
                self._go(self._say())

    async def read(self) -> None:
        """Take what comes, and confirm it; for ever."""
        while True:
            await asyncio.sleep(0.3)
            if self.may_read:
                with suppress(BureauError):
                    await self._take_in()

    async def watch(self) -> None:
        """See that queries end in their time; for ever."""
        while True:
            await asyncio.sleep(0.5)
            for asked, query in list(self._open.items()):
                query.had_wrong_clock |= bool(self._daemon.switches[Switch.CLOCK_MS])
                if time.monotonic() > self._due_s(query) + LATE_S:
                    await self._look_at(asked, query)

    def hush(self) -> None:
        """Say nothing new."""
        self._is_on = False

    async def probe(self, to: str) -> str | None:
        """Ask a last question in a world that is well; return what is wrong with the answer."""
        told = None
        for _ in range(3):
            try:
                answer = await self._bureau.query(
                    _document("probe"), to=to, register="sltd", purpose=Purpose.BORDER_CONTROL, within=f"{PROBE_S}s"
                )
            except BureauError as fault:
                told = f"{self.name} was told {fault.code} when it asked {to} in a calm world"
                await asyncio.sleep(1)
                continue
            self._accepted(answer.state.id, "query")
            is_well = answer.outcome in (Outcome.HIT, Outcome.NO_HIT, Outcome.POSSIBLE)
            return None if is_well else f"{self.name} asked {to} in a calm world: {answer.outcome.value}"
        return told

    async def is_cut_off(self) -> str | None:
        """Return what is wrong with the node's links, or None."""
        try:
            links = (await self._bureau.status()).links
        except BureauError as fault:
            return f"{self.name}: {fault.code}"
        down = [f"{link.hub}:{link.lane}" for link in links if not link.open]
        return f"{self.name} has no link to {', '.join(down)}" if down else None

    async def is_at_rest(self) -> str | None:
        """Return what has not ended yet, or None."""
        try:
            counts = (await self._bureau.status()).counts
        except BureauError as fault:
            return f"{self.name}: {fault.code}"
        left = counts.queued + counts.in_custody + counts.conversations_open + counts.answers_owed + counts.withheld
        return f"{self.name}: {counts}" if left else None

    async def close(self) -> None:
        """Wait for nobody any more."""
        for task in self._errands:
            task.cancel()
        await asyncio.gather(*self._errands, return_exceptions=True)
        await self._bureau.close()

    # --- parts ---

    def _go(self, errand: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(errand)
        self._errands.add(task)
        task.add_done_callback(self._errands.discard)

    async def _say(self) -> None:
        self._said += 1
        chance = self._luck.random()
        try:
            if chance < 0.6:
                await self._ask(is_awaited=self._luck.random() < 0.5)
            elif chance < 0.9:
                await self._write()
            else:
                await self._publish()
        except NotRunning:
            self._ledger.refusals["not-running"] += 1
        except BureauError as fault:
            self._ledger.refusals[fault.code] += 1

    async def _ask(self, *, is_awaited: bool) -> None:
        within_s = self._luck.choice(self._within_s)
        began_s = time.monotonic()
        well_since = self._daemon.well_since
        ask = self._bureau.query if is_awaited else self._bureau.ask
        answer = await ask(
            _document(f"{self.name}{self._said}"),
            to=self._luck.choice(self._others),
            register="sltd",
            purpose=Purpose.BORDER_CONTROL,
            within=f"{within_s}s",
            urgency=self._luck.choice((Urgency.URGENT, Urgency.ROUTINE)),
        )
        self._accepted(answer.state.id, "query")
        early_ms = answer.state.reply_by - time.time_ns() // 1_000_000
        is_early = answer.outcome is Outcome.EXPIRED and early_ms > EARLY_MS_MAX
        if is_early and self._daemon.well_since == well_since < began_s:
            self._break(f"gave a question up {early_ms} ms before its time")
        if answer.outcome in UNFINISHED:
            self._open[answer.state.id] = _Query(
                began_s + within_s, within_s, bool(self._daemon.switches[Switch.CLOCK_MS])
            )
        else:
            self._ledger.ends[answer.outcome.value] += 1

    async def _write(self) -> None:
        to = self._luck.sample(self._others, self._luck.randint(1, len(self._others)))
        text = f"{MARK} {self.name} {self._said} ".ljust(int(self._luck.expovariate(1 / 2_000)) + 1, ".")[:20_000]
        urgency = self._luck.choice((Urgency.ROUTINE, Urgency.BULK))
        taken = await self._bureau.write(
            to=to, subject=f"{MARK} subject", text=text, purpose=Purpose.INVESTIGATION, urgency=urgency
        )
        self._accepted(taken.id, "letter")

    async def _publish(self) -> None:
        notice = Notice(
            colour=Colour.ORANGE,
            event=Event.PUBLISHED,
            number=f"{self.name}/{self._said}",
            text=f"{MARK} in the text",
            title=f"{MARK} in the title",
            valid_until=2**41,
            version=1,
        )
        taken = await self._bureau.publish(notice, purpose=Purpose.ALERT, to=self._others)
        self._accepted(taken.id, "diffusion")

    async def _take_in(self) -> None:
        page = await self._bureau.inbox(limit=50)
        for entry in page.entries:
            before = self._ledger.offered[self.name].setdefault(entry.sid, entry.n)
            if before != entry.n:
                self._break(f"offered one message as entries {before} and {entry.n}")
            if entry.n in self._ledger.confirmed[self.name]:
                self._break(f"offered entry {entry.n} again, which was confirmed")
            await self._bureau.confirm(entry.n)
            self._ledger.confirmed[self.name].add(entry.n)
            self._ledger.confirmed_ns[self.name, entry.n] = time.monotonic_ns()

    async def _look_at(self, id: str, query: _Query) -> None:
        try:
            answer = await self._bureau.answer(id)
        except BureauError:
            return
        if answer.outcome not in UNFINISHED:
            self._ledger.ends[answer.outcome.value] += 1
            del self._open[id]
        elif (late_s := time.monotonic() - self._due_s(query)) > LATE_S:
            self._break(f"has not ended a question {late_s:.1f} s after its time")
            del self._open[id]

    def _due_s(self, query: _Query) -> float:
        """Return by when a question must have ended; infinity while the node is disturbed."""
        # A node that starts by a wrong clock has nothing else to go by, and gives a question its whole time once more.
        again_s = query.within_s if query.had_wrong_clock else 0
        return max(query.over_s, self._daemon.well_since + again_s)

    def _accepted(self, id: str, kind: str) -> None:
        self._ledger.accepted.append(Promise(self.name, id, kind, time.monotonic_ns()))

    def _break(self, what: str) -> None:
        self._ledger.breaches.append(f"{self.name} {what}")


@dataclass
class _Query:
    """A question that had no answer yet: by when it is over, and how long it may last."""

    over_s: float
    within_s: int
    had_wrong_clock: bool


def _document(number: str) -> TravelDocument:
    return TravelDocument(country="UTO", number=f"{MARK}{number}"[:20], type="P")


UNFINISHED = (Outcome.OPEN, Outcome.PENDING)
MESSAGES_A_SECOND = 3.0
PATIENCE_S = 10
PROBE_S = 30
ERRANDS_MAX = 64
# The simulator's bound, and as much again as a process may wait for its turn on a machine that others use too.
LATE_S = LATE_MS_MAX / 1_000 + 7
