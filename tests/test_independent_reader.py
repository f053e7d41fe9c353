"""Hold the project against a reader that was written from docs/protocol.md alone, and the document against the code."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests import independent_reader as other
from tests.vectors import make_envelopes, make_protocol
from tests.vectors.make_envelopes import EXP, SIGNER, SIGNER_SEED, Draws, epoch_secret

from i247_keys import contexts
from i247_keys.identity import verify
from i247_keys.keycard import parse_keycard, verify_keycard
from i247_keys.keyring import Keyring
from i247_keys.opening import open_envelope
from i247_keys.padding import padded_length
from i247_keys.sealing import seal_for_many, seal_for_one
from i247_node.acceptance import open_parcel
from i247_protocol import codec, digests, limits
from i247_protocol.audit import record_digest, verify_chain
from i247_protocol.bodies import parse_body
from i247_protocol.errors import PeerFault
from i247_protocol.frames import Parcel, parse_frame
from i247_protocol.header import Envelope, Wrap, parse_header
from i247_protocol.names import KeyId, MemberCode, WallMs
from i247_protocol.priority import Priority
from i247_protocol.reasons import Reason
from i247_protocol.statement import parse_statement

ROOT = Path(__file__).parent.parent
VECTORS = ROOT / "tests" / "vectors"
CODEC, STATEMENTS, FRAMES, ENVELOPES = (
    json.loads((VECTORS / f"{name}.json").read_text(encoding="utf-8"))
    for name in ("codec", "statements", "frames", "envelopes")
)
SECRETS: dict[str, dict[bytes, bytes]] = {
    code: {epoch_secret(code).kid: epoch_secret(code).secret} for code in make_envelopes.MEMBERS.split()
}
AUTHORS = {"BQ": SIGNER.public}
DOCUMENT = (ROOT / "docs" / "protocol.md").read_text(encoding="utf-8")


def bytes_of(value: Any) -> Any:
    match value:
        case {"bytes": str(text)} if len(value) == 1:
            return bytes.fromhex(text)
        case dict():
            return {name: bytes_of(one) for name, one in value.items()}
        case list():
            return [bytes_of(one) for one in value]
        case _:
            return value


def by_name(cases: list[dict[str, Any]], *, good: bool) -> pytest.MarkDecorator:
    chosen = [case for case in cases if ("reason" not in case) is good]
    assert chosen
    return pytest.mark.parametrize("case", [pytest.param(case, id=case["name"]) for case in chosen])


def keyring(code: str) -> Keyring:
    return Keyring([epoch_secret(code)])


# --- the stored vectors ---


@pytest.mark.parametrize("name", ["codec.json", "statements.json", "frames.json"])
def test_the_stored_vectors_are_what_the_script_makes(name: str) -> None:
    stored = (VECTORS / name).read_text(encoding="utf-8")
    assert stored == make_protocol.texts()[name], "run python -m tests.vectors.make_protocol"


@by_name(CODEC["cases"], good=True)
def test_both_encode_a_value_alike(case: dict[str, Any]) -> None:
    data, value = bytes.fromhex(case["data"]), bytes_of(case["value"])
    assert codec.encode(value) == other.encode(value) == data
    assert codec.decode(data, bytes_max=4096) == other.decode(data) == value


@by_name(CODEC["cases"], good=False)
def test_both_refuse_what_is_not_the_one_encoding(case: dict[str, Any]) -> None:
    data = bytes.fromhex(case["data"])
    with pytest.raises(PeerFault) as ours:
        codec.decode(data, bytes_max=4096)
    with pytest.raises(other.Refused) as theirs:
        other.decode(data)
    assert case["reason"] == ours.value.reason == str(theirs.value)


@by_name(STATEMENTS["statements"], good=True)
def test_both_read_a_statement_alike(case: dict[str, Any]) -> None:
    data, signature = bytes.fromhex(case["statement"]), bytes.fromhex(case["signature"])
    statement = parse_statement(data)
    fields = bytes_of(case["fields"])
    assert other.parse_statement(data) == fields
    assert (statement.act, statement.sender, list(statement.to)) == (fields["act"], fields["from"], fields["to"])
    assert codec.encode(statement) == data
    assert codec.encode(parse_body(statement)) == statement.body == other.encode(bytes_of(case["body"]))
    assert other.sign(SIGNER_SEED, "statement", data) == signature
    verify(SIGNER.public, contexts.STATEMENT, data, signature)
    assert other.evidence_id(data, signature) == digests.evidence_id(data, signature) == bytes.fromhex(case["sid"])


@by_name(STATEMENTS["refused"], good=False)
def test_both_refuse_a_statement(case: dict[str, Any]) -> None:
    data = bytes.fromhex(case["statement"])
    with pytest.raises(PeerFault) as ours:
        parse_statement(data)
    with pytest.raises(other.Refused) as theirs:
        other.parse_statement(data)
    assert case["reason"] == ours.value.reason == str(theirs.value)


@by_name(STATEMENTS["digests"], good=True)
def test_both_name_things_alike(case: dict[str, Any]) -> None:
    of = {name: bytes.fromhex(text) for name, text in case["of"].items()}
    order = ("header", "statement", "key", "record", "payload", "body", "signature", "header_hash")
    joined = b"".join(of[part] for part in order if part in of)
    size = 8 if case["name"] == "kid" else 32
    assert other.digest(case["name"], joined, size).hex() == case["digest"]


@by_name(STATEMENTS["keycards"], good=True)
def test_both_read_a_keycard_alike(case: dict[str, Any]) -> None:
    data, identity = bytes.fromhex(case["document"]), bytes.fromhex(case["identity"])
    card = verify_keycard(parse_keycard(data)[1], identity)
    theirs = other.read_keycard(data, identity)
    assert theirs["keys"] == bytes_of(case["keys"])
    assert [key["public"] for key in theirs["keys"]] == [key.public for key in card.keys]
    assert (theirs["member"], theirs["version"], theirs["iat"]) == (card.member, card.version, card.iat)


@by_name(STATEMENTS["keycards"], good=False)
def test_both_refuse_a_keycard(case: dict[str, Any]) -> None:
    data, identity = bytes.fromhex(case["document"]), bytes.fromhex(case["identity"])
    with pytest.raises(PeerFault) as ours:
        verify_keycard(parse_keycard(data)[1], identity)
    with pytest.raises(other.Refused) as theirs:
        other.read_keycard(data, identity)
    assert case["reason"] == ours.value.reason == str(theirs.value)


def test_both_follow_the_stored_audit_chain() -> None:
    records = [bytes.fromhex(record) for record in STATEMENTS["audit"]["records"]]
    assert verify_chain(records).digest.hex() == STATEMENTS["audit"]["end"]
    before = bytes(32)
    for n, record in enumerate(records, start=1):
        fields = other.decode(record)
        assert (fields["n"], fields["before"]) == (n, before)
        before = other.digest("audit", record)
        assert before == record_digest(record)


@by_name(FRAMES["cases"], good=True)
def test_a_stored_frame_is_read(case: dict[str, Any]) -> None:
    data = bytes.fromhex(case["data"])
    assert codec.encode(parse_frame(data)) == data == other.encode(bytes_of(case["value"]))


@by_name(FRAMES["cases"], good=False)
def test_a_stored_frame_is_refused(case: dict[str, Any]) -> None:
    with pytest.raises(PeerFault) as fault:
        parse_frame(bytes.fromhex(case["data"]))
    assert fault.value.reason == case["reason"]


# --- envelopes ---


@by_name(ENVELOPES["cases"], good=True)
def test_the_reader_opens_stored_envelopes(case: dict[str, Any]) -> None:
    statement, signature = other.open_envelope(stored(case), case["opener"], held(case["opener"]))
    assert {"statement": statement.hex(), "signature": signature.hex()} == case["opens"]


@by_name(ENVELOPES["cases"], good=False)
def test_the_reader_refuses_stored_envelopes_for_the_same_reason(case: dict[str, Any]) -> None:
    with pytest.raises(other.Refused) as fault:
        other.open_envelope(stored(case), case["opener"], held(case["opener"]))
    assert str(fault.value) == case["reason"]


@by_name(ENVELOPES["cases"], good=True)
def test_the_reader_seals_the_very_bytes(case: dict[str, Any]) -> None:
    made, said = case["made"], case["opens"]
    statement, signature = bytes.fromhex(said["statement"]), bytes.fromhex(said["signature"])
    drawn = bytes.fromhex(made["entropy"])
    keys = {code: epoch_secret(code).public for code in made["recipients"]}
    if len(keys) == 1:
        ((member, public),) = keys.items()
        envelope = other.seal_for_one(statement, signature, member, public, made["prio"], made["exp"], drawn)
    else:
        envelope = other.seal_for_many(statement, signature, keys, made["prio"], made["exp"], drawn)
    assert (envelope.header.hex(), envelope.body.hex()) == (case["header"], case["body"])
    mine = {member: sealed.hex() for member, _, sealed in envelope.wraps}
    assert case["wrap"] is None or mine[case["wrap"]["member"]] == case["wrap"]["sealed"]


def stored(case: dict[str, Any]) -> other.Envelope:
    # A stored case names the one wrap that its opener looks at, whoever's it is.
    wrap = case["wrap"]
    wraps = () if wrap is None else ((case["opener"], bytes.fromhex(wrap["kid"]), bytes.fromhex(wrap["sealed"])),)
    return other.Envelope(bytes.fromhex(case["header"]), bytes.fromhex(case["body"]), wraps)


def held(opener: str) -> dict[bytes, bytes]:
    key = ENVELOPES["members"][opener]
    return {bytes.fromhex(key["kid"]): bytes.fromhex(key["secret"])}


@given(st.binary(min_size=1, max_size=3000), st.sampled_from(Priority))
@settings(max_examples=25)
def test_it_opens_what_we_seal_for_one(statement: bytes, prio: Priority) -> None:
    key, signature = epoch_secret("FR"), SIGNER.sign(contexts.STATEMENT, statement)
    envelope = seal_for_one(
        statement,
        signature,
        recipient=MemberCode("FR"),
        epoch_kid=key.kid,
        epoch_public=key.public,
        prio=prio,
        exp=EXP,
        entropy=Draws("ours for one"),
    )
    theirs = other.Envelope(envelope.header, envelope.body, ())
    assert other.open_envelope(theirs, "FR", SECRETS["FR"]) == (statement, signature)
    assert theirs.id == digests.envelope_id(envelope.header, envelope.body)


@given(st.binary(min_size=1, max_size=3000), st.sets(st.sampled_from(list(SECRETS)), min_size=2))
@settings(max_examples=15)
def test_it_opens_what_we_seal_for_many(statement: bytes, members: set[str]) -> None:
    signature = SIGNER.sign(contexts.STATEMENT, statement)
    keys = [(MemberCode(code), epoch_secret(code).kid, epoch_secret(code).public) for code in sorted(members)]
    envelope = seal_for_many(
        statement, signature, recipients=keys, prio=Priority.BULK, exp=EXP, entropy=Draws("ours for many")
    )
    theirs = other.Envelope(envelope.header, envelope.body, tuple((w.member, w.kid, w.sealed) for w in envelope.wraps))
    for code in sorted(members):
        assert other.open_envelope(theirs, code, SECRETS[code]) == (statement, signature)


@given(st.binary(min_size=1, max_size=3000), st.sets(st.sampled_from(list(SECRETS)), min_size=1))
@settings(max_examples=15)
def test_we_open_what_it_seals(statement: bytes, members: set[str]) -> None:
    signature = other.sign(SIGNER_SEED, "statement", statement)
    envelope = sealed_by_the_other(statement, signature, sorted(members), 2)
    for code in sorted(members):
        wrap = next((wrap for wrap in envelope.wraps if wrap.member == code), None)
        inner = open_envelope(envelope.header, parse_header(envelope.header), envelope.body, wrap, keyring(code))
        assert inner == (statement, signature)


@by_name(STATEMENTS["statements"], good=True)
def test_either_accepts_the_whole_of_what_the_other_sends(case: dict[str, Any]) -> None:
    data, signature = bytes.fromhex(case["statement"]), bytes.fromhex(case["signature"])
    fields = bytes_of(case["fields"])
    envelope = sealed_by_the_other(data, signature, fields["to"], fields["prio"])
    wraps = tuple((wrap.member, wrap.kid, wrap.sealed) for wrap in envelope.wraps)
    opened = open_parcel(
        Parcel(0, envelope.header, envelope.body, wraps), MemberCode("FR"), keyring("FR"), WallMs(fields["iat"])
    )
    assert (opened.statement_bytes, opened.signature) == (data, signature)
    theirs = other.Envelope(envelope.header, envelope.body, wraps)
    assert other.accept(theirs, "FR", SECRETS["FR"], AUTHORS) == fields


def sealed_by_the_other(statement: bytes, signature: bytes, members: list[str], prio: int) -> Envelope:
    keys = {code: epoch_secret(code).public for code in members}
    if len(keys) == 1:
        ((member, public),) = keys.items()
        made = other.seal_for_one(statement, signature, member, public, prio, EXP)
    else:
        made = other.seal_for_many(statement, signature, keys, prio, EXP)
    return Envelope(made.header, made.body, tuple(Wrap(MemberCode(m), KeyId(k), s) for m, k, s in made.wraps))


def test_a_statement_that_the_other_makes_is_read_by_us() -> None:
    fields = {**bytes_of(STATEMENTS["statements"][0]["fields"]), "id": bytes(16), "basis": "alert"}
    data, signature = other.make_statement(SIGNER_SEED, **fields)
    verify(SIGNER.public, contexts.STATEMENT, data, signature)
    assert parse_statement(data).basis == "alert"


@given(st.integers(0, 1_100_000))
def test_both_pad_alike(length: int) -> None:
    assert other.padded_length(length) == padded_length(length)


def test_hchacha20_gives_the_published_key() -> None:
    # draft-irtf-cfrg-xchacha-03, section 2.2.1.
    key, nonce = bytes(range(32)), bytes.fromhex("000000090000004a0000000031415927")
    assert other.hchacha20(key, nonce).hex() == "82413b4227b27bfed30e42508a877d73a0f9e4d58a74a853c12ec41326d3ecdc"


@given(st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=20) | st.dictionaries(st.text(), inner, max_size=20),
    max_leaves=40,
))  # fmt: skip
def test_both_encode_any_value_alike(value: Any) -> None:
    assert other.encode(value) == codec.encode(value)


@given(st.binary(max_size=64))
@settings(max_examples=2_000)
def test_both_judge_any_bytes_alike(data: bytes) -> None:
    assert verdict(lambda: codec.decode(data, bytes_max=64)) == verdict(lambda: other.decode(data))


def verdict(read: Any) -> object:
    try:
        return read()
    except PeerFault as fault:
        return fault.reason.value
    except other.Refused as fault:
        return str(fault)


# --- the document ---


def test_every_worked_example_is_in_the_vectors() -> None:
    text = "\n".join((VECTORS / f"{name}.json").read_text() for name in ("codec", "statements", "frames", "envelopes"))
    examples = ["".join(block.split()) for block in re.findall(r"```hex\n(.*?)```", DOCUMENT, re.DOTALL)]
    bodies = {other.encode(bytes_of(case["body"])).hex() for case in STATEMENTS["statements"]}
    assert len(examples) >= 12
    assert [one for one in examples if one not in text and one not in bodies] == []


def test_every_limit_is_listed_with_its_value() -> None:
    values = {name: value for name, value in vars(limits).items() if name.isupper()}
    listed = dict(re.findall(r"^\| `([A-Z_]+)` \| (\d+) \| .+ \|$", DOCUMENT, re.MULTILINE))
    assert listed == {name: str(value) for name, value in values.items()}


def test_every_reason_is_listed() -> None:
    listed = re.findall(r"^\| `([a-z-]+)` \| ", DOCUMENT.partition("## 12 ")[2], re.MULTILINE)
    assert listed == [reason.value for reason in Reason]


def test_every_section_that_the_code_names_exists() -> None:
    sections = set(re.findall(r"^#+ ([0-9]+(?:\.[0-9]+)?) ", DOCUMENT, re.MULTILINE))
    named: dict[str, set[str]] = {}
    for path in sorted(ROOT.glob("*/i247_*/**/*.py")):
        for after in re.findall(
            r"docs/protocol\.md ((?:[0-9.]+(?:, | and | to )?)+)", path.read_text(encoding="utf-8")
        ):
            numbers = {number.rstrip(".") for number in re.findall(r"[0-9.]+", after)}
            named.setdefault(path.name, set()).update(numbers - sections)
    assert {name: missing for name, missing in named.items() if missing} == {}
