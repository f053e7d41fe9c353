"""One connection's life: greeting, credit both ways, silence."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from i247_protocol.frames import Credit, Hello, Role
from i247_protocol.limits import (
    BODY_BYTES_MAX,
    HEADER_BYTES_MAX,
    HELLO_RETRY_MS,
    LINK_IDLE_MS,
    LINK_SILENT_MS,
    WINDOW_BYTES,
    WINDOW_MESSAGES,
)
from i247_protocol.names import MonoMs, Now, SessionId, WallMs
from i247_protocol.priority import Lane
from i247_protocol.session import Session, Stage

ID = SessionId(b"session!")


def at(ms: int) -> Now:
    return Now(MonoMs(ms), WallMs(0))


def hello(messages: int = WINDOW_MESSAGES, size: int = WINDOW_BYTES) -> Hello:
    return Hello(ID, Role.HUB, Lane.BULK, 1, b"", b"", 0, messages, size)


def greeted(messages: int = WINDOW_MESSAGES, size: int = WINDOW_BYTES) -> Session:
    session = Session(ID, at(0), dialled=True)
    session.opened(hello(messages, size))
    return session


# --- greeting ---


def test_nothing_may_be_put_before_both_have_greeted() -> None:
    session = Session(ID, at(0), dialled=True)
    assert (session.stage, session.is_open, session.may_put(0)) == (Stage.GREETING, False, False)
    session.opened(hello())
    assert (session.is_open, session.may_put(0)) == (True, True)


# --- credit ---


def test_the_windows_of_the_other_side_are_the_credit() -> None:
    session = greeted(messages=2, size=100)
    assert session.may_put(100)
    assert not session.may_put(101)
    session.spend(60)
    assert not session.may_put(41)
    session.spend(40)
    assert not session.may_put(0)


def test_a_total_counts_from_the_beginning_and_never_shrinks() -> None:
    session = greeted(messages=1, size=100)
    session.spend(100)
    session.allow(Credit(ID, 2, 150))
    assert session.may_put(50)
    session.allow(Credit(ID, 1, 120))
    assert session.may_put(50)


def test_the_receiver_knows_what_it_granted() -> None:
    session = greeted()
    assert all(session.take(1) for _ in range(WINDOW_MESSAGES))
    assert not session.take(1)
    session = greeted()
    assert session.take(WINDOW_BYTES)
    assert not session.take(1)


def test_new_credit_comes_when_half_is_used() -> None:
    session = greeted()
    for _ in range(WINDOW_MESSAGES // 2):
        session.take(1)
        assert session.grant() is None
    session.take(1)
    granted = session.grant()
    used = WINDOW_MESSAGES // 2 + 1
    assert granted == Credit(ID, used + WINDOW_MESSAGES, used + WINDOW_BYTES)
    assert session.credit() == granted
    assert session.grant() is None


def test_half_of_the_bytes_is_half_as_well() -> None:
    session = greeted()
    session.take(WINDOW_BYTES // 2 + 1)
    assert session.grant() == Credit(ID, 1 + WINDOW_MESSAGES, WINDOW_BYTES // 2 + 1 + WINDOW_BYTES)


@given(st.lists(st.integers(1, HEADER_BYTES_MAX + BODY_BYTES_MAX), min_size=1, max_size=200))
def test_two_sides_that_keep_the_rules_never_stall_and_never_exceed(sizes: list[int]) -> None:
    sender, receiver = greeted(), greeted()
    for size in sizes:
        assert sender.may_put(size), "stalled although the receiver has taken everything"
        sender.spend(size)
        assert receiver.take(size)
        granted = receiver.grant()
        if granted is not None:
            sender.allow(granted)


@given(st.lists(st.integers(1, WINDOW_BYTES), max_size=50), st.data())
def test_credit_that_comes_late_or_twice_does_no_harm(sizes: list[int], data: st.DataObject) -> None:
    sender, receiver = greeted(), greeted()
    waiting: list[Credit] = []
    for size in sizes:
        if sender.may_put(size):
            sender.spend(size)
            assert receiver.take(size)
        granted = receiver.grant()
        if granted is not None:
            waiting.append(granted)
        for credit in data.draw(st.permutations(waiting))[:2]:
            sender.allow(credit)


# --- silence ---


@pytest.mark.parametrize(
    ("opened", "patience_ms"), [pytest.param(False, HELLO_RETRY_MS, id="greeting"), (True, LINK_IDLE_MS)]
)
def test_a_side_that_has_said_nothing_is_idle(opened: bool, patience_ms: int) -> None:
    session = greeted() if opened else Session(ID, at(0), dialled=True)
    assert not session.is_idle(at(patience_ms - 1))
    assert session.is_idle(at(patience_ms))
    assert session.deadline() == patience_ms
    session.said(at(patience_ms))
    assert not session.is_idle(at(2 * patience_ms - 1))


def test_a_side_that_has_heard_nothing_takes_the_link_for_lost() -> None:
    session = greeted()
    session.heard(at(1_000))
    assert not session.is_silent(at(1_000 + LINK_SILENT_MS - 1))
    assert session.is_silent(at(1_000 + LINK_SILENT_MS))


def test_the_deadline_is_the_earlier_of_both() -> None:
    session = greeted()
    session.said(at(LINK_SILENT_MS))
    assert session.deadline() == LINK_SILENT_MS
    session.heard(at(LINK_SILENT_MS))
    assert session.deadline() == LINK_SILENT_MS + LINK_IDLE_MS


def test_a_sign_of_life_comes_well_before_the_silence_ends_a_link() -> None:
    assert LINK_SILENT_MS > 3 * LINK_IDLE_MS
