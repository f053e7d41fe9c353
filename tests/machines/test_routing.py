"""Where an envelope goes next, as a table."""

from __future__ import annotations

import pytest
from tests.keys.repository import Repository

from i247_hub.neighbours import Ways
from i247_hub.records import Hop
from i247_hub.routing import next_hop
from i247_protocol.names import HubName, MemberCode

HOMES = {"AA": ("lyon",), "BB": ("singapore", "lyon"), "CC": ("buenos-aires", "singapore"), "XP": ("lyon",), "DD": ()}
HUBS = ("buenos-aires", "lyon", "singapore")
DIRECTORY = Repository(("AA", "BB", "CC", "DD", "XP"), hubs=HUBS, homes=HOMES).trust.directory


@pytest.mark.parametrize(
    ("me", "member", "reachable", "place"),
    [
        ("lyon", "AA", HUBS, "AA"),
        ("lyon", "AA", (), "AA"),
        ("singapore", "AA", HUBS, "lyon"),
        ("singapore", "AA", (), "lyon"),  # waits for it
        ("lyon", "BB", HUBS, "BB"),  # its second home is one too
        ("singapore", "BB", (), "BB"),
        ("buenos-aires", "BB", HUBS, "singapore"),
        ("buenos-aires", "BB", ("lyon",), "lyon"),
        ("buenos-aires", "BB", (), "singapore"),
        ("lyon", "CC", ("singapore",), "singapore"),
        ("lyon", "CC", HUBS, "buenos-aires"),
        ("lyon", "DD", HUBS, None),
        ("lyon", "QX", HUBS, None),
    ],
)
def test_next_place(me: str, member: str, reachable: tuple[str, ...], place: str | None) -> None:
    ways = Ways(frozenset(map(HubName, reachable)), {})
    hop = next_hop(DIRECTORY, HubName(me), MemberCode(member), ways, 0)
    assert (None if hop is None else hop.text) == place
    if hop is not None:
        assert hop == (Hop(MemberCode(hop.text), None) if hop.text.isupper() else Hop(None, HubName(hop.text)))


@pytest.mark.parametrize(
    ("reached", "by", "hops", "place"),
    [
        (("singapore",), {"singapore": ("lyon",)}, 0, "singapore"),
        (("singapore",), {"singapore": ("lyon",)}, 1, "lyon"),  # it came from a hub: no second detour, it waits
        (("singapore",), {}, 0, "lyon"),
        ((), {"singapore": ("lyon",)}, 0, "lyon"),  # whom it says that it reached, before it was lost
        (("lyon", "singapore"), {"singapore": ("lyon",)}, 0, "lyon"),
    ],
)
def test_a_way_round(reached: tuple[str, ...], by: dict[str, tuple[str, ...]], hops: int, place: str) -> None:
    told = {HubName(hub): frozenset(map(HubName, hubs)) for hub, hubs in by.items()}
    ways = Ways(frozenset(map(HubName, reached)), told)
    hop = next_hop(DIRECTORY, HubName("buenos-aires"), MemberCode("AA"), ways, hops)
    assert hop == Hop(None, HubName(place))
