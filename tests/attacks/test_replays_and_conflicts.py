"""P4: what comes again. Once in the inbox, acknowledged each time, and another statement under a used id is told."""

from __future__ import annotations

import pytest
from tests.attacks.forgery import (
    DAY_MS,
    LETTER,
    Pen,
    audit_of,
    check_house,
    entries_of,
    only_refused,
    parcels_in,
    refused,
)
from tests.world import World

from i247_node.commands import ConversationMoved, EntryArrived
from i247_node.policy import parse_policy
from i247_node.records import EntryState
from i247_node.registers import MemoryRegister, Registers
from i247_protocol.frames import Parcel
from i247_protocol.priority import Lane, Priority
from i247_protocol.reasons import Reason
from i247_protocol.statement import Act


@pytest.fixture
def world() -> World:
    made = World(5)
    made.registers["SG"] = Registers([MemoryRegister("sltd", [])])
    made.policies["SG"] = parse_policy({"registers": {"sltd": {"open_to": "all"}}})
    made.start_all()
    return made


def recorded(world: World) -> Parcel:
    """Let FR write to SG, and return what went over SG's link."""
    world.write("FR", "SG", "s", "t", Priority.URGENT)
    world.run(2_000)
    (parcel,) = [one for one in parcels_in(world.sent("singapore", "SG")) if len(entries_of(world, "SG")) == 1]
    return parcel


def test_replayed_in_the_same_session(world: World) -> None:
    parcel = recorded(world)
    assert Pen(world).deliver("singapore", "SG", *[parcel] * 20) == 20, "each copy is acknowledged to the hub"
    world.run(2_000)
    assert len(entries_of(world, "SG")) == 1
    only_refused(world, "SG", Reason.DUPLICATE, 20)
    check_house(world)


def test_replayed_in_a_new_session_and_on_the_other_lane(world: World) -> None:
    parcel = recorded(world)
    world.hang_up("SG")
    world.run(2_000)
    pen = Pen(world)
    assert pen.deliver("singapore", "SG", parcel) == 1
    assert pen.deliver("singapore", "SG", parcel, lane=Lane.BULK) == 1
    assert len(entries_of(world, "SG")) == 1
    assert len(world.news("SG", EntryArrived)) == 1


def test_replayed_after_a_restart(world: World) -> None:
    parcel = recorded(world)
    world.stop("SG")
    world.start_node("SG")
    world.run(2_000)
    assert Pen(world).deliver("singapore", "SG", parcel) == 1
    assert len(entries_of(world, "SG")) == 1
    only_refused(world, "SG", Reason.DUPLICATE)


def test_replayed_until_it_has_expired_and_after(world: World) -> None:
    """What was seen is forgotten only when nobody would take it any more."""
    pen = Pen(world)
    parcel = pen.seal(pen.say("FR", "SG", lifetime_ms=6 * DAY_MS))
    assert pen.deliver("singapore", "SG", parcel) == 1
    for _ in range(8):
        world.beat()
        world.give_directory("SG", "singapore")
        world.leap(DAY_MS)
        world.run(130_000)  # the minute's cleaning
        pen.deliver("singapore", "SG", parcel)
    assert len(entries_of(world, "SG")) == 1
    counts = refused(world, "SG")
    assert counts[Reason.DUPLICATE.value] >= 5
    assert counts[Reason.EXPIRED.value] >= 1


def test_the_same_statement_sealed_again_is_the_same(world: World) -> None:
    pen = Pen(world)
    said = pen.say("FR", "BR", "SG")
    assert pen.deliver("singapore", "SG", pen.seal(said), pen.seal(said, ["SG"]), pen.seal(said)) == 3
    assert len(entries_of(world, "SG")) == 1
    only_refused(world, "SG", Reason.DUPLICATE, 2)


def test_a_query_replayed_is_answered_once(world: World) -> None:
    pen = Pen(world)
    parcel = pen.seal(pen.query("FR", "SG"))
    pen.deliver("singapore", "SG", parcel, parcel)
    pen.deliver("singapore", "SG", parcel)
    world.run(5_000)
    assert world.total("SG", "answered.no-hit") == 1
    assert len(entries_of(world, "FR", Act.REPLY)) == 1


def test_a_reply_replayed_moves_the_question_once(world: World) -> None:
    world.ask("FR", "SG", "sltd", "N1")
    world.run(2_000)
    (reply,) = [one for one in parcels_in(world.sent("lyon", "FR")) if len(one.body) > 0][:1]
    Pen(world).deliver("lyon", "FR", *[reply] * 5)
    assert len(world.news("FR", ConversationMoved)) == 1
    assert len(entries_of(world, "FR", Act.REPLY)) == 1


def test_another_statement_under_a_used_id(world: World) -> None:
    """A member that says two things under one id has shown that it, or its key, is not to be trusted."""
    pen = Pen(world)
    first = pen.say("FR", "SG")
    second = pen.say("FR", "SG", body=type(LETTER)(subject="other", text="other"), id=first.statement.id)
    acts = len(audit_of(world, "SG"))
    assert pen.deliver("singapore", "SG", pen.seal(first), pen.seal(second)) == 2
    assert [entry.sid for entry in entries_of(world, "SG")] == [first.sid]
    only_refused(world, "SG", Reason.EVIDENCE_CONFLICT)
    (told,) = [record for record in audit_of(world, "SG")[acts:] if record.what == "refused"]
    assert (told.peer, told.sid, told.detail) == ("FR", second.sid, Reason.EVIDENCE_CONFLICT.value)
    check_house(world)


def test_two_members_may_choose_the_same_id(world: World) -> None:
    pen = Pen(world)
    first = pen.say("FR", "SG")
    second = pen.say("BR", "SG", id=first.statement.id)
    assert pen.deliver("singapore", "SG", pen.seal(first), pen.seal(second)) == 2
    assert len(entries_of(world, "SG")) == 2
    assert refused(world, "SG") == {}


def test_duplicates_are_acknowledged_to_their_author_again(world: World) -> None:
    """The first receipt may have been lost; without a second the sender would never stop."""
    pen = Pen(world)
    parcel = pen.sealed("FR", "SG")
    pen.deliver("singapore", "SG", parcel)
    world.run(3_000)
    given = world.total("SG", "receipts.given")
    pen.deliver("singapore", "SG", parcel)
    world.run(3_000)
    assert (given, world.total("SG", "receipts.given")) == (1, 2)
    check_house(world)


def test_a_receipt_gets_none_however_often_it_comes(world: World) -> None:
    pen = Pen(world)
    receipt = pen.seal(pen.say("FR", "SG", act=Act.RECEIPT, body=b"\x82\xa7outcome\xa9delivered\xa6reason\xc0", re=()))
    pen.deliver("singapore", "SG", receipt, receipt)
    broken = pen.seal(pen.say("FR", "SG", act=Act.RECEIPT, body=b"no receipt at all"))
    pen.deliver("singapore", "SG", broken, broken)
    world.run(5_000)
    assert world.total("SG", "receipts.given") == 0
    check_house(world)


def test_the_inbox_offers_what_came_until_it_is_confirmed(world: World) -> None:
    recorded(world)
    (entry,) = entries_of(world, "SG")
    assert entry.state is EntryState.NEW
    world.stop("SG")
    world.start_node("SG")
    world.confirm("SG", entry.n)
    assert [one.state for one in entries_of(world, "SG")] == [EntryState.CONFIRMED]
