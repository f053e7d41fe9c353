"""Break a network of real processes in every way at hand, and show that nothing was lost, doubled or silent.

`make chaos SECONDS=600 SEED=7`. The plan is drawn from the seed and printed; when exactly a process is hit is for the
machine, so a seed gives the same troubles and not the same bytes. docs/chaos.md.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import sys
import tempfile
from pathlib import Path

from tests.chaos.power import survey
from tests.chaos.run import Run, tell


def main() -> int:
    """Do both parts, and return the exit code."""
    options = argparse.ArgumentParser()
    options.add_argument("--seed", type=int, required=True)
    options.add_argument("--seconds", type=float, required=True)
    words = options.parse_args()
    root = Path(tempfile.mkdtemp(prefix="i247-chaos-"))
    tell(f"seed {words.seed}")
    breaches = [
        *_trouble(root / "trouble", words.seed, words.seconds),
        *_power(root / "power", words.seed, words.seconds),
    ]
    if breaches:
        tell(f"FAILED: {len(breaches)} breaches; all files are in {root}")
        tell(f"again: make chaos SECONDS={words.seconds:g} SEED={words.seed}")
        return 1
    shutil.rmtree(root)
    tell("all that was accepted has ended, once; nothing leaked; nothing is left running; power may fail at any time")
    return 0


def _trouble(root: Path, seed: int, seconds: float) -> list[str]:
    root.mkdir()
    run = Run(root, seed, seconds)
    asyncio.run(run.go())
    run.report()
    return run.breaches


def _power(root: Path, seed: int, seconds: float) -> list[str]:
    root.mkdir()
    run = Run(root, seed, LOAD_S, is_calm=True)
    asyncio.run(run.go())
    found = survey(run, min(STATES_MAX, int(seconds * STATES_A_SECOND)), starts=STARTS)
    tell(
        f"power lost: {found.states} states opened, {found.confirmed} promises; {found.starts} programs started on one"
    )
    breaches = [*run.breaches, *found.breaches]
    tell(*(f"BROKEN {what}" for what in breaches[:SHOWN_MAX]))
    return breaches


LOAD_S = 6.0
STATES_A_SECOND = 0.4  # of each of the five stores
STATES_MAX = 120
STARTS = 1
SHOWN_MAX = 40

if __name__ == "__main__":
    sys.exit(main())
