"""Seeds on a Dask cluster of this machine: two workers, the same bytes as without it."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from i247_simulations.cli import run_command
from i247_simulations.cluster import HAS_CLUSTER

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not HAS_CLUSTER, reason="Dask is not installed: pip install 'i247[cluster]'"),
]
START_S_MAX = 60


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[str]:
    """Start a scheduler and two workers as a user does, at 127.0.0.1 alone."""
    told = tmp_path / "scheduler.json"
    place = ["--host", "127.0.0.1", "--no-dashboard", "--scheduler-file", str(told)]
    scheduler = ["-m", "distributed.cli.dask_scheduler", "--port", "0", *place]
    worker = ["-m", "distributed.cli.dask_worker", "--nthreads", "1", "--no-nanny", *place]
    with ExitStack() as running:
        for name, arguments in (("scheduler", scheduler), ("1", worker), ("2", worker)):
            out = running.enter_context((tmp_path / f"{name}.log").open("wb"))
            process = subprocess.Popen([sys.executable, *arguments], stdout=out, stderr=out, cwd=tmp_path)
            running.callback(process.wait, 20)
            running.callback(process.terminate)
            wait_for(told.exists)
        for name in ("1", "2"):
            log = tmp_path / f"{name}.log"
            wait_for(lambda log=log: "Registered to:" in log.read_text(encoding="utf-8"))  # type: ignore[misc]
        yield json.loads(told.read_text(encoding="utf-8"))["address"]


def wait_for(is_so: Callable[[], bool]) -> None:
    ends = time.monotonic() + START_S_MAX
    while not is_so():
        assert time.monotonic() < ends, "the cluster did not start; see its logs"
        time.sleep(0.1)


def sim(*words: str) -> subprocess.CompletedProcess[str]:
    program = str(Path(sys.executable).with_name("i247-sim"))
    return subprocess.run([program, *words], capture_output=True, text=True, check=False, timeout=110)


@pytest.mark.timeout(300)
def test_a_swarm_and_a_sweep_on_a_cluster(cluster: str, tmp_path: Path) -> None:
    swarm = ["swarm", "--seeds", "1..2", "--until", "10s", "--json"]
    there = sim(*swarm, str(tmp_path / "there"), "--dask", cluster)
    assert there.returncode == 0, there.stderr
    assert run_command([*swarm, str(tmp_path / "here")]) == 0
    assert (tmp_path / "there").read_bytes() == (tmp_path / "here").read_bytes()
    sweep = ["sweep", "tiny-4", "--set", "commit_us=1000,2000", "--repeats", "1", "--until", "10s", "--dask", cluster]
    swept = sim(*sweep)
    assert swept.returncode == 0, swept.stderr
    assert "seed by seed" in swept.stdout


def test_a_cluster_that_is_not_there() -> None:
    found = sim("swarm", "--seeds", "1..2", "--dask", "127.0.0.1:1")
    assert found.returncode == 2
    assert "reaching a Dask scheduler" in found.stderr
