"""What a connection may say to a hub: bytes that are no frames, frames out of turn, envelopes that are none."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.attacks.forgery import Pen, check_house, entries_of, parcels_in, refused
from tests.keys.repository import custody_by, key
from tests.world import Voice, World

from i247_hub.returns import Returns
from i247_protocol import codec
from i247_protocol.digests import envelope_id
from i247_protocol.frames import (
    Ask,
    Busy,
    Cards,
    CardWant,
    Credit,
    Custody,
    DirHave,
    DirWant,
    Frame,
    Pair,
    Parcel,
    Put,
    Reset,
    Returned,
    Role,
    Taken,
    Told,
    encode_frame,
)
from i247_protocol.limits import (
    BATCH_PARCELS_MAX,
    BODY_BYTES_MAX,
    CONTROL_BODY_BYTES_MAX,
    FRAME_BYTES_MAX,
    LIFETIME_MS_MAX,
    SKEW_MS,
)
from i247_protocol.names import EnvelopeId, HubName, MemberCode, SessionId
from i247_protocol.priority import Lane, Priority
from i247_protocol.reasons import Reason

MINUTE_MS = 60_000


@pytest.fixture(scope="module")
def world() -> World:
    """Brazil's node does not run: its link key is the attacker's."""
    made = World(3)
    made.start_all(but=["BR"])
    return made


@pytest.fixture
def voice(world: World) -> Voice:
    return world.member_voice("lyon", "BR")


def heard(world: World, voice: Voice, *frames: Frame | bytes) -> list[Frame]:
    """Say something and return the answer."""
    voice.data.clear()
    for frame in frames:
        voice.say(frame)
    world.run(100)
    return [frame for frame in voice.heard() if not isinstance(frame, Credit)]


PUT = Put(bytes(8), (Parcel(0, b"h", b"b", ()),))
BYTES: dict[str, tuple[Reason, bytes]] = {
    "nothing": (Reason.MALFORMED, b""),
    "no msgpack": (Reason.MALFORMED, b"\xc1"),
    "noise": (Reason.MALFORMED, bytes(range(256))),
    "a number": (Reason.MALFORMED, b"\1"),
    "a map": (Reason.MALFORMED, b"\x80"),
    "no kind": (Reason.MALFORMED, codec.encode([b"session"])),
    "an unknown kind": (Reason.MALFORMED, codec.encode(["steal", bytes(8)])),
    "a field too many": (Reason.MALFORMED, codec.encode(["reset", bytes(8), 1])),
    "a field too few": (Reason.MALFORMED, codec.encode(["credit", bytes(8), 1])),
    "a session too short": (Reason.MALFORMED, codec.encode(["reset", bytes(7)])),
    "cut short": (Reason.MALFORMED, encode_frame(PUT)[:-1]),
    "longer than it says": (Reason.MALFORMED, encode_frame(PUT) + b"\0"),
    "a longer form of a length": (Reason.NOT_CANONICAL, b"\xdc\x00\x02" + encode_frame(Reset(bytes(8)))[1:]),
    "a float": (Reason.MALFORMED, b"\x92\xa5reset\xcb" + bytes(8)),
    "an extension": (Reason.MALFORMED, b"\x92\xa5reset\xd7\x01" + bytes(8)),
    "a text that is no UTF-8": (Reason.MALFORMED, b"\x92\xa5rese\xff\xc4\x08" + bytes(8)),
    "nested too deep": (Reason.MALFORMED, b"\x91" * 5_000 + b"\x90"),
    "an announced length of gigabytes": (Reason.MALFORMED, b"\xdd\xff\xff\xff\xff"),
    "too large": (Reason.TOO_LARGE, bytes(FRAME_BYTES_MAX + 1)),
    "a put of nothing": (Reason.MALFORMED, codec.encode(["put", bytes(8), []])),
    "a put of too many": (Reason.MALFORMED, codec.encode(["put", bytes(8), [[0, b"", b"", []]] * 129])),
    "a parcel that has passed less than no hub": (
        Reason.MALFORMED,
        codec.encode(["put", bytes(8), [[-1, b"", b"", []]]]),
    ),
    "a wrap for no member": (
        Reason.MALFORMED,
        codec.encode(["put", bytes(8), [[0, b"", b"", [["fr", bytes(8), bytes(80)]]]]]),
    ),
    "a pair of no envelope": (Reason.MALFORMED, codec.encode(["ask", bytes(8), [[bytes(31), ["FR"]]]])),
    "a pair for nobody": (Reason.MALFORMED, codec.encode(["ask", bytes(8), [[bytes(32), []]]])),
    "a number beyond any": (Reason.MALFORMED, codec.encode(["credit", bytes(8), 2**64 - 1, 0])),
    "less than no credit": (Reason.MALFORMED, codec.encode(["credit", bytes(8), -1, 0])),
}


@pytest.mark.parametrize("case", BYTES)
def test_bytes_that_are_no_frame(world: World, voice: Voice, case: str) -> None:
    reason, data = BYTES[case]
    before = refused(world, "lyon")
    assert heard(world, voice, data) == [], "no answer to what cannot be read"
    assert counted(world, before) == {reason.value: 1}


def counted(world: World, before: dict[str, int]) -> dict[str, int]:
    return {name: n - before.get(name, 0) for name, n in refused(world, "lyon").items() if n != before.get(name, 0)}


@given(st.binary(max_size=300))
def test_no_bytes_stop_a_hub_or_a_node(data: bytes) -> None:
    world = QUIET
    voice = world.member_voice("lyon", "BR")
    voice.say(data)
    world.inject("lyon", "FR", Lane.EXPRESS, data)
    world.run(50)


@given(
    st.sampled_from(
        ["put", "custody", "returned", "busy", "ask", "told", "credit", "dir-want", "dir-have", "card-want", "card"]
    ),
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text(max_size=5) | st.binary(max_size=40),
        lambda inner: st.lists(inner, max_size=4),
        max_leaves=12,
    ).flatmap(lambda field: st.lists(st.just(field) | st.integers(0, 9), min_size=1, max_size=3)),
)
def test_no_frame_of_a_session_stops_a_hub_or_a_node(kind: str, fields: list[object]) -> None:
    world = QUIET
    voice = world.member_voice("lyon", "BR")
    voice.say(codec.encode([kind, voice.session, *fields]))
    world.inject("lyon", "FR", Lane.EXPRESS, codec.encode([kind, world.session("FR", "lyon", Lane.EXPRESS), *fields]))
    world.run(50)


def test_a_strangers_key(world: World) -> None:
    before = refused(world, "lyon")
    voice = world.voice("lyon", b"a stranger's public key".ljust(32))
    voice.greet()
    world.run(100)
    voice.say(DirWant(voice.session, 0, b""))
    world.run(100)
    assert voice.data == []
    assert counted(world, before) == {Reason.STRANGER.value: 2}


@pytest.mark.parametrize("name", ["lyon", "BR"])
def test_a_role_that_is_not_the_keys(world: World, name: str) -> None:
    """A member that calls itself a hub would get others' mail; a hub's own key comes from nowhere but itself."""
    before = refused(world, "lyon")
    voice = world.voice("lyon", "BR" if name == "BR" else "singapore")
    voice.greet(Role.HUB if name == "BR" else Role.MEMBER)
    world.run(100)
    assert voice.data == []
    assert counted(world, before) == {Reason.OUT_OF_TURN.value: 1}


def test_a_frame_before_any_greeting(world: World) -> None:
    before = refused(world, "lyon")
    voice = world.voice("lyon", "BR")
    assert heard(world, voice, Ask(bytes(8), (Pair(bytes(32), ("FR",)),))) == [Reset(bytes(8))]
    assert counted(world, before) == {Reason.UNKNOWN_SESSION.value: 1}


def test_another_connections_session(world: World, voice: Voice) -> None:
    theirs = world.session("FR", "lyon", Lane.EXPRESS)
    before = refused(world, "lyon")
    assert heard(world, voice, CardWant(theirs, ())) == [Reset(theirs)]
    assert counted(world, before) == {Reason.UNKNOWN_SESSION.value: 1}


OUT_OF_TURN: dict[str, Callable[[SessionId], Frame]] = {
    "an answer to a question never put": lambda session: Told(session, ()),
}


@pytest.mark.parametrize("case", OUT_OF_TURN)
def test_a_frame_that_nobody_waits_for(world: World, voice: Voice, case: str) -> None:
    before = refused(world, "lyon")
    assert heard(world, voice, OUT_OF_TURN[case](voice.session)) == []
    assert counted(world, before) == {Reason.OUT_OF_TURN.value: 1}


def test_claims_about_what_was_never_put(world: World, voice: Voice) -> None:
    """Custody, busy and words of return for envelopes that one was not given change nothing."""
    pen = Pen(world)
    world.write("FR", "SG", "s", "t")
    envelope = bytes(range(32))
    forged = Returned(voice.session, ())
    pairs = (Pair(envelope, ("SG", "BR")),)
    custody = custody_by("BR", voice.session, Taken(envelope, 0, ("SG", "BR")))
    answers = heard(world, voice, custody, Busy(voice.session, pairs, "x", 1), forged)
    assert answers == []
    world.run(10_000)
    assert len(entries_of(world, "SG")) >= 1
    assert pen.card("SG").version
    check_house(world)


def test_a_flood_of_greetings(world: World, voice: Voice) -> None:
    """Each replaces the one before; the hub keeps one session, and the others' work goes on."""
    sessions = len(world.hub("lyon").connections)
    for _ in range(500):
        voice.greet()
    world.run(100)
    assert len(world.hub("lyon").connections) == sessions
    before = len(entries_of(world, "SG"))
    world.write("FR", "SG", "s", "t")
    world.run(5_000)
    assert len(entries_of(world, "SG")) == before + 1


def test_a_flood_of_connections_of_one_member(world: World) -> None:
    """A member has one session a lane, however often it connects."""
    sessions = len(world.hub("lyon").connections)
    for _ in range(100):
        world.voice("lyon", "BR").greet()
    world.run(100)
    assert len(world.hub("lyon").connections) <= sessions + 1


def test_a_flood_of_resets(world: World, voice: Voice) -> None:
    for _ in range(500):
        voice.say(Reset(voice.session))
    world.run(100)
    assert heard(world, voice, DirWant(voice.session, 0, b"")) != []


# --- envelopes ---

ENVELOPES: dict[str, tuple[Reason, Callable[[Pen, int], Parcel]]] = {
    "header of no shape": (Reason.MALFORMED, lambda pen, wall: one(pen)._replace(header=b"\x80")),
    "header in a longer form": (
        Reason.NOT_CANONICAL,
        lambda pen, wall: one(pen)._replace(header=b"\xde\x00\x06" + one(pen).header[1:]),
    ),
    "header too long": (Reason.TOO_LARGE, lambda pen, wall: one(pen)._replace(header=bytes(1_025))),
    "body too long": (Reason.TOO_LARGE, lambda pen, wall: one(pen)._replace(body=bytes(BODY_BYTES_MAX + 1))),
    "control that is too long": (
        Reason.TOO_LARGE,
        lambda pen, wall: pen.sealed("BR", "FR", prio=Priority.CONTROL)._replace(
            body=bytes(CONTROL_BODY_BYTES_MAX + 1)
        ),
    ),
    "another version": (Reason.UNKNOWN_VERSION, lambda pen, wall: with_header(one(pen), v=2)),
    "another suite": (Reason.UNKNOWN_SUITE, lambda pen, wall: with_header(one(pen), suite=9)),
    "a name for the sender": (Reason.MALFORMED, lambda pen, wall: with_header(one(pen), sender="BR")),
    "no recipient": (Reason.MALFORMED, lambda pen, wall: with_header(one(pen), to=[])),
    "recipients out of order": (Reason.MALFORMED, lambda pen, wall: with_header(many(pen), to=["XP", "FR"])),
    "a recipient twice": (Reason.MALFORMED, lambda pen, wall: with_header(many(pen), to=["FR", "FR"])),
    "251 recipients": (Reason.MALFORMED, lambda pen, wall: with_header(many(pen), to=codes(251))),
    "a priority beyond any": (Reason.MALFORMED, lambda pen, wall: with_header(one(pen), prio=4)),
    "expired": (Reason.EXPIRED, lambda pen, wall: pen.sealed("BR", "FR", exp=wall // MINUTE_MS)),
    "expires too late": (
        Reason.LIFETIME_TOO_LONG,
        lambda pen, wall: pen.sealed("BR", "FR", exp=(wall + LIFETIME_MS_MAX + SKEW_MS) // MINUTE_MS + 2),
    ),
    "one recipient and wraps": (Reason.MALFORMED, lambda pen, wall: one(pen)._replace(wraps=many(pen).wraps)),
    "many recipients and no wraps": (Reason.MALFORMED, lambda pen, wall: many(pen)._replace(wraps=())),
    "wraps for others": (
        Reason.MALFORMED,
        lambda pen, wall: many(pen)._replace(wraps=pen.sealed("BR", "SG", "XP").wraps),
    ),
    "a wrap twice": (Reason.MALFORMED, lambda pen, wall: many(pen)._replace(wraps=many(pen).wraps[:1] * 2)),
    "a wrap of another length": (
        Reason.MALFORMED,
        lambda pen, wall: many(pen)._replace(wraps=tuple((m, k, s + b"\0") for m, k, s in many(pen).wraps)),
    ),
    "a wrap that hides a megabyte in its key's name": (
        Reason.MALFORMED,
        lambda pen, wall: many(pen)._replace(wraps=tuple((m, bytes(2**20), s) for m, _, s in many(pen).wraps[:1])),
    ),
}


def one(pen: Pen) -> Parcel:
    return pen.sealed("BR", "FR")


def many(pen: Pen) -> Parcel:
    return pen.sealed("BR", "FR", "XP")


def with_header(parcel: Parcel, **changed: object) -> Parcel:
    plain = codec.decode(parcel.header, bytes_max=4096)
    return parcel._replace(header=codec.encode({**plain, **changed}))


def codes(number: int) -> list[str]:
    letters = [chr(65 + n) for n in range(26)]
    return [one + other for one in letters for other in letters][:number]


@pytest.mark.parametrize("case", ENVELOPES)
def test_an_envelope_that_is_none_is_returned_at_once(world: World, voice: Voice, case: str) -> None:
    reason, forge = ENVELOPES[case]
    before, used = refused(world, "lyon"), world.hub_store("lyon").used_bytes()
    answers = heard(world, voice, Put(voice.session, (forge(Pen(world), world.now.wall),)))
    assert len(answers) == 1
    assert isinstance(answers[0], Returned)
    assert [(word.recipient, word.reason, word.hub) for word in answers[0].bounces] == [("", reason.value, "lyon")]
    assert counted(world, before) == {reason.value: 1}
    assert world.hub_store("lyon").used_bytes() == used


def test_good_envelopes_among_bad_ones_are_taken(world: World, voice: Voice) -> None:
    pen = Pen(world)
    before = len(entries_of(world, "FR"))
    bad = [forge(pen, world.now.wall) for _, forge in ENVELOPES.values()]
    small = [parcel for parcel in bad if len(repr(parcel)) < 100_000][: BATCH_PARCELS_MAX // 2 - 1]
    answers = heard(world, voice, Put(voice.session, (*small, one(pen), *small)))
    assert [len(frame.taken) for frame in answers if isinstance(frame, Custody)] == [1], (
        answers,
        refused(world, "lyon"),
    )
    world.run(1_000)
    assert len(entries_of(world, "FR")) == before + 1


def test_an_envelope_for_a_member_that_does_not_exist(world: World, voice: Voice) -> None:
    pen = Pen(world)
    parcel = with_header(one(pen), to=["QX"])
    answers = heard(world, voice, Put(voice.session, (parcel,)))
    assert isinstance(answers[0], Returned)
    assert [(word.recipient, word.reason) for word in answers[0].bounces] == [("QX", Reason.UNKNOWN_MEMBER.value)]


def test_an_envelope_sealed_to_a_dead_key(world: World, voice: Voice) -> None:
    parcel = with_header(one(Pen(world)), kid=bytes(8))
    answers = heard(world, voice, Put(voice.session, (parcel,)))
    assert isinstance(answers[0], Returned)
    assert [(word.recipient, word.reason) for word in answers[0].bounces] == [("FR", Reason.DEAD_KEY.value)]


def test_an_envelope_that_has_been_everywhere(world: World) -> None:
    """A loop between hubs ends."""
    voice = world.voice("lyon", "singapore")
    voice.greet(Role.HUB)
    world.run(100)
    parcel = Pen(world).sealed("FR", "SG")._replace(hops=3)
    answers = heard(world, voice, Put(voice.session, (parcel,)))
    assert isinstance(answers[0], Returned)
    assert [(word.recipient, word.reason) for word in answers[0].bounces] == [("SG", Reason.TOO_MANY_HOPS.value)]


def test_the_same_envelope_twice_in_one_frame_is_held_once(world: World, voice: Voice) -> None:
    parcel = one(Pen(world))
    before, held = len(entries_of(world, "FR")), world.total("lyon", "held")
    heard(world, voice, Put(voice.session, (parcel, parcel)))
    world.run(1_000)
    assert world.total("lyon", "held") == held + 1
    assert len(entries_of(world, "FR")) == before + 1


def test_custody_before_the_envelope_was_put_frees_no_room_twice(world: World) -> None:
    """A member that addresses itself and claims custody early must not talk the hub out of its count of bytes."""
    express, bulk = world.member_voice("lyon", "BR"), world.member_voice("lyon", "BR", Lane.BULK)
    pen = Pen(world)
    parcels = [
        pen.seal(pen.say("FR", "BR", prio=Priority.ROUTINE), ["BR"], keys={"BR": pen.key_of("FR")}) for _ in range(3)
    ]
    heard(world, bulk, Put(bulk.session, tuple(parcels)))
    assert parcels_in(bulk.heard()), "the hub puts them back to their own sender"
    taken = Taken(envelope_id(parcels[0].header, parcels[0].body), 1, ("BR",))
    for voice in (express, bulk, express, bulk):
        heard(world, voice, custody_by("BR", voice.session, taken))
    assert world.hub("lyon")._carriage._holdings.room.used == world.hub_store("lyon").used_bytes()  # noqa: SLF001  nobody else can tell
    check_house(world)


def test_what_is_returned_before_it_was_put_is_not_put_any_more() -> None:
    """A place that has greeted anew may return what it had of the session before; that waits here to be put again."""
    world = _quiet()
    voice = world.voice("lyon", "BR")
    voice.greet(lane=Lane.BULK, window_messages=1)
    world.run(200)
    pen = Pen(world)
    parcels = [
        pen.seal(pen.say("FR", "BR", prio=Priority.ROUTINE), ["BR"], keys={"BR": pen.key_of("FR")}) for _ in range(3)
    ]
    heard(world, voice, Put(voice.session, tuple(parcels)))
    names = [EnvelopeId(envelope_id(one.header, one.body)) for one in parcels]
    assert len(parcels_in(voice.heard())) == 1, "there is credit for one"
    word = Returns(HubName("singapore"), key("singapore")).word(
        names[2], MemberCode("BR"), Reason.DEAD_KEY, world.now.wall
    )
    heard(world, voice, Returned(voice.session, (word,)))
    assert world.hub_store("lyon").held(names[2]) == []
    voice.data.clear()
    heard(world, voice, Credit(voice.session, 100, 2**30))
    assert [envelope_id(one.header, one.body) for one in parcels_in(voice.heard())] == [names[1]]
    for name in names:
        heard(world, voice, custody_by("BR", voice.session, Taken(name, 1, ("BR",))))
    assert world.hub("lyon")._carriage._holdings.room.used == world.hub_store("lyon").used_bytes()  # noqa: SLF001  nobody else can tell
    check_house(world)


def test_cards_and_documents_that_are_none(world: World, voice: Voice) -> None:
    counters = world.hub("lyon").counters
    before = counters.total("card.malformed"), counters.total("directory.unknown-version")
    heard(world, voice, Cards(voice.session, (b"", b"\xc1", bytes(5_000))), DirHave(voice.session, b"\x80"))
    assert counters.total("card.malformed") == before[0] + 2
    assert counters.total("directory.unknown-version") == before[1] + 1
    assert counters.total("card.too-large") >= 1


def _quiet() -> World:
    made = World(4)
    made.start_all(but=["BR"])
    return made


QUIET = _quiet()
