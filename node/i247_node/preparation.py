"""Find out, before a node runs, that its files fit one another: keys, roster, network file, store, registers, socket.

The daemon prepares and stops at the first thing that is wrong; `checkup` asks the same questions one by one and tells
all answers. A directory that has expired is no reason not to start: newer documents come from the hubs. Edge.
docs/operations.md.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from i247_edges.link import link_key
from i247_keys.identity import Identity
from i247_keys.keyfile import passphrase_from_credential, passphrase_from_file, read_keyfile
from i247_keys.network_file import extend, replay
from i247_keys.roster import Directory
from i247_keys.trust import Trust
from i247_node.config import NodeConfig
from i247_node.records import KeepTrust
from i247_node.registers import Registers
from i247_node.registers_sqlite import SqliteRegister
from i247_node.store import NodeStore
from i247_protocol.errors import CallerFault, PeerFault, WorldFault
from i247_protocol.limits import NETWORK_FILE_BYTES_MAX
from i247_protocol.names import WallMs
from i247_protocol.reasons import Reason


@dataclass(frozen=True, slots=True)
class Secrets:
    """A member's two keys; `link` is the raw CURVE secret."""

    identity: Identity
    link: bytes = field(repr=False)

    @property
    def publics(self) -> Publics:
        """The public halves."""
        return Publics(self.identity.public, link_key(self.link))


@dataclass(frozen=True, slots=True)
class Publics:
    """The public keys by which the roster should list a member."""

    identity: bytes
    link: bytes


def unlock(config: NodeConfig) -> Secrets:
    """Open both keyfiles; takes a second, and the memory that the passphrase costs."""
    passphrase = _passphrase(config)
    return Secrets(
        Identity(read_keyfile(config.identity, use=IDENTITY, passphrase=passphrase)),
        read_keyfile(config.link, use=LINK, passphrase=passphrase),
    )


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
    """Return what is believed of the directory, saved before it is used.

    What the store holds goes first, so that an older network file takes nothing back, and a bad one does no harm.
    Without it the network file is followed from the pin, and then must be there and be right.
    """
    saved = store.trust()
    held = None if saved is None else trust_saved(config, saved, wall)
    data = read_network_file(config.network_file)
    trust = trust_followed(config, data, wall) if held is None else _extended(held, data, wall)
    if trust is not held:
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
    for kind, mine, listed in (("identity", publics.identity, row.identity), ("link", publics.link, row.link)):
        if mine != listed:
            raise CallerFault(
                doing, f"it lists another {kind} key: name the right keyfile, or have the present key published"
            )


def read_network_file(path: Path) -> bytes | None:
    """Return the bytes of a network file, None when there is none; raise WorldFault when it cannot be read."""
    doing = f"reading {path}"
    try:
        with path.open("rb") as file:
            data = file.read(NETWORK_FILE_BYTES_MAX + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise WorldFault(doing, f"{error.strerror}: check who may read it") from None
    if len(data) > NETWORK_FILE_BYTES_MAX:
        raise WorldFault(doing, f"it is larger than {NETWORK_FILE_BYTES_MAX} bytes: name the right file")
    return data


def trust_followed(config: NodeConfig, data: bytes | None, wall: WallMs) -> Trust:
    """Return what a network file leads to from the pin; raise CallerFault when it leads nowhere."""
    doing = f"reading {config.network_file}"
    pin = _pin(config)
    if data is None:
        raise CallerFault(f"{doing}: there is none", "get it from the Secretariat or any member, and lay it there")
    try:
        return replay(data, pin, wall)
    except PeerFault as fault:
        raise CallerFault(doing, HINTS.get(fault.reason, f"it is damaged ({fault.reason}): get it again")) from None


def trust_saved(config: NodeConfig, data: bytes, wall: WallMs) -> Trust:
    """Return what the store holds of the directory."""
    doing = f"reading the directory in {config.store}"
    try:
        return Trust.from_bytes(_pin(config), data, wall)
    except PeerFault as fault:
        if fault.reason is Reason.WRONG_PIN:
            raise CallerFault(
                doing, f"it is of another network: correct the pin in {config.path}, or `state`"
            ) from None
        raise WorldFault(doing, "it is damaged: keep a copy of the file, and restore the newest backup") from None


def _extended(held: Trust, data: bytes | None, wall: WallMs) -> Trust:
    try:
        return held if data is None else extend(held, data, wall)
    except PeerFault:
        return held  # the machine is given it again, and counts the reason


def _pin(config: NodeConfig) -> bytes:
    if config.pin is None:
        raise CallerFault(
            f"reading the pin in {config.path}: it is empty",
            "ask the Secretariat for it, by another channel than the file",
        )
    return config.pin


def _passphrase(config: NodeConfig) -> bytes:
    if config.passphrase_file is not None:
        return passphrase_from_file(config.passphrase_file)
    name = config.passphrase_credential or ""
    directory = os.environ.get(CREDENTIALS)
    if directory is None:
        raise CallerFault(
            f"reading the credential {name}", f"start the daemon by systemd with LoadCredential={name}:FILE"
        )
    return passphrase_from_credential(name, Path(directory))


IDENTITY: Final = "identity"
LINK: Final = "link"
CREDENTIALS: Final = "CREDENTIALS_DIRECTORY"

HINTS: Final = {
    Reason.WRONG_PIN: "it is of another network, or the pin was mistyped: compare the pin with its source",
    Reason.FORKED: "two different documents of one version are signed: keep both files and raise the alarm",
    Reason.CHAIN_BROKEN: "documents in between are missing: get the whole network file",
    Reason.TOO_FEW_SIGNATURES: "too few keyholders have signed it: get it again, and tell the Secretariat",
    Reason.NOT_JUSTIFIED: "it changes a member's row without right: keep it, and raise the alarm",
    Reason.FUTURE_DATED: "this machine's clock is behind: set it",
    Reason.UNKNOWN_VERSION: "it was written by a newer version of this program: update this one",
}
