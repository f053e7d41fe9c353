"""Stand between SQLite and the disk: count, record or fail each write, sync and truncation of the real store.

The shared-memory index is not seen here; it holds nothing that a crash must leave behind.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random

import apsw


@dataclass(frozen=True)
class Touch:
    """One change of the disk that SQLite asked for."""

    kind: str  # write, truncate, sync, delete, or lost where a sync failed
    path: str
    offset: int = 0
    data: bytes = b""


@dataclass(frozen=True)
class Fault:
    """What goes wrong: `kinds` of touches fail in this way, `torn` ones after half of the bytes."""

    name: str
    kinds: tuple[str, ...]
    code: int
    torn: bool = False

    def error(self) -> apsw.Error:
        error: apsw.Error = apsw.FullError() if self.code == apsw.SQLITE_FULL else apsw.IOError()
        error.extendedresult = self.code  # type: ignore[attr-defined]  # the stub lacks what apsw reads
        return error


FULL = Fault("disk full", ("write",), apsw.SQLITE_FULL)
BROKEN_WRITE = Fault("write fails", ("write",), apsw.SQLITE_IOERR_WRITE)
TORN_WRITE = Fault("write is torn", ("write",), apsw.SQLITE_IOERR_WRITE, torn=True)
BROKEN_SYNC = Fault("sync fails", ("sync",), apsw.SQLITE_IOERR_FSYNC)


class FaultyVfs(apsw.VFS):
    """A file system that fails the touch number `fail_at` of those that `fault` names, once, counted from 0."""

    def __init__(self, name: str, fault: Fault | None, fail_at: int | None) -> None:
        self.name = name
        self.fault = fault
        self.fail_at = fail_at
        self.touches: list[Touch] = []
        self.eligible = 0
        self.failed_at: int | None = None
        super().__init__(name, "")

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> FaultyFile:  # noqa: N802  SQLite's name
        return FaultyFile(self, name, flags)

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: N802
        super().xDelete(filename, syncdir)
        self.touches.append(Touch("delete", filename))

    def excepthook(self, *_: object) -> bool:
        return True  # the error goes to SQLite, and nobody else wants to hear of it

    def touch(self, touch: Touch) -> Fault | None:
        """Record a touch; return the fault that it must meet."""
        if self.fault is not None and touch.kind in self.fault.kinds:
            self.eligible += 1
            if self.eligible - 1 == self.fail_at:
                if touch.kind == "sync":
                    self.touches.append(Touch("lost", touch.path))
                self.failed_at = len(self.touches)
                return self.fault
        self.touches.append(touch)
        return None


class FaultyFile(apsw.VFSFile):
    def __init__(self, vfs: FaultyVfs, name: str | apsw.URIFilename | None, flags: list[int]) -> None:
        self._vfs = vfs
        self._path = name.filename() if isinstance(name, apsw.URIFilename) else (name or "")
        super().__init__("", name, flags)

    def excepthook(self, *_: object) -> bool:
        return True

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802
        self._do("write", lambda part: super(FaultyFile, self).xWrite(part, offset), offset, bytes(data))

    def xTruncate(self, newsize: int) -> None:  # noqa: N802
        self._do("truncate", lambda _: super(FaultyFile, self).xTruncate(newsize), newsize)

    def xSync(self, flags: int) -> None:  # noqa: N802
        self._do("sync", lambda _: super(FaultyFile, self).xSync(flags))

    def _do(self, kind: str, action: Callable[[bytes], None], offset: int = 0, data: bytes = b"") -> None:
        fault = self._vfs.touch(Touch(kind, self._path, offset, data))
        if fault is None:
            action(data)
            return
        if fault.torn:
            action(data[: len(data) // 2])
        raise fault.error()


@contextmanager
def faulty_vfs(fault: Fault | None = None, fail_at: int | None = None) -> Iterator[FaultyVfs]:
    """Register a file system under a fresh name, and take it away again."""
    vfs = FaultyVfs(f"faulty-{next(_NUMBERS)}", fault, fail_at)
    try:
        yield vfs
    finally:
        vfs.unregister()


def disk_after_power_loss(touches: list[Touch], luck: Random | None) -> dict[str, bytes]:
    """Return the files that a power loss after `touches` leaves.

    What was synced is there. Of what was not, nothing is without `luck`; with it, any part in any order. After a
    sync that failed, the kernel calls clean what it was for: no later sync writes it.
    """
    synced: dict[str, bytearray] = {}
    waiting: dict[str, list[Touch]] = {}
    for touch in touches:
        if touch.kind == "delete":
            synced.pop(touch.path, None)
            waiting.pop(touch.path, None)
        elif touch.kind == "lost":
            waiting.pop(touch.path, None)
        elif touch.kind == "sync":
            for one in waiting.pop(touch.path, []):
                _apply(one, synced.setdefault(touch.path, bytearray()))
        else:
            waiting.setdefault(touch.path, []).append(touch)
    for path, left in waiting.items():
        for one in left:
            if luck is not None and luck.random() < 0.5:
                _apply(one, synced.setdefault(path, bytearray()))
    return {path: bytes(content) for path, content in synced.items()}


def write_disk(files: dict[str, bytes], folder: Path) -> None:
    """Lay files into `folder` by the last part of their paths."""
    folder.mkdir()
    for path, content in files.items():
        (folder / Path(path).name).write_bytes(content)


def _apply(touch: Touch, content: bytearray) -> None:
    if touch.kind == "truncate":
        del content[touch.offset :]
    missing = touch.offset - len(content)
    if missing > 0:
        content.extend(bytes(missing))
    content[touch.offset : touch.offset + len(touch.data)] = touch.data


_NUMBERS = itertools.count()
