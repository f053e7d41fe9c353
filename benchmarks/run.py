"""Print what this machine makes of the aims: `make bench`, or `python benchmarks/run.py [--quick] [--only NAME]`.

Only ratios within one run mean much, so each figure stands beside its floor from the same rounds, and durable ones
beside what the disk took just before and after. docs/performance.md.
"""

from __future__ import annotations

import argparse
import logging
import os
import platform
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

import apsw
import structlog
import zmq

import envelopes
import memory
import notice
import queries
import relay
import simulator
import table
from network import World


class Measurement(NamedTuple):
    """One module's part of the table, and how long it may take (s), starting and stopping daemons apart."""

    measure: Callable[[World, float], Iterator[table.Figure]]
    budget_s: float


def main() -> None:
    """Run the measurements and print the table."""
    words = argparse.ArgumentParser(description="Measure this machine against the aims of docs/performance.md.")
    words.add_argument("--quick", action="store_true", help="fewer rounds, in well under a minute")
    words.add_argument("--only", choices=MEASUREMENTS, help="one measurement alone")
    options = words.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    logging.getLogger("i247_node").setLevel(logging.ERROR)
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))  # so that no daemon is left running
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="i247-bench-") as folder:
        print("\n".join(preamble(Path(folder))), flush=True)
        world = World(Path(folder))
        print("\n".join(("", *table.heading())), flush=True)
        for name, (measure, budget_s) in MEASUREMENTS.items():
            if options.only in (None, name):
                for figure in measure(world, budget_s / QUICKER if options.quick else budget_s):
                    print("\n".join(figure.lines()), flush=True)
    print(f"\n{time.monotonic() - began:.0f} s. Loopback only; nothing is left running.")


def preamble(folder: Path) -> Iterator[str]:
    """Yield what a reader must know of the machine."""
    yield f"i247 benchmarks, {time.strftime('%Y-%m-%d %H:%M %z')}"
    yield f"machine   {os.cpu_count()} × {_processor()}, load {os.getloadavg()[0]:.1f} at the start"
    yield f"system    {platform.system()} {platform.release()}, temporary folder {folder.parent}"
    yield (
        f"software  Python {platform.python_version()}, SQLite {apsw.sqlite_lib_version()}, "
        f"libzmq {zmq.zmq_version()}, pyzmq {zmq.pyzmq_version()}"
    )


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.machine())


MEASUREMENTS: Final = {
    "envelopes": Measurement(envelopes.measure, envelopes.BUDGET_S),
    "notice": Measurement(notice.measure, notice.BUDGET_S),
    "relay": Measurement(relay.measure, relay.BUDGET_S),
    "queries": Measurement(queries.measure, queries.BUDGET_S),
    "memory": Measurement(memory.measure, memory.BUDGET_S),
    "simulator": Measurement(simulator.measure, simulator.BUDGET_S),
}
QUICKER: Final = 8

if __name__ == "__main__":
    main()
