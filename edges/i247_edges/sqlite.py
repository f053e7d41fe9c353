"""Open an SQLite database that never says saved when it is not.

Decides how a database is opened, who may open it, when it is checkpointed, and what a failure means: the
first failure ends it. After a write or sync that failed, the kernel may call lost bytes clean, so nothing
is tried again; the program stops, and its next start trusts only what it then makes durable itself.
Leaves tables and rows to the stores. docs/architecture.md 6.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, Self

import apsw

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
        return Database(_connect(path, _WRITING, vfs), None, pages).prepare(layout, cache_kib, secure_delete)
    lock = _take_lock(path)
    connection = None
    try:
        _create(path)
        _write_log_anew(f"{path}-wal", vfs)
        connection = _connect(path, _WRITING, vfs)
        database = Database(connection, lock, pages).prepare(layout, cache_kib, secure_delete)
        if aside:
            database.checkpoint_by(Checkpointer(_connect(path, _WRITING, vfs), path))
        return database
    except BaseException:  # whatever it is, also Ctrl-C: the lock must not outlive the attempt
        _abandon(connection)
        os.close(lock)
        raise


def open_reading(path: str, layout: Layout, *, vfs: str | None = None) -> Reading:
    """Open a database that may have a writer at this moment, to read alone."""
    if not Path(path).exists():
        raise CallerFault("opening the store", f"there is none at {path}; start the daemon once, or name another")
    connection = _connect(path, apsw.SQLITE_OPEN_READONLY, vfs)
    try:
        _require_layout(connection, layout)
        connection.pragma("query_only", 1)
        connection.pragma("trusted_schema", 0)
    except apsw.Error as error:
        _abandon(connection)
        raise _fault("opening the store", error) from error
    except BaseException:  # as above, for the file
        _abandon(connection)
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
        _abandon(self._connection)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _end(self, doing: str, error: apsw.Error | OSError) -> WorldFault:
        fault = _fault(doing, error)
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
            _configure(self._connection, cache_kib, secure_delete)
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


class Checkpointer:
    """A second connection with a thread, which brings the log into the file while the writer goes on.

    What is committed meanwhile is left for the writer, which alone can begin the log anew: little, since the pages that
    were brought over are not written again. A failure is told to the writer when it asks next; what it committed in
    between was synced in the log and is safe.
    """

    def __init__(self, connection: apsw.Connection, path: str) -> None:
        connection.wal_autocheckpoint(0)
        connection.pragma("user_version")  # a connection that has read nothing does not know that there is a log
        self._connection = connection
        self._file = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        self._worker = ThreadPoolExecutor(1, "checkpoint")
        self._running: Future[int] | None = None
        self._brought = self._passes = 0

    def has_left_little(self, wal_pages: int, *, wait: bool) -> bool:
        """Whether of a log of so many pages hardly any are to be brought over; otherwise more of it is, from now on."""
        if self._running is not None:
            if not wait and not self._running.done():
                return False
            self._brought = self._running.result()
            self._running = None
            self._passes += 1
        if self._passes and (wal_pages - self._brought <= LEFT_PAGES_MAX or self._passes == PASSES_MAX):
            self._passes = 0
            return True
        self._running = self._worker.submit(self._bring_over)
        return False

    def finish(self) -> None:
        """Wait for what is under way, and let go of the database."""
        self._worker.shutdown()
        # The writer goes last, and decides by how it fared whether there is one more checkpoint.
        self._connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        _abandon(self._connection)

    def close(self) -> None:
        """Let go of the file, after the writer has: closing a file drops all locks that this process has on it."""
        os.close(self._file)

    def _bring_over(self) -> int:
        """Return how many pages of the log are in the file now, and on the disk."""
        _, brought = self._connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
        # SQLite leaves this sync to whoever brings over the last page.
        os.fsync(self._file)
        return brought


def _connect(path: str, flags: int, vfs: str | None) -> apsw.Connection:
    try:
        connection = apsw.Connection(path, flags=flags, vfs=vfs, statementcachesize=STATEMENTS_KEPT)
    except apsw.Error as error:
        raise _fault("opening the store", error) from error
    connection.set_busy_timeout(BUSY_MS)
    # Otherwise a plan may depend on the values bound, and many a query is prepared anew each time: ten times the cost.
    connection.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1)
    return connection


def _configure(connection: apsw.Connection, cache_kib: int, secure_delete: str) -> None:
    mode = connection.pragma("journal_mode", "wal")
    if mode not in ("wal", "memory"):
        raise CallerFault("opening the store", "its file system cannot share memory between programs; use a local disk")
    for name, value in {
        "synchronous": "full",
        "fullfsync": 1,
        "checkpoint_fullfsync": 1,
        "cache_size": -cache_kib,
        "cell_size_check": 1,
        "journal_size_limit": WAL_KEPT_BYTES,
        "mmap_size": 0,  # behind a mapping, a failed read is a signal that kills instead of an error that is told
        "secure_delete": secure_delete,
        "temp_store": "memory",
        "trusted_schema": 0,
    }.items():
        connection.pragma(name, value)
    # The automatic checkpoint swallows its failures; `commit` makes one that does not.
    connection.wal_autocheckpoint(0)


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


def _take_lock(path: str) -> int:
    # A lock of its own, since readers must come in beside the writer, which SQLite's exclusive mode forbids.
    folder = Path(path).absolute().parent
    if not folder.is_dir():
        raise CallerFault("opening the store", f"the folder {folder} does not exist; create it with mode 0700")
    try:
        lock = os.open(f"{path}.lock", _CREATING, 0o600)
    except OSError as error:
        raise WorldFault("opening the store", f"cannot write in {folder}: {error.strerror}") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        raise CallerFault("opening the store", f"another daemon uses {path}; stop it first") from None
    return lock


def _create(path: str) -> None:
    # SQLite would create it by the umask. Only the owner of the lock comes here: closing a file that this very
    # process has open elsewhere would drop SQLite's own locks.
    if Path(path).exists():
        return
    try:
        os.close(os.open(path, _CREATING, 0o600))
        folder = os.open(Path(path).absolute().parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise WorldFault("creating the store", f"{path}: {error.strerror}") from error


def _write_log_anew(path: str, vfs: str | None) -> None:
    # After a sync that failed, or a process that died before it, the log may be right in the kernel's memory and
    # wrong on the disk, with the kernel holding nothing for unwritten. A checkpoint would then trust a sync that does
    # nothing, and a power loss would leave the newer database under the older log, which spoils both. Written again,
    # the same bytes count as unwritten, and the sync is real.
    if not Path(path).exists():
        return
    try:
        log = apsw.VFSFile(vfs or "", path, [apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_WAL, 0])
        try:
            size = log.xFileSize()
            for offset in range(0, size, LOG_PIECE_BYTES):
                log.xWrite(log.xRead(min(LOG_PIECE_BYTES, size - offset), offset), offset)
            if size:
                log.xSync(apsw.SQLITE_SYNC_FULL)
        finally:
            log.xClose()
    except apsw.Error as error:
        raise _fault("opening the store", error) from error


def _abandon(connection: apsw.Connection | None) -> None:
    if connection is not None:
        try:
            connection.close(force=True)
        except apsw.Error:
            # What was committed is in the file and the log; the next start finds it there.
            return


def _fault(doing: str, error: apsw.Error | OSError) -> WorldFault:
    hint = next((hint for kind, hint in _HINTS if isinstance(error, kind)), _UNEXPECTED)
    return WorldFault(doing, hint)


MEMORY: Final = ":memory:"
BUSY_MS: Final = 5_000
STATEMENTS_KEPT: Final = 256
CHECKPOINT_PAGES: Final = 4_096
LEFT_PAGES_MAX: Final = 256
PASSES_MAX: Final = 4
LOG_TIMES_MAX: Final = 8
"""How many times the pages of a checkpoint a log may have, where a thread is so slow that it must be waited for."""
LOG_PIECE_BYTES: Final = 64 * 1024  # SQLite takes 128 KiB less one in one write
WAL_KEPT_BYTES: Final = 64 * 1024 * 1024

_WRITING: Final = apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE
_CREATING: Final = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
_HINTS: Final[tuple[tuple[type[apsw.Error | OSError], str], ...]] = (
    (OSError, "the disk failed: see the kernel's log, then start again; all that was confirmed is safe"),
    (apsw.FullError, "the disk is full: make room, then start again; all that was confirmed is safe"),
    (apsw.IOError, "the disk failed: see the kernel's log, then start again; all that was confirmed is safe"),
    (apsw.CorruptError, "the file is damaged: keep a copy of it, and restore the newest backup"),
    (apsw.NotADBError, "the file is damaged: keep a copy of it, and restore the newest backup"),
    (apsw.BusyError, "another program holds the database: close it, then start again"),
    (apsw.ReadOnlyError, "the file may not be written: give it to the user that runs this program"),
    (apsw.CantOpenError, "the file cannot be opened: give it and its folder to the user that runs this program"),
)
_UNEXPECTED: Final = "this should not happen: please report it with the log"
