"""Look up members and hubs, and refuse what no roster may say."""

from hashlib import blake2b
from string import ascii_uppercase as LETTERS  # noqa: N812
from string import digits as DIGITS  # noqa: N812
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.keys.repository import CODES, START, Repository, key, link

from i247_keys.documents import Document
from i247_keys.pulse import log_root, parse_pulse
from i247_keys.request import parse_hub_request, parse_request
from i247_keys.roster import Directory, RetiredKey, State, encode_roster, parse_roster
from i247_protocol.errors import PeerFault
from i247_protocol.limits import DOCUMENT_BYTES_MAX, EMERGENCY_MS, HOMES_MAX, MEMBERS_MAX, ROSTER_LIFETIME_MS
from i247_protocol.names import HubName, MemberCode, WallMs
from i247_protocol.reasons import Reason

REPO = Repository()
ROSTER = parse_roster(REPO.roster.p)
DIRECTORY = Directory(ROSTER)
FIRST = ROSTER.members[0]


def test_everybody_is_found_by_name_and_by_link() -> None:
    for code in CODES:
        row = DIRECTORY.member(MemberCode(code))
        assert row is not None
        assert DIRECTORY.member_by_link(row.link) is row
        assert DIRECTORY.hub_by_link(row.link) is None
        assert DIRECTORY.verifying_keys(MemberCode(code), START) == (key(code).public,)
    for name in ("hub-1", "hub-2"):
        hub = DIRECTORY.hub(HubName(name))
        assert hub is not None
        assert DIRECTORY.hub_by_link(hub.link) is hub
        assert DIRECTORY.member_by_link(hub.link) is None
        assert DIRECTORY.hub_verifying_keys(HubName(name), START) == (key(name).public,)


def test_a_stranger_is_nobody() -> None:
    assert DIRECTORY.member(MemberCode("QQ")) is None
    assert DIRECTORY.state_of(MemberCode("QQ"), START) is None
    assert DIRECTORY.verifying_keys(MemberCode("QQ"), START) == ()
    assert DIRECTORY.hub(HubName("nowhere")) is None
    assert DIRECTORY.hub_verifying_keys(HubName("nowhere"), START) == ()
    assert DIRECTORY.member_by_link(link("stranger")) is None


@pytest.mark.parametrize(
    ("changed", "at", "state"),
    [
        ({}, 0, State.ACTIVE),
        ({"state": State.SUSPENDED}, 10**9, State.SUSPENDED),
        ({"state": State.SUSPENDED, "until": START + EMERGENCY_MS}, EMERGENCY_MS - 1, State.SUSPENDED),
        ({"state": State.SUSPENDED, "until": START + EMERGENCY_MS}, EMERGENCY_MS, State.ACTIVE),
        ({"state": State.SUSPENDED, "until": START + 5}, 10**9, State.SUSPENDED),
        ({"state": State.LEFT, "until": START + EMERGENCY_MS}, EMERGENCY_MS, State.LEFT),
        ({"until": START + 5}, 0, State.ACTIVE),
    ],
)
def test_only_an_emergency_suspension_lapses(changed: dict[str, Any], at: int, state: State) -> None:
    assert msgspec.structs.replace(FIRST, **changed).state_at(START + at) is state


@pytest.mark.parametrize(
    "changed",
    [
        {"version": 0},
        {"version": 2},
        {"previous": b"\0" * 32},
        {"charter": 0},
        {"exp": ROSTER.iat},
        {"members": ROSTER.members[::-1]},
        {"members": (*ROSTER.members, ROSTER.members[-1])},
        {"hubs": ROSTER.hubs[::-1]},
        {"decisions": (b"short",)},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_what_no_roster_may_say(changed: dict[str, Any]) -> None:
    with pytest.raises(PeerFault, match=Reason.MALFORMED):
        encode_roster(msgspec.structs.replace(ROSTER, **changed))


def crowd(members: int) -> tuple[Any, ...]:
    """Return so many rows, each with the most homes and a long name."""
    codes = sorted(f"{one}{other}" for one in LETTERS for other in LETTERS + DIGITS)[: members - 100]
    codes += [f"{one}{other}" for one in DIGITS for other in LETTERS][: members - len(codes)]
    homes = tuple(HubName(f"hub-{n}-of-a-long-name-indeed-{n:02}") for n in range(HOMES_MAX))
    return tuple(
        msgspec.structs.replace(
            FIRST,
            code=code,
            names={"en": "x" * 100},
            identity=blake2b(code.encode(), digest_size=32).digest(),
            link=blake2b(code.encode(), digest_size=32, person=b"link").digest(),
            homes=homes,
        )
        for code in sorted(codes)
    )


def test_a_roster_holds_a_thousand_members_and_stays_a_document() -> None:
    data = encode_roster(msgspec.structs.replace(ROSTER, members=crowd(MEMBERS_MAX)))
    assert len(data) < DOCUMENT_BYTES_MAX
    assert len(parse_roster(data).members) == MEMBERS_MAX
    with pytest.raises(PeerFault, match=Reason.MALFORMED):
        encode_roster(msgspec.structs.replace(ROSTER, members=crowd(MEMBERS_MAX + 1)))


@pytest.mark.parametrize(
    "changed",
    [
        {"code": "A"},
        {"code": "00"},
        {"names": {}},
        {"names": {"en": ""}},
        {"names": {"en": "line\nbreak"}},
        {"names": {"en": "x" * 257}},
        {"names": {"EN": "x"}},
        {"identity": b"short"},
        {"identity": key("BB").public},
        {"identity": key("hub-1").public},
        {"link": link("BB")},
        {"link": link("hub-1")},
        {"retired": (RetiredKey(key("BB").public, 5),)},
        {"retired": (RetiredKey(key("old").public, 5),) * 2},
        {"retired": (RetiredKey(key("old").public, -5),)},
        {"homes": ("hub-1", "hub-1")},
        {"homes": ("Hub 1",)},
        {"homes": tuple(f"hub-{n}" for n in range(9))},
        {"since": -1},
        {"until": -1},
    ],
    ids=str,
)
def test_what_no_row_may_say(changed: dict[str, Any]) -> None:
    row = msgspec.structs.replace(FIRST, **changed)
    with pytest.raises(PeerFault, match=Reason.MALFORMED):
        encode_roster(msgspec.structs.replace(ROSTER, members=(row, *ROSTER.members[1:])))


@pytest.mark.parametrize(
    "changed",
    [{"name": "9"}, {"region": ""}, {"endpoints": ()}, {"endpoints": ("a",) * 9}, {"endpoints": ("",)}, {"link": b""}],
    ids=str,
)
def test_what_no_hub_may_say(changed: dict[str, Any]) -> None:
    row = msgspec.structs.replace(ROSTER.hubs[0], **changed)
    with pytest.raises(PeerFault, match=Reason.MALFORMED):
        encode_roster(msgspec.structs.replace(ROSTER, hubs=(row, ROSTER.hubs[1])))


def test_a_roster_lives_30_days_at_most() -> None:
    with pytest.raises(PeerFault, match=Reason.LIFETIME_TOO_LONG):
        encode_roster(msgspec.structs.replace(ROSTER, exp=ROSTER.iat + ROSTER_LIFETIME_MS + 1))


# RFC 9162's own algorithm gives these for the leaves of RFC 6962's test suite.
@pytest.mark.parametrize(
    ("leaves", "root"),
    [
        ([], "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        ([""], "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"),
        (["", "00"], "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"),
        (["", "00", "10"], "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77"),
        (
            ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"],
            "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
        ),
    ],
    ids=lambda value: str(len(value)) if isinstance(value, list) else "",
)
def test_log_roots_are_those_of_the_rfc(leaves: list[str], root: str) -> None:
    assert log_root([bytes.fromhex(leaf) for leaf in leaves]).hex() == root


@given(st.lists(st.binary(max_size=4), min_size=1, max_size=40))
def test_log_roots_follow_the_recursive_definition(leaves: list[bytes]) -> None:
    assert log_root(leaves) == _root(leaves)


def _root(leaves: list[bytes]) -> bytes:
    if len(leaves) == 1:
        return log_root(leaves)
    split = 1 << ((len(leaves) - 1).bit_length() - 1)
    return _node(_root(leaves[:split]), _root(leaves[split:]))


def _node(left: bytes, right: bytes) -> bytes:
    import hashlib  # noqa: PLC0415  only the oracle needs it

    return hashlib.sha256(b"\x01" + left + right).digest()


@given(st.binary(max_size=200))
def test_any_bytes_are_the_peers_fault(data: bytes) -> None:
    document = Document(data, [])
    for parse in (parse_roster, parse_pulse):
        with pytest.raises(PeerFault):
            parse(data)
    for parse_signed in (parse_request, parse_hub_request):
        with pytest.raises(PeerFault):
            parse_signed(document)


def test_lookups_do_not_search() -> None:
    wall = WallMs(START)
    assert DIRECTORY.member(FIRST.code) is FIRST
    assert DIRECTORY.state_of(FIRST.code, wall) is State.ACTIVE
