"""Draw the parts that all figures share: the two widths, axes, lines, phases. Pure.

Each figure is drawn twice, for wide and for narrow windows, so that its letters stay readable on a telephone; the
sheet shows one of them. What a figure shows is also said in its label, and its numbers stand in a table below it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple

from i247_simulations.report.markup import NOTHING, Markup, esc, joined, tag
from i247_simulations.report.scales import Scale, time_ticks
from i247_simulations.report.words import span
from i247_simulations.results import Phase


class Canvas(NamedTuple):
    """Where a figure is drawn."""

    width: int
    is_narrow: bool


Draw = Callable[[Canvas], tuple[Markup, float]]
"""Return what stands in a figure, and how high it is."""


def figure(label: str, draw: Draw, *, legend: Markup = NOTHING, note: str = "", numbers: Markup = NOTHING) -> Markup:
    """Return a figure with its text alternative, what its colours mean, and its numbers folded away."""
    drawn = [_svg(label, draw, canvas) for canvas in (WIDE, NARROW)]
    caption = tag("figcaption", esc(note)) if note else NOTHING
    return joined((tag("figure", legend, *drawn, caption), folded("The numbers", numbers)))


def folded(title: str, inside: Markup) -> Markup:
    """Return what is shown when somebody asks for it."""
    return tag("details", tag("summary", esc(title)), inside) if inside else NOTHING


def legend(entries: Iterable[tuple[str, str]]) -> Markup:
    """Return what lines mean: (class, name)."""
    sample = '<svg viewBox="0 0 26 10" aria-hidden="true"><path class="line {}" d="M1 5H25"/></svg>'
    items = [tag("li", Markup(sample.format(kind)), esc(name)) for kind, name in entries]
    return tag("ul", *items, class_="legend")


def text(x: float, y: float, words: str, *, anchor: str | None = None, kind: str | None = None) -> Markup:
    """Return words in a figure."""
    return tag("text", esc(words), x=x, y=y, text_anchor=anchor, class_=kind)


def rule(x1: float, y1: float, x2: float, y2: float, kind: str = "rule") -> Markup:
    """Return a straight line."""
    return tag("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=kind)


def path(points: Sequence[tuple[float, float]], kind: str, title: str = "", *, closed: bool = False) -> Markup:
    """Return a line through points; a single one is a dot."""
    if len(points) == 1:
        return tag("circle", tag("title", esc(title)) if title else NOTHING, cx=points[0][0], cy=points[0][1], r=2.2, class_=f"dot {kind}")  # fmt: skip
    moves = "L".join(f"{_short(x)} {_short(y)}" for x, y in points)
    return tag(
        "path", tag("title", esc(title)) if title else NOTHING, d=f"M{moves}{'Z' if closed else ''}", class_=kind
    )


def runs(points: Iterable[tuple[float, float] | None]) -> list[list[tuple[float, float]]]:
    """Return points as unbroken parts; None breaks."""
    parts: list[list[tuple[float, float]]] = [[]]
    for point in points:
        if point is not None:
            parts[-1].append(point)
        elif parts[-1]:
            parts.append([])
    return [part for part in parts if part]


def time_axis(x: Scale, end_ms: float, top: float, bottom: float, canvas: Canvas) -> Markup:
    """Return the axis of a run's own time, with fine lines up through the figure."""
    drawn = []
    for ms in time_ticks(end_ms, int((x(end_ms) - x(0)) // TICK_WIDTH)):
        drawn.append(rule(x(ms), top, x(ms), bottom, "grid"))
        anchor = "end" if x(ms) > canvas.width - 28 else "middle"
        drawn.append(text(x(ms), bottom + 16, span(ms) if ms else "0", anchor=anchor, kind="tick"))
    return joined((*drawn, rule(x(0), bottom, x(end_ms), bottom)))


def value_axis(ticks: Iterable[tuple[float, str]], left: float, right: float) -> Markup:
    """Return lines across a figure with their values: (place, words)."""
    drawn = []
    for y, words in ticks:
        drawn.append(rule(left, y, right, y, "grid"))
        drawn.append(text(left - 6, y + 4, words, anchor="end", kind="tick"))
    return joined(drawn)


def phase_bands(phases: Sequence[Phase], x: Scale, end_ms: float, top: float, bottom: float) -> Markup:
    """Return the phases of a run as bands, those that have room with their names above."""
    drawn = []
    for n, phase in enumerate(phases):
        begin, end = x(min(phase.begin_ms, end_ms)), x(min(phase.end_ms, end_ms))
        if end <= begin:
            continue
        drawn.append(tag("rect", x=begin, y=top, width=end - begin, height=bottom - top, class_=f"phase phase{n % 2}"))
        if end - begin > 7 * len(phase.name):
            drawn.append(text(begin + 3, top - 6, phase.name, kind="tick"))
    return joined(drawn)


def end_shown(phases: Sequence[Phase]) -> int:
    """Return until when a figure over time goes: a long rest at the end is cut, so that the rest can be seen."""
    end = max((phase.end_ms for phase in phases), default=1)
    begin = phases[-1].begin_ms if phases else 0
    return max(1, min(end, 2 * begin) if begin else end)


def _svg(label: str, draw: Draw, canvas: Canvas) -> Markup:
    inside, height = draw(canvas)
    kind = "narrow" if canvas.is_narrow else "wide"
    return tag("svg", inside, viewBox=f"0 0 {canvas.width} {height:.0f}", class_=kind, role="img", aria_label=label)


def _short(number: float) -> str:
    return f"{number:.1f}".removesuffix(".0")


TICK_WIDTH: Final = 80
WIDE: Final = Canvas(900, is_narrow=False)
NARROW: Final = Canvas(360, is_narrow=True)
