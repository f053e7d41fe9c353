"""Write and read what a member signs: who says what to whom, once, whatever envelopes carry it.

A statement knows nothing of its envelopes: sealing it again reuses its bytes and its signature, so
evidence, receipts and once-only are untouched. This module decides the shape; `acceptance` at the
node decides whether to believe it. docs/protocol.md 6.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import msgspec

from i247_protocol import codec
from i247_protocol.errors import PeerFault
from i247_protocol.handling import Handling, Purpose
from i247_protocol.header import EXPIRY_MINUTES_MAX
from i247_protocol.limits import RECIPIENTS_MAX, REFERENCES_MAX, STATEMENT_BYTES_MAX
from i247_protocol.names import EvidenceId, MemberCode, MessageId, Minutes, Ordinal, WallMs, parse_member
from i247_protocol.priority import Priority
from i247_protocol.reasons import Reason


class Act(StrEnum):
    """What kind of body a statement carries."""

    QUERY = "query"
    REPLY = "reply"
    NOTICE = "notice"
    DIFFUSION = "diffusion"
    CORRESPONDENCE = "correspondence"
    RECEIPT = "receipt"
    MISSING = "missing"
    ACCOUNT = "account"


class Statement(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"sender": "from"}):
    """What was said, exactly; see docs/protocol.md 6.1 for each field."""

    act: Act
    att: tuple[bytes, ...]
    basis: Purpose
    body: bytes
    conv: bytes
    dir: tuple[Ordinal, bytes]
    exp: int
    sender: str
    handling: Handling
    iat: int
    id: bytes
    prio: Priority
    re: tuple[bytes, ...]
    seq: tuple[Ordinal, Ordinal] | None
    to: tuple[str, ...]

    @property
    def author(self) -> MemberCode:
        """The member that claims to have said it."""
        return MemberCode(self.sender)

    @property
    def recipients(self) -> tuple[MemberCode, ...]:
        """The members that it is for, sorted."""
        return tuple(MemberCode(code) for code in self.to)

    @property
    def message_id(self) -> MessageId:
        """The sender's name for it."""
        return MessageId(self.id)

    @property
    def expires(self) -> Minutes:
        """The minute at which it means nothing any more."""
        return Minutes(self.exp)

    @property
    def issued(self) -> WallMs:
        """The sender's clock when it was said."""
        return WallMs(self.iat)

    @property
    def answers(self) -> tuple[EvidenceId, ...]:
        """The statements that it acknowledges."""
        return tuple(EvidenceId(sid) for sid in self.re)


def parse_statement(data: bytes) -> Statement:
    """Return the statement in `data`; raise PeerFault when its shape breaks a rule."""
    statement = codec.decode_as(Statement, data, bytes_max=STATEMENT_BYTES_MAX)
    right = (
        len(statement.id) == ID_BYTES
        and len(statement.conv) == ID_BYTES
        and len(statement.dir[1]) in (0, HASH_BYTES)
        and statement.dir[0] >= 1
        and len(statement.re) <= REFERENCES_MAX
        and all(len(sid) == HASH_BYTES for sid in statement.re)
        and not statement.att
        and 1 <= len(statement.to) <= RECIPIENTS_MAX
        and list(statement.to) == sorted(set(statement.to))
        and 0 <= statement.exp <= EXPIRY_MINUTES_MAX
        and 0 <= statement.iat <= EXPIRY_MINUTES_MAX * 60_000
    )
    if not right:
        raise PeerFault(Reason.MALFORMED)
    parse_member(statement.sender)
    for code in statement.to:
        parse_member(code)
    return statement


UNANSWERED: Final = frozenset({Act.RECEIPT, Act.MISSING, Act.ACCOUNT})
"""Acts that nobody acknowledges: they travel with control, and whoever needs one again asks again."""
ID_BYTES: Final = 16
HASH_BYTES: Final = 32
