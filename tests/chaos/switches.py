"""Make the disk and the clock of a running daemon worse: a few numbers in a file that both sides have mapped."""

from __future__ import annotations

import mmap
import os
import struct
from enum import IntEnum
from pathlib import Path
from typing import Self

from tests.faulty_vfs import BROKEN_SYNC, BROKEN_WRITE, FULL, TORN_WRITE, Fault


class Switch(IntEnum):
    """What can be set; each is a number, and 0 is a healthy world."""

    CLOCK_MS = 0
    """How far civil time is off."""
    FAULT = 1
    """Which of `FAULTS` the disk has."""
    AFTER = 2
    """How many more touches succeed before that one fails."""
    SYNC_MS = 3
    """How much longer each sync takes."""
    LIES = 4
    """Whether a sync does nothing and says it has."""
    FIRED = 5
    """How often the disk has failed; counted by the daemon's side."""


class Switches:
    """The numbers of one daemon."""

    def __init__(self, path: Path) -> None:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            os.ftruncate(descriptor, SIZE)
            self._shared = mmap.mmap(descriptor, SIZE)
        finally:
            os.close(descriptor)

    def __getitem__(self, switch: Switch) -> int:
        value: int = NUMBER.unpack_from(self._shared, switch * NUMBER.size)[0]
        return value

    def __setitem__(self, switch: Switch, value: int) -> None:
        NUMBER.pack_into(self._shared, switch * NUMBER.size, value)

    @property
    def fault(self) -> Fault | None:
        """What is wrong with the disk."""
        return FAULTS[self[Switch.FAULT]]

    def heal(self) -> None:
        """Let all be well from now on."""
        for switch in Switch:
            if switch is not Switch.FIRED:
                self[switch] = 0

    def close(self) -> None:
        """Let go of the file."""
        self._shared.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


NUMBER = struct.Struct("<q")
SIZE = NUMBER.size * len(Switch)
FAULTS: tuple[Fault | None, ...] = (None, FULL, BROKEN_WRITE, TORN_WRITE, BROKEN_SYNC)
