"""What every store promises of its disk, whichever write, sync or process dies: what was confirmed is there, whole."""

from __future__ import annotations

import contextlib
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest
from tests.faulty_vfs import (
    BROKEN_SYNC,
    BROKEN_WRITE,
    FULL,
    TORN_WRITE,
    Fault,
    FaultyVfs,
    disk_after_power_loss,
    faulty_vfs,
    write_disk,
)
from tests.store_cases import CASES, Case, Store, save

from i247_protocol.errors import WorldFault

CHECKPOINT_PAGES = 12  # so few that each workload goes through several checkpoints
each_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


class Run:
    """One workload on one file system, stopped by the first fault; closed and opened again in the middle."""

    def __init__(self, case: Case, path: Path, vfs: FaultyVfs) -> None:
        self.case = case
        self.path = path
        self.vfs = vfs
        self.confirmed = 0
        self.touches_when_confirmed: list[int] = []
        self.fault: WorldFault | None = None
        with contextlib.suppress(WorldFault):
            self._go(case.turns[: len(case.turns) // 2])
            self._go(case.turns[len(case.turns) // 2 :])

    def _go(self, turns: tuple[tuple[object, ...], ...]) -> None:
        store = None
        try:
            store = self.case.open(str(self.path), vfs=self.vfs.name, checkpoint_pages=CHECKPOINT_PAGES)
            for turn in turns:
                save(store, turn)
                self.confirmed += 1
                self.touches_when_confirmed.append(len(self.vfs.touches))
        except WorldFault as fault:
            self.fault = fault
            if store is not None:
                self._must_be_over(store)
            raise
        finally:
            if store is not None:
                store.close()

    def _must_be_over(self, store: Store) -> None:
        assert store.failed
        before = len(self.vfs.touches)
        with pytest.raises(WorldFault):
            store.commit()
        with pytest.raises(WorldFault):
            save(store, self.case.turns[0])
        with pytest.raises(WorldFault):
            self.case.dump(store)
        store.close()
        assert len(self.vfs.touches) == before, "a store that has failed touched its disk again"

    def confirmed_after(self, touches: int) -> int:
        """Return how many turns had been confirmed when so many touches were done."""
        return sum(count <= touches for count in self.touches_when_confirmed)


def reopened(case: Case, path: Path) -> object:
    store = case.open(str(path))
    try:
        return case.dump(store)
    finally:
        store.close()


@each_case
def test_a_healthy_disk_keeps_everything(case: Case, tmp_path: Path) -> None:
    with faulty_vfs() as vfs:
        run = Run(case, tmp_path / "store.db", vfs)
    assert run.fault is None
    assert {touch.kind for touch in vfs.touches} >= {"write", "sync", "truncate"}
    assert reopened(case, run.path) == case.expected()[-1]


@each_case
@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "first", "step"),
    [(BROKEN_SYNC, 0, 1), *((BROKEN_WRITE, first, 6) for first in range(6)), (FULL, 1, 9), (TORN_WRITE, 2, 7)],
    ids=lambda value: value.name if isinstance(value, Fault) else str(value),
)
def test_any_one_touch_may_fail(case: Case, fault: Fault, first: int, step: int, tmp_path: Path) -> None:
    expected = case.expected()
    number, stopped = first, 0
    while True:
        path = tmp_path / f"{number}.db"
        with faulty_vfs(fault, number) as vfs:
            run = Run(case, path, vfs)
        if vfs.failed_at is None:
            break
        found = reopened(case, path)
        told = f"{fault.name} number {number}: {run.confirmed} turns were confirmed"
        # The turn that failed may have reached the disk as a whole.
        assert found in expected[run.confirmed : run.confirmed + 2], told
        if run.fault is None:
            # Only a checkpoint while closing may fail unheard: nothing is confirmed by it.
            assert run.confirmed == len(case.turns), told
        stopped += run.fault is not None
        number += step
    assert stopped > 10, "the faults did not reach the store"


@each_case
@pytest.mark.parametrize("seed", [None, 1], ids=["only what was synced", "any part of the rest"])
def test_power_may_fail_after_any_touch(case: Case, seed: int | None, tmp_path: Path) -> None:
    expected = case.expected()
    with faulty_vfs() as vfs:
        run = Run(case, tmp_path / "store.db", vfs)
    luck = None if seed is None else Random(seed)
    for cut in range(len(vfs.touches) + 1):
        # Without luck, the disk changes by what is synced alone.
        if cut % 5 if luck else cut and vfs.touches[cut - 1].kind in ("write", "truncate"):
            continue
        folder = tmp_path / "after"
        write_disk(disk_after_power_loss(vfs.touches[:cut], luck), folder)
        confirmed = run.confirmed_after(cut)
        found = reopened(case, folder / "store.db")
        shutil.rmtree(folder)
        assert found in expected[confirmed : confirmed + 2], f"power fails after touch {cut}"


@each_case
def test_what_is_seen_after_a_failed_sync_survives_a_power_loss(case: Case, tmp_path: Path) -> None:
    # The next start reads from the kernel's memory what never reached the disk, and must not build on it as it is.
    number = 0
    while True:
        path = tmp_path / f"{number}.db"
        with faulty_vfs(BROKEN_SYNC, number) as vfs:
            Run(case, path, vfs)
        if vfs.failed_at is None:
            break
        with faulty_vfs() as healthy:
            store = case.open(str(path), vfs=healthy.name)
            found = case.dump(store)
            write_disk(disk_after_power_loss(vfs.touches + healthy.touches, None), tmp_path / f"after {number}")
            store.close()
        assert reopened(case, tmp_path / f"after {number}" / path.name) == found, f"sync number {number}"
        number += 1
    assert number > 10


@each_case
def test_a_turn_that_was_not_committed_leaves_nothing(case: Case, tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    expected = case.expected()
    for number, turn in enumerate(case.turns):
        store = case.open(str(path))
        for record in turn:
            store.persist(record)
        assert case.dump(store) == expected[number + 1], "reads do not see the open turn"
        store.close()
        store = case.open(str(path))
        assert case.dump(store) == expected[number]
        save(store, turn)
        store.close()


@pytest.mark.slow
@each_case
@pytest.mark.parametrize("lines", [1, 9, 99])
def test_a_killed_process_has_kept_what_it_confirmed(case: Case, lines: int, tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    command = [sys.executable, "-c", _UNTIL_KILLED, case.name, str(path)]
    root = Path(__file__).parents[1]
    confirmed = 0
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root, env=_environment(root)) as process:
        assert process.stdout is not None
        for _ in range(min(lines, len(case.turns))):
            confirmed = int(process.stdout.readline())
        process.send_signal(signal.SIGKILL)
        # What was printed before the signal came counts as well.
        confirmed = max([confirmed, *(int(line) for line in process.stdout.read().splitlines() if line)])
    assert confirmed
    found = reopened(case, path)
    assert found in case.expected()[confirmed : confirmed + 2]


def _environment(root: Path) -> dict[str, str]:
    return {"PYTHONPATH": ":".join(str(entry) for entry in [root, *sys.path] if entry)}


_UNTIL_KILLED = """
import sys, time
from tests.store_cases import CASES, save
case = next(case for case in CASES if case.name == sys.argv[1])
store = case.open(sys.argv[2], checkpoint_pages=12)
for number, turn in enumerate(case.turns, 1):
    save(store, turn)
    print(number, flush=True)
time.sleep(60)
"""
