"""Name the few numbers by which runs are compared, and read them from a result. Pure. docs/simulation.md 5.

The keys are stable: files of sweeps and comparisons hold them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

from i247_simulations.results import Latency, Result


class Metric(NamedTuple):
    """One number of a run: its key in files, what it is called, its unit (`ms`, `%`, `bytes`, or none), how to read it."""

    key: str
    name: str
    unit: str
    of: Callable[[Result], float | None]


def values_of(result: Result) -> dict[str, float | None]:
    """Return every metric of a run; None where the run has none, such as a latency when nothing arrived."""
    return {metric.key: metric.of(result) for metric in METRICS}


def together(latencies: Iterable[Latency], kind: str = "all") -> Latency:
    """Return all kinds as one."""
    some = tuple(latencies)
    buckets: dict[int, int] = {}
    for one in some:
        for edge, number in one.histogram:
            buckets[edge] = buckets.get(edge, 0) + number
    histogram = tuple(sorted(buckets.items()))
    total, longest = sum(buckets.values()), max((one.max_ms for one in some), default=0)
    p50_ms, p95_ms, p99_ms = (_quantile(histogram, share * total, longest) for share in (0.5, 0.95, 0.99))
    return Latency(kind, total, p50_ms, p95_ms, p99_ms, longest, histogram)


def carried(result: Result) -> dict[str, int]:
    """Return how many frames each hub has sent."""
    sent = dict.fromkeys(result.hubs, 0)
    for flow in result.flows:
        if flow.sender in sent:
            sent[flow.sender] += flow.frames
    return sent


def counted(result: Result, counter: str) -> int:
    """Return how often all programs together counted something."""
    return sum(counters.get(counter, 0) for counters in result.counters.values())


def _quantile(histogram: Iterable[tuple[int, int]], wanted: float, longest: int) -> int:
    seen = 0
    for edge, number in histogram:
        seen += number
        if seen >= wanted:
            return min(edge, longest)
    return 0


def _arrival(read: Callable[[Latency], int]) -> Callable[[Result], float | None]:
    def found(result: Result) -> float | None:
        whole = together(result.latencies)
        return read(whole) if whole.count else None

    return found


def _answer(read: Callable[[Latency], int]) -> Callable[[Result], float | None]:
    return lambda result: read(result.answers) if result.answers.count else None


def _answered(result: Result) -> float | None:
    asked = sum(result.questions.values())
    return 100 * result.questions.get("answered", 0) / asked if asked else None


def _rest(result: Result) -> float | None:
    return next((phase.end_ms - phase.begin_ms for phase in result.phases if phase.name == "quiet"), None)


def _share(result: Result) -> float | None:
    sent = carried(result)
    return 100 * max(sent.values()) / sum(sent.values()) if any(sent.values()) else None


METRICS: Final = (
    Metric("accepted", "messages accepted", "", lambda result: result.accepted),
    Metric("latency_p50_ms", "half arrived within", "ms", _arrival(lambda one: one.p50_ms)),
    Metric("latency_p95_ms", "95 % arrived within", "ms", _arrival(lambda one: one.p95_ms)),
    Metric("latency_p99_ms", "99 % arrived within", "ms", _arrival(lambda one: one.p99_ms)),
    Metric("latency_max_ms", "slowest arrival", "ms", _arrival(lambda one: one.max_ms)),
    Metric("answered_percent", "questions answered", "%", _answered),
    Metric("answer_p50_ms", "half of the answers within", "ms", _answer(lambda one: one.p50_ms)),
    Metric("answer_p99_ms", "99 % of the answers within", "ms", _answer(lambda one: one.p99_ms)),
    Metric("expired", "deliveries that expired", "", lambda result: counted(result, "delivery.expired")),
    Metric("sent_again", "messages sent again", "", lambda result: counted(result, "sent-again")),
    Metric("duplicates", "duplicates refused", "", lambda result: counted(result, "refused.duplicate")),
    Metric("owed_max", "most deliveries on their way", "", lambda result: max((s.owed for s in result.samples), default=0)),
    Metric("waiting_max", "most rows waiting at one hub", "", lambda result: max((n for s in result.samples for n in s.waiting.values()), default=0)),
    Metric("hub_share_percent", "busiest hub's share of frames", "%", _share),
    Metric("frames", "frames sent", "", lambda result: sum(flow.frames for flow in result.flows)),
    Metric("bytes", "bytes sent", "bytes", lambda result: sum(flow.bytes for flow in result.flows)),
    Metric("rest_ms", "time until all had come to rest", "ms", _rest),
)  # fmt: skip
BY_KEY: Final = {metric.key: metric for metric in METRICS}
