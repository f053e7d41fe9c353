"""Find out, before a hub runs, that its files fit one another: keys, roster, network file, store, addresses.

The daemon prepares and stops at the first thing that is wrong; `i247-hub check` asks the same questions one by one
and tells all answers. A directory that has expired is no reason not to start: newer documents come from members and
other hubs. Edge. docs/operations.md.
"""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Iterator
from contextlib import closing
from typing import Final

from i247_edges.checkup import Degraded, Finding, Grade, answered
from i247_edges.clock import read_clocks
from i247_hub.config import ANY, MIB, HubConfig, parse_endpoint
from i247_hub.quotas import PARCEL_BYTES_MAX
from i247_hub.records import KeepDirectory
from i247_hub.room import THRESHOLDS
from i247_hub.status import ask
from i247_hub.store import HubStore
from i247_keys.grounds import (
    believed,
    examine_age,
    examine_network_file,
    followed,
    read_network_file,
    trust_saved,
)
from i247_keys.own_keys import Publics, claimed, examine_keys, examine_passphrase
from i247_keys.roster import Directory
from i247_keys.trust import Trust
from i247_protocol.errors import CallerFault, WorldFault
from i247_protocol.names import WallMs
from i247_protocol.priority import Priority


def open_store(config: HubConfig) -> HubStore:
    """Open the database, which no other daemon may have open."""
    doing = f"making the folder {config.state}"
    try:
        config.state.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise WorldFault(doing, f"{error.strerror}: check `state` in {config.path}") from None
    return HubStore(str(config.store), aside=True)


def believe(config: HubConfig, store: HubStore, wall: WallMs) -> Trust:
    """Return what is believed of the directory, saved before it is used."""
    trust, is_more = believed(config, store.directory(), wall)
    if is_more:
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
    publics.require_same(row, doing)


# --- asking one by one ---


def findings(config: HubConfig) -> Iterator[Finding]:
    """Yield what is right and wrong about a hub that is to be started, or that runs."""
    wall = read_clocks().wall
    yield answered("keys", lambda: examine_keys(config))
    yield answered("passphrase", lambda: examine_passphrase(config))
    yield (directory := answered("network file", lambda: examine_network_file(config, wall)))
    if directory.grade is not Grade.WRONG:
        yield answered("directory", lambda: examine_age(config, _known(config), wall))
        yield answered("roster", lambda: _examine_roster(config))
    yield answered("quotas", lambda: _examine_quotas(config))
    if is_running(config):
        yield Finding("daemon", Grade.OK, "it runs, and has store and addresses in use")
        return
    yield answered("store", lambda: _examine_store(config))
    yield answered("addresses", lambda: _examine_addresses(config))


def is_running(config: HubConfig) -> bool:
    """Whether a daemon answers at the status socket."""
    try:
        ask(config.status_socket)
    except WorldFault:
        return False
    return True


def _examine_roster(config: HubConfig) -> str:
    directory = _known(config).directory
    require_listed(config, claimed(config), directory)
    return f"roster {directory.version} lists {config.name} with these keys"


def _examine_quotas(config: HubConfig) -> str:
    quotas, store = config.quotas, config.store_bytes_max
    for name in ("member_percent", "hub_percent", "mailbox_percent"):
        if getattr(quotas, name) >= BULK_SHUT_PERCENT:
            raise Degraded(
                f"by {name} one alone may fill the store so far that no bulk is taken from anybody",
                f"set quotas.{name} below {BULK_SHUT_PERCENT} in {config.path}",
            )
        if store * getattr(quotas, name) // 100 * BULK_SHUT_PERCENT // 100 <= PARCEL_BYTES_MAX:
            raise Degraded(
                f"by {name} the largest messages would never be taken",
                f"set store_mib_max or quotas.{name} higher in {config.path}",
            )
    return (
        f"one member may give {quotas.messages_per_s} messages, {quotas.bytes_per_s // MIB} MiB and "
        f"{quotas.recipients_per_s} recipients a second, and as much urgent; "
        f"{store * quotas.member_percent // 100 // MIB} MiB of what it gave may wait; "
        f"{store * quotas.hub_percent // 100 // MIB} MiB from or for one hub; "
        f"{store * quotas.mailbox_percent // 100 // MIB} MiB and {quotas.mailbox_rows} messages for one member"
    )


def _examine_store(config: HubConfig) -> str:
    if not config.state.exists():
        return f"the daemon will make {config.state}"
    if stat.S_IMODE(config.state.stat().st_mode) & 0o077:
        raise Degraded(f"others may look into {config.state}", f"chmod 700 {config.state}")
    if not config.store.exists():
        if not os.access(config.state, os.W_OK | os.X_OK):
            raise WorldFault(f"writing in {config.state}", "give the folder to the user that runs the hub")
        return f"the daemon will make {config.store}"
    with closing(open_store(config)) as store:
        saved = store.directory()
        if saved is not None:
            trust_saved(config, saved, read_clocks().wall)
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


def _known(config: HubConfig) -> Trust:
    """Return what the network file leads to, or without one what the store holds."""
    wall = read_clocks().wall
    data = read_network_file(config.network_file)
    if data is None and config.store.exists() and not is_running(config):
        with closing(open_store(config)) as store:
            saved = store.directory()
        if saved is not None:
            return trust_saved(config, saved, wall)
    return followed(config, data, wall)


BULK_SHUT_PERCENT: Final = THRESHOLDS[Priority.BULK]
