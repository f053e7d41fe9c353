"""Run the demonstration as a newcomer does: it tells its story, and leaves nothing behind unless it was asked to."""

from __future__ import annotations

import os
import re
import resource
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

ROOT = Path(__file__).resolve().parents[1]
DEMO = [sys.executable, str(ROOT / "demo" / "demo.py")]
PATIENCE_S = 150
STORY = [
    "The Secretariat founds the directory",
    "charter: 2 signed, enough",
    "This is all that is configured in France, and then in Singapore:",
    "HIT in register sltd of SG",
    "hit: SLTD-2024-000001, stolen",
    "confirm with XP before any action",
    "Signed receipt:",
    "no hit in register sltd of SG",
    "refused: nothing was looked up in register watchlist of SG",
    "refused, because of its policy",
    "Brazil is switched off",
    "publishes an orange notice to all",
    "in-custody of lyon",
    "Brazil is switched on",
    "has received the notice",
    "has Brazil's receipt as well",
    "What the hubs could see, and what not",
    "nothing found",
    "The end, after",
]


@pytest.fixture
def room() -> Iterator[Path]:
    """Give a folder for temporary files; its path is short, since sockets are made in it."""
    with tempfile.TemporaryDirectory(prefix="i247-") as folder:
        yield Path(folder)


def test_it_tells_the_story_and_leaves_nothing(room: Path) -> None:
    ended = run_demo(room)
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr == ""
    require_story(ended.stdout)
    assert list(room.iterdir()) == []
    assert processes_in(room) == {}


def test_it_stays_up_when_asked_and_a_program_can_talk_to_it(room: Path) -> None:
    ended = run_demo(room, "--keep")
    assert ended.returncode == 0, ended.stderr
    (folder,) = room.iterdir()
    try:
        assert len(processes_in(room)) == 6
        assert str(folder / "stop") in ended.stdout
        example: list[str | Path] = [sys.executable, ROOT / "demo" / "embed_example.py"]
        example.append(folder / "FR" / "state" / "node.sock")
        told = subprocess.run(example, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
        assert (told.returncode, told.stdout.split()[0]) == (0, "hit"), told
        assert "confirm with XP" in told.stdout
    finally:
        stopped = subprocess.run([folder / "stop"], capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert stopped.stdout == f"stopped, and removed {folder}\n"
    assert list(room.iterdir()) == []
    assert processes_in(room) == {}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_leaves_nothing_when_interrupted(room: Path, number: signal.Signals) -> None:
    with subprocess.Popen(
        DEMO,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=within(room),
        preexec_fn=hear_interrupts,  # noqa: PLW1509  it runs one call, and no thread is here
    ) as demo:
        assert demo.stdout is not None
        assert any("fills a register" in line for line in demo.stdout)  # so daemons have been started
        assert processes_in(room).keys() > {demo.pid}
        demo.send_signal(number)
        _, said = demo.communicate(timeout=PATIENCE_S)
    assert demo.returncode == 130
    assert said.strip().splitlines()[0] == "error: interrupted"
    assert list(room.iterdir()) == []
    assert processes_in(room) == {}


def test_a_failure_is_told_and_leaves_nothing_running(room: Path) -> None:
    # No file can grow beyond this, as on a full disk: a database does not fit.
    limit = (32 * 1024, 32 * 1024)
    ended = run_demo(room, before=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limit))
    assert ended.returncode == 1
    assert "--- the end of " in ended.stderr
    assert re.search(r"^error: .* ended ", ended.stderr, re.MULTILINE)
    last = ended.stderr.splitlines()[-1]
    assert last.startswith("hint: ")
    assert str(next(room.iterdir())) in last
    assert processes_in(room) == {}


def test_the_readme_quotes_the_example() -> None:
    readme = (ROOT / "README.md").read_text()
    example = (ROOT / "demo" / "embed_example.py").read_text()
    assert example.partition('"""\n\n')[2] in readme


def run_demo(room: Path, *words: str, before: Callable[[], object] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*DEMO, *words],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        env=within(room),
        preexec_fn=before,
        check=False,
    )


def hear_interrupts() -> None:
    """Let Ctrl-C do what it does at a terminal: a shell lets what it starts in the background ignore it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def within(room: Path) -> dict[str, str]:
    return {**os.environ, "TMPDIR": str(room)}


def require_story(told: str) -> None:
    """Find the words of the story in their order, wherever lines are broken, and no line that is too wide."""
    assert [line for line in told.splitlines() if len(line) > 100 or "\x1b" in line] == []
    text = " ".join(told.replace("|", " ").split())
    place = 0
    for words in STORY:
        place = text.find(words, place)
        assert place >= 0, f"`{words}` is missing, or comes too early, in:\n{told}"


def processes_in(room: Path) -> dict[int, str]:
    """Return the processes that work on a folder."""
    found = {}
    for path in Path("/proc").glob("[0-9]*"):
        try:
            words, surroundings = (path / "cmdline").read_bytes(), (path / "environ").read_bytes()
        except OSError:
            continue  # it has ended, or is not ours
        if os.fsencode(room) in words + surroundings:
            found[int(path.name)] = words.replace(b"\0", b" ").decode()
    return found
