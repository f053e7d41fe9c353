"""Read a hub's hub.toml, and give the text of its first one.

Decides what may be configured and what one value must look like. Whether files, keys and directory fit one another
is found out in `preparation`. A key that is not known is refused with its path, since a misspelt one would silently
leave its default in force. No secret stands in the file. docs/operations.md.
"""

from __future__ import annotations

import ipaddress
import json
import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import msgspec

from i247_protocol.errors import CallerFault, PeerFault, WorldFault
from i247_protocol.limits import STORE_BYTES_MAX
from i247_protocol.names import HubName, parse_hub

MIB: Final = 1 << 20

LogFormat = Literal["text", "json"]
LogLevel = Literal["debug", "info", "warning", "error"]


@dataclass(frozen=True, slots=True)
class HubConfig:
    """What hub.toml says, with paths made absolute; `pin` is None as long as it is left empty."""

    path: Path
    name: HubName
    listen: tuple[str, ...]
    state: Path
    store_bytes_max: int
    identity: Path
    link: Path
    passphrase_file: Path | None
    passphrase_credential: str | None
    network_file: Path
    pin: bytes | None
    log_format: LogFormat
    log_level: LogLevel
    status_socket: Path
    metrics: tuple[str, int] | None

    @property
    def store(self) -> Path:
        """Where the database lies."""
        return self.state / STORE_FILE


def read_config(path: Path) -> HubConfig:
    """Return what the file at `path` says; raise CallerFault when it is wrong, WorldFault when it cannot be read."""
    doing = f"reading {path}"
    data = _read(path, doing)
    try:
        written = msgspec.toml.decode(data, type=_Written)
    except msgspec.ValidationError as error:
        raise CallerFault(doing, _told(str(error))) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise CallerFault(doing, f"it is not TOML: {error}") from None
    return _checked(written, path.absolute(), doing)


def first_config(name: HubName, listen: tuple[str, ...], passphrase_file: str, pin: str) -> str:
    """Return the commented text that `init` writes."""
    return _TEMPLATE.format(
        name=_quoted(name),
        listen=f"[{', '.join(map(_quoted, listen))}]",
        passphrase_file=_quoted(passphrase_file),
        pin=_quoted(pin),
        store_mib_max=STORE_BYTES_MAX // MIB,
    )


def parse_endpoint(text: str) -> tuple[str, str]:
    """Return host and port of `tcp://HOST:PORT`, an IPv6 host without its brackets; raise ValueError."""
    match = _ENDPOINT.fullmatch(text)
    if match is None:
        raise ValueError(text)
    port = match["port"]
    if port != ANY and not 1 <= int(port) <= PORT_MAX:
        raise ValueError(text)
    if match["six"] is not None:
        return str(ipaddress.IPv6Address(match["six"])), port
    return match["host"], port


class _Keys(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    identity: str
    link: str
    passphrase_file: str = ""
    passphrase_credential: str = ""


class _Directory(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    network_file: str
    pin: str


class _Log(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    format: LogFormat = "text"
    level: LogLevel = "info"


class _Status(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    socket: str = ""


class _Metrics(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    listen: str = ""


class _Written(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The file, key by key."""

    name: str
    listen: tuple[str, ...]
    state: str
    keys: _Keys
    directory: _Directory
    store_mib_max: int = STORE_BYTES_MAX // MIB
    log: _Log = _Log()
    status: _Status = _Status()
    metrics: _Metrics = _Metrics()


def _checked(written: _Written, path: Path, doing: str) -> HubConfig:
    folder = path.parent
    state = folder / written.state
    config = HubConfig(
        path=path,
        name=_name(written.name, doing),
        listen=tuple(_listen(text, doing) for text in written.listen),
        state=state,
        store_bytes_max=written.store_mib_max * MIB,
        identity=folder / written.keys.identity,
        link=folder / written.keys.link,
        passphrase_file=folder / written.keys.passphrase_file if written.keys.passphrase_file else None,
        passphrase_credential=written.keys.passphrase_credential or None,
        network_file=folder / written.directory.network_file,
        pin=_pin(written.directory.pin, doing),
        log_format=written.log.format,
        log_level=written.log.level,
        status_socket=folder / written.status.socket if written.status.socket else state / STATUS_SOCKET,
        metrics=_metrics(written.metrics.listen, doing),
    )
    if not config.listen:
        raise CallerFault(doing, 'listen: name one address at least, as ["tcp://0.0.0.0:7247"]')
    if written.store_mib_max < 1:
        raise CallerFault(doing, "store_mib_max: let the store have one MiB at least")
    if (config.passphrase_file is None) == (config.passphrase_credential is None):
        raise CallerFault(doing, "keys: set one of passphrase_file and passphrase_credential, not both")
    if len(os.fsencode(config.status_socket)) > SOCKET_PATH_BYTES_MAX:
        raise CallerFault(doing, f"status.socket: choose a path of {SOCKET_PATH_BYTES_MAX} bytes at most")
    return config


def _name(text: str, doing: str) -> HubName:
    try:
        return parse_hub(text)
    except PeerFault:
        raise CallerFault(doing, "name: lower case letters, digits and hyphens, as lyon") from None


def _listen(text: str, doing: str) -> str:
    # Any other transport would go past CURVE (inproc) or past the network (ipc).
    try:
        host, _ = parse_endpoint(text)
        if host != ANY:
            ipaddress.ip_address(host)
    except ValueError:
        raise CallerFault(
            doing, "listen: an address of this machine, as tcp://0.0.0.0:7247 or tcp://[::]:7247"
        ) from None
    return text


def _pin(text: str, doing: str) -> bytes | None:
    if not text:
        return None
    try:
        pin = bytes.fromhex(text)
    except ValueError:
        pin = b""
    if len(pin) != PIN_BYTES:
        raise CallerFault(doing, f"directory.pin: {2 * PIN_BYTES} hexadecimal digits")
    return pin


def _metrics(text: str, doing: str) -> tuple[str, int] | None:
    if not text:
        return None
    host, _, port = text.rpartition(":")
    try:
        if not ipaddress.IPv4Address(host).is_loopback or not 1 <= int(port) <= PORT_MAX:
            raise ValueError(text)
    except ValueError:
        raise CallerFault(
            doing, "metrics.listen: an address that only this machine reaches, as 127.0.0.1:9247"
        ) from None
    return host, int(port)


def _read(path: Path, doing: str) -> bytes:
    try:
        with path.open("rb") as file:
            # The pin stands in it: whoever may change the file may change whom this hub believes.
            if stat.S_IMODE(os.fstat(file.fileno()).st_mode) & stat.S_IWOTH:
                raise CallerFault(doing, f"everybody may write it: chmod o-w {path}")
            data = file.read(CONFIG_BYTES_MAX + 1)
    except FileNotFoundError:
        raise CallerFault(
            doing, "there is no such file: name it by --config, or write one by `i247-hub init`"
        ) from None
    except OSError as error:
        raise WorldFault(doing, f"{error.strerror}: check the path, and who may read it") from None
    if len(data) > CONFIG_BYTES_MAX:
        raise CallerFault(doing, f"it is larger than {CONFIG_BYTES_MAX} bytes: name the right file")
    return data


def _told(text: str) -> str:
    what, _, where = text.partition(" - at `$")
    where = where.strip("`.")
    unknown = _UNKNOWN.fullmatch(what)
    if unknown is not None:
        place = ".".join(part for part in (where, unknown[1]) if part)
        return f"{place}: unknown key; remove it, or mend its spelling"
    return f"{where}: {what}" if where else what


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


CONFIG_FILE: Final = "hub.toml"
STORE_FILE: Final = "hub.db"
STATUS_SOCKET: Final = "status.sock"
ANY: Final = "*"
PIN_BYTES: Final = 32
PORT_MAX: Final = 65_535
CONFIG_BYTES_MAX: Final = 64 * 1024
SOCKET_PATH_BYTES_MAX: Final = 107
"""What Linux has room for."""

_ENDPOINT: Final = re.compile(r"tcp://(?:\[(?P<six>[0-9a-fA-F:.]+)\]|(?P<host>[^\s\[\]:/]+)):(?P<port>\d{1,5}|\*)")
_UNKNOWN: Final = re.compile(r"Object contains unknown field `(.*)`")
_TEMPLATE: Final = """\
# A regional hub. Relative paths begin at the folder of this file. No secret stands here.
# After a change: `i247-hub check`, then restart the daemon.

# The name by which the roster lists this hub.
name = {name}

# Addresses of this machine. Members and other hubs dial what the roster says, which may differ behind a firewall.
listen = {listen}

# A folder for the database, of mode 0700.
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
network_file = "network.i247"
# 64 hexadecimal digits, from the Secretariat by another channel than the file.
pin = {pin}

[log]
# To standard error. Names members and hubs, never a message.
format = "text" # or "json"
level = "info" # or "debug", "warning", "error"

[status]
# Where `i247-hub status` and `i247-hub mailboxes` ask.
# socket = "state/status.sock"

[metrics]
# Where Prometheus may ask for /metrics; only this machine can.
# listen = "127.0.0.1:9247"
"""
