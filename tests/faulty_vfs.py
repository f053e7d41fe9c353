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

    kind: str  # write, truncate, sync, delete, lost where a sync failed, lie where it did nothing and said it had
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

    def __init__(
        self,
        name: str,
        fault: Fault | None = None,
        fail_at: int | None = None,
        *,
        over: str = "",
        is_usual: bool = False,
    ) -> None:
        """Stand over the file system `over`; the usual one is taken by whoever names none."""
        self.name = name
        self.over = over
        self.fault = fault
        self.fail_at = fail_at
        self.touches: list[Touch] = []
        self.eligible = 0
        self.failed_at: int | None = None
        super().__init__(name, over, makedefault=is_usual)

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> FaultyFile:  # noqa: N802  SQLite's name
        return FaultyFile(self, name, flags)

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: N802
        super().xDelete(filename, syncdir)
        self.note(Touch("delete", filename))

    def excepthook(self, *_: object) -> bool:
        return True  # the error goes to SQLite, and nobody else wants to hear of it

    def touch(self, touch: Touch) -> Fault | None:
        """Record a touch; return the fault that it must meet."""
        if self.fault is not None and touch.kind in self.fault.kinds:
            self.eligible += 1
            if self.eligible - 1 == self.fail_at:
                if touch.kind == "sync":
                    self.note(Touch("lost", touch.path))
                self.failed_at = len(self.touches)
                return self.fault
        self.note(touch)
        return None

    def note(self, touch: Touch) -> None:
        """Remember a touch."""
        self.touches.append(touch)


class FaultyFile(apsw.VFSFile):
    def __init__(self, vfs: FaultyVfs, name: str | apsw.URIFilename | None, flags: list[int]) -> None:
        self._vfs = vfs
        self._path = name.filename() if isinstance(name, apsw.URIFilename) else (name or "")
        super().__init__(vfs.over, name, flags)

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


class Platter:
    """What is on a disk for certain, and what waits to be written there."""

    def __init__(self, files: dict[str, bytes] | None = None) -> None:
        """Begin with `files`, all of them synced."""
        self._synced = {path: bytearray(content) for path, content in (files or {}).items()}
        self._waiting: dict[str, list[Touch]] = {}

    def take(self, touch: Touch) -> None:
        """Follow one touch. What a failed sync was for, the kernel calls clean: no later one writes it."""
        match touch.kind:
            case "delete":
                self._synced.pop(touch.path, None)
                self._waiting.pop(touch.path, None)
            case "lost":
                self._waiting.pop(touch.path, None)
            case "lie":
                pass
            case "sync":
                for one in self._waiting.pop(touch.path, []):
                    _apply(one, self._synced.setdefault(touch.path, bytearray()))
            case _:
                self._waiting.setdefault(touch.path, []).append(touch)

    def after_power_loss(self, leave: Callable[[Touch], Touch | None]) -> dict[str, bytes]:
        """Return the files that are left: all that was synced, and of the rest what `leave` makes of each touch."""
        files = {path: bytearray(content) for path, content in self._synced.items()}
        for path, waiting in self._waiting.items():
            for touch in waiting:
                left = leave(touch)
                if left is not None:
                    _apply(left, files.setdefault(path, bytearray()))
        return {path: bytes(content) for path, content in files.items()}


def nothing(_: Touch) -> None:
    """Leave only what was synced."""


def everything(touch: Touch) -> Touch:
    """Leave all that was written, synced or not."""
    return touch


def any_part(luck: Random) -> Callable[[Touch], Touch | None]:
    """Leave some of the writes, and of some only their first or last sectors: a disk that reorders, and tears."""

    def leave(touch: Touch) -> Touch | None:
        chance = luck.random()
        if chance < 0.4:
            return None
        if chance < 0.8 or touch.kind != "write":
            return touch
        cut = SECTOR_BYTES * luck.randint(0, len(touch.data) // SECTOR_BYTES)
        if chance < 0.9:
            return Touch("write", touch.path, touch.offset, touch.data[:cut])
        return Touch("write", touch.path, touch.offset + cut, touch.data[cut:])

    return leave


def disk_after_power_loss(touches: list[Touch], luck: Random | None) -> dict[str, bytes]:
    """Return the files that a power loss after `touches` leaves.

    What was synced is there. Of what was not, nothing is without `luck`; with it, any part in any order.
    """
    platter = Platter()
    for touch in touches:
        platter.take(touch)
    return platter.after_power_loss(nothing if luck is None else any_part(luck))


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


SECTOR_BYTES = 512
_NUMBERS = itertools.count()
