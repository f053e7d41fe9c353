"""Bodies by their acts: what is sound, what is unknown, and that nothing else can happen."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.vectors.make_protocol import BODIES, good_statements

from i247_keys.hpke import OVERHEAD_BYTES
from i247_keys.padding import pad
from i247_protocol import codec
from i247_protocol.bodies import TYPES, Body, body_is_sound, parse_body
from i247_protocol.correspondence import SUBJECT_MAX, Correspondence
from i247_protocol.errors import PeerFault
from i247_protocol.gaps import Account, End, Ended, Missing, Span
from i247_protocol.limits import (
    CANDIDATES_MAX,
    CONTROL_BODY_BYTES_MAX,
    FIELD_TEXT_BYTES_MAX,
    FIELDS_MAX,
    SPANS_MAX,
    TEXT_BYTES_MAX,
)
from i247_protocol.notices import NUMBER_MAX, TITLE_MAX, VERSION_MAX, Notice
from i247_protocol.priority import Priority
from i247_protocol.queries import REGISTER_NAME_MAX, SCORE_MAX, Candidate, Query, Reply
from i247_protocol.reasons import Reason
from i247_protocol.statement import Act, Statement

USUAL = good_statements()["query, person"]
ACT_OF = {
    **{name: Act.QUERY for name in BODIES if name.startswith("query")},
    **{name: Act.REPLY for name in BODIES if name.startswith("reply")},
    **{name: Act.RECEIPT for name in BODIES if name.startswith("receipt")},
    "notice": Act.NOTICE,
    "correspondence": Act.CORRESPONDENCE,
    "missing": Act.MISSING,
    "account": Act.ACCOUNT,
}


def said(act: Act, body: bytes) -> Statement:
    return msgspec.structs.replace(USUAL, act=act, body=body)


def is_unknown(act: Act, body: bytes) -> bool:
    return outcome(act, body) is Reason.UNKNOWN_BODY


def outcome(act: Act, body: bytes) -> Body | Reason:
    try:
        return parse_body(said(act, body))
    except PeerFault as fault:
        return fault.reason


@pytest.mark.parametrize("name", BODIES)
def test_a_body_is_read_by_its_act(name: str) -> None:
    assert parse_body(said(ACT_OF[name], codec.encode(BODIES[name]))) == BODIES[name]


def test_a_diffusion_is_a_notice() -> None:
    assert parse_body(said(Act.DIFFUSION, codec.encode(BODIES["notice"]))) == BODIES["notice"]


def test_every_act_has_a_body() -> None:
    assert TYPES.keys() == set(Act)


@pytest.mark.parametrize("name", BODIES)
@pytest.mark.parametrize("act", Act)
def test_a_body_of_another_act_is_unknown(name: str, act: Act) -> None:
    same = act is ACT_OF[name] or (name == "notice" and act is Act.DIFFUSION)
    assert is_unknown(act, codec.encode(BODIES[name])) is not same


@pytest.mark.parametrize("name", BODIES)
def test_a_body_has_exactly_its_fields(name: str) -> None:
    fields = codec.decode(codec.encode(BODIES[name]), bytes_max=2**20)
    assert is_unknown(ACT_OF[name], codec.encode(fields | {"note": ""}))
    for field in fields:
        assert is_unknown(ACT_OF[name], codec.encode({n: value for n, value in fields.items() if n != field}))


@given(st.sampled_from(Act), st.binary(max_size=200))
@settings(max_examples=1_000)
def test_any_bytes_are_a_body_in_one_way_or_unknown(act: Act, data: bytes) -> None:
    body = outcome(act, data)
    assert body is Reason.UNKNOWN_BODY or codec.encode(body) == data


@given(st.sampled_from(list(BODIES)), st.data())
@settings(max_examples=1_000)
def test_any_values_are_a_body_in_one_way_or_unknown(name: str, data: st.DataObject) -> None:
    fields = codec.decode(codec.encode(BODIES[name]), bytes_max=2**20)
    pool: list[Any] = [*fields.values(), None, True, -1, 2**64 - 1, "", b"", [], {}, {"kind": "person"}, "x" * 3_000]
    field = data.draw(st.sampled_from(list(fields)))
    encoded = codec.encode(fields | {field: data.draw(st.sampled_from(pool))})
    body = outcome(ACT_OF[name], encoded)
    assert body is Reason.UNKNOWN_BODY or codec.encode(body) == encoded


# --- bounds ---

QUERY, REPLY, NOTICE = BODIES["query, person"], BODIES["reply, hit"], BODIES["notice"]
assert isinstance(QUERY, Query)
assert isinstance(REPLY, Reply)
assert isinstance(NOTICE, Notice)
CANDIDATE = REPLY.candidates[0]
changed = msgspec.structs.replace


def reply_with(**fields: Any) -> Reply:
    return Reply(**{**msgspec.structs.asdict(REPLY), "candidates": (changed(CANDIDATE, **fields),)})


def letter(subject: str = "Subject", text: str = "") -> Correspondence:
    return Correspondence(subject=subject, text=text)


@pytest.mark.parametrize(
    ("body", "sound"),
    [
        (changed(QUERY, register="r" * REGISTER_NAME_MAX), True),
        (changed(QUERY, register="r" * (REGISTER_NAME_MAX + 1)), False),
        (changed(QUERY, register=""), False),
        (changed(QUERY, criteria=changed(QUERY.criteria, family="f" * FIELD_TEXT_BYTES_MAX)), True),
        (changed(QUERY, criteria=changed(QUERY.criteria, family="f" * (FIELD_TEXT_BYTES_MAX + 1))), False),
        (changed(REPLY, candidates=()), True),
        (changed(REPLY, candidates=(CANDIDATE,) * CANDIDATES_MAX), True),
        (changed(REPLY, candidates=(CANDIDATE,) * (CANDIDATES_MAX + 1)), False),
        (reply_with(score=0), True),
        (reply_with(score=SCORE_MAX), True),
        (reply_with(score=SCORE_MAX + 1), False),
        (reply_with(score=-1), False),
        (reply_with(fields={str(n): "" for n in range(FIELDS_MAX)}), True),
        (reply_with(fields={str(n): "" for n in range(FIELDS_MAX + 1)}), False),
        (reply_with(fields={"name": "x" * (FIELD_TEXT_BYTES_MAX + 1)}), False),
        (reply_with(action="x" * (FIELD_TEXT_BYTES_MAX + 1)), False),
        (reply_with(record="x" * (FIELD_TEXT_BYTES_MAX + 1)), False),
        (changed(NOTICE, number="n" * NUMBER_MAX), True),
        (changed(NOTICE, number="n" * (NUMBER_MAX + 1)), False),
        (changed(NOTICE, number=""), False),
        (changed(NOTICE, title="t" * TITLE_MAX), True),
        (changed(NOTICE, title="t" * (TITLE_MAX + 1)), False),
        (changed(NOTICE, title=""), False),
        (changed(NOTICE, text="x" * TEXT_BYTES_MAX), True),
        (changed(NOTICE, text="x" * (TEXT_BYTES_MAX + 1)), False),
        (changed(NOTICE, text="é" * (TEXT_BYTES_MAX // 2 + 1)), False),
        (changed(NOTICE, version=VERSION_MAX), True),
        (changed(NOTICE, version=VERSION_MAX + 1), False),
        (changed(NOTICE, version=0), False),
        (letter("s" * SUBJECT_MAX), True),
        (letter("s" * (SUBJECT_MAX + 1)), False),
        (letter(""), False),
        (letter(text="é" * (TEXT_BYTES_MAX // 2)), True),
        (letter(text="é" * (TEXT_BYTES_MAX // 2 + 1)), False),
    ],
)
def test_every_length_and_number_has_its_bound(body: Body, sound: bool) -> None:
    assert body_is_sound(body) is sound
    act = next(act for act, kind in TYPES.items() if isinstance(body, kind))
    assert is_unknown(act, codec.encode(body)) is not sound


def test_a_candidate_says_what_it_is_about() -> None:
    assert set(Candidate.__struct_fields__) == {"action", "fields", "owner", "record", "score"}


# --- spans ---


def missing(*spans: Span) -> Missing:
    return Missing(spans=spans)


def account(*spans: Span) -> Account:
    return Account(ended=tuple(Ended(span, End.EXPIRED) for span in spans))


@pytest.mark.parametrize("body", [missing, account], ids=["missing", "account"])
@pytest.mark.parametrize(
    ("spans", "is_sound"),
    [
        ([(1, 1)], True),
        ([(1, 2**53)], True),
        ([(1, 1)] * SPANS_MAX, True),
        ([(1, 1)] * (SPANS_MAX + 1), False),
        ([], False),
        ([(0, 1)], False),
        ([(2, 1)], False),
    ],
)
def test_spans(body: Callable[..., Body], spans: list[tuple[int, int]], is_sound: bool) -> None:
    assert body_is_sound(body(*(Span(Priority.BULK, 0, first, last) for first, last in spans))) is is_sound


@pytest.mark.parametrize("span", [[4, 0, 1, 1], [2, -1, 1, 1], [2, 0, 1, 2**53 + 1], [2, 0, 1], [2, 0, 1, 1, 1]])
def test_what_is_no_span_is_unknown(span: list[int]) -> None:
    assert is_unknown(Act.MISSING, codec.encode({"spans": [span]}))
    assert is_unknown(Act.ACCOUNT, codec.encode({"ended": [[span, "expired"]]}))


def test_an_end_is_one_of_the_words() -> None:
    assert is_unknown(Act.ACCOUNT, codec.encode({"ended": [[[2, 0, 1, 1], "lost"]]}))


@pytest.mark.parametrize("body", [missing, account], ids=["missing", "account"])
def test_the_largest_fits_into_control(body: Callable[..., Body]) -> None:
    """A hub takes no control with a larger body, whatever its numbers and its end."""
    spans = [Span(Priority.ROUTINE, 2**53, 2**53 - 1, 2**53)] * SPANS_MAX
    largest = body(*spans)
    if isinstance(largest, Account):
        largest = Account(ended=tuple(Ended(span, End.ACKNOWLEDGED) for span in spans))
    statement = changed(
        good_statements()["missing"], body=codec.encode(largest), dir=(2**53, bytes(32)), exp=2**32, iat=2**47
    )
    inner = codec.encode([codec.encode(statement), bytes(64)])
    assert len(pad(inner)) + OVERHEAD_BYTES <= CONTROL_BODY_BYTES_MAX
