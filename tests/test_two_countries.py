"""Two countries that share nothing but the directory: query, reply, refusal, notice, receipt, under virtual time."""

from tests.world import World

from i247_node.commands import ConversationMoved, DeliveryMoved, EntryArrived
from i247_node.policy import parse_policy
from i247_node.records import DeliveryState
from i247_node.registers import MemoryRegister, Record, Registers
from i247_protocol.notices import Colour, Event, Notice
from i247_protocol.queries import Status, TravelDocument

LOST = Record(
    record="SLTD-1",
    subject=TravelDocument(country="UTO", number="L898902C3", type="P"),
    owner="UT",
    action="Seize and report.",
    fields={"status": "lost"},
)


def world(seed: int = 1) -> World:
    made = World(seed)
    made.registers["SG"] = Registers([MemoryRegister("sltd", [LOST]), MemoryRegister("nominal", [])])
    made.policies["SG"] = parse_policy({"registers": {"sltd": {"open_to": "all"}, "nominal": {"open_to": ["BR"]}}})
    return made


def test_a_hit_a_miss_and_a_refusal() -> None:
    w = world()
    w.start_all()
    w.ask("FR", "SG", "sltd", "L898902C3")
    w.ask("FR", "SG", "sltd", "X0000000X")
    w.ask("FR", "SG", "nominal", "L898902C3")
    w.run(3_000)
    replies = [one.reply for one in w.news("FR", ConversationMoved) if one.reply is not None]
    assert [reply.status for reply in replies] == [Status.HIT, Status.NO_HIT, Status.REFUSED]
    assert replies[0].candidates[0].record == "SLTD-1"
    assert [one.state for one in w.news("FR", DeliveryMoved)] == [DeliveryState.DELIVERED] * 3
    w.run(3_000)
    assert [one.state for one in w.news("SG", DeliveryMoved)] == [DeliveryState.DELIVERED] * 3


NOTICE = Notice(
    colour=Colour.ORANGE,
    event=Event.PUBLISHED,
    number="O-2026/1",
    text="Invented.",
    title="Exercise",
    valid_until=2**41,
    version=1,
)


def test_a_notice_reaches_who_was_away() -> None:
    w = world()
    w.start_all()
    w.stop("BR")
    w.run(1_000)
    w.publish("XP", NOTICE)
    w.run(60_000)
    assert len(w.news("FR", EntryArrived)) == 1
    w.start_node("BR")
    w.run(30_000)
    assert len(w.news("BR", EntryArrived)) == 1
    delivered = {one.recipient for one in w.news("XP", DeliveryMoved) if one.state is DeliveryState.DELIVERED}
    assert delivered == {"BR", "FR", "SG"}
