"""P7, P8: members that are suspended, have left or were never there; keys that are exchanged in mid-session."""

from __future__ import annotations

from collections.abc import Callable

from tests.attacks.forgery import DAY_MS, HOUR_MS, Pen, check_house, entries_of, refused
from tests.keys.repository import custody_by
from tests.world import World

from i247_keys.charter import Kind
from i247_keys.roster import State
from i247_node.commands import Declined, DeliveryMoved, EntryArrived
from i247_node.records import DeliveryState, EntryState
from i247_protocol.frames import (
    Ask,
    Cards,
    CardWant,
    Credit,
    Custody,
    DirHave,
    DirWant,
    Pair,
    Put,
    Returned,
    Taken,
    Told,
    parse_frame,
)
from i247_protocol.names import MemberCode
from i247_protocol.priority import Lane, Priority
from i247_protocol.reasons import Reason

EVERYBODY = ("BR", "FR", "SG", "XP", "lyon", "singapore")
LAPSE_MS = 72 * HOUR_MS


def world_of(seed: int, but: tuple[str, ...] = ()) -> World:
    made = World(seed)
    made.start_all(but=but)
    return made


def suspend(world: World, code: str, *who: str) -> None:
    """Suspend a member in an emergency, and let those in `who` know."""
    world.publish_roster(suspend=(code,))
    world.give_directory(*(name for name in who or EVERYBODY if name in world.programs))
    world.run(200)


def wait_out(world: World, who: tuple[str, ...] = EVERYBODY) -> None:
    """Let the suspension lapse, with pulses that keep the directory fresh."""
    for _ in range(4):
        world.leap(LAPSE_MS // 4)
        world.beat()
        world.give_directory(*(name for name in who if name in world.programs))
    world.run(130_000)


def test_a_suspended_member_may_speak_of_the_directory_alone() -> None:
    world = world_of(11, but=("BR",))
    voice = world.member_voice("lyon", "BR")
    suspend(world, "BR")
    assert len(voice.heard(DirHave)) == 1, "it is told"
    voice.data.clear()
    envelope = Pair(bytes(32), ("FR",))
    voice.say(Put(voice.session, (Pen(world).sealed("BR", "FR"),)))
    voice.say(Ask(voice.session, (envelope,)))
    voice.say(custody_by("BR", voice.session, Taken(bytes(32), 0, ("FR",))))
    voice.say(CardWant(voice.session, ()))
    voice.say(Cards(voice.session, ()))
    world.run(200)
    assert refused(world, "lyon") == {Reason.SUSPENDED.value: 5}
    assert voice.heard(Custody, Told, Returned, Cards) == []
    voice.say(DirWant(voice.session, 1, b""))
    world.run(200)
    assert len(voice.heard(DirHave)) == 1
    assert entries_of(world, "FR") == []


def test_a_suspended_member_gets_a_session_but_no_mail() -> None:
    world = world_of(12, but=("BR",))
    world.write("FR", "BR", "s", "t")
    pen = Pen(world)
    letters = [pen.seal(pen.say("FR", "BR"), ["BR"], keys={"BR": pen.key_of("FR")}) for _ in range(3)]
    voice = world.member_voice("lyon", "FR")
    voice.say(Put(voice.session, tuple(letters)))
    world.run(100)
    suspend(world, "BR")
    voice = world.member_voice("lyon", "BR")
    world.run(10_000)
    assert voice.heard(Put, Returned, Cards) == []


def uninformed(*codes: str) -> Callable[[str, str, bytes], bool]:
    """Keep news of the directory from some."""
    return lambda sender, receiver, data: receiver in codes and isinstance(parse_frame(data), DirHave)


def test_mail_to_a_suspended_member_is_returned_and_its_author_told() -> None:
    world = world_of(13)
    world.deaf = uninformed("FR", "SG")
    suspend(world, "BR", "lyon", "singapore")
    world.write("FR", "BR", "s", "t")
    world.write("SG", "BR", "s", "t")
    world.run(5_000)
    for author in ("FR", "SG"):
        assert [(one.state, one.reason) for one in world.news(author, DeliveryMoved)] == [
            (DeliveryState.REFUSED, Reason.SUSPENDED.value)
        ]
    assert entries_of(world, "BR") == []


def test_who_knows_of_the_suspension_does_not_write() -> None:
    world = world_of(14)
    suspend(world, "BR")
    world.write("FR", "BR", "s", "t")
    world.write("BR", "FR", "s", "t")
    assert len(world.news("FR", Declined)) == 1
    assert len(world.news("BR", Declined)) == 1


def test_mail_that_waited_for_a_suspended_member_stays_until_the_lapse() -> None:
    world = world_of(15)
    world.stop("BR")
    world.write("FR", "BR", "s", "t")
    world.run(2_000)
    suspend(world, "BR")
    world.start_node("BR")
    world.run(20_000)
    assert entries_of(world, "BR") == []
    wait_out(world)
    assert len(entries_of(world, "BR")) == 1
    world.run(20_000)
    assert [one.state for one in world.news("FR", DeliveryMoved)] == [DeliveryState.DELIVERED]


def test_mail_from_a_suspended_member_is_withheld_and_released_on_the_lapse() -> None:
    """A hub that does not know yet lets it pass; the recipient knows."""
    world = world_of(16)
    suspend(world, "FR", "SG")
    pen = Pen(world)
    assert pen.deliver("singapore", "SG", pen.seal(pen.say("FR", "SG", lifetime_ms=6 * DAY_MS))) == 1
    short = pen.seal(pen.say("FR", "SG", lifetime_ms=HOUR_MS))
    assert pen.deliver("singapore", "SG", short) == 1
    world.run(5_000)
    assert [entry.state for entry in entries_of(world, "SG")] == [EntryState.WITHHELD] * 2
    assert world.news("SG", EntryArrived) == []
    assert world.total("SG", "receipts.given") == 0
    # Not by a second copy either.
    assert pen.deliver("singapore", "SG", short) == 1
    world.run(5_000)
    assert world.total("SG", "receipts.given") == 0
    wait_out(world)
    assert len(world.news("SG", EntryArrived)) == 1
    assert [entry.state for entry in entries_of(world, "SG")] == [EntryState.NEW, EntryState.CONFIRMED]
    assert world.total("SG", "receipts.given") == 1
    assert refused(world, "SG") == {Reason.DUPLICATE.value: 1, Reason.EXPIRED.value: 1}
    check_house(world)


def test_withheld_mail_of_one_does_not_keep_back_anothers() -> None:
    """More than a page of one suspended member, then one of another whose suspension has lapsed."""
    world = world_of(17)
    suspend(world, "FR", "SG")
    pen = Pen(world)
    said = [pen.seal(pen.say("FR", "SG", lifetime_ms=6 * DAY_MS)) for _ in range(300)]
    for begin in range(0, 300, 60):
        assert pen.deliver("singapore", "SG", *said[begin : begin + 60]) == 60
    world.leap(HOUR_MS)
    world.decide(Kind.SUSPEND, "FR")
    world.publish_roster(suspend=("BR",))
    world.give_directory("SG")
    assert pen.deliver("singapore", "SG", pen.seal(pen.say("BR", "SG", lifetime_ms=6 * DAY_MS))) == 1
    wait_out(world, ("SG",))
    assert [entry.sender for entry in entries_of(world, "SG") if entry.state is EntryState.NEW] == ["BR"]


def test_what_was_on_the_way_when_a_member_was_suspended_goes_on_when_it_is_back() -> None:
    """The hub knows, the member's node does not; it puts, and must not wait for an answer for ever."""
    world = world_of(18)
    world.deaf = uninformed("FR")
    world.decide(Kind.SUSPEND, "FR")
    world.give_directory("lyon", "SG")
    world.write("FR", "SG", "s", "t", Priority.BULK)
    world.write("FR", "SG", "s", "t", Priority.URGENT)
    world.run(10_000)
    assert entries_of(world, "SG") == []
    world.decide(Kind.REINSTATE, "FR")
    world.give_directory("lyon", "SG")
    world.run(70_000)
    assert len(entries_of(world, "SG")) == 2


def expel(world: World, code: str, *who: str) -> None:
    world.decide(Kind.EXPEL, code)
    assert world.trust.directory.state_of(MemberCode(code), world.now.wall) is State.LEFT
    world.give_directory(*(who or EVERYBODY))
    world.run(200)


def test_a_member_that_has_left_is_cut_off_at_once() -> None:
    world = world_of(19)
    connections = len(world.hub("lyon").connections)
    expel(world, "BR")
    assert len(world.hub("lyon").connections) == connections - 2
    before = refused(world, "lyon").get(Reason.STRANGER.value, 0)
    world.write("BR", "FR", "s", "t")
    world.run(30_000)
    assert entries_of(world, "FR") == []
    assert refused(world, "lyon").get(Reason.STRANGER.value, 0) >= before
    pen = Pen(world)
    assert pen.deliver("lyon", "FR", pen.sealed("BR", "FR")) == 1
    assert refused(world, "FR") == {Reason.UNKNOWN_MEMBER.value: 1}
    assert entries_of(world, "FR") == []


def test_mail_to_a_member_that_has_left_is_returned() -> None:
    world = world_of(20)
    world.deaf = uninformed("SG")
    expel(world, "BR", "lyon", "singapore")
    world.write("SG", "BR", "s", "t")
    world.run(5_000)
    assert [(one.state, one.reason) for one in world.news("SG", DeliveryMoved)] == [
        (DeliveryState.REFUSED, Reason.UNKNOWN_MEMBER.value)
    ]


def test_a_link_key_that_is_exchanged_stops_working_on_live_connections() -> None:
    world = world_of(21, but=("BR",))
    express, bulk = world.member_voice("lyon", "BR"), world.member_voice("lyon", "BR", Lane.BULK)
    connections = len(world.hub("lyon").connections)
    new = b"BR's new link key".ljust(32)
    world.publish_roster(requests=(world.repository.change("BR", link=new),))
    world.give_directory("lyon")
    assert len(world.hub("lyon").connections) == connections - 2
    world.run(100)
    for voice in (express, bulk):
        voice.data.clear()
        voice.say(DirWant(voice.session, 1, b""))
        voice.greet()
    world.run(200)
    assert express.data == bulk.data == []
    assert refused(world, "lyon")[Reason.STRANGER.value] >= 4
    fresh = world.voice("lyon", new)
    fresh.greet()
    world.run(100)
    assert fresh.heard(DirHave, Credit) is not None
    assert fresh.data, "the new key is let in"


def test_a_node_whose_link_key_was_exchanged_comes_back_with_the_new_one() -> None:
    world = world_of(22)
    new = b"FR's new link key".ljust(32)
    world.publish_roster(requests=(world.repository.change("FR", link=new),))
    world.give_directory("lyon")
    world.write("FR", "SG", "s", "t")
    world.run(5_000)
    assert entries_of(world, "SG") == []
    world.stop("FR")
    world.link_keys["FR"] = new
    world.start_node("FR")
    world.run(20_000)
    assert len(entries_of(world, "SG")) == 1


def test_an_identity_that_was_exchanged_is_no_longer_believed_after_its_grace() -> None:
    world = world_of(23)
    world.publish_roster(requests=(world.repository.rotation("BR", "BR", "BR next"),))
    world.give_directory(*EVERYBODY)
    pen = Pen(world)
    assert pen.deliver("lyon", "FR", pen.sealed("BR", "FR", signer="BR next")) == 1
    in_grace = pen.deliver("lyon", "FR", pen.sealed("BR", "FR", signer="BR"))
    assert in_grace == 1
    accepted = len(entries_of(world, "FR"))
    for _ in range(10):
        world.leap(DAY_MS)
        world.beat()
        world.give_directory("FR", "lyon")
    pen.deliver("lyon", "FR", pen.sealed("BR", "FR", signer="BR"))
    assert len(entries_of(world, "FR")) == accepted
    assert refused(world, "FR")[Reason.BAD_SIGNATURE.value] >= 1


def test_a_keycard_of_an_exchanged_identity_is_void() -> None:
    world = world_of(24)
    before = len(world.node("FR").trust.directory.members)
    world.publish_roster(requests=(world.repository.rotation("BR", "BR", "BR next"),))
    world.give_directory("FR", "lyon", "singapore")
    world.run(1_000)
    world.write("FR", "BR", "s", "t")
    world.run(5_000)
    # No card, no key: it waits for the card that the new identity signs, and uses no other.
    assert entries_of(world, "BR") == []
    world.stop("BR")
    world.identities["BR"] = "BR next"
    world.start_node("BR")
    world.run(30_000)
    assert len(entries_of(world, "BR")) == 1
    assert len(world.node("FR").trust.directory.members) == before


def test_another_members_name_on_our_own_link() -> None:
    """Nothing that is said on a link changes who holds it: only keys do."""
    world = world_of(25, but=("BR",))
    voice = world.member_voice("lyon", "BR")
    voice.say(Put(voice.session, (Pen(world).sealed("FR", "SG", signer="BR"),)))
    world.run(3_000)
    assert entries_of(world, "SG") == []
    assert refused(world, "SG") == {Reason.BAD_SIGNATURE.value: 1}
