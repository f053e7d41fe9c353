"""P3: kill -9 in the very moment after something was said; what was said must be there at the next start."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.attacks.forgery import check_house, entries_of
from tests.world import World

from i247_node.commands import Accepted
from i247_protocol.digests import envelope_id
from i247_protocol.frames import Custody, Frame, Put, Taken, parse_frame
from i247_protocol.names import EnvelopeId
from i247_protocol.priority import Priority


@pytest.fixture
def world(disk: Path) -> World:
    made = World(101, folder=disk)
    made.start_all()
    return made


def run_until(world: World, speaker: str, kind: type[Frame], ms: int = 3_000) -> Frame | None:
    """Let time pass by the millisecond until somebody has said something; return it."""
    before = len(world.frames)
    for _ in range(ms):
        world.run(1)
        said = [data for sender, _, data in world.frames[before:] if sender == speaker]
        for frame in map(parse_frame, said):
            if isinstance(frame, kind):
                return frame
    return None


def pairs(frame: Frame | None) -> Iterator[Taken]:
    assert isinstance(frame, Custody)
    yield from frame.taken


@pytest.mark.parametrize("prio", [Priority.URGENT, Priority.BULK])
def test_a_node_that_gave_custody_has_it(world: World, prio: Priority) -> None:
    for n in range(1, 11):
        world.write("FR", "SG", "s", f"{n}", prio)
        assert run_until(world, "SG", Custody) is not None
        world.stop("SG")
        world.start_node("SG")
        assert len(entries_of(world, "SG")) == n
        world.run(1_000)
    check_house(world)


@pytest.mark.parametrize("hub", ["lyon", "singapore"])
def test_a_hub_that_gave_custody_has_it(world: World, hub: str) -> None:
    """As long as the next place has not said so in its turn."""
    world.stop("SG")
    if hub == "lyon":
        world.stop("singapore")
    world.run(500)
    for n in range(10):
        world.write("FR", "SG", "s", f"{n}", Priority.URGENT)
        said = list(pairs(run_until(world, hub, Custody)))
        world.stop(hub)
        world.start_hub(hub)
        for pair in said:
            assert world.hub_store(hub).held(EnvelopeId(pair.envelope)) != []
        world.run(3_000)
    if hub == "lyon":
        world.start_hub("singapore")
    world.start_node("SG")
    world.run(120_000)
    assert len(entries_of(world, "SG")) == 10


def test_a_node_that_accepted_a_message_has_it(world: World) -> None:
    """Killed before another millisecond has passed."""
    sayings: list[Callable[[], int]] = [
        lambda: world.write("FR", "SG", "s", "t"),
        lambda: world.ask("FR", "SG", "sltd", "N1"),
        lambda: world.write("FR", "BR", "s", "t", Priority.BULK),
    ]
    for n, say in enumerate(sayings, 1):
        say()
        (accepted,) = world.news("FR", Accepted)
        world.stop("FR")
        world.start_node("FR")
        message = world.node_store("FR").outgoing(n)
        assert message is not None
        assert message.id == accepted.id


def test_a_node_that_put_has_what_it_put(world: World) -> None:
    """Otherwise its receipt would be for something that its author does not know."""
    world.write("FR", "SG", "s", "t", Priority.URGENT)
    world.stop("FR")
    world.start_node("FR")
    world.run(200)
    puts = [one for frame in world.sent("FR", "lyon", Put) if isinstance(frame, Put) for one in frame.parcels]
    assert puts
    assert world.node_store("FR").outgoing(1) is not None
    world.run(30_000)
    assert len(entries_of(world, "SG")) == 1
    assert len({envelope_id(one.header, one.body) for one in puts}) >= 1
