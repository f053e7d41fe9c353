"""Measure queries from France through lyon and singapore to Singapore and back, saved at all four places.

Four processes: the two hubs, Singapore's node with a register of its own, and France's node in this one, by the driver
for host programs. docs/performance.md 5.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from typing import Final

from couple import BareCouple
from i247_node.commands import AskQuestion, ConversationMoved
from i247_node.embed import EmbeddedNode
from i247_node.engine import Moved
from i247_protocol.handling import ROUTINE_HANDLING, Purpose
from i247_protocol.names import MemberCode
from i247_protocol.priority import Priority
from i247_protocol.queries import TravelDocument
from measures import cpu_s, in_turn, median, per_call_us, percentile, spread
from network import ANSWERER, ASKER, REGISTER, World, bare_hub
from probes import disk_times, opening_primitives, sealing_primitives, told
from table import Figure

BUDGET_S: Final = 60.0


def measure(world: World, budget_s: float) -> Iterator[Figure]:
    """Yield rate, processor time and round trips of queries."""
    before = disk_times(world.folder)
    with ExitStack() as stack:
        pids = stack.enter_context(world.running("lyon", "singapore", ANSWERER)) | {ASKER: os.getpid()}
        node = stack.enter_context(EmbeddedNode.open(world.config(ASKER)))
        echoes = stack.enter_context(closing(BareCouple(stack.enter_context(bare_hub(world.folder)))))
        asker = Asker(node, question)
        asker.wait_until_ready()
        asker.ask_for(WARM_UP_S, IN_FLIGHT)
        used = {name: cpu_s(pid) for name, pid in pids.items()}
        asked = asker.ended
        (rates,) = in_turn(budget_s / 2, lambda: asker.rate(IN_FLIGHT))
        total = asker.ended - asked
        shares = {name: (cpu_s(pid) - used[name]) / total * 1e6 for name, pid in pids.items()}
        asker.alone.clear()
        _, *floors = in_turn(
            budget_s / 3,
            lambda: asker.rate(1),
            _primitives_us,
            lambda: median([echoes.echo() for _ in range(CALLS)]) * 1e6,
            lambda: median(disk_times(world.folder, CALLS).commits),
        )
    primitives, hop, commit = map(median, floors)
    yield from _together(rates, shares, primitives, told(before, disk_times(world.folder)))
    yield _alone(asker.alone, primitives, hop, commit)


def _together(rates: Sequence[float], shares: Mapping[str, float], primitives: float, disk: str) -> Iterator[Figure]:
    whole = sum(shares.values())
    possible = (os.cpu_count() or 1) * 1e6 / whole
    yield Figure(
        f"queries, {IN_FLIGHT} in flight",
        f"{median(rates):,.0f} /s",
        spread(rates, ",.0f"),
        f"≥ {RATE_MIN:,} /s",
        median(rates) >= RATE_MIN,
        f"{possible / median(rates):.1f}",
        note=(
            "asker, two hubs, answerer: four processes, all durable, from the question to its answer told. Floor: "
            f"this machine's processors, never idle, at the cost below: {possible:,.0f} /s"
        ),
        disk=disk,
    )
    yield Figure(
        "  processor time of all, each",
        f"{whole:,.0f} µs",
        "",
        "",
        None,
        f"{whole / primitives:.1f}",
        note=(
            ", ".join(f"{name} {share:,.0f}" for name, share in shares.items())
            + f" µs; floor: the primitives of query and reply at both ends, {primitives:.0f} µs"
        ),
    )


def _alone(times: Sequence[float], primitives: float, hop: float, commit: float) -> Figure:
    floor = (primitives + 3 * hop + 3 * commit) / 1e3
    return Figure(
        "query, one at a time, p50",
        f"{median(times):.1f} ms",
        spread(times, ".1f"),
        f"≤ {P50_MS_MAX} ms",
        median(times) <= P50_MS_MAX,
        f"{median(times) / floor:.1f}",
        note=(
            f"p99 {percentile(times, 0.99):.1f} ms of {len(times):,}. Floor {floor:.2f} ms: primitives, three commits "
            f"in a row of {commit:.0f} µs, three bare CURVE echoes of {hop:.0f} µs"
        ),
    )


class Asker:
    """France's node in this process."""

    def __init__(self, node: EmbeddedNode, question: Callable[[int], AskQuestion]) -> None:
        self.ended = 0
        self.alone: list[float] = []
        self._asked = 0
        self._node = node
        self._question = question
        node.follow(self._follow)

    def wait_until_ready(self) -> None:
        """Wait for links, and for the answerer's keycard."""
        end = time.monotonic() + PATIENCE_S
        while True:
            self._node.step(50)
            status = self._node.status()
            if all(link.open for link in status.links) and status.cards:
                return
            if time.monotonic() > end:
                raise TimeoutError("waited for the network")

    def rate(self, in_flight: int) -> float:
        """Ask for one round, and return how many ended in a second."""
        ended, began = self.ended, time.perf_counter()
        self.ask_for(ROUND_S, in_flight)
        return (self.ended - ended) / (time.perf_counter() - began)

    def ask_for(self, seconds: float, in_flight: int) -> None:
        """Ask, and wait for the last answer; note the ms of each when they go one at a time."""
        until = time.monotonic() + seconds
        began = time.perf_counter()
        while (is_time := time.monotonic() < until) or self._asked > self.ended:
            while is_time and self._asked - self.ended < in_flight:
                self._asked += 1
                began = time.perf_counter()
                self._node.ask(self._question(self._asked), lambda _: None)
            before = self.ended
            self._node.step(100)
            if in_flight == 1 and self.ended > before:
                self.alone.append((time.perf_counter() - began) * 1e3)
            if time.monotonic() > until + PATIENCE_S:
                raise TimeoutError("waited for answers")

    def _follow(self, news: Sequence[Moved]) -> None:
        for one in news:
            if isinstance(one, ConversationMoved):
                if one.reply is None:
                    raise RuntimeError("a query ended without an answer")
                self.ended += 1


def _primitives_us() -> float:
    return 2 * (per_call_us(sealing_primitives, CALLS) + per_call_us(opening_primitives, CALLS))


def question(n: int) -> AskQuestion:
    """Return a question, another one for each number."""
    document = TravelDocument(country="UTO", number=f"X{n}", type="P")
    return AskQuestion(
        0, MemberCode(ANSWERER), REGISTER, document, Purpose.BORDER_CONTROL, 100_000, Priority.ROUTINE, ROUTINE_HANDLING
    )


IN_FLIGHT: Final = 64
WARM_UP_S: Final = 0.5
ROUND_S: Final = 1.0
PATIENCE_S: Final = 30.0
CALLS: Final = 20
RATE_MIN: Final = 1_500
P50_MS_MAX: Final = 3
