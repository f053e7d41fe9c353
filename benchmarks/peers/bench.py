"""Print how this machine's i247 stands among its peers: `make bench-peers`, or with ARGS="--quick --only i247 floor".

All do the same work in one run, in turn: a signed and sealed query of 1 KiB from one member to another over two
brokers, and its reply. Figures of two runs cannot be compared, ratios within one can. docs/performance.md 10.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import secrets
import signal
import sys
import tempfile
import textwrap
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import structlog

from measures import median, percentile, spread
from peers.aims import Verdict, judge
from peers.contest import IN_FLIGHT, Score, compete
from peers.ends import PATIENCE_S
from peers.entrants import ENTRANTS
from peers.processes import ROOT, Place
from peers.relaying import Relays, compare
from probes import DiskTimes
from run import preamble


def main() -> None:
    """Run everybody in turn and print the table."""
    options = _options()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))  # so that nothing is left running
    entrants = [entrant for entrant in ENTRANTS if options.only is None or entrant.name in options.only]
    rounds, seconds = (2, 0.6) if options.quick else (options.rounds, options.seconds)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="i247-peers-") as folder:
        place = Place(
            folder=Path(folder),
            python=options.clients.absolute() / "bin" / "python",
            lxmf_python=options.lxmf.absolute() / "bin" / "python",
            seed=secrets.token_hex(32),
        )
        head = list(preamble(place.folder))
        scores, disk = compete(entrants, place, rounds, seconds, _progress)
        relays = None
        if any(entrant.name == "i247" for entrant in entrants):
            _progress("relays")
            relays = compare(place.at("relays"), rounds * seconds)
    verdicts = list(judge(scores, relays))
    facts = _Facts(head, disk, scores, relays, verdicts, time.monotonic() - began)
    print(json.dumps(facts.plain(), indent=1) if options.json else "\n".join(facts.lines()))


class _Facts:
    """Everything that one run came to."""

    def __init__(
        self,
        head: Sequence[str],
        disk: DiskTimes,
        scores: Sequence[Score],
        relays: Relays | None,
        verdicts: Sequence[Verdict],
        seconds: float,
    ) -> None:
        self._head = head
        self._disk = disk
        self._scores = scores
        self._relays = relays
        self._verdicts = verdicts
        self._seconds = seconds

    def lines(self) -> Iterator[str]:
        """Yield the table."""
        yield from self._head
        for what, times in (("write + fsync of 4 KiB", self._disk.syncs), ("SQLite FULL commit", self._disk.commits)):
            yield f"disk      {what} between rounds: {median(times):,.0f} µs (p99 {percentile(times, 0.99):,.0f})"
        yield ""
        yield ROW.format("peer", f"{IN_FLIGHT} in flight", "middle half", "p50 ms", "p99 ms", "cpu ms", "MiB").rstrip()
        yield "-" * WIDTH
        for score in self._scores:
            yield from _score_lines(score)
        yield ""
        yield AIM.format("ratio within this run", "median", "middle half", "aim", "met")
        yield "-" * WIDTH
        for verdict in self._verdicts:
            ratio = "" if verdict.ratio is None else f"{verdict.ratio:.2f}"
            met = {True: "yes", False: "MISSED", None: "? (a peer was left out)"}[verdict.is_met]
            yield AIM.format(verdict.what, ratio, verdict.middle_half, verdict.aim, met).rstrip()
        if self._relays:
            hub, bare = (median(series) for series in self._relays)
            yield f"    relays: hub {hub:,.0f} /s, each message saved; bare poll loop {bare:,.0f} /s"
        yield ""
        load = os.getloadavg()[0]
        yield f"{self._seconds:.0f} s, load {load:.1f} at the end. Loopback only; nothing is left running."

    def plain(self) -> dict[str, Any]:
        """Return it for machines."""
        return {
            "head": list(self._head),
            "load_at_end": os.getloadavg()[0],
            "fsync_us": self._disk.syncs,
            "commit_us": self._disk.commits,
            "in_flight": IN_FLIGHT,
            "peers": [_score_plain(score) for score in self._scores],
            "relays": None if self._relays is None else self._relays._asdict(),
            "aims": [
                {"what": one.what, "ratio": one.ratio, "aim": one.aim, "is_met": one.is_met} for one in self._verdicts
            ],
        }


def _score_lines(score: Score) -> Iterator[str]:
    entrant = score.entrant
    if not score.has_figures:
        yield f"{entrant.name:13} left out"
        yield from _wrapped(str(score.left_out))
        return
    yield ROW.format(
        entrant.name,
        f"{median(score.rates):,.0f} /s",
        spread(score.rates, ",.0f"),
        f"{median(score.p50_ms):.2f}",
        f"{score.p99_ms:.1f}",
        f"{median(score.cpu_ms):.2f}",
        f"{max(score.resident_mib[0].values()):.0f} to {score.largest_mib:.0f}",
    )
    yield from _wrapped(f"{entrant.what}: {entrant.durability}")
    if score.lost:
        yield f"    {score.lost} queries had no answer within {PATIENCE_S:.0f} s"


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent="    ", subsequent_indent="    ")


def _score_plain(score: Score) -> dict[str, Any]:
    return {
        "name": score.entrant.name,
        "what": score.entrant.what,
        "durability": score.entrant.durability,
        "is_durable": score.entrant.is_durable,
        "left_out": score.left_out,
        "queries_per_s": score.rates,
        "cpu_ms": score.cpu_ms,
        "p50_ms": score.p50_ms,
        "p99_ms": score.p99_ms if score.alone_ms else None,
        "lost": score.lost,
        "resident_mib": score.resident_mib,
    }


def _progress(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _options() -> argparse.Namespace:
    words = argparse.ArgumentParser(description="Measure i247 beside its peers, as docs/performance.md 10 tells.")
    words.add_argument("--quick", action="store_true", help="two short rounds")
    words.add_argument("--rounds", type=int, default=7, help="how many rounds (7)")
    words.add_argument("--seconds", type=float, default=1.5, help="how long each takes a peer (1.5)")
    words.add_argument("--only", nargs="+", choices=[entrant.name for entrant in ENTRANTS], help="these alone")
    words.add_argument("--json", action="store_true", help="print JSON")
    words.add_argument("--clients", type=Path, default=ROOT / ".venv-peers", help="environment with the clients")
    words.add_argument("--lxmf", type=Path, default=ROOT / ".venv-lxmf", help="environment with rns and lxmf")
    return words.parse_args()


WIDTH: Final = 100
ROW: Final = "{:13} {:>12}  {:>18}  {:>9}  {:>8}  {:>8}  {:>12}"
AIM: Final = "{:64} {:>6}  {:>13}  {:>7}  {}"

if __name__ == "__main__":
    main()
