"""P8: epoch keys that change while mail is under way, keys that are dead, and a second node of one member."""

from __future__ import annotations

import pytest
from tests.attacks.forgery import DAY_MS, Pen, audit_of, check_house, entries_of, refused
from tests.keys.repository import key
from tests.world import Program, World, entropy

from i247_keys.keyring import Keyring
from i247_node.commands import DeliveryMoved
from i247_node.machine import NodeMachine
from i247_node.policy import Policy
from i247_node.records import DeliveryState
from i247_node.registers import Registers
from i247_node.store import NodeStore
from i247_protocol.frames import Cards, Put, parse_frame
from i247_protocol.machine import LinkId
from i247_protocol.names import MemberCode
from i247_protocol.notices import Colour, Event, Notice
from i247_protocol.priority import Lane, Priority
from i247_protocol.reasons import Reason


@pytest.fixture
def world() -> World:
    made = World(51)
    made.start_all()
    return made


def a_day(world: World) -> None:
    """Let a day pass, with its pulse."""
    world.leap(DAY_MS)
    world.beat()
    world.give_directory(*world.programs)
    world.run(30_000)


def test_a_week_of_keys_with_mail_each_day(world: World) -> None:
    """Every day something is written to a member that is there and to one that is away; all of it arrives."""
    first = Pen(world).key_of("SG").kid
    world.stop("BR")
    for day in range(15):
        for to in ("SG", "BR"):
            world.write("FR", to, "s", f"day {day}")
        a_day(world)
        if day % 5 == 4:
            world.start_node("BR")
            world.run(60_000)
            assert len(entries_of(world, "BR")) == day + 1
            world.stop("BR")
    assert len(entries_of(world, "SG")) == 15
    assert first not in {held.kid for held in Pen(world).card("SG").keys}, "the first key is gone"
    states = [one.state for one in world.news("FR", DeliveryMoved)]
    assert states == [DeliveryState.DELIVERED] * 30
    check_house(world)


def test_a_message_is_sealed_again_when_the_key_it_was_sealed_to_is_dead(world: World) -> None:
    """BR's node comes back without its secrets: what waited for it under the old key is sealed anew."""
    world.stop("BR")
    for author in ("FR", "SG"):
        for prio in (Priority.URGENT, Priority.BULK):
            world.write(author, "BR", "s", "t", prio)
    world.run(2_000)
    world.lose_disk("BR")
    world.start_node("BR")
    world.run(120_000)
    assert len(entries_of(world, "BR")) == 4
    for author in ("FR", "SG"):
        assert [one.state for one in world.news(author, DeliveryMoved)] == [DeliveryState.DELIVERED] * 2
    # What the hub puts before the new card is there cannot be opened; its author asks, and sends again.
    assert set(refused(world, "BR")) <= {Reason.DEAD_KEY.value}


def test_a_card_that_comes_before_the_word_of_a_dead_key(world: World) -> None:
    """The put and the new card cross: when the word comes back, the new card is held already."""
    kept: list[tuple[str, bytes]] = []

    def late(sender: str, receiver: str, data: bytes) -> list[bytes]:
        if (sender, receiver) == ("FR", "lyon") and isinstance(parse_frame(data), Put):
            kept.append((receiver, data))
            return []
        return [data]

    world.meddle = late
    world.write("FR", "BR", "s", "t", Priority.URGENT)
    world.run(1_000)
    world.stop("BR")
    world.lose_disk("BR")
    world.start_node("BR")
    world.run(5_000)
    world.meddle = None
    for _, data in kept:
        world.carry("FR", LinkId(b"hub:lyon:express"), data)
    world.run(20_000)
    assert len(entries_of(world, "BR")) == 1
    assert [one.state for one in world.news("FR", DeliveryMoved)] == [DeliveryState.DELIVERED]


def test_no_card_no_message_and_no_loss(world: World) -> None:
    """A member whose node has never run: what is written to it waits, and goes when its first card is there."""
    made = World(52)
    made.start_all(but=["BR"])
    for n in range(30):
        made.write("FR", "BR", "s", f"{n}")
    made.publish("XP", notice())
    made.run(20_000)
    assert made.total("FR", "waiting.no-keycard") >= 30
    assert len(entries_of(made, "SG")) == 1, "the others do not wait for it"
    made.start_node("BR")
    made.run(30_000)
    assert len(entries_of(made, "BR")) == 31


def notice() -> Notice:
    return Notice(
        colour=Colour.RED, event=Event.PUBLISHED, number="R-1", text="t", title="t", valid_until=2**41, version=1
    )


@pytest.mark.parametrize("signer", ["XP", "FR next", "lyon"])
def test_a_keycard_that_another_signed(world: World, signer: str) -> None:
    card = Keyring().renewed(world.now.wall, entropy(1, "thief"))
    forged = card.card(MemberCode("FR"), 2**40, world.now.wall, key(signer))
    for hub, code in (("lyon", "BR"), ("singapore", "SG")):
        world.inject(hub, code, Lane.EXPRESS, lambda session: Cards(session, (forged,)))
    world.stop("BR")
    voice = world.member_voice("lyon", "BR")
    voice.say(Cards(voice.session, (forged,)))
    world.run(500)
    assert world.total("lyon", "card.bad-signature") == 1
    assert world.total("SG", "card.bad-signature") == 1
    world.write("SG", "FR", "s", "t")
    world.run(5_000)
    assert len(entries_of(world, "FR")) == 1


def test_an_old_card_does_not_come_back(world: World) -> None:
    store = world.node_store("FR")
    kept = store.keyring()
    assert kept is not None
    for _ in range(8):
        a_day(world)
    world.inject("singapore", "SG", Lane.EXPRESS, lambda session: Cards(session, (kept.card,)))
    world.run(500)
    assert world.total("SG", "card.not-newer") >= 1
    world.write("SG", "FR", "s", "t")
    world.run(5_000)
    assert len(entries_of(world, "FR")) == 1


# --- clones ---


def clone(world: World, code: str) -> None:
    """Start a second node of a member, with a store of its own, on the same wires."""
    copy = "clone"
    world.identities[copy] = code
    world.link_keys[copy] = world._link_key(code)  # noqa: SLF001  a copy has all that its original has
    store = NodeStore(":memory:")
    world.stores[copy] = store
    machine = NodeMachine(
        MemberCode(code),
        key(code),
        world.trust,
        store,
        world._entropy(copy),  # noqa: SLF001  as above
        registers=Registers(),
        policy=Policy(frozenset(), {}),
        incarnation=2,
    )
    program = world.programs[copy] = Program(copy, machine, store, world)
    program.begin(machine.start(world.now))


def test_a_clone_is_noticed_at_the_hub_and_at_both_nodes() -> None:
    world = World(53)
    world.start_all()
    world.run(2_000)
    clone(world, "FR")
    world.run(20_000)
    assert world.total("lyon", "alarm.cloned-node") >= 1
    alarms = [world.total(name, "card.foreign-own") for name in ("FR", "clone")]
    assert sum(alarms) >= 1
    assert any(record.what == "keycard" and record.detail == "foreign" for record in audit_of(world, "FR")) or alarms[1]


def test_a_clone_cannot_make_the_network_spin() -> None:
    """Two nodes with one key push one another aside; hubs and other members must hardly feel it."""
    world = World(54)
    world.start_all()
    world.run(2_000)
    clone(world, "FR")
    before = len(world.frames)
    world.run(60_000)
    to_others = [one for one in world.frames[before:] if one[1] in {"SG", "BR", "XP", "singapore"}]
    cards = [one for one in to_others if isinstance(parse_frame(one[2]), Cards)]
    assert len(cards) < 400, f"{len(cards)} frames of keycards a minute to those who have nothing to do with it"
    assert len(world.frames) - before < 5_000, f"{len(world.frames) - before} frames a minute"
    world.write("SG", "BR", "s", "t")
    world.run(5_000)
    assert len(entries_of(world, "BR")) == 1


def test_a_restored_copy_drops_its_secrets(world: World) -> None:
    """FR's store is put back to an older state: the hub's card is newer, so its secrets may be elsewhere too."""
    kept = world.node_store("FR").keyring()
    assert kept is not None
    for _ in range(8):
        a_day(world)
    newer = world.node_store("FR").keyring()
    assert newer is not None
    assert newer.card_version > kept.card_version
    world.stop("FR")
    world.node_store("FR").persist(kept)
    world.start_node("FR")
    world.run(20_000)
    assert world.total("FR", "card.foreign-own") >= 1
    after = world.node_store("FR").keyring()
    assert after is not None
    assert after.card_version > newer.card_version
    old = {held.kid for held in Keyring.from_bytes(kept.data).keys}
    assert old.isdisjoint({held.kid for held in Keyring.from_bytes(after.data).keys})
    world.write("SG", "FR", "s", "t")
    world.run(30_000)
    assert len(entries_of(world, "FR")) == 1


@pytest.mark.parametrize("knows_first", [True, False], ids=["the roster before its start", "the roster after it"])
@pytest.mark.parametrize(
    ("signers", "keeps"), [(("FR next",), False), (("FR", "FR next"), True)], ids=["after a theft", "in routine"]
)
def test_who_stole_an_identity_cannot_go_on_reading_by_the_epoch_keys(
    world: World, signers: tuple[str, ...], keeps: bool, knows_first: bool
) -> None:
    """A thief of the machine has both. A key that is exchanged in routine leaves no reason to lose mail."""

    def kids() -> set[bytes]:
        saved = world.node_store("FR").keyring()
        assert saved is not None
        return {listed.kid for listed in Keyring.from_bytes(saved.data).keys}

    world.run(2_000)
    before = kids()
    world.stop("FR")
    if knows_first:
        world.publish_roster(requests=(world.repository.rotation("FR", *signers),))
    world.identities["FR"] = "FR next"
    world.start_node("FR")
    world.run(2_000)
    if not knows_first:
        assert before <= kids(), "nobody has said yet that the other key is not good any more"
        world.publish_roster(requests=(world.repository.rotation("FR", *signers),))
    world.give_directory(*world.programs)
    world.run(2_000)
    assert kids() != set()
    assert (before <= kids()) is keeps
    assert keeps or before.isdisjoint(kids())
    world.write("SG", "FR", "s", "t")
    world.run(30_000)
    assert [entry.sender for entry in entries_of(world, "FR")] == ["SG"]
