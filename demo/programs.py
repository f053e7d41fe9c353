"""Run the project's programs as their users do: by name, with words, each in a process of its own.

Decides: where the programs are, how a failure of one is told, and that no daemon outlives the demonstration unless
that is wanted. Daemons are ended by their process ids alone. Knows nothing of the story.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final


class DemoFailed(Exception):
    """The demonstration cannot go on; `logs` may tell why."""

    def __init__(self, error: str, hint: str, logs: tuple[Path, ...] = ()) -> None:
        super().__init__(error)
        self.error = error
        self.hint = hint
        self.logs = logs


@dataclass(frozen=True, slots=True)
class Daemon:
    """A program that runs until it is stopped."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def is_running(self) -> bool:
        """Whether it has not ended."""
        return self.process.poll() is None


class Programs:
    """The programs at work in one folder: `run` waits for the end of one, `start` leaves a daemon running."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.logs = folder / "logs"
        self.logs.mkdir()
        self._daemons: list[Daemon] = []

    @property
    def daemons(self) -> tuple[Daemon, ...]:
        """Those that run."""
        return tuple(one for one in self._daemons if one.is_running)

    def run(self, *words: str | Path) -> str:
        """Run one to its end, and return what it printed; raise DemoFailed when it fails."""
        typed = [str(word) for word in words]
        ended = subprocess.run(
            [program(typed[0]), *typed[1:]],
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=COMMAND_S,
            check=False,
        )
        if ended.returncode:
            said = ended.stderr.strip() or ended.stdout.strip() or "it said nothing"
            raise DemoFailed(f"`{' '.join(typed)}` ended with {ended.returncode}:\n{said}", HINT_RUN, self._all_logs())
        return ended.stdout

    def ask(self, *words: str | Path) -> Any:  # noqa: ANN401  whatever the program says in JSON
        """Run one with --json, and return what it said."""
        return json.loads(self.run(*words, "--json"))

    def run_together(self, *commands: tuple[str | Path, ...]) -> list[str]:
        """Run several at once, and return what each printed."""
        with ThreadPoolExecutor(len(commands)) as pool:
            return list(pool.map(lambda words: self.run(*words), commands))

    def start(self, name: str, *words: str | Path) -> Daemon:
        """Start a daemon, whose log goes to `logs/<name>.log`."""
        typed = [str(word) for word in words]
        log = self.logs / f"{name}.log"
        with log.open("ab") as lines:
            process = subprocess.Popen(
                [program(typed[0]), *typed[1:]],
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=lines,
                stderr=lines,
                # Ctrl-C is for the demonstration, which then ends its daemons itself.
                start_new_session=True,
            )
        daemon = Daemon(name, process, log)
        self._daemons.append(daemon)
        return daemon

    def wait_until(self, what: str, condition: Callable[[], bool], *needed: Daemon) -> None:
        """Wait until `condition` is met; raise DemoFailed when that takes too long, or a daemon it needs ends."""
        end = time.monotonic() + PATIENCE_S
        while not condition():
            for daemon in needed:
                if not daemon.is_running:
                    raise DemoFailed(f"{daemon.name} ended while we waited {what}", HINT_LOG, (daemon.log,))
            if time.monotonic() > end:
                raise DemoFailed(f"waited {PATIENCE_S:.0f} s {what}", HINT_LOG, tuple(one.log for one in needed))
            time.sleep(PAUSE_S)

    def stop(self, *daemons: Daemon) -> None:
        """End daemons, or all; those that do not end when asked are killed."""
        chosen = daemons or self.daemons
        for daemon in chosen:
            if daemon.is_running:
                daemon.process.terminate()
        end = time.monotonic() + STOP_S
        for daemon in chosen:
            try:
                daemon.process.wait(max(0.0, end - time.monotonic()))
            except subprocess.TimeoutExpired:
                daemon.process.kill()
                daemon.process.wait()

    def _all_logs(self) -> tuple[Path, ...]:
        return tuple(sorted(self.logs.glob("*.log")))


def program(name: str) -> str:
    """Return where a program of the project is, which is beside the interpreter that runs this."""
    path = Path(sys.executable).parent / name
    if not path.exists():
        raise DemoFailed(f"there is no {name} beside {sys.executable}", "run `make setup`, then `make demo`")
    return str(path)


def end_process(pid: int, folder: Path) -> None:
    """End a process that an earlier demonstration left running, if it still is the one that works on `folder`."""
    if not _is_of(pid, folder):
        return
    os.kill(pid, signal.SIGTERM)
    end = time.monotonic() + STOP_S
    while _is_of(pid, folder):
        if time.monotonic() > end:
            os.kill(pid, signal.SIGKILL)
            return
        time.sleep(PAUSE_S)


def _is_of(pid: int, folder: Path) -> bool:
    # Numbers are given out again: what has another command line is somebody else's.
    if Path("/proc/self/cmdline").exists():
        try:
            return os.fsencode(folder) in Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            return False
    told = subprocess.run(["ps", "-ww", "-o", "args=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return str(folder) in told.stdout


COMMAND_S: Final = 60.0
PATIENCE_S: Final = 30.0
PAUSE_S: Final = 0.05
STOP_S: Final = 8.0
HINT_RUN: Final = "run the same words by hand in the folder to see more"
HINT_LOG: Final = "its log says why"
