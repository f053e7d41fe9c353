"""Prepare the files of a database before SQLite opens them: one writer, only for its owner, a log that is on the disk.

docs/architecture.md 6.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Final

import apsw

from i247_edges.sqlite_connection import fault_of
from i247_protocol.errors import CallerFault, WorldFault


def take_lock(path: str) -> int:
    """Return the open file that keeps other writers out; raise CallerFault when there is one."""
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


def create_file(path: str) -> None:
    """Create the database's file with mode 0600, if there is none."""
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


def write_log_anew(path: str, vfs: str | None) -> None:
    """Make sure that a log which was left behind is on the disk as it is read."""
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
        raise fault_of("opening the store", error) from error


LOG_PIECE_BYTES: Final = 64 * 1024  # SQLite takes 128 KiB less one in one write
_CREATING: Final = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
