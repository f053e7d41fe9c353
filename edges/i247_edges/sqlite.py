"""Open an SQLite database that never says saved when it is not.

Decides how a database is opened, who may open it, when it is checkpointed, and what a failure means: the
first failure ends it. After a write or sync that failed, the kernel may call lost bytes clean, so nothing
is tried again; the program stops, and its next start trusts only what it then makes durable itself.
Leaves tables and rows to the stores. docs/architecture.md 6.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, Self

import apsw

from i247_edges.checkpointer import Checkpointer
from i247_edges.sqlite_connection import BUSY_MS, WRITING, abandon, configure, connect, fault_of
from i247_edges.sqlite_files import create_file, take_lock, write_log_anew
from i247_protocol.errors import CallerFault, WorldFault

Bindings = Sequence[str | bytes | int | None]
Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Layout:
    """What a database must be: `owner` marks whose it is, `steps[v]` are the statements that follow version v."""

    owner: int
    steps: tuple[str, ...]


def open_database(
    path: str,
    layout: Layout,
    *,
    cache_kib: int = 16 * 1024,
    secure_delete: Literal["on", "fast"] = "fast",
    checkpoint_pages: int | None = None,
    vfs: str | None = None,
    aside: bool = False,
) -> Database:
    """Open the one writer of a database, creating it with mode 0600; `:memory:` is private to this object.

    With `aside`, a thread of its own does most of each checkpoint, and commits wait for the rest of it alone.
    Raises CallerFault when another process has it, or when it is not what `layout` says; WorldFault when the
    disk fails.
    """
    pages = CHECKPOINT_PAGES if checkpoint_pages is None else checkpoint_pages
    if path == MEMORY:
        return Database(connect(path, WRITING, vfs), None, pages).prepare(layout, cache_kib, secure_delete)
    lock = take_lock(path)
    connection = None
    try:
        create_file(path)
        write_log_anew(f"{path}-wal", vfs)
        connection = connect(path, WRITING, vfs)
        database = Database(connection, lock, pages).prepare(layout, cache_kib, secure_delete)
        if aside:
            database.checkpoint_by(Checkpointer(connect(path, WRITING, vfs), path))
        return database
    except BaseException:  # whatever it is, also Ctrl-C: the lock must not outlive the attempt
        abandon(connection)
        os.close(lock)
        raise


def open_reading(path: str, layout: Layout, *, vfs: str | None = None) -> Reading:
    """Open a database that may have a writer at this moment, to read alone."""
    if not Path(path).exists():
        raise CallerFault("opening the store", f"there is none at {path}; start the daemon once, or name another")
    connection = connect(path, apsw.SQLITE_OPEN_READONLY, vfs)
    try:
        _require_layout(connection, layout)
        connection.pragma("query_only", 1)
        connection.pragma("trusted_schema", 0)
    except apsw.Error as error:
        abandon(connection)
        raise fault_of("opening the store", error) from error
    except BaseException:  # as above, for the file
        abandon(connection)
        raise
    return Reading(connection)


class Reading:
    """A connection on which every failure is the last."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self._execute = connection.cursor().execute
        self._refusal: str | None = None

    @property
    def failed(self) -> bool:
        """Whether a failure has ended it, or `close`."""
        return self._refusal is not None

    def require_sound(self) -> None:
        """Raise WorldFault when it is over."""
        if self._refusal is not None:
            raise WorldFault("using the store", self._refusal)

    def rows(self, sql: str, bindings: Bindings = ()) -> list[Row]:
        """Return all rows that a query gives."""
        self.require_sound()
        try:
            return self._execute(sql, bindings).fetchall()
        except apsw.Error as error:
            raise self._end("reading the store", error) from error

    def row(self, sql: str, bindings: Bindings = ()) -> Row | None:
        """Return the first row, or None."""
        found = self.rows(sql, bindings)
        return found[0] if found else None

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Let all that is read inside come from one moment."""
        self.rows("BEGIN")
        try:
            yield
        finally:
            if not self.failed:
                self.rows("COMMIT")

    def damage(self) -> list[str]:
        """Return what SQLite finds wrong in the whole file, nothing when it is sound; reads every page."""
        return [text for (text,) in self.rows("PRAGMA quick_check(20)") if text != "ok"]

    def close(self) -> None:
        """Let go of the file."""
        self._refusal = self._refusal or "it was closed"
        abandon(self._connection)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _end(self, doing: str, error: apsw.Error | OSError) -> WorldFault:
        fault = fault_of(doing, error)
        self._refusal = f"it failed before; {fault.hint}"
        return fault


class Database(Reading):
    """The writer of a database: what is written is seen by reads at once, and durable after `commit`."""

    def __init__(self, connection: apsw.Connection, lock: int | None, checkpoint_pages: int) -> None:
        super().__init__(connection)
        self._lock = lock
        self._checkpoint_pages = checkpoint_pages
        self._wal_pages = 0
        self._in_turn = False
        self._must_scrub = False
        self._aside: Checkpointer | None = None

    def checkpoint_by(self, aside: Checkpointer) -> None:
        """Leave most of each checkpoint to `aside`, which is closed with this."""
        self._aside = aside

    def prepare(self, layout: Layout, cache_kib: int, secure_delete: Literal["on", "fast"]) -> Database:
        """Set how the database works, and bring it to the newest layout."""
        try:
            _require_layout(self._connection, layout)
            configure(self._connection, cache_kib, secure_delete)
            self._connection.set_wal_hook(self._wal_grew)
            _upgrade(self._connection, layout)
            # What the log says must be durable before anything is built on it; afterwards it is empty.
            self._connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
        except apsw.Error as error:
            raise self._end("opening the store", error) from error
        return self

    def rows(self, sql: str, bindings: Bindings = ()) -> list[Row]:
        """Return all rows that a query, or a statement that gives rows back, gives in the open turn."""
        if not self._in_turn:
            self._begin()
        return super().rows(sql, bindings)

    def write(self, sql: str, bindings: Bindings = ()) -> None:
        """Write in the open turn."""
        if not self._in_turn:
            self._begin()
        elif self._refusal is not None:
            self.require_sound()
        try:
            self._execute(sql, bindings)
        except apsw.Error as error:
            raise self._end("saving", error) from error

    def write_many(self, sql: str, bindings: Sequence[Bindings]) -> None:
        """Write once for each of `bindings` in the open turn."""
        if not self._in_turn:
            self._begin()
        self.require_sound()
        try:
            self._connection.executemany(sql, bindings)
        except apsw.Error as error:
            raise self._end("saving", error) from error

    def last_row(self) -> int:
        """Return the integer key of the last row that was added."""
        return self._connection.last_insert_rowid()

    def changed(self) -> int:
        """Return how many rows the last write changed."""
        return self._connection.changes()

    def scrub_at_commit(self) -> None:
        """See to it that what this turn deletes or overwrites does not stay behind in the log either."""
        self._must_scrub = True

    def commit(self) -> None:
        """Make the open turn durable; raise WorldFault when that is not certain."""
        self.require_sound()
        if not self._in_turn:
            return
        try:
            self._execute("COMMIT")
            self._in_turn = False
            if self._must_scrub:
                self._scrub()
            elif self._wal_pages >= self._checkpoint_pages and (
                self._aside is None
                or self._aside.has_left_little(
                    self._wal_pages, wait=self._wal_pages >= LOG_TIMES_MAX * self._checkpoint_pages
                )
            ):
                self._connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
        except (apsw.Error, OSError) as error:
            raise self._end("saving", error) from error

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Let all that is read inside come from one moment; the only writer has nothing to do for that."""
        yield

    def close(self) -> None:
        """Let go of the file; what was not committed is gone."""
        if self._aside is not None:
            self._aside.finish()
        super().close()
        if self._aside is not None:
            self._aside.close()
            self._aside = None
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _begin(self) -> None:
        # For reads as well: each one outside a transaction would lock and unlock the file, which costs five times
        # the read. The only writer may leave its transaction open as long as it likes.
        self.require_sound()
        try:
            self._execute("BEGIN IMMEDIATE")
        except apsw.Error as error:
            raise self._end("saving", error) from error
        self._in_turn = True

    def _scrub(self) -> None:
        # A reader in the midst of its work keeps the log as it is. It is not waited for: the next commit tries again.
        self._connection.set_busy_timeout(0)
        try:
            self._connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
            self._must_scrub = False
        except apsw.BusyError:
            pass
        finally:
            self._connection.set_busy_timeout(BUSY_MS)

    def _wal_grew(self, _connection: apsw.Connection, _name: str, pages: int) -> int:
        self._wal_pages = pages
        return apsw.SQLITE_OK

    def _end(self, doing: str, error: apsw.Error | OSError) -> WorldFault:
        # Otherwise closing would sync once more what has just failed, and might succeed for the wrong reason.
        self._connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        return super()._end(doing, error)


def _require_layout(connection: apsw.Connection, layout: Layout) -> None:
    try:
        owner, version = connection.pragma("application_id"), connection.pragma("user_version")
        is_new = not owner and not version and not connection.pragma("schema_version")
    except apsw.NotADBError:
        raise CallerFault("opening the store", "the file is no database; name another, or move it away") from None
    if is_new:
        return
    if owner != layout.owner:
        raise CallerFault("opening the store", "the file belongs to another program; name another")
    if version > len(layout.steps):
        raise CallerFault("opening the store", "a newer version of this program has written it; install that version")


def _upgrade(connection: apsw.Connection, layout: Layout) -> None:
    version = connection.pragma("user_version")
    if version == len(layout.steps):
        return
    connection.execute("BEGIN IMMEDIATE")
    connection.pragma("application_id", layout.owner)
    for step in layout.steps[version:]:
        connection.execute(step)
    connection.pragma("user_version", len(layout.steps))
    connection.execute("COMMIT")


MEMORY: Final = ":memory:"
CHECKPOINT_PAGES: Final = 4_096
LOG_TIMES_MAX: Final = 8
"""How many times the pages of a checkpoint a log may have, where a thread is so slow that it must be waited for."""
