"""The small machines of a node: deliveries, conversations, receipts, links."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.keys.repository import Repository
from tests.world import entropy

from i247_node.commands import ConversationMoved
from i247_node.conversations import Conversations
from i247_node.deliveries import CONVERSATION_MOVES, MOVES, may_move
from i247_node.links import Links
from i247_node.receipts import Kind, Receipts
from i247_node.records import ConversationState, DeliveryState, KeepConversation
from i247_node.store import NodeStore
from i247_protocol.frames import Hello, Role
from i247_protocol.limits import RECEIPT_DELAY_MS, RECEIPT_DELAY_URGENT_MS, RECEIPT_IDS_MAX, SKEW_MS
from i247_protocol.machine import Effect, Persist, Tell
from i247_protocol.names import EvidenceId, MemberCode, MessageId, MonoMs, Now, WallMs
from i247_protocol.priority import Lane, Priority
from i247_protocol.queries import Reply, Status
from i247_protocol.receipts import Outcome

SG, BR = MemberCode("SG"), MemberCode("BR")
D, C = DeliveryState, ConversationState


def at(ms: int) -> Now:
    return Now(MonoMs(ms), WallMs(1_000_000 + ms))


# --- deliveries ---

ALLOWED = {
    (D.QUEUED, D.IN_CUSTODY),
    (D.QUEUED, D.DELIVERED),
    (D.QUEUED, D.REFUSED),
    (D.QUEUED, D.EXPIRED),
    (D.IN_CUSTODY, D.QUEUED),
    (D.IN_CUSTODY, D.DELIVERED),
    (D.IN_CUSTODY, D.REFUSED),
    (D.IN_CUSTODY, D.EXPIRED),
    (D.REFUSED, D.DELIVERED),
    (D.EXPIRED, D.DELIVERED),
}


@pytest.mark.parametrize(("before", "after"), list(product(D, D)))
def test_moves_of_a_delivery(before: DeliveryState, after: DeliveryState) -> None:
    assert may_move(before, after) is ((before, after) in ALLOWED)


def test_every_state_has_its_line() -> None:
    assert MOVES.keys() == set(D)
    assert CONVERSATION_MOVES.keys() == set(C)
    assert all(not CONVERSATION_MOVES[state] for state in (C.ANSWERED, C.REFUSED, C.EXPIRED))


# --- conversations ---


def question(conv: bytes = b"c" * 16, reply_by: int = 60_000) -> KeepConversation:
    return KeepConversation(
        conv, MessageId(b"q" * 16), SG, "sltd", at(0).wall, WallMs(at(0).wall + reply_by), C.OPEN, None
    )


def reply(status: Status) -> Reply:
    return Reply(as_of=None, candidates=(), caution="", reason=None, register="sltd", status=status)


def told(effects: list[Effect]) -> list[ConversationState]:
    return [one.news.state for one in effects if isinstance(one, Tell) and isinstance(one.news, ConversationMoved)]


def begun() -> Conversations:
    conversations = Conversations()
    assert [type(one) for one in conversations.begin(question(), at(0))] == [Persist]
    return conversations


@pytest.mark.parametrize(
    ("status", "state"),
    [
        (Status.HIT, C.ANSWERED),
        (Status.POSSIBLE, C.ANSWERED),
        (Status.NO_HIT, C.ANSWERED),
        (Status.UNAVAILABLE, C.ANSWERED),
        (Status.REFUSED, C.REFUSED),
    ],
)
def test_an_answer_ends_it(status: Status, state: ConversationState) -> None:
    conversations = begun()
    assert conversations.expects(b"c" * 16, SG)
    assert not conversations.expects(b"c" * 16, BR)
    assert not conversations.expects(b"x" * 16, SG)
    assert told(list(conversations.reply_came(b"c" * 16, SG, reply(status), 1))) == [state]
    assert not conversations.expects(b"c" * 16, SG)
    assert (len(conversations), conversations.next_deadline()) == (0, None)


def test_pending_goes_on_and_still_ends_in_time() -> None:
    conversations = begun()
    for _ in range(3):
        assert told(list(conversations.reply_came(b"c" * 16, SG, reply(Status.PENDING), 1))) == [C.PENDING]
    assert told(list(conversations.time_passed(at(59_999)))) == []
    assert told(list(conversations.time_passed(at(60_000)))) == [C.EXPIRED]
    assert told(list(conversations.time_passed(at(99_000)))) == []


@pytest.mark.parametrize(
    ("clock_off_ms", "left_ms"),
    [(0, 60_000), (10_000, 50_000), (90_000, 0), (-10_000, 60_000), (-600_000, 60_000)],
)
def test_after_a_start_it_never_has_longer_than_was_promised(clock_off_ms: int, left_ms: int) -> None:
    store = NodeStore(":memory:")
    store.persist(question())
    conversations = Conversations()
    conversations.start(store, Now(MonoMs(0), WallMs(at(0).wall + clock_off_ms)))
    assert conversations.next_deadline() == left_ms
    store.close()


def test_what_will_not_arrive_is_refused_once() -> None:
    conversations = begun()
    assert told(list(conversations.refused(b"c" * 16))) == [C.REFUSED]
    assert told(list(conversations.refused(b"c" * 16))) == []
    assert told(list(conversations.refused(b"unknown"))) == []


# --- receipts ---

DELIVERED = Kind(SG, Outcome.DELIVERED, None)


def sid(n: int) -> EvidenceId:
    return EvidenceId(n.to_bytes(32))


@pytest.mark.parametrize(
    ("prio", "delay"),
    [
        (Priority.URGENT, RECEIPT_DELAY_URGENT_MS),
        (Priority.CONTROL, RECEIPT_DELAY_URGENT_MS),
        (Priority.ROUTINE, RECEIPT_DELAY_MS),
        (Priority.BULK, RECEIPT_DELAY_MS),
    ],
)
def test_a_receipt_is_held_back_a_moment(prio: Priority, delay: int) -> None:
    receipts = Receipts()
    receipts.owe(DELIVERED, sid(1), prio, at(0))
    assert list(receipts.due(at(delay - 1))) == []
    assert list(receipts.due(at(delay))) == [(DELIVERED, (sid(1),))]
    assert receipts.next_deadline() is None


def test_an_urgent_one_does_not_wait_for_a_routine_one() -> None:
    receipts = Receipts()
    receipts.owe(DELIVERED, sid(1), Priority.BULK, at(0))
    receipts.owe(DELIVERED, sid(2), Priority.URGENT, at(10))
    assert list(receipts.due(at(10 + RECEIPT_DELAY_URGENT_MS))) == [(DELIVERED, (sid(1), sid(2)))]


def test_kinds_are_not_mixed() -> None:
    receipts = Receipts()
    refused = Kind(SG, Outcome.REFUSED, "policy")
    for n, kind in enumerate((DELIVERED, refused, Kind(BR, Outcome.DELIVERED, None))):
        receipts.owe(kind, sid(n), Priority.URGENT, at(0))
    assert len(list(receipts.due(at(1_000)))) == 3


@given(st.lists(st.tuples(st.integers(0, 80), st.sampled_from(list(Priority)), st.integers(0, 300)), max_size=120))
def test_each_is_given_within_its_time_and_no_more_than_fit(owed: list[tuple[int, Priority, int]]) -> None:
    receipts, now = Receipts(), 0
    given_out: list[EvidenceId] = []
    asked: list[EvidenceId] = []
    for n, prio, pause in owed:
        now += pause
        for _, sids in receipts.due(at(now)):
            assert 1 <= len(sids) <= RECEIPT_IDS_MAX
            given_out += sids
        receipts.owe(DELIVERED, sid(n), prio, at(now))
        asked.append(sid(n))
        deadline = receipts.next_deadline()
        assert deadline is not None
        assert deadline <= now + RECEIPT_DELAY_MS
    given_out += [one for _, sids in receipts.due(at(now + RECEIPT_DELAY_MS)) for one in sids]
    assert set(given_out) == set(asked)
    assert len(given_out) <= len(asked)


# --- links ---

DIRECTORY = Repository(
    ("FR", "SG", "XP"), hubs=("lyon", "singapore"), homes={"FR": ("singapore", "lyon"), "SG": ("lyon",), "XP": ()}
).trust.directory


def open_links(offsets: dict[str, int]) -> Links:
    links = Links(entropy(1, "links"))
    links.read_clock(at(0), signed=None)
    links.settle_on(MemberCode("FR"), DIRECTORY)
    for link in links:
        if link.hub in offsets:
            session = links.begin(link, at(0))
            answer = Hello(session.id, Role.HUB, link.lane, 1, b"", b"", at(0).wall + offsets[link.hub], 2, 1_000)
            assert links.greeted(link, answer, at(0))
    return links


def test_homes_are_preferred_in_the_order_of_the_roster() -> None:
    links = open_links({"lyon": 0, "singapore": 0})
    assert [link.hub for link in links.open_on(Lane.BULK)] == ["singapore", "lyon"]
    for hub in ("singapore", "singapore", "lyon", "lyon"):
        link = links.with_credit(Lane.EXPRESS, 10)
        assert link is not None
        assert link.session is not None
        assert link.hub == hub
        link.session.spend(10)
    assert links.with_credit(Lane.EXPRESS, 10) is None


def test_a_member_without_homes_dials_every_hub() -> None:
    peers, gone = Links(entropy(1, "links")).settle_on(MemberCode("XP"), DIRECTORY)
    assert (len(peers), gone) == (4, ())


def test_a_link_is_kept_while_its_hub_and_key_are() -> None:
    links = open_links({"lyon": 0})
    before = list(links)
    _, gone = links.settle_on(MemberCode("FR"), DIRECTORY)
    assert gone == ()
    assert list(links) == before


@pytest.mark.parametrize(
    ("offsets", "doubtful"),
    [
        ({}, False),
        ({"lyon": SKEW_MS}, False),
        ({"lyon": SKEW_MS + 1}, True),  # the only witness
        ({"lyon": -SKEW_MS - 1}, True),
        ({"lyon": SKEW_MS + 1, "singapore": 0}, False),  # one of two
        ({"lyon": SKEW_MS + 1, "singapore": SKEW_MS + 1}, True),
    ],
)
def test_whose_clock_is_doubted(offsets: dict[str, int], doubtful: bool) -> None:
    assert open_links(offsets).clock_is_doubtful is doubtful


def test_a_clock_that_is_set_is_doubted_at_once_and_believed_when_set_back() -> None:
    links = open_links({"lyon": 0})
    doubts = []
    for second, step_ms in enumerate((0, SKEW_MS, SKEW_MS + 1, 0, -SKEW_MS - 1, -SKEW_MS)):
        now = at(1_000 * second)
        links.read_clock(Now(now.mono, WallMs(now.wall + step_ms)), signed=None)
        doubts.append(links.clock_is_doubtful)
    assert doubts == [False, False, True, False, True, False]


def test_an_answer_to_another_greeting_opens_nothing() -> None:
    links = Links(entropy(1, "links"))
    links.settle_on(MemberCode("FR"), DIRECTORY)
    link = next(iter(links))
    session = links.begin(link, at(0))
    good = Hello(session.id, Role.HUB, link.lane, 1, b"", b"", at(0).wall, 2, 1_000)
    for wrong in (
        Hello(b"12345678", Role.HUB, link.lane, 1, b"", b"", 0, 2, 1),
        Hello(session.id, Role.MEMBER, link.lane, 1, b"", b"", 0, 2, 1),
    ):
        assert not links.greeted(link, wrong, at(0))
        assert not link.is_open
    assert links.greeted(link, good, at(0))
