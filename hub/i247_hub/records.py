"""List what a hub saves, and what it may ask of what it saved.

Saved: what is held and for whom, what was handed on and to whom, words of return that are owed, keycards,
the directory. Never saved: connections, credit, order of turns. The store is behind these types alone, so
nothing above assumes SQLite or one process. docs/protocol.md 9.5.
"""

from __future__ import annotations

from collections.abc import Sequence, Sized
from typing import NamedTuple, Protocol

import msgspec

from i247_protocol.frames import Bounce
from i247_protocol.names import EnvelopeId, HubName, MemberCode, Minutes, WallMs
from i247_protocol.priority import Priority


class Hop(NamedTuple):
    """The next place of an envelope: a member that is home here, or another hub; one of the two is None."""

    member: MemberCode | None
    hub: HubName | None

    @property
    def text(self) -> str:
        """The name of the member or hub; the two never look alike."""
        return str(self.member or self.hub)


def hop_named(text: str) -> Hop:
    """Return the place with a name: members have capital letters alone, hubs begin with a small one."""
    return Hop(MemberCode(text), None) if text.isupper() else Hop(None, HubName(text))


class Held(NamedTuple):
    """One row of custody: an envelope on its way to one next place.

    `seq` grows with each row of this store and is the order of delivery within one priority; `source` is who
    gave it (a member's code or a hub's name) and goes away with the row; `wraps` are those of `recipients` only.
    """

    seq: int
    hop: Hop
    envelope: EnvelopeId
    recipients: tuple[MemberCode, ...]
    prio: Priority
    exp: Minutes
    hops: int
    source: str
    header: bytes
    body: bytes
    wraps: tuple[tuple[str, bytes, bytes], ...]
    size: int
    """Bytes that count against credit and room, those of header and body also where they were left out."""


def size_of(header: bytes, body: bytes, wraps: Sized) -> int:
    """Return the bytes for which a row counts."""
    return len(header) + len(body) + 100 * len(wraps)


class Hold(msgspec.Struct, frozen=True):
    """Save one envelope and its rows; the header and body, the same in all of them, are stored once.

    `at` is for who looks into the store: nothing is decided by it.
    """

    rows: tuple[Held, ...]
    at: WallMs


class Forget(msgspec.Struct, frozen=True):
    """Remove held rows; a body goes with the last row that needs it."""

    seqs: tuple[int, ...]


class Passed(NamedTuple):
    """One envelope that has left for one recipient."""

    envelope: EnvelopeId
    recipient: MemberCode
    exp: Minutes


class HandedOn(msgspec.Struct, frozen=True):
    """Remember, for 30 days beyond their `exp`, that the place `hop` took envelopes, and what it signed for them.

    `vouched` is saved once for all of them: each one's proof follows from it when somebody asks.
    """

    hop: str
    at: WallMs
    vouched: bytes
    passed: tuple[Passed, ...]


class Ended(msgspec.Struct, frozen=True):
    """Remember, for 30 days beyond `exp`, why an envelope that was held here went no further for a recipient."""

    envelope: EnvelopeId
    recipient: MemberCode
    reason: str
    at: WallMs
    exp: Minutes


class Owe(msgspec.Struct, frozen=True):
    """Save a word of return that `to` (a member's code or a hub's name) must be told; dropped after `exp`."""

    to: str
    bounce: Bounce
    exp: Minutes


class Settle(msgspec.Struct, frozen=True):
    """Forget a word of return: `to` has it."""

    to: str
    envelope: EnvelopeId
    recipient: MemberCode


class KeepCard(msgspec.Struct, frozen=True):
    """Save the newest keycard of a member, replacing the one before."""

    member: MemberCode
    card: bytes


class KeepDirectory(msgspec.Struct, frozen=True):
    """Save the whole directory as this hub believes it."""

    data: bytes


class DropExpired(msgspec.Struct, frozen=True):
    """Remove owed words of return that expired at or before a minute, and what is remembered for 30 days more."""

    minute: Minutes


class Handing(NamedTuple):
    """Who took an envelope for a recipient, and what it signed for that and for others."""

    envelope: EnvelopeId
    recipient: MemberCode
    hop: str
    at: WallMs
    exp: Minutes
    vouched: bytes


Record = Hold | Forget | HandedOn | Ended | Owe | Settle | KeepCard | KeepDirectory | DropExpired


class Backlog(NamedTuple):
    """How many rows and bytes wait for one next place at one priority."""

    hop: Hop
    prio: Priority
    rows: int
    size: int


class Given(NamedTuple):
    """How many bytes of what one member or hub gave are held, by the sizes of its rows."""

    source: str
    size: int


class HubMemory(Protocol):
    """What a hub may ask of what it saved; answers include the open turn's records and come at once."""

    def last_seq(self) -> int:
        """Return the highest `seq` ever used, or 0."""
        ...

    def backlog(self) -> Sequence[Backlog]:
        """Return what waits, by next place and priority."""
        ...

    def given(self) -> Sequence[Given]:
        """Return what is held, by who gave it, in order of names."""
        ...

    def page(self, hop: Hop, prio: Priority, after: int, rows: int) -> Sequence[Held]:
        """Return at most `rows` held rows with `seq` > `after`, in order."""
        ...

    def held(self, envelope: EnvelopeId) -> Sequence[Held]:
        """Return the rows of one envelope, in order (bodies may be left empty)."""
        ...

    def expired(self, minute: Minutes, limit: int) -> Sequence[Held]:
        """Return at most `limit` held rows that expired at or before a minute (bodies may be left empty)."""
        ...

    def handed_on(self, envelope: EnvelopeId, recipient: MemberCode) -> Handing | None:
        """Return who took this envelope for this recipient, the newest, or None."""
        ...

    def ended(self, envelope: EnvelopeId, recipient: MemberCode) -> Ended | None:
        """Return why this envelope went no further for this recipient, the newest, or None."""
        ...

    def owed(self, to: str, limit: int) -> Sequence[Bounce]:
        """Return at most `limit` words of return that `to` has not taken."""
        ...

    def cards(self) -> Sequence[bytes]:
        """Return the newest keycard of each member that has one, by member code."""
        ...

    def directory(self) -> bytes | None:
        """Return the directory as last saved, or None."""
        ...

    def used_bytes(self) -> int:
        """Return the bytes that held rows and bodies take, by their sizes."""
        ...
