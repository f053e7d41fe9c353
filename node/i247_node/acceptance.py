"""Decide whether what came in is what it claims to be: from bytes to a verified statement.

Stages are types, and only the function that checks makes the next one: Parcel → Opened → Verified. The
order of the checks is that of docs/protocol.md 6.4; nothing is remembered here, so once-only and policy
are for those who own them. Cryptographic failure gives one reason and no detail.
"""

from __future__ import annotations

from dataclasses import dataclass

from i247_keys import contexts
from i247_keys.cipher import SODIUM, Cipher
from i247_keys.keyring import Keyring
from i247_keys.opening import open_envelope
from i247_keys.roster import Directory, State
from i247_protocol.digests import envelope_id, evidence_id
from i247_protocol.errors import PeerFault
from i247_protocol.frames import Parcel
from i247_protocol.header import Header, check_sizes, parse_header
from i247_protocol.limits import LIFETIME_MS_MAX, SKEW_MS
from i247_protocol.names import EnvelopeId, EvidenceId, MemberCode, WallMs, expiry_wall
from i247_protocol.reasons import Reason
from i247_protocol.statement import Statement, parse_statement


@dataclass(frozen=True, slots=True)
class Opened:
    """An envelope that was for us and could be opened; its statement is not believed yet."""

    envelope: EnvelopeId
    header: Header
    statement: Statement
    statement_bytes: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class Verified:
    """What a member in good standing, or one that is suspended, has truly said to us."""

    envelope: EnvelopeId
    statement: Statement
    statement_bytes: bytes
    signature: bytes
    sid: EvidenceId
    suspended: bool


def open_parcel(parcel: Parcel, me: MemberCode, keyring: Keyring, wall: WallMs, cipher: Cipher = SODIUM) -> Opened:
    """Return what `parcel` holds; raise PeerFault when sizes, time, key or shape are wrong."""
    check_sizes(parcel.header, parcel.body, parcel.wraps)
    header = parse_header(parcel.header)
    if me not in header.to:
        raise PeerFault(Reason.NOT_ADDRESSED)
    expires = expiry_wall(header.expires)
    if expires <= wall:
        raise PeerFault(Reason.EXPIRED)
    if expires > wall + LIFETIME_MS_MAX + SKEW_MS:
        raise PeerFault(Reason.LIFETIME_TOO_LONG)
    wrap = next((wrap for wrap in parcel.envelope.wraps if wrap.member == me), None)
    inner = open_envelope(parcel.header, header, parcel.body, wrap, keyring, cipher)
    statement = parse_statement(inner.statement)
    return Opened(envelope_id(parcel.header, parcel.body), header, statement, inner.statement, inner.signature)


def names_newer_roster(opened: Opened, directory: Directory) -> bool:
    """Whether the sender knew a roster that this node does not hold yet."""
    return opened.statement.dir[0] > directory.version


def verify_opened(
    opened: Opened, me: MemberCode, directory: Directory, wall: WallMs, cipher: Cipher = SODIUM
) -> Verified:
    """Return a statement that its author has truly signed for us; raise PeerFault otherwise.

    Sender and key are judged by the newest roster held here; the one that the statement names is evidence,
    never authority.
    """
    statement = opened.statement
    state = directory.state_of(statement.author, wall)
    if state is None or state is State.LEFT:
        raise PeerFault(Reason.UNKNOWN_MEMBER)
    _require_signed(opened, directory, wall, cipher)
    _require_same(opened, me)
    if statement.iat > wall + SKEW_MS:
        raise PeerFault(Reason.FUTURE_DATED)
    if expiry_wall(statement.expires) - statement.iat > LIFETIME_MS_MAX:
        raise PeerFault(Reason.LIFETIME_TOO_LONG)
    return Verified(
        envelope=opened.envelope,
        statement=statement,
        statement_bytes=opened.statement_bytes,
        signature=opened.signature,
        sid=evidence_id(opened.statement_bytes, opened.signature),
        suspended=state is State.SUSPENDED,
    )


def _require_signed(opened: Opened, directory: Directory, wall: WallMs, cipher: Cipher) -> None:
    for public in directory.verifying_keys(opened.statement.author, wall):
        try:
            cipher.verify(public, contexts.STATEMENT, opened.statement_bytes, opened.signature)
        except PeerFault:
            continue
        return
    raise PeerFault(Reason.BAD_SIGNATURE)


def _require_same(opened: Opened, me: MemberCode) -> None:
    """Refuse a statement that was put into an envelope of another purpose than its author's."""
    header, statement = opened.header, opened.statement
    # One recipient of many may get the statement again in an envelope of its own, so `to` may be narrower.
    addressed = me in statement.to and set(header.to) <= set(statement.to)
    if not addressed or header.prio is not statement.prio or header.exp != statement.exp:
        raise PeerFault(Reason.HEADER_MISMATCH)
    if statement.author in statement.to:
        raise PeerFault(Reason.HEADER_MISMATCH)
