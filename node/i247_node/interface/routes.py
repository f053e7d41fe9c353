"""Serve the paths of the local interface. docs/interface.md lists them, with a form for each.

Decides: which path asks the engine, and which reads the store. Leaves to others: whether a command is carried out
(the machine), and what its answer means (the client).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from http import HTTPStatus
from typing import Final

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from i247_node.commands import (
    Accepted,
    AskQuestion,
    ConfirmEntry,
    GatherEvidence,
    OfferEntries,
    PublishNotice,
    ReportStatus,
    WriteLetter,
)
from i247_node.forms import (
    PRIORITIES,
    AuditPage,
    Board,
    Confirmed,
    Form,
    InboxPage,
    NewLetter,
    NewNotice,
    NewQuery,
    OutboxPage,
    QueryShown,
    Taken,
)
from i247_node.interface import requests as read
from i247_node.interface.problems import not_found, tell_problem
from i247_node.interface.stream import NewsStream
from i247_node.interface.switchboard import ENDED, Switchboard
from i247_node.metrics import TEXT_TYPE, exposition
from i247_node.records import EntryState, KeepConversation
from i247_node.showing import (
    answerable,
    show_audit,
    show_entry,
    show_evidence,
    show_message,
    show_notice,
    show_query,
    show_status,
    show_trace,
)
from i247_node.views import Exchange, Proven, Views
from i247_protocol.names import MessageId


def application(switchboard: Switchboard, views: Views) -> Starlette:
    """Return the interface as an ASGI application."""
    paths = _Paths(switchboard, views)
    made = Starlette(
        routes=[
            Route("/v1/status", _answered(paths.status), methods=["GET"]),
            Route("/v1/queries", _answered(paths.ask), methods=["POST"]),
            Route("/v1/queries/{id}", _answered(paths.query), methods=["GET"]),
            Route("/v1/notices", _answered(paths.publish), methods=["POST"]),
            Route("/v1/letters", _answered(paths.write), methods=["POST"]),
            Route("/v1/inbox", _answered(paths.inbox), methods=["GET"]),
            Route("/v1/inbox/{n}/confirm", _answered(paths.confirm), methods=["POST"]),
            Route("/v1/outbox", _answered(paths.outbox), methods=["GET"]),
            Route("/v1/board", _answered(paths.board), methods=["GET"]),
            Route("/v1/messages/{id}", _answered(paths.trace), methods=["GET"]),
            Route("/v1/messages/{id}/evidence", _answered(paths.evidence), methods=["GET"]),
            Route("/v1/audit", _answered(paths.audit), methods=["GET"]),
            Route("/v1/events", _answered(paths.events), methods=["GET"]),
            Route("/metrics", _answered(paths.metrics), methods=["GET"]),
        ],
        exception_handlers={HTTPException: tell_problem},
    )
    # It would build a URL of whatever came, and fail at bytes that are no text; every path here has one spelling.
    made.router.redirect_slashes = False
    return made


def _answered(endpoint: Endpoint) -> Endpoint:
    async def answered(request: Request) -> Response:
        try:
            return await endpoint(request)
        except Exception as fault:  # noqa: BLE001  the outermost place of a request: told, and never the next one's trouble
            return await tell_problem(request, fault)

    return answered


class _Paths:
    """One method for each path."""

    def __init__(self, switchboard: Switchboard, views: Views) -> None:
        self._switchboard = switchboard
        self._views = views

    # --- what the engine is asked ---

    async def status(self, request: Request) -> Response:
        read.only_parameters(request, ())
        status = await self._switchboard.status(ReportStatus(NOBODY))
        return _json(show_status(status, self._views.counts()))

    async def metrics(self, request: Request) -> Response:
        read.only_parameters(request, ())
        status = await self._switchboard.status(ReportStatus(NOBODY))
        return Response(exposition(status, self._views.counts()), media_type=TEXT_TYPE)

    async def ask(self, request: Request) -> Response:
        read.only_parameters(request, ("wait",))
        wait_ms = read.wait_ms(request)
        form = await read.form_in(request, NewQuery)
        command = AskQuestion(
            token=NOBODY,
            to=read.member(form.to),
            register=form.register,
            criteria=form.criteria,
            purpose=form.purpose,
            within_ms=form.within_ms,
            prio=PRIORITIES[form.urgency],
            handling=form.handling,
        )
        accepted = await self._switchboard.command(command)
        return _json(await self._query(accepted.id, wait_ms), HTTPStatus.CREATED)

    async def publish(self, request: Request) -> Response:
        read.only_parameters(request, ())
        form = await read.form_in(request, NewNotice)
        command = PublishNotice(
            token=NOBODY,
            notice=form.notice,
            to=None if form.to is None else tuple(map(read.member, form.to)),
            purpose=form.purpose,
            prio=PRIORITIES[form.urgency],
            handling=form.handling,
        )
        return _json(_taken(await self._switchboard.command(command)), HTTPStatus.CREATED)

    async def write(self, request: Request) -> Response:
        read.only_parameters(request, ())
        form = await read.form_in(request, NewLetter)
        command = WriteLetter(
            token=NOBODY,
            to=tuple(map(read.member, form.to)),
            subject=form.subject,
            text=form.text,
            thread=None if form.thread is None else read.message_id(form.thread, "thread"),
            purpose=form.purpose,
            prio=PRIORITIES[form.urgency],
            handling=form.handling,
        )
        return _json(_taken(await self._switchboard.command(command)), HTTPStatus.CREATED)

    async def confirm(self, request: Request) -> Response:
        read.only_parameters(request, ())
        await read.no_body(request)
        n = read.row_number(request)
        await self._switchboard.command(ConfirmEntry(NOBODY, n))
        return _json(Confirmed(entry=n))

    async def events(self, request: Request) -> Response:
        read.only_parameters(request, ())
        return NewsStream(self._switchboard)

    # --- what is read ---

    async def query(self, request: Request) -> Response:
        read.only_parameters(request, ("wait",))
        message = read.message_id(request.path_params["id"], "query's id")
        return _json(await self._query(MessageId(message), read.wait_ms(request)))

    async def inbox(self, request: Request) -> Response:
        read.only_parameters(request, ("after", "limit", "all"))
        after, limit = read.number(request, "after", 0, read.NUMBER_MAX), read.limit(request)
        entries = self._views.inbox(after, limit, only_new=not read.flag(request, "all"))
        first_time = tuple(entry.n for entry in entries if entry.state is EntryState.NEW)
        if first_time:  # saved before it is given: after a crash it counts as given
            await self._switchboard.command(OfferEntries(NOBODY, first_time))
        following = entries[-1].n if len(entries) == limit else None
        return _json(InboxPage(entries=tuple(map(show_entry, entries)), next=following))

    async def outbox(self, request: Request) -> Response:
        read.only_parameters(request, ("after", "limit", "open"))
        limit = read.limit(request)
        newest = max(0, self._views.counts().sent - limit)
        after = read.number(request, "after", newest, read.NUMBER_MAX)
        messages = self._views.outbox(after, limit, unsettled_only=read.flag(request, "open"))
        following = messages[-1].message.n if len(messages) == limit else None
        return _json(OutboxPage(messages=tuple(map(show_message, messages)), next=following))

    async def board(self, request: Request) -> Response:
        read.only_parameters(request, ())
        return _json(Board(notices=tuple(map(show_notice, self._views.board()))))

    async def trace(self, request: Request) -> Response:
        read.only_parameters(request, ())
        message = read.message_id(request.path_params["id"], "message's id")
        trace = self._views.message(MessageId(message))
        if trace is None:
            raise not_found("tracing a message: nothing is known of it here", "see `outbox` and `inbox` for the ids")
        return _json(show_trace(message, trace))

    async def evidence(self, request: Request) -> Response:
        read.only_parameters(request, ("wait",))
        wait_ms = read.wait_ms(request)
        message = MessageId(read.message_id(request.path_params["id"], "message's id"))
        await self._switchboard.command(GatherEvidence(NOBODY, message))
        for _ in range(int(wait_ms / 1000 / EVIDENCE_PAUSE_S)):
            if not answerable(self._proven(message)):
                break
            await asyncio.sleep(EVIDENCE_PAUSE_S)
        return _json(show_evidence(self._proven(message)))

    async def audit(self, request: Request) -> Response:
        read.only_parameters(request, ("after", "limit"))
        after, limit = read.number(request, "after", 0, read.NUMBER_MAX), read.limit(request)
        records = self._views.audit(after, limit)
        shown = tuple(show_audit(record.data) for record in records)
        return _json(AuditPage(records=shown, next=records[-1].n if len(records) == limit else None))

    # --- parts ---

    async def _query(self, message: MessageId, wait_ms: int) -> QueryShown:
        """Return where a query stands once it has ended, or when time is up."""
        exchange, query = self._exchange(message)
        if wait_ms > 0:
            with self._switchboard.end_of(query.conv) as ended:
                # Read once more, since it may have ended before anybody waited.
                exchange, query = self._exchange(message)
                if query.state not in ENDED:
                    with suppress(TimeoutError):
                        async with asyncio.timeout(wait_ms / 1000):
                            await ended.wait()
                    exchange, query = self._exchange(message)
        return show_query(query, exchange)

    def _proven(self, message: MessageId) -> Proven:
        proven = self._views.proven(message)
        if proven is None:
            raise not_found("gathering evidence: there is no message of ours of this id", "see `outbox` for the ids")
        return proven

    def _exchange(self, message: MessageId) -> tuple[Exchange, KeepConversation]:
        exchange = self._views.conversation(message)
        if exchange is None or exchange.query is None:
            raise not_found(
                "looking for a query: there is none of this id", "give the id that was told when it was asked"
            )
        return exchange, exchange.query


def _taken(accepted: Accepted) -> Taken:
    return Taken(id=accepted.id.hex(), sid=accepted.sid.hex(), conversation=accepted.conv.hex())


def _json(form: Form, status: HTTPStatus = HTTPStatus.OK) -> Response:
    return Response(msgspec.json.encode(form), status, media_type="application/json")


Endpoint = Callable[[Request], Awaitable[Response]]

EVIDENCE_PAUSE_S: Final = 0.1
NOBODY: Final = 0
"""The token of a command before the engine gives it its own."""
