"""Ask of everything that a node needs whether it is in order, and tell all answers. Edge. docs/operations.md."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Iterator
from contextlib import closing

from i247_edges.checkup import Degraded, Finding, Grade, answered
from i247_edges.clock import read_clocks
from i247_keys.grounds import (
    examine_age,
    examine_network_file,
    followed,
    read_network_file,
    trust_saved,
)
from i247_keys.own_keys import claimed, examine_keys, examine_passphrase
from i247_keys.trust import Trust
from i247_node.config import NodeConfig
from i247_node.interface.server import require_socket_path
from i247_node.preparation import open_store, require_listed
from i247_node.registers_sqlite import SqliteRegister
from i247_protocol.errors import WorldFault
from i247_protocol.names import HubName


def findings(config: NodeConfig) -> Iterator[Finding]:
    """Yield what is right and wrong about a node that is to be started, or that runs."""
    wall = read_clocks().wall
    yield answered("keys", lambda: examine_keys(config))
    yield answered("passphrase", lambda: examine_passphrase(config))
    yield (directory := answered("network file", lambda: examine_network_file(config, wall)))
    if directory.grade is not Grade.WRONG:
        yield answered("directory", lambda: examine_age(config, _known(config), wall))
        yield answered("roster", lambda: _examine_roster(config))
        yield answered("hubs", lambda: _examine_hubs(config))
    yield answered("registers", lambda: _examine_registers(config))
    yield answered("socket", lambda: _examine_socket(config))
    if is_running(config):
        yield Finding("daemon", Grade.OK, "it runs, and has the store in use")
    else:
        yield answered("store", lambda: _examine_store(config))


def is_running(config: NodeConfig) -> bool:
    """Whether something listens at the local interface."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as one:
        one.settimeout(1.0)
        try:
            one.connect(str(config.socket))
        except OSError:
            return False
        return True


def _examine_roster(config: NodeConfig) -> str:
    directory = _known(config).directory
    require_listed(config, claimed(config), directory)
    return f"roster {directory.version} lists {config.member} with these keys"


def _examine_hubs(config: NodeConfig) -> str:
    directory = _known(config).directory
    row = directory.member(config.member)
    homes = () if row is None else row.homes
    found = [hub for name in homes if (hub := directory.hub(HubName(name))) is not None]
    if not found:
        raise Degraded(
            "looking for this member's home hubs: the roster names none that it lists",
            "have the Secretariat publish a request with other homes",
        )
    return ", ".join(f"{hub.name} at {' '.join(hub.endpoints)}" for hub in found)


def _examine_registers(config: NodeConfig) -> str:
    if not config.registers:
        return "none: every query is refused"
    told = []
    for name, path in sorted(config.registers.items()):
        with closing(SqliteRegister(path, name)) as register:
            status = register.status()
            told.append(f"{name} with {status.records} {status.kind}")
    return ", ".join(told)


def _examine_socket(config: NodeConfig) -> str:
    require_socket_path(config.socket)
    if config.socket_mode & stat.S_IRWXO:
        raise Degraded(
            f"everybody on this machine may speak for {config.member} at {config.socket}",
            'set interface.mode = "0660", and give the socket a group',
        )
    folder = config.socket.parent
    if folder == config.state and not folder.exists():
        return f"the daemon will make {config.socket}"
    if not folder.is_dir():
        raise WorldFault(f"looking for the folder {folder}", "make it, and let the user that runs the node write there")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise WorldFault(f"writing in {folder}", "give the folder to the user that runs the node")
    return str(config.socket)


def _examine_store(config: NodeConfig) -> str:
    if not config.state.exists():
        return f"the daemon will make {config.state}"
    if not config.state.is_dir():
        raise WorldFault(f"looking for the folder {config.state}", "move away what lies there, or change `state`")
    if stat.S_IMODE(config.state.stat().st_mode) & 0o077:
        raise Degraded(f"others may look into {config.state}", f"chmod 700 {config.state}")
    if not config.store.exists():
        if not os.access(config.state, os.W_OK | os.X_OK):
            raise WorldFault(f"writing in {config.state}", "give the folder to the user that runs the node")
        return f"the daemon will make {config.store}"
    with closing(open_store(config)) as store:
        saved = store.trust()
        if saved is not None:
            trust_saved(config, saved, read_clocks().wall)
        sent, received, _ = store.last_numbers()
        return f"it is sound to open; {sent} sent and {received} received so far"


def _known(config: NodeConfig) -> Trust:
    """Return what the network file leads to, or without one what the store holds."""
    wall = read_clocks().wall
    data = read_network_file(config.network_file)
    if data is None and config.store.exists() and not is_running(config):
        with closing(open_store(config)) as store:
            saved = store.trust()
        if saved is not None:
            return trust_saved(config, saved, wall)
    return followed(config, data, wall)
