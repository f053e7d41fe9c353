"""Two real stores, turns of records for each, and everything that each can be asked, as one value."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b

from i247_hub import records as hub
from i247_hub.store import HubStore
from i247_node import records as node
from i247_node.store import NodeStore
from i247_protocol.frames import Bounce
from i247_protocol.names import EnvelopeId, EvidenceId, HubName, MemberCode, MessageId, Minutes, WallMs
from i247_protocol.priority import Priority
from i247_protocol.statement import Act

Store = HubStore | NodeStore

FR, DE, XP = MemberCode("FR"), MemberCode("DE"), MemberCode("XP")
EU, AS = HubName("eu"), HubName("asia-1")
DAY = 24 * 60
EXP = Minutes(20_000 * DAY)


@dataclass(frozen=True)
class Case:
    """One kind of store: how it is opened, what is saved in it turn by turn, and all that it knows."""

    name: str
    open: Callable[..., Store]
    turns: tuple[tuple[object, ...], ...]
    dump: Callable[[Store], object]

    def expected(self) -> list[object]:
        """Return what the store must know after each number of turns."""
        store = self.open(":memory:")
        dumps = [self.dump(store)]
        for turn in self.turns:
            save(store, turn)
            dumps.append(self.dump(store))
        store.close()
        return dumps


def save(store: Store, turn: tuple[object, ...]) -> None:
    for record in turn:
        store.persist(record)
    store.commit()


def digest(*parts: object) -> bytes:
    return blake2b(repr(parts).encode(), digest_size=32).digest()


def envelope(n: int) -> EnvelopeId:
    return EnvelopeId(digest("envelope", n))


# --- the hub ---


def held(seq: int, n: int, hop: hub.Hop, to: tuple[MemberCode, ...], *, wraps: bool = False) -> hub.Held:
    sealed = tuple((member, b"k" * 8, digest("wrap", n, member)) for member in to) if wraps else ()
    body = digest("body", n) * (1 + 200 * (n % 5 == 4))
    header = digest("header", n)
    size = hub.size_of(header, body, sealed)
    return hub.Held(seq, hop, envelope(n), to, Priority(n % 4), EXP, 1, "FR", header, body, sealed, size)


def bounce(n: int, to: MemberCode = DE) -> Bounce:
    return Bounce(envelope(n), to, "dead-key", 1_000 + n, "eu", digest("signature", n) * 2)


def passed(n: int) -> hub.Passed:
    return hub.Passed(envelope(n), DE, Minutes(EXP + DAY * (n % 2)))


def hub_turns() -> tuple[tuple[object, ...], ...]:
    turns: list[tuple[object, ...]] = [(hub.KeepDirectory(b"first"), hub.KeepCard(DE, b"card 1"))]
    for n in range(5):
        seq = 10 * n + 1
        both = (held(seq, n, hub.Hop(DE, None), (DE,), wraps=True), held(seq + 1, n, hub.Hop(None, AS), (FR, XP)))
        alone = hub.Hold((held(seq + 2, 100 + n, hub.Hop(DE, None), (DE,)),), WallMs(n))
        turns.append((hub.Hold(both, WallMs(n)), alone))
        if n % 2:
            turns.append(
                (
                    hub.Forget((seq,)),
                    hub.HandedOn("DE", WallMs(n), b"vouched", (passed(n), passed(n + 1), passed(n + 2))),
                )
            )
            ended = hub.Ended(envelope(n), XP, "expired", WallMs(n), EXP)
            turns.append((hub.Forget((seq + 1, seq + 2)), hub.Owe("FR", bounce(n), EXP), ended))
    turns.append((hub.Settle("FR", envelope(1), DE), hub.KeepCard(DE, b"card 2"), hub.KeepDirectory(b"second" * 2_000)))
    turns.append((hub.DropExpired(Minutes(EXP + DAY - 1)),))
    return tuple(turns)


def hub_dump(store: Store) -> object:
    assert isinstance(store, HubStore)
    numbers = [*range(5), *range(100, 105)]
    return (
        store.last_seq(),
        store.used_bytes(),
        list(store.backlog()),
        list(store.given()),
        [store.page(hop, prio, 0, 1_000) for hop in (hub.Hop(DE, None), hub.Hop(None, AS)) for prio in Priority],
        [store.held(envelope(n)) for n in numbers],
        [store.handed_on(envelope(n), DE) for n in numbers],
        store.owed("FR", 1_000),
        store.cards(),
        store.directory(),
        store.damage(),
    )


# --- the node ---


def message(n: int, to: tuple[MemberCode, ...] = (DE, FR)) -> node.Outgoing:
    sid = EvidenceId(digest("sid", n))
    return node.Outgoing(
        n=n,
        id=MessageId(digest("id", n)[:16]),
        sid=sid,
        act=Act.QUERY,
        conv=digest("conv", n // 2)[:16],
        prio=Priority(n % 4),
        exp=Minutes(EXP + n),
        created=WallMs(1_000 * n),
        to=to,
        statement=digest("statement", n) * (1 + 100 * (n % 3)),
        signature=sid * 2,
        seq=(1 + n % 2, n) if len(to) == 1 else None,
    )


def heard(n: int) -> node.KeepHeard:
    gaps = tuple(node.Gap(10 * one, 10 * one + n, WallMs(one)) for one in range(1, n % 4))
    return node.KeepHeard(DE, Priority(n % 4), 1_000 + n // 2, 100 + n, gaps)


def delivery(n: int, to: MemberCode, state: node.DeliveryState, number: int | None = None) -> node.Delivery:
    sealed = None if number is None else envelope(number)
    hub_name = EU if state is node.DeliveryState.IN_CUSTODY else None
    reason = "policy" if state is node.DeliveryState.REFUSED else None
    receipt = EvidenceId(digest("receipt", n)) if state is node.DeliveryState.DELIVERED else None
    return node.Delivery(n, to, state, sealed, hub_name, WallMs(1_000 * n + 1), reason, receipt)


def entry(n: int, state: node.EntryState = node.EntryState.NEW, *, offered: bool = True) -> node.Entry:
    sid = EvidenceId(digest("their sid", n))
    return node.Entry(
        n=n,
        sid=sid,
        id=MessageId(digest("their id", n)[:16]),
        sender=DE,
        act=Act.REPLY,
        conv=digest("conv", n // 2)[:16],
        prio=Priority(n % 4),
        exp=EXP,
        received=WallMs(2_000 * n),
        state=state,
        offered=offered,
        statement=digest("their statement", n) * 3,
        signature=sid * 2,
    )


def conversation(n: int, state: node.ConversationState, answer: int | None = None) -> node.KeepConversation:
    one = message(n)
    return node.KeepConversation(one.conv, one.id, DE, "persons", one.created, WallMs(9_000 - n), state, answer)


def node_turns() -> tuple[tuple[object, ...], ...]:
    states, entries = node.DeliveryState, node.EntryState
    turns: list[tuple[object, ...]] = [
        (node.KeepTrust(b"trust"), node.KeepKeyring(b"secrets 1", 1, b"card 1"), node.KeepCard(DE, b"card")),
    ]
    for n in range(1, 5):
        both = (delivery(n, DE, states.QUEUED, n), delivery(n, FR, states.QUEUED))
        audit = node.KeepAudit(n, WallMs(n), message(n).sid, digest("audit", n))
        turns.append(
            (
                node.KeepOutgoing(message(n), both),
                audit,
                heard(n),
                conversation(n, node.ConversationState.OPEN),
            )
        )
        turns.append((node.KeepDelivery(delivery(n, DE, states.IN_CUSTODY, n)),))
        seen = node.Seen(DE, entry(n).id, entry(n).sid, Minutes(EXP + DAY * (n % 3)))
        state, offered = (entries.WITHHELD, False) if n == 3 else (entries.NEW, n != 4)
        turns.append((node.KeepSeen(seen), node.KeepEntry(entry(n, state, offered=offered)), node.OweAnswer(n)))
        if n % 2:
            turns.append((node.KeepDelivery(delivery(n, DE, states.DELIVERED, n)), node.AnswerGiven(n)))
            turns.append(
                (
                    node.KeepEntryState(n, entries.CONFIRMED, offered=True),
                    node.KeepDelivery(delivery(n, FR, states.QUEUED, 100 + n)),
                    conversation(n, node.ConversationState.ANSWERED, n),
                    node.Quarantine(EU, envelope(n), "cannot-open", WallMs(n), b"header"),
                    node.KeepNotice(XP, "2026/1", n, n, "red", "amended", "Wanted", WallMs(n)),
                )
            )
    turns.append((node.KeepKeyring(b"secrets 2", 2, b"card 2"), node.KeepTrust(b"trust 2")))
    turns.append((node.KeepOutgoing(message(5, (DE,)), (delivery(5, DE, states.QUEUED, 5),)), heard(5)))
    turns.append((node.DropExpired(Minutes(EXP + DAY + 4)),))
    return tuple(turns)


def node_dump(store: Store) -> object:
    assert isinstance(store, NodeStore)
    views, numbers = store.views(), range(1, 6)
    unsettled = (node.DeliveryState.QUEUED, node.DeliveryState.IN_CUSTODY)
    return (
        store.last_numbers(),
        store.audit_end(),
        [store.outgoing(n) for n in numbers],
        [store.outgoing_by_sid(message(n).sid) for n in numbers],
        [store.delivery(n, to) for n in numbers for to in (DE, FR)],
        [store.delivery_by_envelope(envelope(n), DE) for n in numbers],
        [store.delivery_by_envelope(envelope(100 + n), FR) for n in numbers],
        [store.deliveries(state, prio, 0, 1_000) for state in node.DeliveryState for prio in Priority],
        [store.waiting_for(to, state, 1_000) for state in unsettled for to in (DE, FR)],
        [store.recipients_waiting(state) for state in node.DeliveryState],
        store.next_delivery_expiry(),
        store.expired_deliveries(Minutes(EXP + 4), 1_000),
        [store.seen(DE, entry(n).id) for n in numbers],
        [store.entry(n) for n in numbers],
        store.answers_owed(),
        store.withheld(0, 1_000),
        store.open_conversations(),
        store.notice_version(XP, "2026/1"),
        [store.outgoing_by_number(DE, Priority.URGENT, 2, n) for n in numbers],
        [store.last_number(DE, prio, 2) for prio in Priority],
        store.heard(),
        (store.trust(), store.cards(), store.keyring()),
        [views.message(message(n).id) for n in numbers],
        [views.conversation(message(n).conv) for n in numbers],
        (views.inbox(0, 99, only_new=True), views.outbox(0, 99, unsettled_only=True), views.board(), views.counts()),
        store.damage(),
    )


HUB = Case("hub", HubStore, hub_turns(), hub_dump)
NODE = Case("node", NodeStore, node_turns(), node_dump)
CASES = (HUB, NODE)
