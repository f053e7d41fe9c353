"""Find out, before a node runs, that its files fit one another: keys, roster, network file, store, registers, socket.

The daemon prepares and stops at the first thing that is wrong; `checkup` asks the same questions one by one and tells
all answers. A directory that has expired is no reason not to start: newer documents come from the hubs. Edge.
docs/operations.md.
"""

from __future__ import annotations

from i247_keys.grounds import believed
from i247_keys.own_keys import Publics
from i247_keys.roster import Directory
from i247_keys.trust import Trust
from i247_node.config import NodeConfig
from i247_node.records import KeepTrust
from i247_node.registers import Registers
from i247_node.registers_sqlite import SqliteRegister
from i247_node.store import NodeStore
from i247_protocol.errors import CallerFault, WorldFault
from i247_protocol.names import WallMs


def open_store(config: NodeConfig) -> NodeStore:
    """Open the database, which no other daemon may have open."""
    try:
        config.state.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise WorldFault(
            f"making the folder {config.state}", f"{error.strerror}: check `state` in {config.path}"
        ) from None
    return NodeStore(str(config.store))


def open_registers(config: NodeConfig) -> Registers:
    """Open the registers that the configuration names."""
    opened: list[SqliteRegister] = []
    try:
        opened += (SqliteRegister(path, name) for name, path in sorted(config.registers.items()))
    except BaseException:
        for register in opened:
            register.close()
        raise
    return Registers(opened)


def close_registers(registers: Registers) -> None:
    """Close what `open_registers` opened."""
    for register in registers.values():
        if isinstance(register, SqliteRegister):
            register.close()


def believe(config: NodeConfig, store: NodeStore, wall: WallMs) -> Trust:
    """Return what is believed of the directory, saved before it is used."""
    trust, is_more = believed(config, store.trust(), wall)
    if is_more:
        store.persist(KeepTrust(trust.to_bytes()))
        store.commit()
    return trust


def require_listed(config: NodeConfig, publics: Publics, directory: Directory) -> None:
    """Raise CallerFault unless the roster lists this member with its keys: no hub would let it in otherwise."""
    doing = f"looking for {config.member} in roster {directory.version}"
    row = directory.member(config.member)
    if row is None:
        raise CallerFault(
            doing, "it is not there: correct `member`, or have the Secretariat publish this member's request"
        )
    publics.require_same(row, doing)
