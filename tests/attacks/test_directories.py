"""P2, P7, P8: directories that are old, forked, expired or badly signed; rosters named by statements; hold."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.attacks.forgery import DAY_MS, HOUR_MS, Pen, audit_of, check_house, entries_of, refused
from tests.keys.repository import key
from tests.world import World

from i247_keys.charter import Kind
from i247_keys.roster import State
from i247_node.commands import ConversationMoved, Declined, EntryArrived
from i247_node.policy import parse_policy
from i247_node.records import EntryState
from i247_node.registers import MemoryRegister, Registers
from i247_protocol import codec
from i247_protocol.bundle import batches
from i247_protocol.frames import Busy, DirHave, DirWant, Put
from i247_protocol.limits import PARKED_PER_LINK_MAX
from i247_protocol.machine import DirectoryGiven
from i247_protocol.names import MemberCode, WallMs
from i247_protocol.priority import Lane
from i247_protocol.queries import Status
from i247_protocol.reasons import Reason
from i247_protocol.statement import Act


@pytest.fixture
def world() -> World:
    made = World(41)
    made.registers["SG"] = Registers([MemoryRegister("sltd", [])])
    made.policies["SG"] = parse_policy({"registers": {"sltd": {"open_to": "all"}}})
    made.start_all()
    return made


def give(world: World, name: str, data: bytes) -> dict[str, int]:
    """Lay a directory before a program; return what it counted about directories."""
    counters = world.programs[name].machine.counters
    before = counters.snapshot()
    program = world.programs[name]
    program.turn([DirectoryGiven(data)], world.now)
    return {
        counter: total - before.get(counter, 0)
        for counter, total in counters.snapshot().items()
        if counter.startswith("directory.") and total != before.get(counter, 0)
    }


def ready(world: World) -> None:
    world.run(2_000)
    world.repository.wall = world.now.wall


def older(world: World) -> bytes:
    old = world.repository.file(pulse=None)
    ready(world)
    world.publish_roster(suspend=("BR",))
    world.give_directory("FR", "lyon")
    return old


def too_few(world: World) -> bytes:
    ready(world)
    step = world.repository.signed(world.repository.draft(), world.repository.secretariat[:1])
    return world.repository.file(step)


def one_key_twice(world: World) -> bytes:
    ready(world)
    repository = world.repository
    step = repository.signed(repository.draft(), repository.secretariat[:1])
    (first,) = step.signatures
    return repository.file(codec.shape(type(step), {**plain(step), "signatures": [list(first), list(first)]}))


def plain(step: object) -> dict[str, object]:
    value: dict[str, object] = codec.decode(codec.encode(step), bytes_max=2**20)
    return value


def strangers(world: World) -> bytes:
    ready(world)
    step = world.repository.signed(world.repository.draft(), [key("thief 1"), key("thief 2")])
    return world.repository.file(step)


def unjustified(world: World) -> bytes:
    """Let the keyholders alone put another identity key into a member's row."""
    ready(world)
    return world.repository.file(world.repository.with_row("BR", identity=key("thief").public))


def of_the_future(world: World) -> bytes:
    ready(world)
    world.repository.wall = WallMs(world.now.wall + HOUR_MS)
    return world.repository.file(world.repository.signed(world.repository.draft()))


def with_a_gap(world: World) -> bytes:
    ready(world)
    world.publish_roster()
    world.run(2_000)
    world.repository.wall = world.now.wall
    second = world.repository.signed(world.repository.draft())
    return world.repository.file(second)


def of_another_network(world: World) -> bytes:
    return World(42, codes=("BR", "FR", "SG", "UT", "XP")).repository.file()


def pulse_of_a_stranger(world: World) -> bytes:
    ready(world)
    return world.repository.file(pulse=world.repository.pulse(key("thief")))


def pulse_of_the_future(world: World) -> bytes:
    ready(world)
    wall = world.now.wall + HOUR_MS
    return world.repository.file(pulse=world.repository.pulse(iat=wall, exp=wall + DAY_MS))


def pulse_of_a_fork(world: World) -> bytes:
    ready(world)
    return world.repository.file(pulse=world.repository.pulse(roster_hash=bytes(32)))


BAD: dict[str, tuple[str | None, Callable[[World], bytes]]] = {
    "no bytes": ("malformed", lambda world: b""),
    "noise": ("malformed", lambda world: b"\xc1" * 99),
    "older": (None, older),
    "signed by too few": ("too-few-signatures", too_few),
    "signed by one key twice": ("too-few-signatures", one_key_twice),
    "signed by strangers": ("too-few-signatures", strangers),
    "a row that nobody justified": ("not-justified", unjustified),
    "of the future": ("future-dated", of_the_future),
    "with a gap": ("chain-broken", with_a_gap),
    "of another network": ("wrong-pin", of_another_network),
    "a pulse of a stranger": ("too-few-signatures", pulse_of_a_stranger),
    "a pulse of the future": ("future-dated", pulse_of_the_future),
    "a pulse of a fork": ("forked", pulse_of_a_fork),
}


@pytest.mark.parametrize("name", ["FR", "lyon"])
@pytest.mark.parametrize("case", BAD)
def test_a_directory_that_may_not_be_believed(world: World, case: str, name: str) -> None:
    reason, make = BAD[case]
    data = make(world)
    held = world.programs[name].machine.trust
    counted = give(world, name, data)
    trust = world.programs[name].machine.trust
    assert (trust.directory.version, trust.roster_hash, trust.pulse_hash) == (
        held.directory.version,
        held.roster_hash,
        held.pulse_hash,
    )
    assert counted == ({} if reason is None else {f"directory.{reason}": 1})
    world.run(2_000)
    check_house(world)
    world.write("FR", "SG", "s", "t")
    world.run(3_000)
    assert len(entries_of(world, "SG")) == 1, "work goes on"


def test_a_fork_is_told_in_the_trail(world: World) -> None:
    """Two rosters of one version, both signed by enough: the authority is caught, whoever brings it."""
    ready(world)
    fork = world.repository.signed(world.repository.draft(suspend=("BR",)))
    data = world.repository.file(fork)
    world.publish_roster()
    world.give_directory("FR")
    assert give(world, "FR", data) == {"directory.forked": 1}
    assert world.node("FR").trust.directory.state_of(MemberCode("BR"), world.now.wall) is State.ACTIVE
    assert [record.detail for record in audit_of(world, "FR") if record.what == "directory"] == ["forked"]
    check_house(world)


def test_a_hub_cannot_keep_a_node_on_an_old_roster_by_giving_it_again(world: World) -> None:
    world.publish_roster(suspend=("BR",))
    world.give_directory("FR")
    old = world.repository.file()
    for _ in range(5):
        world.inject("lyon", "FR", Lane.EXPRESS, lambda session: DirHave(session, old))
    world.run(500)
    assert world.node("FR").trust.directory.version == 2


# --- statements that name a roster ---


def test_a_statement_that_names_a_newer_roster_is_judged_after_the_fetch(world: World) -> None:
    """SG's hub has it, SG has not; what it says of the author counts."""
    world.publish_roster()
    world.stop("singapore")
    world.cut.add(frozenset(("SG", "singapore")))  # so that it does not greet, and learn, before
    world.start_hub("singapore")
    world.cut.clear()
    pen = Pen(world)
    parcel = pen.sealed("FR", "SG", dir=(2, b""))
    world.stop("FR")
    voice = world.member_voice("lyon", "FR")
    voice.say(Put(voice.session, (parcel,)))
    world.run(5_000)
    assert world.node("SG").trust.directory.version == 2
    assert len(entries_of(world, "SG")) == 1
    assert refused(world, "SG") == {}


def held_back(world: World) -> list[bytes]:
    """Keep the directory's news from SG until they are wanted; return what was kept back."""
    kept: list[bytes] = []

    def keep(sender: str, receiver: str, data: bytes) -> list[bytes]:
        if receiver == "SG" and data[:10] == b"\x93\xa8dir-have":
            kept.append(data)
            return []
        return [data]

    world.meddle = keep
    return kept


def test_it_is_parked_meanwhile_and_the_hub_keeps_it(world: World) -> None:
    kept = held_back(world)
    world.publish_roster(suspend=("FR",))
    world.give_directory("singapore")
    pen = Pen(world)
    assert pen.deliver("singapore", "SG", pen.sealed("FR", "SG", dir=(2, b""))) == 0
    assert world.total("SG", "parked") == 1
    assert entries_of(world, "SG") == []
    assert len(world.sent("SG", "singapore", DirWant)) == 1
    before = len(world.frames)
    world.inject("singapore", "SG", Lane.EXPRESS, kept[-1])
    world.run(500)
    assert world.node("SG").trust.directory.version == 2
    assert [entry.state for entry in entries_of(world, "SG")] == [EntryState.WITHHELD], "judged by the newer roster"
    custody = [frame for frame in world.sent("SG", "singapore", since=before) if type(frame).__name__ == "Custody"]
    assert len(custody) == 1


def test_one_that_never_comes_is_refused_once(world: World) -> None:
    pen = Pen(world)
    before = len(world.frames)
    parcels = [pen.sealed("FR", "SG", dir=(2**40, bytes(32))) for _ in range(3)]
    pen.deliver("singapore", "SG", *parcels)
    world.run(3_000)
    assert refused(world, "SG") == {Reason.NEWER_ROSTER.value: 3}
    assert entries_of(world, "SG") == []
    assert len(world.sent("SG", "singapore", DirWant, since=before)) == 1, "one question for all of them"
    world.write("FR", "SG", "s", "t")
    world.run(3_000)
    assert len(entries_of(world, "SG")) == 1


def test_no_more_are_parked_than_fit_and_the_others_come_later(world: World) -> None:
    kept = held_back(world)
    world.publish_roster()
    world.stop("FR")
    voice = world.member_voice("lyon", "FR")
    pen = Pen(world)
    more = PARKED_PER_LINK_MAX + 20
    for some in batches(pen.sealed("FR", "SG", dir=(2, b"")) for _ in range(more)):
        voice.say(Put(voice.session, some))
    world.run(1_000)
    assert world.total("SG", "parked") == PARKED_PER_LINK_MAX
    assert refused(world, "SG") == {Reason.PARKED_FULL.value: more - PARKED_PER_LINK_MAX}
    assert world.sent("SG", "singapore", Busy)
    ordinary = pen.sealed("FR", "SG")
    voice.say(Put(voice.session, (ordinary,)))
    world.run(1_000)
    assert len(entries_of(world, "SG")) == 1, "others pass"
    world.meddle = None
    world.give_directory("SG", "singapore")
    assert world.node("SG").trust.directory.version == 2
    world.run(60_000)
    assert len(entries_of(world, "SG")) == 85, len(kept)
    check_house(world)


def test_one_that_names_an_old_roster_gains_nothing(world: World) -> None:
    """BR was a member when roster 1 was new; what it says today is judged by today's."""
    world.decide(Kind.EXPEL, "BR")
    world.give_directory("SG", "singapore")
    pen = Pen(world)
    assert pen.deliver("singapore", "SG", pen.sealed("BR", "SG", dir=(1, bytes(32)))) == 1
    assert refused(world, "SG") == {Reason.UNKNOWN_MEMBER.value: 1}
    assert entries_of(world, "SG") == []


# --- hold ---


def test_in_hold_queries_are_withheld_and_answered_after_a_fresh_pulse(world: World) -> None:
    world.leap(DAY_MS + 73 * HOUR_MS)
    world.run(2_000)
    pen = Pen(world)
    query = pen.seal(pen.query("FR", "SG", lifetime_ms=6 * HOUR_MS))
    letter = pen.sealed("FR", "SG", lifetime_ms=6 * HOUR_MS)
    assert pen.deliver("singapore", "SG", query, letter) == 2
    world.run(10_000)
    assert [entry.state for entry in entries_of(world, "SG")] == [EntryState.WITHHELD] * 2
    assert world.total("SG", "answered.no-hit") == 0
    assert world.news("SG", EntryArrived) == []
    world.ask("SG", "FR", "sltd", "N1")
    assert len(world.news("SG", Declined)) == 1
    world.beat()
    world.give_directory("SG")
    world.run(10_000)
    assert world.total("SG", "answered.no-hit") == 1
    assert len(world.news("SG", EntryArrived)) == 1
    assert len(entries_of(world, "FR", Act.REPLY)) == 1
    check_house(world)


def test_in_hold_nothing_is_lost_over_a_restart(world: World) -> None:
    world.leap(DAY_MS + 73 * HOUR_MS)
    world.run(2_000)
    pen = Pen(world)
    assert pen.deliver("singapore", "SG", pen.seal(pen.query("FR", "SG", lifetime_ms=6 * HOUR_MS))) == 1
    world.stop("SG")
    world.start_node("SG")
    world.run(5_000)
    world.beat()
    world.give_directory("SG")
    world.run(5_000)
    assert world.total("SG", "answered.no-hit") == 1


def test_an_expired_pulse_alone_is_an_alarm_and_no_more(world: World) -> None:
    """Degraded: work goes on for the grace."""
    world.leap(DAY_MS + HOUR_MS)
    world.run(20_000)
    world.ask("FR", "SG", "sltd", "N1")
    world.run(5_000)
    moved = world.news("FR", ConversationMoved)
    assert [one.reply.status for one in moved if one.reply is not None] == [Status.NO_HIT]
