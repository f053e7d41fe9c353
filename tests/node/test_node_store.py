"""The node's store against the plain one, and what people see of it."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from tests.store_cases import AS, DE, EU, EXP, FR, XP, conversation, delivery, digest, entry, envelope, heard, message

from i247_edges.sqlite import Database
from i247_node import store as statements
from i247_node import views as view_statements
from i247_node.records import (
    AnswerGiven,
    ConversationState,
    Delivery,
    DeliveryState,
    DropExpired,
    EntryState,
    KeepAudit,
    KeepCard,
    KeepConversation,
    KeepDelivery,
    KeepEntry,
    KeepEntryState,
    KeepHeard,
    KeepKeyring,
    KeepNotice,
    KeepOutgoing,
    KeepSeen,
    OweAnswer,
    Quarantine,
    Seen,
)
from i247_node.store import NodeStore
from i247_node.views import Change, Views, open_views
from i247_protocol.errors import CallerFault
from i247_protocol.limits import EPOCH_KEEP_MS, QUARANTINE_PER_SENDER_MAX, SKEW_MS
from i247_protocol.names import MINUTE_MS, EvidenceId, HubName, MemberCode, MessageId, Minutes, WallMs
from i247_protocol.priority import Priority

UNSETTLED = (DeliveryState.QUEUED, DeliveryState.IN_CUSTODY)
MEMBERS = (DE, FR, XP)


class Model:
    """What a node's store means, in the fewest words."""

    def __init__(self) -> None:
        self.exp: dict[int, tuple[Priority, Minutes]] = {}
        self.deliveries: dict[tuple[int, MemberCode], Delivery] = {}
        self.changes: dict[int, list[Change]] = {}
        self.entries: dict[int, KeepEntry] = {}
        self.conversations: dict[bytes, KeepConversation] = {}
        self.owed: frozenset[int] = frozenset()
        self.counted: dict[tuple[MemberCode, Priority, int], dict[int, int]] = {}
        self.heard: dict[tuple[str, Priority], KeepHeard] = {}

    def copy(self) -> Model:
        other = Model()
        other.exp, other.deliveries = dict(self.exp), dict(self.deliveries)
        other.changes = {n: list(changes) for n, changes in self.changes.items()}
        other.entries, other.conversations = dict(self.entries), dict(self.conversations)
        other.owed, other.heard = self.owed, dict(self.heard)
        other.counted = {key: dict(numbers) for key, numbers in self.counted.items()}
        return other

    def in_state(self, *states: DeliveryState) -> list[Delivery]:
        return [row for _, row in sorted(self.deliveries.items()) if row.state in states]


class AgainstTheModel(RuleBasedStateMachine):
    @initialize()
    def begin(self) -> None:
        self.folder = TemporaryDirectory()
        self.store = NodeStore(self.path)
        self.model, self.saved = Model(), Model()

    @property
    def path(self) -> str:
        return str(Path(self.folder.name) / "node.db")

    @rule(to=st.lists(st.sampled_from(MEMBERS), min_size=1, unique=True).map(sorted).map(tuple))
    def send(self, to: tuple[MemberCode, ...]) -> None:
        n = max(self.model.exp, default=0) + 1
        one = replace(message(n, to), exp=Minutes(EXP - n % 3))
        rows = tuple(Delivery(n, member, DeliveryState.QUEUED, None, None, WallMs(n), None, None) for member in one.to)
        self.store.persist(KeepOutgoing(one, rows))
        self.model.exp[n] = (one.prio, one.exp)
        if one.seq is not None:
            self.model.counted.setdefault((to[0], one.prio, one.seq[0]), {})[one.seq[1]] = n
        self.model.deliveries |= {(n, row.recipient): row for row in rows}

    @precondition(lambda self: self.model.deliveries)
    @rule(data=st.data(), state=st.sampled_from(DeliveryState), number=st.none() | st.integers(0, 2))
    def move(self, data: st.DataObject, state: DeliveryState, number: int | None) -> None:
        n, member = data.draw(st.sampled_from(sorted(self.model.deliveries)))
        # Two messages never share an envelope.
        sealed = None if number is None else 10 * n + number
        row = replace(delivery(n, DE, state, sealed), recipient=member)
        self.store.persist(KeepDelivery(row))
        self.model.deliveries[n, member] = row
        self.model.changes.setdefault(n, []).append(Change(row.recipient, row.state, row.at, row.hub, row.reason))

    @rule(state=st.sampled_from(EntryState), offered=st.booleans(), owes=st.booleans())
    def receive(self, state: EntryState, offered: bool, owes: bool) -> None:
        n = max(self.model.entries, default=0) + 1
        record = KeepEntry(entry(n, state, offered=offered))
        self.store.persist(record)
        self.model.entries[n] = record
        if owes:
            self.store.persist(OweAnswer(n))
            self.model.owed |= {n}

    @precondition(lambda self: self.model.entries)
    @rule(data=st.data(), state=st.sampled_from(EntryState), offered=st.booleans())
    def change_entry(self, data: st.DataObject, state: EntryState, offered: bool) -> None:
        n = data.draw(st.sampled_from(sorted(self.model.entries)))
        self.store.persist(KeepEntryState(n, state, offered))
        self.model.entries[n] = KeepEntry(replace(self.model.entries[n].entry, state=state, offered=offered))

    @rule(n=st.integers(1, 5))
    def answer(self, n: int) -> None:
        self.store.persist(AnswerGiven(n))
        self.model.owed -= {n}

    @rule(n=st.integers(0, 9), state=st.sampled_from(ConversationState), answer=st.none() | st.integers(1, 9))
    def converse(self, n: int, state: ConversationState, answer: int | None) -> None:
        record = conversation(2 * n, state, answer)
        self.store.persist(record)
        self.model.conversations[record.conv] = record

    @rule(n=st.integers(0, 9))
    def hear(self, n: int) -> None:
        record = heard(n)
        self.store.persist(record)
        self.model.heard[record.sender, record.prio] = record

    @rule()
    def commit(self) -> None:
        self.store.commit()
        self.saved = self.model.copy()

    @rule()
    def die(self) -> None:
        self.store.close()
        self.store = NodeStore(self.path)
        self.model = self.saved.copy()

    @invariant()
    def deliveries_are_right(self) -> None:
        if not hasattr(self, "store"):
            return
        store, model = self.store, self.model
        for (n, member), row in model.deliveries.items():
            assert store.delivery(n, row.recipient) == row
            if row.envelope is not None:
                assert store.delivery_by_envelope(row.envelope, row.recipient) == row
                assert store.delivery_by_envelope(row.envelope, AS) is None  # type: ignore[arg-type]
            assert member == row.recipient
        for state in DeliveryState:
            for prio in Priority:
                rows = [row for row in model.in_state(state) if model.exp[row.n][0] is prio]
                assert store.deliveries(state, prio, 0, 99) == rows
                assert store.deliveries(state, prio, 2, 2) == [row for row in rows if row.n > 2][:2]
            for to in MEMBERS:
                waiting = [row for row in model.in_state(state) if row.recipient == to]
                assert store.waiting_for(to, state, 99) == waiting
                assert store.waiting_for(to, state, 1) == waiting[:1]
            assert store.recipients_waiting(state) == sorted({row.recipient for row in model.in_state(state)})
        unsettled = model.in_state(*UNSETTLED)
        expiries = [model.exp[row.n][1] for row in unsettled]
        assert store.next_delivery_expiry() == min(expiries, default=None)
        expired = [row for row in unsettled if model.exp[row.n][1] < EXP]
        expired.sort(key=lambda row: (model.exp[row.n][1], row.n, row.recipient))
        assert store.expired_deliveries(Minutes(EXP - 1), 99) == expired
        assert store.expired_deliveries(Minutes(EXP - 1), 1) == expired[:1]

    @invariant()
    def the_rest_is_right(self) -> None:
        if not hasattr(self, "store"):
            return
        store, model = self.store, self.model
        entries = [record.entry for _, record in sorted(model.entries.items())]
        assert store.last_numbers() == (max(model.exp, default=0), len(entries), 0)
        assert [store.entry(one.n) for one in entries] == entries
        assert store.answers_owed() == [one for one in entries if one.n in model.owed]
        withheld = [one for one in entries if one.state is EntryState.WITHHELD]
        assert store.withheld(1, 2) == [one for one in withheld if one.n > 1][:2]
        is_open = (ConversationState.OPEN, ConversationState.PENDING)
        talking = [one for one in model.conversations.values() if one.state in is_open]
        assert store.open_conversations() == sorted(talking, key=lambda one: one.reply_by)
        assert store.heard() == [one for _, one in sorted(model.heard.items())]
        for (to, prio, incarnation), numbers in model.counted.items():
            assert store.last_number(to, prio, incarnation) == max(numbers)
            for number, n in numbers.items():
                assert store.outgoing_by_number(to, prio, incarnation, number) == n
                assert store.outgoing_by_number(to, prio, incarnation + 7, number) is None
        assert store.last_number(DE, Priority.BULK, 9) == 0

    @invariant()
    def people_see_it(self) -> None:
        if not hasattr(self, "store"):
            return
        views, model = self.store.views(), self.model
        shown = [record.entry for _, record in sorted(model.entries.items()) if record.entry.offered]
        shown = [one for one in shown if one.state is not EntryState.WITHHELD]
        assert views.inbox(0, 99, only_new=False) == shown
        fresh = [one for one in shown if one.state is not EntryState.CONFIRMED]
        assert views.inbox(1, 1, only_new=True) == [one for one in fresh if one.n > 1][:1]
        unsettled = sorted({row.n for row in model.in_state(*UNSETTLED)})
        assert [sent.message.n for sent in views.outbox(0, 99, unsettled_only=True)] == unsettled
        assert [sent.message.n for sent in views.outbox(1, 2, unsettled_only=True)] == [n for n in unsettled if n > 1][
            :2
        ]
        for sent in views.outbox(0, 99, unsettled_only=False):
            n = sent.message.n
            assert list(sent.deliveries) == [row for key, row in sorted(model.deliveries.items()) if key[0] == n]
            trace = views.message(sent.message.id)
            assert trace is not None
            assert trace.sent == sent
            assert list(trace.changes) == model.changes.get(n, [])

    def teardown(self) -> None:
        if hasattr(self, "store"):
            assert self.store.damage() == []
            self.store.close()
            self.folder.cleanup()


TestAgainstTheModel = AgainstTheModel.TestCase
TestAgainstTheModel.settings = settings(settings.default, stateful_step_count=25)


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "node.db")


def test_a_late_word_on_an_old_envelope_finds_nothing() -> None:
    store = NodeStore(":memory:")
    store.persist(KeepOutgoing(message(1, (DE,)), (delivery(1, DE, DeliveryState.QUEUED, 1),)))
    store.persist(KeepDelivery(delivery(1, DE, DeliveryState.QUEUED, 2)))
    assert store.delivery_by_envelope(envelope(1), DE) is None
    assert store.delivery_by_envelope(envelope(2), DE) == store.delivery(1, DE)
    store.close()


def test_a_delivery_needs_its_message() -> None:
    store = NodeStore(":memory:")
    with pytest.raises(CallerFault):
        store.persist(KeepDelivery(delivery(1, DE, DeliveryState.QUEUED)))
    store.persist(KeepOutgoing(message(1, (DE,)), ()))
    store.persist(KeepDelivery(delivery(1, DE, DeliveryState.QUEUED)))
    assert store.waiting_for(DE, DeliveryState.QUEUED, 9) == [delivery(1, DE, DeliveryState.QUEUED)]
    store.close()


def test_what_was_seen_is_remembered_until_its_day_and_the_skew_are_over(path: str) -> None:
    store = NodeStore(path)
    one = Seen(DE, MessageId(digest("id")[:16]), EvidenceId(digest("sid")), EXP)
    store.persist(KeepSeen(one))
    store.persist(KeepSeen(one._replace(sender=FR, sid=EvidenceId(digest("other")))))
    store.commit()
    store.close()
    store = NodeStore(path)
    assert store.seen(DE, one.id) == one.sid
    assert store.seen(FR, one.id) == digest("other")
    assert store.seen(XP, one.id) is None
    end_of_day = EXP + 24 * 60 - 1
    store.persist(DropExpired(Minutes(end_of_day + SKEW_MS // MINUTE_MS - 1)))
    assert store.seen(DE, one.id) == one.sid
    store.persist(DropExpired(Minutes(end_of_day + SKEW_MS // MINUTE_MS)))
    assert store.seen(DE, one.id) is None
    store.close()


def test_quarantine_is_bounded_for_each_hub_and_expires(path: str) -> None:
    store = NodeStore(path)
    late = WallMs(1_000 * MINUTE_MS)
    for n in range(QUARANTINE_PER_SENDER_MAX + 3):
        store.persist(Quarantine(EU, envelope(n), "cannot-open", late, b"header"))
    store.persist(Quarantine(AS, envelope(0), "cannot-open", WallMs(0), b"header"))
    store.commit()
    assert store.views().counts().quarantined == QUARANTINE_PER_SENDER_MAX + 1
    store.close()
    store = NodeStore(path)
    store.persist(DropExpired(Minutes(EPOCH_KEEP_MS // MINUTE_MS)))
    assert store.views().counts().quarantined == QUARANTINE_PER_SENDER_MAX
    store.persist(Quarantine(EU, envelope(999), "cannot-open", late, b"header"))
    assert store.views().counts().quarantined == QUARANTINE_PER_SENDER_MAX
    store.persist(DropExpired(Minutes(1_000 + EPOCH_KEEP_MS // MINUTE_MS)))
    assert store.views().counts().quarantined == 0
    store.close()


def test_an_old_keyring_is_nowhere_in_the_files(path: str) -> None:
    old, new = digest("old secret"), digest("new secret")
    store = NodeStore(path)
    store.persist(KeepKeyring(old, 1, b"card 1"))
    store.commit()
    store.persist(KeepKeyring(new, 2, b"card 2"))
    store.commit()
    content = b"".join(file.read_bytes() for file in Path(path).parent.iterdir())
    assert store.keyring() == KeepKeyring(new, 2, b"card 2")
    assert new in content
    assert old not in content
    store.close()


def test_the_newest_is_kept(path: str) -> None:
    store = NodeStore(path)
    assert (store.keyring(), store.trust(), store.audit_end(), store.notice_version(XP, "1")) == (None,) * 4
    for version in (1, 2):
        store.persist(KeepCard(DE, b"card %d" % version))
        store.persist(KeepNotice(XP, "1", version, version, "red", "published", "Wanted", WallMs(1)))
        store.persist(KeepAudit(version, WallMs(version), b"", b"record %d" % version))
    assert store.cards() == [b"card 2"]
    assert store.notice_version(XP, "1") == 2
    assert store.audit_end() == b"record 2"
    assert store.last_numbers() == (0, 0, 2)
    store.close()


# --- what people see ---


def full_store(path: str) -> NodeStore:
    store = NodeStore(path)
    sent = (delivery(1, DE, DeliveryState.QUEUED, 1), delivery(1, FR, DeliveryState.REFUSED))
    store.persist(KeepOutgoing(message(1), sent))
    store.persist(KeepDelivery(delivery(1, DE, DeliveryState.IN_CUSTODY, 1)))
    store.persist(KeepDelivery(delivery(1, DE, DeliveryState.DELIVERED, 1)))
    store.persist(conversation(1, ConversationState.ANSWERED, 1))
    store.persist(KeepEntry(entry(1)))
    store.persist(KeepAudit(1, WallMs(1), message(1).sid, b"sent"))
    store.persist(KeepAudit(2, WallMs(2), b"", b"nobody's"))
    store.persist(KeepAudit(3, WallMs(3), message(1).sid, b"receipt"))
    store.persist(KeepAudit(4, WallMs(4), entry(1).sid, b"accepted"))
    store.persist(KeepAudit(5, WallMs(5), EvidenceId(digest("stranger")), b"refused"))
    store.persist(KeepNotice(XP, "2026/2", 1, 1, "red", "published", "Wanted", WallMs(1)))
    store.persist(KeepNotice(XP, "2026/1", 4, 1, "blue", "amended", "Seen", WallMs(1)))
    store.commit()
    return store


def test_a_message_of_ours_can_be_traced(path: str) -> None:
    store = full_store(path)
    views = open_views(path)
    trace = views.message(message(1).id)
    assert trace is not None
    assert trace == views.message(message(1).sid)
    assert trace.sent is not None
    assert [row.state for row in trace.sent.deliveries] == [DeliveryState.DELIVERED, DeliveryState.REFUSED]
    assert [(one.recipient, one.state, one.hub, one.reason) for one in trace.changes] == [
        (FR, DeliveryState.REFUSED, None, "policy"),
        (DE, DeliveryState.IN_CUSTODY, HubName("eu"), None),
        (DE, DeliveryState.DELIVERED, None, None),
    ]
    assert [record.data for record in trace.audit] == [b"sent", b"receipt"]
    views.close()
    store.close()


def test_what_came_in_can_be_traced_and_what_was_refused_too(path: str) -> None:
    store = full_store(path)
    views = open_views(path)
    trace = views.message(entry(1).id)
    assert trace is not None
    assert (trace.sent, trace.entries, [record.data for record in trace.audit]) == (None, (entry(1),), [b"accepted"])
    assert views.message(entry(1).sid) == trace
    refused = views.message(EvidenceId(digest("stranger")))
    assert refused is not None
    assert [record.data for record in refused.audit] == [b"refused"]
    assert views.message(MessageId(bytes(16))) is None
    assert views.message(EvidenceId(bytes(32))) is None
    views.close()
    store.close()


def test_a_conversation_is_found_by_its_id_and_by_its_query(path: str) -> None:
    store = full_store(path)
    views = open_views(path)
    found = views.conversation(message(1).conv)
    assert found is not None
    assert found == views.conversation(message(1).id)
    assert found.query == conversation(1, ConversationState.ANSWERED, 1)
    assert [sent.message for sent in found.sent] == [message(1)]
    assert found.received == (entry(1),)
    assert views.conversation(bytes(16)) is None
    views.close()
    store.close()


def test_the_board_the_trail_and_the_counts(path: str) -> None:
    store = full_store(path)
    views = open_views(path)
    assert [notice.number for notice in views.board()] == ["2026/1", "2026/2"]
    assert [record.n for record in views.audit(1, 2)] == [2, 3]
    counts = views.counts()
    assert (counts.queued, counts.in_custody, counts.sent, counts.received) == (0, 0, 1, 1)
    assert (counts.inbox_unconfirmed, counts.notices, counts.audit_records) == (1, 2, 5)
    views.close()
    store.close()


def test_views_see_only_what_was_committed(path: str) -> None:
    store = full_store(path)
    views = open_views(path)
    store.persist(KeepEntry(entry(2)))
    assert [one.n for one in views.inbox(0, 9, only_new=False)] == [1]
    store.commit()
    assert [one.n for one in views.inbox(0, 9, only_new=False)] == [1, 2]
    assert [one.n for one in views.inbox(1, 9, only_new=False)] == [2]
    views.close()
    store.close()


def test_views_need_a_store(path: str) -> None:
    with pytest.raises(CallerFault):
        open_views(path)


def test_no_question_reads_a_whole_table() -> None:
    store = NodeStore(":memory:")
    database = store._db  # noqa: SLF001  the plan is only known inside
    assert isinstance(database, Database)
    settled = {"_DELIVERIES", "_WAITING", "_RECIPIENTS"}  # only asked for what nobody waits for
    for module in (statements, view_statements):
        for name, sql in vars(module).items():
            if isinstance(sql, str) and name.startswith("_") and "SELECT" in sql and "{" not in sql:
                plan = _plan(database, sql)
                if name not in settled:
                    assert [step for step in plan if step.startswith("SCAN") and step.split()[1] in BIG] == [], name
    store.close()


def _plan(database: Database, sql: str) -> list[str]:
    return [detail for _, _, _, detail in database.rows("EXPLAIN QUERY PLAN " + re.sub(r"\?\d?", "1", sql))]


BIG = {"outgoing", "outgoing_statements", "deliveries", "delivery_history", "entry_statements", "audit"}


def test_one_view_is_enough_for_a_store_in_memory() -> None:
    store = NodeStore(":memory:")
    store.persist(KeepEntry(entry(1)))
    assert isinstance(store.views(), Views)
    assert store.views().inbox(0, 9, only_new=True) == [entry(1)]
    store.close()
