"""Try all targets, some at a time, and tell what was found: `python -m tests.fuzz.run --seconds 60`.

A find is judged again in this process, which is not observed, and is kept in `tests/fuzz/finds`, where pytest replays
it. Ends with 1 when there is one, with 0 and the reason where the fuzzer cannot be had.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from hashlib import blake2b
from importlib.util import find_spec
from pathlib import Path
from typing import Final, NamedTuple

from tests.fuzz.target import Target, judge_cost, judge_memory
from tests.fuzz.targets import all_targets

FINDS: Final = Path(__file__).with_name("finds")


class Report(NamedTuple):
    """What came of one target."""

    name: str
    tried: int
    covered: int
    finds: list[str]
    trouble: str


def main() -> int:
    """Try what was asked for; return the exit code."""
    asked = _asked()
    if find_spec("atheris") is None:
        print("fuzz: skipped: atheris has no wheel for this Python and machine (see pyproject.toml)")
        return 0
    names = asked.target or list(all_targets())
    with ThreadPoolExecutor(asked.jobs) as pool:
        reports = list(pool.map(lambda name: _tried(name, asked.seconds, asked.inputs, asked.corpus), names))
    for one in reports:
        print(f"{one.name:22} {one.tried:>9} inputs {one.covered:>6} edges  {len(one.finds)} finds")
    found = [line for one in reports for line in (*one.finds, *filter(None, [one.trouble]))]
    print("\n".join(found) if found else f"fuzz: {len(reports)} targets, {sum(one.tried for one in reports)} inputs")
    return 1 if found else 0


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    parser.add_argument("--inputs", type=int, default=0, help="so many for each target, from one seed, not SECONDS")
    parser.add_argument("--jobs", type=int, default=2, help="targets at a time")
    parser.add_argument("--target", action="append", choices=list(all_targets()), help="only this one; may be repeated")
    parser.add_argument("--corpus", type=Path, help="a folder that keeps what was of use, for the next run")
    return parser.parse_args()


def _tried(name: str, seconds: int, inputs: int, corpus: Path | None) -> Report:
    with tempfile.TemporaryDirectory(prefix="i247-fuzz-") as scratch:
        folder = Path(scratch) if corpus is None else corpus / name
        folder.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "tests.fuzz.one", name, str(folder), str(seconds), str(inputs)]
        same_order = {**os.environ, "PYTHONHASHSEED": "0"}
        ended = subprocess.run(
            command, capture_output=True, text=True, timeout=seconds * 2 + 120, check=False, env=same_order
        )
        log = ended.stdout + ended.stderr
        artifacts = sorted(folder.glob("find-*"))
        finds = list(_kept(all_targets()[name], artifacts, log))
        for path in artifacts:
            path.unlink()
    tried = _last(r"stat::number_of_executed_units: (\d+)", log)
    silent = ended.returncode != 0 and not artifacts
    trouble = f"{name}: ended with {ended.returncode}\n{log[-2000:]}" if silent else ""
    return Report(name, tried, _last(r"cov: (\d+)", log), finds, trouble)


def _kept(target: Target, artifacts: list[Path], log: str) -> Iterator[str]:
    for path in artifacts:
        data = path.read_bytes()
        fault = _fault_of(target, data)
        if fault is None:
            print(f"{target.name}: nothing is wrong with a find when nobody observes: {path.name}")
            continue
        name = f"{target.name}.{blake2b(data, digest_size=6).hexdigest()}"
        (FINDS / name).write_bytes(data)
        trace = "\n".join(line for line in log.splitlines() if line.startswith(("  File", "    ")))[-1500:]
        yield f"find: {fault}\n{trace}\nrepeat: python -m pytest tests/fuzz -k {name}"


def _fault_of(target: Target, data: bytes) -> str | None:
    try:
        judge_cost(target, data)
        judge_memory(target, data)
    except Exception as fault:  # noqa: BLE001  whatever a reader lets out is what is looked for
        return f"{type(fault).__name__}: {fault}"
    return None


def _last(pattern: str, log: str) -> int:
    found = re.findall(pattern, log)
    return int(found[-1]) if found else 0


if __name__ == "__main__":
    sys.exit(main())
