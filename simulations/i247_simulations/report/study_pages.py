"""Write the pages of studies: two runs beside one another, and a sweep. Pure. docs/simulation.md 5."""

from __future__ import annotations

from math import log10

from i247_simulations.comparing import Comparison
from i247_simulations.metrics import BY_KEY, METRICS, Metric, together
from i247_simulations.report.figures import Canvas, figure, rule, text
from i247_simulations.report.markup import NOTHING, Cell, Markup, esc, joined, table, tag
from i247_simulations.report.scales import linear
from i247_simulations.report.sheet import banner, command, page, para, section, stack
from i247_simulations.report.spread_figures import spread_figure
from i247_simulations.report.words import factor, listed, many, signed, span, value_words
from i247_simulations.results import Result
from i247_simulations.sweeping import Estimate, Sweep, change, estimate


def compare_page(first: Result, second: Result, found: Comparison) -> str:
    """Return two runs beside one another as a page."""
    title = comparison_headline(found)
    sides = "First and second run; what is told of the second is against the first."
    top = banner("i247 simulation · two runs compared", title, sides, "plain")
    commands = joined(command(side.command) for side in found.sides)
    warnings = tag("ul", *(tag("li", esc(words)) for words in found.warnings)) if found.warnings else NOTHING
    verdicts = [(name, side.verdict, side.trace) for name, side in zip(("first", "second"), found.sides, strict=True)]
    parts = [
        top,
        commands,
        section("unlike", "What makes them unlike", warnings) if found.warnings else NOTHING,
        section("numbers", "What changed", _ratios(found), _comparison_table(found)),
    ]
    curves = [together(one.latencies, name) for name, one in (("first", first), ("second", second))]
    if all(one.count for one in curves):
        parts.append(section("latency", "How long messages took", spread_figure(curves, "All messages of both runs.")))
    parts.append(section("verdicts", "Verdicts", table(("Run", "Verdict", "Trace"), verdicts, words=3)))
    return page(f"{title} · two runs", *parts)


def comparison_headline(found: Comparison) -> str:
    """Return the difference that most people ask for first, as one line."""
    one = next(difference for difference in found.differences if difference.key == "latency_p99_ms")
    if one.first is None or one.second is None:
        return "Two runs, one of which delivered nothing"
    if one.ratio is None or 0.98 <= one.ratio <= 1.02:
        return f"As fast as before: 99 % arrived within {span(one.second)}"
    words = "slower" if one.ratio > 1 else "faster"
    times = one.ratio if one.ratio > 1 else 1 / one.ratio
    return f"{times:,.{0 if times >= 10 else 1}f} times {words}: 99 % arrived within {span(one.second)} instead of {span(one.first)}"


def sweep_page(found: Sweep) -> str:
    """Return a sweep as a page."""
    names = [name_of(cell.settings) for cell in found.cells]
    broken = [end.seed for cell in found.cells for end in cell.ends if end.verdict.value == "broken"]
    title = f"{found.scenario}: {many(len(found.cells), 'setting')}, {many(len(found.seeds), 'seed')} each"
    under = f"A promise is broken in {many(len(broken), 'run')}." if broken else "Every promise held in all of them."
    top = banner(f"i247 simulation · sweep · version {found.version}", title, under, "bad" if broken else "good")
    lead = "All settings have the same seeds, and so the same luck. A dot is the mean over the seeds, a line its "
    lead += "interval of 95 %; where lines do not meet the setting matters, and where they do it may still: see the "
    lead += "differences, which are taken seed by seed."
    figures = [
        tag("h3", esc(f"{metric.name}")) + _forest(metric, names, [estimate(cell.values[metric.key]) for cell in found.cells])
        for metric in METRICS
        if metric.key in DRAWN
    ]  # fmt: skip
    parts = [section("figures", "What each setting gives", para(lead), stack(*map(Markup, figures)))]
    if len(found.cells) > 1:
        parts.append(section("differences", f"Differences to {names[0]}", _changes(found, names)))
    rows = [
        (metric.name, *(estimate_words(metric, estimate(cell.values[metric.key])) for cell in found.cells))
        for metric in METRICS
    ]
    parts.append(section("numbers", "All numbers", table(("", *names), rows)))
    ends = [
        (name, ", ".join(f"{end.seed} {end.verdict.value}" for end in cell.ends), cell.scenario_hash)
        for name, cell in zip(names, found.cells, strict=True)
    ]
    parts.append(section("verdicts", "Seeds and verdicts", table(("Setting", "Seeds", "Scenario"), ends, words=3)))
    return page(f"Sweep of {found.scenario}", top, stack(*parts))


def name_of(settings: dict[str, str]) -> str:
    """Return settings as one name."""
    return ", ".join(f"{key}={value}" for key, value in sorted(settings.items())) or "as it is"


def estimate_words(metric: Metric, one: Estimate | None) -> str:
    """Return a mean with its margin."""
    if one is None:
        return "–"
    margin = f" ± {value_words(metric.unit, one.margin)}" if one.margin is not None else ""
    return f"{value_words(metric.unit, one.mean)}{margin}"


def change_words(metric: Metric, one: Estimate | None) -> str:
    """Return a difference with its margin, and whether it may be nothing but luck."""
    if one is None:
        return "–"
    told = f"{signed(metric.unit, one.mean)}"
    if one.margin is None:
        return told
    told += f" ± {value_words(metric.unit, one.margin)}"
    return told if is_sure(one) else f"{told} (may be luck)"


def is_sure(one: Estimate) -> bool:
    """Whether the interval of a difference leaves 0 out; no difference at all in any seed is sure as well."""
    return one.margin is not None and (abs(one.mean) > one.margin or one.mean == one.margin == 0)


def _comparison_table(found: Comparison) -> Markup:
    rows = []
    for one in found.differences:
        metric = BY_KEY[one.key]
        both = one.first is not None and one.second is not None
        gap = signed(metric.unit, (one.second or 0) - (one.first or 0)) if both else "–"
        rows.append(
            (
                metric.name,
                *(value_words(metric.unit, value) for value in (one.first, one.second)),
                gap,
                factor(one.ratio),
            )
        )
    return tag("div", table(("", "First", "Second", "Difference", "Ratio"), rows), class_="wordy")


def _ratios(found: Comparison) -> Markup:
    """Return each metric's ratio as a bar from 1, on a scale of factors."""
    shown = [one for one in found.differences if one.ratio]
    most = max([abs(log10(one.ratio)) for one in shown if one.ratio] + [log10(1.25)])
    label = "Ratios of the second run to the first: " + listed(
        [f"{BY_KEY[one.key].name} {factor(one.ratio)}" for one in shown], 20
    )

    def draw(canvas: Canvas) -> tuple[Markup, float]:
        aside, high = (0, 40) if canvas.is_narrow else (210, 24)
        x = linear(-most, most, aside + 52, canvas.width - 52)
        bottom = 8 + len(shown) * high
        drawn = [rule(x(0), 8, x(0), bottom, "rule")]
        for n, one in enumerate(shown):
            floor = 8 + (n + 1) * high
            drawn.append(text(0, floor - (22 if canvas.is_narrow else 7), BY_KEY[one.key].name, kind="tick"))
            spot = x(log10(one.ratio or 1))
            begin, wide, is_left = min(spot, x(0)), max(abs(spot - x(0)), 1.5), spot < x(0)
            drawn.append(tag("rect", x=begin, y=floor - 17, width=wide, height=12, class_="bar"))
            place, anchor = (spot - 5, "end") if is_left else (spot + 5, None)
            drawn.append(text(place, floor - 7, factor(one.ratio), anchor=anchor, kind="tick"))
        return joined(drawn), bottom + 8

    return figure(label, draw, note="To the right more than in the first run, to the left less; equal factors are equally long.")  # fmt: skip


def _forest(metric: Metric, names: list[str], estimates: list[Estimate | None]) -> Markup:
    """Return the mean and interval of each setting, one row each."""
    some = [(one.mean - (one.margin or 0), one.mean + (one.margin or 0)) for one in estimates if one is not None]
    if not some:
        return para("No run has a value.")
    # No metric is below 0, so an interval that reaches further is cut there.
    most = max(end for _, end in some) or 1.0
    most = min(most, 100.0) if metric.unit == "%" else most
    label = f"{metric.name}: " + listed(
        [f"{name} {estimate_words(metric, one)}" for name, one in zip(names, estimates, strict=True)], 20
    )

    def draw(canvas: Canvas) -> tuple[Markup, float]:
        x = linear(0, most, 6, canvas.width - 8)
        bottom = 4 + len(names) * 40
        drawn = [rule(x(value), 4, x(value), bottom, "grid") for value in (0, most / 2, most)]
        for n, (name, one) in enumerate(zip(names, estimates, strict=True)):
            y = n * 40 + 32
            drawn.append(text(6, y - 12, f"{name}: {estimate_words(metric, one)}", kind="tick"))
            if one is not None:
                margin = one.margin or 0
                ends = x(one.mean - margin), x(one.mean + margin)
                drawn.append(tag("line", x1=ends[0], y1=y, x2=ends[1], y2=y, class_="line solid c0"))
                drawn.append(tag("circle", cx=x(one.mean), cy=y, r=4.5, class_="dot c0"))
        for value, anchor in ((0.0, "start"), (most / 2, "middle"), (most, "end")):
            drawn.append(text(x(value), bottom + 15, value_words(metric.unit, value), anchor=anchor, kind="tick"))
        return joined(drawn), bottom + 22

    return figure(label, draw)


def _changes(found: Sweep, names: list[str]) -> Markup:
    first, *others = found.cells
    rows = []
    for metric in METRICS:
        cells: list[object] = []
        for other in others:
            one = change(first, other, metric.key)
            words = esc(change_words(metric, one))
            cells.append(Cell(tag("b", words) if one is not None and is_sure(one) and one.mean else words))
        rows.append((metric.name, *cells))
    lead = "Taken seed by seed, with the interval of 95 %. In bold what luck alone would hardly do."
    return stack(para(lead), tag("div", table(("", *names[1:]), rows), class_="wordy"))


DRAWN = {
    "latency_p50_ms",
    "latency_p99_ms",
    "answered_percent",
    "answer_p99_ms",
    "owed_max",
    "hub_share_percent",
    "bytes",
}
