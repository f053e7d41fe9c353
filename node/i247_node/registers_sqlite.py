"""Keep registers in an SQLite file, and look records up in it.

Decides: the tables, and how a register's content is replaced. Leaves to others: what matches (`registers`) and what a
row of a CSV file must look like (`register_csv`). docs/protocol.md 7.2.

A look-up reads one snapshot over a read-only connection, through an index, and never waits for an import: the file is
in WAL mode, and an import is one transaction. The directory of the file must be writable, for the log beside it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final, NamedTuple, TextIO

import apsw
import msgspec

from i247_node.register_csv import LINE_CHARS_MAX, BadRow, read_rows
from i247_node.registers import (
    ROWS_PER_KEY_MAX,
    Finding,
    Kind,
    Record,
    Registers,
    checked_name,
    index_keys,
    kind_of,
    refused,
    search_keys,
    weigh,
)
from i247_protocol.errors import CallerFault, WorldFault
from i247_protocol.names import WallMs
from i247_protocol.queries import Criteria
from i247_protocol.reasons import Reason


class SqliteRegister:
    """One register in an SQLite file."""

    def __init__(self, database: Path, name: str) -> None:
        self.name = checked_name(name)
        self.is_immediate = True
        self._database = database
        self._connection = _open_to_read(database)
        if self._connection.execute("SELECT 1 FROM registers WHERE name = ?", (name,)).get is None:
            self.close()
            raise CallerFault(f"opening a register: {database.name} holds none of this name", HINT_IMPORT)

    def look_up(self, criteria: Criteria) -> Finding:
        """Return what is found; raise WorldFault when the file cannot be read."""
        with self._snapshot():
            number, kind, as_of = self._row()
            if kind is not kind_of(criteria):
                return refused(Reason.UNKNOWN_REGISTER, as_of)
            keys = search_keys(criteria)
            if not keys:
                return refused(Reason.MALFORMED, as_of)
            return weigh(criteria, (record for key in keys for record in self._under(number, key)), as_of)

    def status(self) -> RegisterStatus:
        """Return what the register holds; raise WorldFault when the file cannot be read."""
        with self._snapshot():
            number, kind, as_of = self._row()
            counted = self._connection.execute("SELECT records FROM registers WHERE id = ?", (number,))
            return RegisterStatus(self.name, kind, int(counted.get), as_of)

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    @contextmanager
    def _snapshot(self) -> Iterator[None]:
        with _world(f"reading {self._database.name}"):
            self._connection.execute("BEGIN")
            try:
                yield
            finally:
                self._connection.execute("ROLLBACK")

    def _row(self) -> tuple[int, Kind, WallMs]:
        found = self._connection.execute(
            "SELECT id, kind, as_of FROM registers WHERE name = ?", (self.name,)
        ).fetchone()
        if found is None:
            raise WorldFault(f"reading {self._database.name}: it has lost a register", HINT_IMPORT)
        number, kind, as_of = found
        return number, Kind(kind), WallMs(as_of)

    def _under(self, register: int, key: str) -> Iterator[Record]:
        for (data,) in self._connection.execute(SELECT_UNDER, (register, key, ROWS_PER_KEY_MAX)):
            yield msgspec.json.decode(data, type=Record)


class RegisterStatus(NamedTuple):
    """What a register holds; `as_of` is when its content was current."""

    name: str
    kind: Kind
    records: int
    as_of: WallMs


class ImportReport(NamedTuple):
    """What came of an import; `rejected` holds the first `REJECTED_MAX` bad rows, `replaced` whether it was done."""

    rows: int
    accepted: int
    rejected: tuple[BadRow, ...]
    replaced: bool


def open_registers(database: Path) -> Registers:
    """Open every register in the file."""
    with closing(_open_to_read(database)) as connection, _world(f"reading {database.name}"):
        names = [name for (name,) in connection.execute("SELECT name FROM registers ORDER BY name")]
    return Registers(SqliteRegister(database, name) for name in names)


def import_csv(
    database: Path,
    register: str,
    kind: Kind,
    csv_path: Path,
    *,
    skip_bad_rows: bool = False,
    as_of: WallMs | None = None,
) -> ImportReport:
    """Replace the content of `register` by the rows of a CSV file, or leave it as it was when a row is bad.

    The file of registers is made when it is not there. With `skip_bad_rows` the good rows come in all the same.
    `as_of` is when the rows were current, now unless told. Raises CallerFault when the CSV file as a whole is wrong.
    """
    checked_name(register)
    current = WallMs(time.time_ns() // 1_000_000) if as_of is None else as_of
    with _read_text(csv_path) as file, closing(_open_to_write(database)) as connection:
        importing = _Import(connection, register, kind)
        with _world(f"writing {database.name}"):
            connection.execute("BEGIN IMMEDIATE")
            try:
                importing.clear(current)
                importing.take(file, csv_path)
                is_done = skip_bad_rows or not importing.rejected
                if is_done:
                    importing.finish()
                else:
                    connection.execute("ROLLBACK")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
    return ImportReport(
        rows=importing.rows,
        accepted=importing.good if is_done else 0,
        rejected=tuple(importing.rejected),
        replaced=is_done,
    )


class _Import:
    """One register's rows on their way in, inside one transaction."""

    def __init__(self, connection: apsw.Connection, register: str, kind: Kind) -> None:
        self._connection = connection
        self._name = register
        self._kind = kind
        self._number = 0
        self.rows = 0
        self.good = 0
        self.rejected: list[BadRow] = []

    def clear(self, as_of: WallMs) -> None:
        kept = self._connection.execute("SELECT id FROM registers WHERE name = ?", (self._name,)).fetchone()
        if kept is not None:
            for statement in ("DELETE FROM keys WHERE register = ?", "DELETE FROM records WHERE register = ?"):
                self._connection.execute(statement, kept)
            self._connection.execute("DELETE FROM registers WHERE id = ?", kept)
        values = (self._name, self._kind.value, as_of)
        self._connection.execute("INSERT INTO registers (name, kind, as_of, records) VALUES (?, ?, ?, 0)", values)
        self._number = self._connection.last_insert_rowid()

    def take(self, file: TextIO, path: Path) -> None:
        try:
            for row in read_rows(self._kind, _bounded_lines(file)):
                self.rows += 1
                if isinstance(row, Record):
                    self._add(row)
                elif len(self.rejected) < REJECTED_MAX:
                    self.rejected.append(row)
        except UnicodeDecodeError:
            raise CallerFault(f"reading {path.name}: not UTF-8", "save the table as CSV in UTF-8") from None
        except OSError as fault:
            raise WorldFault(f"reading {path.name}: {fault.strerror}", "see whether its disk is well") from fault

    def finish(self) -> None:
        self._connection.execute("UPDATE registers SET records = ? WHERE id = ?", (self.good, self._number))
        self._connection.execute("COMMIT")

    def _add(self, record: Record) -> None:
        values = (self._number, record.record, msgspec.json.encode(record))
        self._connection.execute("INSERT INTO records (register, record, data) VALUES (?, ?, ?)", values)
        row = self._connection.last_insert_rowid()
        keys = [(self._number, key, record.record, row) for key in dict.fromkeys(index_keys(record.subject))]
        self._connection.executemany("INSERT INTO keys (register, key, record, row) VALUES (?, ?, ?, ?)", keys)
        self.good += 1


def _open_to_read(database: Path) -> apsw.Connection:
    if not database.is_file():
        raise CallerFault(f"opening {database.name}: there is no such file", HINT_IMPORT)
    with _world(f"opening {database.name}"):
        connection = apsw.Connection(str(database), flags=apsw.SQLITE_OPEN_READONLY)
        connection.set_busy_timeout(BUSY_MS)
        _check_version(connection, database)
        return connection


def _open_to_write(database: Path) -> apsw.Connection:
    with _world(f"opening {database.name}"):
        _make_private(database)
        connection = apsw.Connection(str(database), flags=apsw.SQLITE_OPEN_READWRITE)
        connection.set_busy_timeout(BUSY_IMPORT_MS)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA secure_delete = ON")  # a record that its owner withdrew leaves the file
        if connection.pragma("user_version") == 0:
            with connection:
                connection.execute(SCHEMA)
        _check_version(connection, database)
        return connection


def _make_private(database: Path) -> None:
    try:
        os.close(os.open(database, os.O_CREAT | os.O_WRONLY, 0o600))
    except OSError as fault:
        raise WorldFault(f"opening {database.name}: {fault.strerror}", "see who may write in its directory") from fault


def _check_version(connection: apsw.Connection, database: Path) -> None:
    if connection.pragma("user_version") != VERSION:
        connection.close()
        raise CallerFault(f"opening {database.name}: not a file of registers that this version knows", HINT_IMPORT)


@contextmanager
def _world(doing: str) -> Iterator[None]:
    try:
        yield
    except apsw.Error as fault:
        what = type(fault).__name__  # SQLite's own words may hold a value
        raise WorldFault(f"{doing}: SQLite says {what}", "see disk, owner and mode of the file") from fault
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise WorldFault(f"{doing}: a record in it is damaged", "import the register again") from None


@contextmanager
def _read_text(path: Path) -> Iterator[TextIO]:
    try:
        file = path.open(encoding="utf-8", newline="")
    except FileNotFoundError:
        raise CallerFault(f"reading {path.name}: there is no such file", "give the path of a CSV file") from None
    except OSError as fault:
        raise CallerFault(
            f"reading {path.name}: {fault.strerror}", "give the path of a CSV file you may read"
        ) from fault
    with file:
        yield file


def _bounded_lines(file: TextIO) -> Iterator[str]:
    return iter(lambda: file.readline(LINE_CHARS_MAX + 1), "")


HINT_IMPORT: Final = "import the register first, from a CSV file"
REJECTED_MAX: Final = 1_000
BUSY_MS: Final = 200
BUSY_IMPORT_MS: Final = 10_000
VERSION: Final = 1

SCHEMA: Final = f"""
CREATE TABLE registers (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    as_of INTEGER NOT NULL,
    records INTEGER NOT NULL
) STRICT;
CREATE TABLE records (
    id INTEGER PRIMARY KEY,
    register INTEGER NOT NULL,
    record TEXT NOT NULL,
    data BLOB NOT NULL
) STRICT;
CREATE INDEX records_of_register ON records (register);
CREATE TABLE keys (
    register INTEGER NOT NULL,
    key TEXT NOT NULL,
    record TEXT NOT NULL,
    row INTEGER NOT NULL,
    PRIMARY KEY (register, key, record)
) STRICT, WITHOUT ROWID;
PRAGMA user_version = {VERSION};
"""
SELECT_UNDER: Final = """
SELECT records.data FROM keys JOIN records ON records.id = keys.row
WHERE keys.register = ? AND keys.key = ? ORDER BY keys.record LIMIT ?
"""
