"""Sealing and opening together: the stored vectors, round trips, and everything that must not open."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.vectors import make_envelopes as vectors
from tests.vectors.make_envelopes import Draws, Signed, epoch_secret, sealed_for_many, sealed_for_one, signed

from i247_keys import contexts
from i247_keys.identity import verify
from i247_keys.keyring import EpochSecret, Keyring
from i247_keys.opening import Inner, open_envelope
from i247_keys.sealing import seal_for_many, seal_for_one
from i247_protocol.errors import CallerFault, PeerFault
from i247_protocol.header import Envelope, Wrap, check_sizes, parse_header
from i247_protocol.limits import STATEMENT_BYTES_MAX, WRAP_BYTES
from i247_protocol.names import KeyId, MemberCode, Minutes, WallMs
from i247_protocol.priority import Priority
from i247_protocol.reasons import Reason

STORED = json.loads(vectors.PATH.read_text(encoding="utf-8"))
CASES = {case["name"]: case for case in STORED["cases"]}


# --- the stored vectors ---


def test_the_stored_vectors_are_what_the_script_makes() -> None:
    assert vectors.PATH.read_text(encoding="utf-8") == vectors.text(), "run python -m tests.vectors.make_envelopes"


def test_every_stored_case_has_a_name_of_its_own() -> None:
    assert len(CASES) == len(STORED["cases"]) > 70


@pytest.mark.parametrize("name", CASES)
def test_a_stored_case_comes_out_as_stated(name: str) -> None:
    case = CASES[name]
    if "reason" in case:
        with pytest.raises(PeerFault) as fault:
            opened_case(case)
        assert fault.value.reason == case["reason"]
    else:
        inner = opened_case(case)
        assert {"statement": inner.statement.hex(), "signature": inner.signature.hex()} == case["opens"]
        verify(bytes.fromhex(STORED["signer"]["public"]), contexts.STATEMENT, inner.statement, inner.signature)


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if "made" in case])
def test_a_stored_case_is_made_again_from_its_inputs(name: str) -> None:
    case = CASES[name]
    envelope = made_case(case)
    wrap = next((wrap for wrap in envelope.wraps if wrap.member == case["opener"]), None)
    assert (envelope.header.hex(), envelope.body.hex()) == (case["header"], case["body"])
    assert wrap == wrap_of_case(case)


# --- what opens ---


@given(st.binary(min_size=1, max_size=3000), st.binary(min_size=64, max_size=64), st.sampled_from(Priority))
def test_what_was_sealed_for_one_opens(statement: bytes, signature: bytes, prio: Priority) -> None:
    envelope, _ = sealed_for_one(Signed(statement, signature), "FR", "round trip", prio)
    assert opened(envelope, "FR") == (statement, signature)
    assert envelope.wraps == ()


@given(
    st.binary(min_size=1, max_size=3000),
    st.binary(min_size=64, max_size=64),
    st.lists(st.sampled_from(("BR", "FR", "JP", "KE", "XP")), min_size=2, unique=True),
)
def test_what_was_sealed_for_many_opens_for_each(statement: bytes, signature: bytes, members: list[str]) -> None:
    envelope, _ = sealed_for_many(Signed(statement, signature), " ".join(members), "round trip")
    assert [wrap.member for wrap in envelope.wraps] == sorted(members)
    assert all(len(wrap.sealed) == WRAP_BYTES for wrap in envelope.wraps)
    for member in members:
        assert opened(envelope, member) == (statement, signature)


def test_the_longest_statement_is_within_every_limit() -> None:
    inner = Signed(bytes(STATEMENT_BYTES_MAX), bytes(64))
    for envelope in (sealed_for_one(inner, "FR", "long")[0], sealed_for_many(inner, "FR JP", "long")[0]):
        check_sizes(*envelope)
        assert opened(envelope, "FR") == (inner.statement, inner.signature)


def test_sealing_again_leaves_the_statement_as_it_was() -> None:
    one, _ = sealed_for_one(signed(300), "FR", "first")
    again, _ = sealed_for_one(signed(300), "FR", "again")
    assert one.body != again.body
    assert opened(one, "FR") == opened(again, "FR")


def test_statements_of_like_length_look_the_same() -> None:
    sizes = {len(sealed_for_one(signed(length), "FR", "sizes")[0].body) for length in range(1, 430, 13)}
    assert sizes == {512 + 48}


# --- what does not open ---


@given(st.booleans(), st.data())
def test_one_flipped_bit_anywhere_is_the_peers_fault(is_shared: bool, data: st.DataObject) -> None:
    if is_shared:
        envelope, _ = sealed_for_many(signed(300), "FR JP", "flipped")
    else:
        envelope, _ = sealed_for_one(signed(300), "FR", "flipped")
    wrap = next((wrap for wrap in envelope.wraps if wrap.member == "FR"), None)
    parts = {"header": envelope.header, "body": envelope.body}
    if wrap is not None:
        parts |= {"kid": wrap.kid, "sealed": wrap.sealed}
    part = data.draw(st.sampled_from(sorted(parts)))
    changed = bytearray(parts[part])
    changed[data.draw(st.integers(0, len(changed) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    parts[part] = bytes(changed)
    if wrap is not None:
        wrap = Wrap(wrap.member, KeyId(parts["kid"]), parts["sealed"])
    with pytest.raises(PeerFault):
        opened_parts(parts["header"], parts["body"], wrap, "FR")


SPLICED = [
    sealed_for_one(signed(300), "FR", "splice a")[0],
    sealed_for_one(signed(301), "FR", "splice b", Priority.URGENT)[0],
    sealed_for_many(signed(300), "FR JP", "splice c")[0],
    sealed_for_many(signed(300), "FR JP", "splice d", Priority.URGENT)[0],
    sealed_for_many(signed(300), "FR JP KE", "splice e")[0],
    sealed_for_many(signed(300), "FR JP", "splice f")[0],
]


def test_parts_of_different_envelopes_do_not_open_together() -> None:
    wraps = [next((wrap for wrap in envelope.wraps if wrap.member == "FR"), None) for envelope in SPLICED]
    headers = [envelope.header for envelope in SPLICED]
    tried = 0
    for header in range(len(SPLICED)):
        for body in range(len(SPLICED)):
            for wrap in range(len(SPLICED)):
                parts = (headers[header], SPLICED[body].body, wraps[wrap])
                if any(parts == (own.header, own.body, wraps[place]) for place, own in enumerate(SPLICED)):
                    continue
                with pytest.raises(PeerFault) as fault:
                    opened_parts(*parts, "FR")
                assert fault.value.reason is Reason.CANNOT_OPEN
                tried += 1
    assert tried > 200


@given(st.binary(max_size=700), st.binary(max_size=100), st.booleans())
def test_any_bytes_are_the_peers_fault(body: bytes, sealed: bytes, is_shared: bool) -> None:
    header = SPLICED[2 if is_shared else 0].header
    wrap = Wrap(MemberCode("FR"), epoch_secret("FR").kid, sealed) if is_shared else None
    with pytest.raises(PeerFault) as fault:
        opened_parts(header, body, wrap, "FR")
    assert fault.value.reason is Reason.CANNOT_OPEN


def test_a_key_that_was_dropped_opens_nothing() -> None:
    for envelope in SPLICED[:3:2]:
        wrap = envelope.wraps[0] if envelope.wraps else None
        with pytest.raises(PeerFault) as fault:
            open_envelope(envelope.header, parse_header(envelope.header), envelope.body, wrap, Keyring())
        assert fault.value.reason is Reason.DEAD_KEY


def test_a_body_larger_than_any_sender_may_make_is_refused_unread() -> None:
    with pytest.raises(PeerFault) as fault:
        opened_parts(SPLICED[0].header, bytes(1280 * 1024 + 1), None, "FR")
    assert fault.value.reason is Reason.TOO_LARGE


# --- the caller's faults ---


@pytest.mark.parametrize("members", ["", "FR", "FR FR", "FR JP FR"])
def test_many_are_two_different_ones_or_more(members: str) -> None:
    keys = [(MemberCode(member), epoch_secret(member).kid, epoch_secret(member).public) for member in members.split()]
    with pytest.raises(CallerFault):
        seal_for_many(
            b"st", bytes(64), recipients=keys, prio=Priority.BULK, exp=Minutes(1), entropy=Draws("never drawn")
        )


@pytest.mark.parametrize(
    ("statement", "signature"),
    [(b"", bytes(64)), (bytes(STATEMENT_BYTES_MAX + 1), bytes(64)), (b"st", bytes(63)), (b"st", b"")],
)
def test_what_no_recipient_would_take_is_not_sealed(statement: bytes, signature: bytes) -> None:
    with pytest.raises(CallerFault):
        sealed_for_one(Signed(statement, signature), "FR", "refused")
    with pytest.raises(CallerFault):
        sealed_for_many(Signed(statement, signature), "FR JP", "refused")


# --- parts ---


def opened(envelope: Envelope, member: str) -> Inner:
    wrap = next((wrap for wrap in envelope.wraps if wrap.member == member), None)
    return opened_parts(envelope.header, envelope.body, wrap, member)


def opened_parts(header: bytes, body: bytes, wrap: Wrap | None, member: str) -> Inner:
    return open_envelope(header, parse_header(header), body, wrap, Keyring([epoch_secret(member)]))


def opened_case(case: dict[str, Any]) -> Inner:
    header = bytes.fromhex(case["header"])
    secret = bytes.fromhex(STORED["members"][case["opener"]]["secret"])
    keyring = Keyring([EpochSecret(secret, WallMs(0), WallMs(1))])
    return open_envelope(header, parse_header(header), bytes.fromhex(case["body"]), wrap_of_case(case), keyring)


def wrap_of_case(case: dict[str, Any]) -> Wrap | None:
    stored = case["wrap"]
    if stored is None:
        return None
    kid, sealed = bytes.fromhex(stored["kid"]), bytes.fromhex(stored["sealed"])
    return Wrap(MemberCode(stored["member"]), KeyId(kid), sealed)


def made_case(case: dict[str, Any]) -> Envelope:
    made, opens = case["made"], case["opens"]
    statement, signature = bytes.fromhex(opens["statement"]), bytes.fromhex(opens["signature"])
    prio, exp, entropy = Priority(made["prio"]), Minutes(made["exp"]), Replayed(bytes.fromhex(made["entropy"]))
    recipients = [
        (MemberCode(code), KeyId(bytes.fromhex(key["kid"])), bytes.fromhex(key["public"]))
        for code, key in ((code, STORED["members"][code]) for code in made["recipients"])
    ]
    if len(recipients) > 1:
        return seal_for_many(statement, signature, recipients=recipients, prio=prio, exp=exp, entropy=entropy)
    ((member, kid, public),) = recipients
    return seal_for_one(
        statement,
        signature,
        recipient=member,
        epoch_kid=kid,
        epoch_public=public,
        prio=prio,
        exp=exp,
        entropy=entropy,
    )


class Replayed:
    """Entropy that was drawn before."""

    def __init__(self, drawn: bytes) -> None:
        self._left = drawn

    def __call__(self, count: int) -> bytes:
        taken, self._left = self._left[:count], self._left[count:]
        assert len(taken) == count
        return taken
