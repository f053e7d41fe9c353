"""Keep daemons as systemd would: start them, start them again when they end, and see whether they had reason to.

What they say, how much memory they take and since when nothing disturbs them is noted here for the checks.
"""

from __future__ import annotations

import asyncio
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from random import Random

from tests.chaos.record import moments
from tests.chaos.switches import Switch, Switches
from tests.faulty_vfs import Platter, any_part
from tests.processes.country import Countries, free_port


class Network(Countries):
    """Hubs and nodes whose disks and clocks can be spoiled; who dials a hub comes to its front port."""

    def __init__(self, root: Path, homes: dict[str, str]) -> None:
        names = sorted({home for several in homes.values() for home in several.split()})
        self.fronts = {hub: free_port() for hub in names}
        self.backs = {hub: free_port() for hub in names}
        self.nodes = [code for code in homes if code != "XP"]
        super().__init__(root, homes)
        for code in self.nodes:
            self._open_register(code)

    def places(self, hub: str) -> dict[str, str]:
        return {
            "--endpoint": f"tcp://127.0.0.1:{self.fronts[hub]}",
            "--listen": f"tcp://127.0.0.1:{self.backs[hub]}",
        }

    def command(self, name: str) -> list[str]:
        program = "i247-hub" if name in self.hubs else "i247-node"
        launched = [sys.executable, "-m", "tests.chaos.launch", program, self.switches(name), self.record(name)]
        return [*map(str, launched), "run", "--config", str(self.config(name))]

    def switches(self, name: str) -> Path:
        return self.root / f"{name}.switches"

    def record(self, name: str) -> Path:
        return self.root / f"{name}.record"

    def state(self, name: str) -> Path:
        return self.root / name / "state"

    def store(self, name: str) -> Path:
        return self.state(name) / ("hub.db" if name in self.hubs else "node.db")

    def socket(self, name: str) -> Path:
        return self.state(name) / ("hub.sock" if name in self.hubs else "node.sock")

    def _open_register(self, code: str) -> None:
        config = self.config(code)
        text = config.read_text().replace('# sltd = "registers.db"', 'sltd = "registers.db"')
        config.write_text(text + '\n[policy.registers.sltd]\nopen_to = "all"\n')
        rows = ROOT / "demo/registers/sltd.csv"
        self.run("i247-node", "register", "import", "sltd", rows, "--kind", "documents", "--config", config)


class Daemon:
    """One hub or node, through all its lives."""

    def __init__(self, network: Network, name: str, breaches: list[str]) -> None:
        self.name = name
        self.is_hub = name in network.hubs
        self.switches = Switches(network.switches(name))
        self.lock = asyncio.Lock()
        """Held by what ends or stops it: one such trouble at a time."""
        self.is_wanted = True
        self.is_damaged = False
        self.lives = 0
        self.ends_by_disk = 0
        self.most_kib = 0
        self.least_kib = 0
        self._network = network
        self._breaches = breaches
        self._process: subprocess.Popen[bytes] | None = None
        self._platter = Platter()
        self._disturbances = 0
        self._calm_since = 0.0
        self._ready_at: float | None = None
        self._log_from = 0
        self._fired_before = 0
        self._fired_at: float | None = None
        self._started_at = 0.0

    # --- what others look at ---

    @property
    def is_ready(self) -> bool:
        """Whether it runs and answers at its socket."""
        return self._ready_at is not None

    @property
    def well_since(self) -> float:
        """Since when it runs and nothing disturbs it, by the monotonic clock; infinity while that is not so."""
        if self._ready_at is None or self._disturbances:
            return float("inf")
        return max(self._ready_at, self._calm_since)

    @contextmanager
    def disturbed(self) -> Iterator[None]:
        """Let it count as disturbed."""
        self._disturbances += 1
        try:
            yield
        finally:
            self._disturbances -= 1
            self._calm_since = time.monotonic()

    # --- what keeps it running ---

    async def keep(self) -> None:
        """Start it whenever it is wanted and does not run, and look after it; for ever."""
        while True:
            process = self._process
            if process is None:
                if self.is_wanted:
                    self._start()
            elif process.poll() is not None:
                if self.is_wanted:
                    self._ended(process.returncode)
                    await asyncio.sleep(RESTART_S)
                self._process = None
            elif self.is_wanted:
                self._look(process)
            await asyncio.sleep(LOOK_S)

    def _start(self) -> None:
        self._fold()
        self._log_from = len(self._network.log(self.name))
        self._fired_before, self._fired_at = self.switches[Switch.FIRED], None
        self._started_at = time.monotonic()
        self._network.start(self.name)
        self._process = self._network.running.pop(self.name)
        self.lives += 1

    def _look(self, process: subprocess.Popen[bytes]) -> None:
        now = time.monotonic()
        if self._ready_at is None:
            if answers(self._network.socket(self.name)):
                self._ready_at = now
            elif now - self._started_at > START_S and not self._disturbances:
                self._break(f"did not begin to work within {START_S} s")
                self._started_at = now
        kib = _memory_kib(process.pid)
        if kib and self._ready_at is not None:
            self.most_kib = max(self.most_kib, kib)
            self.least_kib = min(self.least_kib or kib, kib)
        if self.switches[Switch.FIRED] > self._fired_before:
            self._fired_at = self._fired_at or now
            if now - max(self._fired_at, self._calm_since) > END_S and not self._disturbances:
                self._break(f"went on for {END_S} s after its disk had failed")
                self._fired_at = now

    def _ended(self, code: int) -> None:
        """See whether it had reason to end by itself, and said so."""
        self._ready_at = None
        said = self._said()
        has_reason = self.switches[Switch.FIRED] > self._fired_before or self.is_damaged
        if not has_reason or code != 1 or "\nerror: " not in f"\n{said}" or "Traceback" in said:
            self._break(f"ended by itself with {code}: {said[-600:]}")
        self.ends_by_disk += 1
        if self.is_damaged:
            self.replace_disk()

    def _said(self) -> str:
        return self._network.log(self.name)[self._log_from :]

    def _break(self, what: str) -> None:
        self._breaches.append(f"{self.name} {what}")

    # --- what ends it ---

    async def end(self, number: signal.Signals) -> int | None:
        """End it by a signal, and wait; it is not started again until it is wanted."""
        self.is_wanted = False
        self._ready_at = None
        process = self._process
        if process is None:
            return None
        process.send_signal(number)
        code: int | None = None
        try:
            code = await asyncio.to_thread(process.wait, STOP_S)
        except subprocess.TimeoutExpired:
            self._break(f"did not end within {STOP_S} s of {number.name}")
            process.kill()
            process.wait()
        self._process = None
        return code

    def signal(self, number: signal.Signals) -> None:
        """Send a signal that does not end it."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)

    def lose_power(self, luck: Random) -> None:
        """Leave on the disk, while it does not run, what was synced and any part of the rest."""
        self._fold()
        files = self._platter.after_power_loss(any_part(luck))
        for old in self._network.state(self.name).glob(f"{self._network.store(self.name).name}*"):
            old.unlink()
        for path, content in files.items():
            Path(path).write_bytes(content)
        self._platter = Platter(files)

    def replace_disk(self) -> None:
        """Leave nothing on the disk, while it does not run."""
        shutil.rmtree(self._network.state(self.name), ignore_errors=True)
        self._network.record(self.name).unlink(missing_ok=True)
        self._platter = Platter()
        self.is_damaged = False

    def damage(self, how: int, luck: Random) -> None:
        """Spoil a file of the store, while it does not run."""
        self._fold()
        store = self._network.store(self.name)
        files = [path for path in (store, Path(f"{store}-wal")) if path.exists() and path.stat().st_size]
        self.is_damaged = True
        if files:
            spoil(luck.choice(files), how, luck)
        self._platter = Platter({str(path): path.read_bytes() for path in files})

    def _fold(self) -> None:
        record = self._network.record(self.name)
        state = f"{self._network.state(self.name)}/"
        for moment in moments(record):
            if moment.touch.path.startswith(state):
                self._platter.take(moment.touch)
        record.unlink(missing_ok=True)


def spoil(path: Path, how: int, luck: Random) -> None:
    """Cut a file short, or write nonsense or nothing over a part of it."""
    content = bytearray(path.read_bytes())
    at = luck.randrange(len(content))
    match how:
        case 0:
            del content[:]
        case 1:
            del content[at:]
        case 2:
            del content[len(content) - len(content) // 4096 % 7 * 512 - 100 :]
        case 3:
            content[at : at + 4096] = luck.randbytes(len(content[at : at + 4096]))
        case 4:
            content[at : at + 8192] = bytes(len(content[at : at + 8192]))
        case _:
            content[:100] = luck.randbytes(100)
    path.write_bytes(content)


def answers(path: Path) -> bool:
    """Whether a daemon listens at its socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as one:
        one.setblocking(False)
        try:
            one.connect(str(path))
        except OSError:
            return False
        return True


def left_over(root: Path) -> list[str]:
    """Return the processes, by number and command, that have to do with a folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            if f"{root}/" in command:
                found.append(f"{entry.name} {command}")
    return found


def _memory_kib(process: int) -> int:
    with suppress(OSError):
        for line in Path(f"/proc/{process}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1])
    return 0


ROOT = Path(__file__).resolve().parents[2]
LOOK_S = 0.2
RESTART_S = 1.0
START_S = 30.0
STOP_S = 20.0
END_S = 15.0
