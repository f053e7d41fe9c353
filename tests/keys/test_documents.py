"""Sign documents, and count who signed: each entitled key once, whatever else came along."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.keys.repository import key

from i247_keys import contexts
from i247_keys.documents import Document, Verdict, parse_document, sign_document, tally
from i247_protocol import codec
from i247_protocol.digests import document_hash
from i247_protocol.errors import PeerFault
from i247_protocol.limits import SIGNATURES_MAX
from i247_protocol.reasons import Reason

A, B, C, STRANGER = (key(name) for name in ("a", "b", "c", "stranger"))
ENTITLED = {one.key_id: one.public for one in (A, B, C)}
GOOD = sign_document(b"payload", contexts.ROSTER, [A, B])


def counted(document: Document, threshold: int = 2) -> Verdict:
    return tally(document, contexts.ROSTER, ENTITLED, threshold)


@pytest.mark.parametrize(
    ("document", "signed"),
    [
        (GOOD, (A.key_id, B.key_id)),
        (Document(b"payload", []), ()),
        (Document(b"payload", GOOD.s[:1] * 5), (A.key_id,)),
        (Document(b"payload", [(B.key_id, GOOD.s[0][1])]), ()),
        (Document(b"payload", [(A.key_id, bytes(64)), *GOOD.s]), (A.key_id, B.key_id)),
        (Document(b"payload", [(A.key_id, b"short"), GOOD.s[1]]), (B.key_id,)),
        (Document(b"payloaD", GOOD.s), ()),
        (sign_document(b"payload", contexts.CHARTER, [A, B]), ()),
        (sign_document(b"payload", contexts.ROSTER, [STRANGER, C]), (C.key_id,)),
    ],
    ids=["two", "none", "one five times", "another's name", "bad then good", "short", "payload", "context", "stranger"],
)
def test_each_entitled_key_counts_once(document: Document, signed: tuple[bytes, ...]) -> None:
    verdict = counted(document)
    assert verdict.signed == signed
    assert verdict.lacking == 2 - len(signed)
    assert verdict.reached is (len(signed) == 2)


def test_a_threshold_that_is_not_met_is_refused() -> None:
    counted(GOOD).require()
    with pytest.raises(PeerFault, match=Reason.TOO_FEW_SIGNATURES):
        counted(GOOD, threshold=3).require()


def test_signing_again_changes_nothing() -> None:
    assert GOOD.with_signature(contexts.ROSTER, A) == GOOD


def test_merging_joins_signatures_under_one_payload() -> None:
    other = sign_document(b"payload", contexts.ROSTER, [B, C])
    assert counted(GOOD.merged(other), 3).reached
    with pytest.raises(PeerFault, match=Reason.FORKED):
        GOOD.merged(sign_document(b"another", contexts.ROSTER, [C]))


def test_a_document_travels_as_it_is() -> None:
    assert parse_document(GOOD.to_bytes()) == GOOD
    assert GOOD.hash == document_hash(b"payload")


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ({"p": b"", "s": []}, Reason.TOO_LARGE),
        ({"p": b"x", "s": [[b"k", b"s"]] * (SIGNATURES_MAX + 1)}, Reason.TOO_LARGE),
        ({"p": b"x"}, Reason.MALFORMED),
        ({"p": b"x", "s": [], "t": 1}, Reason.MALFORMED),
        ({"p": "x", "s": []}, Reason.MALFORMED),
        ({"p": b"x", "s": [[b"k"]]}, Reason.MALFORMED),
    ],
)
def test_what_is_no_document(value: object, reason: Reason) -> None:
    with pytest.raises(PeerFault) as fault:
        parse_document(codec.encode(value))
    assert fault.value.reason is reason


@given(st.binary(max_size=300))
def test_any_bytes_are_the_peers_fault(data: bytes) -> None:
    with pytest.raises(PeerFault):
        parse_document(data)
