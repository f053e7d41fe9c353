"""Fix what a machine is: input and time go in, effects and one deadline come out.

A machine performs nothing. It may read what it has saved through a port that answers at once and sees what
this turn has already persisted; everything else that it wants done, it yields. Each `Persist` is performed
as it is yielded, so the next read sees it; frames and news wait for their place in the turn.
docs/decisions/0002-machines-and-pump.md.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NewType, Protocol, TypeVar

import msgspec

from i247_protocol.frames import Frame
from i247_protocol.names import MonoMs, Now

LinkId = NewType("LinkId", bytes)
"""What an edge calls one connection; opaque to machines."""


class FrameArrived(msgspec.Struct, frozen=True):
    """Bytes came in on a link; `key` is the public key that the far end has proved to hold."""

    link: LinkId
    key: bytes
    data: bytes


class LinkUp(msgspec.Struct, frozen=True):
    """A connection that this side dials is ready to be greeted on."""

    link: LinkId


class LinkLost(msgspec.Struct, frozen=True):
    """A connection is gone, or could not take a frame; what was on the way may be lost."""

    link: LinkId


class TimePassed(msgspec.Struct, frozen=True):
    """The deadline that the machine had named has come."""


class DirectoryGiven(msgspec.Struct, frozen=True):
    """Somebody laid directory documents before this program; nothing about them is believed yet."""

    data: bytes


class Persist(msgspec.Struct, frozen=True):
    """Save `record` in this turn's one commit."""

    record: object


class Forward(msgspec.Struct, frozen=True):
    """Send a frame that claims nothing of ours; it may leave before the commit."""

    link: LinkId
    frame: Frame


class Claim(msgspec.Struct, frozen=True):
    """Send a frame that claims something; it leaves only after the commit."""

    link: LinkId
    frame: Frame


class Tell(msgspec.Struct, frozen=True):
    """Hand `news` to this side's own edge (user, log, dialler, thread pool) after the commit."""

    news: object


class Peer(msgspec.Struct, frozen=True):
    """A hub to dial: the link's name here, where it listens, and the public key it must prove to hold."""

    link: LinkId
    endpoint: str
    key: bytes


class Dial(msgspec.Struct, frozen=True):
    """News: keep connections to exactly these peers."""

    peers: tuple[Peer, ...]


class Admit(msgspec.Struct, frozen=True):
    """News: accept connections from exactly these public keys."""

    keys: frozenset[bytes]


Effect = Persist | Forward | Claim | Tell
E_contra = TypeVar("E_contra", contravariant=True)


class Machine(Protocol[E_contra]):
    """Whatever can be driven by events and time alone."""

    def handle(self, event: E_contra, now: Now) -> Iterable[Effect]:
        """Take one event; yield what must be done, in order. Must be iterated to its end, before the next event."""
        ...

    def finish(self, now: Now) -> Iterable[Effect]:
        """Yield what is done once for all events of a turn, before its commit."""
        ...

    def next_deadline(self) -> MonoMs | None:
        """Return when `TimePassed` is wanted next."""
        ...
