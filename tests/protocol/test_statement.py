"""What a member signs, exactly, and what is none of it."""

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.vectors.make_protocol import good_statements

from i247_protocol import codec
from i247_protocol.errors import PeerFault
from i247_protocol.handling import Classification, Handling, Onward, Purpose
from i247_protocol.limits import RECIPIENTS_MAX, REFERENCES_MAX, STATEMENT_BYTES_MAX
from i247_protocol.priority import Priority
from i247_protocol.reasons import Reason
from i247_protocol.statement import Act, Statement, parse_statement

USUAL = good_statements()["query, person"]
FIELDS = codec.decode(codec.encode(USUAL), bytes_max=4096)

codes = st.from_regex(r"[A-Z][A-Z0-9]|[0-9][A-Z]", fullmatch=True)
hashes = st.binary(min_size=32, max_size=32)
ids = st.binary(min_size=16, max_size=16)
numbers = st.integers(0, 2**53)
statements = st.builds(
    Statement,
    act=st.sampled_from(Act),
    att=st.just(()),
    basis=st.sampled_from(Purpose),
    body=st.binary(max_size=100),
    conv=ids,
    dir=st.tuples(st.integers(1, 2**53), hashes | st.just(b"")),
    exp=st.integers(0, 2**32),
    sender=codes,
    handling=st.builds(Handling, st.sampled_from(Classification), st.booleans(), st.sampled_from(Onward)),
    iat=st.integers(0, 60_000 * 2**32),
    id=ids,
    prio=st.sampled_from(Priority),
    re=st.lists(hashes, max_size=REFERENCES_MAX).map(tuple),
    seq=st.none() | st.tuples(numbers, numbers),
    to=st.sets(codes, min_size=1, max_size=RECIPIENTS_MAX).map(lambda to: tuple(sorted(to))),
)


def reason_of(fields: dict[str, Any]) -> Reason:
    with pytest.raises(PeerFault) as fault:
        parse_statement(codec.encode(fields))
    return fault.value.reason


@given(statements)
def test_what_is_written_is_read(statement: Statement) -> None:
    data = codec.encode(statement)
    read = parse_statement(data)
    assert read == statement
    assert codec.encode(read) == data


def test_the_field_is_called_from() -> None:
    assert FIELDS["from"] == USUAL.sender == USUAL.author
    assert reason_of({**FIELDS, "sender": "FR"}) is Reason.MALFORMED


def test_names_are_read_from_it() -> None:
    read = parse_statement(codec.encode(USUAL))
    assert (read.author, read.recipients, read.message_id) == ("BQ", ("FR",), USUAL.id)
    assert (read.expires, read.issued, read.answers) == (USUAL.exp, USUAL.iat, ())


@pytest.mark.parametrize(
    "changed",
    [
        {"act": "order"},
        {"act": None},
        {"att": [bytes(32)]},
        {"att": None},
        {"basis": ""},
        {"body": "AAAA"},
        {"body": None},
        {"conv": bytes(15)},
        {"dir": [0, bytes(32)]},
        {"dir": [1, bytes(31)]},
        {"dir": [1]},
        {"dir": [1, bytes(32), 0]},
        {"dir": [True, bytes(32)]},
        {"exp": -1},
        {"exp": 2**32 + 1},
        {"from": "bq"},
        {"from": "BQQ"},
        {"handling": {}},
        {"handling": FIELDS["handling"] | {"exercise": 1}},
        {"handling": FIELDS["handling"] | {"onward": "anybody"}},
        {"handling": FIELDS["handling"] | {"note": ""}},
        {"iat": -1},
        {"iat": 60_000 * 2**32 + 1},
        {"id": bytes(17)},
        {"prio": 4},
        {"re": [bytes(32)] * (REFERENCES_MAX + 1)},
        {"re": [bytes(33)]},
        {"re": ["A" * 43 + "="]},
        {"seq": [1]},
        {"seq": [1, None]},
        {"to": []},
        {"to": ["FR", "BR"]},
        {"to": ["FR", "FR"]},
        {"to": ["F"]},
        {"to": sorted(f"{a}{b}" for a in "ABCDEFGHIJK" for b in "ABCDEFGHIJKLMNOPQRSTUVWXYZ")[: RECIPIENTS_MAX + 1]},
        {"note": None},
    ],
)
def test_a_broken_rule_is_found(changed: dict[str, Any]) -> None:
    assert reason_of(FIELDS | changed) is Reason.MALFORMED


@pytest.mark.parametrize("field", FIELDS)
def test_every_field_is_needed(field: str) -> None:
    assert reason_of({name: value for name, value in FIELDS.items() if name != field}) is Reason.MALFORMED


def test_a_statement_has_a_largest_size() -> None:
    room = STATEMENT_BYTES_MAX - len(codec.encode(msgspec.structs.replace(USUAL, body=bytes(70_000)))) + 70_000
    largest = codec.encode(msgspec.structs.replace(USUAL, body=bytes(room)))
    assert len(largest) == STATEMENT_BYTES_MAX
    assert len(parse_statement(largest).body) == room
    with pytest.raises(PeerFault) as fault:
        parse_statement(codec.encode(msgspec.structs.replace(USUAL, body=bytes(room + 1))))
    assert fault.value.reason is Reason.TOO_LARGE


@given(st.binary(max_size=300))
@settings(max_examples=1_000)
def test_any_bytes_are_a_peers_fault(data: bytes) -> None:
    with pytest.raises(PeerFault):
        parse_statement(data)


@given(st.data())
@settings(max_examples=1_000)
def test_any_values_are_a_statement_in_one_way_or_a_peers_fault(data: st.DataObject) -> None:
    pool = [*FIELDS.values(), None, -1, 2**64 - 1, "", b"", [b""], [bytes(32)], ["SG"], [1, b""], {}]
    names = data.draw(st.lists(st.sampled_from(list(FIELDS)), min_size=1, max_size=3))
    encoded = codec.encode(FIELDS | {name: data.draw(st.sampled_from(pool)) for name in names})
    try:
        statement = parse_statement(encoded)
    except PeerFault:
        return
    assert codec.encode(statement) == encoded
