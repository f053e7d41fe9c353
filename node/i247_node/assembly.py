"""Put a node together from its configuration, and take it apart again, for the daemon and for host programs alike.

The order is the only decision here: the store's lock comes first, and what is believed is saved before it is used.
Edge. docs/architecture.md 5.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass

import structlog

from i247_edges.clock import read_clocks
from i247_keys.own_keys import Secrets
from i247_node.caretaker import Caretaker, Log
from i247_node.commands import LookUp
from i247_node.config import NodeConfig
from i247_node.directory_watch import DirectoryWatch
from i247_node.engine import Engine
from i247_node.incarnation import IncarnationKeeper, find_incarnation
from i247_node.machine import NodeMachine
from i247_node.preparation import believe, close_registers, open_registers, open_store, require_listed
from i247_node.registers import Registers
from i247_node.sockets import NodeSockets
from i247_node.store import NodeStore
from i247_protocol.names import HubName


@dataclass(slots=True)
class Assembly:
    """A node that is ready to run."""

    config: NodeConfig
    store: NodeStore
    machine: NodeMachine
    sockets: NodeSockets
    engine: Engine
    caretaker: Caretaker
    registers: Registers
    hubs: tuple[HubName, ...]

    def adopt(self, config: NodeConfig, registers: Registers) -> None:
        """Answer by another policy and other registers from now on; only between turns."""
        self.machine.adopt(registers, config.policy)
        before, self.registers, self.config = self.registers, registers, config
        close_registers(before)


@contextmanager
def assembled(
    config: NodeConfig,
    secrets: Secrets,
    *,
    look_up: Callable[[LookUp], None] | None = None,
    registers: Registers | None = None,
    sockets: Callable[[bytes], NodeSockets] = NodeSockets,
    log: Log | None = None,
) -> Iterator[Assembly]:
    """Give a node; raise CallerFault or WorldFault when something that it needs is not in order.

    `registers` take the place of those in the configuration; `look_up` begins look-ups in slow ones.
    """
    log = structlog.get_logger() if log is None else log
    with ExitStack() as stack:
        store = stack.enter_context(closing(open_store(config)))
        wall = read_clocks().wall
        trust = believe(config, store, wall)
        require_listed(config, secrets.publics, trust.directory)
        incarnation = find_incarnation(config.incarnation_file, store, wall)
        if incarnation.is_renewed:
            log.info("new life of the database: epoch keys are made anew", incarnation=incarnation.number)
        answering = open_registers(config) if registers is None else registers
        machine = NodeMachine(
            config.member,
            secrets.identity,
            trust,
            store,
            os.urandom,
            registers=answering,
            policy=config.policy,
            incarnation=incarnation.number,
            drop_epoch_secrets=incarnation.is_renewed,
        )
        keeper = IncarnationKeeper(config.incarnation_file, store, incarnation.number)
        caretaker = Caretaker(DirectoryWatch(config.network_file), keeper, log)
        links = stack.enter_context(closing(sockets(secrets.link)))
        engine = Engine(machine, store, links, look_up=look_up, look_around=caretaker.look_around)
        caretaker.serve(engine)
        row = trust.directory.member(config.member)
        node = Assembly(
            config, store, machine, links, engine, caretaker, answering, () if row is None else tuple(row.homes)
        )
        stack.callback(lambda: close_registers(node.registers))
        yield node
        keeper.keep_now()  # reached only when the store did not fail
