"""Open a connection to SQLite, let go of one, and say in words what has failed. docs/architecture.md 6."""

from __future__ import annotations

from typing import Final

import apsw

from i247_protocol.errors import CallerFault, WorldFault


def connect(path: str, flags: int, vfs: str | None) -> apsw.Connection:
    """Open a connection that waits for a busy database a while, and whose plans do not depend on values."""
    try:
        connection = apsw.Connection(path, flags=flags, vfs=vfs, statementcachesize=STATEMENTS_KEPT)
    except apsw.Error as error:
        raise fault_of("opening the store", error) from error
    connection.set_busy_timeout(BUSY_MS)
    # Otherwise a plan may depend on the values bound, and many a query is prepared anew each time: ten times the cost.
    connection.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1)
    return connection


def configure(connection: apsw.Connection, cache_kib: int, secure_delete: str) -> None:
    """Let a writer's commits be durable, and its checkpoints be made by whoever asks for them."""
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


def abandon(connection: apsw.Connection | None) -> None:
    """Let go of a connection, whatever comes of it."""
    if connection is not None:
        try:
            connection.close(force=True)
        except apsw.Error:
            # What was committed is in the file and the log; the next start finds it there.
            return


def fault_of(doing: str, error: apsw.Error | OSError) -> WorldFault:
    """Return the fault that tells a user what to do about `error`."""
    hint = next((hint for kind, hint in _HINTS if isinstance(error, kind)), _UNEXPECTED)
    return WorldFault(doing, hint)


BUSY_MS: Final = 5_000
STATEMENTS_KEPT: Final = 256
WAL_KEPT_BYTES: Final = 64 * 1024 * 1024

WRITING: Final = apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE
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
