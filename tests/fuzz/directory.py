"""Targets: the directory's documents. Each payload is signed by whoever must: no rule hides behind a signature."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import msgspec
from tests.fuzz import corpus
from tests.fuzz.target import Find, Target
from tests.keys.repository import CODES, key

from i247_keys import contexts
from i247_keys.cardfile import CardFile
from i247_keys.ceremony import step_document, with_signatures
from i247_keys.charter import parse_charter
from i247_keys.decision import parse_ballot, parse_decision, tally_ballots
from i247_keys.documents import Document, parse_document, sign_document
from i247_keys.keycard import parse_keycard, verify_keycard
from i247_keys.log import CharterStep, RosterStep, parse_network_file, parse_step
from i247_keys.network_file import extend, replay
from i247_keys.pulse import parse_pulse
from i247_keys.request import parse_hub_request, parse_request
from i247_keys.roster import parse_roster
from i247_keys.trust import Trust
from i247_protocol import codec
from i247_protocol.names import DAY_MS, WallMs


def targets() -> Iterator[Target]:
    """Yield them all."""
    made = corpus.history().repository
    for name, read, seeds in (
        ("charter", parse_charter, [made.charter.p]),
        ("roster", parse_roster, [made.roster.p]),
        ("pulse", parse_pulse, [made.pulse().p]),
        ("decision", parse_decision, [_payload(record.decision) for record in corpus.history().decisions]),
        ("ballot", parse_ballot, [_payload(corpus.history().decisions[0].ballots[0])]),
    ):
        yield Target(name, _again(read), _given(seeds))
    yield Target("document", lambda data: parse_document(data).to_bytes(), _given(corpus.cards()))
    yield Target("request", _request, _given([one.p for one in corpus.history().requests]))
    yield Target("hub-request", _hub_request, _given([one.p for one in corpus.history().hub_requests]))
    yield Target("ballots", _ballots, _given([codec.encode(one) for one in corpus.history().decisions]))
    yield Target("keycard", _keycard, _given([_payload(card) for card in corpus.cards()]))
    yield Target("network-file", _network_file, corpus.network_file_seeds, bytes_max=32_768)
    yield Target("step", _step, _given(corpus.history().next_steps), bytes_max=32_768)
    yield Target("signed-pulse", _signed_pulse, _given([made.pulse().p]))
    yield Target("signed-founding", _signed_founding, _given([codec.encode([made.charter.p, made.roster.p])]))


def _given(seeds: list[bytes]) -> Callable[[], list[bytes]]:
    return lambda: seeds


def _payload(document: bytes) -> bytes:
    return parse_document(document).p


def _again(read: Callable[[bytes], Any]) -> Callable[[bytes], bytes]:
    return lambda data: codec.encode(read(data))


def _request(payload: bytes) -> None:
    signers = [key(f"{code}{which}") for code in (*CODES, "GG") for which in ("", " next")]
    parse_request(sign_document(payload, contexts.REQUEST, signers))


def _hub_request(payload: bytes) -> None:
    parse_hub_request(sign_document(payload, contexts.REQUEST, [key("hub-3")]))


def _ballots(data: bytes) -> None:
    """Count ballots, each signed by its member: what they say may be anything."""
    record = codec.decode_as(_Record, data, bytes_max=1 << 20)
    decision = parse_document(record.decision)
    kind = parse_decision(decision.p).kind
    ballots = [parse_document(one).p for one in record.ballots]
    signed = [sign_document(one, contexts.BALLOT, [key(code) for code in CODES]) for one in ballots]
    trust = corpus.history().founded
    outcome = tally_ballots(decision, signed, trust.directory, trust.charter.rules[kind], _wall())
    if outcome.yes + outcome.no + outcome.abstained > min(len(signed), outcome.entitled):
        raise Find("more votes than ballots or members")


class _Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    decision: bytes
    ballots: tuple[bytes, ...]


def _keycard(payload: bytes) -> None:
    data = sign_document(payload, contexts.KEYCARD, [key("AA")]).to_bytes()
    card, document = parse_keycard(data)
    verify_keycard(document, key("AA").public)
    file = CardFile()
    file.offer(data, corpus.history().repository.trust.directory, _wall())
    card.sealing_key(_wall())


def _network_file(data: bytes) -> bytes:
    file = parse_network_file(data)
    for trust in (corpus.history().founded, corpus.history().repository.trust):
        _kept(extend(trust, data, _wall()))
    if file.founding is not None:
        _kept(replay(data, corpus.history().repository.pin, _wall()))
    return codec.encode(file)


def _step(data: bytes) -> None:
    """Take a step that the keyholders have signed whatever it says: only the rules stand in its way."""
    made = corpus.history().repository
    step = parse_step(data)
    if isinstance(step, RosterStep):
        document = sign_document(step_document(made.trust, step).p, contexts.ROSTER, made.secretariat)
        step = with_signatures(step, document)
    else:
        document = sign_document(parse_document(step.document).p, contexts.CHARTER, made.secretariat)
        step = CharterStep(document.to_bytes(), step.record)
    _kept(made.trust.with_step(step, _wall()))


def _signed_pulse(payload: bytes) -> None:
    made = corpus.history().repository
    _kept(made.trust.with_pulse(sign_document(payload, contexts.PULSE, [made.pulse_key]), _wall()))


def _signed_founding(data: bytes) -> None:
    made = corpus.history().repository
    charter, roster = codec.decode_as(tuple[bytes, bytes], data, bytes_max=1 << 20)
    parsed = parse_charter(charter)
    changed = codec.encode(msgspec.structs.replace(parsed, roster=Document(roster, []).hash))
    documents = (
        sign_document(changed, contexts.CHARTER, made.secretariat),
        sign_document(roster, contexts.ROSTER, made.secretariat),
    )
    _kept(Trust.founded(documents[0].hash, *documents, _wall()))


def _kept(trust: Trust) -> None:
    """Save what is believed and take it up again, as a start does: whatever was accepted must be readable for ever."""
    again = Trust.from_bytes(trust.pin, trust.to_bytes(), _wall())
    if (again.roster_hash, again.charter_hash) != (trust.roster_hash, trust.charter_hash):
        raise Find("what was believed is not what is read back")


def _wall() -> WallMs:
    return WallMs(corpus.history().repository.wall + DAY_MS)
