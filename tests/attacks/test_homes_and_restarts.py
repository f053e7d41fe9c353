"""P3, P4, P5: members with two homes, hubs and nodes that stop at the worst moment, slow registers."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.attacks.forgery import check_house, entries_of
from tests.world import World

from i247_node.commands import ConversationMoved, DeliveryMoved, LookUp, LookupFinished
from i247_node.policy import parse_policy
from i247_node.records import ConversationState, DeliveryState
from i247_node.registers import Finding, MemoryRegister, Record, Registers
from i247_protocol.errors import WorldFault
from i247_protocol.priority import Priority
from i247_protocol.queries import Criteria, Status, TravelDocument
from i247_protocol.reasons import Reason
from i247_protocol.statement import Act

TWO_HOMES = {"FR": ("lyon", "singapore"), "SG": ("singapore", "lyon"), "BR": ("lyon",), "XP": ("lyon",)}


@pytest.fixture
def two(disk: Path) -> World:
    made = World(81, homes=TWO_HOMES, folder=disk)
    made.start_all()
    return made


# --- two homes ---


def test_when_the_first_hub_dies_mail_goes_by_the_second(two: World) -> None:
    two.stop("lyon")
    two.run(1_000)
    for n in range(10):
        two.write("FR", "SG", "s", f"{n}")
        two.write("SG", "FR", "s", f"{n}")
    two.run(10_000)
    assert len(entries_of(two, "SG", Act.CORRESPONDENCE)) == 10
    assert len(entries_of(two, "FR", Act.CORRESPONDENCE)) == 10


@pytest.mark.parametrize("silent", [False, True])
def test_when_it_dies_in_mid_sentence_nothing_comes_twice(two: World, silent: bool) -> None:
    """Killed, or cut off without a word, with envelopes on the way, in custody and unanswered."""
    for n in range(60):
        two.write("FR", "SG", "s", f"{n}", (Priority.URGENT, Priority.BULK)[n % 2])
        two.write("SG", "FR", "s", f"{n}", (Priority.URGENT, Priority.BULK)[n % 2])
        two.run(3)
    if silent:
        two.cut.update(frozenset(("lyon", other)) for other in ("FR", "SG", "singapore"))
    else:
        two.stop("lyon")
    two.run(60_000)
    if not silent:
        assert len(entries_of(two, "SG", Act.CORRESPONDENCE)) == 60
    two.cut.clear()
    two.hang_up("lyon") if silent else two.start_hub("lyon")
    two.run(16 * 60_000)
    for code in ("FR", "SG"):
        assert len(entries_of(two, code, Act.CORRESPONDENCE)) == 60
        assert [one.state for one in two.news(code, DeliveryMoved)] == [DeliveryState.DELIVERED] * 60
    check_house(two)


def test_a_hub_that_never_comes_back_costs_nothing_to_who_has_another(two: World) -> None:
    """Its disk is lost with everything that it had custody of."""
    two.stop("SG")
    two.write("FR", "SG", "s", "t")
    two.run(2_000)
    two.stop("lyon")
    two.lose_disk("lyon")
    two.run(1_000)
    two.start_node("SG")
    two.run(120_000)
    assert len(entries_of(two, "SG")) == 1
    assert [one.state for one in two.news("FR", DeliveryMoved)] == [DeliveryState.DELIVERED]


# --- restarts ---


def test_a_hub_that_restarts_delivers_its_mailboxes_in_order(disk: Path) -> None:
    world = World(82, folder=disk)
    world.start_all()
    world.stop("BR")
    for n in range(300):
        world.write("FR", "BR", "s", f"{n}")
        world.run(5)
    world.run(2_000)
    world.stop("lyon")
    world.run(1_000)
    world.start_hub("lyon")
    world.start_node("BR")
    world.run(10_000)
    texts = [entry.n for entry in entries_of(world, "BR")]
    assert len(texts) == 300
    ids = [entry.id for entry in entries_of(world, "BR")]
    sent = [message.id for n in range(1, 301) if (message := world.node_store("FR").outgoing(n)) is not None]
    assert ids == sent, "first in, first out"


def test_a_node_that_restarts_goes_on_with_queued_in_custody_and_unanswered(disk: Path) -> None:
    world = World(83, folder=disk)
    world.start_all()
    world.stop("SG")
    world.ask("FR", "SG", "sltd", "N1", within_ms=600_000)
    world.write("FR", "SG", "s", "in custody")
    world.run(2_000)
    world.stop("lyon")
    world.write("FR", "SG", "s", "queued")
    world.ask("FR", "SG", "sltd", "N2", within_ms=30_000)
    world.run(200)
    world.stop("FR")
    world.run(5_000)
    for name in ("lyon",):
        world.start_hub(name)
    world.start_node("FR")
    world.run(1_000)
    open_ones = world.node_store("FR").open_conversations()
    assert [one.register for one in open_ones] == ["sltd", "sltd"]
    world.start_node("SG")
    world.run(60_000)
    assert len(entries_of(world, "SG", Act.CORRESPONDENCE)) == 2
    moved = world.news("FR", ConversationMoved)
    assert sorted(one.state for one in moved) == [ConversationState.REFUSED] * 2
    assert world.node_store("FR").open_conversations() == []
    check_house(world)


def test_a_question_ends_at_its_time_though_the_node_slept_through_it(disk: Path) -> None:
    world = World(84, folder=disk)
    world.start_all()
    world.stop("SG")
    world.ask("FR", "SG", "sltd", "N1", within_ms=30_000)
    world.run(500)
    world.stop("FR")
    world.run(120_000)
    world.start_node("FR")
    world.run(2_000)
    assert [one.state for one in world.news("FR", ConversationMoved)] == [ConversationState.EXPIRED]
    assert [one.state for one in world.news("FR", DeliveryMoved)] == [DeliveryState.EXPIRED]


def test_a_node_killed_after_each_turn(disk: Path) -> None:
    """SG dies again and again while FR writes; what was said to be taken is there at the end, once."""
    world = World(85, folder=disk)
    world.start_all()
    for n in range(40):
        world.write("FR", "SG", "s", f"{n}", Priority.URGENT)
        world.run(17 + n)
        world.stop("SG")
        world.start_node("SG")
    world.run(60_000)
    assert len(entries_of(world, "SG")) == 40
    assert [one.state for one in world.news("FR", DeliveryMoved)] == [DeliveryState.DELIVERED] * 40
    check_house(world)


# --- slow registers ---


class SlowRegister:
    """A register that is asked off the loop."""

    name = "sltd"
    is_immediate = False

    def look_up(self, criteria: Criteria) -> Finding:
        raise WorldFault("looking up", "the loop must not do that")


FOUND = Record(
    record="SLTD-1",
    subject=TravelDocument(country="UTO", number="L898902C3", type="P"),
    owner="UT",
    action="Seize.",
    fields={},
)


@pytest.fixture
def slow(disk: Path) -> World:
    made = World(86, folder=disk)
    made.registers["SG"] = Registers([SlowRegister()])
    made.policies["SG"] = parse_policy({"registers": {"sltd": {"open_to": "all"}}})
    made.start_all()
    return made


def finish(world: World, look_up: LookUp) -> None:
    finding = MemoryRegister("sltd", [FOUND]).look_up(look_up.criteria)
    world.command("SG", LookupFinished(look_up.entry, finding))  # type: ignore[arg-type]


def test_a_slow_register_is_asked_once_and_answers_when_it_does(slow: World) -> None:
    slow.ask("FR", "SG", "sltd", "L898902C3", within_ms=600_000)
    slow.run(60_000)
    (look_up,) = slow.news("SG", LookUp)
    assert slow.news("FR", ConversationMoved) == []
    finish(slow, look_up)
    finish(slow, look_up)
    slow.run(5_000)
    assert [one.reply.status for one in slow.news("FR", ConversationMoved) if one.reply] == [Status.HIT]
    assert len(entries_of(slow, "FR", Act.REPLY)) == 1
    assert list(slow.node_store("SG").answers_owed()) == []


def test_after_a_restart_it_is_asked_again(slow: World) -> None:
    for n in range(3):
        slow.ask("FR", "SG", "sltd", f"N{n}", within_ms=600_000)
    slow.ask("FR", "SG", "sltd", "late", within_ms=30_000)
    slow.run(2_000)
    assert len(slow.news("SG", LookUp)) == 4
    slow.stop("SG")
    slow.run(100_000)
    slow.start_node("SG")
    slow.run(1_000)
    again = slow.news("SG", LookUp)
    assert len(again) == 3, "the fourth's time is over"
    for look_up in again:
        finish(slow, look_up)
    slow.run(5_000)
    moved = slow.news("FR", ConversationMoved)
    assert sorted(one.state for one in moved) == [ConversationState.ANSWERED] * 3 + [ConversationState.EXPIRED]


def test_a_result_for_no_question(slow: World) -> None:
    finish(slow, LookUp(99, "sltd", FOUND.subject))
    slow.run(1_000)
    assert slow.total("SG", "answered.hit") == 0


def test_an_immediate_register_that_fails_is_unavailable(disk: Path) -> None:
    class Broken(SlowRegister):
        is_immediate = True

    world = World(87, folder=disk)
    world.registers["SG"] = Registers([Broken()])
    world.policies["SG"] = parse_policy({"registers": {"sltd": {"open_to": "all"}}})
    world.start_all()
    world.ask("FR", "SG", "sltd", "N1")
    world.run(3_000)
    (moved,) = world.news("FR", ConversationMoved)
    assert moved.reply is not None
    assert (moved.reply.status, moved.reply.reason) == (Status.UNAVAILABLE, Reason.REGISTER_UNAVAILABLE.value)
