"""One seed is one history, every promise holds in it, and a planted bug breaks one of them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest


def run(folder: Path, *words: str, **environment: str) -> tuple[int, str]:
    ended = subprocess.run(
        [str(Path(sys.executable).with_name("i247-sim")), *words],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env={**os.environ, **environment},
        timeout=110,
    )
    return ended.returncode, ended.stdout + ended.stderr


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_every_promise_holds(seed: int, tmp_path: Path) -> None:
    code, output = run(tmp_path, "run", "tiny-4", "--seed", str(seed), "--faults", "swarm")
    assert code == 0, output


def test_one_seed_is_one_history_in_any_process(tmp_path: Path) -> None:
    """The trace is the same whatever the hash seed of the process."""
    traces = set()
    for hash_seed in ("1", "2"):
        code, output = run(tmp_path, "run", "tiny-4", "--seed", "7", "--faults", "harsh", PYTHONHASHSEED=hash_seed)
        assert code == 0, output
        traces.add(output.partition("trace ")[2].split()[0])
    assert len(traces) == 1
    assert len(traces.pop()) == 32


@pytest.mark.parametrize(
    ("bug", "promise"),
    [("no-replay-table", "P4"), ("ignore-expiry", "P8"), ("audit-gap", "P11"), ("save-nothing", "P3")],
)
def test_a_planted_bug_is_caught(bug: str, promise: str, tmp_path: Path) -> None:
    code, output = run(tmp_path, "swarm", "--seeds", "1..3", "--plant", bug)
    assert code == 1, output
    assert f"broken: {promise}" in output
