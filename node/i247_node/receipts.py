"""Owe receipts, and share them: up to 32 statements of one member in one, held back for a moment.

A reply that names a query makes its receipt unnecessary. Nothing here is saved: a sender that asks again is
answered again. docs/protocol.md 7.5.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from i247_protocol.limits import RECEIPT_DELAY_MS, RECEIPT_DELAY_URGENT_MS, RECEIPT_IDS_MAX
from i247_protocol.names import EvidenceId, MemberCode, MonoMs, Now
from i247_protocol.priority import Priority
from i247_protocol.receipts import Outcome
from i247_protocol.timers import Timers


class Kind(NamedTuple):
    """Which receipts may share one statement."""

    member: MemberCode
    outcome: Outcome
    reason: str | None


class Receipts:
    """The receipts that this node owes."""

    def __init__(self) -> None:
        self._owed: dict[Kind, list[EvidenceId]] = {}
        self._due: Timers[Kind] = Timers()

    def owe(self, kind: Kind, sid: EvidenceId, prio: Priority, now: Now) -> None:
        """Note that `sid` is to be acknowledged soon."""
        owed = self._owed.setdefault(kind, [])
        if sid in owed:
            return
        owed.append(sid)
        delay = RECEIPT_DELAY_URGENT_MS if prio <= Priority.URGENT else RECEIPT_DELAY_MS
        at = MonoMs(now.mono if len(owed) >= RECEIPT_IDS_MAX else now.mono + delay)
        if kind not in self._due or prio <= Priority.URGENT or len(owed) >= RECEIPT_IDS_MAX:
            self._due.set(kind, at)

    def due(self, now: Now) -> Iterator[tuple[Kind, tuple[EvidenceId, ...]]]:
        """Remove and yield what is to be sent now, at most 32 statements at a time."""
        for kind in list(self._due.due(now.mono)):
            owed = self._owed.pop(kind, [])
            for begin in range(0, len(owed), RECEIPT_IDS_MAX):
                yield kind, tuple(owed[begin : begin + RECEIPT_IDS_MAX])

    def next_deadline(self) -> MonoMs | None:
        """Return when something is due next."""
        return self._due.next()
