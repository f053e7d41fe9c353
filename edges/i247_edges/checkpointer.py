"""Bring a database's log into its file by a thread aside: no commit waits for all of it. docs/architecture.md 6."""

from __future__ import annotations

import os
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final

import apsw

from i247_edges.sqlite_connection import abandon


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
        abandon(self._connection)

    def close(self) -> None:
        """Let go of the file, after the writer has: closing a file drops all locks that this process has on it."""
        os.close(self._file)

    def _bring_over(self) -> int:
        """Return how many pages of the log are in the file now, and on the disk."""
        _, brought = self._connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
        # SQLite leaves this sync to whoever brings over the last page.
        os.fsync(self._file)
        return brought


LEFT_PAGES_MAX: Final = 256
PASSES_MAX: Final = 4
