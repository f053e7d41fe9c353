"""Targets: what shows others how a message went. Proofs of custody and evidence files, signed whatever they say."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
from tests.fuzz import corpus
from tests.fuzz.target import Target
from tests.keys.repository import key

from i247_keys import contexts
from i247_keys.evidence import VERSION, Evidence, encode_evidence, judge, parse_evidence
from i247_keys.returned import returned_payload
from i247_keys.vouching import Proofs, encode_proof, parse_proof, root_of, verify_proof, vouch
from i247_protocol import codec
from i247_protocol.digests import evidence_id
from i247_protocol.errors import PeerFault
from i247_protocol.frames import Bounce, Custody, Proof, Taken
from i247_protocol.names import EvidenceId, WallMs
from i247_protocol.statement import parse_statement


def targets() -> Iterator[Target]:
    """Yield them all."""
    yield Target("proof", _proof, lambda: [encode_proof(one) for one in _proofs()])
    yield Target("evidence", _evidence, _evidence_seeds, bytes_max=16_384)


def _proof(data: bytes) -> bytes:
    proof = parse_proof(data)
    verify_proof(_signed(proof), corpus.history().founded.directory)
    return encode_proof(proof)


def _evidence(data: bytes) -> bytes:
    """Judge an evidence file of which every signature is true: what stands under them may be anything."""
    evidence = parse_evidence(data)
    signature = key("AA").sign(contexts.STATEMENT, evidence.statement)
    sid = evidence_id(evidence.statement, signature)
    signed = msgspec.structs.replace(
        evidence,
        signature=signature,
        proofs=tuple(map(_signed, evidence.proofs)),
        words=tuple(map(_said, evidence.words)),
        answers=tuple(_answered(statement, sid) for statement, _ in evidence.answers),
    )
    judge(signed, corpus.history().repository.pin, WallMs(corpus.history().repository.wall))
    return encode_evidence(evidence)


def _signed(proof: Proof) -> Proof:
    voucher = vouch(proof.by, key(proof.by), WallMs(proof.voucher.at), proof.voucher.roots)
    return proof._replace(voucher=voucher)


def _said(word: Bounce) -> Bounce:
    payload = returned_payload(word.envelope, word.recipient, word.reason, word.at, word.hub)
    return word._replace(signature=key(word.hub).sign(contexts.RETURNED, payload))


def _answered(statement: bytes, sid: EvidenceId) -> tuple[bytes, bytes]:
    """Return an answer that names the statement asked about, if it is one at all."""
    try:
        parse_statement(statement)
        statement = codec.encode(codec.decode(statement, bytes_max=1 << 20) | {"re": [sid]})
    except PeerFault:
        pass
    return statement, key("BB").sign(contexts.STATEMENT, statement)


def _proofs() -> list[Proof]:
    taken = (Taken(ENVELOPE, 0, ("BB", "CC")), Taken(bytes(32), 1, ("BB",)))
    custody = Custody(bytes(8), taken, vouch("hub-1", key("hub-1"), WallMs(1), [root_of(taken)]))
    found = Proofs(custody, "hub-1", corpus.history().founded.directory, WallMs(1))
    return [found.of(ENVELOPE, "BB"), found.of(bytes(32), "BB")]


def _evidence_seeds() -> list[bytes]:
    wall = corpus.history().repository.wall
    good = corpus.statement_seeds()[0]
    value = codec.decode(good, bytes_max=1 << 20) | {"iat": wall, "exp": wall // 60_000 + 60, "dir": [1, b""]}
    asked = codec.encode(value | {"from": "AA", "to": ["BB", "CC"]})
    answer = codec.encode(value | {"from": "BB", "to": ["AA"], "act": "receipt", "body": RECEIPT})
    word = Bounce(ENVELOPE, "CC", "expired", wall, "hub-1", bytes(64))
    network = corpus.history().repository.trust.to_bytes()
    bare = Evidence(VERSION, network, asked, bytes(64), (), (), ())
    full = msgspec.structs.replace(bare, proofs=tuple(_proofs()), words=(word,), answers=((answer, bytes(64)),))
    return [encode_evidence(bare), encode_evidence(full)]


ENVELOPE = bytes(range(32))
RECEIPT = codec.encode({"outcome": "delivered", "reason": None})
