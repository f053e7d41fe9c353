"""Say what may stand in `hub.toml`, read it, and give the text of a first one.

Decides: the settings, what is taken when one is left out, and where the file is looked for. A path is taken from the
folder of the file. Leaves to others: whether files, keys and directory fit one another (`preparation`), and how a
setting that is wrong is told (`i247_edges.config`). Which hubs to dial stands in the roster, never here.
docs/operating.md.
"""

from __future__ import annotations

import ipaddress
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

import msgspec

from i247_edges.config import read_config
from i247_edges.logs import Form, Level
from i247_keys.ceremony_files import parse_pin
from i247_protocol.errors import CallerFault, PeerFault
from i247_protocol.limits import STORE_BYTES_MAX
from i247_protocol.names import HubName, parse_hub

MIB: Final = 1 << 20


class Keys(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the keyfiles are, and what opens them: a file, or a credential that systemd lays before the service."""

    identity: Path
    link: Path
    passphrase_file: Path | None = None
    credential: str | None = None


class LogSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is logged, how and where; without `file`, to stderr."""

    level: Level = Level.INFO
    form: Form = Form.CONSOLE
    file: Path | None = None


class StatusSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the running hub can be asked how it does; without `socket`, in the folder `state`."""

    socket: Path | None = None


class MetricsSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where Prometheus may ask, as `127.0.0.1:9247`; without `listen`, nowhere."""

    listen: str | None = None


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The settings as they stand in the file."""

    name: str
    listen: list[str]
    state: Path
    network_file: Path
    pin: str
    keys: Keys
    store_mib_max: Annotated[int, msgspec.Meta(ge=1)] = STORE_BYTES_MAX // MIB
    log: LogSettings = msgspec.field(default_factory=LogSettings)
    status: StatusSettings = msgspec.field(default_factory=StatusSettings)
    metrics: MetricsSettings = msgspec.field(default_factory=MetricsSettings)


@dataclass(frozen=True, slots=True)
class HubConfig:
    """The settings, understood; `pin` is None as long as it is left empty."""

    path: Path
    name: HubName
    pin: bytes | None
    metrics: tuple[str, int] | None
    settings: Settings

    @property
    def state(self) -> Path:
        """The folder of the database."""
        return self.settings.state

    @property
    def store(self) -> Path:
        """The database of the hub."""
        return self.settings.state / STORE_FILE

    @property
    def network_file(self) -> Path:
        """Where a newer directory may be laid."""
        return self.settings.network_file

    @property
    def status_socket(self) -> Path:
        """Where the running hub can be asked."""
        return self.settings.status.socket or self.settings.state / STATUS_SOCKET


def load_config(path: Path) -> HubConfig:
    """Return the settings in `path`; raise CallerFault that says what is wrong, where, and what to do."""
    settings = read_config(path, Settings)
    if (settings.keys.passphrase_file is None) is (settings.keys.credential is None):
        raise _fault(path, "keys: what opens the keyfiles", "give one of `passphrase_file` and `credential`, not both")
    _check_listen(settings.listen, path)
    config = HubConfig(path, _name(settings, path), _pin(settings, path), _metrics(settings, path), settings)
    if len(os.fsencode(config.status_socket)) > SOCKET_PATH_BYTES_MAX:
        raise _fault(
            path, "status.socket: too long a path", f"{SOCKET_PATH_BYTES_MAX} bytes are all that a socket takes"
        )
    return config


def find_config(path: Path | None) -> Path:
    """Return `path`, or where the file is looked for when none is given; raise CallerFault when it is nowhere."""
    if path is not None:
        return path
    for place in PLACES:
        if place.exists():
            return place
    raise CallerFault(
        "looking for the configuration: there is no hub.toml here and none in /etc/i247",
        "name it with --config, or let `i247-hub init` write one",
    )


def first_config(name: HubName, *, listen: list[str], passphrase_file: str, pin: str) -> str:
    """Return the text of a first file, with a comment on each setting."""
    return TEXT.format(
        name=_quoted(name),
        listen=f"[{', '.join(map(_quoted, listen))}]",
        passphrase_file=_quoted(passphrase_file),
        pin=_quoted(pin),
        store_mib_max=STORE_BYTES_MAX // MIB,
    )


def parse_endpoint(text: str) -> tuple[str, str]:
    """Return host and port of `tcp://HOST:PORT`, an IPv6 host without its brackets; raise ValueError."""
    match = ENDPOINT.fullmatch(text)
    if match is None:
        raise ValueError(text)
    port = match["port"]
    if port != ANY and not 1 <= int(port) <= PORT_MAX:
        raise ValueError(text)
    if match["six"] is not None:
        return str(ipaddress.IPv6Address(match["six"])), port
    return match["host"], port


def _name(settings: Settings, path: Path) -> HubName:
    try:
        return parse_hub(settings.name)
    except PeerFault:
        raise _fault(path, "name: not a hub's name", "write lower case letters, digits and hyphens, as lyon") from None


def _check_listen(listen: list[str], path: Path) -> None:
    if not listen:
        raise _fault(path, "listen: no address", 'name one at least, as ["tcp://0.0.0.0:7247"]')
    for place, endpoint in enumerate(listen):
        # Any other transport would go past CURVE (inproc) or past the network (ipc).
        try:
            host, _ = parse_endpoint(endpoint)
            if host != ANY:
                ipaddress.ip_address(host)
        except ValueError:
            hint = "write one as tcp://0.0.0.0:7247 or tcp://[::]:7247"
            raise _fault(path, f"listen[{place}]: not an address of this machine", hint) from None


def _pin(settings: Settings, path: Path) -> bytes | None:
    if not settings.pin.strip():
        return None
    try:
        return parse_pin(settings.pin)
    except CallerFault as fault:
        raise _fault(path, "pin: not a pin", fault.hint) from None


def _metrics(settings: Settings, path: Path) -> tuple[str, int] | None:
    if settings.metrics.listen is None:
        return None
    host, _, port = settings.metrics.listen.rpartition(":")
    try:
        if ipaddress.IPv4Address(host).is_loopback and 1 <= int(port) <= PORT_MAX:
            return host, int(port)
    except ValueError:
        pass
    raise _fault(path, "metrics.listen: not an address for this machine alone", "write one as 127.0.0.1:9247")


def _fault(path: Path, what: str, hint: str) -> CallerFault:
    return CallerFault(f"reading {path.name}: {what}", hint)


def _quoted(text: str) -> str:
    escaped = "".join(f"\\{sign}" if sign in '"\\' else sign for sign in text)
    return f'"{escaped}"'


CONFIG_FILE: Final = "hub.toml"
PLACES: Final = (Path(CONFIG_FILE), Path("/etc/i247") / CONFIG_FILE)
STORE_FILE: Final = "hub.db"
STATUS_SOCKET: Final = "status.sock"
ANY: Final = "*"
PORT_MAX: Final = 65_535
SOCKET_PATH_BYTES_MAX: Final = 107
ENDPOINT: Final = re.compile(r"tcp://(?:\[(?P<six>[0-9a-fA-F:.]+)\]|(?P<host>[^\s\[\]:/]+)):(?P<port>\d{1,5}|\*)")

TEXT: Final = """\
# A regional hub. `i247-hub check` says what is wrong with this file, `i247-hub run` runs the hub.
# A path is taken from the folder of this file, unless it begins with /. No secret stands in here.

# The name by which the roster lists this hub.
name = {name}

# Addresses of this machine. Members and other hubs dial what the roster says, which may differ behind a firewall.
listen = {listen}

# Folder for the database. It must lie on a local disk, and nothing but one hub may use it.
state = "state"

# How large what waits may grow: at 80 % no bulk is taken any more, at 95 % only control and urgent.
store_mib_max = {store_mib_max}

# The directory, as the Secretariat publishes it. Other hubs and members bring newer ones; a newer file that is laid
# here is read while the hub runs. Whatever it says is believed only as far as it follows from the pin.
network_file = "network.i247"

# The hash of the charter, from the Secretariat, by another channel than the network file. 64 hexadecimal digits.
pin = {pin}

[keys]
identity = "keys/identity.key"
link = "keys/link.key"
# What opens the keyfiles: a file of mode 0600, or a credential of systemd (LoadCredential=). One of both.
passphrase_file = {passphrase_file}
# credential = "i247-hub-passphrase"

[log]
level = "info"     # debug, info, warning, error
form = "console"   # or "json"
# file = "hub.log" # without it, to stderr

[status]
# Where `i247-hub status` and `i247-hub mailboxes` ask; for the user of the hub and its group.
# socket = "state/status.sock"

[metrics]
# Where Prometheus may ask for /metrics; only this machine can.
# listen = "127.0.0.1:9247"
"""
