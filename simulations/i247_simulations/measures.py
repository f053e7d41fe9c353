"""Measure a run while it goes: latencies by kind, samples over time, marks of what came about.

Sums and histograms only, so that a long run needs no more memory than a short one. docs/simulation.md 5.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from itertools import accumulate
from typing import Final

from i247_hub.machine import HubMachine
from i247_node.commands import Accepted
from i247_node.records import DeliveryState, KeepDelivery, KeepEntry
from i247_simulations.checkers.watching import Checker, Sight
from i247_simulations.programs import Program
from i247_simulations.results import Latency, Sample


class Spread:
    """A histogram of times."""

    def __init__(self) -> None:
        self.counts: Counter[int] = Counter()
        self.count = 0
        self.longest_ms = 0

    def add(self, ms: int) -> None:
        """Count one time."""
        self.counts[bisect_left(EDGES, ms)] += 1
        self.count += 1
        self.longest_ms = max(self.longest_ms, ms)

    def quantile(self, share: float) -> int:
        """Return the upper edge of the bucket in which a quantile lies, or 0 for nothing."""
        wanted, seen = share * self.count, 0
        for bucket in sorted(self.counts):
            seen += self.counts[bucket]
            if seen >= wanted:
                return min(EDGES[min(bucket, len(EDGES) - 1)], self.longest_ms)
        return 0


class Measures(Checker):
    """What a result tells of a run, beside its promises."""

    def __init__(self, sight: Sight) -> None:
        super().__init__(sight)
        self.accepted = 0
        self.received = 0
        self.ended = 0
        self.delivered = 0
        self.samples: list[Sample] = []
        self.slowest: tuple[int, bytes] = (0, b"")
        self._by_kind: dict[str, Spread] = {}
        self._recent = Spread()

    def told(self, program: Program, news: object) -> None:
        """Count what is accepted."""
        if isinstance(news, Accepted) and news.sid:
            self.accepted += 1

    def durable(self, program: Program, record: object) -> None:
        """Take the time of an arrival, count an end."""
        if isinstance(record, KeepEntry):
            self.received += 1
            sent = self.sight.sent.get(record.entry.sid)
            if sent is not None:
                took_ms = (self.sight.now_us() - sent[1]) // 1_000
                self._by_kind.setdefault(sent[3], Spread()).add(took_ms)
                self._recent.add(took_ms)
                if took_ms > self.slowest[0]:
                    self.slowest = took_ms, record.entry.sid
        elif isinstance(record, KeepDelivery) and record.delivery.state in ENDED:
            self.ended += 1
            self.delivered += record.delivery.state is DeliveryState.DELIVERED

    def sample(self, frames: dict[str, int]) -> None:
        """Note how the world stands."""
        waiting = {
            name: sum(rows for _, _, rows, _ in program.machine.waiting())
            for name, program in self.sight.programs.items()
            if isinstance(program.machine, HubMachine)
        }
        recent, self._recent = self._recent, Spread()
        at_ms = self.sight.now_us() // 1_000
        quantiles = recent.quantile(0.5), recent.quantile(0.99)
        self.samples.append(Sample(at_ms, self.accepted, self.delivered, waiting, frames, *quantiles))

    def latencies(self) -> tuple[Latency, ...]:
        """Return the latencies of each kind."""
        return tuple(
            Latency(
                kind,
                spread.count,
                spread.quantile(0.5),
                spread.quantile(0.95),
                spread.quantile(0.99),
                spread.longest_ms,
                tuple((EDGES[min(n, len(EDGES) - 1)], spread.counts[n]) for n in sorted(spread.counts)),
            )
            for kind, spread in sorted(self._by_kind.items())
        )


ENDED: Final = frozenset({DeliveryState.DELIVERED, DeliveryState.REFUSED, DeliveryState.EXPIRED})
EDGES: Final = tuple(accumulate(range(80), lambda edge, _: max(edge + 1, edge * 6 // 5), initial=1))
