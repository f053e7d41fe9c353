"""Put a question to the Assembly, cast a ballot, and count what was cast.

A ballot names its decision by hash and is signed by a member's identity key, so anybody can count. The
signature on a decision itself only says who proposed it. docs/protocol.md 8.5.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

import msgspec

from i247_keys import contexts
from i247_keys.bounds import DECISION_LIFETIME_MS, require, require_bytes32, require_lifetime
from i247_keys.charter import Kind, Rule
from i247_keys.documents import Document, tally
from i247_keys.roster import Directory, State
from i247_protocol import codec
from i247_protocol.digests import key_id
from i247_protocol.errors import PeerFault
from i247_protocol.limits import DOCUMENT_BYTES_MAX
from i247_protocol.names import MemberCode, WallMs, parse_member
from i247_protocol.reasons import Reason


class Vote(StrEnum):
    """What a ballot says."""

    YES = "yes"
    NO = "no"
    ABSTAIN = "abstain"


class Decision(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The payload of a decision document; times are ms.

    `subject` is the member concerned, nil for a charter. `fixes` is the hash of the payload that it settles:
    the request of a member to admit or rekey, or the charter; nil otherwise.
    """

    kind: Kind
    subject: MemberCode | None
    fixes: bytes | None
    charter: int
    iat: int
    exp: int


class Ballot(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The payload of a ballot document; `decision` is the hash of the decision's payload."""

    decision: bytes
    member: MemberCode
    vote: Vote


@dataclass(frozen=True, slots=True)
class Outcome:
    """How the ballots fell, and whether that carries the decision."""

    yes: int
    no: int
    abstained: int
    entitled: int
    carried: bool

    def require(self) -> None:
        """Raise PeerFault unless the decision is carried."""
        if not self.carried:
            raise PeerFault(Reason.NOT_JUSTIFIED)


def encode_decision(decision: Decision) -> bytes:
    """Return the payload to vote on; raise PeerFault when nobody would take it."""
    _check(decision)
    return codec.encode(decision)


def parse_decision(payload: bytes) -> Decision:
    """Return the decision in `payload`; raise PeerFault when it breaks a rule that holds for every decision."""
    decision: Decision = codec.decode_as(Decision, payload, bytes_max=DOCUMENT_BYTES_MAX)
    _check(decision)
    return decision


def parse_ballot(payload: bytes) -> Ballot:
    """Return the ballot in `payload`; raise PeerFault when it is none."""
    ballot: Ballot = codec.decode_as(Ballot, payload, bytes_max=DOCUMENT_BYTES_MAX)
    parse_member(ballot.member)
    require_bytes32(ballot.decision)
    return ballot


def tally_ballots(
    decision: Document, ballots: Iterable[Document], directory: Directory, rule: Rule, wall: WallMs
) -> Outcome:
    """Count the ballots of members that are active at `wall`, one a member.

    A ballot for another decision, of a stranger or with a wrong signature counts nothing and harms nothing. A
    member that signed two different votes has cast none.
    """
    cast: dict[MemberCode, Vote | None] = {}
    for document in ballots:
        ballot = _valid_ballot(document, decision.hash, directory, wall)
        if ballot is not None:
            same = cast.setdefault(ballot.member, ballot.vote) is ballot.vote
            cast[ballot.member] = ballot.vote if same else None
    votes = list(cast.values())
    entitled = sum(1 for row in directory.members if row.state_at(wall) is State.ACTIVE)
    yes, no, abstained = (votes.count(vote) for vote in (Vote.YES, Vote.NO, Vote.ABSTAIN))
    carried = (
        yes > no
        and yes * rule.yes[1] >= (yes + no) * rule.yes[0]
        and (yes + no + abstained) * rule.quorum[1] >= entitled * rule.quorum[0]
    )
    return Outcome(yes, no, abstained, entitled, carried)


def _valid_ballot(document: Document, decision_hash: bytes, directory: Directory, wall: WallMs) -> Ballot | None:
    try:
        ballot = parse_ballot(document.p)
    except PeerFault:
        return None
    if ballot.decision != decision_hash or directory.state_of(ballot.member, wall) is not State.ACTIVE:
        return None
    keys = {key_id(public): public for public in directory.verifying_keys(ballot.member, wall)}
    return ballot if tally(document, contexts.BALLOT, keys, 1).reached else None


def _check(decision: Decision) -> None:
    require((decision.subject is None) is (decision.kind is Kind.CHARTER))
    if decision.subject is not None:
        parse_member(decision.subject)
    require((decision.fixes is not None) is (decision.kind in _FIXING))
    require_bytes32(decision.fixes)
    require(decision.charter >= 1)
    require_lifetime(decision.iat, decision.exp, DECISION_LIFETIME_MS)


_FIXING = frozenset({Kind.ADMIT, Kind.REKEY, Kind.CHARTER})
