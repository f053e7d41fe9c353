"""The plain memories give the same answers as the real stores, and a crash leaves them as they were."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random

import pytest
from tests.store_cases import (
    AS,
    DAY,
    DE,
    EU,
    EXP,
    FR,
    XP,
    bounce,
    conversation,
    delivery,
    digest,
    entry,
    envelope,
    heard,
    message,
)

from i247_hub import records as hub
from i247_hub.store import HubStore
from i247_node import records as node
from i247_node.store import NodeStore
from i247_protocol.errors import WorldFault
from i247_protocol.names import Minutes, WallMs
from i247_protocol.priority import Priority
from i247_simulations.disk import Disk
from i247_simulations.hub_memory import PlainHubMemory
from i247_simulations.node_memory import PlainNodeMemory

HOPS = (hub.Hop(DE, None), hub.Hop(FR, None), hub.Hop(None, AS))


def hub_turns(luck: Random) -> Iterator[list[object]]:
    seq = 0
    for _ in range(60):
        turn: list[object] = []
        for _ in range(luck.randint(1, 4)):
            n = luck.randrange(24)
            exp = Minutes(EXP + DAY * (n % 3) + n)
            match luck.randrange(8):
                case 0 | 1 | 2:
                    wraps = n % 2 == 0
                    rows = []
                    for hop in luck.sample(HOPS, 2 if wraps else 1):
                        seq += 1
                        to = (DE, XP) if hop.member is None else (hop.member,)
                        sealed = tuple((one, b"k" * 8, digest("wrap", n, one)) for one in to) if wraps else ()
                        body = digest("body", n)
                        size = hub.size_of(b"header", body, sealed)
                        parts = b"header", body, sealed, size
                        rows.append(
                            hub.Held(
                                seq, hop, envelope(n), to, Priority(n % 4), exp, 1, luck.choice(("FR", "eu")), *parts
                            )
                        )
                    turn.append(hub.Hold(tuple(rows), WallMs(seq)))
                case 3:
                    turn.append(hub.Forget((luck.randint(1, seq + 1),)))
                case 4:
                    at = WallMs(luck.randrange(99))
                    passed = [
                        hub.Passed(envelope(n), DE, exp),
                        hub.Passed(envelope(n + 1), DE, Minutes(exp + n * DAY // 8)),
                    ]
                    turn.append(hub.HandedOn("DE", at, digest("vouched", at), tuple(passed[: 1 + n % 2])))
                    turn.append(hub.Ended(envelope(n + 1), XP, "expired", at, exp))
                case 5:
                    turn.append(hub.Owe(luck.choice(("FR", "eu")), bounce(n), exp))
                case 6:
                    turn.append(hub.Settle(luck.choice(("FR", "eu")), envelope(n), DE))
                case _:
                    minute = Minutes(EXP + luck.randint(0, 2 * DAY))
                    turn += [hub.DropExpired(minute), hub.KeepCard(DE, bytes([n])), hub.KeepDirectory(bytes([n]))]
        yield turn


def hub_answers(store: HubStore | PlainHubMemory) -> object:
    return (
        store.last_seq(),
        store.used_bytes(),
        sorted(store.backlog(), key=repr),
        list(store.given()),
        [list(store.page(hop, prio, after, 5)) for hop in HOPS for prio in Priority for after in (0, 7)],
        [list(store.held(envelope(n))) for n in range(24)],
        list(store.expired(Minutes(EXP + DAY), 1_000)),
        [store.handed_on(envelope(n), DE) for n in range(24)],
        [list(store.owed(to, 3)) for to in ("FR", "eu")],
        (store.cards(), store.directory()),
    )


def node_turns(luck: Random) -> Iterator[list[object]]:
    states, entries = node.DeliveryState, node.EntryState
    outgoing = incoming = audit = 0
    for _ in range(60):
        turn: list[object] = []
        for _ in range(luck.randint(1, 4)):
            n = luck.randint(1, max(outgoing, 1))
            match luck.randrange(8):
                case 0 | 1:
                    outgoing += 1
                    first = (delivery(outgoing, DE, states.QUEUED, outgoing), delivery(outgoing, FR, states.QUEUED))
                    if outgoing % 3:
                        turn.append(node.KeepOutgoing(message(outgoing), first))
                    else:
                        turn.append(node.KeepOutgoing(message(outgoing, (DE,)), first[:1]))
                    turn.append(heard(outgoing))
                    turn.append(conversation(outgoing, node.ConversationState.OPEN))
                case 2 | 3 if outgoing:
                    again = luck.choice((None, n, 100 + n))
                    turn.append(node.KeepDelivery(delivery(n, luck.choice((DE, FR)), luck.choice(list(states)), again)))
                case 4:
                    incoming += 1
                    audit += 1
                    state = luck.choice((entries.NEW, entries.WITHHELD))
                    seen = node.Seen(DE, entry(incoming).id, entry(incoming).sid, Minutes(EXP + DAY * (incoming % 3)))
                    turn += [node.KeepSeen(seen), node.KeepEntry(entry(incoming, state))]
                    turn += [node.OweAnswer(incoming), node.KeepAudit(audit, WallMs(audit), b"", bytes([audit % 250]))]
                case 5 if incoming:
                    one = luck.randint(1, incoming)
                    turn += [node.KeepEntryState(one, entries.CONFIRMED, offered=True), node.AnswerGiven(one)]
                case 6 if outgoing:
                    turn.append(conversation(n, luck.choice(list(node.ConversationState)), n))
                    turn.append(node.KeepNotice(XP, f"{n % 5}", n, n, "red", "amended", "Wanted", WallMs(n)))
                case _:
                    turn += [node.KeepTrust(bytes([n])), node.KeepCard(DE, bytes([n])), node.KeepKeyring(b"", n, b"")]
                    turn.append(node.Quarantine(EU, envelope(n), "cannot-open", WallMs(n), b"header"))
                    turn.append(node.DropExpired(Minutes(EXP + luck.randint(0, 2 * DAY))))
        yield turn


def node_answers(store: NodeStore | PlainNodeMemory) -> object:
    states = node.DeliveryState
    unsettled = (states.QUEUED, states.IN_CUSTODY)
    numbers = range(1, 70)
    return (
        store.last_numbers(),
        store.audit_end(),
        [store.outgoing(n) for n in numbers],
        [store.outgoing_by_sid(message(n).sid) for n in numbers],
        [store.delivery(n, to) for n in numbers for to in (DE, FR)],
        [store.delivery_by_envelope(envelope(n), to) for n in range(1, 170) for to in (DE, FR)],
        [list(store.deliveries(state, prio, after, 4)) for state in states for prio in Priority for after in (0, 5)],
        [list(store.waiting_for(to, state, 4)) for state in states for to in (DE, FR)],
        [list(store.recipients_waiting(state)) for state in unsettled],
        store.next_delivery_expiry(),
        sorted(store.expired_deliveries(Minutes(EXP + 20), 1_000), key=lambda one: (one.n, one.recipient)),
        [store.seen(DE, entry(n).id) for n in numbers],
        [store.entry(n) for n in numbers],
        list(store.answers_owed()),
        list(store.withheld(1, 5)),
        {one.conv: one for one in store.open_conversations()},
        [store.notice_version(XP, str(n)) for n in range(5)],
        [store.outgoing_by_number(DE, Priority(n % 4), 1 + n % 2, n) for n in numbers],
        [store.last_number(DE, prio, incarnation) for prio in Priority for incarnation in (1, 2, 3)],
        list(store.heard()),
        (store.trust(), store.cards(), store.keyring()),
    )


PAIRS = [
    pytest.param(HubStore, PlainHubMemory, hub_turns, hub_answers, id="hub"),
    pytest.param(NodeStore, PlainNodeMemory, node_turns, node_answers, id="node"),
]
Turns = Callable[[Random], Iterator[list[object]]]


@pytest.mark.parametrize(("real", "plain", "turns", "answers"), PAIRS)
@pytest.mark.parametrize("seed", range(6))
def test_the_same_records_give_the_same_answers(
    real: Callable[..., HubStore | NodeStore],
    plain: Callable[[], PlainHubMemory | PlainNodeMemory],
    turns: Turns,
    answers: Callable[..., object],
    seed: int,
) -> None:
    luck = Random(seed)
    store, memory = real(":memory:"), plain()
    disk = Disk(memory, lambda _: None)
    for number, turn in enumerate(turns(Random(seed))):
        for record in turn:
            disk.persist(record)
        if luck.random() < 0.3:  # a crash: the real store never hears of this turn
            assert disk.crash(pending_is_kept=True)
            before = answers(store)
            assert answers(memory) == before, f"seed {seed}, after the crash in turn {number}"
            for record in turn:
                disk.persist(record)
        for record in turn:
            store.persist(record)
        store.commit()
        disk.commit()
        assert answers(memory) == answers(store), f"seed {seed}, turn {number}"
    store.close()


@pytest.mark.parametrize(("real", "plain", "turns", "answers"), PAIRS)
def test_a_pending_turn_is_kept_whole_or_lost_whole(
    real: object, plain: Callable[[], PlainHubMemory | PlainNodeMemory], turns: Turns, answers: Callable[..., object]
) -> None:
    for is_kept in (True, False):
        memory = plain()
        told: list[object] = []
        disk = Disk(memory, told.extend)
        dumps = [answers(memory)]
        for turn in list(turns(Random(1)))[:10]:
            disk.settle()
            for record in turn:
                disk.persist(record)
            disk.commit()
            dumps.append(answers(memory))
        before = len(told)
        disk.crash(pending_is_kept=is_kept)
        assert answers(memory) == dumps[-1 if is_kept else -2]
        assert (len(told) > before) is is_kept


def test_a_commit_that_fails_raises_and_a_lying_disk_keeps_nothing() -> None:
    memory = PlainHubMemory()
    disk = Disk(memory, lambda _: None)
    disk.persist(hub.KeepDirectory(b"first"))
    disk.commit()
    disk.settle()
    disk.persist(hub.KeepDirectory(b"second"))
    disk.fails_next = True
    with pytest.raises(WorldFault):
        disk.commit()
    assert disk.crash(pending_is_kept=False)
    assert memory.directory() == b"first"
    disk.lies = True
    for data in (b"third", b"fourth"):
        disk.persist(hub.KeepDirectory(data))
        disk.commit()
        disk.settle()
    assert memory.directory() == b"fourth"
    disk.crash(pending_is_kept=True)
    assert memory.directory() == b"first"
