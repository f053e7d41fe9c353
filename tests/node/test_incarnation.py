"""Notice a database that was put back, by the mark beside it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from i247_node.incarnation import KEEP_MS, Incarnation, IncarnationKeeper, find_incarnation
from i247_node.store import NodeStore
from i247_node.trail import Trail
from i247_protocol.errors import WorldFault
from i247_protocol.names import MonoMs, Now, WallMs

WALL = WallMs(1_800_000_000_000)


class Folder:
    """A state folder, in which a node lives, dies and is restored."""

    def __init__(self, root: Path) -> None:
        self.store = root / "node.db"
        self.mark = root / "incarnation"
        self.copies = root / "copies"
        self.copies.mkdir()

    def live(self, acts: int, *, dies: bool = False) -> Incarnation:
        """Start, do so much, and stop, or die before the mark is written."""
        with closing(NodeStore(str(self.store))) as store:
            found = find_incarnation(self.mark, store, WALL)
            keeper = IncarnationKeeper(self.mark, store, found.number)
            keeper.keep(MonoMs(0))
            trail = Trail(store.audit_end())
            for n in range(acts):
                store.persist(trail.of("sent", "SG", bytes(32), bytes(16), str(n), now=Now(MonoMs(n), WALL)).record)
                store.commit()
            if not dies:
                keeper.keep_now()
            return found

    def copy(self, *paths: Path) -> None:
        for path in paths:
            shutil.copy(path, self.copies / path.name)

    def put_back(self, *paths: Path) -> None:
        for path in paths:
            for old in path.parent.glob(f"{path.name}*"):
                old.unlink()
            shutil.copy(self.copies / path.name, path)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def test_the_first_life_is_a_new_one(folder: Folder) -> None:
    assert folder.live(3) == Incarnation(WALL // 1000, is_renewed=True)


@pytest.mark.parametrize("dies", [False, True])
@pytest.mark.parametrize("acts", [0, 1, 5])
def test_a_restart_goes_on(folder: Folder, acts: int, dies: bool) -> None:
    first = folder.live(acts, dies=dies)
    for _ in range(3):
        assert folder.live(acts, dies=dies) == Incarnation(first.number, is_renewed=False)


def restore_older(folder: Folder) -> None:
    folder.copy(folder.store)
    folder.live(1)
    folder.put_back(folder.store)


def lose_mark(folder: Folder) -> None:
    folder.mark.unlink()


def damage_mark(folder: Folder) -> None:
    folder.mark.write_bytes(b'{"incarnation":1')


def other_history(folder: Folder) -> None:
    """Another life led from the same copy: as long, and yet not the same."""
    folder.copy(folder.store, folder.mark)
    folder.live(2)
    folder.copies.joinpath("later").mkdir()
    shutil.copy(folder.mark, folder.copies / "later" / "incarnation")
    folder.put_back(folder.store, folder.mark)
    with closing(NodeStore(str(folder.store))) as store:
        trail = Trail(store.audit_end())
        for _ in range(2):
            store.persist(trail.of("received", "BR", bytes(32), bytes(16), "x", now=Now(MonoMs(0), WALL)).record)
        store.commit()
    shutil.copy(folder.copies / "later" / "incarnation", folder.mark)


@pytest.mark.parametrize("change", [restore_older, lose_mark, damage_mark, other_history])
def test_what_is_not_the_same_database_begins_a_new_life(folder: Folder, change: Callable[[Folder], None]) -> None:
    first = folder.live(4)
    change(folder)
    second = folder.live(2)
    assert second.is_renewed
    assert second.number >= first.number
    assert folder.live(1) == Incarnation(second.number, is_renewed=False)


def lose_store(folder: Folder) -> None:
    for path in folder.store.parent.glob("node.db*"):
        path.unlink()


def empty_store(folder: Folder) -> None:
    folder.store.write_bytes(b"")


@pytest.mark.parametrize("change", [lose_store, empty_store])
def test_a_loss_is_told_until_somebody_says_that_it_shall_begin_anew(
    folder: Folder, change: Callable[[Folder], None]
) -> None:
    first = folder.live(4)
    change(folder)
    for _ in range(2):
        with pytest.raises(WorldFault, match="it is empty"):
            folder.live(0)
    lose_mark(folder)
    second = folder.live(2)
    assert second.is_renewed
    assert second.number >= first.number


def test_a_node_that_never_did_anything_may_start_again_with_nothing(folder: Folder) -> None:
    first = folder.live(0)
    lose_store(folder)
    assert folder.live(0) == Incarnation(first.number, is_renewed=False)


def test_a_new_life_has_a_number_of_its_own_even_within_a_second(folder: Folder) -> None:
    first = folder.live(4)
    restore_older(folder)
    assert folder.live(0).number == first.number + 1


def test_a_new_life_that_died_before_its_first_commit_is_new_again(folder: Folder) -> None:
    """Its epoch secrets were to be dropped by that commit; a start that took them for good would keep a copy's."""
    folder.live(3)
    folder.copy(folder.store)
    folder.live(2)
    folder.put_back(folder.store)
    for _ in range(2):
        with closing(NodeStore(str(folder.store))) as store:
            assert find_incarnation(folder.mark, store, WALL).is_renewed
    assert folder.live(1).is_renewed
    assert not folder.live(1).is_renewed


def test_the_mark_moves_now_and_then(folder: Folder) -> None:
    with closing(NodeStore(str(folder.store))) as store:
        keeper = IncarnationKeeper(folder.mark, store, 1)
        keeper.keep(MonoMs(0))
        written = folder.mark.read_bytes()
        store.persist(Trail(None).of("sent", "SG", bytes(32), bytes(16), "", now=Now(MonoMs(0), WALL)).record)
        store.commit()
        keeper.keep(MonoMs(KEEP_MS - 1))
        assert folder.mark.read_bytes() == written
        keeper.keep(MonoMs(KEEP_MS))
        assert folder.mark.read_bytes() != written


def test_a_mark_that_cannot_be_written_is_the_worlds_fault(folder: Folder) -> None:
    with closing(NodeStore(str(folder.store))) as store:
        keeper = IncarnationKeeper(folder.store / "no folder" / "incarnation", store, 1)
        with pytest.raises(WorldFault, match="keeping"):
            keeper.keep_now()
