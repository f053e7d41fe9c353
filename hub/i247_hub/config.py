"""Say what may stand in `hub.toml`, read it, and give the text of a first one.

Decides: the settings, what is taken when one is left out, and where the file is looked for. A path is taken from the
folder of the file. Leaves to others: whether files, keys and directory fit one another (`preparation`), and how a
setting that is wrong is told (`i247_edges.config`). Which hubs to dial stands in the roster, never here.
docs/operations.md.
"""

from __future__ import annotations

import ipaddress
import json
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec

from i247_edges import config as file
from i247_edges.logs import Form, Level
from i247_hub.quotas import USUAL, Quotas
from i247_keys.ceremony_files import parse_pin
from i247_protocol.errors import CallerFault, PeerFault
from i247_protocol.limits import STORE_BYTES_MAX
from i247_protocol.names import HubName, parse_hub

MIB: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class HubConfig:
    """What a hub needs to know; every path is complete. Of the two ways to a passphrase, one is set."""

    path: Path
    name: HubName
    listen: tuple[str, ...]
    state: Path
    store_bytes_max: int
    quotas: Quotas
    identity: Path
    link: Path
    passphrase_file: Path | None
    passphrase_credential: str | None
    network_file: Path
    pin: bytes | None
    log_level: Level
    log_form: Form
    log_file: Path | None
    status_socket: Path
    metrics: tuple[str, int] | None

    @property
    def store(self) -> Path:
        """The database."""
        return self.state / STORE_FILE


def read_config(path: Path) -> HubConfig:
    """Return the settings in `path`; raise CallerFault that says what is wrong, where, and what to do."""
    settings = file.read_config(path, _Settings)
    doing = f"reading {path.name}"
    keys = settings.keys
    if (keys.passphrase_file is None) is (keys.passphrase_credential is None):
        raise CallerFault(f"{doing}: keys", "set one of passphrase_file and passphrase_credential, not both")
    return HubConfig(
        path=path,
        name=_name(settings.name, doing),
        listen=tuple(_listens(settings.listen, doing)),
        state=settings.state,
        store_bytes_max=settings.store_mib_max * MIB,
        quotas=_quotas(settings.quotas),
        identity=keys.identity,
        link=keys.link,
        passphrase_file=keys.passphrase_file,
        passphrase_credential=keys.passphrase_credential,
        network_file=settings.directory.network_file,
        pin=_pin(settings.directory.pin, doing),
        log_level=settings.log.level,
        log_form=FORMS[settings.log.format],
        log_file=settings.log.file,
        status_socket=_socket(settings, doing),
        metrics=_metrics(settings.metrics.listen, doing),
    )


def find_config(path: Path | None) -> Path:
    """Return `path`, or where the file is looked for when none is given; raise CallerFault when it is nowhere."""
    if path is not None:
        return path
    for place in PLACES:
        if place.exists():
            return place
    raise CallerFault(
        "looking for the configuration: there is no hub.toml here and none in /etc/i247",
        "name it by --config, or write one by `i247-hub init`",
    )


def first_config(name: HubName, *, listen: Iterable[str], passphrase_file: str, pin: str) -> str:
    """Return a commented file for a new hub; paths in it are from its folder unless they are complete."""
    return TEMPLATE.format(
        name=_quoted(name),
        listen=f"[{', '.join(map(_quoted, listen))}]",
        passphrase_file=_quoted(passphrase_file),
        pin=_quoted(pin),
        store_mib_max=STORE_BYTES_MAX // MIB,
        usual=_Quotas(),
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


class _Keys(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    identity: Path
    link: Path
    passphrase_file: Path | None = None
    passphrase_credential: str | None = None


class _Directory(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    network_file: Path
    pin: str


Percent = Annotated[int, msgspec.Meta(ge=1, le=100)]


class _Quotas(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    messages_per_s: Annotated[int, msgspec.Meta(ge=1)] = USUAL.messages_per_s
    mib_per_s: Annotated[int, msgspec.Meta(ge=1)] = USUAL.bytes_per_s // MIB
    recipients_per_s: Annotated[int, msgspec.Meta(ge=1)] = USUAL.recipients_per_s
    member_percent: Percent = USUAL.member_percent
    hub_percent: Percent = USUAL.hub_percent
    mailbox_percent: Percent = USUAL.mailbox_percent
    mailbox_rows: Annotated[int, msgspec.Meta(ge=1)] = USUAL.mailbox_rows


class _Log(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    level: Level = Level.INFO
    format: Literal["text", "json"] = "text"
    file: Path | None = None


class _Status(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    socket: Path | None = None


class _Metrics(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    listen: str | None = None


class _Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    listen: list[str]
    state: Path
    keys: _Keys
    directory: _Directory
    store_mib_max: Annotated[int, msgspec.Meta(ge=1)] = STORE_BYTES_MAX // MIB
    quotas: _Quotas = msgspec.field(default_factory=_Quotas)
    log: _Log = msgspec.field(default_factory=_Log)
    status: _Status = msgspec.field(default_factory=_Status)
    metrics: _Metrics = msgspec.field(default_factory=_Metrics)


def _name(text: str, doing: str) -> HubName:
    try:
        return parse_hub(text)
    except PeerFault:
        raise CallerFault(f"{doing}: name: no hub's name", "lower case letters, digits and hyphens, as lyon") from None


def _listens(texts: list[str], doing: str) -> Iterator[str]:
    if not texts:
        raise CallerFault(f"{doing}: listen: no address", 'name one at least, as ["tcp://0.0.0.0:7247"]')
    for place, text in enumerate(texts):
        # Any other transport would go past CURVE (inproc) or past the network (ipc).
        try:
            host, _ = parse_endpoint(text)
            if host != ANY:
                ipaddress.ip_address(host)
        except ValueError:
            hint = "write one as tcp://0.0.0.0:7247 or tcp://[::]:7247"
            raise CallerFault(f"{doing}: listen[{place}]: no address of this machine", hint) from None
        yield text


def _quotas(told: _Quotas) -> Quotas:
    return Quotas(
        messages_per_s=told.messages_per_s,
        bytes_per_s=told.mib_per_s * MIB,
        recipients_per_s=told.recipients_per_s,
        member_percent=told.member_percent,
        hub_percent=told.hub_percent,
        mailbox_percent=told.mailbox_percent,
        mailbox_rows=told.mailbox_rows,
    )


def _pin(text: str, doing: str) -> bytes | None:
    try:
        return parse_pin(text) if text.strip() else None
    except CallerFault as fault:
        raise CallerFault(f"{doing}: directory.pin: no pin", fault.hint) from None


def _socket(settings: _Settings, doing: str) -> Path:
    path = settings.status.socket or settings.state / SOCKET_FILE
    if len(os.fsencode(path)) > SOCKET_PATH_BYTES_MAX:
        raise CallerFault(
            f"{doing}: status.socket: too long a path", f"choose one of {SOCKET_PATH_BYTES_MAX} bytes at most"
        )
    return path


def _metrics(text: str | None, doing: str) -> tuple[str, int] | None:
    if text is None:
        return None
    host, _, port = text.rpartition(":")
    try:
        if ipaddress.IPv4Address(host).is_loopback and 1 <= int(port) <= PORT_MAX:
            return host, int(port)
    except ValueError:
        pass
    raise CallerFault(f"{doing}: metrics.listen: no address for this machine alone", "write one as 127.0.0.1:9247")


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


CONFIG_FILE: Final = "hub.toml"
PLACES: Final = (Path(CONFIG_FILE), Path("/etc/i247") / CONFIG_FILE)
STORE_FILE: Final = "hub.db"
SOCKET_FILE: Final = "hub.sock"
FORMS: Final = {"text": Form.CONSOLE, "json": Form.JSON}
ANY: Final = "*"
PORT_MAX: Final = 65_535
SOCKET_PATH_BYTES_MAX: Final = 107
ENDPOINT: Final = re.compile(r"tcp://(?:\[(?P<six>[0-9a-fA-F:.]+)\]|(?P<host>[^\s\[\]:/]+)):(?P<port>\d{1,5}|\*)")

TEMPLATE: Final = """\
# A regional hub. Relative paths begin at the folder of this file. No secret stands here.
# After a change: `i247-hub check`, then restart the daemon.

# The name by which the roster lists this hub.
name = {name}

# Addresses of this machine. Members and other hubs dial what the roster says, which may differ behind a firewall.
listen = {listen}

# A folder for the database, of mode 0700, on a local disk.
state = "state"

# How large what waits may grow: at 80 % no bulk is taken any more, at 95 % only control and urgent.
store_mib_max = {store_mib_max}

[keys]
identity = "identity.key"
link = "link.key"
# One of the two: a file of mode 0600, or the name that systemd's LoadCredential= gives it.
passphrase_file = {passphrase_file}
# passphrase_credential = "hub-passphrase"

[directory]
# From the Secretariat or from any member, by any channel. Lay a newer one in its place: it is noticed at once.
# Which hubs to dial stands in it. Whatever it says is believed only as far as it follows from the pin.
network_file = "network.i247"
# 64 hexadecimal digits, from the Secretariat by another channel than the file.
pin = {pin}

[quotas]
# What one member may give this hub a second; urgent is counted apart, with as much again. Whoever is over it keeps what
# it has and tries again a little later. Receipts do not count.
# messages_per_s = {usual.messages_per_s}
# mib_per_s = {usual.mib_per_s}
# recipients_per_s = {usual.recipients_per_s}
# How much of the store may be taken by what one member gave, by what another hub gave or waits for it, and by what
# waits for one member; and how many messages may wait for one.
# member_percent = {usual.member_percent}
# hub_percent = {usual.hub_percent}
# mailbox_percent = {usual.mailbox_percent}
# mailbox_rows = {usual.mailbox_rows}

[log]
# Names members, hubs and reasons, never a message.
level = "info"  # debug, info, warning, error
format = "text"  # or "json"
# file = "hub.log"  # otherwise to standard error

[status]
# Where `i247-hub status` and `i247-hub mailboxes` ask: the user of the hub and its group. At most 107 bytes.
# socket = "state/hub.sock"

[metrics]
# Where Prometheus may ask for /metrics; only this machine can.
# listen = "127.0.0.1:9247"
"""
