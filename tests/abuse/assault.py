"""Attack a real hub while two members use it, and say what it cost: their round trips, its memory, its counters."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from statistics import quantiles
from typing import Final

from tests.hub.network import PASSPHRASE, Daemon, Network
from tests.hub.test_hub_daemon import custody_of

from i247_keys import key_folder
from i247_protocol.frames import Credit, Custody, Put
from i247_protocol.names import MemberCode


@dataclass(frozen=True)
class Cost:
    """What one attack did. Times are milliseconds, memory is KiB."""

    attack: str
    before_ms: list[float]
    during_ms: list[float]
    resident_before: int
    resident_peak: int
    cpu_s: float
    counted: Counter[str]
    did: Counter[str]

    @property
    def ratio(self) -> float:
        return p99(self.during_ms) / p99(self.before_ms)

    @property
    def grown_mib(self) -> float:
        return (self.resident_peak - self.resident_before) / 1024

    def line(self) -> str:
        did = ", ".join(f"{what} {count}" for what, count in self.did.items())
        return (
            f"{self.attack:18} p99 {p99(self.before_ms):7.1f} -> {p99(self.during_ms):7.1f} ms  x{self.ratio:5.2f}"
            f"  of {len(self.during_ms):4}  hub +{self.grown_mib:5.1f} MiB {self.cpu_s:4.1f} s CPU  {did}"
        )


class Scene:
    """A hub as a process, and members AA and BB that write to each other; XP's link key is the attacker's."""

    def __init__(self, root: Path, *, is_suspended: bool = False) -> None:
        self._network = Network(root, "lyon")
        self._hub = self._network.hubs["lyon"]
        if is_suspended:
            self._network.next_roster(suspend=(MemberCode("XP"),))
            self._network.hand_out(self._hub)
        self.daemon = Daemon(self._hub).ready()
        self._bodies = (n.to_bytes(600, "big") for n in count())
        self._sender, self._recipient = (self._network.member(code, self._hub).greet() for code in ("AA", "BB"))
        self._recipient.say(Credit(self._recipient.session, 1 << 40, 1 << 40))
        self.round_trips(WARM_S)

    def attack(self, name: str, seconds: float) -> Cost:
        """Measure, attack, and measure meanwhile."""
        before = self.round_trips(seconds)
        resident = self.resident("VmRSS")
        counters, cpu_s = self.counters(), self.cpu_s()
        target = {
            "endpoint": self._hub.endpoint,
            "hub_key": self._hub.key.hex(),
            "secret": key_folder.read_link_secret(self._network.members["XP"] / key_folder.LINK_FILE, PASSPHRASE).hex(),
            "seconds": seconds + LEAD_S,
        }
        attacker = subprocess.Popen(
            [sys.executable, "-m", "tests.abuse.attack", name, json.dumps(target)], stdout=subprocess.PIPE
        )
        try:
            during = self.round_trips(seconds + LEAD_S)[len(before) // 20 :]
            out, _ = attacker.communicate(timeout=60)
        finally:
            attacker.kill()
            attacker.wait()
        cpu_s = self.cpu_s() - cpu_s
        time.sleep(SETTLE_S)
        after = self.counters()
        counted = Counter({what: count - counters.get(what, 0) for what, count in after.items()})
        return Cost(name, before, during, resident, self.resident("VmHWM"), cpu_s, counted, Counter(json.loads(out)))

    def round_trips(self, seconds: float) -> list[float]:
        """Send one small message after the other from AA to BB; return how long each took to arrive."""
        took = []
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            began = time.perf_counter()
            self._sender.put(next(self._bodies), "BB")
            put = self._recipient.hear(Put)
            took.append((time.perf_counter() - began) * 1e3)
            self._recipient.say(custody_of(put, self._recipient))
            self._sender.hear(Custody)
        return took

    def counters(self) -> dict[str, int]:
        return self.daemon.until(lambda _: True).counters

    def resident(self, line: str) -> int:
        lines = Path(f"/proc/{self.daemon.process.pid}/status").read_text().splitlines()
        return int(next(one.split()[1] for one in lines if one.startswith(line)))

    def cpu_s(self) -> float:
        """Return what the hub has used so far, which other programs on this machine do not change."""
        fields = Path(f"/proc/{self.daemon.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def close(self) -> None:
        for one in (self._sender, self._recipient, self.daemon):
            one.close()


def p99(took: list[float]) -> float:
    return quantiles(took, n=100)[98]


WARM_S: Final = 0.5
LEAD_S: Final = 1.0  # an attacker needs so long to load Python
SETTLE_S: Final = 1.0
SUSPENDED: Final = frozenset({"reconnects"})
