"""Look into a hub as its operator could: into its database with nothing but SQLite, and for a word into every file."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple


class Waiting(NamedTuple):
    """One row that a hub holds: all that it knows of an envelope. `source` goes when the row goes."""

    recipients: str
    priority: str
    size: int
    expires: str
    source: str


class Passed(NamedTuple):
    """One row that a hub keeps, until expiry, of what it handed on."""

    recipient: str
    to: str
    at: str
    expires: str


def waiting(database: Path) -> list[Waiting]:
    """Return what waits in a hub's database."""
    rows = _rows(database, "SELECT recipients, queue % 4, size, exp, source FROM held ORDER BY seq")
    return [
        Waiting(recipients, PRIORITIES[prio], size, _minute(exp), source)
        for recipients, prio, size, exp, source in rows
    ]


def passed(database: Path) -> list[Passed]:
    """Return what a hub's database tells of envelopes that are gone."""
    names = _rows(database, "SELECT name FROM sqlite_schema WHERE type = 'table' AND name GLOB 'handed_[0-9]*'")
    rows = [
        row
        for (name,) in names
        for row in _rows(database, f"SELECT recipient, hop, at, exp FROM {name}")  # noqa: S608  the names are the schema's own
    ]
    return [
        Passed(recipient, hop, _instant(at), _minute(exp))
        for recipient, hop, at, exp in sorted(rows, key=lambda row: row[2])
    ]


def files_with(words: Iterable[str], places: Sequence[Path]) -> list[Path]:
    """Return the files under `places` in which one of the words stands, in whatever case."""
    sought = [word.encode().lower() for word in words]
    files = [file for place in places for file in ([place] if place.is_file() else sorted(place.rglob("*")))]
    return [file for file in files if file.is_file() and any(word in file.read_bytes().lower() for word in sought)]


def _rows(database: Path, sql: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as connection:
        return connection.execute(sql).fetchall()


def _minute(minutes: int) -> str:
    return f"{datetime.fromtimestamp(minutes * 60, UTC).astimezone():%d %b %H:%M}"


def _instant(wall_ms: int) -> str:
    return f"{datetime.fromtimestamp(wall_ms / 1000, UTC).astimezone():%H:%M:%S}"


PRIORITIES: Final = ("control", "urgent", "routine", "bulk")
