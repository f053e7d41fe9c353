"""Judge, without any network, what became of one message: from what its author, its hubs and its recipients signed.

An evidence file holds the statement, the directory's whole log, proofs of custody, words of return, and what its
recipients answered. Whoever has the pin can follow it. A hub that took an envelope, and behind which nobody signed
for it, answers for it; a proof with more hops clears whoever handed on. That an envelope held this statement is its
author's word: nobody else could read it. docs/protocol.md 9.9.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Final

import msgspec

from i247_keys import contexts
from i247_keys.identity import verify
from i247_keys.returned import verify_bounce
from i247_keys.roster import Directory
from i247_keys.trust import Trust
from i247_keys.vouching import verify_proof
from i247_protocol import codec
from i247_protocol.bodies import parse_body
from i247_protocol.digests import evidence_id
from i247_protocol.errors import PeerFault
from i247_protocol.frames import Bounce, Proof
from i247_protocol.limits import NETWORK_FILE_BYTES_MAX, RECIPIENTS_MAX
from i247_protocol.names import EvidenceId, MemberCode, WallMs, expiry_wall
from i247_protocol.reasons import Reason
from i247_protocol.receipts import Outcome, Receipt
from i247_protocol.statement import Statement, parse_statement


class Evidence(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All that its author holds about one message; `network` is a network file, `answers` are signed statements."""

    v: int
    network: bytes
    statement: bytes
    signature: bytes
    proofs: tuple[Proof, ...]
    words: tuple[Bounce, ...]
    answers: tuple[tuple[bytes, bytes], ...]


class End(StrEnum):
    """How far a message is known to have come for one recipient."""

    ACKNOWLEDGED = "acknowledged"
    REFUSED = "refused"
    TAKEN = "taken"
    RETURNED = "returned"
    HELD = "held"
    LOST = "lost"
    UNKNOWN = "unknown"


class Step(msgspec.Struct, frozen=True):
    """One place that signed for an envelope, at `at` (ms) by its own clock, after so many hubs."""

    envelope: bytes
    hops: int
    by: str
    at: WallMs


class Course(msgspec.Struct, frozen=True):
    """What is proven for one recipient: the places in order, how it ended, and by whose word, why and when.

    `by` acknowledged, refused, took or returned it. `answerable` are the hubs behind which nobody has signed: for a
    message that is HELD they answer, and when it is LOST they are accused.
    """

    recipient: MemberCode
    end: End
    by: str
    answerable: tuple[str, ...]
    reason: str
    at: WallMs | None
    steps: tuple[Step, ...]


class Judgement(msgspec.Struct, frozen=True):
    """What an evidence file proves."""

    sid: EvidenceId
    author: MemberCode
    issued: WallMs
    courses: tuple[Course, ...]

    @property
    def accused(self) -> tuple[str, ...]:
        """The hubs that took the message and can show neither custody, return nor expiry behind them."""
        lost = [course for course in self.courses if course.end is End.LOST]
        return tuple(sorted({hub for course in lost for hub in course.answerable}))


def encode_evidence(evidence: Evidence) -> bytes:
    """Return the bytes of an evidence file."""
    return codec.encode(evidence)


def parse_evidence(data: bytes) -> Evidence:
    """Return the evidence in `data`; raise PeerFault when it is none."""
    evidence = codec.decode_as(Evidence, data, bytes_max=EVIDENCE_BYTES_MAX)
    if evidence.v != VERSION:
        raise PeerFault(Reason.UNKNOWN_VERSION)
    return evidence


def judge(evidence: Evidence, pin: bytes, wall: WallMs) -> Judgement:
    """Return what `evidence` proves at `wall`; raise PeerFault when anything in it is not signed as it should be."""
    directory = Trust.from_bytes(pin, evidence.network, wall).directory
    statement = _signed_statement(evidence.statement, evidence.signature, directory)
    sid = evidence_id(evidence.statement, evidence.signature)
    for proof in evidence.proofs:
        verify_proof(proof, directory)
    for word in evidence.words:
        verify_bounce(word, directory, WallMs(word.at))
    answers = [_answer(one, sid, statement, directory) for one in evidence.answers]
    has_expired = expiry_wall(statement.expires) <= wall
    courses = tuple(
        _course(member, evidence, [one for one in answers if one.author == member], has_expired=has_expired)
        for member in statement.recipients
    )
    return Judgement(sid, statement.author, statement.issued, courses)


def open_ends(proofs: Iterable[Proof], words: Iterable[Bounce]) -> list[Proof]:
    """Return the last proof of each envelope and recipient behind which nobody has signed anything."""
    last: dict[tuple[bytes, str], Proof] = {}
    places: dict[tuple[bytes, str], set[str]] = {}
    for proof in sorted(proofs, key=lambda proof: proof.hops):
        way = proof.envelope, proof.recipient
        last[way] = proof
        places.setdefault(way, set()).add(proof.by)
    # A word counts from a place on the way alone, so that no other hub can clear it.
    told = {(word.envelope, word.recipient) for word in words if word.hub in places.get(_way(word), ())}
    return [proof for way, proof in last.items() if proof.by != proof.recipient and way not in told]


def _way(word: Bounce) -> tuple[bytes, str]:
    return word.envelope, word.recipient


def _signed_statement(data: bytes, signature: bytes, directory: Directory) -> Statement:
    statement = parse_statement(data)
    for public in directory.verifying_keys(statement.author, statement.issued):
        try:
            verify(public, contexts.STATEMENT, data, signature)
        except PeerFault:
            continue
        return statement
    raise PeerFault(Reason.BAD_SIGNATURE)


def _answer(answer: tuple[bytes, bytes], sid: EvidenceId, asked: Statement, directory: Directory) -> Statement:
    statement = _signed_statement(*answer, directory)
    if sid not in statement.answers or statement.author not in asked.recipients:
        raise PeerFault(Reason.MALFORMED)
    return statement


def _course(member: MemberCode, evidence: Evidence, answers: Iterable[Statement], *, has_expired: bool) -> Course:
    proofs = [proof for proof in evidence.proofs if proof.recipient == member]
    words = [word for word in evidence.words if word.recipient == member]
    steps = tuple(
        Step(proof.envelope, proof.hops, proof.by, WallMs(proof.voucher.at))
        for proof in sorted(proofs, key=lambda proof: (proof.envelope, proof.hops))
    )
    for answer in answers:
        reason = _refusal(answer)
        end = End.ACKNOWLEDGED if reason is None else End.REFUSED
        return Course(member, end, member, (), reason or "", answer.issued, steps)
    for step in steps:
        if step.by == member:
            return Course(member, End.TAKEN, member, (), "", step.at, steps)
    ends = open_ends(proofs, words)
    if ends:
        answerable = tuple(sorted({proof.by for proof in ends}))
        at = WallMs(max(proof.voucher.at for proof in ends))
        return Course(member, End.LOST if has_expired else End.HELD, "", answerable, "", at, steps)
    if words:
        word = max(words, key=lambda word: word.at)
        return Course(member, End.RETURNED, word.hub, (), word.reason, WallMs(word.at), steps)
    return Course(member, End.UNKNOWN, "", (), "", None, steps)


def _refusal(answer: Statement) -> str | None:
    """Return why a receipt refuses, or None for any other answer."""
    body = parse_body(answer)
    if isinstance(body, Receipt) and body.outcome is Outcome.REFUSED:
        return body.reason or ""
    return None


VERSION: Final = 1
EVIDENCE_BYTES_MAX: Final = NETWORK_FILE_BYTES_MAX + RECIPIENTS_MAX * 64 * 1024
