"""Carry questions from the interface's loop to the engine's thread, and answers and news back.

Nothing here waits for a client: a follower that does not keep up is cut off. All methods belong to the loop;
the two callbacks that the engine calls only schedule. docs/interface.md.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Final, Protocol, TypeVar

from i247_node.commands import Accepted, Command, ConversationMoved, Declined, NodeStatus
from i247_node.engine import Answer, Moved, Subscriber
from i247_node.records import ConversationState
from i247_protocol.errors import CallerFault


class Asked(Protocol):
    """What of the engine the interface uses."""

    def ask(self, command: Command, answered: Callable[[Answer], None]) -> None:
        """Hand a command to the machine; `answered` gets its answer in another thread."""
        ...

    def follow(self, subscriber: Subscriber) -> Callable[[], None]:
        """Tell `subscriber` the news of each turn in another thread; return what ends that."""
        ...


class Switchboard:
    """Everybody who waits for an answer or follows the news."""

    def __init__(self, engine: Asked) -> None:
        """Begin to follow the engine's news, in the running loop."""
        self._engine = engine
        self._loop = asyncio.get_running_loop()
        self._waiting: dict[bytes, list[asyncio.Event]] = {}
        self._followers: list[Follower] = []
        self._leave = engine.follow(self._moved_elsewhere)

    async def command(self, command: Command) -> Accepted:
        """Return the node's acceptance; raise CallerFault when it declines, or is silent."""
        answer = await self._ask(command)
        if not isinstance(answer, Accepted):
            raise TypeError("a command is accepted or declined")
        return answer

    async def status(self, command: Command) -> NodeStatus:
        """Return how the node stands."""
        answer = await self._ask(command)
        if not isinstance(answer, NodeStatus):
            raise TypeError("a question for the status is answered by it")
        return answer

    @contextmanager
    def end_of(self, conversation: bytes) -> Iterator[asyncio.Event]:
        """Give an event that is set when the conversation ends after this moment."""
        ended = asyncio.Event()
        self._waiting.setdefault(conversation, []).append(ended)
        try:
            yield ended
        finally:
            left = [one for one in self._waiting.pop(conversation, []) if one is not ended]
            if left:
                self._waiting[conversation] = left

    @contextmanager
    def following(self) -> Iterator[Follower]:
        """Give a queue of the news from this moment on."""
        follower = Follower()
        self._followers.append(follower)
        try:
            yield follower
        finally:
            self._followers.remove(follower)

    def close(self) -> None:
        """Follow no longer, and let nobody wait."""
        self._leave()
        for follower in self._followers:
            follower.cut.set()
        for waiting in self._waiting.values():
            for ended in waiting:
                ended.set()

    async def _ask(self, command: Command) -> Accepted | NodeStatus:
        answer: asyncio.Future[Answer] = self._loop.create_future()

        def settle(one: Answer) -> None:
            if not answer.done():
                answer.set_result(one)

        self._engine.ask(command, lambda one: self._in_loop(settle, one))
        try:
            async with asyncio.timeout(ANSWER_S):
                settled = await answer
        except TimeoutError:
            raise EngineSilent from None
        if isinstance(settled, Declined):
            raise settled.fault
        return settled

    def _moved_elsewhere(self, moved: Sequence[Moved]) -> None:
        self._in_loop(self._moved, moved)

    def _in_loop(self, call: Callable[[T], None], value: T) -> None:
        with suppress(RuntimeError):  # the loop is closed, so nobody is left to be told
            self._loop.call_soon_threadsafe(call, value)

    def _moved(self, moved: Sequence[Moved]) -> None:
        for one in moved:
            if isinstance(one, ConversationMoved) and one.state in ENDED:
                for ended in self._waiting.get(one.conv, ()):
                    ended.set()
            for follower in self._followers:
                follower.take(one)


class Follower:
    """News for one client; when it falls `NEWS_WAITING_MAX` behind, it is cut off."""

    def __init__(self) -> None:
        self.cut = asyncio.Event()
        self._news: asyncio.Queue[Moved] = asyncio.Queue(NEWS_WAITING_MAX)

    def take(self, one: Moved) -> None:
        """Keep one for the client."""
        try:
            self._news.put_nowait(one)
        except asyncio.QueueFull:
            self.cut.set()

    async def next(self) -> Moved:
        """Return the oldest that the client has not had; wait for it."""
        return await self._news.get()


class EngineSilent(CallerFault):
    """The engine did not answer in time; whether the command is carried out is not known."""

    def __init__(self) -> None:
        super().__init__(
            "asking the node: it does not answer", "see its log and its disk; look in the outbox before asking anew"
        )


T = TypeVar("T")

ENDED: Final = frozenset({ConversationState.ANSWERED, ConversationState.REFUSED, ConversationState.EXPIRED})
ANSWER_S: Final = 30.0
NEWS_WAITING_MAX: Final = 256
