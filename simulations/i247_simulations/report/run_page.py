"""Write the page of one run, the verdict first. Pure: the same result gives the same bytes. docs/simulation.md 5."""

from __future__ import annotations

from i247_simulations.metrics import carried, counted, together
from i247_simulations.report.causes import NOT_TAKEN, causes_of
from i247_simulations.report.fault_figures import causes_table, faults_figure, struck
from i247_simulations.report.figures import folded
from i247_simulations.report.life_figure import about, life_list
from i247_simulations.report.markup import NOTHING, Cell, Markup, esc, table, tag
from i247_simulations.report.sheet import banner, command, page, para, section, stack, tiles
from i247_simulations.report.spread_figures import name_of, spread_figure, spread_table
from i247_simulations.report.time_figures import load_figure, quantiles_figure, waiting_figure
from i247_simulations.report.words import PHASES, PROMISES, count, listed, many, span
from i247_simulations.report.world_map import between_hubs, map_figure
from i247_simulations.results import Result, Verdict


def run_page(result: Result) -> str:
    """Return a run as a page."""
    parts = [
        ("broke", "What broke", _broke(result)),
        ("latency", "How long messages took", _latency(result)),
        ("time", "As time went by", _time(result)),
        ("load", "What each hub carried", _load(result)),
        ("waiting", "What waited, and where", _waiting(result)),
        ("map", "Where it went", _map(result)),
        ("drops", "What was refused or lost, and why", _drops(result)),
        ("faults", "What the faults did", _faults(result)),
        ("life", _life_title(result), _life(result)),
        ("promises", "The promises", _promises(result)),
        ("about", "About this run", _about(result)),
    ]
    parts = [part for part in parts if part[2]]
    links = [tag("li", tag("a", esc(title), href=f"#{name}")) for name, title, _ in parts]
    nav = tag("nav", tag("ul", *links), aria_label="Parts of this page")
    sections = [section(name, title, inside) for name, title, inside in parts]
    return page(f"{headline(result)} · {result.scenario} seed {result.seed}", _verdict(result), nav, stack(*sections))


def headline(result: Result) -> str:
    """Return the verdict as one line."""
    match result.verdict:
        case Verdict.HOLDS:
            return "Every promise held"
        case Verdict.BROKEN:
            breach = result.breaches[0]
            return f"Promise {breach.promise} is broken: {breach.what}"
        case Verdict.NO_VERDICT:
            return "No verdict: nothing was said"


def _verdict(result: Result) -> Markup:
    length = max((phase.end_ms for phase in result.phases), default=0)
    word = (
        f"i247 simulation · {result.scenario} · seed {result.seed} · faults {result.level} · version {result.version}"
    )
    whole = together(result.latencies)
    under = f"{many(len(result.members), 'member')} at {many(len(result.hubs), 'hub')} lived through {span(length)} "
    under += f"and {many(len(struck(result)), 'fault')}."
    under += f" A bug was planted on purpose: {result.plant}." if result.plant else ""
    kind = {Verdict.HOLDS: "good", Verdict.BROKEN: "bad", Verdict.NO_VERDICT: "unsure"}[result.verdict]
    asked = sum(result.questions.values())
    facts = [
        (count(result.accepted), "messages accepted", f"{count(whole.count)} arrivals at recipients"),
        (span(whole.p50_ms), "half arrived within", f"99 % within {span(whole.p99_ms)}"),
        (f"{count(result.questions.get('answered', 0))} of {count(asked)}", "questions answered", _unanswered(result)),
        (count(len(struck(result))), "faults struck", f"{many(sum(result.marks.get(name, 0) for name in CRASHES), 'turn')} lost in crashes"),
        (count(result.owed), "deliveries still owed", "when the run ended"),
    ]  # fmt: skip
    return stack(banner(word, f"{headline(result)}.", under, kind), command(result.command), tiles(facts))  # fmt: skip


def _unanswered(result: Result) -> str:
    others = [f"{count(number)} {state}" for state, number in result.questions.items() if state != "answered"]
    return ", ".join(others) or "none was left open"


def _broke(result: Result) -> Markup:
    if not result.breaches:
        return NOTHING
    rows = [
        (one.promise, PROMISES.get(one.promise, ""), f"{span(one.at_ms)}, {one.program}", one.what, one.checker)
        for one in result.breaches
    ]
    lead = "The run ended at the first broken promise, so all figures below go up to that moment."
    return stack(para(lead), table(("Promise", "It says", "When and where", "What was seen", "Seen by"), rows, words=5))


def _latency(result: Result) -> Markup:
    if not result.latencies:
        return NOTHING
    whole = together(result.latencies)
    slow = max(result.latencies, key=lambda one: (one.p99_ms, one.kind))
    lead = f"From acceptance by the sender's node to the recipient's commit: half took at most {span(whole.p50_ms)}, "
    lead += f"95 % at most {span(whole.p95_ms)}, 99 % at most {span(whole.p99_ms)}, the slowest {span(whole.max_ms)}. "
    lead += f"Of all kinds, {name_of(slow)} was the slowest. " if len(result.latencies) > 1 else ""
    answers = result.answers
    if answers.count:
        lead += f"From a question to its answer, there and back, half took at most {span(answers.p50_ms)}, 99 % at most {span(answers.p99_ms)}."  # fmt: skip
    parts = [para(lead), spread_figure(result.latencies, lead)]
    if len(result.priorities) > 1:
        parts += [tag("h3", esc("By priority")), spread_table(result.priorities, "Priority")]
    return stack(*parts)


def _time(result: Result) -> Markup:
    worst = max(result.samples, key=lambda one: one.p99_ms, default=None)
    if worst is None or not worst.p99_ms:
        return NOTHING
    lead = f"The worst moment was at {span(worst.at_ms)}: of what arrived just before it, half had taken at most "
    lead += f"{span(worst.p50_ms)}, and 99 % at most {span(worst.p99_ms)}."
    return stack(para(lead), quantiles_figure(result, lead))


def _load(result: Result) -> Markup:
    sent = carried(result)
    if not sum(sent.values()):
        return NOTHING
    busiest = max(sent, key=lambda hub: (sent[hub], hub))
    share = 100 * sent[busiest] / sum(sent.values())
    lead = f"{busiest} carried most: {count(sent[busiest])} frames, {share:.0f} % of all that hubs sent. "
    lead += "The stronger the colour of a cell, the more frames that hub sent then." if len(result.samples) > 1 else ""
    return stack(para(lead), load_figure(result, lead))


def _waiting(result: Result) -> Markup:
    if not result.samples:
        return NOTHING
    worst = max(result.samples, key=lambda one: one.owed)
    lead = f"At most {many(worst.owed, 'delivery', 'deliveries')} were on their way at once, at {span(worst.at_ms)}; "
    lead += f"at the end {count(result.owed) if result.owed else 'none'}."
    return stack(para(lead), waiting_figure(result, lead))


def _map(result: Result) -> Markup:
    if not result.flows:
        return NOTHING
    ways = between_hubs(result)
    lead = f"{many(len(result.members), 'member')} at {many(len(result.hubs), 'hub')}. "
    if ways:
        one, other = max(ways, key=lambda way: (ways[way], way))
        lead += f"Most between two hubs went between {one} and {other}."
    return stack(para(lead), map_figure(result, lead))


def _drops(result: Result) -> Markup:
    found = causes_of(result)
    lead = "Every drop has a counter and a reason. "
    expired, turned_away = counted(result, "delivery.expired"), counted(result, "delivery.refused")
    if expired or turned_away:
        lead += f"{many(expired, 'delivery', 'deliveries')} expired and {count(turned_away)} were refused; "
        lead += "their senders were told. "
    else:
        lead += "No delivery expired, and none was refused. "
    refused = found.get(NOT_TAKEN, {})
    if refused:
        why = max(refused, key=lambda one: (sum(refused[one]), one))
        lead += f"What was most often not taken: {why} ({count(sum(refused[why]))})."
    return stack(para(lead), causes_table(result))


def _faults(result: Result) -> Markup:
    if not result.faults:
        return para("There were none: this is the calm world, against which others can be compared.")
    faults = struck(result)
    later = len(result.faults) - len(faults)
    lead = (
        f"{many(len(faults), 'fault')} struck between {span(faults[0].at_ms)} and {span(faults[-1].at_ms)}. "
        if faults
        else ""
    )
    lead += f"{many(later, 'fault')} would have struck later. " if later else ""
    lived = [phase for phase in result.phases if phase.end_ms > phase.begin_ms]
    lead += " ".join(f"{phase.name.capitalize()}: {PHASES.get(phase.name, '')}." for phase in lived)
    came = [(what, count(number)) for what, number in result.marks.items() if number and not what.startswith("fault:")]
    marks = folded("Situations that came about", table(("Situation", "How often"), came))
    return stack(para(lead), faults_figure(result, lead), marks)


def _life_title(result: Result) -> str:
    return "The life of the message that broke a promise" if result.breaches else "The life of the slowest message"


def _life(result: Result) -> Markup:
    if not result.lives:
        return NOTHING
    return stack(*(stack(para(about(life)), life_list(life)) for life in result.lives))


def _promises(result: Result) -> Markup:
    broken = {one.promise for one in result.breaches}
    rows = []
    for promise, words in PROMISES.items():
        watchers = result.watched.get(promise, ())
        if promise in broken:
            word = tag("span", esc("✗ broken"), class_="broken")
        elif watchers:
            word = tag("span", esc("✓ held"), class_="held")
        else:
            word = tag("span", esc("not watched"), class_="soft")
        rows.append((promise, words, Cell(word), listed(watchers, 4) if watchers else "–"))
    lead = "Checkers watch the run from outside; the programs do not know of them."
    lead += " What is not broken held until the run ended." if broken else ""
    return stack(para(lead), tag("div", table(("", "Promise", "Here", "Watched by"), rows, words=4), class_="promises"))


def _about(result: Result) -> Markup:
    rows = [
        ("Scenario", f"{result.scenario} ({result.scenario_hash})"),
        ("Seed", result.seed),
        ("Faults", result.level),
        ("Planted bug", result.plant or "none"),
        ("Version", result.version),
        ("Trace", result.trace),
        ("Events", f"{count(result.events)} turns of all programs"),
        ("Hubs", listed(result.hubs, 40)),
        ("Members", listed(result.members, 400)),
    ]
    lead = "The trace is a hash of every frame and every piece of news in order: the same seed gives the same, "
    lead += "on every machine. All times are the simulated world's own."
    return stack(para(lead), table(("What", "Here"), rows, words=2))


CRASHES = ("a crash lost a turn",)
