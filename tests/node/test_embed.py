"""Run two nodes inside one loop of a host program: no thread but the hub's."""

from __future__ import annotations

import select
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.node.network import ZONE, Network

from i247_node.commands import Accepted, AskQuestion, ConversationMoved, LookUp
from i247_node.config import read_config
from i247_node.embed import EmbeddedNode
from i247_node.engine import Answer
from i247_node.records import ConversationState
from i247_node.registers import Finding, Registers
from i247_protocol.errors import CallerFault
from i247_protocol.handling import ROUTINE_HANDLING, Purpose
from i247_protocol.names import MemberCode, WallMs
from i247_protocol.priority import Priority
from i247_protocol.queries import Criteria, Status, TravelDocument


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    network = Network(tmp_path_factory.mktemp("net"))
    with network.hub():
        yield network


def host(nodes: list[EmbeddedNode], until: Callable[[], bool], seconds: float = 10.0) -> None:
    """Do what the loop of a host does: wait for descriptors, and step."""
    end = time.monotonic() + seconds
    while not until():
        assert time.monotonic() < end, [node.status() for node in nodes]
        patience = min(node.patience_ms(1_000) for node in nodes)
        select.select(nodes, [], [], patience / 1_000)
        for node in nodes:
            node.step()


def question(register: str) -> AskQuestion:
    return AskQuestion(
        0,
        MemberCode("SG"),
        register,
        TravelDocument.from_mrz(ZONE),
        Purpose.BORDER_CONTROL,
        10_000,
        Priority.URGENT,
        ROUTINE_HANDLING,
    )


def test_a_query_between_two_nodes_in_one_loop(network: Network) -> None:
    with EmbeddedNode.open(network.config("FR")) as paris, EmbeddedNode.open(network.config("SG")) as singapore:
        answers: list[Answer] = []
        moved: list[object] = []
        paris.follow(moved.extend)
        paris.ask(question("sltd"), answers.append)
        host([paris, singapore], lambda: any(isinstance(one, ConversationMoved) for one in moved))
        assert isinstance(answers[0], Accepted)
        news = next(one for one in moved if isinstance(one, ConversationMoved))
        assert news.state is ConversationState.ANSWERED
        assert news.reply is not None
        assert news.reply.status is Status.HIT
        assert news.conv in [sent.message.conv for sent in paris.views.outbox(0, 10, unsettled_only=False)]
        assert paris.status().member == "FR"


class FarRegister:
    """A register that the host asks by its own means."""

    name = "closed"
    is_immediate = False

    def look_up(self, criteria: Criteria) -> Finding:
        raise NotImplementedError


def test_the_host_looks_up_by_its_own_means(network: Network) -> None:
    wanted: list[LookUp] = []
    network.edit("SG", 'open_to = ["XP"]', 'open_to = "all"')
    with (
        EmbeddedNode.open(network.config("FR")) as paris,
        EmbeddedNode.open(
            read_config(network.config("SG")), registers=Registers([FarRegister()]), look_up=wanted.append
        ) as singapore,
    ):
        moved: list[object] = []
        paris.follow(moved.extend)
        paris.ask(question("closed"), lambda answer: None)
        host([paris, singapore], lambda: bool(wanted))
        singapore.found(wanted[0].entry, Finding(Status.POSSIBLE, (), WallMs(5), None))
        host([paris, singapore], lambda: any(isinstance(one, ConversationMoved) for one in moved))
        news = next(one for one in moved if isinstance(one, ConversationMoved))
        assert news.reply is not None
        assert (news.reply.status, news.reply.as_of) == (Status.POSSIBLE, 5)


def test_waking_makes_the_descriptor_readable(network: Network) -> None:
    with EmbeddedNode.open(network.config("XP")) as node:
        host([node], lambda: all(link.open for link in node.status().links))
        end = time.monotonic() + 5
        while select.select([node], [], [], 0)[0]:  # whatever the hub still has to say
            node.step()
            assert time.monotonic() < end
        threading.Timer(0.02, node.wake).start()
        assert select.select([node], [], [], 5)[0]


def test_what_is_asked_within_a_step_is_done_at_once(network: Network) -> None:
    with EmbeddedNode.open(network.config("XP")) as node:
        node.ask(question("sltd"), lambda answer: None)
        assert node.patience_ms(1_000) == 0
        node.step()
        assert 0 <= node.patience_ms(10_000) <= 100


def test_a_node_in_use_is_not_opened_twice(network: Network) -> None:
    with EmbeddedNode.open(network.config("XP")), pytest.raises(CallerFault) as caught:
        EmbeddedNode.open(network.config("XP"))
    assert "another daemon" in caught.value.hint


def test_nothing_is_left_open_when_it_cannot_start(network: Network, tmp_path: Path) -> None:
    network.edit("XP", 'identity = "identity.key"', 'identity = "next-identity.key"')
    with pytest.raises(CallerFault, match="looking for XP"):
        EmbeddedNode.open(network.config("XP"))
    network.edit("XP", 'identity = "next-identity.key"', 'identity = "identity.key"')
    with EmbeddedNode.open(network.config("XP")) as node:
        assert node.status().member == "XP"
