"""Hold the figures of one run against what this project aims at among its peers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from measures import median, ratios, spread
from peers.contest import Score
from peers.relaying import Relays


@dataclass(frozen=True, slots=True)
class Verdict:
    """One aim: a ratio of this run. `is_met` is None when a peer that it needs was left out."""

    what: str
    ratio: float | None
    middle_half: str
    aim: str
    is_met: bool | None


def judge(scores: Sequence[Score], relays: Relays | None) -> Iterator[Verdict]:
    """Yield each aim with what this run came to."""
    by_name = {score.entrant.name: score for score in scores if score.has_figures}
    ours = by_name.get("i247")
    for what, other, series, sign, bound in AIMS:
        peer = by_name.get(other)
        found = ratios(getattr(ours, series), getattr(peer, series)) if ours and peer else None
        yield _verdict(what, found, sign, bound)
    yield _verdict("a hub that saves, of a bare poll loop: messages/s", relays.ratios if relays else None, "≥", 0.6)
    for part in ("hub", "node"):
        yield _memory(part, ours, by_name)


def _verdict(what: str, found: Sequence[float] | None, sign: str, bound: float) -> Verdict:
    aim = f"{sign} {bound:g} ×"
    if found is None:
        return Verdict(what, None, "", aim, None)
    middle = median(found)
    is_met = middle >= bound if sign == "≥" else middle <= bound
    return Verdict(what, middle, spread(found, ".2f") if len(found) > 1 else "", aim, is_met)


def _memory(part: str, ours: Score | None, by_name: Mapping[str, Score]) -> Verdict:
    """Hold the largest hub or node against the leanest broker of those that are durable."""
    others = {name: score.largest_mib for name, score in by_name.items() if score.entrant.is_durable and name != "i247"}
    if ours is None or not others:
        return _verdict(f"a {part}, of the leanest durable broker: memory", None, "≤", 0.5)
    leanest = min(others, key=lambda name: others[name])
    mine = max(size for name, size in ours.resident_mib[-1].items() if name.startswith(part))
    return _verdict(f"a {part}, of the leanest durable broker ({leanest}): memory", [mine / others[leanest]], "≤", 0.5)


AIMS: Final = (
    ("i247, of nats-synced: queries/s", "nats-synced", "rates", "≥", 2.0),
    ("i247, of nats-core: queries/s", "nats-core", "rates", "≥", 0.8),
    ("i247, of nats-synced: round trip p50, one at a time", "nats-synced", "p50_ms", "≤", 0.8),
    ("i247, of the floor: processor time a query and reply", "floor", "cpu_ms", "≤", 2.5),
)
