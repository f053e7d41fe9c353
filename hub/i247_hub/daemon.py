"""Run a hub: one thread polls the sockets and drives the machine, in turns, until it is told to stop.

Decides only when to look at what is outside the sockets: the network file, signals, the moment for a snapshot. A fault
of the disk ends the daemon at once: nothing more is said, and the next start recovers from what was saved. The log
names members, hubs, reasons and numbers, never a message. Edge. docs/operations.md.
"""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Final

import structlog

from i247_edges.clock import read_clocks
from i247_edges.logs import Level
from i247_edges.process import (
    VERSION,
    collect_garbage_seldom,
    forbid_core_dumps,
    open_as_many_files_as_allowed,
    signals_to,
    tell_systemd,
)
from i247_hub import metrics, status
from i247_hub.arrivals import Arrivals
from i247_hub.config import HubConfig
from i247_hub.machine import HubMachine
from i247_hub.preparation import believe, open_store, require_listed
from i247_hub.sockets import HubSockets
from i247_hub.status import Mailbox, Snapshot, Window
from i247_hub.store import HubStore
from i247_keys.grounds import read_network_file
from i247_keys.own_keys import Publics, unlock
from i247_protocol.errors import WorldFault
from i247_protocol.frames import Role
from i247_protocol.limits import HUB_TURN_MS
from i247_protocol.machine import Admit, Dial, DirectoryGiven, FrameArrived, LinkLost, LinkUp
from i247_protocol.names import MonoMs, Now
from i247_protocol.priority import Lane
from i247_protocol.pump import Pump

Log = structlog.typing.FilteringBoundLogger


def run_hub(config: HubConfig, log: Log) -> None:
    """Run until SIGTERM or SIGINT; raise CallerFault or WorldFault when the hub cannot start, or not go on."""
    forbid_core_dumps()
    open_as_many_files_as_allowed()
    secrets = unlock(config)
    with ExitStack() as stack:
        store = stack.enter_context(closing(open_store(config)))
        trust = believe(config, store, read_clocks().wall)
        require_listed(config, secrets.publics, trust.directory)
        machine = HubMachine(
            config.name,
            secrets.identity,
            trust,
            store,
            os.urandom,
            store_bytes_max=config.store_bytes_max,
            quotas=config.quotas,
        )
        sockets = stack.enter_context(closing(HubSockets(secrets.link, config.listen)))
        hub = Hub(config, machine, store, sockets, secrets.publics, log)
        for window in _windows(config, hub):
            stack.enter_context(closing(window))
        stack.enter_context(signals_to(hub.stop, hub.reread))
        hub.run()


class Hub:
    """The loop of a hub."""

    def __init__(
        self,
        config: HubConfig,
        machine: HubMachine,
        store: HubStore,
        sockets: HubSockets,
        publics: Publics,
        log: Log,
    ) -> None:
        self.snapshot: Snapshot | None = None
        self._config = config
        self._machine = machine
        self._store = store
        self._sockets = sockets
        self._publics = publics
        self._log = log
        self._pump = Pump[FrameArrived | LinkUp | LinkLost | DirectoryGiven](machine, store, sockets, self._tell)
        self._arrivals = Arrivals(machine.connections.lane_of)
        self._trust = machine.trust
        self._file: tuple[int, ...] | None = None  # so that what changed during the start is read once more
        self._refused: dict[str, int] = {}
        self._look_at = self._count_at = MonoMs(0)
        self._counted: Counter[str] = Counter()
        self._told: list[str] = []
        self._started = read_clocks().wall
        self._stop_signal: int | None = None
        self._must_reread = False

    def run(self) -> None:
        """Take turns until `stop`."""
        self._pump.perform(self._machine.start(read_clocks()))
        self._note(
            Level.INFO,
            "started",
            hub=self._config.name,
            version=VERSION,
            roster=self._trust.directory.version,
            listen=" ".join(self._sockets.endpoints),
        )
        self._look(read_clocks())
        collect_garbage_seldom()
        tell_systemd("READY=1")
        while self._stop_signal is None:
            news = self._read()
            now = read_clocks()
            given = self._given(now)
            self._pump.turn(chain(news, given, self._arrivals.take(partial(_has_passed, now.mono + HUB_TURN_MS))), now)
            if given or now.mono >= self._look_at:
                self._look(now)
        self._pump.commit()
        tell_systemd("STOPPING=1")
        self._note(Level.INFO, "stopped", signal=signal.Signals(self._stop_signal).name)

    def stop(self, number: int) -> None:
        """End the loop after its present turn; safe in a signal's handler."""
        self._stop_signal = number
        self._sockets.wake()

    def reread(self) -> None:
        """Read the network file again, changed or not; safe in a signal's handler."""
        self._must_reread = True
        self._sockets.wake()

    def _tell(self, news: object) -> None:
        match news:
            case Admit(keys):
                self._sockets.admit(keys)
            case Dial(peers):
                self._sockets.dial(peers)
            case _:
                self._note(Level.ERROR, "news that no edge takes", kind=type(news).__name__)

    def _read(self) -> list[LinkUp | LinkLost]:
        """Let what has arrived wait for its turn; return what became of links."""
        arrivals = self._arrivals
        news: list[LinkUp | LinkLost] = []
        for event in self._sockets.poll(self._patience_ms(), arrivals.frames_free, arrivals.bytes_free):
            if isinstance(event, FrameArrived):
                arrivals.add(event)
            else:
                news.append(event)
        return news

    def _patience_ms(self) -> int:
        if self._arrivals:
            return 0
        deadline = self._pump.next_deadline()
        until = self._look_at if deadline is None else min(deadline, self._look_at)
        return max(0, until - read_clocks().mono)

    def _note(self, level: Level, event: str, **fields: object) -> None:
        # A log that cannot be written is no reason to stop carrying mail.
        with suppress(OSError, ValueError):
            getattr(self._log, level.value)(event, **fields)

    # The network file.

    def _given(self, now: Now) -> list[DirectoryGiven]:
        if not self._must_reread and (now.mono < self._look_at or _stamp(self._config.network_file) == self._file):
            return []
        self._must_reread = False
        self._file = _stamp(self._config.network_file)
        try:
            data = read_network_file(self._config.network_file)
        except WorldFault as fault:
            self._note(Level.WARNING, "network file not read", error=fault.doing, hint=fault.hint)
            return []
        return [] if data is None else [DirectoryGiven(data)]

    # Now and then: what is new in what can be seen from outside.

    def _look(self, now: Now) -> None:
        self._look_at = MonoMs(now.mono + LOOK_MS)
        self._tell_directory(now)
        before, after = self.snapshot, self._taken(now)
        self.snapshot = after
        self._tell_connected(set() if before is None else _connected(before), _connected(after))
        if before is not None and before.troubles == after.troubles != self._told:
            self._tell_troubles(after.troubles)
        if now.mono >= self._count_at:
            self._count_at = MonoMs(now.mono + COUNT_MS)
            self._tell_counts(Counter(after.counters))
        tell_systemd("WATCHDOG=1")

    def _tell_directory(self, now: Now) -> None:
        trust = self._machine.trust
        if trust is not self._trust:
            self._trust = trust
            self._note(
                Level.INFO, "newer directory", roster=trust.directory.version, health=trust.health(now.wall).value
            )
        counts = self._machine.counters.snapshot()
        refused = {name: count for name, count in counts.items() if name.startswith(DIRECTORY) and name != NEWER}
        for name, count in refused.items():
            if count != self._refused.get(name):
                self._note(Level.WARNING, "directory refused", reason=name.removeprefix(DIRECTORY))
        self._refused = refused

    def _tell_connected(self, before: set[str], after: set[str]) -> None:
        for event, names in (("connected", after - before), ("disconnected", before - after)):
            if names:
                self._note(Level.INFO, event, count=len(names), names=" ".join(sorted(names)))

    def _tell_troubles(self, troubles: list[str]) -> None:
        for trouble in troubles:
            self._note(Level.WARNING, "degraded", trouble=trouble)
        if not troubles:
            self._note(Level.INFO, "well again")
        self._told = troubles

    def _tell_counts(self, counted: Counter[str]) -> None:
        new = counted - self._counted
        self._counted = counted
        if new:
            self._note(
                Level.INFO, "counted", **{name.translate(_TO_FIELDS): count for name, count in sorted(new.items())}
            )

    def _taken(self, now: Now) -> Snapshot:
        trust = self._machine.trust
        directory = trust.directory
        connected = [one.caller for one in self._machine.connections if one.session.is_open]
        return Snapshot(
            name=self._config.name,
            version=VERSION,
            pid=os.getpid(),
            started=self._started,
            taken=now.wall,
            endpoints=self._sockets.endpoints,
            is_listed=self._publics.are_those_of(directory.hub(self._config.name)),
            roster=directory.version,
            roster_expires=directory.roster.exp,
            pulse_expires=None if trust.pulse is None else trust.pulse.exp,
            health=trust.health(now.wall).value,
            members_connected=tuple(sorted({one.name for one in connected if one.role is Role.MEMBER})),
            hubs_connected=tuple(sorted(self._machine.connections.reachable_hubs())),
            hubs_known=sum(row.name != self._config.name for row in directory.hubs),
            store_bytes=self._store.used_bytes(),
            store_bytes_max=self._config.store_bytes_max,
            mailboxes=tuple(self._mailboxes()),
            over_quota=tuple(self._machine.shares.over(now.mono)),
            counters=_summed(self._machine.counters.snapshot(), self._sockets.counters.snapshot()),
        )

    def _mailboxes(self) -> Iterator[Mailbox]:
        waiting = {(place, lane): (rows, connected) for place, lane, rows, connected in self._machine.waiting()}
        for place in sorted({place for place, _ in waiting}):
            express, bulk = (waiting.get((place, lane), (0, False)) for lane in (Lane.EXPRESS, Lane.BULK))
            size, percent = self._machine.shares.waiting_for(place)
            yield Mailbox(place, express[0], bulk[0], size, percent, express[1] or bulk[1])


def _has_passed(mono: int) -> bool:
    return read_clocks().mono >= mono


def _windows(config: HubConfig, hub: Hub) -> Iterator[Window]:
    yield Window(
        status.open_window(config.status_socket), b"\n", lambda question: status.answer_to(question, hub.snapshot)
    )
    if config.metrics is not None:
        listener = metrics.open_metrics(config.metrics)
        yield Window(listener, metrics.HTTP_END, lambda request: metrics.http_answer(request, hub.snapshot))


def _stamp(path: Path) -> tuple[int, ...] | None:
    """Return what changes when a file is written, replaced or opened to this user; None when it is not there."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino


def _connected(one: Snapshot) -> set[str]:
    return {*one.members_connected, *one.hubs_connected}


def _summed(*counts: dict[str, int]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for one in counts:
        total.update(one)
    return dict(sorted(total.items()))


LOOK_MS: Final = 500
COUNT_MS: Final = 60_000
DIRECTORY: Final = "directory."
NEWER: Final = "directory.newer"
_TO_FIELDS: Final = str.maketrans(".-", "__")
