"""Say what one measurement found, and lay it out in at most 100 columns."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table and what must be read with it.

    `floor` is how many times the floor it is, the least that the same work can take, measured in the same run;
    `is_met` is None where there is no aim.
    """

    what: str
    value: str
    spread: str
    aim: str
    is_met: bool | None
    floor: str
    note: str = ""
    disk: str = ""

    def lines(self) -> Iterator[str]:
        """Yield its lines."""
        verdict = {True: "yes", False: "no", None: ""}[self.is_met]
        yield LINE.format(self.what, self.value, self.spread, self.aim, verdict, self.floor).rstrip()
        for text in (self.note, self.disk):
            yield from textwrap.wrap(text, WIDTH, initial_indent=INDENT, subsequent_indent=INDENT)


def heading() -> Iterator[str]:
    """Yield the head of the table."""
    yield LINE.format("figure", "median", "middle half", "aim", "met", "× floor").rstrip()
    yield "-" * WIDTH


WIDTH: Final = 100
INDENT: Final = "    "
LINE: Final = "{:34} {:>14}  {:>20}  {:>12}  {:3}  {:>8}"
