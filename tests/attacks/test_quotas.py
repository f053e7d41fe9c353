"""P9, P10: who gives too much waits with it, alone; nothing is lost; a full mailbox stands in nobody's way."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from tests.attacks.forgery import Pen, check_house, entries_of, refused
from tests.world import LATENCY_MS, World

from i247_hub.admission import Caller
from i247_hub.quotas import Quotas
from i247_node.commands import DeliveryMoved, EntryArrived
from i247_node.records import DeliveryState
from i247_protocol.bundle import batches
from i247_protocol.frames import Busy, Credit, Custody, Parcel, Put, Returned, Role
from i247_protocol.limits import (
    BATCH_PARCELS_MAX,
    BUSY_RETRY_MS_MAX,
    CONTROL_BURST,
    PAIR_RECIPIENTS_MAX,
    PASSING_MS,
    QUOTA_BURST_S,
    TICK_MS,
    WINDOW_MESSAGES,
    WRONG_BURST,
    WRONG_PER_S,
)
from i247_protocol.notices import Colour, Event, Notice
from i247_protocol.priority import Lane, Priority
from i247_protocol.reasons import Reason
from i247_protocol.statement import Act

RATE = 20
SLOW = Quotas(messages_per_s=RATE)
AT_ONCE = RATE * QUOTA_BURST_S
TEN_TIMES = 10 * AT_ONCE
LETTER = Act.CORRESPONDENCE
ON_THE_WAY_MS = 8 * LATENCY_MS


def letters(world: World, code: str, author: str) -> list[int]:
    """Return the numbers of the author's letters, as they came in."""
    return [n for n, entry in enumerate(entries_of(world, code, LETTER)) if entry.sender == author]


def sent_at_once(world: World, author: str, to: str, count: int, prio: Priority) -> None:
    for n in range(count):
        world.write(author, to, "s", f"{n}", prio)


def busy_heard(world: World, hub: str, name: str, since: int = 0) -> list[Busy]:
    return [frame for frame in world.sent(hub, name, Busy, since=since) if isinstance(frame, Busy)]


def arrival_ms(world: World, code: str, author: str, prio: Priority, within_ms: int = 2_000) -> int:
    """Return after how long the author's next letter is in the recipient's inbox, while the world goes on."""
    before = len([one for one in entries_of(world, code, LETTER) if (one.sender, one.prio) == (author, prio)])
    world.write(author, code, "s", "t", prio)
    for ms in range(0, within_ms, LATENCY_MS):
        if len([one for one in entries_of(world, code, LETTER) if (one.sender, one.prio) == (author, prio)]) > before:
            return ms
        world.run(LATENCY_MS)
    return within_ms


# --- a member that floods ---


@pytest.fixture(scope="module", params=[Priority.ROUTINE, Priority.BULK])
def flooded(request: pytest.FixtureRequest) -> World:
    """Return a world in which FR has begun to send SG ten times what it may at once."""
    world = World(81, quotas=SLOW)
    world.start_all()
    sent_at_once(world, "FR", "SG", TEN_TIMES, request.param)
    world.run(200)
    assert Reason.QUOTA_FULL.value in refused(world, "lyon")
    return world


def test_a_flood_delays_nobody_s_urgent_message_and_is_all_delivered_in_the_end(flooded: World) -> None:
    world = flooded
    assert arrival_ms(world, "SG", "XP", Priority.URGENT) <= ON_THE_WAY_MS
    assert arrival_ms(world, "SG", "FR", Priority.URGENT) <= ON_THE_WAY_MS, "its own neither"
    for other in (Priority.ROUTINE, Priority.BULK):
        assert arrival_ms(world, "SG", "XP", other) <= ON_THE_WAY_MS, "its quota is its own"
    # Receipts flow, in both directions.
    assert arrival_ms(world, "FR", "XP", Priority.URGENT) <= ON_THE_WAY_MS
    world.run(1_500)
    assert {one.state for one in world.news("XP", DeliveryMoved)} == {DeliveryState.DELIVERED}
    assert len(world.news("XP", DeliveryMoved)) == 4
    # It was told when to try again, and is not asked at the pace of the wire.
    told = busy_heard(world, "lyon", "FR")
    assert {(frame.reason, 0 < frame.retry_after <= BUSY_RETRY_MS_MAX) for frame in told} == {("quota-full", True)}
    assert world.total("FR", "busy.quota-full") == len(told)
    begun = len(letters(world, "SG", "FR"))
    world.run(20_000)
    assert 0.7 * 20 * RATE <= len(letters(world, "SG", "FR")) - begun <= 20 * RATE + AT_ONCE
    world.run(30_000)
    numbers = [entry.n for entry in entries_of(world, "SG", LETTER) if entry.sender == "FR"]
    assert len(numbers) == TEN_TIMES + 1
    moved = Counter(one.state for one in world.news("FR", DeliveryMoved))
    assert moved == {DeliveryState.DELIVERED: TEN_TIMES + 1}
    assert refused(world, "lyon").keys() == {Reason.QUOTA_FULL.value}
    check_house(world)


def test_what_was_refused_comes_in_the_order_in_which_it_was_sent() -> None:
    world = World(82, quotas=SLOW)
    world.start_all()
    for n in range(TEN_TIMES // 4):
        world.write("FR", "SG", f"{n:04}", "t", Priority.ROUTINE)
        world.run(3)
    world.run(60_000)
    came = [entry.id for entry in entries_of(world, "SG", LETTER)]
    store = world.node_store("FR")
    last, _, _ = store.last_numbers()
    sent = [one.id for n in range(1, last + 1) if (one := store.outgoing(n)) is not None and one.act is LETTER]
    assert came == sent


def test_who_does_not_listen_gets_no_more_than_its_quota() -> None:
    world = World(83, quotas=SLOW)
    world.start_all(but=["BR"])
    voice = world.member_voice("lyon", "BR", Lane.BULK)
    parcel = Pen(world).sealed("BR", "SG", prio=Priority.BULK)
    seconds = 10
    for n in range(seconds * 10):
        for some in batches(parcel._replace(body=parcel.body + bytes([n, m])) for m in range(20)):
            voice.say(Put(voice.session, some))
        world.run(100)
    taken = sum(len(frame.taken) for frame in voice.heard(Custody) if isinstance(frame, Custody))
    assert AT_ONCE <= taken <= AT_ONCE + RATE * seconds
    assert {frame.reason for frame in voice.heard(Busy) if isinstance(frame, Busy)} == {Reason.QUOTA_FULL.value}
    assert list(world.hub("lyon").shares.over(world.now.mono)) == ["BR"]
    assert arrival_ms(world, "SG", "FR", Priority.BULK) <= ON_THE_WAY_MS


def test_a_flood_of_receipts_ends_at_their_allowance() -> None:
    world = World(84)
    world.start_all(but=["BR"])
    voice = world.member_voice("lyon", "BR")
    parcel = Pen(world).sealed("BR", "SG", prio=Priority.CONTROL)
    frames = 2 * CONTROL_BURST // BATCH_PARCELS_MAX
    for n in range(frames):
        batch = tuple(parcel._replace(body=parcel.body + n.to_bytes(2) + bytes([m])) for m in range(BATCH_PARCELS_MAX))
        voice.say(Put(voice.session, batch))
        world.run(1)
    world.run(2 * PASSING_MS)
    taken = sum(len(frame.taken) for frame in voice.heard(Custody) if isinstance(frame, Custody))
    assert CONTROL_BURST <= taken <= CONTROL_BURST + 64
    assert refused(world, "lyon") == {Reason.QUOTA_FULL.value: frames * BATCH_PARCELS_MAX - taken}
    voice.say(Put(voice.session, (Pen(world).sealed("BR", "SG", prio=Priority.URGENT),)))
    world.run(ON_THE_WAY_MS)
    assert len(entries_of(world, "SG", LETTER)) == 1, "its urgent mail is another matter"


# --- what waits ---

AWAY = ("BR", "CL")
STORE = 1_000_000
CODES = ("BR", "CL", "FR", "SG", "XP")
HOMES = {"BR": ("lyon",), "CL": ("lyon",), "FR": ("lyon",), "SG": ("singapore",), "XP": ("lyon",)}


def crowded(seed: int, quotas: Quotas, away: tuple[str, ...] = AWAY, folder: Path | None = None) -> World:
    world = World(seed, codes=CODES, homes=HOMES, store_bytes_max=STORE, quotas=quotas, folder=folder)
    world.start_all()
    for code in away:
        world.stop(code)
    world.run(500)
    return world


def given(world: World, name: str, hub: str = "lyon") -> int:
    role = Role.MEMBER if name.isupper() else Role.HUB
    return world.hub(hub).shares.of(Caller(role, name, in_good_standing=True)).room.used


def test_one_member_fills_its_share_of_the_store_and_no_more(tmp_path: Path) -> None:
    world = crowded(85, Quotas(member_percent=10, mailbox_percent=100), folder=tmp_path)
    sent_at_once(world, "FR", "BR", 100, Priority.URGENT)
    sent_at_once(world, "FR", "CL", 100, Priority.URGENT)
    world.run(3_000)
    assert 0.95 * STORE // 10 <= given(world, "FR") < STORE // 10
    assert given(world, "FR") == world.hub_store("lyon").used_bytes()
    assert arrival_ms(world, "SG", "XP", Priority.URGENT) <= ON_THE_WAY_MS
    world.write("XP", "BR", "s", "t", Priority.BULK)
    world.run(1_000)
    assert given(world, "XP") > 0
    # After a restart the same is counted.
    before = given(world, "FR"), given(world, "XP")
    world.stop("lyon")
    world.start_hub("lyon")
    world.run(3_000)
    assert (given(world, "FR"), given(world, "XP")) == before
    assert sum(before) == world.hub_store("lyon").used_bytes()
    for code in AWAY:
        world.start_node(code)
    world.run(60_000)
    assert [len(entries_of(world, code, LETTER)) for code in AWAY] == [101, 100]
    assert (given(world, "FR"), given(world, "XP"), world.hub_store("lyon").used_bytes()) == (0, 0, 0)
    check_house(world)


def test_another_hub_fills_its_share_and_no_more() -> None:
    world = crowded(86, Quotas(hub_percent=10, mailbox_percent=100), away=("BR", "CL", "SG"))
    world.stop("singapore")
    voice = world.voice("lyon", "singapore")
    voice.greet(Role.HUB, Lane.BULK)
    world.run(100)
    parcel = Pen(world).sealed("SG", "BR", prio=Priority.ROUTINE)
    for n in range(300):
        voice.say(Put(voice.session, (parcel._replace(hops=1, body=parcel.body + n.to_bytes(2)),)))
    world.run(1_000)
    assert 0.9 * STORE // 10 <= given(world, "singapore") < STORE // 10
    assert {frame.reason for frame in voice.heard(Busy) if isinstance(frame, Busy)} == {Reason.QUOTA_FULL.value}
    world.write("FR", "BR", "s", "t", Priority.BULK)
    world.run(500)
    assert given(world, "FR") > 0, "members have their own room"


def test_a_full_mailbox_stands_in_nobody_s_way_and_loses_nothing() -> None:
    world = crowded(87, Quotas(mailbox_percent=5))
    sent_at_once(world, "FR", "BR", 100, Priority.ROUTINE)
    world.run(1_000)
    assert refused(world, "lyon").keys() == {Reason.MAILBOX_FULL.value}
    assert world.hub("lyon").shares.waiting_for("BR")[1] in range(90, 100)
    assert world.total("FR", "busy.mailbox-full") > 0
    # The same member, lane and priority; and the full mailbox at a higher one.
    assert arrival_ms(world, "SG", "FR", Priority.ROUTINE) <= ON_THE_WAY_MS
    before = world.hub("lyon").shares.waiting_for("BR")[0]
    world.write("XP", "BR", "s", "t", Priority.URGENT)
    world.run(200)
    assert world.hub("lyon").shares.waiting_for("BR")[0] > before
    quiet = len(world.frames)
    world.run(300_000)
    assert len(busy_heard(world, "lyon", "FR", since=quiet)) <= 100 * 6, "it is not asked at the pace of the wire"
    world.start_node("BR")
    world.run(3 * BUSY_RETRY_MS_MAX)
    assert len(letters(world, "BR", "FR")) == 100
    assert [one.state for one in world.news("FR", DeliveryMoved)] == [DeliveryState.DELIVERED] * 101
    assert world.hub("lyon").shares.waiting_for("BR") == (0, 0)
    check_house(world)


def test_a_mailbox_that_is_full_at_another_hub_holds_up_nothing_between_the_hubs() -> None:
    homes = {**HOMES, "CL": ("singapore",)}
    world = World(88, codes=CODES, homes=homes, store_bytes_max=STORE, quotas=Quotas(mailbox_percent=5))
    world.start_all()
    world.stop("SG")
    world.run(500)
    sent_at_once(world, "FR", "SG", 100, Priority.ROUTINE)
    world.run(2_000)
    assert Reason.MAILBOX_FULL.value in refused(world, "singapore")
    assert arrival_ms(world, "CL", "FR", Priority.ROUTINE) <= ON_THE_WAY_MS
    # The hub before learns it, and takes no more of it meanwhile.
    world.run(2 * PASSING_MS)
    held = world.hub("lyon").shares.waiting_for("singapore")[0]
    sent_at_once(world, "XP", "SG", 50, Priority.ROUTINE)
    world.run(2_000)
    assert world.hub("lyon").shares.waiting_for("singapore")[0] == held
    assert world.total("XP", "busy.mailbox-full") > 0
    world.start_node("SG")
    world.run(4 * BUSY_RETRY_MS_MAX)
    assert (len(letters(world, "SG", "FR")), len(letters(world, "SG", "XP"))) == (100, 50)
    assert world.hub_store("lyon").used_bytes() == world.hub_store("singapore").used_bytes() == 0
    check_house(world)


NOTICE = Notice(
    colour=Colour.RED, event=Event.PUBLISHED, number="R-1", text="t" * 500, title="t", valid_until=2**41, version=1
)


def test_a_notice_reaches_all_but_the_full_mailbox_at_once_and_that_one_later(tmp_path: Path) -> None:
    """Of one row for two members at the next hub, one is taken; the other becomes a row of its own, and survives."""
    homes = {**HOMES, "CL": ("singapore",)}
    quotas = Quotas(mailbox_percent=5)
    world = World(89, codes=CODES, homes=homes, store_bytes_max=STORE, quotas=quotas, folder=tmp_path)
    world.start_all()
    world.stop("SG")
    world.run(500)
    sent_at_once(world, "FR", "SG", 100, Priority.ROUTINE)
    world.run(2_000)
    world.stop("lyon")  # so that it has to find out again
    world.start_hub("lyon")
    world.run(2_000)
    world.publish("XP", NOTICE, prio=Priority.ROUTINE)
    world.run(2_000)
    for code in ("BR", "CL", "FR"):
        assert [one.act for one in world.news(code, EntryArrived)].count(Act.NOTICE) == 1, code
    world.stop("lyon")
    world.start_hub("lyon")
    world.start_node("SG")
    world.run(4 * BUSY_RETRY_MS_MAX)
    assert [one.act for one in world.news("SG", EntryArrived)].count(Act.NOTICE) == 1
    assert Counter(one.state for one in world.news("XP", DeliveryMoved)) == {DeliveryState.DELIVERED: 4}
    assert len(letters(world, "SG", "FR")) == 100
    assert world.hub_store("lyon").used_bytes() == world.hub_store("singapore").used_bytes() == 0
    check_house(world)


def test_many_refused_recipients_are_told_in_frames_that_can_be_read() -> None:
    """Thirty-two envelopes for 139 members each are more than one `busy` may name."""
    members = [f"{first}{second}" for first in "ABCDEFG" for second in "ABCDEFGHIJKLMNOPQRST"]
    world = World(90, codes=[*members, "XP"], homes=dict.fromkeys([*members, "XP"], ("lyon",)), quotas=SLOW)
    world.start_all(but=members[1:])
    voice = world.member_voice("lyon", "XP", Lane.BULK)
    pen, others = Pen(world), members[1:]
    said = pen.say("AA", *others, prio=Priority.BULK)
    parcel = pen.seal(said, others, keys=dict.fromkeys(others, pen.key_of("AA")))
    frames = AT_ONCE // BATCH_PARCELS_MAX + 1
    for n in range(frames):
        spent = [parcel._replace(body=parcel.body + bytes([n, m])) for m in range(BATCH_PARCELS_MAX)]
        voice.say(Put(voice.session, tuple(spent)))
    world.run(ON_THE_WAY_MS)
    told = [pair for frame in voice.heard(Busy) if isinstance(frame, Busy) for pair in frame.pairs]
    assert len(told) == frames * BATCH_PARCELS_MAX - AT_ONCE
    assert sum(len(pair.recipients) for pair in told) > PAIR_RECIPIENTS_MAX


# --- credit is held back ---


def test_who_is_over_its_quota_gets_no_credit_before_it_may_put_again() -> None:
    world = World(92, quotas=Quotas(messages_per_s=100))
    world.start_all(but=["BR"])
    voice = world.member_voice("lyon", "BR", Lane.BULK)
    parcel = Pen(world).sealed("BR", "SG", prio=Priority.ROUTINE)
    flood = [parcel._replace(body=parcel.body + n.to_bytes(2)) for n in range(WINDOW_MESSAGES)]
    for begin in range(0, WINDOW_MESSAGES, BATCH_PARCELS_MAX):
        voice.say(Put(voice.session, tuple(flood[begin : begin + BATCH_PARCELS_MAX])))
    world.run(ON_THE_WAY_MS)
    assert Reason.QUOTA_FULL.value in refused(world, "lyon")
    assert {credit_of(frame) for frame in voice.heard(Credit)} <= {WINDOW_MESSAGES}
    world.run(3 * TICK_MS)
    assert max(credit_of(frame) for frame in voice.heard(Credit)) == 2 * WINDOW_MESSAGES
    check_house(world)


def test_who_gives_garbage_is_told_so_often_and_then_gets_no_credit_for_a_while() -> None:
    world = World(93)
    world.start_all(but=["BR"])
    voice = world.member_voice("lyon", "BR")
    for begin in range(0, WINDOW_MESSAGES, BATCH_PARCELS_MAX):
        batch = [Parcel(0, b"no header", n.to_bytes(2), ()) for n in range(begin, begin + BATCH_PARCELS_MAX)]
        voice.say(Put(voice.session, tuple(batch)))
    world.run(ON_THE_WAY_MS)
    words = [word for frame in voice.heard(Returned) if isinstance(frame, Returned) for word in frame.bounces]
    assert len(words) == WRONG_BURST
    assert {word.reason for word in words} == {Reason.MALFORMED.value}
    assert refused(world, "lyon") == {Reason.MALFORMED.value: WINDOW_MESSAGES}
    assert world.total("lyon", "dropped.wrong") == WINDOW_MESSAGES - WRONG_BURST
    assert not voice.heard(Credit)
    assert arrival_ms(world, "SG", "XP", Priority.URGENT) <= ON_THE_WAY_MS, "nobody else is in its way"
    world.run(1_000 * WRONG_BURST // 2 // WRONG_PER_S + 2 * TICK_MS)
    assert max(credit_of(frame) for frame in voice.heard(Credit)) == 2 * WINDOW_MESSAGES
    voice.say(Put(voice.session, (Parcel(0, b"no header", b"", ()),)))
    world.run(ON_THE_WAY_MS)
    assert len([frame for frame in voice.heard(Returned) if isinstance(frame, Returned) and frame.bounces]) > 0


def credit_of(frame: object) -> int:
    return frame.total_messages if isinstance(frame, Credit) else 0
