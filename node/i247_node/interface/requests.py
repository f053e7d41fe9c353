"""Read what a client sent: a bounded body as a strict form, parameters by name, ids and spans of time.

A key or parameter that is not known is refused with its path, since a misspelt one would silently change what is
sent in this member's name. docs/interface.md.
"""

from __future__ import annotations

from collections.abc import Collection
from http import HTTPStatus
from typing import Final, TypeVar

import msgspec
from starlette.requests import Request

from i247_node.durations import parse_duration
from i247_node.forms import BODY_BYTES_MAX, PAGE_MAX, PAGE_USUAL, Form
from i247_node.interface.problems import HINT_PATHS, RequestRefused, malformed, not_found
from i247_protocol.errors import CallerFault, PeerFault
from i247_protocol.names import MemberCode, parse_member
from i247_protocol.statement import ID_BYTES

F = TypeVar("F", bound=Form)


async def form_in(request: Request, kind: type[F]) -> F:
    """Return the request's body as a form."""
    if request.headers.get("content-type", "").partition(";")[0].strip() != JSON_TYPE:
        raise RequestRefused(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "not-json", "reading the request", f"send it as {JSON_TYPE}"
        )
    try:
        return msgspec.json.decode(await _body(request), type=kind)
    except msgspec.ValidationError as fault:
        raise malformed(
            f"reading the request: {_said(fault)}", "docs/interface.md lists the keys of each form"
        ) from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise malformed("reading the request: not JSON", "send one JSON object") from None


async def no_body(request: Request) -> None:
    """Refuse a body where none is expected."""
    if await _body(request):
        raise malformed("reading the request: a body", "send none here")


def only_parameters(request: Request, known: Collection[str]) -> None:
    """Refuse parameters that are not known."""
    if any(name not in known for name in request.query_params):
        raise malformed("reading the request: unknown parameter", f"known here: {', '.join(sorted(known)) or 'none'}")


def number(request: Request, name: str, usual: int, most: int) -> int:
    """Return a whole number among the parameters."""
    text = request.query_params.get(name, str(usual))
    if not text.isascii() or not text.isdigit() or len(text) > DIGITS_MAX or int(text) > most:
        raise malformed(f"reading the request: {name}", f"give a whole number up to {most}")
    return int(text)


def limit(request: Request) -> int:
    """Return how many rows a page shall have."""
    return max(1, number(request, "limit", PAGE_USUAL, PAGE_MAX))


def flag(request: Request, name: str) -> bool:
    """Return a yes or no among the parameters."""
    text = request.query_params.get(name, "no")
    if text not in YES_NO:
        raise malformed(f"reading the request: {name}", f"give one of {', '.join(YES_NO)}")
    return YES_NO[text]


def wait_ms(request: Request) -> int:
    """Return how long the client is willing to wait."""
    try:
        wait = parse_duration(request.query_params.get("wait", "0s"))
    except CallerFault as fault:
        raise malformed("reading the request: wait", fault.hint) from None
    return min(wait, WAIT_MS_MAX)


def row_number(request: Request) -> int:
    """Return the number in the path."""
    text: str = request.path_params["n"]
    if not text.isascii() or not text.isdigit():
        raise not_found("reading the path: no number", HINT_PATHS)
    # The length first: turning thousands of digits into a number is refused by Python, and costly.
    if len(text) > DIGITS_MAX + 1 or int(text) > NUMBER_MAX:
        raise malformed("reading the path: a number", f"give one up to {NUMBER_MAX}")
    return int(text)


def message_id(text: str, what: str) -> bytes:
    """Return the 16 bytes of a message id or conversation."""
    try:
        found = bytes.fromhex(text)
    except ValueError:
        found = b""
    if len(found) != ID_BYTES:
        raise malformed(f"reading the {what}", f"give its {2 * ID_BYTES} hexadecimal digits")
    return found


def member(text: str) -> MemberCode:
    """Return a member code."""
    try:
        return parse_member(text)
    except PeerFault:
        raise malformed("reading the recipient", "a member code is two capital letters, such as FR") from None


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > BODY_BYTES_MAX:
            raise RequestRefused(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                "too-large",
                "reading the request",
                f"send at most {BODY_BYTES_MAX} bytes",
            )
    return bytes(body)


def _said(fault: msgspec.ValidationError) -> str:
    """Return msgspec's words, which name keys and types but, apart from enumerations, no values."""
    text = str(fault)
    if text.startswith("Invalid enum value"):
        text = "Invalid word" + text[text.find(" - at ") :] if " - at " in text else "Invalid word"
    return text[:1].lower() + text[1:]


JSON_TYPE: Final = "application/json"
YES_NO: Final = {"yes": True, "no": False}
DIGITS_MAX: Final = 18
NUMBER_MAX: Final = 2**62
WAIT_MS_MAX: Final = 24 * 3_600_000 + 60_000
