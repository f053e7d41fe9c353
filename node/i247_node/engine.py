"""Run a node's machine in turns: what the hubs send, what the application asks, one commit, then the news.

One thread owns machine, store and sockets and does nothing but turns. Whatever other threads want is put into
a bounded queue, with a wake-up; what they are told leaves by callbacks that must not wait. A fault of the
journal ends the engine: nothing more is said, the next start trusts the disk alone. Decides nothing about
messages. docs/architecture.md 5.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import chain, count
from threading import Lock
from typing import Final, Protocol

from i247_edges.clock import read_clocks
from i247_node.commands import (
    Accepted,
    Command,
    ConversationMoved,
    Declined,
    DeliveryMoved,
    EntryArrived,
    LookUp,
    LookupFinished,
    NodeStatus,
)
from i247_protocol.counters import Counters
from i247_protocol.errors import CallerFault, WorldFault
from i247_protocol.limits import NODE_COMMANDS_IN_TURN_MAX, NODE_FRAMES_IN_TURN_MAX
from i247_protocol.machine import (
    Dial,
    DirectoryGiven,
    Effect,
    FrameArrived,
    LinkId,
    LinkLost,
    LinkUp,
    Peer,
    TimePassed,
)
from i247_protocol.names import MonoMs, Now
from i247_protocol.pump import Journal, Pump

LinkEvent = FrameArrived | LinkUp | LinkLost
Event = LinkEvent | DirectoryGiven | LookupFinished | Command
Answer = Accepted | Declined | NodeStatus
Moved = ConversationMoved | EntryArrived | DeliveryMoved
Subscriber = Callable[[Sequence[Moved]], None]


class Node(Protocol):
    """The machine that is driven."""

    def start(self, now: Now) -> Sequence[Effect]:
        """Return what to do first."""
        ...

    def handle(self, event: Event | TimePassed, now: Now) -> Iterable[Effect]:
        """Take one event; return what must be done, in order."""
        ...

    def finish(self, now: Now) -> Iterable[Effect]:
        """Return what is done once for all events of a turn."""
        ...

    def next_deadline(self) -> MonoMs | None:
        """Return when `TimePassed` is wanted next."""
        ...


class Sockets(Protocol):
    """The connections to hubs."""

    counters: Counters

    def dial(self, peers: Iterable[Peer]) -> None:
        """Keep connections to exactly `peers`."""
        ...

    def transmit(self, link: LinkId, data: bytes) -> bool:
        """Send one frame; return False when it cannot leave at once."""
        ...

    def poll(self, timeout_ms: int, frames_max: int) -> list[LinkEvent]:
        """Wait until something arrives, `wake` is called or time is up; return what arrived, in order."""
        ...

    def wake(self) -> None:
        """End the present wait, or the next one; safe from any thread and from a signal's handler."""
        ...


class Engine:
    """A node at work. `ask`, `give`, `follow`, `stop` and `wake` may be called from any thread."""

    def __init__(
        self,
        machine: Node,
        journal: Journal,
        sockets: Sockets,
        *,
        look_up: Callable[[LookUp], None] | None = None,
        look_around: Callable[[Now], Iterable[DirectoryGiven]] | None = None,
        clocks: Callable[[], Now] = read_clocks,
    ) -> None:
        """Drive `machine`.

        `look_up` begins a look-up in a slow register and returns at once. `look_around` is called before every turn
        for what it finds outside; it must not wait.
        """
        self.counters = Counters()
        self._machine = machine
        self._sockets = sockets
        self._look_up = look_up
        self._look_around = look_around
        self._clocks = clocks
        self._pump: Pump[Event] = Pump(machine, journal, sockets, self._told)
        self._tokens = count(1)
        self._lock = Lock()
        self._queue: deque[Event] = deque()
        self._errands: deque[Callable[[], None]] = deque()
        self._asked: dict[int, Callable[[Answer], None]] = {}
        self._subscribers: tuple[Subscriber, ...] = ()
        self._moved: list[Moved] = []
        self._is_stopping = False
        self._is_over = False

    # --- from any thread ---

    def ask(self, command: Command, answered: Callable[[Answer], None]) -> None:
        """Hand a command to the machine; `answered` gets its answer, once, in the engine's thread.

        The command's token is replaced by one of its own. Raises EngineBusy when too many commands wait, and
        EngineOver when nobody will answer any more.
        """
        with self._lock:
            self._require_life()
            if len(self._asked) >= COMMANDS_WAITING_MAX:
                raise EngineBusy
            token = next(self._tokens)
            self._asked[token] = answered
            self._queue.append(replace(command, token=token))
        self._sockets.wake()

    def give(self, event: LookupFinished | DirectoryGiven) -> None:
        """Hand an event to the machine, which takes it in one of the next turns."""
        self._queue.append(event)
        self._sockets.wake()

    def run_between_turns(self, errand: Callable[[], None]) -> None:
        """Do something in the engine's thread while the machine is at rest."""
        self._errands.append(errand)
        self._sockets.wake()

    def follow(self, subscriber: Subscriber) -> Callable[[], None]:
        """Tell `subscriber` the news of each turn, in the engine's thread; return what ends that."""
        with self._lock:
            self._subscribers += (subscriber,)

        def leave() -> None:
            with self._lock:
                self._subscribers = tuple(one for one in self._subscribers if one is not subscriber)

        return leave

    def stop(self) -> None:
        """Let `run` end after the turn in which it is."""
        self._is_stopping = True
        self._sockets.wake()

    # --- in the engine's thread ---

    def start(self) -> None:
        """Perform the machine's first effects."""
        self._pump.perform(self._machine.start(self._clocks()))
        self._hand_out()

    def step(self, timeout_ms: int) -> None:
        """Wait until there is something to do, `timeout_ms` at most, and do one turn."""
        arrived = self._sockets.poll(self.patience_ms(timeout_ms), NODE_FRAMES_IN_TURN_MAX)
        while self._errands:
            self._errands.popleft()()
        # Now and then this syncs a file. Time that has gone by is not taken from the questions that follow.
        found = () if self._look_around is None else tuple(self._look_around(self._clocks()))
        now = self._clocks()
        # Short turns: signing and sealing take far longer than a commit, and the hubs can work meanwhile.
        waiting = self._from_queue(NODE_COMMANDS_IN_TURN_MAX)
        self._pump.turn(chain(arrived, found, waiting), now)
        self._hand_out()

    def run(self, *, begins: Callable[[], None] | None = None) -> None:
        """Work until `stop`, calling `begins` when at work; raise the WorldFault that ended it."""
        try:
            self.start()
            if begins is not None:
                begins()
            while not self._is_stopping:
                self.step(IDLE_MS)
            self.step(0)  # what was asked before the stop
        finally:
            self.end()

    def end(self) -> None:
        """Save what waits for a commit, decline what was asked and not answered, and take nothing more."""
        with suppress(WorldFault):  # a store that has failed says so elsewhere
            self._pump.commit()
        with self._lock:
            self._is_over = True
            asked, self._asked = self._asked, {}
        for token, answered in asked.items():
            answered(Declined(token, EngineOver()))

    def patience_ms(self, timeout_ms: int) -> int:
        """Return how long a wait may last until `step` is wanted, `timeout_ms` at most."""
        if self._queue or self._errands or self._is_stopping:
            return 0
        deadline = self._pump.next_deadline()
        return timeout_ms if deadline is None else max(0, min(timeout_ms, deadline - self._clocks().mono))

    # --- parts ---

    def _from_queue(self, events_max: int) -> Iterator[Event]:
        for _ in range(min(events_max, len(self._queue))):
            yield self._queue.popleft()

    def _told(self, news: object) -> None:
        match news:
            case Dial(peers):
                self._sockets.dial(peers)
            case Accepted() | Declined():
                self._answer(news)
            case NodeStatus():
                self._answer(replace(news, counters=self._totals(news)))
            case LookUp():
                if self._look_up is None:
                    self.counters.add("look-up.nobody")
                else:
                    self._look_up(news)
            case ConversationMoved() | EntryArrived() | DeliveryMoved():
                self._moved.append(news)
            case _:
                self.counters.add("news.unknown")

    def _answer(self, answer: Answer) -> None:
        with self._lock:
            answered = self._asked.pop(answer.token, None)
        if answered is not None:
            answered(answer)

    def _totals(self, status: NodeStatus) -> dict[str, int]:
        return {**status.counters, **self._sockets.counters.snapshot(), **self.counters.snapshot()}

    def _hand_out(self) -> None:
        if self._moved:
            moved, self._moved = tuple(self._moved), []
            for subscriber in self._subscribers:
                subscriber(moved)

    def _require_life(self) -> None:
        if self._is_over:
            raise EngineOver


class EngineBusy(CallerFault):
    """More commands wait than the engine takes."""

    def __init__(self) -> None:
        super().__init__("asking the node: too many requests wait", "ask again in a moment")


class EngineOver(CallerFault):
    """The node stops, or has stopped; whether a command was still carried out is not known."""

    def __init__(self) -> None:
        super().__init__("asking the node: it is stopping", "when it runs again, look in the outbox before asking anew")


IDLE_MS: Final = 1_000
COMMANDS_WAITING_MAX: Final = 1_024
