"""Show a run along its own time: how long messages took, what waited, how much each hub carried. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import sqrt
from typing import Final

from i247_simulations.report.figures import (
    Canvas,
    end_shown,
    figure,
    legend,
    path,
    phase_bands,
    rule,
    runs,
    text,
    time_axis,
    value_axis,
)
from i247_simulations.report.markup import NOTHING, Markup, esc, joined, table, tag
from i247_simulations.report.scales import linear, logarithmic, span_ticks
from i247_simulations.report.words import count, span
from i247_simulations.results import Result, Sample


def quantiles_figure(result: Result, label: str) -> Markup:
    """Return the middle and the slowest hundredth of what arrived, sample by sample."""
    samples = [one for one in _shown(result) if one.p99_ms]
    if not samples:
        return NOTHING
    low = max(1, min(one.p50_ms for one in samples) // 2)
    high = max(one.p99_ms for one in samples) * 1.2

    def draw(canvas: Canvas) -> tuple[Markup, float]:
        left, right, top, bottom = 52, canvas.width - 12, 24, 240 if canvas.is_narrow else 280
        end_ms = end_shown(result.phases)
        x, y = linear(0, end_ms, left, right), logarithmic(low, high, bottom, top)
        lines = [
            path(part, kind)
            for kind, points in (
                ("line c1", [(x(one.at_ms), y(one.p99_ms)) if one.p99_ms else None for one in _shown(result)]),
                ("line c0", [(x(one.at_ms), y(one.p50_ms)) if one.p99_ms else None for one in _shown(result)]),
            )
            for part in runs(points)
        ]
        bands = phase_bands(result.phases, x, end_ms, top, bottom)
        grid = value_axis([(y(ms), span(ms)) for ms in span_ticks(low, high)], left, right)
        return joined((bands, grid, time_axis(x, end_ms, top, bottom, canvas), *lines)), bottom + 24

    names = legend([("c0", "half of what arrived took at most"), ("c1", "99 % took at most")])
    rows = [(span(one.at_ms), span(one.p50_ms), span(one.p99_ms)) for one in samples]
    numbers = table(("At", "Half within", "99 % within"), rows)
    return figure(label, draw, legend=names, note=_note(result), numbers=numbers)


def waiting_figure(result: Result, label: str) -> Markup:
    """Return one row for each place where messages wait, all on one scale."""
    samples = _shown(result)
    rows = [("on their way", [one.owed for one in samples])]
    rows += [(hub, [one.waiting.get(hub, 0) for one in samples]) for hub in _by_need(result, "waiting")]
    most = max((value for _, values in rows for value in values), default=0) or 1

    def draw(canvas: Canvas) -> tuple[Markup, float]:
        left, right, top, high, gap = 104, canvas.width - 46, 22, 30, 10
        end_ms = end_shown(result.phases)
        x = linear(0, end_ms, left, right)
        bottom = top + len(rows) * (high + gap)
        drawn = [phase_bands(result.phases, x, end_ms, top, bottom), time_axis(x, end_ms, top, bottom, canvas)]
        for n, (name, values) in enumerate(rows):
            floor = top + (n + 1) * (high + gap) - 2
            y = linear(0, most, floor, floor - high)
            line = [(x(one.at_ms), y(value)) for one, value in zip(samples, values, strict=True)]
            kind = "1" if n == 0 else "0"
            drawn.append(path([(line[0][0], floor), *line, (line[-1][0], floor)], f"area f{kind}", closed=True))
            drawn.append(path(line, f"line solid c{kind}"))
            drawn += [text(left - 8, floor - 4, name, anchor="end"), rule(left, floor, right, floor, "grid")]
            drawn.append(text(right + 6, floor - 4, count(max(values)), kind="tick"))
        return joined(drawn), bottom + 24

    columns = ("At", *(name for name, _ in rows))
    numbers = table(columns, [(span(one.at_ms), *(values[n] for _, values in rows)) for n, one in enumerate(samples)])
    note = "First, deliveries that senders have saved and that have not ended; below, rows that wait at each hub. At the right, the most of each. "
    return figure(label, draw, note=note + _note(result), numbers=numbers)


def load_figure(result: Result, label: str) -> Markup:
    """Return the heat map of frames that each hub sent, the busiest hub first."""
    hubs = _by_need(result, "frames")
    samples = _shown(result)
    if len(samples) < 2:
        return NOTHING
    columns_max = {False: 75, True: 26}

    def draw(canvas: Canvas) -> tuple[Markup, float]:
        left, right, top, high = 104, canvas.width - 12, 22, 26
        end_ms = end_shown(result.phases)
        x = linear(0, end_ms, left, right)
        bottom = top + len(hubs) * high
        drawn = [phase_bands(result.phases, x, end_ms, top, top), tag("rect", x=left, y=top, width=right - left, height=bottom - top, class_="cellbed")]  # fmt: skip
        rates = {hub: _rates(samples, hub, columns_max[canvas.is_narrow]) for hub in hubs}
        most = max((rate for row in rates.values() for _, _, rate in row), default=0) or 1
        for n, hub in enumerate(hubs):
            drawn.append(text(left - 8, top + n * high + 17, hub, anchor="end"))
            for begin, end, rate in rates[hub]:
                if rate:
                    title = tag("title", esc(f"{hub}, {span(begin)} to {span(end)}: {rate:.1f} frames a second"))
                    wide, opaque = max(x(end) - x(begin) - 0.6, 0.5), _shade(rate / most)
                    drawn.append(tag("rect", title, x=x(begin), y=top + n * high + 1, width=wide, height=high - 2, fill_opacity=opaque, class_="heat"))  # fmt: skip
        drawn += [
            time_axis(x, end_ms, bottom, bottom, canvas),
            _scale(8 if canvas.is_narrow else left, bottom + 30, most),
        ]
        return joined(drawn), bottom + 62

    rows = [(hub, *(f"{rate:.1f}" for _, _, rate in _rates(samples, hub, 12))) for hub in hubs]
    times = [f"to {span(end)}" for _, end, _ in _rates(samples, hubs[0], 12)] if hubs else []
    numbers = table(("Frames a second", *times), rows)
    return figure(label, draw, note=_note(result), numbers=numbers)


def _shown(result: Result) -> list[Sample]:
    end_ms = end_shown(result.phases)
    found = [one for one in result.samples if one.at_ms <= end_ms]
    step = -(-len(found) // SAMPLES_MAX)
    return found[::step] if step > 1 else found


def _by_need(result: Result, name: str) -> list[str]:
    """Return the hubs, the one with the highest value of a sample first."""
    most = {hub: max((getattr(one, name).get(hub, 0) for one in result.samples), default=0) for hub in result.hubs}
    return sorted(result.hubs, key=lambda hub: (-most[hub], hub))


def _rates(samples: Sequence[Sample], hub: str, columns: int) -> list[tuple[int, int, float]]:
    """Return (begin, end, frames a second) of at most so many parts of the time."""
    step = -(-(len(samples) - 1) // columns)
    found = []
    edges = [*samples[:-1:step], samples[-1]]
    for before, after in pairwise(edges):
        length = after.at_ms - before.at_ms
        if length > 0:
            sent = after.frames.get(hub, 0) - before.frames.get(hub, 0)
            found.append((before.at_ms, after.at_ms, sent * 1_000 / length))
    return found


def _shade(share: float) -> str:
    """Return how dark a cell is; by the root, so that a busy start leaves the rest its differences."""
    return f"{0.06 + 0.94 * sqrt(share):.2f}"


def _scale(left: float, top: float, most: float) -> Markup:
    drawn = []
    for n in range(1, 6):
        share = (n / 5) ** 2
        x = left + (n - 1) * 48
        drawn.append(tag("rect", x=x, y=top, width=47, height=14, fill_opacity=_shade(share), class_="heat"))
        drawn.append(text(x + 47, top + 28, f"{most * share:.3g}", anchor="end", kind="tick"))
    return joined((*drawn, text(left + 5 * 48 + 6, top + 12, "frames a second", kind="tick")))


def _note(result: Result) -> str:
    end_ms = max((phase.end_ms for phase in result.phases), default=0)
    shown = end_shown(result.phases)
    return f"Not shown: the rest until {span(end_ms)}, in which nothing new was said." if end_ms > shown else ""


SAMPLES_MAX: Final = 400
