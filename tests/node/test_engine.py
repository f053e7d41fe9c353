"""Drive the engine by a machine that does what the test says: order, bounds, ends."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest
from tests.node.scripted import Journal, QuietSockets, ScriptedNode, accepted, status_of

from i247_node.commands import (
    Accepted,
    AskQuestion,
    ConfirmEntry,
    Declined,
    DeliveryMoved,
    EntryArrived,
    LookUp,
    LookupFinished,
    NodeStatus,
    ReportStatus,
)
from i247_node.directory_watch import LOOK_MS, DirectoryWatch
from i247_node.engine import COMMANDS_WAITING_MAX, Answer, Engine, EngineBusy, EngineOver
from i247_node.lookups import UNAVAILABLE, Lookups
from i247_node.records import DeliveryState
from i247_node.registers import Finding, MemoryRegister, Registers
from i247_protocol.errors import CallerFault, WorldFault
from i247_protocol.frames import Credit
from i247_protocol.handling import ROUTINE_HANDLING, Purpose
from i247_protocol.limits import EVENTS_IN_TURN_MAX
from i247_protocol.machine import Claim, Dial, DirectoryGiven, Effect, FrameArrived, LinkId, Peer, Persist, Tell
from i247_protocol.names import MemberCode, MessageId, MonoMs, Now, SessionId, WallMs
from i247_protocol.priority import Priority
from i247_protocol.queries import Criteria, Status, TravelDocument
from i247_protocol.statement import Act

DOCUMENT = TravelDocument(country="UTO", number="L898902C3", type="P")
QUESTION = AskQuestion(
    0, MemberCode("SG"), "sltd", DOCUMENT, Purpose.BORDER_CONTROL, 10_000, Priority.URGENT, ROUTINE_HANDLING
)
ARRIVED = EntryArrived(4, Act.NOTICE, MemberCode("XP"), Priority.URGENT, exercise=False)
MOVED = DeliveryMoved(MessageId(bytes(16)), MemberCode("SG"), DeliveryState.DELIVERED, None)


class Bench:
    """An engine and what it is made of."""

    def __init__(
        self,
        script: Callable[[object], list[Effect] | None] = lambda event: None,
        *,
        fails_at: int | None = None,
        **settings: Any,
    ) -> None:
        self.machine = ScriptedNode(script)
        self.journal = Journal(fails_at)
        self.sockets = QuietSockets()
        self.clock = Now(MonoMs(1_000), WallMs(5_000_000))
        self.engine = Engine(self.machine, self.journal, self.sockets, clocks=lambda: self.clock, **settings)
        self.answers: list[Answer] = []

    def ask(self, *commands: AskQuestion | ReportStatus | ConfirmEntry) -> None:
        for command in commands:
            self.engine.ask(command, self.answers.append)


def test_an_answer_comes_after_the_commit_and_to_who_asked() -> None:
    bench = Bench()
    turns_at_answer = []
    bench.engine.ask(QUESTION, lambda answer: turns_at_answer.append(len(bench.journal.turns)))
    bench.ask(QUESTION)
    assert bench.answers == []
    bench.engine.step(0)
    tokens = [event.token for event in bench.machine.heard if isinstance(event, AskQuestion)]
    assert len(set(tokens)) == 2
    assert turns_at_answer == [1]
    assert bench.answers == [accepted(tokens[1])]


def test_a_decline_is_an_answer() -> None:
    fault = CallerFault("asking", "name another member")
    bench = Bench(lambda event: [Tell(Declined(event.token, fault))] if isinstance(event, AskQuestion) else None)
    bench.ask(QUESTION)
    bench.engine.step(0)
    (answer,) = bench.answers
    assert isinstance(answer, Declined)
    assert answer.fault is fault
    assert bench.journal.turns == []


def test_the_news_of_a_turn_comes_at_once_and_until_one_leaves() -> None:
    told: list[object] = []
    bench = Bench(lambda event: [Tell(ARRIVED), Tell(MOVED)] if isinstance(event, FrameArrived) else None)
    leave = bench.engine.follow(told.append)
    bench.sockets.arrive(FrameArrived(LinkId(b"l"), b"k", b""))
    bench.engine.step(0)
    assert told == [(ARRIVED, MOVED)]
    leave()
    bench.sockets.arrive(FrameArrived(LinkId(b"l"), b"k", b""))
    bench.engine.step(0)
    assert len(told) == 1


def test_the_first_effects_are_performed() -> None:
    bench = Bench()
    peers = (Peer(LinkId(b"hub:lyon:bulk"), "tcp://127.0.0.1:1", bytes(32)),)
    bench.machine.first = [Tell(Dial(peers)), Persist("first")]
    bench.engine.start()
    assert bench.sockets.dialled == [peers]
    assert bench.journal.turns == [["first"]]


def test_counters_of_machine_sockets_and_engine_are_told_together() -> None:
    bench = Bench(lambda event: [Tell(status_of(event.token, sent=2))] if isinstance(event, ReportStatus) else None)
    bench.sockets.counters.add("dial.up")
    bench.machine.first = [Tell(LookUp(1, "slow", DOCUMENT))]
    bench.engine.start()
    bench.ask(ReportStatus(0))
    bench.engine.step(0)
    (answer,) = bench.answers
    assert isinstance(answer, NodeStatus)
    assert answer.counters == {"sent": 2, "dial.up": 1, "look-up.nobody": 1}


def test_a_turn_is_bounded_and_nothing_is_left_out() -> None:
    bench = Bench()
    bench.sockets.arrive(*[FrameArrived(LinkId(b"l"), b"k", bytes([n % 250])) for n in range(500)])
    bench.ask(*[QUESTION] * 600)
    while bench.engine.patience_ms(1) == 0 or len(bench.machine.heard) < 1_100:
        bench.engine.step(0)
    assert max(map(len, bench.journal.turns)) <= EVENTS_IN_TURN_MAX
    assert len(bench.machine.heard) == 1_100
    # A full socket does not keep the application waiting, and the other way round.
    assert {type(event) for event in bench.journal.turns[0]} == {FrameArrived, AskQuestion}


def test_too_many_commands_are_refused_and_there_is_room_again() -> None:
    bench = Bench()
    bench.ask(*[QUESTION] * COMMANDS_WAITING_MAX)
    with pytest.raises(EngineBusy):
        bench.ask(QUESTION)
    bench.engine.step(0)
    bench.ask(QUESTION)


def test_a_fault_of_the_disk_ends_it_and_nothing_more_is_said() -> None:
    claim = Claim(LinkId(b"l"), Credit(SessionId(bytes(8)), 1, 1))
    bench = Bench(
        lambda event: [Persist(event), claim, Tell(accepted(event.token))] if isinstance(event, AskQuestion) else None,
        fails_at=0,
    )
    bench.ask(QUESTION)
    with pytest.raises(WorldFault, match="saving"):
        bench.engine.run()
    assert bench.sockets.sent == []
    (answer,) = bench.answers
    assert isinstance(answer, Declined)
    assert isinstance(answer.fault, EngineOver)
    with pytest.raises(EngineOver):
        bench.ask(QUESTION)


def test_what_was_asked_before_a_stop_is_answered() -> None:
    bench = Bench()
    begun = threading.Event()
    thread = threading.Thread(target=lambda: bench.engine.run(begins=begun.set))
    thread.start()
    assert begun.wait(5)
    bench.ask(QUESTION)
    bench.engine.stop()
    thread.join(5)
    assert not thread.is_alive()
    (answer,) = bench.answers
    assert isinstance(answer, Accepted)


def test_another_thread_ends_the_wait() -> None:
    bench = Bench()
    bench.engine.start()
    threading.Timer(0.05, lambda: bench.ask(ReportStatus(0))).start()
    began = time.monotonic()
    bench.engine.step(10_000)
    while not bench.answers:
        bench.engine.step(10_000)
    assert time.monotonic() - began < 5


def test_the_wait_ends_at_the_machines_deadline() -> None:
    bench = Bench()
    bench.machine.deadline = MonoMs(1_300)
    assert bench.engine.patience_ms(1_000) == 300
    bench.machine.deadline = MonoMs(10)
    assert bench.engine.patience_ms(1_000) == 0
    bench.machine.deadline = None
    assert bench.engine.patience_ms(1_000) == 1_000


def test_errands_run_between_turns() -> None:
    bench = Bench()
    bench.engine.run_between_turns(lambda: bench.journal.turns.append(["errand"]))
    bench.ask(QUESTION)
    bench.engine.step(0)
    assert bench.journal.turns[0] == ["errand"]
    assert len(bench.journal.turns) == 2


# --- what lies outside the sockets ---


def test_a_network_file_is_given_once_and_again_when_it_changes(tmp_path: Path) -> None:
    path = tmp_path / "network.i247"
    watch = DirectoryWatch(path)
    assert watch.look(MonoMs(0)) is None  # it is not there yet
    path.write_bytes(b"one")
    assert watch.look(MonoMs(1)) is None  # it is not looked at all the time
    assert watch.look(MonoMs(LOOK_MS)) == b"one"
    assert watch.look(MonoMs(2 * LOOK_MS)) is None
    path.write_bytes(b"another")
    assert watch.look(MonoMs(3 * LOOK_MS)) == b"another"
    watch.look_again()
    assert watch.look(MonoMs(3 * LOOK_MS)) == b"another"


def test_what_is_found_outside_comes_with_the_turn() -> None:
    found = [[DirectoryGiven(b"documents")], []]
    bench = Bench(look_around=lambda now: found.pop(0))
    bench.engine.step(0)
    bench.engine.step(0)
    assert bench.machine.heard == [DirectoryGiven(b"documents")]


def test_what_waits_for_a_commit_is_saved_at_the_end() -> None:
    bench = Bench(look_around=lambda now: [DirectoryGiven(b"documents")])
    bench.engine.step(0)
    bench.engine.end()
    assert bench.journal.turns == [[DirectoryGiven(b"documents")]]


# --- slow registers ---


class SlowRegister:
    """A register in another machine, as far as the node can tell."""

    is_immediate = False

    def __init__(self, name: str, look_up: Callable[[], Finding]) -> None:
        self.name = name
        self._look_up = look_up

    def look_up(self, criteria: Criteria) -> Finding:
        return self._look_up()


def broken() -> Finding:
    raise KeyError("whatever somebody else's code may raise")


def unreachable() -> Finding:
    raise WorldFault("asking the register", "see its server")


NO_HIT = Finding(Status.NO_HIT, (), WallMs(5), None)


@pytest.mark.parametrize(
    ("look_up", "finding"),
    [(lambda: NO_HIT, NO_HIT), (broken, UNAVAILABLE), (unreachable, UNAVAILABLE)],
)
def test_a_slow_look_up_ends_in_a_finding(look_up: Callable[[], Finding], finding: Finding) -> None:
    finished: SimpleQueue[LookupFinished] = SimpleQueue()
    lookups = Lookups(Registers([SlowRegister("slow", look_up), MemoryRegister("fast", [])]), finished.put)
    lookups.begin(LookUp(7, "slow", DOCUMENT))
    assert finished.get(timeout=5) == LookupFinished(7, finding)
    lookups.stop()


def test_a_register_that_is_gone_is_unavailable() -> None:
    finished: SimpleQueue[LookupFinished] = SimpleQueue()
    lookups = Lookups({}, finished.put)
    lookups.begin(LookUp(7, "gone", DOCUMENT))
    assert finished.get(timeout=5) == LookupFinished(7, UNAVAILABLE)
    lookups.stop()


def test_a_register_that_hangs_stalls_neither_the_engine_nor_the_end() -> None:
    let_go = threading.Event()
    finished: list[LookupFinished] = []

    def hang() -> Finding:
        let_go.wait(10)
        return NO_HIT

    lookups = Lookups(Registers([SlowRegister("slow", hang)]), finished.append)
    bench = Bench(look_up=lookups.begin)
    bench.machine.first = [Tell(LookUp(n, "slow", DOCUMENT)) for n in range(5_000)]
    began = time.monotonic()
    bench.engine.start()
    bench.ask(QUESTION)
    bench.engine.step(0)
    assert bench.answers
    lookups.stop()
    assert time.monotonic() - began < 5
    # Those for which there is no room are answered at once, the others wait.
    assert {one.finding for one in finished} == {UNAVAILABLE}
    assert 0 < len(finished) < 1_000
    let_go.set()


def test_a_finding_reaches_the_machine() -> None:
    bench = Bench()
    lookups = Lookups(Registers([SlowRegister("slow", lambda: NO_HIT)]), bench.engine.give)
    lookups.begin(LookUp(3, "slow", DOCUMENT))
    while not bench.machine.heard:
        bench.engine.step(100)
    lookups.stop()
    assert bench.machine.heard == [LookupFinished(3, NO_HIT)]
