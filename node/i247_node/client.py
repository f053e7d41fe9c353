"""Talk to the node of this machine from a program: ask, publish, write, read what came.

    from i247_node.client import Bureau, Outcome, Purpose, TravelDocument

    with Bureau.connect("/run/i247/node.sock") as bureau:
        document = TravelDocument.from_mrz(zone)
        answer = bureau.query(document, to="SG", register="sltd", purpose=Purpose.BORDER_CONTROL, within="10s")
        if answer.outcome is Outcome.HIT:
            print(answer.candidates[0].action, answer.caution)

`AsyncBureau` has the same words for programs with a loop. No call waits for longer than its `within` or `wait` and the
timeout of the connection. Nothing is tried again here: each error says whether that is safe. Edge. docs/interface.md.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final, Self, TypeVar

import httpx

from i247_node import calls
from i247_node.calls import (
    Answer,
    BureauError,
    Busy,
    Call,
    Declined,
    Incomprehensible,
    Malformed,
    NotFound,
    NotPermitted,
    NotRunning,
    Outcome,
    Unsure,
    answer_of,
    read_answer,
    read_news,
)
from i247_node.durations import parse_duration
from i247_node.forms import (
    PAGE_USUAL,
    AuditPage,
    Board,
    InboxPage,
    NewsShown,
    OutboxPage,
    StatusShown,
    Taken,
    Trace,
    Urgency,
)
from i247_protocol.handling import ROUTINE_HANDLING, Classification, Handling, Onward, Purpose
from i247_protocol.notices import Colour, Event, Notice
from i247_protocol.queries import Candidate, Criteria, Person, TravelDocument, Vehicle

T = TypeVar("T")

__all__ = [
    "Answer",
    "AsyncBureau",
    "Bureau",
    "BureauError",
    "Busy",
    "Candidate",
    "Classification",
    "Colour",
    "Criteria",
    "Declined",
    "Event",
    "Handling",
    "Incomprehensible",
    "Malformed",
    "NotFound",
    "NotPermitted",
    "NotRunning",
    "Notice",
    "Onward",
    "Outcome",
    "Person",
    "Purpose",
    "TravelDocument",
    "Unsure",
    "Urgency",
    "Vehicle",
]


class Bureau:
    """A connection to the node; one thread at a time uses it."""

    def __init__(self, socket: Path, timeout_s: float) -> None:
        self._socket = socket
        self._timeout_s = timeout_s
        self._http = httpx.Client(transport=httpx.HTTPTransport(uds=str(socket)), base_url=NODE, trust_env=False)

    @classmethod
    def connect(cls, socket: str | Path, *, timeout: str = "30s") -> Bureau:
        """Return a connection; `timeout` is what the node has for each answer, beside what a call lets it wait."""
        return cls(Path(socket), parse_duration(timeout) / 1000)

    def query(
        self,
        criteria: Criteria,
        *,
        to: str,
        register: str,
        purpose: Purpose,
        within: str,
        urgency: Urgency = Urgency.ROUTINE,
        handling: Handling = ROUTINE_HANDLING,
    ) -> Answer:
        """Ask a register of the member `to`, and wait for the end of the query: an answer, or expiry after `within`."""
        call = calls.ask(
            criteria,
            to=to,
            register=register,
            purpose=purpose,
            within=within,
            urgency=urgency,
            handling=handling,
            is_awaited=True,
        )
        return answer_of(self._make(call))

    def ask(
        self,
        criteria: Criteria,
        *,
        to: str,
        register: str,
        purpose: Purpose,
        within: str,
        urgency: Urgency = Urgency.ROUTINE,
        handling: Handling = ROUTINE_HANDLING,
    ) -> Answer:
        """Ask as `query` does, without waiting; `answer` with `state.id` tells how it ended."""
        call = calls.ask(
            criteria,
            to=to,
            register=register,
            purpose=purpose,
            within=within,
            urgency=urgency,
            handling=handling,
            is_awaited=False,
        )
        return answer_of(self._make(call))

    def answer(self, query: str, *, wait: str = "0s") -> Answer:
        """Return what became of a query, when it has ended or after `wait`."""
        return answer_of(self._make(calls.query(query, wait)))

    def publish(
        self,
        notice: Notice,
        *,
        purpose: Purpose,
        to: Sequence[str] | None = None,
        urgency: Urgency = Urgency.ROUTINE,
        handling: Handling = ROUTINE_HANDLING,
    ) -> Taken:
        """Publish a notice to all members (the Secretariat), or to those in `to` (a diffusion)."""
        return self._make(calls.publish(notice, purpose=purpose, to=to, urgency=urgency, handling=handling))

    def write(
        self,
        *,
        to: Sequence[str],
        subject: str,
        text: str,
        purpose: Purpose,
        thread: str | None = None,
        urgency: Urgency = Urgency.ROUTINE,
        handling: Handling = ROUTINE_HANDLING,
    ) -> Taken:
        """Write to members; `thread` is the conversation that the letter continues."""
        return self._make(
            calls.write(
                to=to, subject=subject, text=text, purpose=purpose, thread=thread, urgency=urgency, handling=handling
            )
        )

    def inbox(self, after: int = 0, limit: int = PAGE_USUAL, *, confirmed: bool = False) -> InboxPage:
        """Return entries that are not confirmed (or all), in order of arrival."""
        return self._make(calls.inbox(after, limit, confirmed=confirmed))

    def confirm(self, entry: int) -> None:
        """Say that this program has an entry, so that it is not offered again."""
        self._make(calls.confirm(entry))

    def outbox(self, after: int | None = None, limit: int = PAGE_USUAL, *, only_open: bool = False) -> OutboxPage:
        """Return messages of ours and where they stand (or those not settled); without `after`, the newest."""
        return self._make(calls.outbox(after, limit, only_open=only_open))

    def board(self) -> Board:
        """Return the newest version of each notice."""
        return self._make(calls.board())

    def trace(self, message: str) -> Trace:
        """Return what is known here of a message, in order."""
        return self._make(calls.trace(message))

    def audit(self, after: int = 0, limit: int = PAGE_USUAL) -> AuditPage:
        """Return audit records, in order."""
        return self._make(calls.audit(after, limit))

    def status(self) -> StatusShown:
        """Return how the node stands."""
        return self._make(calls.status())

    def events(self) -> Iterator[NewsShown]:
        """Yield news as it comes; when that ends or fails, read inbox and queries for what was missed."""
        try:
            with self._http.stream("GET", EVENTS, timeout=self._patience(EVENTS_CALL)) as response:
                if response.status_code != httpx.codes.OK:
                    read_answer(EVENTS_CALL, response.status_code, response.read())
                for line in response.iter_lines():
                    yield from _news_in(line)
        except httpx.TransportError as fault:
            raise told(fault, EVENTS_CALL, self._socket) from fault

    def close(self) -> None:
        """End the connection."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _make(self, call: Call[T]) -> T:
        try:
            response = self._http.request(
                call.method,
                call.path,
                params=dict(call.parameters),
                content=call.body,
                headers=_headers(call),
                timeout=self._patience(call),
            )
        except httpx.TransportError as fault:
            raise told(fault, call, self._socket) from fault
        return read_answer(call, response.status_code, response.content)

    def _patience(self, call: Call[T]) -> httpx.Timeout:
        return httpx.Timeout(self._timeout_s, read=self._timeout_s + call.wait_ms / 1000)


class AsyncBureau:
    """A connection to the node for programs with a loop; many tasks may use it at once."""

    def __init__(self, socket: Path, timeout_s: float) -> None:
        self._socket = socket
        self._timeout_s = timeout_s
        self._http = httpx.AsyncClient(
            transport=httpx.AsyncHTTPTransport(uds=str(socket)), base_url=NODE, trust_env=False
        )

    @classmethod
    def connect(cls, socket: str | Path, *, timeout: str = "30s") -> AsyncBureau:
        """Return a connection; `timeout` is what the node has for each answer, beside what a call lets it wait."""
        return cls(Path(socket), parse_duration(timeout) / 1000)

    async def query(
        self,
        criteria: Criteria,
        *,
        to: str,
        register: str,
        purpose: Purpose,
        within: str,
        urgency: Urgency = Urgency.ROUTINE,
        handling: Handling = ROUTINE_HANDLING,
    ) -> Answer:
        """Ask a register of the member `to`, and wait for the end of the query: an answer, or expiry after `within`."""
        call = calls.ask(
            criteria,
            to=to,
            register=register,
            purpose=purpose,
            within=within,
            urgency=urgency,
            handling=handling,
            is_awaited=True,
        )
        return answer_of(await self._make(call))

    async def ask(
        self,
        criteria: Criteria,
        *,
        to: str,
        register: str,
        purpose: Purpose,
        within: str,
        urgency: Urgency = Urgency.ROUTINE,
        handling: Handling = ROUTINE_HANDLING,
    ) -> Answer:
        """Ask as `query` does, without waiting; `answer` with `state.id` tells how it ended."""
        call = calls.ask(
            criteria,
            to=to,
            register=register,
            purpose=purpose,
            within=within,
            urgency=urgency,
            handling=handling,
            is_awaited=False,
        )
        return answer_of(await self._make(call))

    async def answer(self, query: str, *, wait: str = "0s") -> Answer:
        """Return what became of a query, when it has ended or after `wait`."""
        return answer_of(await self._make(calls.query(query, wait)))

    async def publish(
        self,
        notice: Notice,
        *,
        purpose: Purpose,
        to: Sequence[str] | None = None,
        urgency: Urgency = Urgency.ROUTINE,
        handling: Handling = ROUTINE_HANDLING,
    ) -> Taken:
        """Publish a notice to all members (the Secretariat), or to those in `to` (a diffusion)."""
        return await self._make(calls.publish(notice, purpose=purpose, to=to, urgency=urgency, handling=handling))

    async def write(
        self,
        *,
        to: Sequence[str],
        subject: str,
        text: str,
        purpose: Purpose,
        thread: str | None = None,
        urgency: Urgency = Urgency.ROUTINE,
        handling: Handling = ROUTINE_HANDLING,
    ) -> Taken:
        """Write to members; `thread` is the conversation that the letter continues."""
        return await self._make(
            calls.write(
                to=to, subject=subject, text=text, purpose=purpose, thread=thread, urgency=urgency, handling=handling
            )
        )

    async def inbox(self, after: int = 0, limit: int = PAGE_USUAL, *, confirmed: bool = False) -> InboxPage:
        """Return entries that are not confirmed (or all), in order of arrival."""
        return await self._make(calls.inbox(after, limit, confirmed=confirmed))

    async def confirm(self, entry: int) -> None:
        """Say that this program has an entry, so that it is not offered again."""
        await self._make(calls.confirm(entry))

    async def outbox(self, after: int | None = None, limit: int = PAGE_USUAL, *, only_open: bool = False) -> OutboxPage:
        """Return messages of ours and where they stand (or those not settled); without `after`, the newest."""
        return await self._make(calls.outbox(after, limit, only_open=only_open))

    async def board(self) -> Board:
        """Return the newest version of each notice."""
        return await self._make(calls.board())

    async def trace(self, message: str) -> Trace:
        """Return what is known here of a message, in order."""
        return await self._make(calls.trace(message))

    async def audit(self, after: int = 0, limit: int = PAGE_USUAL) -> AuditPage:
        """Return audit records, in order."""
        return await self._make(calls.audit(after, limit))

    async def status(self) -> StatusShown:
        """Return how the node stands."""
        return await self._make(calls.status())

    async def events(self) -> AsyncIterator[NewsShown]:
        """Yield news as it comes; when that ends or fails, read inbox and queries for what was missed."""
        try:
            async with self._http.stream("GET", EVENTS, timeout=self._patience(EVENTS_CALL)) as response:
                if response.status_code != httpx.codes.OK:
                    read_answer(EVENTS_CALL, response.status_code, await response.aread())
                async for line in response.aiter_lines():
                    for news in _news_in(line):
                        yield news
        except httpx.TransportError as fault:
            raise told(fault, EVENTS_CALL, self._socket) from fault

    async def close(self) -> None:
        """End the connection."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _make(self, call: Call[T]) -> T:
        try:
            response = await self._http.request(
                call.method,
                call.path,
                params=dict(call.parameters),
                content=call.body,
                headers=_headers(call),
                timeout=self._patience(call),
            )
        except httpx.TransportError as fault:
            raise told(fault, call, self._socket) from fault
        return read_answer(call, response.status_code, response.content)

    def _patience(self, call: Call[T]) -> httpx.Timeout:
        return httpx.Timeout(self._timeout_s, read=self._timeout_s + call.wait_ms / 1000)


def _headers(call: Call[T]) -> dict[str, str]:
    return {} if call.body is None else {"content-type": "application/json"}


def _news_in(line: str) -> Iterable[NewsShown]:
    """Yield what a line of a stream of events tells: one, or nothing."""
    field, _, data = line.partition(": ")
    news = read_news(data.encode()) if field == "data" else None
    return () if news is None else (news,)


def told(fault: httpx.TransportError, call: Call[T], socket: Path) -> BureauError:
    """Return the error that says what is known of a call after the transport failed."""
    doing = f"reaching the node at {socket}"
    match fault:
        case httpx.ConnectError() | httpx.ConnectTimeout() | httpx.PoolTimeout():
            if _is_forbidden(fault):
                return NotPermitted("not-permitted", f"{doing}: not permitted", HINT_GROUP, retryable=False)
            return NotRunning("not-running", f"{doing}: nobody answers there", HINT_RUN, retryable=True)
        case _ if call.changes_something:
            return Unsure("unsure", f"{doing}: the connection broke off", HINT_LOOK, retryable=False)
        case httpx.TimeoutException():
            return Busy("timed-out", f"{doing}: no answer in time", HINT_LOAD, retryable=True)
        case _:
            return NotRunning("broken-off", f"{doing}: the connection broke off", HINT_RUN, retryable=True)


def _is_forbidden(fault: BaseException | None) -> bool:
    while fault is not None:
        if isinstance(fault, PermissionError):
            return True
        fault = fault.__cause__ or fault.__context__
    return False


NODE: Final = "http://node"
EVENTS: Final = "/v1/events"
# The stream of news shows signs of life, so the usual patience is enough for it.
EVENTS_CALL: Final = Call(EVENTS, StatusShown)
HINT_RUN: Final = "start it with `i247-node run`, or see its log for why it stopped"
HINT_GROUP: Final = "let this user into the group that owns the socket; `interface.mode` in node.toml is its mode"
HINT_LOOK: Final = "see with `i247-node outbox` whether it was taken before it is sent again"
HINT_LOAD: Final = "see `i247-node status` and the load of the machine"
