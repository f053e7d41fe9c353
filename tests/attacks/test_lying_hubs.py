"""P3, P4: a hub that drops, keeps back, reorders, repeats, forges words of return, and answers what is not so."""

from __future__ import annotations

import pytest
from tests.attacks.forgery import Pen, check_house, entries_of, parcels_in, refused
from tests.keys.repository import custody_by, key
from tests.world import Voice, World

from i247_hub.returns import Returns
from i247_keys import contexts
from i247_keys.returned import returned_payload
from i247_node.commands import DeliveryMoved
from i247_node.records import DeliveryState
from i247_protocol import codec
from i247_protocol.digests import envelope_id
from i247_protocol.frames import (
    Ask,
    Bounce,
    Busy,
    Credit,
    Fate,
    Frame,
    Hello,
    Known,
    Pair,
    Parcel,
    Put,
    Reset,
    Returned,
    Role,
    Taken,
    Told,
    encode_frame,
    parse_frame,
)
from i247_protocol.machine import LinkId
from i247_protocol.names import EnvelopeId, HubName, MemberCode, SessionId
from i247_protocol.notices import Colour, Event, Notice
from i247_protocol.priority import Lane, Priority
from i247_protocol.reasons import Reason


@pytest.fixture
def world() -> World:
    made = World(31)
    made.start_all()
    return made


def word(envelope: bytes, recipient: str, reason: str, hub: str, signer: str, at: int) -> Bounce:
    """Return a word of return that claims to be `hub`'s and is signed by `signer`."""
    payload = returned_payload(envelope, recipient, reason, at, hub)
    return Bounce(envelope, recipient, reason, at, hub, key(signer).sign(contexts.RETURNED, payload))


def state_of(world: World, n: int = 1, author: str = "FR", recipient: str = "SG") -> DeliveryState:
    delivery = world.node_store(author).delivery(n, MemberCode(recipient))
    assert delivery is not None
    return delivery.state


def envelope_of(world: World, n: int = 1, author: str = "FR", recipient: str = "SG") -> EnvelopeId:
    delivery = world.node_store(author).delivery(n, MemberCode(recipient))
    assert delivery is not None
    assert delivery.envelope is not None
    return delivery.envelope


def say(world: World, frame_of: object) -> None:
    world.inject("lyon", "FR", Lane.EXPRESS, frame_of)  # type: ignore[arg-type]
    world.run(100)


# --- custody for what it dropped ---


def test_a_hub_that_lost_its_disk_costs_a_delay() -> None:
    """It had given custody; asked, it knows nothing; the outbox sends again, and it arrives once."""
    world = World(32)
    world.start_all()
    world.stop("SG")
    world.stop("singapore")
    for n in range(20):
        world.write("FR", "SG", "s", f"{n}")
    world.run(500)
    assert {state_of(world, n) for n in range(1, 21)} == {DeliveryState.IN_CUSTODY}
    world.stop("lyon")
    world.lose_disk("lyon")
    for name in ("lyon", "singapore"):
        world.start_hub(name)
    world.start_node("SG")
    world.run(90_000)
    assert {state_of(world, n) for n in range(1, 21)} == {DeliveryState.DELIVERED}
    assert len(entries_of(world, "SG")) == 20
    assert world.total("FR", "sent-again") == 20


def test_custody_for_what_it_throws_away() -> None:
    """The last hub says custody and delivers nothing, once for each envelope; the author's questions find out."""
    world = World(33)
    world.start_all()
    dropped: set[bytes] = set()

    def thief(sender: str, receiver: str, data: bytes) -> list[bytes]:
        frame = parse_frame(data)
        if (sender, receiver) == ("singapore", "SG") and isinstance(frame, Put):
            taken = []
            for parcel in frame.parcels:
                name = envelope_id(parcel.header, parcel.body)
                if name not in dropped and len(dropped) < 5:
                    dropped.add(name)
                    taken.append(Taken(name, parcel.hops, ("SG",)))
            if taken:
                world.carry("SG", link_of(world), encode_frame(custody_by("SG", frame.session, *taken)))
                return []
        return [data]

    world.meddle = thief
    for n in range(5):
        world.write("FR", "SG", "s", f"{n}", Priority.URGENT)
    world.run(60_000)
    assert dropped
    assert {state_of(world, n) for n in range(1, 6)} == {DeliveryState.DELIVERED}
    assert len(entries_of(world, "SG")) == 5
    assert world.total("FR", "sent-again") >= 5


def all_of(put: Put) -> list[Taken]:
    return [Taken(envelope_id(one.header, one.body), one.hops, ("SG",)) for one in put.parcels]


def link_of(world: World) -> LinkId:
    return LinkId(b"hub:singapore:express")


def test_custody_by_a_hub_that_keeps_nothing_and_then_is_replaced(world: World) -> None:
    """A hub that swallows everything with custody; when an honest one is back, nothing was lost."""
    world.stop("lyon")

    def swallow(voice: Voice, owner: str, frame: Frame) -> None:
        if isinstance(frame, Put):
            voice.say(custody_by("lyon", voice.session, *all_of(frame)))
        elif isinstance(frame, Ask):
            known = tuple(Known(one.envelope, "SG", Fate.HELD, "SG", 0) for one in frame.pairs)
            voice.say(Told(voice.session, known))

    world.pretend("lyon", swallow)
    world.run(3_000)
    for n in range(5):
        world.write("FR", "SG", "s", f"{n}")
    world.run(60_000)
    assert {state_of(world, n) for n in range(1, 6)} == {DeliveryState.IN_CUSTODY}
    assert world.news("FR", DeliveryMoved) == []
    world.stop("lyon")
    world.start_hub("lyon")
    world.run(20 * 60_000)
    assert {state_of(world, n) for n in range(1, 6)} == {DeliveryState.DELIVERED}
    assert len(entries_of(world, "SG")) == 5


def test_custody_for_some_of_a_rows_recipients(world: World) -> None:
    """The next hub takes a notice for one member and says nothing of the other; then both hubs start anew."""
    homes = {"FR": ("singapore",), "SG": ("singapore",), "BR": ("lyon",), "XP": ("lyon",)}
    made = World(36, homes=homes)
    made.start_all(but=["singapore"])

    def half(voice: Voice, owner: str, frame: Frame) -> None:
        if isinstance(frame, Put) and owner == "lyon":
            voice.say(custody_by("singapore", voice.session, *all_of(frame)))

    made.start_hub("singapore")
    made.run(3_000)  # for the keycards
    made.stop("singapore")
    made.pretend("singapore", half)
    made.run(3_000)
    made.publish("XP", NOTICE, ("FR", "SG"))
    made.run(3_000)
    waiting = {place: rows for place, _, rows, _ in made.hub("lyon").waiting()}
    assert waiting == {"singapore": 1}
    assert made.hub_store("lyon").used_bytes() > 0, "France's part is still held"
    made.stop("singapore")
    made.start_hub("singapore")
    made.run(5_000)
    assert len(entries_of(made, "FR")) == 1
    made.run(120_000)
    assert len(entries_of(made, "SG")) == 1, "asked for, found unknown, sent again"


NOTICE = Notice(
    colour=Colour.RED, event=Event.PUBLISHED, number="R-1", text="t", title="t", valid_until=2**41, version=1
)


# --- words of return ---


@pytest.mark.parametrize(
    ("hub", "signer", "reason"),
    [
        ("singapore", "lyon", Reason.BAD_SIGNATURE),  # in another hub's name
        ("nowhere", "lyon", Reason.BAD_SIGNATURE),  # of a hub that the roster does not have
        ("lyon", "FR", Reason.BAD_SIGNATURE),  # signed by a member
    ],
)
def test_a_forged_word_of_return(world: World, hub: str, signer: str, reason: Reason) -> None:
    world.stop("SG")
    world.write("FR", "SG", "s", "t")
    world.run(500)
    forged = word(envelope_of(world), "SG", Reason.SUSPENDED.value, hub, signer, world.now.wall)
    say(world, lambda session: Returned(session, (forged,)))
    assert state_of(world) is DeliveryState.IN_CUSTODY
    assert refused(world, "FR") == {reason.value: 1}
    assert world.news("FR", DeliveryMoved) == []


def test_a_word_of_return_with_a_reason_that_is_none(world: World) -> None:
    world.stop("SG")
    world.write("FR", "SG", "s", "t")
    world.run(500)
    wordy = word(envelope_of(world), "SG", "because-i-say-so", "lyon", "lyon", world.now.wall)
    say(world, lambda session: Returned(session, (wordy,)))
    assert state_of(world) is DeliveryState.IN_CUSTODY
    assert refused(world, "FR") == {Reason.MALFORMED.value: 1}


def test_a_word_of_return_for_somebody_elses_envelope(world: World) -> None:
    world.write("FR", "SG", "s", "t")
    foreign = Returns(HubName("lyon"), key("lyon")).word(
        EnvelopeId(bytes(32)), MemberCode("SG"), Reason.SUSPENDED, world.now.wall
    )
    say(world, lambda session: Returned(session, (foreign,)))
    world.run(3_000)
    assert state_of(world) is DeliveryState.DELIVERED


def test_a_replayed_word_of_return_does_not_touch_what_was_sealed_again(world: World) -> None:
    """A dead key is told; the message goes again under a new one; the old word, said again, is of no envelope."""
    world.stop("SG")
    world.write("FR", "SG", "s", "t")
    world.run(500)
    first = envelope_of(world)
    old = Returns(HubName("lyon"), key("lyon")).word(first, MemberCode("SG"), Reason.NO_KEYCARD, world.now.wall)
    say(world, lambda session: Returned(session, (old,)))
    world.run(15_000)
    second = envelope_of(world)
    assert second != first
    assert state_of(world) is DeliveryState.IN_CUSTODY
    for _ in range(20):
        say(world, lambda session: Returned(session, (old,)))
    assert (state_of(world), envelope_of(world)) == (DeliveryState.IN_CUSTODY, second)
    world.start_node("SG")
    world.run(30_000)
    assert state_of(world) is DeliveryState.DELIVERED
    assert len(entries_of(world, "SG")) == 1


def test_a_true_word_of_return_after_all_does_not_undo_a_delivery(world: World) -> None:
    world.write("FR", "SG", "s", "t")
    world.run(5_000)
    late = Returns(HubName("singapore"), key("singapore")).word(
        envelope_of(world), MemberCode("SG"), Reason.SUSPENDED, world.now.wall
    )
    say(world, lambda session: Returned(session, (late,)))
    assert state_of(world) is DeliveryState.DELIVERED


@pytest.mark.parametrize("takes_custody_first", [False, True])
@pytest.mark.parametrize("reason", [Reason.DEAD_KEY, Reason.NO_KEYCARD])
def test_a_hub_that_calls_every_key_dead_cannot_make_a_node_spin(
    world: World, reason: Reason, takes_custody_first: bool
) -> None:
    """It answers each put with a word of its own. The node must not seal again at the pace of the wire."""
    world.stop("lyon")
    puts: list[int] = []

    def answer(voice: Voice, owner: str, frame: Frame) -> None:
        if isinstance(frame, Put) and owner == "FR":
            puts.append(world.mono)
            words = [
                word(envelope_id(one.header, one.body), "SG", reason.value, "lyon", "lyon", world.now.wall)
                for one in frame.parcels
            ]
            if takes_custody_first:
                voice.say(custody_by("lyon", voice.session, *all_of(frame)))
            voice.say(Returned(voice.session, tuple(words)))

    world.pretend("lyon", answer)
    world.run(3_000)
    world.write("FR", "SG", "s", "t")
    world.run(20_000)
    assert 1 <= len(puts) <= 25, f"{len(puts)} times in 20 s"
    world.stop("lyon")
    world.start_hub("lyon")
    world.run(180_000)
    assert state_of(world) in {DeliveryState.DELIVERED, DeliveryState.QUEUED}


# --- what it tells ---


@pytest.mark.parametrize("fate", list(Fate))
def test_told_of_what_was_never_asked(world: World, fate: Fate) -> None:
    world.write("FR", "SG", "s", "t")
    known = tuple(Known(bytes([n]) * 32, code, fate, "x", 2**50) for n in range(3) for code in ("SG", "", "no code"))
    say(world, lambda session: Told(session, known))
    world.run(3_000)
    assert state_of(world) is DeliveryState.DELIVERED
    assert world.total("FR", "sent-again") == 0


def test_told_that_it_is_unknown_though_it_is_held(world: World) -> None:
    """The outbox sends again; the ends remove what comes twice."""
    world.stop("SG")
    world.write("FR", "SG", "s", "t")
    world.run(500)
    for _ in range(3):
        lie = (Known(envelope_of(world), "SG", Fate.UNKNOWN, "", 0),)
        say(world, lambda session, lie=lie: Told(session, lie))
        world.run(500)
    world.start_node("SG")
    world.run(30_000)
    assert state_of(world) is DeliveryState.DELIVERED
    assert len(entries_of(world, "SG")) == 1
    assert refused(world, "SG") == {Reason.DUPLICATE.value: 3}


def test_told_by_a_hub_that_nobody_asked() -> None:
    """Lyon asks Singapore for France; what Buenos Aires says to that does not reach France."""
    world = World(37, hubs=("buenos-aires", "lyon", "singapore"))
    world.start_all(but=["buenos-aires"])
    world.stop("SG")
    world.write("FR", "SG", "s", "t")
    world.run(2_000)
    stranger = world.voice("lyon", "buenos-aires")
    stranger.greet(Role.HUB)
    world.deaf = lambda sender, receiver, data: sender == "singapore" and isinstance(parse_frame(data), Told)
    lie = Known(envelope_of(world), "SG", Fate.UNKNOWN, "", 0)
    for _ in range(600):
        world.run(100)
        stranger.say(Told(stranger.session, (lie,)))
    assert world.total("FR", "asked") >= 2
    assert world.total("FR", "sent-again") == 0
    world.deaf = None
    world.start_node("SG")
    world.run(30_000)
    assert len(entries_of(world, "SG")) == 1


# --- keeping back, reordering, repeating ---


def test_what_is_kept_back_ends_at_its_time(world: World) -> None:
    """A hub that lets nothing through: every question ends, and says so."""
    world.deaf = lambda sender, receiver, data: receiver == "SG" and isinstance(parse_frame(data), Put)
    world.ask("FR", "SG", "sltd", "N1", within_ms=30_000)
    world.run(95_000)
    assert state_of(world) is DeliveryState.EXPIRED
    assert world.node_store("FR").open_conversations() == []


def test_reordered_and_repeated_mail(world: World) -> None:
    pen = Pen(world)
    parcels = [pen.sealed("FR", "SG") for _ in range(30)]
    shuffled = sorted(parcels * 3, key=lambda parcel: parcel.body[40:])
    for begin in range(0, 90, 45):
        assert pen.deliver("singapore", "SG", *shuffled[begin : begin + 45]) == 45
    assert len(entries_of(world, "SG")) == 30
    assert refused(world, "SG") == {Reason.DUPLICATE.value: 60}
    check_house(world)


def test_every_frame_twice(world: World) -> None:
    world.meddle = lambda sender, receiver, data: [data, data]
    for n in range(20):
        world.write("FR", "SG", "s", f"{n}")
        world.write("SG", "FR", "s", f"{n}")
    world.run(60_000)
    for author, recipient in (("FR", "SG"), ("SG", "FR")):
        states = {state_of(world, n, author, recipient) for n in range(1, 21)}
        assert states == {DeliveryState.DELIVERED}
        letters = [entry for entry in entries_of(world, recipient) if entry.act.value == "correspondence"]
        assert len(letters) == 20
    check_house(world)


# --- sessions and credit ---


def test_a_wrong_session(world: World) -> None:
    pen = Pen(world)
    world.inject("singapore", "SG", Lane.EXPRESS, encode_frame(Put(b"12345678", (pen.sealed("FR", "SG"),))))
    other = world.session("FR", "lyon", Lane.EXPRESS)
    world.inject("singapore", "SG", Lane.EXPRESS, encode_frame(Put(other, (pen.sealed("FR", "SG"),))))
    world.run(500)
    assert entries_of(world, "SG") == []
    assert refused(world, "SG") == {Reason.UNKNOWN_SESSION.value: 2}


def test_a_frame_under_another_key_than_the_hubs(world: World) -> None:
    """Whoever comes to sit at the far end of a link without the key that the roster names for it."""
    before = world.session("SG", "singapore", Lane.EXPRESS)
    world.link_keys["singapore"] = b"a thief's key".ljust(32)
    parcel = Pen(world).sealed("FR", "SG")
    world.inject("singapore", "SG", Lane.EXPRESS, encode_frame(Put(before, (parcel,))))
    world.run(500)
    assert entries_of(world, "SG") == []
    assert refused(world, "SG") == {Reason.STRANGER.value: 1}


def test_a_greeting_that_answers_none(world: World) -> None:
    hello = Hello(b"12345678", Role.HUB, Lane.EXPRESS, 1, b"", b"", world.now.wall, 1, 1)
    world.inject("singapore", "SG", Lane.EXPRESS, encode_frame(hello))
    world.inject(
        "singapore",
        "SG",
        Lane.EXPRESS,
        lambda session: Hello(session, Role.MEMBER, Lane.EXPRESS, 1, b"", b"", world.now.wall, 1, 1),
    )
    world.run(500)
    assert refused(world, "SG") == {Reason.UNKNOWN_SESSION.value: 2}


def test_greeting_again_takes_no_credit_back(world: World) -> None:
    for _ in range(50):
        world.inject(
            "lyon",
            "FR",
            Lane.EXPRESS,
            lambda session: Hello(session, Role.HUB, Lane.EXPRESS, 1, b"", b"", world.now.wall, 0, 0),
        )
    world.run(500)
    world.write("FR", "SG", "s", "t", Priority.URGENT)
    world.run(3_000)
    assert state_of(world) is DeliveryState.DELIVERED


def test_a_flood_of_resets_at_a_node(world: World) -> None:
    for _ in range(100):
        world.inject("lyon", "FR", Lane.EXPRESS, Reset)
        world.run(30)
    world.write("FR", "SG", "s", "t", Priority.URGENT)
    world.run(20_000)
    assert state_of(world) is DeliveryState.DELIVERED


def test_busy_for_ever_and_credit_of_nothing(world: World) -> None:
    """Neither may set a node aside for longer than it allows."""
    world.stop("SG")
    world.write("FR", "SG", "s", "t")
    pairs = (Pair(envelope_of(world), ("SG",)),)
    world.inject("lyon", "FR", Lane.BULK, lambda session: Busy(session, pairs, "x" * 10, 2**52))
    world.inject("lyon", "FR", Lane.BULK, lambda session: Credit(session, 0, 0))
    world.run(16 * 60_000)
    world.start_node("SG")
    world.run(60_000)
    assert state_of(world) is DeliveryState.DELIVERED


def test_more_than_was_credited_is_not_taken() -> None:
    """Within one turn a hub cannot put more than the window, whatever it sends."""
    world = World(35)
    world.start_all()
    pen = Pen(world)
    parcel = pen.sealed("FR", "SG")
    junk = Parcel(0, parcel.header, bytes(1_200_000), ())
    taken = sum(pen.deliver("singapore", "SG", junk) for _ in range(3))
    assert taken == 3
    assert set(refused(world, "SG")) <= {Reason.CANNOT_OPEN.value, Reason.CREDIT_EXCEEDED.value}
    assert pen.deliver("singapore", "SG", parcel) == 1
    assert SessionId(codec.encode(0))


def test_a_hub_learns_nothing_from_a_flood_of_questions(world: World) -> None:
    """Asked about envelopes that it never had, a hub says unknown, and keeps nothing."""
    world.stop("BR")
    voice = world.member_voice("lyon", "BR")
    used = world.hub_store("lyon").used_bytes()
    for n in range(50):
        voice.say(Ask(voice.session, tuple(Pair(bytes([n, m]) * 16, ("FR",)) for m in range(64))))
    world.run(500)
    told = [frame for frame in voice.heard(Told) if isinstance(frame, Told)]
    assert {one.fate for frame in told for one in frame.known} == {Fate.UNKNOWN}
    assert sum(len(frame.known) for frame in told) == 50 * 64
    assert world.hub_store("lyon").used_bytes() == used
    assert parcels_in(voice.heard()) == []
