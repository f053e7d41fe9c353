"""Queries from France through two hubs to Singapore and back, everything saved at every place; memory when idle."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from i247_node.commands import AskQuestion, ConversationMoved
from i247_node.embed import EmbeddedNode
from i247_node.engine import Moved
from i247_protocol.handling import ROUTINE_HANDLING, Purpose
from i247_protocol.names import MemberCode
from i247_protocol.priority import Priority
from i247_protocol.queries import TravelDocument
from measures import Row, cpu_s, median, resident_mb, spread
from network import founded

IN_FLIGHT = 64


class Asker:
    """France's node, in this process."""

    def __init__(self, node: EmbeddedNode) -> None:
        self.node = node
        self.ended = 0
        self.asked = 0
        node.follow(self._follow)

    def ready(self) -> None:
        end = time.monotonic() + 20
        while True:
            self.node.step(50)
            status = self.node.status()
            if all(link.open for link in status.links) and status.cards >= 1:
                return
            if time.monotonic() > end:
                raise TimeoutError("the network does not come up")

    def ask(self, count: int, in_flight: int) -> list[float]:
        """Ask `count` questions, so many at a time; return the time of each when it is one at a time, in ms."""
        goal, target, times, begun = self.ended + count, self.asked + count, list[float](), 0.0
        while self.ended < goal:
            while self.asked < target and self.asked - self.ended < in_flight:
                self.asked += 1
                begun = time.perf_counter()
                self.node.ask(_question(self.asked), lambda answer: None)
            before = self.ended
            self.node.step(100)
            if self.ended > before:
                times.append((time.perf_counter() - begun) * 1000)
        return times

    def _follow(self, news: Sequence[Moved]) -> None:
        self.ended += sum(isinstance(one, ConversationMoved) for one in news)


def rows(rounds: int, queries: int, folder: Path) -> list[Row]:
    """Measure, and return the lines of the table."""
    network = founded(folder, {"FR": "lyon", "SG": "singapore", "XP": "lyon"})
    try:
        for name in ("lyon", "singapore", "SG"):
            network.start(name)
        with EmbeddedNode.open(network.config("FR")) as node:
            asker = Asker(node)
            asker.ready()
            pids = {name: process.pid for name, process in network.running.items()}
            memory = {name: resident_mb(pid) for name, pid in pids.items()}
            asker.ask(100, 16)
            rates, alone = [], list[float]()
            used = {name: cpu_s(pid) for name, pid in pids.items()}
            mine = time.process_time()
            for _ in range(rounds):
                begin = time.perf_counter()
                asker.ask(queries, IN_FLIGHT)
                rates.append(queries / (time.perf_counter() - begin))
            total = rounds * queries
            parts = {name: (cpu_s(pid) - used[name]) / total * 1e6 for name, pid in pids.items()}
            parts["FR"] = (time.process_time() - mine) / total * 1e6
            for _ in range(rounds):
                alone += asker.ask(max(50, queries // 20), 1)
    finally:
        network.close()
    alone.sort()
    shares = ", ".join(f"{name} {share:.0f}" for name, share in sorted(parts.items()))
    return [
        Row(
            f"queries, {IN_FLIGHT} in flight",
            f"{median(rates):,.0f} /s",
            spread(rates, ",.0f"),
            "≥ 1,500 /s",
            "durable",
        ),
        Row("  processor time a query", f"{sum(parts.values()):,.0f} µs", "", "", shares),
        Row("query, one at a time: p50", f"{alone[len(alone) // 2]:.1f} ms", "", "≤ 3 ms", "durable"),
        Row("query, one at a time: p99", f"{alone[len(alone) * 99 // 100]:.1f} ms", "", "", "durable"),
        Row("resident memory, idle node", f"{memory['SG']:.0f} MB", "", "≤ 60 MB", "RSS, just started"),
        Row("resident memory, idle hub", f"{memory['lyon']:.0f} MB", "", "≤ 60 MB", "RSS, just started"),
    ]


def _rate(rates: Sequence[float]) -> str:
    return f"{median(rates):,.0f} /s"


def _question(n: int) -> AskQuestion:
    document = TravelDocument(country="UTO", number=f"X{n}", type="P")
    return AskQuestion(
        0, MemberCode("SG"), "sltd", document, Purpose.BORDER_CONTROL, 100_000, Priority.ROUTINE, ROUTINE_HANDLING
    )
