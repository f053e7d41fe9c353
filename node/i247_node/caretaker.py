"""Look after a running node between its turns: the network file, the mark beside the database, the log.

Decides when to look and what is worth a line. The log names members, hubs, reasons and numbers, never a message.
Edge. docs/operations.md.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Final

import structlog

from i247_node.commands import NodeStatus, ReportStatus
from i247_node.directory_watch import DirectoryWatch
from i247_node.engine import Answer, Engine, EngineBusy
from i247_node.incarnation import IncarnationKeeper
from i247_protocol.machine import DirectoryGiven
from i247_protocol.names import MonoMs, Now

Log = structlog.typing.FilteringBoundLogger


class Caretaker:
    """What is done beside the machine's work, in the engine's thread."""

    def __init__(self, watch: DirectoryWatch, keeper: IncarnationKeeper, log: Log) -> None:
        self.watch = watch
        self._keeper = keeper
        self._log = log
        self._engine: Engine | None = None
        self._ask_at = self._count_at = MonoMs(0)
        self._counted: Counter[str] = Counter()
        self._known: dict[str, object] = {}

    def serve(self, engine: Engine) -> None:
        """Tell of this engine from now on."""
        self._engine = engine

    def look_around(self, now: Now) -> Iterator[DirectoryGiven]:
        """Do what is due; yield the network file when it is new. Raises WorldFault when the disk fails."""
        self._keeper.keep(now.mono)
        if self._engine is not None and now.mono >= self._ask_at:
            self._ask_at = MonoMs(now.mono + LOOK_MS)
            self._ask(self._engine, now)
        data = self.watch.look(now.mono)
        if data is not None:
            yield DirectoryGiven(data)

    def _ask(self, engine: Engine, now: Now) -> None:
        must_count = now.mono >= self._count_at
        if must_count:
            self._count_at = MonoMs(now.mono + COUNT_MS)

        def answered(answer: Answer) -> None:
            if isinstance(answer, NodeStatus):
                self._tell(answer)
                if must_count:
                    self._tell_counts(Counter(answer.counters))

        try:
            engine.ask(ReportStatus(0), answered)
        except EngineBusy:
            self._log.warning("busy", waiting="too many requests of local programs")

    def _tell(self, status: NodeStatus) -> None:
        hubs = sorted({link.hub for link in status.links if link.open})
        self._tell_change("hubs", "connected", hubs=",".join(hubs))
        self._tell_change("directory", "directory", roster=status.roster, health=status.health)
        refused = {name: count for name, count in status.counters.items() if name.startswith(DIRECTORY)}
        refused.pop(f"{DIRECTORY}newer", None)
        if refused:
            self._tell_change("refused", "directory refused", **{_field(name): n for name, n in refused.items()})

    def _tell_change(self, subject: str, event: str, **what: object) -> None:
        if self._known.get(subject) != what:
            self._known[subject] = what
            self._log.info(event, **what)

    def _tell_counts(self, counted: Counter[str]) -> None:
        new = counted - self._counted
        self._counted = counted
        if new:
            self._log.info("counted", **{_field(name): count for name, count in sorted(new.items())})


def _field(name: str) -> str:
    return name.translate(_TO_FIELDS)


DIRECTORY: Final = "directory."
LOOK_MS: Final = 1_000
COUNT_MS: Final = 60_000
_TO_FIELDS: Final = str.maketrans(".-", "__")
