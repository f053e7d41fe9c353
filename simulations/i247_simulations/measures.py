"""Measure a run while it goes: latencies by kind, samples over time, marks of what came about.

Sums and histograms only, so that a long run needs no more memory than a short one. docs/simulation.md 5.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable
from itertools import accumulate
from typing import ClassVar, Final

from i247_hub.machine import HubMachine
from i247_node.commands import Accepted
from i247_node.records import ConversationState, DeliveryState, KeepConversation, KeepDelivery, KeepEntry, KeepOutgoing
from i247_protocol.priority import Priority
from i247_simulations.checkers.watching import Checker, Sight
from i247_simulations.node_memory import OPEN
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

    def latency(self, kind: str) -> Latency:
        """Return it as a result tells it."""
        histogram = tuple((EDGES[min(n, len(EDGES) - 1)], self.counts[n]) for n in sorted(self.counts))
        low, high, highest = self.quantile(0.5), self.quantile(0.95), self.quantile(0.99)
        return Latency(kind, self.count, low, high, highest, self.longest_ms, histogram)

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

    looks_at: ClassVar[dict[str, frozenset[type]]] = {
        "told": frozenset({Accepted}),
        "durable": frozenset({KeepConversation, KeepDelivery, KeepEntry, KeepOutgoing}),
    }

    def __init__(self, sight: Sight) -> None:
        super().__init__(sight)
        self.accepted = 0
        self.received = 0
        self.ended = 0
        self.delivered = 0
        self.samples: list[Sample] = []
        self.slowest: tuple[int, bytes] = (0, b"")
        self.sampled: Callable[[Sample], None] | None = None
        """Told of each sample, so that whoever waits sees the run go on; it decides nothing."""
        self._owed: set[tuple[str, int, str]] = set()
        self._by_kind: dict[str, Spread] = {}
        self._by_prio: dict[int, Spread] = {}
        self._asked: dict[bytes, tuple[ConversationState, int]] = {}
        self._ends: Counter[ConversationState] = Counter()
        self._answers = Spread()
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
                self._by_prio.setdefault(sent[4], Spread()).add(took_ms)
                self._recent.add(took_ms)
                if took_ms > self.slowest[0]:
                    self.slowest = took_ms, record.entry.sid
        elif isinstance(record, KeepOutgoing):
            self._owed.update((program.name, one.n, one.recipient) for one in record.deliveries)
        elif isinstance(record, KeepConversation):
            self._ask(record)
        elif isinstance(record, KeepDelivery) and record.delivery.state in ENDED:
            place = program.name, record.delivery.n, record.delivery.recipient
            self.ended += place in self._owed  # what had expired may still be acknowledged later
            self._owed.discard(place)
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
        sample = Sample(at_ms, self.accepted, self.delivered, waiting, frames, *quantiles, self.owed)
        self.samples.append(sample)
        if self.sampled is not None:
            self.sampled(sample)

    @property
    def owed(self) -> int:
        """How many deliveries senders have saved that have not ended."""
        return len(self._owed)

    @property
    def latencies(self) -> tuple[Latency, ...]:
        """The latencies of each kind."""
        return tuple(spread.latency(kind) for kind, spread in sorted(self._by_kind.items()))

    @property
    def priorities(self) -> tuple[Latency, ...]:
        """The latencies of each priority, the most urgent first."""
        found = sorted(self._by_prio.items())
        return tuple(spread.latency(Priority(prio).name.lower()) for prio, spread in found)

    @property
    def answers(self) -> Latency:
        """How long questions took to their last answer."""
        return self._answers.latency("answer")

    @property
    def questions(self) -> dict[str, int]:
        """How many questions stand or ended in each way."""
        still = Counter(state for state, _ in self._asked.values())
        found = {state.value: self._ends[state] + still[state] for state in ConversationState}
        return {state: count for state, count in found.items() if count}

    def _ask(self, record: KeepConversation) -> None:
        now_us = self.sight.now_us()
        _, began_us = self._asked.get(record.conv, (record.state, now_us))
        if record.state in OPEN:
            self._asked[record.conv] = record.state, began_us
        elif self._asked.pop(record.conv, None) is not None:  # an end is saved once; what follows it is none
            self._ends[record.state] += 1
            if record.state is not ConversationState.EXPIRED:
                self._answers.add((now_us - began_us) // 1_000)


ENDED: Final = frozenset({DeliveryState.DELIVERED, DeliveryState.REFUSED, DeliveryState.EXPIRED})
EDGES: Final = tuple(accumulate(range(290), lambda edge, _: max(edge + 1, edge * 21 // 20), initial=1))
