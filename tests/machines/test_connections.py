"""Who has a session, on which lane, and which of two counts."""

from __future__ import annotations

import pytest

from i247_hub.admission import Caller
from i247_hub.connections import Connection, Connections
from i247_protocol.frames import Credit, Hello, Role
from i247_protocol.limits import LINK_IDLE_MS, LINK_SILENT_MS, WINDOW_BYTES, WINDOW_MESSAGES
from i247_protocol.machine import LinkId
from i247_protocol.names import HubName, MonoMs, Now, SessionId, WallMs
from i247_protocol.priority import Lane
from i247_protocol.session import Session

NOW = Now(MonoMs(0), WallMs(0))


def later(ms: int) -> Now:
    return Now(MonoMs(ms), WallMs(ms))


def hello(role: Role, lane: Lane, session: bytes = bytes(8)) -> Hello:
    return Hello(session, role, lane, 1, b"", b"", 0, 10, 1_000)


def greet(
    connections: Connections, link: bytes, name: str, lane: Lane = Lane.EXPRESS, *, dialled: bool = False
) -> Connection | None:
    role = Role.MEMBER if name.isupper() else Role.HUB
    session = Session(SessionId(bytes(8)), NOW, dialled=dialled)
    caller = Caller(role, name, in_good_standing=True)
    connection = Connection(LinkId(link), b"key", caller, lane, session, NOW)
    return connections.greeted(connection, hello(role, lane))


def test_the_newest_greeting_of_a_member_on_a_lane_counts() -> None:
    connections = Connections()
    assert greet(connections, b"1", "FR") is None
    assert greet(connections, b"2", "FR", Lane.BULK) is None
    replaced = greet(connections, b"3", "FR")
    assert replaced is not None
    assert replaced.link == b"1"
    assert connections.on(LinkId(b"1")) is None
    outward = connections.outward("FR", Lane.EXPRESS)
    assert outward is not None
    assert outward.link == b"3"
    assert len(connections) == 2


def test_the_same_link_greeting_again_replaces_nothing() -> None:
    connections = Connections()
    greet(connections, b"1", "FR")
    assert greet(connections, b"1", "FR") is None
    assert len(connections) == 1


def test_a_hub_that_dialled_us_gets_its_mail_on_the_link_that_we_dial() -> None:
    connections = Connections()
    greet(connections, b"in", "singapore")
    assert connections.outward("singapore", Lane.EXPRESS) is None
    greet(connections, b"out", "singapore", dialled=True)
    assert len(connections) == 2
    outward = connections.outward("singapore", Lane.EXPRESS)
    assert outward is not None
    assert outward.link == b"out"


def test_a_hub_is_reachable_with_both_lanes() -> None:
    connections = Connections()
    greet(connections, b"1", "singapore", dialled=True)
    assert connections.reachable_hubs() == frozenset()
    greet(connections, b"2", "singapore", Lane.BULK, dialled=True)
    assert connections.reachable_hubs() == {HubName("singapore")}
    connections.drop(LinkId(b"1"))
    assert connections.reachable_hubs() == frozenset()


def test_dropping_the_older_of_two_leaves_the_newer() -> None:
    connections = Connections()
    greet(connections, b"1", "FR")
    greet(connections, b"2", "FR")
    assert connections.drop(LinkId(b"1")) is None
    assert connections.outward("FR", Lane.EXPRESS) is not None
    assert connections.drop(LinkId(b"2")) is not None
    assert connections.outward("FR", Lane.EXPRESS) is None


# --- the session itself ---


def session() -> Session:
    made = Session(SessionId(bytes(8)), NOW, dialled=True)
    made.opened(hello(Role.HUB, Lane.EXPRESS))
    return made


def test_nothing_is_put_before_both_have_greeted() -> None:
    assert not Session(SessionId(bytes(8)), NOW, dialled=True).may_put(0)


def test_credit_by_messages_and_by_bytes() -> None:
    made = session()
    assert made.may_put(1_000)
    assert not made.may_put(1_001)
    for _ in range(10):
        assert made.may_put(1)
        made.spend(1)
    assert not made.may_put(1)
    made.allow(Credit(bytes(8), 11, 0))
    assert made.may_put(1), "a total never shrinks"
    made.spend(1)
    made.allow(Credit(bytes(8), 3, 3))
    assert not made.may_put(1)


def test_more_than_was_granted_is_not_taken() -> None:
    made = session()
    assert all(made.take(1) for _ in range(WINDOW_MESSAGES))
    assert not made.take(1)
    made = session()
    assert made.take(WINDOW_BYTES)
    assert not made.take(1)


def test_a_new_total_once_half_is_used() -> None:
    made = session()
    for _ in range(WINDOW_MESSAGES // 2):
        made.take(1)
    assert made.grant() is None
    made.take(1)
    granted = made.grant()
    assert granted is not None
    assert granted.total_messages == WINDOW_MESSAGES + WINDOW_MESSAGES // 2 + 1
    assert made.grant() is None


@pytest.mark.parametrize(
    ("after", "idle", "silent"),
    [(0, False, False), (LINK_IDLE_MS - 1, False, False), (LINK_IDLE_MS, True, False), (LINK_SILENT_MS, True, True)],
)
def test_idle_and_silent(after: int, idle: bool, silent: bool) -> None:
    made = session()
    assert (made.is_idle(later(after)), made.is_silent(later(after))) == (idle, silent)
    made.heard(later(after))
    made.said(later(after))
    assert (made.is_idle(later(after)), made.is_silent(later(after))) == (False, False)
