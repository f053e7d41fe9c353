"""P3, P4, P5: messages while wires break and programs die; all end, none twice, each acknowledged.

`I247_SEEDS=100 I247_MESSAGES=1000` looks further.
"""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from random import Random

import pytest
from tests.attacks.forgery import check_house
from tests.world import World

from i247_node.policy import parse_policy
from i247_node.records import ConversationState, DeliveryState
from i247_node.registers import MemoryRegister, Registers
from i247_protocol.notices import Colour, Event, Notice
from i247_protocol.priority import Priority
from i247_protocol.statement import UNANSWERED, Act

MEMBERS = ("BR", "FR", "SG", "XP")
HUBS = ("lyon", "singapore")
SEEDS = int(os.environ.get("I247_SEEDS", "20"))
MESSAGES = int(os.environ.get("I247_MESSAGES", "200"))
STEP_MS = 250
TURNS = 200
HEALING_MS = 20 * 60_000


class Weather:
    """Breaks things at random, and mends them after a while."""

    def __init__(self, world: World, random: Random) -> None:
        self._world = world
        self._random = random
        self._down: dict[str, int] = {}
        self._cut: dict[frozenset[str], int] = {}

    def change(self, turn: int) -> None:
        world, random = self._world, self._random
        for name in [name for name, until in self._down.items() if until <= turn]:
            del self._down[name]
            start(world, name)
        for wire in [wire for wire, until in self._cut.items() if until <= turn]:
            del self._cut[wire]
            world.mend(wire)
        luck = random.random()
        if luck < 0.04 and len(self._down) < 2:
            name = random.choice([name for name in (*MEMBERS, *HUBS) if name not in self._down])
            world.stop(name)
            self._down[name] = turn + random.randrange(1, 40)
        elif luck < 0.08:
            wire = frozenset(random.sample((*MEMBERS, *HUBS), 2))
            world.cut.add(wire)
            self._cut[wire] = turn + random.randrange(1, 80)
        elif luck < 0.12:
            name = random.choice((*MEMBERS, *HUBS))
            if name not in self._down:
                world.hang_up(name)

    def clear(self) -> None:
        for wire in list(self._world.cut):
            self._world.mend(wire)
        for name in self._down:
            start(self._world, name)


def start(world: World, name: str) -> None:
    if name.isupper():
        world.start_node(name)
    else:
        world.start_hub(name)


def troubled(seed: int, folder: Path) -> tuple[World, Random]:
    world = World(seed, folder=folder)
    random = Random(seed)
    world.latency = lambda: random.randrange(5, 40)
    for code in MEMBERS:
        world.registers[code] = Registers([MemoryRegister("sltd", [])])
        world.policies[code] = parse_policy({"registers": {"sltd": {"open_to": "all"}}})
    world.start_all()
    return world, random


def something(world: World, random: Random, author: str, n: int) -> None:
    other = random.choice([code for code in MEMBERS if code != author])
    prio = random.choice((Priority.URGENT, Priority.ROUTINE, Priority.BULK))
    luck = random.random()
    if luck < 0.6:
        world.ask(author, other, "sltd", f"N{n}", within_ms=24 * 3_600_000, prio=prio)
    elif luck < 0.95:
        world.write(author, other, "subject", f"letter {n}", prio)
    else:
        notice = Notice(
            colour=Colour.BLUE,
            event=Event.PUBLISHED,
            number=f"B-{n}",
            text="",
            title="t",
            valid_until=2**41,
            version=1,
        )
        world.publish(author, notice, tuple(code for code in MEMBERS if code != author), prio)


@pytest.mark.parametrize("seed", range(SEEDS))
def test_all_end_once_each(seed: int, disk: Path) -> None:
    stormy(seed, MESSAGES, disk)


def test_a_thousand_messages_end_once_each(disk: Path) -> None:
    stormy(1_000, 1_000, disk)


def stormy(seed: int, messages: int, folder: Path) -> None:
    """Send so many messages through a storm, let it clear, and look at every one of them."""
    world, random = troubled(seed, folder)
    weather = Weather(world, random)
    sent = 0
    for turn in range(TURNS):
        weather.change(turn)
        for _ in range(messages // TURNS):
            running = [code for code in MEMBERS if code in world.programs]
            if running:
                something(world, random, random.choice(running), sent)
                sent += 1
        world.run(random.randrange(1, STEP_MS))
    weather.clear()
    for _ in range(HEALING_MS // 60_000):
        if not unsettled(world):
            break
        world.run(60_000)
    reproduce = f"stormy({seed}, {messages})"
    assert unsettled(world) == [], reproduce
    once_each(world, reproduce)
    check_house(world)


def unsettled(world: World) -> list[tuple[str, int, str, str]]:
    """Return the deliveries of all members that have not ended."""
    left: list[tuple[str, int, str, str]] = []
    for code in MEMBERS:
        store = world.node_store(code)
        for state in (DeliveryState.QUEUED, DeliveryState.IN_CUSTODY):
            for member in store.recipients_waiting(state):
                left += [(code, one.n, member, state.value) for one in store.waiting_for(member, state, 2_000)]
        left += [(code, 0, one.to, one.state.value) for one in store.open_conversations()]
    return left


def once_each(world: World, reproduce: str) -> None:
    """Check that everything accepted lies exactly once in each recipient's inbox, with its receipt at the sender."""
    arrived = Counter((code, entry.sid) for code in MEMBERS for entry in world.entries(code))
    assert not arrived or max(arrived.values()) == 1, reproduce
    expected = 0
    for code in MEMBERS:
        store = world.node_store(code)
        last, _, _ = store.last_numbers()
        for n in range(1, last + 1):
            message = store.outgoing(n)
            assert message is not None, reproduce
            for member in message.to:
                delivery = store.delivery(n, member)
                assert delivery is not None, reproduce
                assert delivery.state is DeliveryState.DELIVERED, f"{reproduce}: {code} {n} {delivery}"
                assert delivery.receipt is not None, reproduce
                assert arrived[member, message.sid] == 1, reproduce
                expected += 1
            if message.act is Act.QUERY:
                exchange = store.views().conversation(message.conv)
                assert exchange is not None, reproduce
                assert exchange.query is not None, reproduce
                assert exchange.query.state is ConversationState.ANSWERED, reproduce
    receipts = sum(entry.act in UNANSWERED for code in MEMBERS for entry in world.entries(code))
    assert sum(arrived.values()) - receipts == expected, reproduce
