"""Print what this machine makes of the aims: `make bench`, or `python benchmarks/run.py [--quick] [--only NAME]`.

Only ratios within one run mean much, and a durable figure means nothing without the fsync probe beside it.
"""

from __future__ import annotations

import argparse
import logging
import os
import platform
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import structlog

import envelopes
import queries
import relay
from measures import Row, fsync_us


def main() -> None:
    """Run the measurements and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    parser.add_argument("--only", choices=("envelopes", "relay", "queries"), help="one measurement alone")
    chosen = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    rounds = 2 if chosen.quick else 5
    measurements: dict[str, Callable[[Path], list[Row]]] = {
        "envelopes": lambda folder: envelopes.rows(rounds, folder),
        "relay": lambda folder: relay.rows(rounds, 5_000 if chosen.quick else 20_000, folder),
        "queries": lambda folder: queries.rows(rounds, 500 if chosen.quick else 2_000, folder),
    }
    print(f"{time.strftime('%Y-%m-%d %H:%M')}  {_machine()}")
    with tempfile.TemporaryDirectory() as folder:
        _probe(Path(folder), "before")
        print(f"\n{'what':42} {'measured':34} {'least to most':20} {'aim':12} remark")
        for name, measure in measurements.items():
            if chosen.only in (None, name):
                place = Path(folder) / name
                place.mkdir()
                for row in measure(place):
                    print(f"{row.what:42} {row.figure:34} {row.spread:20} {row.aim:12} {row.remark}", flush=True)
        print()
        _probe(Path(folder), "after")


def _probe(folder: Path, when: str) -> None:
    taken = fsync_us(folder)
    print(f"fsync of 4 KiB {when}: p50 {taken[len(taken) // 2]:.0f} µs, p99 {taken[len(taken) * 99 // 100]:.0f} µs")


def _machine() -> str:
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        platform.machine(),
    )
    return f"{os.cpu_count()} × {model}, {platform.system()} {platform.release()}, Python {platform.python_version()}"


if __name__ == "__main__":
    main()
