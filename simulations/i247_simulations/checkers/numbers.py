"""Watch that nothing is missed for good: a gap in a sender's numbers ends, and by a true word. docs/simulation.md 6."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from i247_node.records import Gap, KeepAudit
from i247_protocol import codec
from i247_protocol.audit import RECORD_BYTES_MAX, AuditRecord
from i247_protocol.gaps import End
from i247_simulations.checkers.watching import Checker, Sight
from i247_simulations.disk import Memory
from i247_simulations.node_memory import PlainNodeMemory
from i247_simulations.programs import Program


class NumbersEnd(Checker):
    """Who misses a number gets its statement, or learns truly why it will not come."""

    promise = "P5"
    looks_at: ClassVar[dict[str, frozenset[type]]] = {"durable": frozenset({KeepAudit})}

    def __init__(self, sight: Sight) -> None:
        super().__init__(sight)
        self._has_forgotten: set[str] = set()

    def restored(self, name: str, before: Memory, after: Memory) -> None:
        """Note who may truly not know any more what it has sent."""
        self._has_forgotten.add(name)

    def durable(self, program: Program, record: object) -> None:
        """Hear a sender say that it knows of no such number."""
        if isinstance(record, KeepAudit) and MISSING in record.data:
            told = codec.decode_as(AuditRecord, record.data, bytes_max=RECORD_BYTES_MAX)
            lies = told.what == "missing" and told.detail == End.UNKNOWN.value
            if lies and told.peer not in self._has_forgotten:
                self.broken(program.name, f"{told.peer} does not know what it has sent")

    def finish(self) -> None:
        """Look for what is missing still."""
        for name, sender, gap in missing(self.sight):
            self.broken(name, f"numbers {gap.first} to {gap.last} of {sender} are missing and nobody says why")


def missing(sight: Sight) -> Iterator[tuple[str, str, Gap]]:
    """Yield who misses which numbers of whom, where both may speak, and all that was said can be taken."""
    for name, disk in sight.disks.items():
        memory = disk.memory
        if isinstance(memory, PlainNodeMemory) and name not in sight.suspended:
            for heard in memory.numbers_of_others():
                if heard.gaps and _may_account(sight, heard.sender):
                    yield from ((name, heard.sender, gap) for gap in heard.gaps)


def _may_account(sight: Sight, sender: str) -> bool:
    disk = sight.disks.get(sender)
    if disk is None or sender in sight.suspended or not isinstance(disk.memory, PlainNodeMemory):
        return False
    # Mail signed with a key that was stolen since stays with its author until it expires.
    return not any(disk.memory.messages[one.n].sid in sight.void for one in disk.memory.unsettled())


MISSING = b"missing"
