"""P2, P3: receipts, replies and notices of those that have no right to them; words that are not for an application."""

from __future__ import annotations

import pytest
from tests.attacks.forgery import MARK, RECEIPT, Pen, Said, audit_of, check_house, entries_of, refused
from tests.world import World

from i247_node.commands import ConversationMoved, DeliveryMoved, EntryArrived
from i247_node.records import ConversationState, Delivery, DeliveryState, Outgoing
from i247_protocol import codec
from i247_protocol.correspondence import Correspondence
from i247_protocol.names import EvidenceId, MemberCode
from i247_protocol.notices import Colour, Event, Notice
from i247_protocol.queries import Reply, Status
from i247_protocol.reasons import Reason
from i247_protocol.receipts import Outcome, Receipt
from i247_protocol.statement import Act, parse_statement


@pytest.fixture
def world() -> World:
    made = World(6)
    made.start_all()
    return made


def letter_under_way(world: World) -> EvidenceId:
    """Let FR write to SG, which is away."""
    world.stop("SG")
    world.write("FR", "SG", "s", "t")
    world.run(500)
    return only_sent(world).sid


def only_sent(world: World) -> Outgoing:
    message = world.node_store("FR").outgoing(world.node_store("FR").last_numbers()[0])
    assert message is not None
    return message


def stands(world: World) -> Delivery:
    delivery = world.node_store("FR").delivery(only_sent(world).n, MemberCode("SG"))
    assert delivery is not None
    return delivery


def give(world: World, said: Said) -> None:
    assert Pen(world).deliver("lyon", "FR", Pen(world).seal(said)) == 1
    world.run(3_000)


def test_a_receipt_of_somebody_else(world: World) -> None:
    sid = letter_under_way(world)
    give(world, Pen(world).say("BR", "FR", act=Act.RECEIPT, body=RECEIPT, re=(sid,)))
    assert stands(world).state is DeliveryState.IN_CUSTODY
    assert world.total("FR", "receipt.unknown") == 1
    assert world.news("FR", DeliveryMoved) == []


def test_a_receipt_in_anothers_name(world: World) -> None:
    sid = letter_under_way(world)
    give(world, Pen(world).say("SG", "FR", act=Act.RECEIPT, body=RECEIPT, re=(sid,), signer="BR"))
    assert stands(world).state is DeliveryState.IN_CUSTODY
    assert refused(world, "FR") == {Reason.BAD_SIGNATURE.value: 1}


def test_a_receipt_for_what_was_never_said(world: World) -> None:
    letter_under_way(world)
    give(world, Pen(world).say("SG", "FR", act=Act.RECEIPT, body=RECEIPT, re=(EvidenceId(bytes(32)),)))
    assert stands(world).state is DeliveryState.IN_CUSTODY
    assert world.total("FR", "receipt.unknown") == 1


def test_a_receipt_for_anothers_statement(world: World) -> None:
    """SG names what BR said to SG in a receipt to FR."""
    letter_under_way(world)
    world.write("BR", "XP", "s", "t")
    foreign = world.node_store("BR").outgoing(1)
    assert foreign is not None
    give(world, Pen(world).say("SG", "FR", act=Act.RECEIPT, body=RECEIPT, re=(foreign.sid,)))
    assert world.total("FR", "receipt.unknown") == 1


def test_a_delivered_message_cannot_be_refused_afterwards(world: World) -> None:
    sid = letter_under_way(world)
    give(world, Pen(world).say("SG", "FR", act=Act.RECEIPT, body=RECEIPT, re=(sid,)))
    refusal = Receipt(outcome=Outcome.REFUSED, reason=Reason.POLICY.value)
    give(world, Pen(world).say("SG", "FR", act=Act.RECEIPT, body=refusal, re=(sid,)))
    assert stands(world).state is DeliveryState.DELIVERED


def test_a_receipt_may_not_carry_a_text(world: World) -> None:
    """The reason of a refusal is shown to people and kept; it is one of our words or nothing."""
    sid = letter_under_way(world)
    wordy = codec.encode({"outcome": "refused", "reason": MARK})
    give(world, Pen(world).say("SG", "FR", act=Act.RECEIPT, body=wordy, re=(sid,)))
    assert stands(world).reason != MARK
    assert MARK not in repr(world.news("FR", DeliveryMoved))
    check_house(world)


def reply(status: Status = Status.HIT, reason: str | None = None) -> Reply:
    return Reply(as_of=None, candidates=(), caution=MARK, reason=reason, register="sltd", status=status)


def question(world: World) -> Said:
    """Let FR ask SG, which is away; return the question as FR signed it, in the pen's words."""
    world.stop("SG")
    world.ask("FR", "SG", "sltd", "N1", within_ms=60_000)
    world.run(500)
    sent = only_sent(world)
    return Said(parse_statement(sent.statement), sent.statement, sent.signature)


def test_a_reply_of_somebody_else(world: World) -> None:
    asked = question(world)
    give(world, Pen(world).say("BR", "FR", act=Act.REPLY, body=reply(), conv=asked.statement.conv, re=(asked.sid,)))
    assert world.news("FR", ConversationMoved) == []
    assert stands(world).state is DeliveryState.IN_CUSTODY
    assert world.total("FR", "reply.unexpected") == 1
    (open_one,) = world.node_store("FR").open_conversations()
    assert open_one.state is ConversationState.OPEN


def test_a_reply_to_no_question(world: World) -> None:
    give(world, Pen(world).say("SG", "FR", act=Act.REPLY, body=reply()))
    assert world.news("FR", ConversationMoved) == []
    assert world.total("FR", "reply.unexpected") == 1
    # It is evidence, so it is kept and shown, as what it is.
    assert len(world.news("FR", EntryArrived)) == 1


def test_a_reply_to_another_of_our_questions(world: World) -> None:
    """It names one query and stands in the conversation of another."""
    asked = question(world)
    world.stop("BR")
    world.ask("FR", "BR", "sltd", "N2", within_ms=60_000)
    world.run(500)
    other = only_sent(world)
    give(world, Pen(world).say("SG", "FR", act=Act.REPLY, body=reply(), conv=other.conv, re=(asked.sid,)))
    assert world.news("FR", ConversationMoved) == []
    assert len(world.node_store("FR").open_conversations()) == 2


def test_a_second_answer_changes_nothing(world: World) -> None:
    asked = question(world)
    pen, conv, re = Pen(world), asked.statement.conv, (asked.sid,)
    give(world, pen.say("SG", "FR", act=Act.REPLY, body=reply(Status.NO_HIT), conv=conv, re=re))
    give(world, pen.say("SG", "FR", act=Act.REPLY, body=reply(Status.HIT), conv=conv, re=re))
    replies = [one.reply for one in world.news("FR", ConversationMoved) if one.reply is not None]
    assert [one.status for one in replies] == [Status.NO_HIT]


def test_an_answer_after_its_time(world: World) -> None:
    asked = question(world)
    world.run(61_000)
    assert [one.state for one in world.news("FR", ConversationMoved)] == [ConversationState.EXPIRED]
    give(world, Pen(world).say("SG", "FR", act=Act.REPLY, body=reply(), conv=asked.statement.conv, re=(asked.sid,)))
    assert len(world.news("FR", ConversationMoved)) == 1
    assert world.total("FR", "reply.unexpected") == 1


NOTICE = Notice(
    colour=Colour.RED, event=Event.PUBLISHED, number="R-1", text="t", title="t", valid_until=2**41, version=1
)


def test_a_notice_of_a_member_that_is_not_the_secretariat(world: World) -> None:
    give(world, Pen(world).say("SG", "FR", act=Act.NOTICE, body=NOTICE))
    assert world.node_store("FR").views().board() == []
    assert world.news("FR", EntryArrived) == []
    assert refused(world, "FR") == {Reason.POLICY.value: 1}
    (told,) = [record for record in audit_of(world, "FR") if record.what == "refused"]
    assert told.detail == Reason.POLICY.value
    # Its author is told.
    assert world.total("FR", "receipts.given") == 1


def test_a_notice_does_not_replace_anothers(world: World) -> None:
    pen = Pen(world)
    give(world, pen.say("XP", "FR", act=Act.NOTICE, body=NOTICE))
    withdrawn = Notice(
        colour=Colour.RED, event=Event.WITHDRAWN, number="R-1", text="", title="t", valid_until=0, version=9
    )
    give(world, pen.say("SG", "FR", act=Act.DIFFUSION, body=withdrawn))
    board = world.node_store("FR").views().board()
    assert [(one.publisher, one.version) for one in board] == [("SG", 9), ("XP", 1)]


def test_an_older_version_of_a_notice_does_not_come_back(world: World) -> None:
    pen = Pen(world)
    newer = Notice(colour=Colour.RED, event=Event.CANCELLED, number="R-1", text="", title="t", valid_until=0, version=2)
    give(world, pen.say("XP", "FR", act=Act.NOTICE, body=newer))
    give(world, pen.say("XP", "FR", act=Act.NOTICE, body=NOTICE))
    (held,) = world.node_store("FR").views().board()
    assert (held.version, held.event) == (2, Event.CANCELLED.value)


BODIES = {
    "a query that is a letter": (Act.QUERY, codec.encode(Correspondence(subject="s", text="t"))),
    "no msgpack": (Act.QUERY, b"\xc1"),
    "an empty body": (Act.CORRESPONDENCE, b""),
    "a field too many": (Act.CORRESPONDENCE, codec.encode({"subject": "s", "text": "t", "x": 1})),
    "a text too long": (Act.CORRESPONDENCE, codec.encode(Correspondence(subject="s", text="t" * 40_000))),
    "a notice valid beyond all time": (
        Act.DIFFUSION,
        codec.encode({**codec.decode(codec.encode(NOTICE), bytes_max=10_000), "valid_until": 2**64 - 1}),
    ),
    "a notice of no version": (
        Act.DIFFUSION,
        codec.encode({**codec.decode(codec.encode(NOTICE), bytes_max=10_000), "version": 0}),
    ),
    "51 candidates": (
        Act.REPLY,
        codec.encode(
            {
                "as_of": None,
                "candidates": [{"action": "", "fields": {}, "owner": "", "record": "", "score": 0}] * 51,
                "caution": "",
                "reason": None,
                "register": "r",
                "status": "hit",
            }
        ),
    ),
}


@pytest.mark.parametrize("case", BODIES)
def test_a_body_that_is_none_is_refused_and_its_author_told(world: World, case: str) -> None:
    act, body = BODIES[case]
    give(world, Pen(world).say("SG", "FR", act=act, body=body))
    assert refused(world, "FR") == {Reason.UNKNOWN_BODY.value: 1}
    assert world.news("FR", EntryArrived) == []
    assert world.total("FR", "receipts.given") == 1
    check_house(world)


def test_refused_queries_end_at_once(world: World) -> None:
    """A query that its recipient refuses as a statement, not by a reply, has ended too."""
    asked = question(world)
    refusal = Receipt(outcome=Outcome.REFUSED, reason=Reason.UNKNOWN_BODY.value)
    give(world, Pen(world).say("SG", "FR", act=Act.RECEIPT, body=refusal, re=(asked.sid,)))
    assert [one.state for one in world.news("FR", ConversationMoved)] == [ConversationState.REFUSED]
    assert len(entries_of(world, "FR")) >= 0
