"""Tell the story: who does what when, in plain text of at most 100 columns, with colours on a terminal alone."""

from __future__ import annotations

import os
import re
import textwrap
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Final, TextIO


class Teller:
    """Whoever tells the story to `out`."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._is_coloured = out.isatty() and "NO_COLOR" not in os.environ
        self._chapters = 0

    def title(self, text: str) -> None:
        """Begin the story."""
        self._line(self._in(BOLD, text))

    def chapter(self, text: str) -> None:
        """Begin a part of it."""
        self._chapters += 1
        self._line()
        self._line(self._in(BOLD, f"{self._chapters}. {text}"))

    def end(self, text: str) -> None:
        """End the story."""
        self._line()
        self._line(text)

    def prose(self, text: str) -> None:
        """Explain what the listener is about to see, or has seen."""
        for line in textwrap.wrap(text, WIDTH - len(MARGIN)):
            self._line(MARGIN + line)

    def event(self, who: str, text: str, *, at: int | None = None) -> None:
        """Tell what somebody does at an instant (ms since 1970), now unless told. `*word*` stands out."""
        head = f"{clock(at)}  {who:<{WHO_WIDTH}}  "
        for line in textwrap.wrap(text, TEXT_WIDTH):
            self._line(f"{MARGIN}{self._in(COLOURS.get(who, BOLD), head)}{self._marked(line)}")
            head = " " * len(head)

    def typed(self, *words: str) -> None:
        """Show a command as somebody types it."""
        self._quoted("$ " + " ".join(words), indent="      ")

    def quote(self, lines: Iterable[str]) -> None:
        """Show what stands in a file or on a terminal, word for word."""
        for line in lines:
            label = LABEL.match(line)
            self._quoted(line, indent=" " * label.end() if label else "")

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        """Show rows under columns."""
        cells = [list(columns), *(list(row) for row in rows)]
        widths = [max(len(row[place]) for row in cells) for place in range(len(columns))]
        for number, row in enumerate(cells):
            line = "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
            self._line(f"{MARGIN}| {line}" if number else self._in(DIM, f"{MARGIN}| {line}"))

    def commands(self, lines: Iterable[str]) -> None:
        """Show commands so that they can be copied whole."""
        for line in lines:
            self._line(MARGIN + line)

    def _quoted(self, text: str, indent: str) -> None:
        for line in textwrap.wrap(text, QUOTE_WIDTH, subsequent_indent=indent, drop_whitespace=False) or [""]:
            self._line(self._in(DIM, f"{MARGIN}| {line.rstrip()}"))

    def _marked(self, line: str) -> str:
        for word, colour in OUTCOMES.items():
            line = line.replace(f"*{word}*", self._in(colour, word))
        return line

    def _in(self, colour: str, text: str) -> str:
        return f"\x1b[{colour}m{text}\x1b[0m" if self._is_coloured and text.strip() else text

    def _line(self, text: str = "") -> None:
        print(text.rstrip(), file=self._out, flush=True)


def clock(at: int | None = None) -> str:
    """Return an instant (ms since 1970), or this one, as a clock shows it here."""
    moment = datetime.now(UTC) if at is None else datetime.fromtimestamp(at / 1000, UTC)
    return f"{moment.astimezone():%H:%M:%S}.{moment.microsecond // 1000:03}"


WIDTH: Final = 100
MARGIN: Final = "   "
WHO_WIDTH: Final = 13
TEXT_WIDTH: Final = WIDTH - len(MARGIN) - len("00:00:00.000") - WHO_WIDTH - 4
QUOTE_WIDTH: Final = WIDTH - len(MARGIN) - len("| ")

LABEL: Final = re.compile(r"\s*(\S+( \S+)*\s{2,})?")
"""What a line goes on under when it is too long."""

BOLD: Final = "1"
DIM: Final = "2"
COLOURS: Final = {
    "France": "34",
    "Singapore": "35",
    "Brazil": "32",
    "Secretariat": "36",
    "hub lyon": "33",
    "hub singapore": "33",
}
OUTCOMES: Final = {"hit": "1;31", "no hit": "1;32", "refused": "1;33", "received": "1;32", "nothing found": "1;32"}
