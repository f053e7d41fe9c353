"""Find out, before a hub runs, that its files fit one another: keys, roster, network file, store, addresses.

The daemon prepares and stops at the first thing that is wrong; `i247-hub check` asks the same questions one by one
and tells all answers. A directory that has expired is no reason not to start: newer documents come from members and
other hubs. Edge. docs/operations.md.
"""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final

from i247_edges.clock import read_clocks
from i247_edges.link import link_key
from i247_edges.terminal import explain
from i247_hub.config import ANY, HubConfig, parse_endpoint
from i247_hub.records import KeepDirectory
from i247_hub.status import ask
from i247_hub.store import HubStore
from i247_keys.identity import Identity
from i247_keys.keyfile import passphrase_from_credential, passphrase_from_file, read_keyfile, read_public
from i247_keys.network_file import extend, replay
from i247_keys.roster import Directory
from i247_keys.trust import Health, Trust
from i247_protocol.errors import CallerFault, PeerFault, WorldFault
from i247_protocol.limits import NETWORK_FILE_BYTES_MAX
from i247_protocol.names import HubName, WallMs
from i247_protocol.reasons import Reason


@dataclass(frozen=True, slots=True)
class Secrets:
    """A hub's two keys; `link` is the raw CURVE secret."""

    identity: Identity
    link: bytes = field(repr=False)

    @property
    def publics(self) -> Publics:
        """The public halves."""
        return Publics(self.identity.public, link_key(self.link))


@dataclass(frozen=True, slots=True)
class Publics:
    """The public keys by which the roster should list a hub."""

    identity: bytes
    link: bytes

    def are_listed(self, directory: Directory, name: HubName) -> bool:
        """Whether the roster lists them under `name`."""
        row = directory.hub(name)
        return row is not None and (row.identity, row.link) == (self.identity, self.link)


def unlock(config: HubConfig) -> Secrets:
    """Open both keyfiles; takes a second, and the memory that the passphrase costs."""
    passphrase = _passphrase(config)
    return Secrets(
        Identity(read_keyfile(config.identity, use=IDENTITY, passphrase=passphrase)),
        read_keyfile(config.link, use=LINK, passphrase=passphrase),
    )


def open_store(config: HubConfig) -> HubStore:
    """Open the database, which no other daemon may have open."""
    doing = f"making the folder {config.state}"
    try:
        config.state.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise WorldFault(doing, f"{error.strerror}: check `state` in {config.path}") from None
    return HubStore(str(config.store))


def believe(config: HubConfig, store: HubStore, wall: WallMs) -> Trust:
    """Return what is believed of the directory, saved before it is used.

    What the store holds goes first, so that an older network file takes nothing back, and a bad one does no harm.
    Without it the network file is followed from the pin, and then must be there and be right.
    """
    saved = store.directory()
    held = None if saved is None else _saved(config, saved, wall)
    data = read_network_file(config.network_file)
    trust = _followed(config, data, wall) if held is None else _extended(held, data, wall)
    if trust is not held:
        store.persist(KeepDirectory(trust.to_bytes()))
        store.commit()
    return trust


def require_listed(config: HubConfig, publics: Publics, directory: Directory) -> None:
    """Raise CallerFault unless the roster lists this hub with its keys: nobody would dial it otherwise."""
    doing = f"looking for {config.name} in roster {directory.version}"
    row = directory.hub(config.name)
    if row is None:
        names = ", ".join(one.name for one in directory.hubs)
        raise CallerFault(
            doing, f"it lists {names}: correct `name`, or have the Secretariat publish this hub's request"
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


# --- asking one by one ---


class Grade(StrEnum):
    """How much a finding matters: nothing, an alarm while the hub runs all the same, or that it will not start."""

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


def findings(config: HubConfig) -> Iterator[Finding]:
    """Yield what is right and wrong about a hub that is to be started, or that runs."""
    yield _answered("keys", _examine_keys, config)
    yield _answered("passphrase", _examine_passphrase, config)
    yield (directory := _answered("network file", _examine_network_file, config))
    if directory.grade is not Grade.WRONG:
        yield _answered("directory", _examine_age, config)
        yield _answered("roster", _examine_roster, config)
    if is_running(config):
        yield Finding("daemon", Grade.OK, "it runs, and has store and addresses in use")
        return
    yield _answered("store", _examine_store, config)
    yield _answered("addresses", _examine_addresses, config)


def is_running(config: HubConfig) -> bool:
    """Whether a daemon answers at the status socket."""
    try:
        ask(config.status_socket)
    except WorldFault:
        return False
    return True


class _Degraded(CallerFault):
    """What is wrong does not keep the hub from running."""


def _answered(subject: str, question: Callable[[HubConfig], str], config: HubConfig) -> Finding:
    try:
        return Finding(subject, Grade.OK, question(config))
    except _Degraded as fault:
        return Finding(subject, Grade.DEGRADED, fault.doing, fault.hint)
    except (CallerFault, WorldFault) as fault:
        return Finding(subject, Grade.WRONG, fault.doing, fault.hint)


def _examine_keys(config: HubConfig) -> str:
    publics = _claimed(config)
    return f"identity {publics.identity.hex()[:16]}…, link {publics.link.hex()[:16]}…"


def _examine_passphrase(config: HubConfig) -> str:
    if config.passphrase_credential is not None and CREDENTIALS not in os.environ:
        return f"systemd gives it to the daemon as {config.passphrase_credential}; not tried here"
    if unlock(config).publics != _claimed(config):
        raise WorldFault("comparing the keyfiles with what they claim", "restore them from a backup")
    return "it opens both keyfiles"


def _examine_network_file(config: HubConfig) -> str:
    data = read_network_file(config.network_file)
    if data is None and config.store.exists():
        raise _Degraded(
            f"reading {config.network_file}: there is none", "the store's copy is used; lay one there again"
        )
    trust = _followed(config, data, read_clocks().wall)
    return f"it leads from the pin to roster {trust.directory.version}"


def _examine_age(config: HubConfig) -> str:
    trust, wall = _known(config), read_clocks().wall
    health = trust.health(wall)
    if health is Health.FRESH:
        return "the directory is fresh"
    what = "it has no pulse yet" if trust.pulse is None else "it has expired"
    raise _Degraded(f"the directory is {health}: {what}", f"lay a newer network file at {config.network_file}")


def _examine_roster(config: HubConfig) -> str:
    directory = _known(config).directory
    require_listed(config, _claimed(config), directory)
    return f"roster {directory.version} lists {config.name} with these keys"


def _examine_store(config: HubConfig) -> str:
    if not config.state.exists():
        return f"the daemon will make {config.state}"
    if stat.S_IMODE(config.state.stat().st_mode) & 0o077:
        raise _Degraded(f"others may look into {config.state}", f"chmod 700 {config.state}")
    if not config.store.exists():
        if not os.access(config.state, os.W_OK | os.X_OK):
            raise WorldFault(f"writing in {config.state}", "give the folder to the user that runs the hub")
        return f"the daemon will make {config.store}"
    with closing(open_store(config)) as store:
        saved = store.directory()
        if saved is not None:
            _saved(config, saved, read_clocks().wall)
        return f"it is sound to open and holds {store.used_bytes()} bytes of mail"


def _examine_addresses(config: HubConfig) -> str:
    for endpoint in config.listen:
        host, port = parse_endpoint(endpoint)
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with socket.socket(family, socket.SOCK_STREAM) as one:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                one.bind(("" if host == ANY else host, 0 if port == ANY else int(port)))
                one.listen(1)
            except OSError as error:
                hint = "see who listens there by `ss -ltnp`; stop that program, or change `listen`"
                raise WorldFault(f"listening at {endpoint}: {error.strerror}", hint) from None
    return f"free: {' '.join(config.listen)}"


# --- parts ---


def _passphrase(config: HubConfig) -> bytes:
    if config.passphrase_file is not None:
        return passphrase_from_file(config.passphrase_file)
    name = config.passphrase_credential or ""
    directory = os.environ.get(CREDENTIALS)
    if directory is None:
        raise CallerFault(
            f"reading the credential {name}", f"start the daemon by systemd with LoadCredential={name}:FILE"
        )
    return passphrase_from_credential(name, Path(directory))


def _claimed(config: HubConfig) -> Publics:
    return Publics(read_public(config.identity, use=IDENTITY), read_public(config.link, use=LINK))


def _known(config: HubConfig) -> Trust:
    """Return what the network file leads to, or without one what the store holds."""
    wall = read_clocks().wall
    data = read_network_file(config.network_file)
    if data is None and config.store.exists() and not is_running(config):
        with closing(open_store(config)) as store:
            saved = store.directory()
        if saved is not None:
            return _saved(config, saved, wall)
    return _followed(config, data, wall)


def _followed(config: HubConfig, data: bytes | None, wall: WallMs) -> Trust:
    doing = f"reading {config.network_file}"
    pin = _pin(config)
    if data is None:
        raise CallerFault(f"{doing}: there is none", _NO_FILE)
    try:
        return replay(data, pin, wall)
    except PeerFault as fault:
        told = explain(fault)
        raise CallerFault(f"{doing}: {told.error}", told.hint) from None


def _extended(held: Trust, data: bytes | None, wall: WallMs) -> Trust:
    try:
        return held if data is None else extend(held, data, wall)
    except PeerFault:
        return held  # the machine is given it again, counts the reason, and the log tells it


def _saved(config: HubConfig, data: bytes, wall: WallMs) -> Trust:
    doing = f"reading the directory in {config.store}"
    try:
        return Trust.from_bytes(_pin(config), data, wall)
    except PeerFault as fault:
        if fault.reason is Reason.WRONG_PIN:
            raise CallerFault(
                doing, f"it is of another network: correct the pin in {config.path}, or `state`"
            ) from None
        raise WorldFault(doing, "it is damaged: keep a copy of the file, and restore the newest backup") from None


def _pin(config: HubConfig) -> bytes:
    if config.pin is None:
        raise CallerFault(
            f"reading the pin in {config.path}: it is empty",
            "ask the Secretariat for it, by another channel than the file",
        )
    return config.pin


IDENTITY: Final = "identity"
LINK: Final = "link"
CREDENTIALS: Final = "CREDENTIALS_DIRECTORY"

_NO_FILE: Final = "get it from the Secretariat or any member, and lay it there"
