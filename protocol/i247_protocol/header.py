"""Write and read the only part of an envelope that a hub understands.

It names recipients, suite, priority and the minute of expiry, and nothing else: no sender, no type, no
exact time. The exact bytes are kept, since everything sealed is bound to their hash. docs/protocol.md 5.1.
"""

from __future__ import annotations

from collections.abc import Sized
from functools import lru_cache
from typing import Final, NamedTuple

import msgspec

from i247_protocol import codec
from i247_protocol.errors import PeerFault
from i247_protocol.limits import BODY_BYTES_MAX, HEADER_BYTES_MAX, RECIPIENTS_MAX
from i247_protocol.names import MINUTE_MS, WALL_MS_MAX, KeyId, MemberCode, Minutes, parse_member
from i247_protocol.priority import Priority
from i247_protocol.reasons import Reason

HEADERS_KEPT: Final = 1024


class Wrap(NamedTuple):
    """One recipient's sealed copy of the content key."""

    member: MemberCode
    kid: KeyId
    sealed: bytes


class Envelope(NamedTuple):
    """The three parts of a message as it travels, each kept as the exact bytes."""

    header: bytes
    body: bytes
    wraps: tuple[Wrap, ...]


class Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What hubs see of an envelope."""

    v: int
    suite: int
    to: tuple[str, ...]
    kid: bytes | None
    prio: Priority
    exp: int

    @property
    def recipients(self) -> tuple[MemberCode, ...]:
        """The members that it is for, sorted."""
        return tuple(MemberCode(code) for code in self.to)

    @property
    def expires(self) -> Minutes:
        """The minute at which nobody delivers or accepts it any more."""
        return Minutes(self.exp)


def encode_header(to: tuple[MemberCode, ...], kid: KeyId | None, prio: Priority, exp: Minutes) -> bytes:
    """Return a header's bytes; `kid` is given if and only if there is one recipient."""
    return codec.encode(Header(v=VERSION, suite=SUITE_1, to=tuple(sorted(to)), kid=kid, prio=prio, exp=exp))


@lru_cache(HEADERS_KEPT)
def parse_header(data: bytes) -> Header:
    """Return the header in `data`; raise PeerFault when it breaks a rule.

    Remembered, since all messages to one key at one priority within a minute have the same header.
    """
    header: Header = codec.decode_as(Header, data, bytes_max=HEADER_BYTES_MAX)
    if header.v != VERSION:
        raise PeerFault(Reason.UNKNOWN_VERSION)
    if header.suite != SUITE_1:
        raise PeerFault(Reason.UNKNOWN_SUITE)
    if not 1 <= len(header.to) <= RECIPIENTS_MAX:
        raise PeerFault(Reason.MALFORMED)
    if (header.kid is None) is (len(header.to) == 1):
        raise PeerFault(Reason.MALFORMED)
    if header.kid is not None and len(header.kid) != KEY_ID_BYTES:
        raise PeerFault(Reason.MALFORMED)
    before = ""
    for code in header.to:
        if parse_member(code) <= before:
            raise PeerFault(Reason.MALFORMED)
        before = code
    if not 0 <= header.exp <= EXPIRY_MINUTES_MAX:
        raise PeerFault(Reason.MALFORMED)
    return header


def check_sizes(header: bytes, body: bytes, wraps: Sized) -> None:
    """Raise PeerFault when a part of an envelope is larger than any sender may make it."""
    if len(header) > HEADER_BYTES_MAX or len(body) > BODY_BYTES_MAX or len(wraps) > RECIPIENTS_MAX:
        raise PeerFault(Reason.TOO_LARGE)


VERSION: Final = 1
SUITE_1: Final = 1
KEY_ID_BYTES: Final = 8
EXPIRY_MINUTES_MAX: Final = WALL_MS_MAX // MINUTE_MS
