"""Talk to the node from a program without a loop; `looped` has the same words for one with a loop."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Self, TypeVar

import httpx

from i247_node import calls
from i247_node.calls import Answer, Call, answer_of, read_answer
from i247_node.client.transport import EVENTS, EVENTS_CALL, LIMITS, NODE, headers, news_in, patience, told
from i247_node.durations import parse_duration
from i247_node.forms import (
    PAGE_USUAL,
    AuditPage,
    Board,
    EvidenceShown,
    InboxPage,
    NewsShown,
    OutboxPage,
    StatusShown,
    Taken,
    Trace,
    Urgency,
)
from i247_protocol.handling import ROUTINE_HANDLING, Handling, Purpose
from i247_protocol.notices import Notice
from i247_protocol.queries import Criteria

T = TypeVar("T")


class Bureau:
    """A connection to the node; one thread at a time uses it."""

    def __init__(self, socket: Path, timeout_s: float) -> None:
        self._socket = socket
        self._timeout_s = timeout_s
        self._http = httpx.Client(
            transport=httpx.HTTPTransport(uds=str(socket), limits=LIMITS), base_url=NODE, trust_env=False
        )

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
        """Ask a register of the member `to`, and wait for the end of the query: an answer, or expiry after `within`.

        The reply also lies in the inbox, as `state.entry`, until it is confirmed.
        """
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

    def evidence(self, message: str, wait: str = "3s") -> EvidenceShown:
        """Return what proves what became of a message of ours; the hubs on its way are asked, and waited for."""
        return self._make(calls.evidence(message, wait))

    def audit(self, after: int = 0, limit: int = PAGE_USUAL) -> AuditPage:
        """Return audit records, in order."""
        return self._make(calls.audit(after, limit))

    def status(self) -> StatusShown:
        """Return how the node stands."""
        return self._make(calls.status())

    def events(self) -> Iterator[NewsShown]:
        """Yield news as it comes; when that ends or fails, read inbox and queries for what was missed."""
        try:
            with self._http.stream("GET", EVENTS, timeout=patience(EVENTS_CALL, self._timeout_s)) as response:
                if response.status_code != httpx.codes.OK:
                    read_answer(EVENTS_CALL, response.status_code, response.read())
                for line in response.iter_lines():
                    yield from news_in(line)
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
                headers=headers(call),
                timeout=patience(call, self._timeout_s),
            )
        except httpx.TransportError as fault:
            raise told(fault, call, self._socket) from fault
        return read_answer(call, response.status_code, response.content)
