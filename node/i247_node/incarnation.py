"""Notice that the database was put back from a copy: what it had seen since is forgotten, and its secrets are not.

A small file beside the database says how far the audit trail had come, and by which digest. Whatever a node accepts
moves that trail, and no other database continues it; so a trail that does not hold the mark is another one, or an
older copy. An empty database where the file tells of work is neither: it is a loss, and it is for an operator to say
that the node shall begin anew. The file also holds the number that keeps sequences of statements apart once one may
repeat itself. It is written after commits, so it may lag behind the database and never runs ahead. Edge.
docs/operations.md.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from i247_node.store import NodeStore
from i247_protocol.audit import GENESIS, record_digest
from i247_protocol.errors import WorldFault
from i247_protocol.names import MonoMs, WallMs


class Incarnation(NamedTuple):
    """One life of a database; when it is `renewed`, what it holds may be older than what this node has done."""

    number: int
    is_renewed: bool


class Mark(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What stands in the file: the number, and where the audit trail was."""

    incarnation: int
    audit_n: int
    audit_digest: bytes


def find_incarnation(path: Path, store: NodeStore, wall: WallMs) -> Incarnation:
    """Return the number of this life; a new one when the file is not there, or is not of this database.

    Raises WorldFault when the database is empty and the file tells of work.
    """
    mark = _read(path)
    if mark is not None and mark.audit_n and store.audit_end() is None:
        raise WorldFault(
            "opening the store: it is empty, but this node has been at work",
            f"put its file back; or delete {path.name} beside it to begin anew, without all that it held",
        )
    if mark is not None and _holds(store, mark):
        return Incarnation(mark.incarnation, is_renewed=False)
    # Seconds are ahead of every number that was chosen before, also where the file was lost. The keeper writes it after
    # the first commit: a crash before that must find this life renewed again, or old epoch secrets would be kept.
    number = max(wall // 1000, 0 if mark is None else mark.incarnation + 1)
    return Incarnation(number, is_renewed=True)


class IncarnationKeeper:
    """Moves the mark forward while the node works."""

    def __init__(self, path: Path, store: NodeStore, number: int) -> None:
        self._path = path
        self._store = store
        self._number = number
        self._written: Mark | None = None
        self._next = MonoMs(0)

    def keep(self, mono: MonoMs) -> None:
        """Write the mark when it is time; only between turns. Raises WorldFault."""
        if mono >= self._next:
            self._next = MonoMs(mono + KEEP_MS)
            self.keep_now()

    def keep_now(self) -> None:
        """Write the mark unless it is written already."""
        mark = _mark_of(self._store, self._number)
        if mark != self._written:
            self._store.commit()  # the file must never run ahead of the database
            _write(self._path, mark)
            self._written = mark


def _holds(store: NodeStore, mark: Mark) -> bool:
    if mark.audit_n == 0:
        return mark.audit_digest == GENESIS
    found = store.views().audit(mark.audit_n - 1, 1)
    return bool(found) and found[0].n == mark.audit_n and record_digest(found[0].data) == mark.audit_digest


def _mark_of(store: NodeStore, number: int) -> Mark:
    end = store.audit_end()
    return Mark(number, store.last_numbers()[2], GENESIS if end is None else record_digest(end))


def _read(path: Path) -> Mark | None:
    try:
        with path.open("rb") as file:
            return msgspec.json.decode(file.read(BYTES_MAX), type=Mark)
    except FileNotFoundError:
        return None
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None  # as if it were lost: nothing is proven by it
    except OSError as fault:
        raise _fault(path, fault) from None


def _write(path: Path, mark: Mark) -> None:
    temporary = path.with_name(f"{path.name}~")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with open(descriptor, "wb") as file:  # noqa: PTH123  a descriptor has no path
            file.write(msgspec.json.encode(mark) + b"\n")
            file.flush()
            os.fsync(descriptor)
        temporary.replace(path)
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as fault:
        with suppress(OSError):
            temporary.unlink()
        raise _fault(path, fault) from None


def _fault(path: Path, fault: OSError) -> WorldFault:
    return WorldFault(f"keeping {path}: {os.strerror(fault.errno or 0)}", "see disk, owner and mode of its folder")


KEEP_MS: Final = 60_000
BYTES_MAX: Final = 4_096
