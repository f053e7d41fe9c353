"""Build HTML and SVG so that no text of a result can become markup. Pure.

`Markup` is what may stand in a page; only `esc` makes it of text, and the type checker sees that nothing else does.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import NewType

Markup = NewType("Markup", str)
NOTHING = Markup("")


def esc(value: object) -> Markup:
    """Return text as markup that shows it."""
    return Markup(escape(str(value)))


def tag(name: str, /, *inside: Markup, **attributes: object) -> Markup:
    """Return an element; a final `_` of an attribute's name is dropped, other ones become `-`; None leaves it out."""
    words = [
        f' {key.rstrip("_").replace("_", "-")}="{escape(_plain(value))}"'
        for key, value in attributes.items()
        if value is not None
    ]
    opening = f"<{name}{''.join(words)}>"
    return Markup(opening if name in VOID else f"{opening}{''.join(inside)}</{name}>")


def joined(parts: Iterable[Markup], between: str = "") -> Markup:
    """Return parts as one; what stands between them is text."""
    return Markup(escape(between).join(parts))


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, words: int = 1, caption: str = "") -> Markup:
    """Return a table; after the first `words` columns there are numbers. A cell of `Cell` is markup already."""
    classes = [None if place < words else "number" for place in range(len(columns))]
    head = [tag("th", esc(column), scope="col", class_=kind) for column, kind in zip(columns, classes, strict=True)]
    body = [tag("tr", *(_cell(place, cell, classes[place]) for place, cell in enumerate(row))) for row in rows]
    title = tag("caption", esc(caption)) if caption else NOTHING
    whole = tag("table", title, tag("thead", tag("tr", *head)), tag("tbody", *body))
    return tag("div", whole, class_="scroll", tabindex=0, role="region", aria_label=caption or "A table")


class Cell(str):
    """Markup that stands in a table as it is."""

    __slots__ = ()


def _cell(place: int, value: object, kind: str | None) -> Markup:
    inside = Markup(value) if isinstance(value, Cell) else esc(value)
    return tag("td", inside, class_=kind) if place else tag("th", inside, scope="row")


def _plain(value: object) -> str:
    """Return a number with one decimal at most, so that pages stay small; all else as it is."""
    return f"{value:.1f}".removesuffix(".0") if isinstance(value, float) else str(value)


VOID = frozenset({"meta", "br", "link"})
