"""Run a node until it is told to stop: the engine in the main thread, the local interface in another.

Decides how the program begins, hears signals and ends. SIGTERM and SIGINT end it after the turn in which it is; SIGHUP
reads network file, policy and registers again. A fault of the disk ends it at once: nothing more is said, and the next
start trusts what was saved. Edge. docs/operations.md.
"""

from __future__ import annotations

import signal

import structlog

from i247_edges.process import VERSION, collect_garbage_seldom, forbid_core_dumps, signals_to, tell_systemd
from i247_keys.own_keys import unlock
from i247_node.assembly import Assembly, assembled
from i247_node.commands import LookUp, LookupFinished
from i247_node.config import NodeConfig, read_config
from i247_node.interface.server import InterfaceThread
from i247_node.lookups import Lookups
from i247_node.preparation import open_registers
from i247_node.views import open_views
from i247_protocol.errors import CallerFault, WorldFault

Log = structlog.typing.FilteringBoundLogger


def run_node(config: NodeConfig, log: Log) -> None:
    """Run until SIGTERM or SIGINT; raise CallerFault or WorldFault when the node cannot start, or not go on."""
    forbid_core_dumps()
    desk = _Desk()
    with assembled(config, unlock(config), look_up=desk.begin, log=log) as node:
        desk.open(node)
        daemon = _Daemon(node, desk, log)
        interface = InterfaceThread(
            config.socket,
            config.socket_mode,
            node.engine,
            lambda: open_views(str(config.store)),
            over=daemon.interface_over,
        )
        try:
            with signals_to(daemon.stop, daemon.reread):
                daemon.run()
        finally:
            tell_systemd("STOPPING=1")
            interface.stop()
            desk.close()


class _Desk:
    """Where look-ups in slow registers are done; it opens once there is a node to do them for."""

    def __init__(self) -> None:
        self.lookups: Lookups | None = None

    def open(self, node: Assembly) -> None:
        def finished(finding: LookupFinished) -> None:
            node.engine.give(finding)

        self.lookups = Lookups(node.registers, finished)

    def begin(self, look_up: LookUp) -> None:
        if self.lookups is not None:
            self.lookups.begin(look_up)

    def close(self) -> None:
        if self.lookups is not None:
            self.lookups.stop()


class _Daemon:
    """What signals do to a node."""

    def __init__(self, node: Assembly, desk: _Desk, log: Log) -> None:
        self._node = node
        self._desk = desk
        self._log = log
        self._stop_signal: int | None = None
        self._has_lost_interface = False

    def run(self) -> None:
        """Work until `stop`."""
        try:
            self._node.engine.run(begins=self._begun)
        except WorldFault as fault:
            self._log.error("stopped by a fault", fault=fault.doing, hint=fault.hint)
            raise
        if self._has_lost_interface and self._stop_signal is None:
            raise WorldFault("serving local programs: the interface ended", "see the log; start the node again")
        self._log.info("stopped", signal="" if self._stop_signal is None else signal.Signals(self._stop_signal).name)

    def stop(self, number: int) -> None:
        """End the loop; safe in a signal's handler."""
        self._stop_signal = number
        self._node.engine.stop()

    def reread(self) -> None:
        """Read again what may change while the node runs; safe in a signal's handler."""
        self._node.engine.run_between_turns(self._reread)

    def interface_over(self) -> None:
        """Note that the interface serves no longer."""
        self._has_lost_interface = True
        self._node.engine.stop()

    def _begun(self) -> None:
        config = self._node.config
        self._log.info(
            "started",
            member=config.member,
            version=VERSION,
            roster=self._node.machine.trust.directory.version,
            hubs=",".join(self._node.hubs),
            registers=",".join(self._node.registers),
            socket=str(config.socket),
        )
        collect_garbage_seldom()
        tell_systemd("READY=1")

    def _reread(self) -> None:
        self._node.caretaker.watch.look_again()
        try:
            config = read_config(self._node.config.path)
            registers = open_registers(config)
        except (CallerFault, WorldFault) as fault:
            self._log.error("not read again; all stays as it was", fault=fault.doing, hint=fault.hint)
            return
        self._node.adopt(config, registers)
        if self._desk.lookups is not None:
            self._desk.lookups.registers = registers
        self._log.info("read again", registers=",".join(registers))
