"""Show what the door answers to each kind of request, without a network."""

from collections.abc import Iterator

import pytest
import zmq

from i247_edges.door import DOMAIN, VISITS_A_MINUTE_MAX, Door
from i247_protocol.errors import WorldFault

MEMBER, OTHER, STRANGER = (bytes([n]) * 32 for n in (0, 1, 2))


@pytest.fixture
def door() -> Iterator[Door]:
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    one = Door(context)
    one.admit(frozenset({MEMBER, OTHER}))
    yield one
    one.close()
    context.destroy(linger=0)


def request(
    *credentials: bytes, version: bytes = b"1.0", domain: bytes = DOMAIN, mechanism: bytes = b"CURVE"
) -> list[bytes]:
    return [version, b"7", domain, b"127.0.0.1", b"", mechanism, *credentials]


def test_an_admitted_key_is_let_in_under_its_name(door: Door) -> None:
    verdict = door.verdict(request(MEMBER))
    assert (verdict.status, bytes.fromhex(verdict.user.decode())) == (b"200", MEMBER)


@pytest.mark.parametrize(
    ("asked", "counter"),
    [
        pytest.param(request(STRANGER), "door.refused.stranger", id="unknown key"),
        pytest.param(request(b""), "door.refused.stranger", id="empty key"),
        pytest.param(request(MEMBER + b"\0"), "door.refused.stranger", id="longer key"),
        pytest.param(request(), "door.refused.malformed", id="no key"),
        pytest.param(request(MEMBER, MEMBER), "door.refused.malformed", id="two keys"),
        pytest.param(request(mechanism=b"NULL"), "door.refused.malformed", id="no mechanism"),
        pytest.param(request(MEMBER, b"x", mechanism=b"PLAIN"), "door.refused.malformed", id="PLAIN"),
        pytest.param(request(MEMBER, mechanism=b"GSSAPI"), "door.refused.malformed", id="GSSAPI"),
        pytest.param(request(MEMBER, domain=b""), "door.refused.malformed", id="no domain"),
        pytest.param(request(MEMBER, domain=b"*"), "door.refused.malformed", id="any domain"),
        pytest.param(request(MEMBER, version=b"2.0"), "door.refused.malformed", id="unknown version"),
    ],
)
def test_everybody_else_is_refused_and_counted(door: Door, asked: list[bytes], counter: str) -> None:
    verdict = door.verdict(asked)
    assert (verdict.status, verdict.user, verdict.counter) == (b"400", b"", counter)


def test_a_revoked_key_is_refused(door: Door) -> None:
    door.admit(frozenset({OTHER}))
    assert door.verdict(request(MEMBER)).counter == "door.refused.stranger"


def test_too_many_visits_of_one_key_hinder_no_other(door: Door) -> None:
    # Twice the bound and one more: whenever a new minute begins meanwhile, the bound is passed in one of the two.
    counters = [door.verdict(request(MEMBER)).counter for _ in range(2 * VISITS_A_MINUTE_MAX + 1)]
    assert "door.refused.too-often" in counters
    assert door.verdict(request(OTHER)).status == b"200"


def test_a_door_that_is_not_open_is_no_door(door: Door) -> None:
    with pytest.raises(WorldFault):
        door.check()
    door.open()
    door.check()
