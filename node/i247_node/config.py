"""Say what may stand in `node.toml`, read it, and write a member's first one.

Decides: the settings, what is taken when one is left out, and where the file is looked for. A path is taken from the
folder of the file. Leaves to others: whether what the settings name is in order (`preparation`), and how a setting that
is wrong is told (`i247_edges.config`). Which hubs to dial stands in the roster, never here. Edge. docs/operations.md.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec

from i247_edges import config as file
from i247_edges.logs import Level
from i247_keys.ceremony_files import parse_pin
from i247_node.policy import Policy, parse_policy
from i247_protocol.errors import CallerFault, PeerFault
from i247_protocol.names import MemberCode, parse_member


@dataclass(frozen=True, slots=True)
class NodeConfig:
    """What a node needs to know; every path is complete. Of the two ways to a passphrase, one is set."""

    path: Path
    member: MemberCode
    state: Path
    identity: Path
    link: Path
    passphrase_file: Path | None
    passphrase_credential: str | None
    network_file: Path
    pin: bytes | None
    socket: Path
    socket_mode: int
    registers: dict[str, Path]
    policy: Policy
    log_level: Level
    log_format: str
    log_file: Path | None

    @property
    def store(self) -> Path:
        """The database."""
        return self.state / STORE_FILE

    @property
    def incarnation_file(self) -> Path:
        """The file by which a database that was put back is noticed."""
        return self.state / INCARNATION_FILE


def read_config(path: Path) -> NodeConfig:
    """Return the settings in `path`; raise CallerFault that says what is wrong, where, and what to do."""
    settings = file.read_config(path, _Settings)
    doing = f"reading {path.name}"
    keys = settings.keys
    if (keys.passphrase_file is None) is (keys.passphrase_credential is None):
        raise CallerFault(f"{doing}: keys", "set one of passphrase_file and passphrase_credential, not both")
    policy = parse_policy(settings.policy)
    for name in settings.registers:
        if name not in policy.registers:
            raise CallerFault(
                f"{doing}: registers.{name}: nothing says who may ask it",
                f'add a table [policy.registers.{name}] with open_to = "all", or a list, which may be empty',
            )
    state = settings.state
    return NodeConfig(
        path=path,
        member=_member(settings.member, doing),
        state=state,
        identity=keys.identity,
        link=keys.link,
        passphrase_file=keys.passphrase_file,
        passphrase_credential=keys.passphrase_credential,
        network_file=settings.directory.network_file,
        pin=_pin(settings.directory.pin, doing),
        socket=settings.interface.socket or state / SOCKET_FILE,
        socket_mode=int(settings.interface.mode, 8),
        registers=settings.registers,
        policy=policy,
        log_level=settings.log.level,
        log_format=settings.log.format,
        log_file=settings.log.file,
    )


def find_config(path: Path | None) -> Path:
    """Return `path`, or where the file is looked for when none is given; raise CallerFault when it is nowhere."""
    if path is not None:
        return path
    for place in PLACES:
        if place.exists():
            return place
    raise CallerFault(
        "looking for the configuration: there is no node.toml here and none in /etc/i247",
        "name it by --config, or write one by `i247-node init`",
    )


def first_config(member: MemberCode, *, passphrase_file: str, pin: str) -> str:
    """Return a commented file for a new node; paths in it are from its folder unless they are complete."""
    return TEMPLATE.format(member=_quoted(member), passphrase_file=_quoted(passphrase_file), pin=_quoted(pin))


class _Keys(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    identity: Path
    link: Path
    passphrase_file: Path | None = None
    passphrase_credential: str | None = None


class _Directory(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    network_file: Path
    pin: str


class _Interface(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    socket: Path | None = None
    mode: Annotated[str, msgspec.Meta(pattern="^0[0-7]{3}$")] = "0660"


class _Log(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    level: Level = Level.INFO
    format: Literal["text", "json"] = "text"
    file: Path | None = None


class _Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    member: str
    state: Path
    keys: _Keys
    directory: _Directory
    interface: _Interface = msgspec.field(default_factory=_Interface)
    registers: dict[str, Path] = msgspec.field(default_factory=dict)
    policy: dict[str, object] = msgspec.field(default_factory=dict)
    log: _Log = msgspec.field(default_factory=_Log)


def _member(code: str, doing: str) -> MemberCode:
    try:
        return parse_member(code)
    except PeerFault:
        raise CallerFault(f"{doing}: member: no member code", "it is two capital letters, as FR") from None


def _pin(text: str, doing: str) -> bytes | None:
    try:
        return parse_pin(text) if text.strip() else None
    except CallerFault as fault:
        raise CallerFault(f"{doing}: directory.pin: no pin", fault.hint) from None


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


CONFIG_FILE: Final = "node.toml"
PLACES: Final = (Path(CONFIG_FILE), Path("/etc/i247") / CONFIG_FILE)
STORE_FILE: Final = "node.db"
INCARNATION_FILE: Final = "incarnation"
SOCKET_FILE: Final = "node.sock"

TEMPLATE: Final = """\
# The node of one member. Relative paths begin at the folder of this file. No secret stands here.
# After a change: `i247-node check`. The policy and the files of registers are read again at SIGHUP
# (`systemctl reload`); the rest needs a restart of the daemon.

# This member's code: ISO 3166, two capital letters.
member = {member}

# A folder for the database, of mode 0700, on a local disk. A database that was put back from a copy is noticed: the
# node then drops its epoch keys and makes new ones.
state = "state"

[keys]
identity = "identity.key"
link = "link.key"
# One of the two: a file of mode 0600, or the name that systemd's LoadCredential= gives it.
passphrase_file = {passphrase_file}
# passphrase_credential = "node-passphrase"

[directory]
# From the Secretariat or from any member, by any channel. Lay a newer one in its place: it is noticed at once.
# Which hubs to dial stands in it. Whatever it says is believed only as far as it follows from the pin.
network_file = "network.i247"
# 64 hexadecimal digits, from the Secretariat by another channel than the file.
pin = {pin}

[interface]
# Where programs of this machine, `i247-node query` among them, reach the node. Whoever may open it speaks in this
# member's name. In the state folder only the daemon's own user reaches it; for one group of users, give it a folder
# of that group, as "/run/i247/node.sock". At most 106 bytes.
# socket = "state/node.sock"
mode = "0660"

[registers]
# What other members may ask, by name, and the file of each, which `i247-node register import` fills.
# sltd = "registers.db"

[policy]
# Members that get no answer here, and whose letters and diffusions are refused.
refuse = []

# Each register needs a table, or nobody may ask it.
# [policy.registers.sltd]
# open_to = "all"                          # or a list of members, as ["SG", "BR"]
# closed_to = []                           # takes from open_to
# purposes = ["border-control", "wanted"]  # or "all", which is meant when it is left out

[log]
# Names members, hubs and reasons, never what a message says.
level = "info"  # debug, info, warning, error
format = "text"  # or "json"
# file = "node.log"  # otherwise to standard error
"""
