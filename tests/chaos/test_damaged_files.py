"""What a daemon makes of damaged files: a node says so and ends, where it can be seen; a hub may also begin anew."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import pytest
from tests.chaos.evidence import read_book
from tests.processes.country import Countries, until

from i247_protocol.audit import verify_chain

pytestmark = pytest.mark.slow
LETTERS = 4
NO_SOCKETS = shutil.ignore_patterns("*.sock")


@pytest.fixture(scope="module")
def countries(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Countries]:
    """Kill a hub and a node that have been at work, the node twice as long as its log remembers, and keep copies."""
    made = Countries(tmp_path_factory.mktemp("damaged"), {"FR": "lyon", "SG": "lyon", "XP": "lyon"})
    try:
        start(made, "lyon")
        for life in range(2):
            start(made, "FR")
            for _ in range(LETTERS):
                words = ("SG", "--subject", "x", "--text", "y" * 9_000, "--purpose", "investigation")
                made.run("i247-node", "write", *words, "--config", made.config("FR"))
            if life == 0:
                stop(made, "FR")
        for name in ("lyon", "FR"):
            made.kill(name)
            shutil.copytree(made.root / name / "state", made.root / f"{name}.copy", ignore=NO_SOCKETS)
        yield made
    finally:
        made.close()


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def gone(path: Path) -> None:
    path.unlink()


def cut_in_half(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def other_head(path: Path) -> None:
    """Also what a file is that belongs to another program."""
    path.write_bytes(b"nonsense" * 64 + path.read_bytes()[512:])


def zeros_within(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[4_096:] = bytes(len(content) - 4_096)
    path.write_bytes(content)


def nonsense_within(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[4_096:] = Random(1).randbytes(len(content) - 4_096)
    path.write_bytes(content)


DAMAGES = [emptied, gone, cut_in_half, other_head, zeros_within, nonsense_within]
Damage = Callable[[Path], None]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_node_whose_database_is_damaged_refuses_to_start(countries: Countries, damage: Damage) -> None:
    state = put_back(countries, "FR")
    for path in state.glob("node.db-*"):  # as after an orderly end: what the log holds would mend the database
        path.unlink()
    damage(state / "node.db")
    code, said = run_to_end(countries, "FR")
    assert code == 1, said
    assert "error: " in said, said
    assert "hint: " in said, said
    assert "Traceback" not in said, said


@pytest.mark.parametrize("damage", [emptied, cut_in_half, nonsense_within])
def test_a_damaged_log_takes_no_more_than_what_it_alone_held(countries: Countries, damage: Damage) -> None:
    # Nothing tells a log whose end is damaged from one that was written no further. A disk that keeps its word does
    # not do this; to delete the log of a daemon that was killed has the same effect.
    state = put_back(countries, "FR")
    damage(state / "node.db-wal")
    start(countries, "FR")
    stop(countries, "FR")
    book = read_book(state / "node.db")
    assert LETTERS <= len(book.said) <= 2 * LETTERS
    assert verify_chain(book.audit).n == len(book.audit)


def test_without_damage_all_is_there(countries: Countries) -> None:
    state = put_back(countries, "FR")
    start(countries, "FR")
    stop(countries, "FR")
    assert len(read_book(state / "node.db").said) == 2 * LETTERS


@pytest.mark.parametrize(
    ("file", "damage"), [*(("hub.db", damage) for damage in DAMAGES), ("hub.db-wal", nonsense_within)]
)
def test_a_hub_says_so_or_begins_anew(countries: Countries, file: str, damage: Damage) -> None:
    state = put_back(countries, "lyon")
    damage(state / file)
    code, said = run_to_end(countries, "lyon")
    assert "Traceback" not in said, said
    assert code == 0 or (code == 1 and "error: " in said and "hint: " in said), said


def put_back(countries: Countries, name: str) -> Path:
    """Lay the state that was left by the kill, and return its folder."""
    state = countries.root / name / "state"
    shutil.rmtree(state)
    shutil.copytree(countries.root / f"{name}.copy", state)
    return state


def start(countries: Countries, name: str) -> None:
    (countries.root / f"{name}.log").unlink(missing_ok=True)
    countries.start(name)
    until(lambda: " started " in countries.log(name), lambda: countries.log(name))


def stop(countries: Countries, name: str) -> None:
    process = countries.running.pop(name)
    process.terminate()
    assert process.wait(20) == 0, countries.log(name)


def run_to_end(countries: Countries, name: str) -> tuple[int, str]:
    """Start a daemon; when it works, stop it. Return its exit code and what it said."""
    (countries.root / f"{name}.log").unlink(missing_ok=True)
    countries.start(name)
    process: subprocess.Popen[bytes] = countries.running.pop(name)
    until(lambda: process.poll() is not None or " started " in countries.log(name), lambda: countries.log(name))
    process.terminate()
    return process.wait(20), countries.log(name)
