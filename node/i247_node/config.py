"""Say what may stand in `node.toml`, and read it.

Decides: the settings, what is taken when one is left out, and where the file is looked for. A path is taken from the
folder of the file. Leaves to others: whether what the settings name is in order (`checkup`), and how a setting that is
wrong is told (`i247_edges.config`). Which hubs to dial stands in the roster, never here. docs/operating.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

import msgspec

from i247_edges.config import read_config
from i247_edges.logs import Form, Level
from i247_keys.ceremony_files import parse_pin
from i247_node.policy import Policy, parse_policy
from i247_protocol.errors import CallerFault, PeerFault
from i247_protocol.names import MemberCode, parse_member

Mode = Annotated[str, msgspec.Meta(pattern="^0?[0-7]{3}$")]


class Keys(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the keyfiles are, and what opens them: a file, or a credential that systemd lays before the service."""

    identity: Path
    link: Path
    passphrase_file: Path | None = None
    credential: str | None = None


class InterfaceSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where programs of this machine reach the node, and who may."""

    socket: Path
    mode: Mode = "0660"


class LogSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is logged, how and where; without `file`, to stderr."""

    level: Level = Level.INFO
    form: Form = Form.CONSOLE
    file: Path | None = None


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The settings as they stand in the file."""

    member: str
    state: Path
    network_file: Path
    pin: str
    keys: Keys
    interface: InterfaceSettings
    registers: dict[str, Path] = msgspec.field(default_factory=dict)
    policy: dict[str, object] = msgspec.field(default_factory=dict)
    log: LogSettings = msgspec.field(default_factory=LogSettings)


@dataclass(frozen=True, slots=True)
class Config:
    """The settings, understood."""

    path: Path
    member: MemberCode
    pin: bytes
    policy: Policy
    settings: Settings

    @property
    def store(self) -> Path:
        """The database of the node."""
        return self.settings.state / STORE_FILE

    @property
    def incarnation_file(self) -> Path:
        """The file by which a restored copy of the database is noticed."""
        return self.settings.state / INCARNATION_FILE

    @property
    def socket(self) -> Path:
        """Where the local interface listens."""
        return self.settings.interface.socket

    @property
    def socket_mode(self) -> int:
        """Who may connect to the local interface."""
        return int(self.settings.interface.mode, 8)


def load_config(path: Path) -> Config:
    """Return the settings in `path`; raise CallerFault that says what is wrong, where, and what to do."""
    settings = read_config(path, Settings)
    keys = settings.keys
    if (keys.passphrase_file is None) is (keys.credential is None):
        raise CallerFault(
            f"reading {path.name}: keys: what opens the keyfiles",
            "give one of `passphrase_file` and `credential`, not both",
        )
    for name in settings.registers:
        if name not in _opened(settings.policy):
            raise CallerFault(
                f"reading {path.name}: registers.{name}: no policy opens it to anybody",
                f'add [policy.registers.{name}] with open_to = "all", or a list, which may be empty',
            )
    return Config(
        path=path,
        member=_member(settings.member, path),
        pin=_pin(settings.pin, path),
        policy=parse_policy(settings.policy),
        settings=settings,
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
        "name it with --config, or let `i247-node init` write one",
    )


def _opened(policy: dict[str, object]) -> dict[str, object]:
    registers = policy.get("registers", {})
    return registers if isinstance(registers, dict) else {}


def _member(code: str, path: Path) -> MemberCode:
    try:
        return parse_member(code)
    except PeerFault:
        raise CallerFault(
            f"reading {path.name}: member: not a member code", "write two capital letters, such as FR"
        ) from None


def _pin(text: str, path: Path) -> bytes:
    if not text.strip():
        raise CallerFault(
            f"reading {path.name}: pin: there is none yet",
            "write the pin that the Secretariat gave you by another channel than the network file",
        )
    try:
        return parse_pin(text)
    except CallerFault as fault:
        raise CallerFault(f"reading {path.name}: pin: not a pin", fault.hint) from None


PLACES: Final = (Path("node.toml"), Path("/etc/i247/node.toml"))
STORE_FILE: Final = "node.db"
INCARNATION_FILE: Final = "incarnation"
