"""Run the project's programs as their users do: by name, with words, each in a process of its own.

Decides: where the programs are, how a failure of one is told, and that no daemon outlives the demonstration unless
that is wanted. Daemons are ended by their process ids alone. Knows nothing of the story.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Container
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final


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
        self._commands: list[subprocess.Popen[str]] = []
        # No signal interrupts this thread, so whatever it has begun is in the list.
        self._starter = ThreadPoolExecutor(1)

    @property
    def daemons(self) -> tuple[Daemon, ...]:
        """Those that run."""
        return tuple(one for one in self._daemons if one.is_running)

    def run(self, *words: str | Path, text: str = "", codes: Container[int] = (0,)) -> str:
        """Run one to its end with `text` as its input, and return what it printed; raise DemoFailed when it fails."""
        typed = [str(word) for word in words]
        command = self._starter.submit(self._begin, typed).result()
        output, complaint = command.communicate(text, COMMAND_S)
        self._commands.remove(command)
        if command.returncode not in codes:
            said = complaint.strip() or output.strip() or "it said nothing"
            error = f"`{' '.join(typed)}` ended with {command.returncode}:\n{said}"
            raise DemoFailed(error, HINT_RUN, self.log_files())
        return output

    def run_together(self, *commands: tuple[str | Path, ...]) -> None:
        """Run several at once, each to its end."""
        with ThreadPoolExecutor(len(commands)) as pool:
            list(pool.map(lambda words: self.run(*words), commands))

    def start(self, name: str, *words: str | Path) -> Daemon:
        """Start a daemon, whose log goes to `logs/<name>.log`."""
        return self._starter.submit(self._start, name, [str(word) for word in words]).result()

    def wait_until(self, what: str, condition: Callable[[], bool], *needed: Daemon) -> None:
        """Wait until `condition` is met; raise DemoFailed when that takes too long, or a daemon it needs ends."""
        end = time.monotonic() + PATIENCE_S
        while not condition():
            for daemon in needed:
                if not daemon.is_running:
                    raise DemoFailed(f"{daemon.name} ended while we waited {what}", HINT_LOG, (daemon.log,))
            if time.monotonic() > end:
                raise DemoFailed(f"waited {PATIENCE_S:.0f} s {what}", HINT_LOG, tuple(one.log for one in needed))
            time.sleep(PAUSE_S)  # between two looks; what is waited for is another program's work

    def stop(self, *daemons: Daemon) -> None:
        """End daemons; those that do not end when asked are killed."""
        for daemon in daemons:
            if daemon.is_running:
                daemon.process.terminate()
        end = time.monotonic() + STOP_S
        for daemon in daemons:
            try:
                daemon.process.wait(max(0.0, end - time.monotonic()))
            except subprocess.TimeoutExpired:
                daemon.process.kill()
                daemon.process.wait()

    def log_files(self) -> tuple[Path, ...]:
        """Return the logs of all daemons that were ever started."""
        return tuple(sorted(self.logs.glob("*.log")))

    def stop_all(self) -> None:
        """End whatever was started; nothing can be started any more."""
        self._starter.shutdown()
        for command in self._commands:
            command.kill()
            command.wait()
        self.stop(*self.daemons)

    def _begin(self, words: list[str]) -> subprocess.Popen[str]:
        command = subprocess.Popen(
            [program(words[0]), *words[1:]],
            cwd=self.folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._commands.append(command)
        return command

    def _start(self, name: str, words: list[str]) -> Daemon:
        log = self.logs / f"{name}.log"
        with log.open("ab") as lines:
            process = subprocess.Popen(
                [program(words[0]), *words[1:]],
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=lines,
                stderr=lines,
                start_new_session=True,  # Ctrl-C is for the demonstration, which then ends its daemons itself
            )
        daemon = Daemon(name, process, log)
        self._daemons.append(daemon)
        return daemon


def program(name: str) -> str:
    """Return where a program of the project is, which is beside the interpreter that runs this."""
    path = Path(sys.executable).parent / name
    if not path.exists():
        raise DemoFailed(f"there is no {name} beside {sys.executable}", "run it by `make demo`")
    return str(path)


def end_process(pid: int, folder: Path) -> None:
    """End a process that an earlier demonstration left running, if it still is the one that works on `folder`."""
    end = time.monotonic() + STOP_S
    number = signal.SIGTERM
    while _is_of(pid, folder):
        os.kill(pid, number)
        if time.monotonic() > end:
            number = signal.SIGKILL
        time.sleep(PAUSE_S)  # not our child, so it cannot be waited for


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
HINT_RUN: Final = "the folder is left as it is: run the same words there to see more"
HINT_LOG: Final = "the end of its log is above; the folder is left as it is"
