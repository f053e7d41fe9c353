"""Somebody sets a clock wrong, while the program runs: nothing is signed by it, and nothing is lost by it."""

import pytest
from tests.attacks.forgery import DAY_MS, HOUR_MS, check_house, entries_of
from tests.world import World

from i247_node.commands import Accepted, Declined, DeliveryMoved
from i247_node.records import DeliveryState
from i247_protocol.priority import Priority
from i247_protocol.statement import Act

HOMES = {"FR": ("lyon", "quito"), "SG": ("singapore", "quito"), "BR": ("quito",), "XP": ("lyon",)}
AHEAD, BEHIND = 30 * DAY_MS, -30 * DAY_MS


def world_of(seed: int) -> World:
    world = World(seed, homes=HOMES, hubs=("lyon", "quito", "singapore"))
    world.start_all()
    world.run(3_000)
    return world


@pytest.mark.parametrize("step", [AHEAD, BEHIND, HOUR_MS, -HOUR_MS])
def test_a_node_whose_clock_is_set_in_the_midst_of_a_session_signs_nothing(step: int) -> None:
    world = world_of(1)
    world.wall_steps["FR"] = step
    world.write("FR", "SG", "s", "t")
    assert len(world.news("FR", Declined)) == 1
    world.wall_steps["FR"] = 0
    world.write("FR", "SG", "s", "t")
    world.run(5_000)
    assert len(world.news("FR", Accepted)) == len(entries_of(world, "SG")) == 1


@pytest.mark.parametrize("step", [AHEAD, BEHIND])
def test_a_nodes_wrong_clock_ends_no_delivery_and_drops_no_key(step: int) -> None:
    world = world_of(2)
    world.stop("SG")
    world.write("FR", "SG", "s", "t")
    world.run(1_000)
    keyring = world.node_store("FR").keyring()
    world.wall_steps["FR"] = step
    world.run(3 * 60_000)
    assert world.news("FR", DeliveryMoved) == []
    assert world.node_store("FR").keyring() == keyring
    world.write("BR", "FR", "s", "t")
    world.run(10_000)
    assert entries_of(world, "FR") == [], "what has expired cannot be told, so the hub keeps all of it"
    world.wall_steps["FR"] = 0
    world.start_node("SG")
    world.run(60_000)
    assert [one.state for one in world.news("FR", DeliveryMoved)] == [DeliveryState.DELIVERED]
    assert [entry.sender for entry in entries_of(world, "FR") if entry.act is Act.CORRESPONDENCE] == ["BR"]
    check_house(world)


@pytest.mark.parametrize("step", [AHEAD, BEHIND])
@pytest.mark.parametrize("hub", ["lyon", "singapore"])
def test_a_hubs_wrong_clock_ends_no_mail(hub: str, step: int) -> None:
    """Mail that waits there, and mail that is put there meanwhile."""
    world = world_of(3)
    world.stop("SG")
    for n in range(5):
        world.write("FR", "SG", "s", f"before {n}", Priority.URGENT if n % 2 else Priority.ROUTINE)
    world.run(1_000)
    world.wall_steps[hub] = step
    for n in range(5):
        world.write("FR", "SG", "s", f"meanwhile {n}", Priority.URGENT if n % 2 else Priority.ROUTINE)
    world.run(3 * 60_000)
    assert world.news("FR", DeliveryMoved) == []
    world.wall_steps[hub] = 0
    world.start_node("SG")
    world.run(3 * 60_000)
    assert len(entries_of(world, "SG")) == 10
    assert {one.state for one in world.news("FR", DeliveryMoved)} == {DeliveryState.DELIVERED}
    check_house(world)


def test_one_hub_that_lies_about_the_time_stops_nobody() -> None:
    world = world_of(4)
    world.stop("quito")
    world.wall_steps["quito"] = AHEAD
    world.start_hub("quito")
    world.run(5_000)
    world.write("FR", "SG", "s", "t")
    world.run(5_000)
    assert len(entries_of(world, "SG")) == 1
