"""A hub dies, or the connection between two: mail finds another way, and nothing is lost or comes twice."""

from collections.abc import Iterable

import pytest
from tests.attacks.forgery import check_house, entries_of
from tests.world import World

from i247_node.commands import DeliveryMoved
from i247_node.records import DeliveryState
from i247_protocol.frames import Put, Reach, Role, parse_frame
from i247_protocol.priority import Priority

HUBS = ("lyon", "quito", "singapore")
HOMES = {"FR": ("lyon", "quito"), "SG": ("singapore", "quito"), "BR": ("quito",), "XP": ("lyon",)}


def world_of(seed: int, homes: dict[str, tuple[str, ...]] | None = None) -> World:
    world = World(seed, homes=homes or HOMES, hubs=HUBS)
    world.start_all()
    world.run(3_000)
    return world


def cut(world: World, *pairs: tuple[str, str]) -> None:
    """Let nothing through between two hubs, in either direction."""
    gone = {frozenset(pair) for pair in pairs}

    def meddle(sender: str, receiver: str, data: bytes) -> Iterable[bytes]:
        return () if frozenset((sender, receiver)) in gone else (data,)

    world.meddle = meddle


def puts(world: World, sender: str, receiver: str, since: int = 0) -> int:
    frames = world.sent(sender, receiver, Put, since=since)
    return sum(len(frame.parcels) for frame in frames if isinstance(frame, Put))


@pytest.mark.parametrize("prio", [Priority.URGENT, Priority.ROUTINE])
def test_new_mail_goes_by_the_next_home_when_a_hub_dies(prio: Priority) -> None:
    world = world_of(1)
    world.stop("singapore")
    world.write("FR", "SG", "s", "t", prio)
    world.run(5_000)
    assert len(entries_of(world, "SG")) == 1
    check_house(world)


def test_what_waited_for_a_dead_hub_takes_another_way() -> None:
    """It was on the way to the hub when that died, without custody."""
    world = world_of(2)
    cut(world, ("lyon", "singapore"))
    for n in range(20):
        world.write("FR", "SG", "s", f"{n}", Priority.URGENT)
    world.run(200)
    world.stop("singapore")
    world.run(20_000)
    assert len(entries_of(world, "SG")) == 20
    world.meddle = lambda sender, receiver, data: (data,)
    world.start_hub("singapore")
    world.run(60_000)
    assert len(entries_of(world, "SG")) == 20
    check_house(world)


def test_what_lies_in_a_dead_hub_arrives_when_it_returns_and_once() -> None:
    world = world_of(3)
    world.stop("SG")
    for n in range(20):
        world.write("FR", "SG", "s", f"{n}")
    world.run(3_000)
    world.stop("singapore")
    world.start_node("SG")
    world.write("FR", "SG", "s", "new", Priority.URGENT)
    world.run(5_000)
    assert len(entries_of(world, "SG")) == 1, "the new one goes by the other home"
    world.start_hub("singapore")
    world.run(60_000)
    assert len(entries_of(world, "SG")) == 21
    check_house(world)


def test_a_dead_connection_between_two_hubs_is_gone_round() -> None:
    """SG has one home; lyon does not reach it, quito does."""
    world = world_of(4, {**HOMES, "SG": ("singapore",), "FR": ("lyon",)})
    cut(world, ("lyon", "singapore"))
    world.run(40_000)
    since = len(world.frames)
    world.write("FR", "SG", "s", "t", Priority.URGENT)
    world.run(3_000)
    assert len(entries_of(world, "SG")) == 1
    assert puts(world, "lyon", "quito", since) == 1
    assert puts(world, "quito", "singapore", since) == 1
    check_house(world)


def test_what_nobody_reaches_waits_and_goes_in_no_circle() -> None:
    world = world_of(5, {**HOMES, "SG": ("singapore",), "FR": ("lyon",)})
    cut(world, ("lyon", "singapore"), ("quito", "singapore"))
    world.run(40_000)
    since = len(world.frames)
    for n in range(5):
        world.write("FR", "SG", "s", f"{n}", Priority.URGENT)
    world.run(120_000)
    assert puts(world, "lyon", "quito", since) == puts(world, "quito", "lyon", since) == 0
    world.meddle = lambda sender, receiver, data: (data,)
    world.run(60_000)
    assert len(entries_of(world, "SG")) == 5
    check_house(world)


def test_a_hub_that_claims_to_reach_everybody_gets_no_mail_twice_and_loses_none() -> None:
    """Quito lies that it reaches singapore; what it cannot hand on waits there, and the author asks after it."""
    world = world_of(6, {**HOMES, "SG": ("singapore",), "FR": ("lyon",)})

    def meddle(sender: str, receiver: str, data: bytes) -> Iterable[bytes]:
        if frozenset((sender, receiver)) in ({"lyon", "singapore"}, {"quito", "singapore"}):
            return ()
        return (data,)

    world.meddle = meddle
    world.run(40_000)
    voice = world.voice("lyon", "quito")
    voice.greet(Role.HUB)
    voice.say(Reach(voice.session, ("lyon", "singapore")))
    world.run(100)
    for n in range(5):
        world.write("FR", "SG", "s", f"{n}", Priority.URGENT)
    world.run(60_000)
    world.meddle = lambda sender, receiver, data: (data,)
    world.run(120_000)
    assert len(entries_of(world, "SG")) == 5
    check_house(world)


def test_what_a_lost_hub_had_taken_is_given_to_another() -> None:
    """It never comes back, and its disk is gone: that costs delay, and no message."""
    world = world_of(7, {**HOMES, "SG": ("quito",)})
    world.stop("SG")
    for n in range(10):
        world.write("FR", "SG", "s", f"{n}", Priority.URGENT if n % 2 else Priority.ROUTINE)
    cut(world, ("lyon", "quito"))
    world.run(2_000)
    world.stop("lyon")
    world.lose_disk("lyon")
    world.start_node("SG")
    world.run(300_000)
    assert len(entries_of(world, "SG")) == 10
    states = [one.state for one in world.news("FR", DeliveryMoved)]
    assert states == [DeliveryState.DELIVERED] * 10


def test_hubs_tell_whom_they_reach_when_that_changes() -> None:
    world = world_of(8)
    since = len(world.frames)
    world.run(30_000)
    said = [data for _, _, data in world.frames[since:] if isinstance(parse_frame(data), Reach)]
    assert said == [], "nothing has changed"
    world.stop("singapore")
    world.run(1_000)
    heard = [parse_frame(data) for sender, receiver, data in world.frames[since:] if receiver == "quito"]
    assert [frame.hubs for frame in heard if isinstance(frame, Reach)] == [("quito",)]
