"""Watch that no table in a machine's memory grows beyond its bound (P10).

The machines are looked through for whatever has a length, so that a table nobody has thought of is seen as well.
docs/simulation.md 6.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator
from typing import Any, Final

from i247_protocol.limits import (
    EPOCH_KEYS_MAX,
    HOMES_MAX,
    HUBS_MAX,
    MAILBOX_READY_MAX,
    MEMBERS_MAX,
    ON_THE_WAY_MAX,
    OUTBOX_READY_MAX,
    OUTBOX_SEALED_BYTES_MAX,
    PARKED_PER_LINK_MAX,
    QUESTIONS_MAX,
    RECEIPT_IDS_MAX,
    SESSIONS_MAX,
)
from i247_protocol.timers import SLACK
from i247_simulations.checkers.watching import Checker, Sight
from i247_simulations.programs import Program


class TablesBounded(Checker):
    """Every table in memory keeps to its limit; one that is not listed, to a limit that no table here should need."""

    promise = "P10"

    def __init__(self, sight: Sight) -> None:
        super().__init__(sight)
        self.largest: Counter[str] = Counter()
        self._turns: Counter[str] = Counter()

    def turned(self, program: Program) -> None:
        """Look through a machine, now and then: the more it does, the more often."""
        self._turns[program.name] += 1
        if self._turns[program.name] % LOOK_TURNS == 1:
            self._look_through(program)

    def finish(self) -> None:
        """Look through all machines once more."""
        for program in self.sight.programs.values():
            self._look_through(program)

    def _look_through(self, program: Program) -> None:
        for table, length in lengths(program.machine):
            self.largest[table] = max(self.largest[table], length)
            if length > LIMITS.get(table, UNLISTED_MAX):
                self.broken(program.name, f"{table} has {length} rows, and may have {LIMITS.get(table, UNLISTED_MAX)}")


def lengths(machine: object) -> Iterator[tuple[str, int]]:
    """Yield the name of each table in a machine, and how long it is; `Class.attribute[]` is one inside a table."""
    seen = {id(machine)}
    waiting: list[object] = [machine]
    while waiting:
        owner = waiting.pop()
        for name in (*_slots(type(owner)), *getattr(owner, "__dict__", ())):
            inside: list[tuple[str, Any]] = [(f"{type(owner).__name__}.{name}", getattr(owner, name, None))]
            while inside:
                path, value = inside.pop()
                if isinstance(value, TABLES):
                    yield path, len(value)
                    if isinstance(value, dict):
                        inside += [(f"{path}[]", one) for one in value.values() if isinstance(one, TABLES)]
                        value = list(value.values())
                    else:
                        continue
                else:
                    value = [value]
                for one in value:
                    if type(one).__module__.startswith(OURS) and not isinstance(one, tuple) and id(one) not in seen:
                        seen.add(id(one))
                        waiting.append(one)


def _slots(kind: type) -> tuple[str, ...]:
    return tuple(name for one in kind.__mro__ for name in getattr(one, "__slots__", ()))


TABLES: Final = (dict, list, set, deque)
OURS: Final = (
    "i247_hub.",
    "i247_node.",
    "i247_protocol.session",
    "i247_protocol.timers",
    "i247_protocol.counters",
    "i247_keys.cardfile",
)
PLACES_MAX: Final = MEMBERS_MAX + HUBS_MAX
LIMITS: Final = {
    "Connections._by_link": SESSIONS_MAX,
    "Connections._outward": 2 * PLACES_MAX,
    "Carriage._mailboxes": 2 * PLACES_MAX,
    "Carriage._judged_from": MEMBERS_MAX,
    # What is put back, at a busy place, comes before what waits.
    "_Queue.ready": MAILBOX_READY_MAX + ON_THE_WAY_MAX,
    "Mailbox._on_the_way": ON_THE_WAY_MAX,
    "Mailbox._aside": ON_THE_WAY_MAX,
    "Questions._open": QUESTIONS_MAX,
    "CardFile._cards": MEMBERS_MAX,
    "Links._links": 2 * HUBS_MAX,
    # Each sealed envelope has 512 bytes at least.
    "Outbox._ready[]": OUTBOX_READY_MAX + OUTBOX_SEALED_BYTES_MAX // 512,
    "Outbox._on_the_way": OUTBOX_SEALED_BYTES_MAX // 512,
    "Outbox._active": OUTBOX_SEALED_BYTES_MAX // 512,
    "Outbox._without_card": MEMBERS_MAX,
    "Outbox._dead": MEMBERS_MAX,
    "Outbox._tries": MEMBERS_MAX,
    "Receipts._owed": 32 * MEMBERS_MAX,
    "Receipts._owed[]": 8 * RECEIPT_IDS_MAX,
    "Listener._parked": 2 * HOMES_MAX,
    "Listener._parked[]": PARKED_PER_LINK_MAX,
    "Timers._heap": 2 * 32 * MEMBERS_MAX + SLACK,
    "Speaker._last_numbers": 4 * MEMBERS_MAX,
    "Gaps._heard": 4 * MEMBERS_MAX,
    "Gaps._tries": MEMBERS_MAX,
    "Accounts._not_before": MEMBERS_MAX,
    "Counters._totals": 256,
    "Keyring._secrets": EPOCH_KEYS_MAX,
}
UNLISTED_MAX: Final = 4_096
LOOK_TURNS: Final = 512
