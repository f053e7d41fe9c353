"""Keep rows that expire in one table for each day of expiry, so that a whole day is dropped at once.

Deleting row by row would cost as much as saving did. The price: a row may be found for up to a day after
its minute. docs/architecture.md 6.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from i247_edges.sqlite import Bindings, Database, Row
from i247_protocol.names import Minutes


class DayTables:
    """The tables `name_<day>`; in each statement, `{table}` stands for the table of the day."""

    def __init__(self, database: Database, name: str, *, create: str, insert: str, find: str) -> None:
        self._database = database
        self._name = name
        self._create = create
        self._insert = insert
        self._find = find
        self._inserts: dict[int, str] = {}
        self._finds: tuple[str, ...] = ()
        found = database.rows(_NAMES, (f"{name}_[0-9]*",))
        for (table,) in found:
            self._inserts[int(table.removeprefix(f"{name}_"))] = self._fill(insert, table)
        self._order()

    def add(self, expires: Minutes, bindings: Bindings) -> None:
        """Add a row to the day in which it expires."""
        insert = self._inserts.get(expires // DAY_MINUTES) or self._open(expires // DAY_MINUTES)
        self._database.write(insert, bindings)

    def add_many(self, expires: Minutes, bindings: Sequence[Bindings]) -> None:
        """Add rows that all expire in the day of `expires`."""
        insert = self._inserts.get(expires // DAY_MINUTES) or self._open(expires // DAY_MINUTES)
        self._database.write_many(insert, bindings)

    def find(self, bindings: Bindings) -> Row | None:
        """Return the row that is found in the latest day."""
        for find in self._finds:
            row = self._database.row(find, bindings)
            if row is not None:
                return row
        return None

    def drop(self, minute: Minutes) -> None:
        """Drop the days of which each row has expired at or before `minute`."""
        gone = [day for day in self._inserts if (day + 1) * DAY_MINUTES - 1 <= minute]
        for day in gone:
            self._database.write(self._fill("DROP TABLE {table}", f"{self._name}_{day}"))
            del self._inserts[day]
        if gone:
            self._order()

    def _open(self, day: int) -> str:
        table = f"{self._name}_{day}"
        self._database.write(self._fill(self._create, table))
        self._inserts[day] = self._fill(self._insert, table)
        self._order()
        return self._inserts[day]

    def _order(self) -> None:
        days = sorted(self._inserts, reverse=True)
        self._finds = tuple(self._fill(self._find, f"{self._name}_{day}") for day in days)

    @staticmethod
    def _fill(sql: str, table: str) -> str:
        return sql.replace("{table}", table)


DAY_MINUTES: Final = 24 * 60
_NAMES: Final = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name GLOB ?"
