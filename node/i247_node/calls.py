"""Say what each request to the local interface is, and read its answer. Pure: the client adds the transport.

The errors of the client are one tree, `BureauError`: `code` is stable, `retryable` says whether the same call may be
made again at no risk, `hint` says what to do. docs/interface.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Generic, TypeVar

import msgspec

from i247_node.durations import parse_duration
from i247_node.forms import (
    PAGE_USUAL,
    AuditPage,
    Board,
    Confirmed,
    ConversationNews,
    DeliveryNews,
    EntryNews,
    EvidenceShown,
    InboxPage,
    NewLetter,
    NewNotice,
    NewQuery,
    NewsShown,
    OutboxPage,
    Problem,
    QueryShown,
    StatusShown,
    Taken,
    Trace,
    Urgency,
)
from i247_protocol.errors import I247Error
from i247_protocol.handling import ROUTINE_HANDLING, Handling, Purpose
from i247_protocol.notices import Notice
from i247_protocol.queries import Candidate, Criteria, Reply

T = TypeVar("T")

# --- answers ---


class Outcome(StrEnum):
    """How a query stands or ended. Only HIT, POSSIBLE and NO_HIT say anything about a register."""

    HIT = "hit"
    POSSIBLE = "possible"
    NO_HIT = "no-hit"
    REFUSED = "refused"
    UNAVAILABLE = "unavailable"
    PENDING = "pending"
    EXPIRED = "expired"
    OPEN = "open"


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a query. `state` has its ids; `receipt` there is the evidence id of what acknowledged it."""

    outcome: Outcome
    state: QueryShown

    @property
    def candidates(self) -> tuple[Candidate, ...]:
        """The records that may be meant, best first."""
        return () if self.state.reply is None else self.state.reply.candidates

    @property
    def caution(self) -> str:
        """What to bear in mind before anything is done with the answer."""
        return "" if self.state.reply is None else self.state.reply.caution

    @property
    def reason(self) -> str | None:
        """Why there is no finding, as a code of docs/protocol.md 12, when a reason is known."""
        return self.state.reason if self.state.reply is None else self.state.reply.reason


def answer_of(state: QueryShown) -> Answer:
    """Return what the state of a query means."""
    reply: Reply | None = state.reply
    return Answer(Outcome(state.state) if reply is None else Outcome(reply.status.value), state)


# --- errors ---


class BureauError(I247Error):
    """A call to the node failed."""

    def __init__(self, code: str, doing: str, hint: str, *, retryable: bool) -> None:
        super().__init__(f"{doing} ({hint})")
        self.code = code
        self.doing = doing
        self.hint = hint
        self.retryable = retryable


class NotRunning(BureauError):
    """No node listens there; nothing was sent."""


class NotPermitted(BureauError):
    """This user may not open the socket; nothing was sent."""


class Malformed(BureauError):
    """The node could not read the request, and did nothing."""


class NotFound(BureauError):
    """The node knows nothing of this id."""


class Declined(BureauError):
    """The node will not carry this out, and saved nothing."""


class Busy(BureauError):
    """The node could not take the request now, and did nothing."""


class Unsure(BureauError):
    """Whether the node did it is not known: look into the outbox before it is asked again."""


class Incomprehensible(BureauError):
    """The node answered what this client does not understand: one of both needs an update."""


# --- calls ---


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """One request, and the form of its answer; the node may take `wait_ms` to answer on purpose."""

    path: str
    answer: type[T]
    method: str = "GET"
    parameters: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    wait_ms: int = 0

    @property
    def changes_something(self) -> bool:
        """Whether to make it twice is not the same as to make it once."""
        return self.method != "GET"


def ask(
    criteria: Criteria,
    *,
    to: str,
    register: str,
    purpose: Purpose,
    within: str,
    urgency: Urgency = Urgency.ROUTINE,
    handling: Handling = ROUTINE_HANDLING,
    is_awaited: bool,
) -> Call[QueryShown]:
    """Ask a register of a member; when awaited, the answer comes when the query has ended."""
    within_ms = parse_duration(within)
    form = NewQuery(
        to=to,
        register=register,
        criteria=criteria,
        purpose=purpose,
        within_ms=within_ms,
        urgency=urgency,
        handling=handling,
    )
    wait_ms = within_ms + LATE_MS if is_awaited else 0
    return Call("/v1/queries", QueryShown, "POST", _wait(wait_ms), msgspec.json.encode(form), wait_ms)


def query(message: str, wait: str) -> Call[QueryShown]:
    """See where a query stands, when it has ended or after `wait`."""
    wait_ms = parse_duration(wait)
    return Call(f"/v1/queries/{_segment(message)}", QueryShown, parameters=_wait(wait_ms), wait_ms=wait_ms)


def publish(
    notice: Notice,
    *,
    purpose: Purpose,
    to: Sequence[str] | None = None,
    urgency: Urgency = Urgency.ROUTINE,
    handling: Handling = ROUTINE_HANDLING,
) -> Call[Taken]:
    """Publish a notice."""
    members = None if to is None else tuple(to)
    form = NewNotice(notice=notice, purpose=purpose, to=members, urgency=urgency, handling=handling)
    return Call("/v1/notices", Taken, "POST", body=msgspec.json.encode(form))


def write(
    *,
    to: Sequence[str],
    subject: str,
    text: str,
    purpose: Purpose,
    thread: str | None = None,
    urgency: Urgency = Urgency.ROUTINE,
    handling: Handling = ROUTINE_HANDLING,
) -> Call[Taken]:
    """Write a letter."""
    form = NewLetter(
        to=tuple(to), subject=subject, text=text, purpose=purpose, thread=thread, urgency=urgency, handling=handling
    )
    return Call("/v1/letters", Taken, "POST", body=msgspec.json.encode(form))


def inbox(after: int = 0, limit: int = PAGE_USUAL, *, confirmed: bool = False) -> Call[InboxPage]:
    """List entries that are not confirmed, or all."""
    parameters = {"after": str(after), "limit": str(limit), "all": "yes" if confirmed else "no"}
    return Call("/v1/inbox", InboxPage, parameters=parameters)


def confirm(entry: int) -> Call[Confirmed]:
    """Say that the application has an entry."""
    return Call(f"/v1/inbox/{entry}/confirm", Confirmed, "POST")


def outbox(after: int | None = None, limit: int = PAGE_USUAL, *, only_open: bool = False) -> Call[OutboxPage]:
    """List messages of ours, the newest when no `after` is given."""
    parameters = {"limit": str(limit), "open": "yes" if only_open else "no"}
    parameters |= {} if after is None else {"after": str(after)}
    return Call("/v1/outbox", OutboxPage, parameters=parameters)


def board() -> Call[Board]:
    """List the notices that are held."""
    return Call("/v1/board", Board)


def trace(message: str) -> Call[Trace]:
    """List what is known of a message."""
    return Call(f"/v1/messages/{_segment(message)}", Trace)


def evidence(message: str, wait: str = "3s") -> Call[EvidenceShown]:
    """Ask the hubs what was signed about a message of ours, wait for their answers, and get the evidence."""
    path = f"/v1/messages/{_segment(message)}/evidence"
    return Call(path, EvidenceShown, parameters={"wait": wait}, wait_ms=parse_duration(wait))


def audit(after: int = 0, limit: int = PAGE_USUAL) -> Call[AuditPage]:
    """List audit records."""
    return Call("/v1/audit", AuditPage, parameters={"after": str(after), "limit": str(limit)})


def status() -> Call[StatusShown]:
    """See how the node stands."""
    return Call("/v1/status", StatusShown)


# --- reading answers ---


def read_answer(call: Call[T], status_code: int, data: bytes) -> T:
    """Return the answer to a call; raise the BureauError that it tells."""
    try:
        if status_code < ERRORS_FROM:
            return msgspec.json.decode(data, type=call.answer)
        problem = msgspec.json.decode(data, type=Problem)
    except (msgspec.DecodeError, UnicodeDecodeError):
        if status_code == OVERLOADED:  # told by the server itself, before anybody read the request
            raise Busy("busy", "asking the node: too many connections", "ask again later", retryable=True) from None
        raise Incomprehensible(
            "incomprehensible", "reading the node's answer", "update the older one of node and client", retryable=False
        ) from None
    raise error_of(problem)


def error_of(problem: Problem) -> BureauError:
    """Return the error that a problem tells."""
    kind = ERRORS.get(problem.code, BureauError)
    return kind(problem.code, problem.doing, problem.hint, retryable=problem.retryable)


def read_news(data: bytes) -> NewsShown | None:
    """Return one piece of news; None for a kind that this version does not know."""
    try:
        news: NewsShown = msgspec.json.decode(data, type=ConversationNews | EntryNews | DeliveryNews)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return news


def _wait(wait_ms: int) -> dict[str, str]:
    return {"wait": f"{wait_ms}ms"} if wait_ms else {}


def _segment(text: str) -> str:
    """Return a part of a path that cannot become another path."""
    if not text.isalnum() or not text.isascii():
        raise Malformed("malformed", "naming a message", "give its id, 32 hexadecimal digits", retryable=False)
    return text


ERRORS_FROM: Final = 400
OVERLOADED: Final = 503
# The node ends a query at its time; a moment more lets the answer to this call come from there.
LATE_MS: Final = 2_000
ERRORS: Final[dict[str, type[BureauError]]] = {
    "busy": Busy,
    "declined": Declined,
    "malformed": Malformed,
    "not-found": NotFound,
    "not-json": Malformed,
    "silent": Unsure,
    "stopping": Unsure,
    "too-large": Malformed,
    "world": Busy,
}
