"""Tell the life of one message as a list of moments, with the long waits between them. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from i247_simulations.report.markup import Markup, esc, tag
from i247_simulations.report.words import KINDS, listed, span
from i247_simulations.results import Life, Moment


def life_list(life: Life) -> Markup:
    """Return the moments of a message; the middle of a very long life is left out, and said to be."""
    moments, left_out = life.moments, 0
    if len(moments) > MOMENTS_SHOWN:
        left_out = len(moments) - MOMENTS_SHOWN
        moments = (*moments[: MOMENTS_SHOWN // 2], *moments[-MOMENTS_SHOWN // 2 :])
    if not moments:
        return tag("p", esc("Nothing was seen of it."))
    items = [_moment(moments[0], moments[0].at_ms)]
    for n, (before, after) in enumerate(pairwise(moments), 1):
        if left_out and n == MOMENTS_SHOWN // 2:
            items.append(_wait(f"{left_out} more moments"))
        elif after.at_ms - before.at_ms >= long_wait(life.moments):
            items.append(_wait(f"nothing for {span(after.at_ms - before.at_ms)}"))
        items.append(_moment(after, moments[0].at_ms))
    return tag("ol", *items, class_="life")


def about(life: Life) -> str:
    """Return whose message it was and how long its life took."""
    kind = KINDS.get(life.kind, life.kind) or "message"
    took = life.moments[-1].at_ms - life.moments[0].at_ms if life.moments else 0
    begun = f", from {span(life.moments[0].at_ms)} on" if life.moments else ""
    return f"A {kind} of {life.sender} for {listed(life.recipients)}{begun}; its whole life took {span(took)}."


def long_wait(moments: Sequence[Moment]) -> int:
    """Return from which length on a wait is worth a line of its own."""
    return max(1_000, (moments[-1].at_ms - moments[0].at_ms) // 8)


def _moment(moment: Moment, begin_ms: int) -> Markup:
    when = tag("span", esc(f"+{span(moment.at_ms - begin_ms)}"), class_="when")
    what = tag("span", tag("b", esc(moment.program)), esc(f" · {moment.what}"), class_="what")
    return tag("li", when, what)


def _wait(words: str) -> Markup:
    return tag("li", tag("span", class_="when"), tag("span", esc(words), class_="what"), class_="wait")


MOMENTS_SHOWN: Final = 60
