"""Carry frames between programs as TCP would, and break as networks do.

Within one connection order is kept and nothing comes twice; a frame is late, or lost with its connection. Frames that
a hub had on the way may still come in after their connection ended and a newer one has greeted: that is where
reordering happens, and it is the session's to stand. The same envelope twice comes from whoever puts it again in a
new session. A partition holds frames back, and ends connections when it lasts as long as a heartbeat's patience;
what it held back until then is lost, or comes when it ends. docs/simulation.md 3.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import product
from random import Random
from typing import Final, Protocol

from i247_protocol.machine import FrameArrived, LinkId, LinkLost, LinkUp, Peer
from i247_simulations.agenda import Agenda
from i247_simulations.faults import Partition, Scramble, SlowLinks, Stall
from i247_simulations.latency import Ways
from i247_simulations.streams import luck


class Programs(Protocol):
    """What the network must know of those that it joins."""

    def boot_of(self, name: str) -> int | None:
        """Return which life of a program runs, None when it is down."""
        ...

    def link_key(self, name: str) -> bytes:
        """Return the public key that a program proves to hold."""
        ...

    def admits(self, hub: str, key: bytes) -> bool:
        """Whether a hub lets this key in."""
        ...

    def arrived(self, name: str, event: FrameArrived | LinkUp | LinkLost) -> None:
        """Hand an event to a running program."""
        ...

    def overheard(self, sender: str, receiver: str, data: bytes) -> Iterable[bytes]:
        """Return what truly goes out instead of a frame: the frame itself, but for liars."""
        ...


@dataclass(slots=True, eq=False)
class _Way:
    """From one program to another: what is so whatever connection there is, and what goes wrong on it."""

    names: tuple[str, str]
    base_us: int
    chance: Random
    frames: int = 0
    bytes: int = 0
    blocked: int = 0
    """How many partitions there are between the two."""
    stalled_until_us: int = 0
    scrambled: tuple[Scramble, Random] | None = None
    """The fault by which frames come twice or out of order, and its luck."""


@dataclass(slots=True, eq=False)
class Connection:
    """One connection; side 0 has dialled, side 1 is the hub that was called."""

    names: tuple[str, str]
    ways: tuple[_Way, _Way]
    """By the side that sends."""
    links: tuple[LinkId, LinkId]
    boots: tuple[int, int]
    began_us: int
    free_us: list[int] = field(default_factory=lambda: [0, 0])
    last_us: list[int] = field(default_factory=lambda: [0, 0])
    held: list[list[tuple[bytes, int]]] = field(default_factory=lambda: [[], []])
    flying: list[int] = field(default_factory=lambda: [0, 0])
    closed_us: int | None = None
    lost_after_us: int = 0


Flying = tuple[Connection, int, bytes, int]
"""A frame on its way: connection, sending side, bytes, when it left (us)."""


@dataclass(slots=True)
class _Line:
    """One place that a program wants a connection to."""

    owner: str
    boot: int
    peer: Peer
    tries: int = 0
    connection: Connection | None = None
    is_wanted: bool = True


class Network:
    """All links of the world."""

    def __init__(self, seed: int, agenda: Agenda, programs: Programs, ways: Ways) -> None:
        self._seed = seed
        self._agenda = agenda
        self._programs = programs
        self._least = ways
        self._lines: defaultdict[str, dict[LinkId, _Line]] = defaultdict(dict)
        self._ends: defaultdict[str, dict[LinkId, tuple[Connection, int]]] = defaultdict(dict)
        self._ways: dict[tuple[str, str], _Way] = {}
        self._slow: dict[str, list[SlowLinks]] = {}
        self.overfull = 0
        """How often a connection ended because it could not take more."""
        self._inbound = 0
        self.lost = 0

    @property
    def flows(self) -> dict[tuple[str, str], tuple[int, int]]:
        """Frames and bytes that have gone from one program to another."""
        return {way.names: (way.frames, way.bytes) for way in self._ways.values() if way.frames}

    # What programs do.

    def want(self, owner: str, boot: int, peers: Iterable[Peer]) -> None:
        """Keep connections of a program to exactly these peers."""
        wanted = {peer.link: peer for peer in peers}
        lines = self._lines[owner]
        for link, line in list(lines.items()):
            if line.boot != boot or wanted.get(link) != line.peer:
                line.is_wanted = False
                del lines[link]
                if line.connection is not None:
                    self._close(line.connection)
        for link, peer in wanted.items():
            if link not in lines:
                line = lines[link] = _Line(owner, boot, peer)
                self._agenda.after(self._way(owner, _hub_of(link)).chance.randint(0, 20_000), self._call, line)

    def transmit(self, sender: str, link: LinkId, data: bytes, depart_us: int) -> bool:
        """Send one frame; return False when its connection is gone."""
        end = self._ends[sender].get(link)
        if end is None:
            return False
        connection, side = end
        if connection.flying[side] >= FLYING_MAX:  # as a full ZeroMQ socket, which ends the session
            self.overfull += 1
            self._break(connection)
            return False
        for one in self._programs.overheard(sender, connection.names[1 - side], data):
            self._send(connection, side, one, depart_us)
        return True

    def inject(self, sender: str, link: LinkId, data: bytes) -> None:
        """Send one frame that no machine has said; nobody overhears it on the way."""
        end = self._ends[sender].get(link)
        if end is not None:
            self._send(*end, data, self._agenda.now_us)

    def links_of(self, name: str) -> Iterator[tuple[LinkId, str]]:
        """Yield a program's open connections: its name for each, and who is there."""
        for link, (connection, side) in self._ends[name].items():
            yield link, connection.names[1 - side]

    def stopped(self, name: str) -> None:
        """Take the connections of a program that has died."""
        for line in self._lines.pop(name, {}).values():
            line.is_wanted = False
        self.hang_up(name)

    # What goes wrong.

    def hang_up(self, name: str) -> None:
        """Break all connections of a program; those who dialled them will see it and dial again."""
        for connection, _ in list(self._ends[name].values()):
            self._break(connection)

    def stall(self, fault: Stall) -> None:
        """Hold back what goes from one program to another."""
        way = self._way(fault.sender, fault.receiver)
        way.stalled_until_us = max(way.stalled_until_us, self._agenda.now_us + fault.for_ms * 1_000)

    def scramble(self, fault: Scramble) -> None:
        """Begin to let frames come twice, or out of order."""
        chance = luck(self._seed, f"scramble/{fault.at_ms}/{fault.sender}/{fault.receiver}")
        self._way(fault.sender, fault.receiver).scrambled = fault, chance

    def unscramble(self, fault: Scramble) -> None:
        """End that, and the connections on which it was."""
        way = self._way(fault.sender, fault.receiver)
        if way.scrambled is not None and way.scrambled[0] is fault:
            way.scrambled = None
        for connection in self._connections():
            if connection.names in (way.names, way.names[::-1]):
                self._break(connection)

    def slow(self, fault: SlowLinks) -> None:
        """Slow a program's links down."""
        self._slow.setdefault(fault.program, []).append(fault)

    def unslow(self, fault: SlowLinks) -> None:
        """End a slow-down."""
        self._slow[fault.program].remove(fault)

    def part(self, fault: Partition) -> None:
        """Begin a partition."""
        for names in _ways(fault):
            self._way(*names).blocked += 1
        ways = set(_ways(fault))
        for connection in self._connections():
            if connection.names in ways or connection.names[::-1] in ways:
                patience = connection.ways[0].chance.randint(8_000_000, 15_000_000)
                self._agenda.after(patience, self._give_up, connection)

    def join(self, fault: Partition) -> None:
        """End a partition; what was held back comes after a moment."""
        for names in _ways(fault):
            self._way(*names).blocked -= 1
        for connection in self._connections():
            for side, way in enumerate(connection.ways):
                if connection.held[side] and not way.blocked:
                    self._agenda.after(way.chance.randint(20_000, 1_500_000), self._release, (connection, side))

    # Parts.

    def _send(self, connection: Connection, side: int, data: bytes, depart_us: int) -> None:
        way = connection.ways[side]
        size = len(data)
        way.frames += 1
        way.bytes += size
        rate, delay_us = self._slowed(way) if self._slow else (BYTES_PER_S, 0)
        end = connection.free_us[side] = max(depart_us, connection.free_us[side]) + size * 1_000_000 // rate
        jitter = int(way.base_us * self._least.jitter * way.chance.random() ** 3)
        arrival = max(end + way.base_us + jitter + delay_us, way.stalled_until_us, connection.last_us[side])
        if way.scrambled is None:
            connection.last_us[side] = arrival
        else:
            arrival = self._scrambled(way.scrambled, arrival, (connection, side, data, depart_us))
        connection.flying[side] += 1
        self._agenda.at(arrival, self._arrive, (connection, side, data, depart_us))

    def _scrambled(self, scrambled: tuple[Scramble, Random], arrival: int, event: Flying) -> int:
        """Return when a frame comes where frames come twice or out of order; a second one is put down here."""
        fault, luck_of_it = scrambled
        if luck_of_it.random() * 100 >= fault.percent:
            return arrival
        late_us = int(LATE_US_MAX * luck_of_it.random())
        if luck_of_it.random() < 0.5:
            return arrival + late_us
        connection, side, _, _ = event
        connection.flying[side] += 1
        self._agenda.at(arrival + late_us, self._arrive, event)
        return arrival

    def _slowed(self, way: _Way) -> tuple[int, int]:
        """Return rate and further delay under the faults that slow either end."""
        slow = [fault for name in way.names for fault in self._slow.get(name, ())]
        rate = min((fault.bytes_per_s for fault in slow), default=BYTES_PER_S)
        return rate, 1_000 * sum(fault.delay_ms for fault in slow)

    def _arrive(self, event: Flying) -> None:
        connection, side, data, depart_us = event
        connection.flying[side] -= 1
        if connection.closed_us is not None and (
            side == 1 or depart_us > connection.closed_us or self._agenda.now_us > connection.lost_after_us
        ):
            self.lost += 1
        elif connection.held[side] or connection.ways[side].blocked:
            connection.held[side].append((data, depart_us))
        else:
            self._hand_over(connection, side, data)

    def _hand_over(self, connection: Connection, side: int, data: bytes) -> None:
        sender, receiver = connection.ways[side].names
        there = 1 - side
        if self._programs.boot_of(receiver) == connection.boots[there]:
            self._programs.arrived(
                receiver, FrameArrived(connection.links[there], self._programs.link_key(sender), data)
            )

    def _release(self, event: tuple[Connection, int]) -> None:
        connection, side = event
        if connection.closed_us is None and not connection.ways[side].blocked:
            held, connection.held[side] = connection.held[side], []
            for data, _ in held:
                self._hand_over(connection, side, data)

    def _give_up(self, connection: Connection) -> None:
        if connection.closed_us is None and any(way.blocked for way in connection.ways):
            self._break(connection)

    def _break(self, connection: Connection) -> None:
        """End a connection and let the side that dialled it know."""
        self._close(connection)
        line = self._lines[connection.names[0]].get(connection.links[0])
        if line is None or line.connection is not connection:
            return
        line.connection = None
        line.tries = 0 if self._agenda.now_us - connection.began_us >= STEADY_US else line.tries + 1
        self._programs.arrived(line.owner, LinkLost(line.peer.link))
        self._call_later(line)

    def _close(self, connection: Connection) -> None:
        if connection.closed_us is not None:
            return
        now = connection.closed_us = self._agenda.now_us
        way = connection.ways[0]
        connection.lost_after_us = now + int(4 * way.base_us * way.chance.random())
        for name, link in zip(connection.names, connection.links, strict=True):
            self._ends[name].pop(link, None)

    def _call(self, line: _Line) -> None:
        hub = _hub_of(line.peer.link)
        if not line.is_wanted or line.connection is not None:
            return
        boot = self._programs.boot_of(hub)
        is_there = (
            boot is not None
            and line.peer.key == self._programs.link_key(hub)
            and self._programs.admits(hub, self._programs.link_key(line.owner))
            and not self._way(line.owner, hub).blocked
            and not self._way(hub, line.owner).blocked
        )
        if is_there:
            self._agenda.after(3 * self._way(line.owner, hub).base_us, self._connected, (line, boot))
        else:
            line.tries += 1
            self._call_later(line)

    def _call_later(self, line: _Line) -> None:
        chance = self._way(line.owner, _hub_of(line.peer.link)).chance
        longest = min(REDIAL_US_MAX, REDIAL_US_MIN << min(line.tries, 10))
        self._agenda.after(longest // 2 + int(chance.random() * longest / 2), self._call, line)

    def _connected(self, event: tuple[_Line, int]) -> None:
        line, boot = event
        hub = _hub_of(line.peer.link)
        if not line.is_wanted or line.connection is not None or self._programs.boot_of(line.owner) != line.boot:
            return
        ways = self._way(line.owner, hub), self._way(hub, line.owner)
        if self._programs.boot_of(hub) != boot or ways[0].blocked:
            self._call_later(line)
            return
        self._inbound += 1
        inbound = LinkId(b"\0" + self._inbound.to_bytes(4))
        line.connection = Connection(
            (line.owner, hub), ways, (line.peer.link, inbound), (line.boot, boot), self._agenda.now_us
        )
        self._ends[line.owner][line.peer.link] = (line.connection, 0)
        self._ends[hub][inbound] = (line.connection, 1)
        self._programs.arrived(line.owner, LinkUp(line.peer.link))

    def _connections(self) -> list[Connection]:
        """Return all open connections, each once."""
        return [connection for ends in self._ends.values() for connection, side in ends.values() if side == 0]

    def _way(self, sender: str, receiver: str) -> _Way:
        """Return the way from one program to another: its least latency, and its luck."""
        names = sender, receiver
        way = self._ways.get(names)
        if way is None:
            chance = luck(self._seed, f"link/{sender}/{receiver}")
            base_us = self._least.least_us(sender, receiver, chance)
            way = self._ways[names] = _Way(names, base_us, chance)
        return way


def _hub_of(link: LinkId) -> str:
    return link.split(b":")[1].decode()


def _ways(fault: Partition) -> list[tuple[str, str]]:
    there = list(product(fault.here, fault.there))
    return there if fault.one_way else there + list(product(fault.there, fault.here))


BYTES_PER_S: Final = 12_500_000
REDIAL_US_MIN: Final = 200_000
REDIAL_US_MAX: Final = 15_000_000
FLYING_MAX: Final = 1_024
"""Frames that one direction of a connection takes, as `i247_edges.link` sets it for ZeroMQ."""
LATE_US_MAX: Final = 400_000
STEADY_US: Final = 10_000_000
