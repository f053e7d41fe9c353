"""Start what a peer consists of, talk to its ends, read what it has used, and end it by process id."""

from __future__ import annotations

import json
import os
import select
import socket
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from measures import wait_until
from peers.ends import Round


@dataclass(frozen=True, slots=True)
class Place:
    """Where a peer runs: a folder of its own, and the interpreters that have its client."""

    folder: Path
    python: Path
    lxmf_python: Path
    seed: str

    def at(self, name: str) -> Place:
        """Return the same with a folder within."""
        folder = self.folder / name
        folder.mkdir()
        return Place(folder, self.python, self.lxmf_python, self.seed)


class Child:
    """A process that was started here, with all that it starts."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.log = log
        self._process = process

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def lines(self, count: int, seconds: float) -> list[str]:
        """Return the next lines that it prints."""
        return [self._line(seconds) for _ in range(count)]

    def wait(self, seconds: float) -> None:
        """Wait until it has done its work; raise ChildProcessError when that failed."""
        if self._process.wait(seconds):
            self.require_alive()

    def tell(self, line: str) -> None:
        """Write a line to its standard input."""
        if self._process.stdin is None:
            raise TypeError("it was begun with pipes")
        self._process.stdin.write(line.encode() + b"\n")
        self._process.stdin.flush()

    def require_alive(self) -> None:
        """Raise ChildProcessError when it has ended."""
        if self._process.poll() is not None:
            raise ChildProcessError(f"ended with {self._process.returncode}: {self._last_words()}")

    def end(self) -> None:
        """End it and what it started."""
        family = [pid for pid in family_of(self.pid) if pid != self.pid]
        self._process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(END_S)
        self._process.kill()
        self._process.wait()
        for pid in family:
            with suppress(ProcessLookupError):
                os.kill(pid, 9)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()

    def _line(self, seconds: float) -> str:
        if self._process.stdout is None:
            raise TypeError("it was begun with pipes")
        if not select.select([self._process.stdout], [], [], seconds)[0]:
            raise TimeoutError(f"waited for a line: {self._last_words()}")
        line = self._process.stdout.readline().decode()
        if not line:
            raise ChildProcessError(f"ended: {self._last_words()}")
        return line.strip()

    def _last_words(self) -> str:
        return self.log.read_text(errors="replace")[-WORDS_CHARS:].strip()


class Stage(ExitStack):
    """All processes of one peer; they end with the block, the last one first."""

    def __init__(self, place: Place) -> None:
        super().__init__()
        self.place = place
        self.children: dict[str, Child] = {}

    def broker(
        self,
        name: str,
        words: Sequence[str | Path],
        port: int | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> Child:
        """Start a program of others, and wait until it listens at `port`."""
        child = self._start(name, words, environment or {}, talks=False)
        if port is not None:
            self.listening(name, port)
        return child

    def listening(self, name: str, port: int) -> None:
        """Wait until a broker listens; raise ChildProcessError when it has ended instead."""

        def is_up() -> bool:
            self.children[name].require_alive()
            return _is_open(port)

        wait_until(is_up, name, START_S)

    def module(self, name: str, module: str, *words: str, python: Path | None = None) -> Child:
        """Start a module of this benchmark, which can be talked to."""
        return self._start(name, [python or self.place.python, "-m", f"peers.{module}", *words], {}, talks=True)

    def end(self, role: str, wire: str, python: Path | None = None, **settings: str) -> Child:
        """Start one end, and tell it what to do."""
        child = self.module(role, "end", python=python)
        child.tell(json.dumps({"role": role, "wire": wire, "seed": self.place.seed, **settings}))
        return child

    def _start(self, name: str, words: Sequence[str | Path], environment: Mapping[str, str], *, talks: bool) -> Child:
        log = self.place.folder / f"{name}.log"
        with log.open("ab") as said:
            process = subprocess.Popen(
                [str(word) for word in words],
                stdin=subprocess.PIPE if talks else subprocess.DEVNULL,
                stdout=subprocess.PIPE if talks else said,
                stderr=said,
                cwd=self.place.folder,
                env={**os.environ, "PYTHONPATH": PATHS, **environment},
                bufsize=0,
            )
        child = Child(process, log)
        self.callback(child.end)
        self.children[name] = child
        return child

    def __enter__(self) -> Self:
        return self


@dataclass(frozen=True, slots=True)
class Running:
    """A peer that is up: the end that asks, all processes, and which of them keep what."""

    asker: Child
    pids: Mapping[str, int]
    brokers: Sequence[str]

    def round(self, seconds: float, in_flight: int) -> Round:
        """Have the asker ask for one round."""
        self.asker.tell(f"{seconds} {in_flight}")
        (line,) = self.asker.lines(1, seconds + PATIENCE_S)
        return Round(**json.loads(line))

    def cpu_s(self) -> float:
        """Return the processor time of all processes, those that they started included."""
        return sum(cpu_of(pid) for one in self.pids.values() for pid in family_of(one))

    def resident_mib(self) -> dict[str, float]:
        """Return the resident memory of each broker or node, all of its processes together."""
        return {name: sum(resident_of(pid) for pid in family_of(self.pids[name])) for name in self.brokers}


@contextmanager
def both_ends(
    stage: Stage,
    wire: str,
    asker: dict[str, str],
    answerer: dict[str, str],
    brokers: Sequence[str],
    python: Path | None = None,
) -> Iterator[Running]:
    """Start both ends, and wait until a query came back."""
    stage.end("answerer", wire, python, **answerer).lines(1, PATIENCE_S)
    asking = stage.end("asker", wire, python, **asker)
    asking.lines(1, PATIENCE_S)
    yield Running(asking, {name: child.pid for name, child in stage.children.items()}, brokers)


def free_port() -> int:
    """Return a port of loopback that nobody uses."""
    with closing(socket.create_server(("127.0.0.1", 0))) as one:
        return int(one.getsockname()[1])


def _is_open(port: int) -> bool:
    with closing(socket.socket()) as one:
        one.settimeout(1)
        return one.connect_ex(("127.0.0.1", port)) == 0


def family_of(pid: int) -> list[int]:
    """Return a living process and all below it."""
    found, left = [], [pid]
    while left:
        one = left.pop()
        try:
            tasks = list(Path(f"/proc/{one}/task").iterdir())
            left += [int(child) for task in tasks for child in (task / "children").read_text().split()]
        except FileNotFoundError:
            continue
        found.append(one)
    return found


def cpu_of(pid: int) -> float:
    """Return the processor time of a process, ended threads included; 0 when it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return (int(fields[11]) + int(fields[12])) / TICKS


def resident_of(pid: int) -> float:
    """Return the resident memory of a process in MiB; 0 when it is gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS:")), 0.0)


ROOT: Final = Path(__file__).resolve().parents[2]
PATHS: Final = os.pathsep.join(str(ROOT / name) for name in ("benchmarks", "protocol", "edges", "keys"))
TICKS: Final = os.sysconf("SC_CLK_TCK")
PATIENCE_S: Final = 60.0
START_S: Final = 90.0
END_S: Final = 10.0
WORDS_CHARS: Final = 800
