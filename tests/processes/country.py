"""Hubs and nodes as processes on loopback, set up as an administrator would: by the programs, in one folder."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

KDF = ("--kdf", "min")
PATIENCE_S = 20.0


class Countries:
    """Hubs, and members with their homes, preferred ones first; what a test starts, `close` ends."""

    def __init__(self, root: Path, homes: dict[str, str]) -> None:
        self.root = root
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        self.hubs = sorted({home for several in homes.values() for home in several.split()})
        for hub in self.hubs:
            places = [word for pair in self.places(hub).items() for word in pair]
            self.run("i247-hub", "init", hub, "--region", "Test", *places, "--dir", root / hub, *KDF)
        for code, several in homes.items():
            dialled = [word for home in several.split() for word in ("--home", home)]
            self.run("i247-node", "init", code, *dialled, "--dir", root / code, *KDF)
        authority = root / "authority"
        self.run("i247-keys", "ceremony", "new", authority, "--keys", "3", "--threshold", "2", *KDF)
        requests = [word for code in homes for word in ("--member", next((root / code).glob("*.request")))]
        requests += [word for hub in self.hubs for word in ("--hub", next((root / hub).glob("*.request")))]
        self.run("i247-keys", "ceremony", "found", authority, *requests)
        for n in (1, 2):
            key, passphrase = authority / f"secretariat-{n}.key", authority / f"secretariat-{n}.passphrase"
            self.run("i247-keys", "ceremony", "sign", authority, "--key", key, "--passphrase-file", passphrase)
        self.run("i247-keys", "ceremony", "publish", authority)
        self.run("i247-keys", "ceremony", "pulse", authority)
        pin = (authority / "pin.txt").read_text().strip()
        for name in (*self.hubs, *homes):
            config = self.config(name)
            config.write_text(config.read_text().replace('pin = ""', f'pin = "{pin}"'))
            shutil.copy(authority / "network.i247", root / name / "network.i247")

    def places(self, hub: str) -> dict[str, str]:
        """Return where a hub is dialled and where it listens, as options of its `init`."""
        return {"--endpoint": f"tcp://127.0.0.1:{free_port()}"}

    def command(self, name: str) -> list[str]:
        """Return what starts a hub or node."""
        return _program("i247-hub" if name in self.hubs else "i247-node", ("run", "--config", self.config(name)))

    def config(self, name: str) -> Path:
        return self.root / name / ("hub.toml" if name in self.hubs else "node.toml")

    def run(self, program: str, *words: str | Path) -> str:
        ended = subprocess.run(_program(program, words), capture_output=True, text=True, timeout=60, check=False)
        assert ended.returncode == 0, (words, ended.stdout, ended.stderr)
        return ended.stdout

    def start(self, name: str) -> None:
        log = (self.root / f"{name}.log").open("ab")
        with log:
            self.running[name] = subprocess.Popen(self.command(name), stdout=log, stderr=log)

    def kill(self, name: str) -> None:
        process = self.running.pop(name)
        process.send_signal(signal.SIGKILL)
        process.wait(PATIENCE_S)

    def log(self, name: str) -> str:
        path = self.root / f"{name}.log"
        return path.read_text() if path.exists() else ""

    def logs(self) -> str:
        return "\n".join(f"--- {name}\n{self.log(name)[-2000:]}" for name in self.running)

    def close(self) -> None:
        for process in self.running.values():
            process.terminate()
        for process in self.running.values():
            try:
                process.wait(PATIENCE_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def until(condition: Callable[[], bool], what: Callable[[], object], seconds: float = PATIENCE_S) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, what()
        time.sleep(0.05)


def _program(program: str, words: Sequence[str | Path]) -> list[str]:
    return [str(Path(sys.executable).with_name(program)), *(str(word) for word in words)]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as one:
        return int(one.getsockname()[1])
