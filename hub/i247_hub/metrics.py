"""Show a snapshot to Prometheus: text format 0.0.4 over the least of HTTP. docs/operations.md.

Only numbers and names of members and hubs are shown, the same as at the status socket.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable, Iterator
from typing import Final

from i247_hub.status import Snapshot
from i247_protocol.errors import WorldFault


def open_metrics(address: tuple[str, int]) -> socket.socket:
    """Listen for Prometheus; raise WorldFault when something else does."""
    one = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        one.bind(address)
        one.listen(BACKLOG)
    except OSError as error:
        one.close()
        host, port = address
        raise WorldFault(
            f"listening for metrics at {host}:{port}: {error.strerror}", "choose another port in [metrics]"
        ) from None
    return one


def http_answer(request: bytes, snapshot: Snapshot | None) -> bytes:
    """Answer one HTTP request; the connection ends with the answer."""
    method, _, rest = request.partition(b" ")
    path = rest.partition(b" ")[0]
    if method != b"GET" or path != b"/metrics":
        return _http("404 Not Found", "text/plain", b"see /metrics\n")
    if snapshot is None:
        return _http("503 Service Unavailable", "text/plain", b"starting\n")
    return _http("200 OK", "text/plain; version=0.0.4; charset=utf-8", exposition(snapshot).encode())


def exposition(snapshot: Snapshot) -> str:
    """Return a snapshot in Prometheus' text format."""
    lines: list[str] = []
    for name, kind, help_text, samples in _families(snapshot):
        lines += [f"# HELP {name} {help_text}", f"# TYPE {name} {kind}"]
        lines += [f"{name}{_labels(labels)} {value}" for labels, value in samples]
    return "\n".join(lines) + "\n"


Sample = tuple[dict[str, str], int | float]


def _families(one: Snapshot) -> Iterator[tuple[str, str, str, Iterable[Sample]]]:
    yield "i247_hub_info", "gauge", "Name and version.", [({"hub": one.name, "version": one.version}, 1)]
    yield "i247_hub_started_seconds", "gauge", "When the daemon began.", _alone(one.started / MS)
    yield "i247_hub_listed", "gauge", "Whether the roster lists this hub with its keys.", _alone(int(one.is_listed))
    yield "i247_hub_roster_version", "gauge", "Version of the roster that is held.", _alone(one.roster)
    yield "i247_hub_roster_expires_seconds", "gauge", "When the roster expires.", _alone(one.roster_expires / MS)
    if one.pulse_expires is not None:
        yield "i247_hub_pulse_expires_seconds", "gauge", "When the pulse expires.", _alone(one.pulse_expires / MS)
    yield (
        "i247_hub_directory_health",
        "gauge",
        "1 for the present state of the directory.",
        [({"state": state}, int(state == one.health)) for state in HEALTHS],
    )
    yield (
        "i247_hub_connected",
        "gauge",
        "Members and other hubs that are connected.",
        [({"role": "member"}, len(one.members_connected)), ({"role": "hub"}, len(one.hubs_connected))],
    )
    yield "i247_hub_hubs_known", "gauge", "Other hubs in the roster.", _alone(one.hubs_known)
    yield "i247_hub_store_bytes", "gauge", "Bytes of mail that is held.", _alone(one.store_bytes)
    yield "i247_hub_store_bytes_max", "gauge", "Bytes that it may take.", _alone(one.store_bytes_max)
    yield (
        "i247_hub_waiting",
        "gauge",
        "Rows that wait for a member or hub.",
        [
            ({"place": box.place, "lane": lane}, rows)
            for box in one.mailboxes
            for lane, rows in (("express", box.express), ("bulk", box.bulk))
        ],
    )
    yield (
        "i247_hub_waiting_bytes",
        "gauge",
        "Bytes that wait for a member or hub.",
        [({"place": box.place}, box.bytes) for box in one.mailboxes],
    )
    yield (
        "i247_hub_over_quota",
        "gauge",
        "1 for each member or hub that was over its quota in the last minute.",
        [({"giver": name}, 1) for name in one.over_quota],
    )
    yield (
        "i247_hub_counted_total",
        "counter",
        "What happened since the start, by name.",
        [({"what": what}, count) for what, count in one.counters.items()],
    )


def _alone(value: float) -> list[Sample]:
    return [({}, value)]


def _labels(labels: dict[str, str]) -> str:
    # Values are names of members, hubs and counters, none of which holds a quote.
    return "{" + ",".join(f'{name}="{value}"' for name, value in labels.items()) + "}" if labels else ""


def _http(status: str, kind: str, content: bytes) -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(content)}\r\nConnection: close\r\n\r\n"
    return head.encode() + content


HTTP_END: Final = b"\r\n\r\n"
MS: Final = 1_000
BACKLOG: Final = 8
HEALTHS: Final = ("fresh", "degraded", "hold")
