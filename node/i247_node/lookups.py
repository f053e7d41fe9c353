"""Ask slow registers off the loop, in a few threads; each look-up ends in a finding, whatever happens.

A register here is asked by several threads at once. When more look-ups wait than are allowed, or a register
raises anything at all, the finding says unavailable: an asker is never left without an answer. The threads
are daemons, so a register that hangs does not keep the program from stopping; the query is looked up again
after the next start. docs/architecture.md 5.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from queue import SimpleQueue
from threading import Thread
from typing import Final

import structlog

from i247_node.commands import LookUp, LookupFinished
from i247_node.registers import Finding, Register
from i247_protocol.queries import Status
from i247_protocol.reasons import Reason


class Lookups:
    """Threads that ask slow registers."""

    def __init__(self, registers: Mapping[str, Register], finished: Callable[[LookupFinished], None]) -> None:
        """Ask `registers` and hand what they find to `finished`, which any thread may call."""
        self.registers = registers
        self._finished = finished
        self._waiting: SimpleQueue[LookUp | None] = SimpleQueue()
        self._threads: list[Thread] = []

    def begin(self, look_up: LookUp) -> None:
        """Begin a look-up; this does not wait."""
        if self._waiting.qsize() >= LOOKUPS_WAITING_MAX:
            self._finished(LookupFinished(look_up.entry, UNAVAILABLE))
            return
        if len(self._threads) < THREADS_MAX:
            self._threads.append(Thread(target=self._work, name="look-up", daemon=True))
            self._threads[-1].start()
        self._waiting.put(look_up)

    def stop(self) -> None:
        """Let the threads end when they are done."""
        for _ in self._threads:
            self._waiting.put(None)
        self._threads.clear()

    def _work(self) -> None:
        while (look_up := self._waiting.get()) is not None:
            self._finished(LookupFinished(look_up.entry, self._found(look_up)))

    def _found(self, look_up: LookUp) -> Finding:
        register = self.registers.get(look_up.register)
        if register is None:
            return UNAVAILABLE
        try:
            return register.look_up(look_up.criteria)
        except Exception as fault:  # noqa: BLE001  somebody else's code, and the asker waits
            # Without the text of the fault, which may name what was asked for.
            _log.warning("register failed", register=look_up.register, fault=type(fault).__name__)
            return UNAVAILABLE


UNAVAILABLE: Final = Finding(Status.UNAVAILABLE, (), None, Reason.REGISTER_UNAVAILABLE)
LOOKUPS_WAITING_MAX: Final = 4_096
THREADS_MAX: Final = 4

_log = structlog.get_logger()
