"""Bring together what a daemon's store and its network file say of the directory, before it starts.

What the store holds goes first, so that an older network file takes nothing back, and a bad one does no harm. Without
it the network file is followed from the pin, and then must be there and be right. Edge. docs/operations.md.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from i247_edges.checkup import Degraded
from i247_edges.terminal import explain
from i247_keys.network_file import extend, replay
from i247_keys.trust import Health, Trust
from i247_protocol.errors import CallerFault, PeerFault, WorldFault
from i247_protocol.limits import NETWORK_FILE_BYTES_MAX
from i247_protocol.names import WallMs
from i247_protocol.reasons import Reason


class Grounds(Protocol):
    """Where a configuration says that the directory comes from."""

    @property
    def path(self) -> Path:
        """The configuration's own file."""
        ...

    @property
    def store(self) -> Path:
        """The database."""
        ...

    @property
    def network_file(self) -> Path:
        """The network file."""
        ...

    @property
    def pin(self) -> bytes | None:
        """The hash of the first charter; None when it is not set yet."""
        ...


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


def believed(grounds: Grounds, saved: bytes | None, wall: WallMs) -> tuple[Trust, bool]:
    """Return what is to be believed, and whether that is more than what was saved; then it must be saved before use."""
    data = read_network_file(grounds.network_file)
    if saved is None:
        return followed(grounds, data, wall), True
    held = trust_saved(grounds, saved, wall)
    trust = _extended(held, data, wall)
    return trust, trust is not held


def followed(grounds: Grounds, data: bytes | None, wall: WallMs) -> Trust:
    """Return what a network file leads to from the pin; raise CallerFault when it leads nowhere."""
    doing = f"reading {grounds.network_file}"
    pin = _pin(grounds)
    if data is None:
        raise CallerFault(f"{doing}: there is none", "get it from the Secretariat or any member, and lay it there")
    try:
        return replay(data, pin, wall)
    except PeerFault as fault:
        told = explain(fault)
        raise CallerFault(f"{doing}: {told.error}", told.hint) from None


def trust_saved(grounds: Grounds, data: bytes, wall: WallMs) -> Trust:
    """Return what a store holds of the directory."""
    doing = f"reading the directory in {grounds.store}"
    try:
        return Trust.from_bytes(_pin(grounds), data, wall)
    except PeerFault as fault:
        if fault.reason is Reason.WRONG_PIN:
            raise CallerFault(
                doing, f"it is of another network: correct the pin in {grounds.path}, or `state`"
            ) from None
        raise WorldFault(doing, "it is damaged: keep a copy of the file, and restore the newest backup") from None


def examine_network_file(grounds: Grounds, wall: WallMs) -> str:
    """Tell where the network file leads; raise Degraded when the store's copy takes its place."""
    data = read_network_file(grounds.network_file)
    if data is None and grounds.store.exists():
        raise Degraded(
            f"reading {grounds.network_file}: there is none", "the store's copy is used; lay one there again"
        )
    trust = followed(grounds, data, wall)
    return f"it leads from the pin to roster {trust.directory.version}"


def examine_age(grounds: Grounds, trust: Trust, wall: WallMs) -> str:
    """Tell that the directory is fresh; raise Degraded when it is not."""
    health = trust.health(wall)
    if health is Health.FRESH:
        return "the directory is fresh"
    what = "it has no pulse yet" if trust.pulse is None else "it has expired"
    raise Degraded(f"the directory is {health}: {what}", f"lay a newer network file at {grounds.network_file}")


def _extended(held: Trust, data: bytes | None, wall: WallMs) -> Trust:
    try:
        return held if data is None else extend(held, data, wall)
    except PeerFault:
        return held  # the machine is given it again, and counts the reason


def _pin(grounds: Grounds) -> bytes:
    if grounds.pin is None:
        raise CallerFault(
            f"reading the pin in {grounds.path}: it is empty",
            "ask the Secretariat for it, by another channel than the file",
        )
    return grounds.pin
