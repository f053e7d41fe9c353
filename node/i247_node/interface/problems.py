"""Turn whatever goes wrong with a request into one JSON shape: code, doing, hint, retryable.

A code is stable; programs go by it. No text here repeats what a client or a peer sent. docs/interface.md.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

import msgspec
import structlog
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from i247_node.engine import EngineBusy, EngineOver
from i247_node.forms import Problem
from i247_node.interface.switchboard import EngineSilent
from i247_protocol.errors import CallerFault, PeerFault, WorldFault


class RequestRefused(CallerFault):
    """A request cannot be served as it stands."""

    def __init__(self, status: HTTPStatus, code: str, doing: str, hint: str) -> None:
        super().__init__(doing, hint)
        self.status = status
        self.code = code


def malformed(doing: str, hint: str) -> RequestRefused:
    """Return the refusal of a request that does not say what it should."""
    return RequestRefused(HTTPStatus.BAD_REQUEST, "malformed", doing, hint)


def not_found(doing: str, hint: str) -> RequestRefused:
    """Return the refusal of a request for what is not here."""
    return RequestRefused(HTTPStatus.NOT_FOUND, "not-found", doing, hint)


def problem_of(fault: Exception) -> tuple[HTTPStatus, Problem]:
    """Return status and body that tell of a fault."""
    match fault:
        case RequestRefused():
            return fault.status, _problem(fault.code, fault)
        case EngineBusy():
            return HTTPStatus.SERVICE_UNAVAILABLE, _problem("busy", fault, retryable=True)
        case EngineOver():
            return HTTPStatus.SERVICE_UNAVAILABLE, _problem("stopping", fault)
        case EngineSilent():
            return HTTPStatus.GATEWAY_TIMEOUT, _problem("silent", fault)
        case CallerFault():
            return HTTPStatus.UNPROCESSABLE_ENTITY, _problem("declined", fault)
        case WorldFault():
            return HTTPStatus.SERVICE_UNAVAILABLE, _problem("world", fault, retryable=True)
        case PeerFault():
            hint = "run `i247-node check`"
            return HTTPStatus.INTERNAL_SERVER_ERROR, Problem(
                code="damaged", doing=f"reading what was saved: {fault.reason}", hint=hint, retryable=False
            )
        case HTTPException():
            status = HTTPStatus(fault.status_code)
            code = status.phrase.lower().replace(" ", "-")
            return status, Problem(code=code, doing=status.phrase.lower(), hint=HINT_PATHS, retryable=False)
        case _:
            return HTTPStatus.INTERNAL_SERVER_ERROR, Problem(
                code="defect", doing="serving the request", hint="see the log, and report it", retryable=False
            )


async def tell_problem(_: Request, fault: Exception) -> Response:
    """Answer a request that failed."""
    status, problem = problem_of(fault)
    if problem.code == "defect":
        _log.error("request failed", exc_info=fault)
    return Response(msgspec.json.encode(problem), status, media_type=PROBLEM_TYPE)


def _problem(code: str, fault: CallerFault | WorldFault, *, retryable: bool = False) -> Problem:
    return Problem(code=code, doing=fault.doing, hint=fault.hint, retryable=retryable)


PROBLEM_TYPE: Final = "application/problem+json"
HINT_PATHS: Final = "docs/interface.md lists paths and methods"

_log = structlog.get_logger()
