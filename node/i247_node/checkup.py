"""Ask of everything that a node needs whether it is in order, and tell all answers. Edge. docs/operations.md."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from enum import StrEnum

from i247_edges.clock import read_clocks
from i247_keys.keyfile import read_public
from i247_keys.trust import Health, Trust
from i247_node.config import NodeConfig
from i247_node.interface.server import require_socket_path
from i247_node.preparation import (
    CREDENTIALS,
    IDENTITY,
    LINK,
    Publics,
    open_store,
    read_network_file,
    require_listed,
    trust_followed,
    trust_saved,
    unlock,
)
from i247_node.registers_sqlite import SqliteRegister
from i247_protocol.errors import CallerFault, WorldFault
from i247_protocol.names import HubName


class Grade(StrEnum):
    """How much a finding matters: nothing, an alarm while the node runs all the same, or that it will not start."""

    OK = "ok"
    DEGRADED = "degraded"
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class Finding:
    """The answer to one question; `hint` is empty when nothing is to be done."""

    subject: str
    grade: Grade
    text: str
    hint: str = ""


def findings(config: NodeConfig) -> Iterator[Finding]:
    """Yield what is right and wrong about a node that is to be started, or that runs."""
    yield _answered("keys", _examine_keys, config)
    yield _answered("passphrase", _examine_passphrase, config)
    yield (directory := _answered("network file", _examine_network_file, config))
    if directory.grade is not Grade.WRONG:
        yield _answered("directory", _examine_age, config)
        yield _answered("roster", _examine_roster, config)
        yield _answered("hubs", _examine_hubs, config)
    yield _answered("registers", _examine_registers, config)
    yield _answered("socket", _examine_socket, config)
    if is_running(config):
        yield Finding("daemon", Grade.OK, "it runs, and has the store in use")
    else:
        yield _answered("store", _examine_store, config)


def is_running(config: NodeConfig) -> bool:
    """Whether something listens at the local interface."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as one:
        one.settimeout(1.0)
        try:
            one.connect(str(config.socket))
        except OSError:
            return False
        return True


class _Degraded(CallerFault):
    """What is wrong does not keep the node from running."""


def _answered(subject: str, question: Callable[[NodeConfig], str], config: NodeConfig) -> Finding:
    try:
        return Finding(subject, Grade.OK, question(config))
    except _Degraded as fault:
        return Finding(subject, Grade.DEGRADED, fault.doing, fault.hint)
    except (CallerFault, WorldFault) as fault:
        return Finding(subject, Grade.WRONG, fault.doing, fault.hint)


def _examine_keys(config: NodeConfig) -> str:
    publics = _claimed(config)
    return f"identity {publics.identity.hex()[:16]}…, link {publics.link.hex()[:16]}…"


def _examine_passphrase(config: NodeConfig) -> str:
    if config.passphrase_credential is not None and CREDENTIALS not in os.environ:
        return f"systemd gives it to the daemon as {config.passphrase_credential}; not tried here"
    if unlock(config).publics != _claimed(config):
        raise WorldFault("comparing the keyfiles with what they claim", "restore them from a backup")
    return "it opens both keyfiles"


def _examine_network_file(config: NodeConfig) -> str:
    data = read_network_file(config.network_file)
    if data is None and config.store.exists():
        raise _Degraded(
            f"reading {config.network_file}: there is none", "the store's copy is used; lay one there again"
        )
    trust = trust_followed(config, data, read_clocks().wall)
    return f"it leads from the pin to roster {trust.directory.version}"


def _examine_age(config: NodeConfig) -> str:
    trust = _known(config)
    health = trust.health(read_clocks().wall)
    if health is Health.FRESH:
        return "the directory is fresh"
    what = "it has no pulse yet" if trust.pulse is None else "it has expired"
    raise _Degraded(f"the directory is {health}: {what}", f"lay a newer network file at {config.network_file}")


def _examine_roster(config: NodeConfig) -> str:
    directory = _known(config).directory
    require_listed(config, _claimed(config), directory)
    return f"roster {directory.version} lists {config.member} with these keys"


def _examine_hubs(config: NodeConfig) -> str:
    directory = _known(config).directory
    row = directory.member(config.member)
    homes = () if row is None else row.homes
    found = [hub for name in homes if (hub := directory.hub(HubName(name))) is not None]
    if not found:
        raise _Degraded(
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
        raise _Degraded(
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
        raise _Degraded(f"others may look into {config.state}", f"chmod 700 {config.state}")
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


def _claimed(config: NodeConfig) -> Publics:
    return Publics(read_public(config.identity, use=IDENTITY), read_public(config.link, use=LINK))


def _known(config: NodeConfig) -> Trust:
    """Return what the network file leads to, or without one what the store holds."""
    wall = read_clocks().wall
    data = read_network_file(config.network_file)
    if data is None and config.store.exists() and not is_running(config):
        with closing(open_store(config)) as store:
            saved = store.trust()
        if saved is not None:
            return trust_saved(config, saved, wall)
    return trust_followed(config, data, wall)
