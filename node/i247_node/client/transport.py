"""Hold what both kinds of client share: how a call travels, and what its failure means.

When the transport fails, the one question that matters is whether the node may have done what it was asked.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final, TypeVar

import httpx

from i247_node.calls import BureauError, Busy, Call, NotPermitted, NotRunning, Unsure, read_news
from i247_node.forms import NewsShown, StatusShown

T = TypeVar("T")


def patience(call: Call[T], timeout_s: float) -> httpx.Timeout:
    """Return how long each part of a call may take."""
    return httpx.Timeout(timeout_s, read=timeout_s + call.wait_ms / 1000)


def headers(call: Call[T]) -> dict[str, str]:
    """Return what a request says of its body."""
    return {} if call.body is None else {"content-type": "application/json"}


def news_in(line: str) -> Iterable[NewsShown]:
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
# Fewer at once than the node allows. Of idle connections httpcore keeps a list that it walks through again and again,
# so it slows down with every one that is kept.
LIMITS: Final = httpx.Limits(max_connections=200, max_keepalive_connections=16)
EVENTS: Final = "/v1/events"
# The stream of news shows signs of life, so the usual patience is enough for it.
EVENTS_CALL: Final = Call(EVENTS, StatusShown)
HINT_RUN: Final = "start it with `i247-node run`, or see its log for why it stopped"
HINT_GROUP: Final = "let this user into the group that owns the socket and its folder; see `interface` in node.toml"
HINT_LOOK: Final = "see with `i247-node outbox` whether it was taken before it is sent again"
HINT_LOAD: Final = "see `i247-node status` and the load of the machine"
