"""Do what the plan says: to processes, disks, clocks, ways and readers; and put everything right in the end."""

from __future__ import annotations

import asyncio
import signal
import socket
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import ExitStack, suppress
from random import Random

from tests.chaos.daemons import Daemon, Network
from tests.chaos.plan import WAYS, Kind, Trouble
from tests.chaos.proxy import Proxy, Way
from tests.chaos.switches import FAULTS, Switch
from tests.chaos.traffic import Users
from tests.faulty_vfs import BROKEN_SYNC, BROKEN_WRITE, FULL, TORN_WRITE, Fault


class Mischief:
    """What carries a plan out."""

    def __init__(
        self,
        seed: int,
        network: Network,
        daemons: Mapping[str, Daemon],
        proxies: Mapping[str, Proxy],
        users: Mapping[str, Users],
    ) -> None:
        self.done: Counter[Kind] = Counter()
        self._luck = Random(f"{seed}/mischief")
        self._network = network
        self._daemons = daemons
        self._proxies = proxies
        self._users = users
        self._ways = {hub: asyncio.Lock() for hub in proxies}
        self._doings: dict[Kind, Callable[[Daemon, Trouble], Coroutine[None, None, None]]] = {
            Kind.KILL: self._kill,
            Kind.POWER: self._lose_power,
            Kind.STOP: self._stop,
            Kind.PAUSE: self._pause,
            Kind.CLOCK: self._set_clock,
            Kind.SLOW_SYNC: self._slow_sync,
            Kind.FULL: self._fail_disk,
            Kind.BROKEN_WRITE: self._fail_disk,
            Kind.TORN_WRITE: self._fail_disk,
            Kind.BROKEN_SYNC: self._fail_disk,
            Kind.LYING: self._lie,
            Kind.DAMAGE: self._damage,
            Kind.LOST_DISK: self._lose_disk,
            Kind.SLOW_READER: self._read_slowly,
        }

    async def carry_out(self, plan: Sequence[Trouble], tell: Callable[[str], None]) -> None:
        """Begin each trouble at its time, whatever else goes on, and return when the last is over."""
        began = time.monotonic()
        running = []
        for trouble in plan:
            await asyncio.sleep(max(0, began + trouble.at_s - time.monotonic()))
            tell(f"{time.monotonic() - began:7.1f} s  {trouble.kind} {trouble.target}")
            running.append(asyncio.create_task(self._do(trouble)))
        await asyncio.gather(*running)

    async def heal(self) -> None:
        """Put everything right."""
        for proxy in self._proxies.values():
            await proxy.heal()
        for daemon in self._daemons.values():
            async with daemon.lock:
                daemon.switches.heal()
                daemon.signal(signal.SIGCONT)
                daemon.is_wanted = True

    async def _do(self, trouble: Trouble) -> None:
        if trouble.kind in WAYS:
            async with self._ways[trouble.target]:
                await self._spoil_way(self._proxies[trouble.target], trouble)
        else:
            await self._doings[trouble.kind](self._daemons[trouble.target], trouble)
        self.done[trouble.kind] += 1

    # --- processes ---

    async def _kill(self, daemon: Daemon, trouble: Trouble) -> None:
        async with daemon.lock:
            await daemon.end(signal.SIGKILL)
            await self._rest(daemon, trouble)

    async def _lose_power(self, daemon: Daemon, trouble: Trouble) -> None:
        async with daemon.lock:
            await daemon.end(signal.SIGKILL)
            daemon.lose_power(self._luck)
            await self._rest(daemon, trouble)

    async def _stop(self, daemon: Daemon, trouble: Trouble) -> None:
        async with daemon.lock:
            await daemon.end(signal.SIGTERM)
            await self._rest(daemon, trouble)

    async def _pause(self, daemon: Daemon, trouble: Trouble) -> None:
        async with daemon.lock:
            with daemon.disturbed():
                daemon.signal(signal.SIGSTOP)
                await asyncio.sleep(trouble.lasts_s)
                daemon.signal(signal.SIGCONT)

    async def _rest(self, daemon: Daemon, trouble: Trouble) -> None:
        await asyncio.sleep(trouble.lasts_s)
        daemon.is_wanted = True

    # --- clocks and disks ---

    async def _set_clock(self, daemon: Daemon, trouble: Trouble) -> None:
        with daemon.disturbed():
            daemon.switches[Switch.CLOCK_MS] = trouble.amount
            await asyncio.sleep(trouble.lasts_s)
            daemon.switches[Switch.CLOCK_MS] = 0

    async def _slow_sync(self, daemon: Daemon, trouble: Trouble) -> None:
        with daemon.disturbed():
            daemon.switches[Switch.SYNC_MS] = trouble.amount
            await asyncio.sleep(trouble.lasts_s)
            daemon.switches[Switch.SYNC_MS] = 0

    async def _fail_disk(self, daemon: Daemon, trouble: Trouble) -> None:
        with daemon.disturbed():
            daemon.switches[Switch.AFTER] = trouble.amount
            daemon.switches[Switch.FAULT] = FAULTS.index(FAULT_OF[trouble.kind])
            await asyncio.sleep(trouble.lasts_s)
            daemon.switches[Switch.FAULT] = 0

    async def _lie(self, daemon: Daemon, trouble: Trouble) -> None:
        async with daemon.lock:
            daemon.switches[Switch.LIES] = 1
            await asyncio.sleep(trouble.lasts_s)
            await daemon.end(signal.SIGKILL)
            daemon.switches[Switch.LIES] = 0
            daemon.is_damaged = True  # later writes may stand on earlier ones that are not there
            daemon.lose_power(self._luck)
            await self._rest(daemon, trouble)
            await asyncio.sleep(trouble.lasts_s)
            await self._replace(daemon)

    async def _damage(self, daemon: Daemon, trouble: Trouble) -> None:
        async with daemon.lock:
            await daemon.end(signal.SIGKILL)
            daemon.damage(trouble.amount, self._luck)
            daemon.is_wanted = True
            await asyncio.sleep(trouble.lasts_s)
            await self._replace(daemon)

    async def _lose_disk(self, daemon: Daemon, trouble: Trouble) -> None:
        async with daemon.lock:
            await daemon.end(signal.SIGKILL)
            daemon.replace_disk()
            await self._rest(daemon, trouble)

    async def _replace(self, daemon: Daemon) -> None:
        """Do what an operator does who learns that a hub's disk cannot be trusted."""
        if daemon.is_damaged:
            await daemon.end(signal.SIGKILL)
            daemon.replace_disk()
        daemon.is_wanted = True

    # --- ways and readers ---

    async def _spoil_way(self, proxy: Proxy, trouble: Trouble) -> None:
        match trouble.kind:
            case Kind.CUT:
                proxy.cut(lambda: self._luck.random() * 100 < trouble.amount)
                return
            case Kind.DELAY:
                proxy.delay_s = trouble.amount / 1_000
            case Kind.RATE:
                proxy.bytes_a_second = trouble.amount
            case _:
                await proxy.go(WAY_OF[trouble.kind])
        await asyncio.sleep(trouble.lasts_s)
        await proxy.heal()

    async def _read_slowly(self, daemon: Daemon, trouble: Trouble) -> None:
        users = self._users[daemon.name]
        users.may_read = False
        with ExitStack() as stack:
            for _ in range(READERS):
                one = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
                one.settimeout(0.2)
                with suppress(OSError):  # the node may be down just now
                    one.connect(str(self._network.socket(daemon.name)))
                    one.sendall(b"GET /v1/events HTTP/1.1\r\nHost: node\r\n\r\n")
            await asyncio.sleep(trouble.lasts_s)
        users.may_read = True


FAULT_OF: dict[Kind, Fault] = {
    Kind.FULL: FULL,
    Kind.BROKEN_WRITE: BROKEN_WRITE,
    Kind.TORN_WRITE: TORN_WRITE,
    Kind.BROKEN_SYNC: BROKEN_SYNC,
}
WAY_OF = {Kind.STALL: Way.STALLED, Kind.HOLE: Way.HOLE, Kind.CLOSED: Way.CLOSED}
READERS = 12
