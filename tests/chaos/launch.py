"""Run a daemon exactly as its program does, on a disk that can fail and by a clock that can be wrong.

`python -m tests.chaos.launch PROGRAM SWITCHES RECORD run --config FILE`. The product has no door for this: SQLite takes
the file system that is registered as the usual one, and the clock is replaced before anything that reads it is loaded.
"""

from __future__ import annotations

import importlib
import sys
import time
from pathlib import Path

import apsw
from tests.chaos.record import Record
from tests.chaos.switches import Switch, Switches
from tests.faulty_vfs import FULL, Fault, FaultyFile, FaultyVfs, Touch

import i247_edges.clock
from i247_protocol.names import Now, WallMs


class LiveVfs(FaultyVfs):
    """The file system of a daemon: records each touch, and fails as the switches say."""

    def __init__(self, switches: Switches, record: Record) -> None:
        self._switches = switches
        self._record = record
        super().__init__("chaos", over=apsw.vfs_names()[0], is_usual=True)

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> FaultyFile:  # noqa: N802  SQLite's name
        # Closing what is open to read alone tries a lock that such a file cannot have. SQLite passes over that, but
        # an error that went through Python comes out again.
        if flags[0] & apsw.SQLITE_OPEN_READONLY:
            flags[0] = flags[0] & ~apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_READWRITE
        return super().xOpen(name, flags)

    def touch(self, touch: Touch) -> Fault | None:
        switches = self._switches
        if touch.kind == "sync":
            time.sleep(switches[Switch.SYNC_MS] / 1_000)
        fault = switches.fault
        if fault is not None and touch.kind in fault.kinds:
            if switches[Switch.AFTER] <= 0:
                self._failed(fault, touch)
                return fault
            switches[Switch.AFTER] -= 1
        is_lie = touch.kind == "sync" and switches[Switch.LIES]
        self.note(Touch("lie", touch.path) if is_lie else touch)
        return None

    def note(self, touch: Touch) -> None:
        self._record.add(touch)

    def _failed(self, fault: Fault, touch: Touch) -> None:
        self._switches[Switch.FIRED] += 1
        if fault is not FULL:  # a full disk stays full; the others fail once
            self._switches[Switch.FAULT] = 0
        if touch.kind == "sync":
            self.note(Touch("lost", touch.path))
        elif fault.torn:
            self.note(Touch(touch.kind, touch.path, touch.offset, touch.data[: len(touch.data) // 2]))


def main() -> None:
    program, switches_path, record_path, *words = sys.argv[1:]
    switches = Switches(Path(switches_path))
    true_clocks = i247_edges.clock.read_clocks

    def read_clocks() -> Now:
        now = true_clocks()
        return Now(now.mono, WallMs(now.wall + switches[Switch.CLOCK_MS]))

    i247_edges.clock.read_clocks = read_clocks
    vfs = LiveVfs(switches, Record(Path(record_path)))  # SQLite does not keep it alive
    command = importlib.import_module(MODULES[program])
    command.main(words, prog_name=program)
    del vfs


MODULES = {"i247-hub": "i247_hub.cli", "i247-node": "i247_node.cli"}

if __name__ == "__main__":
    main()
