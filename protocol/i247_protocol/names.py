"""Name members, hubs, messages and instants by types that cannot be mixed up.

Each is a plain `str`, `bytes` or `int` at run time, so it costs nothing on the wire or in a table;
the parse functions are the only place where outside text becomes a name. docs/protocol.md 2.
"""

from __future__ import annotations

import re
from typing import Annotated, Final, NamedTuple, NewType

from msgspec import Meta

from i247_protocol.errors import PeerFault
from i247_protocol.reasons import Reason

MemberCode = NewType("MemberCode", str)
"""ISO 3166 alpha-2 code of a member, or `XP` for the Secretariat."""
HubName = NewType("HubName", str)
"""A hub's short name: a lower-case letter, then letters, digits and hyphens, 31 at most."""
MessageId = NewType("MessageId", bytes)
"""16 random bytes, chosen by the sender."""
EnvelopeId = NewType("EnvelopeId", bytes)
"""32 bytes: what a hub calls an envelope."""
EvidenceId = NewType("EvidenceId", bytes)
"""32 bytes: what both ends call a signed statement."""
KeyId = NewType("KeyId", bytes)
"""8 bytes: the short name of a public key."""
SessionId = NewType("SessionId", bytes)
"""8 random bytes, chosen by the side that dials."""

WallMs = NewType("WallMs", int)
"""Milliseconds since 1970-01-01 UTC; for expiry and signatures."""
MonoMs = NewType("MonoMs", int)
"""Milliseconds on a clock that never steps; for timers."""
Minutes = NewType("Minutes", int)
"""Whole minutes since 1970-01-01 UTC; the only expiry that a hub sees."""


class Now(NamedTuple):
    """One reading of both clocks."""

    mono: MonoMs
    wall: WallMs


WALL_MS_MAX: Final = 2**32 * 60_000
Instant = Annotated[int, Meta(ge=0, le=WALL_MS_MAX)]
"""A wall reading in a peer's bytes: bounded, so that it fits every clock and every store."""
Ordinal = Annotated[int, Meta(ge=0, le=2**53)]
"""A count in a peer's bytes, bounded likewise."""

SECRETARIAT: Final = MemberCode("XP")
MINUTE_MS: Final = 60_000
DAY_MS: Final = 86_400_000


def parse_member(text: str) -> MemberCode:
    """Return `text` as a member code; raise PeerFault when it is not two capital letters, or one and a digit."""
    if _MEMBER.fullmatch(text) is None:
        raise PeerFault(Reason.MALFORMED)
    return MemberCode(text)


def parse_hub(text: str) -> HubName:
    """Return `text` as a hub's name; raise PeerFault when it is not one."""
    if _HUB.fullmatch(text) is None:
        raise PeerFault(Reason.MALFORMED)
    return HubName(text)


def expiry_minutes(wall: WallMs) -> Minutes:
    """Round an instant up to the whole minute in which it has surely passed."""
    return Minutes(-(-wall // MINUTE_MS))


def expiry_wall(minutes: Minutes) -> WallMs:
    """Return the instant at which `minutes` begins."""
    return WallMs(minutes * MINUTE_MS)


_MEMBER: Final = re.compile(r"[A-Z][A-Z0-9]|[0-9][A-Z]")  # a country's has letters alone; 1,196 in all
_HUB: Final = re.compile(r"[a-z][a-z0-9-]{0,30}")
