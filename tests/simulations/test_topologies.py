"""Who is at home where, in each kind of world."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest

from i247_protocol.limits import HUBS_MAX, MEMBERS_MAX
from i247_protocol.names import SECRETARIAT, parse_hub, parse_member
from i247_simulations.latency import distance_km
from i247_simulations.resizing import with_hubs
from i247_simulations.scenarios import TINY, WORLD, find_scenario, our_names
from i247_simulations.topologies import Topology, in_ring, made_up, on_globe


@pytest.mark.parametrize("name", our_names())
def test_all_of_ours_name_members_and_hubs_as_the_protocol_does(name: str) -> None:
    scenario = find_scenario(name)
    assert scenario.name == name
    assert SECRETARIAT in scenario.homes
    assert len(scenario.members) <= MEMBERS_MAX
    assert all(parse_member(code) == code for code in scenario.members)
    assert all(parse_hub(hub) == hub for hub in scenario.hubs)
    assert {*scenario.members, *scenario.hubs} == scenario.places.keys()


def test_the_world_is_that_of_the_bureaus() -> None:
    assert len(WORLD.members) == 197
    sizes = Counter(homes[0] for homes in WORLD.homes.values())
    assert sizes == {
        "lyon": 70,
        "bangkok": 42,
        "san-salvador": 24,
        "abidjan": 16,
        "nairobi": 13,
        "buenos-aires": 12,
        "harare": 12,
        "yaounde": 8,
    }
    assert all(len(set(homes)) == 2 and "lyon" in homes for homes in WORLD.homes.values())
    assert TINY.homes == {"BR": ("lyon",), "FR": ("lyon", "singapore"), "SG": ("singapore",), "XP": ("lyon",)}


def test_two_regions_are_the_nearer_halves_of_the_world() -> None:
    scenario = find_scenario("two-regions")
    assert {code: scenario.homes[code] for code in ("FR", "US", "JP", "AU")} == {
        "FR": ("lyon",),
        "US": ("lyon",),
        "JP": ("singapore",),
        "AU": ("singapore",),
    }


@pytest.mark.parametrize(("members", "hubs", "each"), [(2, 1, 2), (7, 3, 1), (48, 8, 2), (400, 64, 3)])
def test_a_ring_has_its_homes_side_by_side(members: int, hubs: int, each: int) -> None:
    ring = in_ring(members, hubs, each)
    require_whole(ring, members, min(hubs, members))
    for homes in ring.homes.values():
        numbers = [int(hub.removeprefix("hub-")) for hub in homes]
        assert all((b - a) % hubs == 1 for a, b in pairwise(numbers))
        assert len(homes) == min(each, hubs)


@pytest.mark.parametrize(("members", "hubs", "each"), [(2, 1, 2), (60, 5, 2), (MEMBERS_MAX, 16, 2)])
def test_on_a_globe_everybody_is_at_the_nearest_hub(members: int, hubs: int, each: int) -> None:
    globe = on_globe(members, hubs, each)
    require_whole(globe, members, hubs)
    for code, homes in globe.homes.items():
        away = {hub: distance_km(globe.places[code], globe.places[hub]) for hub in globe.hubs}
        assert away[homes[0]] == min(away.values())
    sizes = Counter(homes[0] for homes in globe.homes.values())
    assert max(sizes.values()) <= 2 * min(sizes.values())


def require_whole(found: Topology, members: int, hubs: int) -> None:
    assert len(found.homes) == members
    assert SECRETARIAT in found.homes
    assert len(found.hubs) == hubs
    assert found.names <= found.places.keys()


def test_made_up_codes_are_two_letters_each_once() -> None:
    codes = made_up(MEMBERS_MAX)
    assert len(set(codes)) == MEMBERS_MAX
    assert all(code.isalpha() for code in codes[:676])
    assert codes[0] == SECRETARIAT
    assert all(parse_member(code) for code in codes)


def test_more_hubs_are_opened_where_members_are_far_from_all() -> None:
    more = with_hubs(find_scenario("one-hub"), 4)
    assert len(more.hubs) == 4
    assert "lyon" in more.hubs
    farthest = max(min(distance_km(more.places[code], more.places[hub]) for hub in more.hubs) for code in more.members)
    assert farthest < 9_000
    assert len(with_hubs(WORLD, HUBS_MAX).hubs) == HUBS_MAX
