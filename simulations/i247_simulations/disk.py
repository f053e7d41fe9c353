"""Keep what a program saves, as a disk would: a turn is pending until its commit is done, and a crash loses it.

A commit takes its time; until then nothing of the turn is sure. At a crash the open turn is gone, and the pending one
is there as a whole or not at all, by luck, since a confirmation may be lost where the data was not. A commit that fails
ends the program, as docs/protocol.md 11 demands. A lying disk confirms what it does not keep. docs/simulation.md 2.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from i247_protocol.errors import WorldFault
from i247_simulations.hub_memory import PlainHubMemory
from i247_simulations.node_memory import PlainNodeMemory
from i247_simulations.undoing import Undoing

Memory = PlainHubMemory | PlainNodeMemory


class Disk:
    """The journal of one program, over the tables of its memory; outlives the program."""

    def __init__(self, memory: Memory, durable: Callable[[Sequence[object]], None]) -> None:
        self.memory = memory
        self.delay_us = 0
        self.fails_next = False
        self.is_full = False
        self.at_commit: Callable[[], None] | None = None
        """What happens, once, while the next commit is being written."""
        self.lies = False
        self.commits = 0
        self._durable = durable
        self._open: list[object] = []
        self._pending: tuple[list[object], Undoing] | None = None
        self._unkept: list[Undoing] = []

    @property
    def is_at_rest(self) -> bool:
        """Whether everything that was saved is durable."""
        return not self._open and self._pending is None

    def persist(self, record: object) -> None:
        """Take one record into the open turn."""
        self.memory.persist(record)
        self._open.append(record)

    def commit(self) -> None:
        """Begin to make the open turn durable; raise WorldFault when the disk cannot."""
        if self.fails_next or self.is_full:
            self.fails_next = False
            raise WorldFault("committing a turn", "the simulated disk is full or broken")
        self.settle()
        self.commits += 1
        self._pending = (self._open, self.memory.undoing.taken())
        self._open = []
        if self.at_commit is not None:
            strike, self.at_commit = self.at_commit, None
            strike()

    def settle(self) -> None:
        """Let the pending turn be durable: its time has come."""
        if self._pending is None:
            return
        (records, undoing), self._pending = self._pending, None
        if self.lies:
            self._unkept.append(undoing)
        self._durable(records)

    def crash(self, *, pending_is_kept: bool) -> bool:
        """Lose what was not durable; return whether that was anything."""
        lost = bool(self._open)
        self.memory.undoing.taken().undo()
        self._open = []
        if pending_is_kept:
            self.settle()
        elif self._pending is not None:
            (_, undoing), self._pending = self._pending, None
            undoing.undo()
            lost = True
        while self._unkept:
            self._unkept.pop().undo()
        self.lies = self.fails_next = False
        return lost
