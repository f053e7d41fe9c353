"""P1, P11: a marked text in every field that people fill, and everything that hubs, wires and trails have seen."""

from __future__ import annotations

from base64 import b64encode

import pytest
from tests.attacks.forgery import audit_of, check_house, entries_of
from tests.world import World

from i247_node.commands import ConversationMoved
from i247_node.policy import parse_policy
from i247_node.registers import MemoryRegister, Record, Registers
from i247_protocol.notices import Colour, Event, Notice
from i247_protocol.priority import Priority
from i247_protocol.queries import Person, TravelDocument

MARK = "Zyxomma-petiolatum"
HUBS = ("lyon", "singapore")
MEMBERS = ("BR", "FR", "SG", "XP")


def forms(text: str) -> dict[str, bytes]:
    """Return the forms in which a text could lie somewhere."""
    data = text.encode()
    found = {
        "plain": data,
        "hex": data.hex().encode(),
        "HEX": data.hex().upper().encode(),
        "utf-16": text.encode("utf-16-le"),
    }
    for shift in range(3):  # base64 of it at any place in something longer
        padded = b64encode(b"\0" * shift + data)
        found[f"base64+{shift}"] = padded[4 if shift else 0 : -4]
    return found


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Everything happens: hit, miss, refusal, notice, letters, a member away, restarts; stores in files."""
    world = World(91, folder=tmp_path_factory.mktemp("stores"))
    lost = Record(
        record=MARK,
        subject=TravelDocument(country="UTO", number=MARK, type="P"),
        owner="UT",
        action=MARK,
        fields={"note": MARK},
    )
    world.registers["SG"] = Registers([MemoryRegister("sltd", [lost]), MemoryRegister("nominal", [])])
    world.policies["SG"] = parse_policy({"registers": {"sltd": {"open_to": "all"}, "nominal": {"open_to": ["BR"]}}})
    world.start_all()
    world.stop("BR")
    world.run(500)
    world.ask("FR", "SG", "sltd", MARK)
    world.ask("FR", "SG", "nominal", "", criteria=Person(born="1970", family=MARK, given=MARK))
    world.ask("FR", "BR", "sltd", MARK, within_ms=60_000)
    world.ask("FR", "SG", MARK, MARK)  # a register of that name
    for author, to in (("FR", "SG"), ("SG", "BR"), ("XP", "FR")):
        world.write(author, to, MARK, MARK * 40, Priority.BULK)
    world.publish(
        "XP",
        Notice(
            colour=Colour.RED,
            event=Event.PUBLISHED,
            number=MARK,
            text=MARK,
            title=MARK,
            valid_until=2**41,
            version=1,
        ),
    )
    world.run(10_000)
    world.stop("lyon")
    world.run(2_000)
    world.start_hub("lyon")
    world.run(10_000)
    return world


def test_something_was_said_and_heard(busy: World) -> None:
    assert MARK in repr([one.reply for one in busy.news("FR", ConversationMoved)])
    assert any(MARK.encode() in entry.statement for entry in entries_of(busy, "FR"))
    check_house(busy)


@pytest.mark.parametrize("form", forms(MARK))
def test_no_frame_on_any_wire_holds_it(busy: World, form: str) -> None:
    wanted = forms(MARK)[form]
    assert len(busy.frames) > 100
    assert [(sender, receiver) for sender, receiver, data in busy.frames if wanted in data] == []


@pytest.mark.parametrize("hub", HUBS)
@pytest.mark.parametrize("form", forms(MARK))
def test_no_store_of_a_hub_holds_it(busy: World, hub: str, form: str) -> None:
    """The files themselves, with what was deleted and not overwritten yet."""
    assert busy.folder is not None
    files = sorted(busy.folder.glob(f"{hub}.db*"))
    assert files
    wanted = forms(MARK)[form]
    assert [file.name for file in files if wanted in file.read_bytes()] == []


@pytest.mark.parametrize("form", forms(MARK))
def test_no_trail_and_no_counter_holds_it(busy: World, form: str) -> None:
    wanted = forms(MARK)[form]
    for code in MEMBERS:
        if code in busy.programs:
            assert wanted not in repr(audit_of(busy, code)).encode()
            rows = busy.node_store(code).views().audit(0, 10_000)
            assert all(wanted not in row.data for row in rows)
    for program in busy.programs.values():
        assert wanted not in repr(program.machine.counters.snapshot()).encode()
