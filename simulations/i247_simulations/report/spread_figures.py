"""Show how long messages took: the share that had arrived after so long, by kind, and the numbers. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from i247_simulations.measures import EDGES
from i247_simulations.report.figures import Canvas, figure, legend, path, rule, text, value_axis
from i247_simulations.report.markup import Markup, joined, table
from i247_simulations.report.scales import linear, logarithmic, span_ticks
from i247_simulations.report.words import KINDS, count, span
from i247_simulations.results import Latency


def spread_figure(latencies: Sequence[Latency], label: str) -> Markup:
    """Return the curve of each kind, the most frequent first."""
    shown = sorted(latencies, key=lambda one: (-one.count, one.kind))[:CURVES_MAX]
    low = max(1, min(one.histogram[0][0] for one in shown) // 2)
    high = max(one.max_ms for one in shown)

    def draw(canvas: Canvas) -> tuple[Markup, float]:
        left, right, top, bottom = 46, canvas.width - 12, 14, 250 if canvas.is_narrow else 300
        x, y = logarithmic(low, high, left, right), linear(0, 1, bottom, top)
        grid = value_axis([(y(share / 100), f"{share} %") for share in (0, 25, 50, 75, 100)], left, right)
        ticks = []
        for ms in span_ticks(low, high):
            ticks += [
                rule(x(ms), top, x(ms), bottom, "grid"),
                text(x(ms), bottom + 16, span(ms), anchor="middle", kind="tick"),
            ]
        lines = [
            path(
                [(x(ms), y(share)) for ms, share in curve(one)],
                f"line c{n}",
                f"{name_of(one)}: half within {span(one.p50_ms)}",
            )
            for n, one in reversed(list(enumerate(shown)))
        ]
        return joined((grid, *ticks, rule(left, bottom, right, bottom), *lines)), bottom + 24

    numbers = spread_table(latencies, "Kind")
    kinds = legend([(f"c{n}", name_of(one)) for n, one in enumerate(shown)])
    note = "Share of messages that had arrived after this time; the time grows by a factor from line to line."
    return joined((figure(label, draw, legend=kinds, note=note), numbers))


def spread_table(latencies: Sequence[Latency], what: str) -> Markup:
    """Return the quantiles of each kind."""
    rows = [
        (name_of(one), count(one.count), *map(span, (one.p50_ms, one.p95_ms, one.p99_ms, one.max_ms)))
        for one in latencies
    ]
    columns = (what, "Count", "50 %", "95 %", "99 %", "Slowest")
    return table(columns, rows, caption="Within which time that share arrived, to a twentieth; the slowest is exact.")


def curve(one: Latency) -> list[tuple[float, float]]:
    """Return (ms, share that had arrived) along a histogram."""
    points: list[tuple[float, float]] = []
    seen = 0
    for edge, number in one.histogram:
        points.append((max(BELOW.get(edge, edge), 1), seen / one.count))
        seen += number
        points.append((min(edge, one.max_ms), seen / one.count))
    return points


def name_of(one: Latency) -> str:
    """Return the name of a kind of message."""
    return KINDS.get(one.kind, one.kind)


CURVES_MAX: Final = 6
BELOW: Final = dict(zip(EDGES[1:], EDGES, strict=False))
