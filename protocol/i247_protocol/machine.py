"""Fix what a machine is: input and time go in, effects and one deadline come out.

A machine performs nothing. It may read what it has saved through a port that answers at once and sees what
this turn has already persisted; everything else that it wants done, it yields. Each `Persist` is performed
as it is yielded, so the next read sees it; frames and news wait for their place in the turn.
docs/decisions/0002-machines-and-pump.md.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NewType, Protocol, TypeVar

from i247_protocol.frames import Frame
from i247_protocol.names import MonoMs, Now

LinkId = NewType("LinkId", bytes)
"""What an edge calls one connection; opaque to machines."""


@dataclass(frozen=True, slots=True)
class FrameArrived:
    """Bytes came in on a link; `key` is the public key that the far end has proved to hold."""

    link: LinkId
    key: bytes
    data: bytes


@dataclass(frozen=True, slots=True)
class LinkUp:
    """A connection that this side dials is ready to be greeted on."""

    link: LinkId


@dataclass(frozen=True, slots=True)
class LinkLost:
    """A connection is gone, or could not take a frame; what was on the way may be lost."""

    link: LinkId


@dataclass(frozen=True, slots=True)
class TimePassed:
    """The deadline that the machine had named has come."""


@dataclass(frozen=True, slots=True)
class DirectoryGiven:
    """Somebody laid directory documents before this program; nothing about them is believed yet."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Persist:
    """Save `record` in this turn's one commit."""

    record: object


@dataclass(frozen=True, slots=True)
class Forward:
    """Send a frame that claims nothing of ours; it may leave before the commit."""

    link: LinkId
    frame: Frame


@dataclass(frozen=True, slots=True)
class Claim:
    """Send a frame that claims something; it leaves only after the commit."""

    link: LinkId
    frame: Frame


@dataclass(frozen=True, slots=True)
class Tell:
    """Hand `news` to this side's own edge (user, log, dialler, thread pool) after the commit."""

    news: object


@dataclass(frozen=True, slots=True)
class Peer:
    """A hub to dial: the link's name here, where it listens, and the public key it must prove to hold."""

    link: LinkId
    endpoint: str
    key: bytes


@dataclass(frozen=True, slots=True)
class Dial:
    """News: keep connections to exactly these peers."""

    peers: tuple[Peer, ...]


@dataclass(frozen=True, slots=True)
class Admit:
    """News: accept connections from exactly these public keys."""

    keys: frozenset[bytes]


Effect = Persist | Forward | Claim | Tell
E_contra = TypeVar("E_contra", contravariant=True)


class Machine(Protocol[E_contra]):
    """Whatever can be driven by events and time alone."""

    def handle(self, event: E_contra, now: Now) -> Iterable[Effect]:
        """Take one event; yield what must be done, in order. Must be iterated to its end, before the next event."""
        ...

    def next_deadline(self) -> MonoMs | None:
        """Return when `TimePassed` is wanted next."""
        ...
