"""Carry frames between programs as TCP would, and break as networks do.

Within one connection order is kept and nothing comes twice; a frame is late, or lost with its connection. Frames that
a hub had on the way may still come in after their connection ended and a newer one has greeted: that is where
reordering happens, and it is the session's to stand. The same envelope twice comes from whoever puts it again in a
new session. A partition holds frames back, and ends connections when it lasts as long as a heartbeat's patience;
what it held back until then is lost, or comes when it ends. docs/simulation.md 3.
"""

from __future__ import annotations

from collections import Counter
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
class Connection:
    """One connection; side 0 has dialled, side 1 is the hub that was called."""

    names: tuple[str, str]
    links: tuple[LinkId, LinkId]
    boots: tuple[int, int]
    began_us: int
    free_us: list[int] = field(default_factory=lambda: [0, 0])
    last_us: list[int] = field(default_factory=lambda: [0, 0])
    held: list[list[tuple[bytes, int]]] = field(default_factory=lambda: [[], []])
    flying: list[int] = field(default_factory=lambda: [0, 0])
    closed_us: int | None = None
    lost_after_us: int = 0


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
        self._lines: dict[tuple[str, LinkId], _Line] = {}
        self._ends: dict[tuple[str, LinkId], tuple[Connection, int]] = {}
        self._ways: dict[tuple[str, str], tuple[int, Random]] = {}
        self._blocked: Counter[tuple[str, str]] = Counter()
        self._stalled_until: dict[tuple[str, str], int] = {}
        self._slow: dict[str, list[SlowLinks]] = {}
        self._scrambled: dict[tuple[str, str], tuple[Scramble, Random]] = {}
        self.overfull = 0
        """How often a connection ended because it could not take more."""
        self._inbound = 0
        self.lost = 0
        self.flows: dict[tuple[str, str], list[int]] = {}

    # What programs do.

    def want(self, owner: str, boot: int, peers: Iterable[Peer]) -> None:
        """Keep connections of a program to exactly these peers."""
        wanted = {peer.link: peer for peer in peers}
        for (name, link), line in list(self._lines.items()):
            if name == owner and (line.boot != boot or wanted.get(link) != line.peer):
                line.is_wanted = False
                del self._lines[name, link]
                if line.connection is not None:
                    self._close(line.connection)
        for link, peer in wanted.items():
            if (owner, link) not in self._lines:
                line = self._lines[owner, link] = _Line(owner, boot, peer)
                self._agenda.after(self._way(owner, _hub_of(link))[1].randint(0, 20_000), self._call, line)

    def transmit(self, sender: str, link: LinkId, data: bytes, depart_us: int) -> bool:
        """Send one frame; return False when its connection is gone."""
        end = self._ends.get((sender, link))
        if end is None:
            return False
        connection, side = end
        if connection.flying[side] >= FLYING_MAX:  # as a full ZeroMQ socket, which ends the session
            self.overfull += 1
            self._break(connection)
            return False
        receiver = connection.names[1 - side]
        for one in self._programs.overheard(sender, receiver, data):
            self._send(connection, side, one, depart_us)
        return True

    def inject(self, sender: str, link: LinkId, data: bytes) -> None:
        """Send one frame that no machine has said; nobody overhears it on the way."""
        end = self._ends.get((sender, link))
        if end is not None:
            self._send(*end, data, self._agenda.now_us)

    def links_of(self, name: str) -> Iterator[tuple[LinkId, str]]:
        """Yield a program's open connections: its name for each, and who is there."""
        for (owner, link), (connection, side) in self._ends.items():
            if owner == name:
                yield link, connection.names[1 - side]

    def stopped(self, name: str) -> None:
        """Take the connections of a program that has died."""
        for key, line in list(self._lines.items()):
            if key[0] == name:
                line.is_wanted = False
                del self._lines[key]
        self.hang_up(name)

    # What goes wrong.

    def hang_up(self, name: str) -> None:
        """Break all connections of a program; those who dialled them will see it and dial again."""
        for connection in [end for (owner, _), (end, _) in self._ends.items() if owner == name]:
            self._break(connection)

    def stall(self, fault: Stall) -> None:
        """Hold back what goes from one program to another."""
        way = fault.sender, fault.receiver
        self._stalled_until[way] = max(self._stalled_until.get(way, 0), self._agenda.now_us + fault.for_ms * 1_000)

    def scramble(self, fault: Scramble) -> None:
        """Begin to let frames come twice, or out of order."""
        way = fault.sender, fault.receiver
        self._scrambled[way] = fault, luck(self._seed, f"scramble/{fault.at_ms}/{fault.sender}/{fault.receiver}")

    def unscramble(self, fault: Scramble) -> None:
        """End that, and the connections on which it was."""
        way = fault.sender, fault.receiver
        if self._scrambled.get(way, (None,))[0] is fault:
            del self._scrambled[way]
        for connection in {id(end): end for end, _ in self._ends.values()}.values():
            if connection.names in (way, way[::-1]):
                self._break(connection)

    def slow(self, fault: SlowLinks) -> None:
        """Slow a program's links down."""
        self._slow.setdefault(fault.program, []).append(fault)

    def unslow(self, fault: SlowLinks) -> None:
        """End a slow-down."""
        self._slow[fault.program].remove(fault)

    def part(self, fault: Partition) -> None:
        """Begin a partition."""
        ways = set(_ways(fault))
        self._blocked.update(_ways(fault))
        for connection in {id(end): end for end, _ in self._ends.values()}.values():
            if connection.names in ways or connection.names[::-1] in ways:
                patience = self._way(*connection.names)[1].randint(8_000_000, 15_000_000)
                self._agenda.after(patience, self._give_up, connection)

    def join(self, fault: Partition) -> None:
        """End a partition; what was held back comes after a moment."""
        self._blocked.subtract(_ways(fault))
        for connection in {id(end): end for end, _ in self._ends.values()}.values():
            for side in (0, 1):
                if connection.held[side] and not self._is_blocked(connection, side):
                    way = connection.names[side], connection.names[1 - side]
                    self._agenda.after(self._way(*way)[1].randint(20_000, 1_500_000), self._release, (connection, side))

    # Parts.

    def _send(self, connection: Connection, side: int, data: bytes, depart_us: int) -> None:
        way = connection.names[side], connection.names[1 - side]
        base_us, chance = self._way(*way)
        flow = self.flows.setdefault(way, [0, 0])
        flow[0] += 1
        flow[1] += len(data)
        begin = max(depart_us, connection.free_us[side])
        slow = [fault for name in way for fault in self._slow.get(name, ())] if self._slow else []
        rate = min((fault.bytes_per_s for fault in slow), default=BYTES_PER_S)
        end = connection.free_us[side] = begin + len(data) * 1_000_000 // rate
        jitter = int(base_us * self._least.jitter * chance.random() ** 3)
        arrival = end + base_us + jitter + 1_000 * sum(fault.delay_ms for fault in slow)
        if self._stalled_until:
            arrival = max(arrival, self._stalled_until.get(way, 0))
        arrival = max(arrival, connection.last_us[side])
        scrambled = self._scrambled.get(way) if self._scrambled else None
        if scrambled is None:
            connection.last_us[side] = arrival
        else:
            fault, luck_of_it = scrambled
            if luck_of_it.random() * 100 < fault.percent:
                late_us = int(LATE_US_MAX * luck_of_it.random())
                if luck_of_it.random() < 0.5:
                    arrival += late_us
                else:
                    connection.flying[side] += 1
                    self._agenda.at(arrival + late_us, self._arrive, (connection, side, data, depart_us))
        connection.flying[side] += 1
        self._agenda.at(arrival, self._arrive, (connection, side, data, depart_us))

    def _arrive(self, event: tuple[Connection, int, bytes, int]) -> None:
        connection, side, data, depart_us = event
        connection.flying[side] -= 1
        if connection.closed_us is not None and (
            side == 1 or depart_us > connection.closed_us or self._agenda.now_us > connection.lost_after_us
        ):
            self.lost += 1
        elif connection.held[side] or self._is_blocked(connection, side):
            connection.held[side].append((data, depart_us))
        else:
            self._hand_over(connection, side, data)

    def _hand_over(self, connection: Connection, side: int, data: bytes) -> None:
        sender, receiver = connection.names[side], connection.names[1 - side]
        if self._programs.boot_of(receiver) == connection.boots[1 - side]:
            key = self._programs.link_key(sender)
            self._programs.arrived(receiver, FrameArrived(connection.links[1 - side], key, data))

    def _release(self, event: tuple[Connection, int]) -> None:
        connection, side = event
        if connection.closed_us is None and not self._is_blocked(connection, side):
            held, connection.held[side] = connection.held[side], []
            for data, _ in held:
                self._hand_over(connection, side, data)

    def _give_up(self, connection: Connection) -> None:
        if connection.closed_us is None and (self._is_blocked(connection, 0) or self._is_blocked(connection, 1)):
            self._break(connection)

    def _break(self, connection: Connection) -> None:
        """End a connection and let the side that dialled it know."""
        self._close(connection)
        line = self._lines.get((connection.names[0], connection.links[0]))
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
        base_us, chance = self._way(*connection.names)
        connection.lost_after_us = now + int(4 * base_us * chance.random())
        for name, link in zip(connection.names, connection.links, strict=True):
            self._ends.pop((name, link), None)

    def _call(self, line: _Line) -> None:
        hub = _hub_of(line.peer.link)
        if not line.is_wanted or line.connection is not None:
            return
        boot = self._programs.boot_of(hub)
        is_there = (
            boot is not None
            and line.peer.key == self._programs.link_key(hub)
            and self._programs.admits(hub, self._programs.link_key(line.owner))
            and not self._blocked[line.owner, hub] > 0
            and not self._blocked[hub, line.owner] > 0
        )
        if is_there:
            self._agenda.after(3 * self._way(line.owner, hub)[0], self._connected, (line, boot))
        else:
            line.tries += 1
            self._call_later(line)

    def _call_later(self, line: _Line) -> None:
        chance = self._way(line.owner, _hub_of(line.peer.link))[1]
        longest = min(REDIAL_US_MAX, REDIAL_US_MIN << min(line.tries, 10))
        self._agenda.after(longest // 2 + int(chance.random() * longest / 2), self._call, line)

    def _connected(self, event: tuple[_Line, int]) -> None:
        line, boot = event
        hub = _hub_of(line.peer.link)
        if not line.is_wanted or line.connection is not None or self._programs.boot_of(line.owner) != line.boot:
            return
        if self._programs.boot_of(hub) != boot or self._blocked[line.owner, hub] > 0:
            self._call_later(line)
            return
        self._inbound += 1
        inbound = LinkId(b"\0" + self._inbound.to_bytes(4))
        line.connection = Connection(
            (line.owner, hub), (line.peer.link, inbound), (line.boot, boot), self._agenda.now_us
        )
        self._ends[line.owner, line.peer.link] = (line.connection, 0)
        self._ends[hub, inbound] = (line.connection, 1)
        self._programs.arrived(line.owner, LinkUp(line.peer.link))

    def _is_blocked(self, connection: Connection, side: int) -> bool:
        return self._blocked[connection.names[side], connection.names[1 - side]] > 0

    def _way(self, sender: str, receiver: str) -> tuple[int, Random]:
        """Return the least latency of an ordered link, and the luck of it."""
        way = self._ways.get((sender, receiver))
        if way is None:
            chance = luck(self._seed, f"link/{sender}/{receiver}")
            way = self._ways[sender, receiver] = (self._least.least_us(sender, receiver, chance), chance)
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
