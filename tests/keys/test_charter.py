"""Charters that anybody would take, and those that nobody does; ballots counted under their rules."""

from dataclasses import replace
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.keys.repository import CODES, Repository, key

from i247_keys.charter import Kind, Rule, encode_charter, parse_charter
from i247_keys.decision import Decision, Vote, encode_decision, parse_ballot, parse_decision, tally_ballots
from i247_keys.documents import Document, parse_document
from i247_protocol.errors import PeerFault
from i247_protocol.limits import CHARTER_LIFETIME_MS
from i247_protocol.names import MemberCode
from i247_protocol.reasons import Reason

REPO = Repository()
CHARTER = parse_charter(REPO.charter.p)
RULES = CHARTER.rules


def with_rule(**changed: Any) -> dict[Kind, Rule]:
    return {**RULES, Kind.EXPEL: msgspec.structs.replace(RULES[Kind.EXPEL], **changed)}


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"keys": (CHARTER.keys[0], *CHARTER.keys[:2])}, Reason.MALFORMED),
        ({"keys": CHARTER.keys[:2]}, Reason.MALFORMED),
        ({"keys": ()}, Reason.MALFORMED),
        ({"keys": (*CHARTER.keys, b"short")}, Reason.MALFORMED),
        ({"threshold": 0}, Reason.MALFORMED),
        ({"threshold": 3}, Reason.MALFORMED),
        ({"pulse_key": CHARTER.keys[1]}, Reason.MALFORMED),
        ({"roster": None}, Reason.MALFORMED),
        ({"previous": b"\0" * 32}, Reason.MALFORMED),
        ({"version": 0}, Reason.MALFORMED),
        ({"version": 2}, Reason.MALFORMED),
        ({"rules": {kind: rule for kind, rule in RULES.items() if kind is not Kind.EXPEL}}, Reason.MALFORMED),
        ({"rules": with_rule(yes=(2, 1))}, Reason.MALFORMED),
        ({"rules": with_rule(yes=(0, 1))}, Reason.MALFORMED),
        ({"rules": with_rule(quorum=(1, 0))}, Reason.MALFORMED),
        ({"witnesses": -1}, Reason.MALFORMED),
        ({"suite_min": 0}, Reason.MALFORMED),
        ({"exp": CHARTER.iat}, Reason.MALFORMED),
        ({"iat": -1}, Reason.MALFORMED),
        ({"exp": CHARTER.iat + CHARTER_LIFETIME_MS + 1}, Reason.LIFETIME_TOO_LONG),
    ],
    ids=str,
)
def test_what_no_charter_may_say(changed: dict[str, Any], reason: Reason) -> None:
    with pytest.raises(PeerFault) as fault:
        encode_charter(msgspec.structs.replace(CHARTER, **changed))
    # Two keys, threshold two: the very keys are fine, but k must be below n.
    assert fault.value.reason is reason


def test_a_charter_comes_back_as_it_was() -> None:
    assert encode_charter(parse_charter(REPO.charter.p)) == REPO.charter.p


# --- decisions and ballots ---

PROPOSAL = parse_document(REPO.decided(Kind.EXPEL, "AA", yes=()).decision)


def ballot(code: str, vote: Vote, signer: str | None = None) -> Document:
    return parse_document(REPO.ballot(PROPOSAL, code, vote, signer))


def cast(yes: int, no: int = 0, abstained: int = 0) -> list[Document]:
    votes = [Vote.YES] * yes + [Vote.NO] * no + [Vote.ABSTAIN] * abstained
    return [ballot(code, vote) for code, vote in zip(CODES, votes, strict=False)]


@pytest.mark.parametrize(
    ("ballots", "yes_of", "carried"),
    [
        ((2, 0, 0), (2, 3), False),
        ((3, 0, 0), (2, 3), True),
        ((2, 1, 0), (2, 3), True),
        ((3, 2, 0), (2, 3), False),
        ((4, 2, 0), (2, 3), True),
        ((3, 3, 0), (1, 2), False),
        ((3, 2, 1), (1, 2), True),
        ((1, 0, 2), (1, 2), True),
        ((0, 0, 6), (1, 2), False),
        ((6, 0, 0), (1, 1), True),
        ((5, 1, 0), (1, 1), False),
    ],
)
def test_fractions_and_quorum(ballots: tuple[int, int, int], yes_of: tuple[int, int], carried: bool) -> None:
    rule = Rule(yes=yes_of, quorum=(1, 2))
    outcome = tally_ballots(PROPOSAL, cast(*ballots), REPO.trust.directory, rule, REPO.wall)
    assert (outcome.yes, outcome.no, outcome.abstained) == ballots
    assert outcome.entitled == 6
    assert outcome.carried is carried


def test_ballots_that_count_nothing() -> None:
    other = parse_document(REPO.decided(Kind.EXPEL, "BB", yes=()).decision)
    void = [
        ballot("AA", Vote.YES, signer="BB"),
        ballot("QQ", Vote.YES),
        ballot("BB", Vote.YES),
        ballot("BB", Vote.NO),
        ballot("BB", Vote.YES),
        parse_document(REPO.ballot(other, "CC", Vote.YES)),
        Document(b"no ballot", []),
        ballot("DD", Vote.YES),
        ballot("DD", Vote.YES),
    ]
    outcome = tally_ballots(PROPOSAL, void, REPO.trust.directory, RULES[Kind.EXPEL], REPO.wall)
    assert (outcome.yes, outcome.no, outcome.abstained) == (1, 0, 0)


def test_a_suspended_member_has_no_vote() -> None:
    repo = Repository()
    repo.publish(suspend=("AA",))
    outcome = tally_ballots(PROPOSAL, cast(6), repo.trust.directory, RULES[Kind.EXPEL], repo.wall)
    assert (outcome.yes, outcome.entitled) == (5, 5)


DECISION = Decision(Kind.EXPEL, MemberCode("AA"), None, 1, 10, 20)


@pytest.mark.parametrize(
    "changed",
    [
        {"subject": None},
        {"subject": "France"},
        {"fixes": b"\0" * 32},
        {"kind": Kind.ADMIT},
        {"kind": Kind.REKEY, "fixes": b"short"},
        {"kind": Kind.CHARTER, "fixes": b"\0" * 32},
        {"charter": 0},
        {"exp": 10},
    ],
    ids=str,
)
def test_what_no_decision_may_say(changed: dict[str, Any]) -> None:
    with pytest.raises(PeerFault, match=Reason.MALFORMED):
        encode_decision(msgspec.structs.replace(DECISION, **changed))


@given(st.binary(max_size=200))
def test_any_bytes_are_the_peers_fault(data: bytes) -> None:
    for parse in (parse_charter, parse_decision, parse_ballot):
        with pytest.raises(PeerFault):
            parse(data)


def test_terms_are_checked_when_they_are_drafted() -> None:
    assert replace(REPO.terms, threshold=1).threshold == 1
    assert key("pulse").public == CHARTER.pulse_key
