"""Show what went wrong and when, along the phases of a run, and what was refused or lost because of it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from i247_simulations.faults import Fault, end_of
from i247_simulations.report.causes import GROUPS, causes_of
from i247_simulations.report.figures import Canvas, end_shown, figure, phase_bands, rule, text, time_axis
from i247_simulations.report.markup import NOTHING, Cell, Markup, esc, joined, table, tag
from i247_simulations.report.scales import linear
from i247_simulations.report.sheet import para
from i247_simulations.report.told_faults import kind_of, told
from i247_simulations.report.words import count, spaced, span
from i247_simulations.results import Result


def faults_figure(result: Result, label: str) -> Markup:
    """Return the plan as bars along time, one row for each kind of fault."""
    kinds: dict[str, list[Fault]] = {}
    for fault in struck(result):
        kinds.setdefault(kind_of(fault), []).append(fault)

    def draw(canvas: Canvas) -> tuple[Markup, float]:
        left, right, top, high = 116, canvas.width - 12, 22, 24
        end_ms = end_shown(result.phases)
        x = linear(0, end_ms, left, right)
        bottom = top + max(len(kinds), 1) * high
        drawn = [phase_bands(result.phases, x, end_ms, top, bottom), time_axis(x, end_ms, top, bottom, canvas)]
        for n, (kind, faults) in enumerate(sorted(kinds.items())):
            y = top + n * high
            drawn.append(text(left - 8, y + 16, spaced(kind), anchor="end"))
            drawn += [_bar(fault, x(fault.at_ms), x(end_of(fault)), y + 5, high - 10) for fault in faults]
        for breach in result.breaches[:1]:
            drawn.append(rule(x(breach.at_ms), top, x(breach.at_ms), bottom, "breach"))
        return joined(drawn), bottom + 24

    note = "A bar is as long as the fault lasted, a narrow one struck at once."
    note += " The upright line is the broken promise." if result.breaches else ""
    return joined((figure(label, draw, note=note), faults_table(struck(result))))


def struck(result: Result) -> list[Fault]:
    """Return the faults that came about before the run ended; a broken promise ends it early."""
    end_ms = max((phase.end_ms for phase in result.phases), default=0)
    return [fault for fault in result.faults if fault.at_ms <= end_ms]


def faults_table(faults: Sequence[Fault]) -> Markup:
    """Return all faults in words; the first of a long plan, with the others folded away."""
    rows = [(span(fault.at_ms), told(fault)) for fault in faults]
    columns = ("At", "What")
    first = table(columns, rows[:FAULTS_SHOWN], words=2)
    if len(rows) <= FAULTS_SHOWN:
        return first
    others = table(columns, rows[FAULTS_SHOWN:], words=2)
    return joined((first, tag("details", tag("summary", esc(f"The other {len(rows) - FAULTS_SHOWN}")), others)))


def causes_table(result: Result) -> Markup:
    """Return what was refused, lost, repeated or waited for, by cause in plain words."""
    parts = []
    groups = causes_of(result)
    for group, about in GROUPS.items():
        found = groups.get(group)
        if not found:
            continue
        most = max(sum(counts) for counts in found.values())
        rows = [
            (why, Cell(_meter(sum(counts), most)), *map(count, counts))
            for why, counts in sorted(found.items(), key=lambda one: (-sum(one[1]), one[0]))
        ]
        parts += [tag("h3", esc(group)), para(about, "small soft")]
        parts.append(tag("div", table(("Why", "", "Hubs", "Members"), rows, words=2), class_="causes"))
    return joined(parts) if parts else para("Nothing was refused, lost or repeated.")


def _bar(fault: Fault, begin: float, end: float, top: float, high: float) -> Markup:
    title = tag("title", esc(f"At {span(fault.at_ms)} {told(fault)}."))
    return tag("rect", title, x=begin, y=top, width=max(end - begin, 3.0), height=high, rx=1, fill_opacity="0.75", class_="fault")  # fmt: skip


def _meter(number: int, most: int) -> Markup:
    return tag("span", NOTHING, class_="meter", style=f"width:{max(120 * number // most, 2)}px")


FAULTS_SHOWN: Final = 25
