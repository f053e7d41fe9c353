"""Write how a node stands in Prometheus' text format. Names and labels come from code, never from a peer.

docs/operations.md lists what to watch.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict
from typing import Final

from i247_node.commands import NodeStatus
from i247_node.views import Counts

Sample = tuple[str, int | float]


def exposition(status: NodeStatus, counts: Counts) -> str:
    """Return all metrics as text."""
    return "".join(f"{line}\n" for line in _lines(status, counts))


def _lines(status: NodeStatus, counts: Counts) -> Iterator[str]:
    for name, meaning, value in (
        ("roster_version", "Version of the newest roster.", status.roster),
        ("roster_expires_seconds", "When the newest roster expires, Unix time.", status.roster_expires / 1000),
        (
            "pulse_expires_seconds",
            "When the newest pulse expires, Unix time; 0 without one.",
            (status.pulse_expires or 0) / 1000,
        ),
        ("keycards", "Members whose keycard is held.", status.cards),
        ("members", "Members in the directory.", status.members),
        ("waiting_messages", "Messages that no hub has taken custody of yet.", status.waiting),
        ("open_conversations", "Queries of this member that have not ended.", status.open_conversations),
        ("missing_statements", "Numbers of other members that have not come.", status.missing),
    ):
        yield from _family(name, "gauge", meaning, [("", value)])
    rows = [(_label(kind=kind), total) for kind, total in asdict(counts).items()]
    yield from _family("rows", "gauge", "How much the store holds.", rows)
    health = [(_label(health=word), int(status.health == word)) for word in HEALTHS]
    yield from _family("health", "gauge", "1 for the present health of the directory.", health)
    links = [(_label(hub=link.hub, lane=link.lane), int(link.open)) for link in status.links]
    yield from _family("link_open", "gauge", "Whether a connection to a hub is open.", links)
    offsets = [(_label(hub=link.hub, lane=link.lane), link.clock_offset_ms / 1000) for link in status.links]
    yield from _family("clock_offset_seconds", "gauge", "How far a hub's clock is ahead of this one.", offsets)
    events = [(_label(event=name), total) for name, total in sorted(status.counters.items())]
    yield from _family("events_total", "counter", "What has happened since start; docs/protocol.md 12.", events)


def _family(name: str, kind: str, meaning: str, samples: Iterable[Sample]) -> Iterator[str]:
    yield f"# HELP {PREFIX}{name} {meaning}"
    yield f"# TYPE {PREFIX}{name} {kind}"
    for label, value in samples:
        yield f"{PREFIX}{name}{label} {value}"


def _label(**labels: str) -> str:
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items()) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


PREFIX: Final = "i247_node_"
HEALTHS: Final = ("fresh", "degraded", "hold")
TEXT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
