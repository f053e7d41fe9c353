"""Keep what a daemon writes and syncs, in order and with the time, so that its disk at any moment can be built."""

from __future__ import annotations

import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from tests.faulty_vfs import Touch


@dataclass(frozen=True)
class Moment:
    """One touch, and when it was."""

    mono_ns: int
    touch: Touch


class Record:
    """Where touches are written, one after the other; a daemon that is killed leaves half of one at most."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("ab", buffering=0)

    def add(self, touch: Touch) -> None:
        """Write one touch, by one call, so that two threads do not get into each other's words."""
        path = touch.path.encode()
        head = HEAD.pack(KINDS.index(touch.kind), time.monotonic_ns(), touch.offset, len(path), len(touch.data))
        self._file.write(head + path + touch.data)

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()


def moments(path: Path) -> Iterator[Moment]:
    """Yield what was recorded, oldest first, up to where it breaks off."""
    if not path.exists():
        return
    with path.open("rb") as file:
        while (one := _next(file)) is not None:
            yield one


def _next(file: BinaryIO) -> Moment | None:
    head = file.read(HEAD.size)
    if len(head) < HEAD.size:
        return None
    kind, mono_ns, offset, path_bytes, data_bytes = HEAD.unpack(head)
    rest = file.read(path_bytes + data_bytes)
    if len(rest) < path_bytes + data_bytes:
        return None
    return Moment(mono_ns, Touch(KINDS[kind], rest[:path_bytes].decode(), offset, rest[path_bytes:]))


HEAD = struct.Struct("<BQQHI")
KINDS = ("write", "truncate", "sync", "delete", "lost", "lie")
