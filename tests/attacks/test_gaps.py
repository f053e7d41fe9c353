"""Mail that never comes: its recipient notices by the numbers, asks, and learns what became of it."""

from __future__ import annotations

from collections.abc import Iterable

from tests.attacks.forgery import Pen, audit_of, check_house, entries_of, refused
from tests.world import World

from i247_node.commands import NodeStatus, ReportStatus
from i247_node.records import Gap, KeepHeard
from i247_protocol.bodies import parse_body
from i247_protocol.digests import envelope_id
from i247_protocol.frames import Put, parse_frame
from i247_protocol.gaps import Account, End, Ended, Missing, Span
from i247_protocol.limits import ACCOUNT_PAUSE_MS, ACCOUNTED_NUMBERS_MAX, GAP_MS
from i247_protocol.names import MemberCode
from i247_protocol.priority import Priority
from i247_protocol.statement import Act, parse_statement

WHILE = 3_000


def begun(seed: int = 51) -> World:
    world = World(seed)
    world.start_all()
    world.run(WHILE)
    return world


def missed(world: World, code: str) -> list[tuple[str, str]]:
    """Return whose numbers a node's audit trail calls missing, and why."""
    return [(one.peer, one.detail) for one in audit_of(world, code) if one.what == "missing"]


def missing(world: World, code: str) -> int:
    """Return how many numbers are missing, as `i247-node status` shows it."""
    world.command(code, ReportStatus(1))
    return world.news(code, NodeStatus)[-1].missing


def swallow_next(world: World, hub: str, code: str) -> list[bytes]:
    """Let a hub keep from a member the next envelope that it has for it, in whatever frame; return which that is."""
    kept: list[bytes] = []

    def meddle(sender: str, receiver: str, data: bytes) -> Iterable[bytes]:
        frame = parse_frame(data)
        if (sender, receiver) != (hub, code) or not isinstance(frame, Put):
            return [data]
        names = [envelope_id(one.header, one.body) for one in frame.parcels]
        if not kept:
            kept.append(names[0])
        return [] if kept[0] in names else [data]

    world.meddle = meddle
    return kept


def test_a_letter_that_a_hub_withholds_is_asked_for_and_comes_in_another_envelope() -> None:
    """The hub says truly that it holds it, so its sender would wait for ever; the recipient does not."""
    world = begun()
    kept = swallow_next(world, "singapore", "SG")
    world.write("FR", "SG", "first", "1")
    world.run(1_000)
    assert len(kept) == 1
    world.write("FR", "SG", "second", "2")
    world.run(GAP_MS - 2_000)
    assert len(entries_of(world, "SG")) == 1
    world.run(5_000)
    assert len(entries_of(world, "SG")) == 2, "asked for after a minute, and sent again"
    assert world.node("SG").counters.total("missing.asked") == 1
    assert missed(world, "SG") == []
    world.meddle = None
    world.hang_up("SG", "singapore")
    world.run(10 * GAP_MS)
    assert len(entries_of(world, "SG")) == 2, "the withheld envelope, when it comes after all, is a duplicate"
    assert world.node("SG").counters.total("missing.asked") == 1
    check_house(world)


def test_what_expired_on_its_way_is_known_at_the_other_end_too() -> None:
    world = begun()
    world.stop("SG")
    world.ask("FR", "SG", "sltd", "C01X00T47", within_ms=30_000)
    world.run(3 * GAP_MS)
    world.start_node("SG")
    world.run(WHILE)
    assert entries_of(world, "SG") == []
    world.ask("FR", "SG", "sltd", "C01X00T48", within_ms=30_000)
    world.run(WHILE)
    assert missing(world, "SG") == 1
    world.run(GAP_MS + WHILE)
    assert missed(world, "SG") == [("FR", "expired")]
    assert missing(world, "SG") == 0
    asked = world.total("SG", "missing.asked")
    world.run(60 * GAP_MS)
    assert world.total("SG", "missing.asked") == asked == 1
    check_house(world)


def test_a_sender_that_has_forgotten_says_so() -> None:
    """Its disk is an older one; nobody waits for ever for what nobody has."""
    world = begun()
    world.stop("SG")
    store = world.node_store("SG")
    store.persist(KeepHeard(MemberCode("FR"), Priority.ROUTINE, 1, 5, (Gap(2, 3, world.now.wall),)))
    store.commit()
    world.start_node("SG")
    world.run(GAP_MS + WHILE)
    world.run(GAP_MS)
    assert missed(world, "SG") == [("FR", "unknown")]
    assert missing(world, "SG") == 0
    check_house(world)


def test_who_asks_all_the_time_is_answered_now_and_then() -> None:
    """An answer costs look-ups and a signature, so there is one in half a minute, of so many numbers at most."""
    world = begun()
    pen = Pen(world)
    question = Missing(spans=(Span(Priority.ROUTINE, 1, 1, 2**53),))
    for _ in range(20):
        said = pen.say("BR", "FR", act=Act.MISSING, body=question, prio=Priority.CONTROL)
        assert pen.deliver("lyon", "FR", pen.seal(said)) == 1
    assert world.total("FR", "refused.too-often") == 19
    world.run(WHILE)
    (answer,) = entries_of(world, "BR", Act.ACCOUNT)
    body = parse_body(parse_statement(answer.statement))
    assert body == Account(ended=(Ended(Span(Priority.ROUTINE, 1, 1, ACCOUNTED_NUMBERS_MAX), End.UNKNOWN),))
    world.run(ACCOUNT_PAUSE_MS)
    assert pen.deliver("lyon", "FR", pen.seal(pen.say("BR", "FR", act=Act.MISSING, body=question))) == 1
    world.run(WHILE)
    assert len(entries_of(world, "BR", Act.ACCOUNT)) == 2
    check_house(world)


def test_a_member_learns_nothing_of_another_s_numbers() -> None:
    """What France said to Singapore is unknown to whoever asks for it as Brazil."""
    world = begun()
    world.write("FR", "SG", "s", "1")
    world.run(WHILE)
    pen = Pen(world)
    question = Missing(spans=(Span(Priority.ROUTINE, 1, 1, 1),))
    pen.deliver("lyon", "FR", pen.seal(pen.say("BR", "FR", act=Act.MISSING, body=question)))
    world.run(WHILE)
    (answer,) = entries_of(world, "BR", Act.ACCOUNT)
    body = parse_body(parse_statement(answer.statement))
    assert body == Account(ended=(Ended(Span(Priority.ROUTINE, 1, 1, 1), End.UNKNOWN),))
    check_house(world)


def test_questions_and_answers_are_acknowledged_by_nobody() -> None:
    """Or two nodes that cannot read each other's would never be done."""
    world = begun()
    pen = Pen(world)
    for act in (Act.MISSING, Act.ACCOUNT):
        said = pen.say("BR", "FR", act=act, body=b"\xc0")
        for _ in range(2):
            assert pen.deliver("lyon", "FR", pen.seal(said)) == 1
    world.run(WHILE)
    assert entries_of(world, "BR") == []
    assert refused(world, "FR") == {"unknown-body": 2, "duplicate": 2}
    check_house(world)


def test_a_crash_asks_a_question_too_many_at_most() -> None:
    """What came in the last second is not noted yet; its sender answers by this member's own receipts."""
    world = begun()
    for n in range(5):
        world.write("FR", "SG", "s", f"{n}")
    world.run(300)
    world.stop("SG")
    world.start_node("SG")
    world.run(2 * WHILE)
    world.write("FR", "SG", "s", "after")
    world.run(3 * GAP_MS)
    assert len(entries_of(world, "SG")) == 6
    assert missed(world, "SG") == []
    assert missing(world, "SG") == 0
    check_house(world)
