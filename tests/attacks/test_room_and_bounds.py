"""P9, P10: stores that are full, mail for those who are away, floods, and what memory then holds."""

from __future__ import annotations

import gc

import pytest
from tests.attacks.forgery import HOUR_MS, Pen, check_house, entries_of, refused
from tests.world import World

from i247_hub.quotas import Quotas
from i247_hub.records import Held
from i247_node.commands import DeliveryMoved, EntryArrived
from i247_node.records import DeliveryState
from i247_protocol.bundle import batches
from i247_protocol.digests import envelope_id
from i247_protocol.frames import Busy, Parcel, Put
from i247_protocol.names import MINUTE_MS, EnvelopeId
from i247_protocol.notices import Colour, Event, Notice
from i247_protocol.priority import Lane, Priority
from i247_protocol.reasons import Reason

ROOM = 200_000
WIDE = Quotas(member_percent=100, mailbox_percent=100, hub_percent=100)
"""One member alone may fill the store."""


def crowded(seed: int, room: int = ROOM) -> World:
    """Return a world with a small hub, and Brazil away."""
    world = World(seed, store_bytes_max=room, quotas=WIDE)
    world.start_all()
    world.stop("BR")
    world.run(500)
    return world


def fill(world: World, percent: int, room: int = ROOM) -> None:
    """Let mail for BR wait until so much of the store is used."""
    used = world.hub_store("lyon").used_bytes
    while used() * 100 // room < percent:
        assert used() * 100 // room < 100
        world.write("XP", "BR", "s", "t", Priority.URGENT)
        world.run(50)


@pytest.mark.parametrize(
    ("percent", "taken"),
    [
        (70, {Priority.URGENT, Priority.ROUTINE, Priority.BULK}),
        (82, {Priority.URGENT, Priority.ROUTINE}),
        (96, {Priority.URGENT}),
    ],
)
def test_a_hub_that_fills_up_takes_less_and_less_and_later_all(percent: int, taken: set[Priority]) -> None:
    world = crowded(61)
    fill(world, percent)
    for prio in (Priority.URGENT, Priority.ROUTINE, Priority.BULK):
        world.write("FR", "SG", "s", "t", prio)
    world.run(15_000)
    assert {entry.prio for entry in entries_of(world, "SG")} == taken
    assert (Reason.STORE_FULL.value in refused(world, "lyon")) is (len(taken) < 3)
    assert set(refused(world, "lyon")) <= {Reason.STORE_FULL.value}
    world.start_node("BR")
    world.run(60_000)
    assert {entry.prio for entry in entries_of(world, "SG")} == {Priority.URGENT, Priority.ROUTINE, Priority.BULK}
    assert len(entries_of(world, "SG")) == 3
    assert world.hub_store("lyon").used_bytes() == 0
    states = [one.state for one in world.news("FR", DeliveryMoved)]
    assert states == [DeliveryState.DELIVERED] * 3
    check_house(world)


def test_nothing_is_refused_for_ever_at_a_full_hub() -> None:
    """At the very brim even urgent mail waits at its sender, and is lost nowhere."""
    world = crowded(62)
    fill(world, 98)
    for n in range(40):
        world.write("FR", "BR", "s", f"{n}", Priority.URGENT)
    world.run(20_000)
    assert world.hub_store("lyon").used_bytes() <= ROOM
    assert refused(world, "lyon").get(Reason.STORE_FULL.value, 0) >= 1
    world.start_node("BR")
    world.run(120_000)
    letters = [entry for entry in entries_of(world, "BR") if entry.sender == "FR"]
    assert len(letters) == 40


def test_a_full_hub_is_not_asked_at_the_pace_of_the_wire() -> None:
    world = crowded(63)
    fill(world, 82)
    before = len(world.frames)
    for n in range(20):
        world.write("FR", "SG", "s", f"{n}", Priority.BULK)
    world.run(60_000)
    busy = world.sent("lyon", "FR", Busy, since=before)
    assert 1 <= len(busy) <= 2 * 60
    assert entries_of(world, "SG") == []


def test_urgent_mail_passes_a_flood_of_bulk() -> None:
    """P9: ten megabytes of BR's bulk for SG do not stand before FR's urgent question."""
    world = World(64)
    world.start_all(but=["BR"])
    flood = world.member_voice("lyon", "BR", Lane.BULK)
    pen = Pen(world)
    parcel = pen.sealed("BR", "SG", prio=Priority.BULK)
    for n in range(40):
        batch = tuple(parcel._replace(body=parcel.body + bytes([n, m]) * 100) for m in range(60))
        flood.say(Put(flood.session, batch))
    world.write("FR", "SG", "s", "t", Priority.URGENT)
    world.run(60)
    assert [entry.prio for entry in entries_of(world, "SG")] == [Priority.URGENT]


def reachable(root: object, kind: type) -> list[object]:
    """Return the objects of one type that an object holds on to, however deep; stores are not looked into."""
    seen: set[int] = set()
    found: list[object] = []
    left: list[object] = [root]
    while left:
        one = left.pop()
        if id(one) in seen or type(one).__name__ in {"HubStore", "NodeStore", "module", "type", "function"}:
            continue
        seen.add(id(one))
        if isinstance(one, kind):
            found.append(one)
        left += gc.get_referents(one)
    return found


def test_memory_holds_nothing_of_what_waits_for_a_member_that_is_away() -> None:
    world = World(65)
    world.start_all()
    world.stop("BR")
    world.run(500)
    for n in range(300):
        world.write("FR", "BR", "s", f"{n}", (Priority.URGENT, Priority.BULK)[n % 2])
        world.run(20)
    world.run(2_000)
    hub = world.hub("lyon")
    assert sum(rows for place, _, rows, _ in hub.waiting() if place == "BR") == 300
    assert reachable(hub, Held) == []
    assert len(reachable(hub, Parcel)) == 0
    assert reachable(world.node("FR"), Parcel) == [], "nor does its author's"


def test_memory_holds_a_bounded_part_for_a_member_that_takes_nothing() -> None:
    """BR's link is there, its credit is not used up, and it answers nothing."""
    world = World(66)
    world.start_all(but=["BR"])
    voice = world.voice("lyon", "BR")
    voice.greet(window_messages=10, window_bytes=10_000)
    world.run(100)
    pen = Pen(world)
    parcel = pen.seal(pen.say("FR", "BR"), ["BR"], keys={"BR": pen.key_of("FR")})
    giver = world.voice("lyon", "XP")
    giver.greet()
    world.run(100)
    for n in range(40):
        for some in batches(parcel._replace(body=parcel.body + bytes([n, m])) for m in range(50)):
            giver.say(Put(giver.session, some))
        world.run(30)
    assert len([one for frame in voice.heard(Put) for one in frame.parcels]) == 10  # type: ignore[union-attr]
    assert len(reachable(world.hub("lyon"), Held)) <= 512 + 10
    assert sum(rows for place, _, rows, _ in world.hub("lyon").waiting() if place == "BR") == 2_000


def test_expired_mail_of_a_member_that_never_comes_is_forgotten() -> None:
    world = World(67)
    world.start_all()
    world.stop("BR")
    for n in range(50):
        world.ask("FR", "BR", "sltd", f"N{n}", within_ms=60_000)
    world.run(2_000)
    assert world.hub_store("lyon").used_bytes() > 0
    world.run(4 * MINUTE_MS)
    assert world.hub_store("lyon").used_bytes() == 0
    assert list(world.hub("lyon").waiting()) == []
    assert refused(world, "lyon") == {Reason.EXPIRED.value: 50}
    assert [one.state for one in world.news("FR", DeliveryMoved)] == [DeliveryState.EXPIRED] * 50


def test_much_expired_mail_does_not_use_up_the_credit_of_who_comes_back() -> None:
    """More than a window of it expired while the hub slept; then one live message."""
    world = World(68)
    world.start_all()
    world.stop("BR")
    world.run(500)
    for n in range(1_100):
        world.ask("FR", "BR", "sltd", f"N{n}", within_ms=60_000)
    world.run(8_000)
    assert sum(rows for place, _, rows, _ in world.hub("lyon").waiting() if place == "BR") == 1_100
    world.stop("lyon")
    world.leap(5 * MINUTE_MS)
    world.start_hub("lyon")
    world.start_node("BR")
    world.run(5_000)
    world.write("FR", "BR", "s", "t", Priority.URGENT)
    world.run(5_000)
    assert len(entries_of(world, "BR")) == 1


def test_a_member_away_for_long_does_not_make_its_mail_multiply() -> None:
    """Two hubs: the first has handed on, and must not let the author believe that it is lost."""
    world = World(69)
    world.start_all()
    world.stop("SG")
    world.run(500)
    for n in range(10):
        world.write("FR", "SG", "s", f"{n}")
    world.run(HOUR_MS // 3)
    rows = sum(rows for place, _, rows, _ in world.hub("singapore").waiting() if place == "SG")
    assert rows == 10
    assert world.total("FR", "asked") > 50
    assert world.total("FR", "sent-again") == 0
    # What the second hub has lost is sent again, since its answer is the one that counts.
    world.stop("singapore")
    world.lose_disk("singapore")
    world.start_hub("singapore")
    world.run(16 * MINUTE_MS)
    world.start_node("SG")
    world.run(60_000)
    assert len(entries_of(world, "SG")) == 10
    assert world.total("FR", "sent-again") == 10


NOTICE = Notice(
    colour=Colour.RED, event=Event.PUBLISHED, number="R-1", text="t" * 500, title="t", valid_until=2**41, version=1
)


def test_a_notice_to_thirty_members_across_hubs_with_some_away() -> None:
    members = [*(f"A{chr(65 + n)}" for n in range(15)), *(f"B{chr(65 + n)}" for n in range(15)), "XP"]
    hubs = ("buenos-aires", "lyon", "singapore")
    homes = {code: (hubs[n % 3],) for n, code in enumerate(members)}
    world = World(70, codes=members, hubs=hubs, homes=homes)
    world.start_all()
    away = members[3:30:7]
    for code in away:
        world.stop(code)
    world.run(500)
    before = len(world.frames)
    world.publish("XP", NOTICE)
    world.run(20_000)
    there = [code for code in members if code not in away and code != "XP"]
    assert all(len(world.news(code, EntryArrived)) == 1 for code in there)
    assert len(world.news("XP", DeliveryMoved)) == len(there)
    # The body goes once to each hub, with the wraps of its own members alone.
    for hub in hubs[:2]:
        puts = [frame for frame in world.sent(homes["XP"][0], hub, Put, since=before) if isinstance(frame, Put)]
        parcels = [parcel for frame in puts for parcel in frame.parcels if parcel.wraps]
        assert len(parcels) == (0 if hub == homes["XP"][0] else 1), hub
        for parcel in parcels:
            assert {homes[member][0] for member, _, _ in parcel.wraps} == {hub}
    for code in there:
        puts = [frame for frame in world.sent(homes[code][0], code, Put, since=before) if isinstance(frame, Put)]
        assert [[wrap[0] for wrap in one.wraps] for frame in puts for one in frame.parcels if one.wraps] == [[code]]
    for code in away:
        world.start_node(code)
    world.run(60_000)
    assert all(len(world.news(code, EntryArrived)) == 1 for code in away)
    delivered = [one.recipient for one in world.news("XP", DeliveryMoved) if one.state is DeliveryState.DELIVERED]
    assert sorted(delivered) == sorted(code for code in members if code != "XP")
    assert all(world.hub_store(hub).used_bytes() == 0 for hub in hubs)
    check_house(world)


def test_a_body_for_many_is_stored_once() -> None:
    world = World(71)
    world.start_all()
    for code in ("BR", "FR", "SG"):
        world.stop(code)
    world.stop("singapore")
    world.run(500)
    world.publish("XP", NOTICE)
    world.run(2_000)
    store = world.hub_store("lyon")
    (rows,) = {tuple(rows) for envelope in envelopes(world) if (rows := store.held(envelope))}
    assert len(rows) == 3
    size = len(parcels(world)[0].header) + len(parcels(world)[0].body)
    assert world.hub_store("lyon").used_bytes() == size + 3 * 100


def parcels(world: World) -> list[Parcel]:
    frames = [frame for frame in world.sent("XP", "lyon", Put) if isinstance(frame, Put)]
    return [parcel for frame in frames for parcel in frame.parcels if parcel.wraps]


def envelopes(world: World) -> list[EnvelopeId]:
    return [envelope_id(parcel.header, parcel.body) for parcel in parcels(world)]
