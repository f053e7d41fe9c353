"""A scenario in another size is still the same one: whatever names a program follows."""

from __future__ import annotations

import msgspec
import pytest

from i247_protocol.errors import CallerFault
from i247_simulations.faults import Crash, HangUp, Partition
from i247_simulations.latency import Matrix
from i247_simulations.resizing import with_hubs, with_members
from i247_simulations.scenario import Scenario, with_load, with_until
from i247_simulations.scenarios import TINY, WORLD, find_scenario
from i247_simulations.traffic import Burst, Kind, Line

LYON = find_scenario("lyon-cut-off")


def everybody(scenario: Scenario) -> set[str]:
    return {*scenario.members, *scenario.hubs}


@pytest.mark.parametrize("count", [2, 3, 8, 24, 100, 196])
def test_fewer_members_are_spread_over_all_hubs_and_keep_the_secretariat(count: int) -> None:
    fewer = with_members(WORLD, count)
    assert len(fewer.members) == count
    assert "XP" in fewer.members
    assert fewer.homes.items() <= WORLD.homes.items()
    assert len(fewer.hubs) >= (8 if count >= 24 else 2)
    rates = [one.traffic.streams[Kind.QUERY].per_hour / len(one.members) for one in (fewer, WORLD)]
    assert rates[0] == pytest.approx(rates[1], abs=1)
    assert everybody(fewer) == fewer.places.keys()


@pytest.mark.parametrize("count", [24, 60])
def test_a_cut_off_stays_one_from_everybody(count: int) -> None:
    fewer = with_members(LYON, count)
    (fault,) = fewer.faults
    assert isinstance(fault, Partition)
    assert set(fault.here) == {"lyon", "XP"}
    assert set(fault.there) == everybody(fewer) - {"lyon", "XP"}
    assert {"US", "GB", "AE"} <= set(fewer.members)


@pytest.mark.parametrize("count", [1, 3, 7, 9, 20])
def test_other_hubs_take_their_members(count: int) -> None:
    other = with_hubs(LYON, count)
    assert len(other.hubs) == count
    assert "lyon" in other.hubs
    assert other.homes.keys() == LYON.homes.keys()
    assert all(1 <= len(set(homes)) == len(homes) <= 2 for homes in other.homes.values())
    assert everybody(other) == other.places.keys()
    (fault,) = other.faults
    assert isinstance(fault, Partition)
    assert {*fault.here, *fault.there} == everybody(other)


def test_what_concerns_only_those_that_are_gone_is_left_out() -> None:
    bursts = (
        Burst(9_000, Kind.LETTER, 1, 0, "BR", ("FR",), None),
        Burst(9_000, Kind.LETTER, 1, 0, None, ("BR", "SG"), None),
    )
    lines = (Line(9_000, "SG", ("BR",), Kind.QUERY, 0), Line(9_000, "FR", (), Kind.NOTICE, 0))
    whole = msgspec.structs.replace(
        TINY,
        traffic=msgspec.structs.replace(TINY.traffic, bursts=bursts, replayed=lines),
        faults=(Crash(9_000, "BR", 5), HangUp(9_000, "lyon"), HangUp(9_000, "SG"), Crash(9_000, "FR", 5)),
    )
    fewer = with_members(whole, 3)  # too many are named to keep them all
    here = set(fewer.members)
    assert {fault for fault in fewer.faults if isinstance(fault, Crash)} == {
        fault for fault in whole.faults if isinstance(fault, Crash) and fault.program in here
    }
    assert HangUp(9_000, "lyon") in fewer.faults
    assert all(line.sender in here and here.issuperset(line.to) for line in fewer.traffic.replayed)
    assert all(here.issuperset(burst.to) for burst in fewer.traffic.bursts)
    assert len(fewer.traffic.bursts) < 2 or here == {"BR", "FR", "XP"}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda: with_members(TINY, 1), "2 to 4"),
        (lambda: with_members(WORLD, 198), "2 to 197"),
        (lambda: with_hubs(WORLD, 0), "1 to 64"),
        (lambda: with_hubs(WORLD, 65), "1 to 64"),
        (lambda: with_hubs(TINY, 7), "wherever a member is"),
        (lambda: with_hubs(msgspec.structs.replace(TINY, places={}), 3), "places"),
        (lambda: with_hubs(msgspec.structs.replace(TINY, latency=Matrix(0, {}, None)), 1), "otherwise"),
        (lambda: with_until(TINY, 8_000), "warm-up of 8s"),
        (lambda: with_until(LYON, 3_600_000), "3h15m"),
    ],
)
def test_what_cannot_be_is_told(change: object, told: str) -> None:
    with pytest.raises(CallerFault) as caught:
        change()  # type: ignore[operator]
    assert told in caught.value.hint


def test_load_multiplies() -> None:
    assert with_load(LYON, 0.5).traffic.scale == LYON.traffic.scale / 2
    assert with_load(LYON, None) is LYON
