"""A small world in memory: hubs and nodes joined by a fake wire, under one virtual clock and one seed.

The machines, the pump and the stores are those of the daemons; only sockets, clocks, disks and entropy are
replaced. A history is fixed by the seed and by what the test does to it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from hashlib import blake2b
from heapq import heappop, heappush
from itertools import count
from typing import TypeVar

from tests.keys.repository import Repository, key

from i247_hub.machine import HubMachine
from i247_hub.store import HubStore
from i247_keys.trust import Trust
from i247_node.commands import AskQuestion, Command, ConfirmEntry, PublishNotice, WriteLetter
from i247_node.machine import NodeMachine
from i247_node.policy import Policy
from i247_node.registers import Registers
from i247_node.store import NodeStore
from i247_protocol.handling import ROUTINE_HANDLING, Purpose
from i247_protocol.machine import (
    Admit,
    Dial,
    DirectoryGiven,
    FrameArrived,
    LinkId,
    LinkLost,
    LinkUp,
)
from i247_protocol.names import HubName, MemberCode, MonoMs, Now, WallMs
from i247_protocol.notices import Notice
from i247_protocol.priority import Priority
from i247_protocol.pump import Pump
from i247_protocol.queries import Criteria, TravelDocument

LATENCY_MS = 10
N = TypeVar("N")


def entropy(seed: int, purpose: str) -> Callable[[int], bytes]:
    """Return a stream of bytes that the seed and the purpose fix."""
    counter = count()

    def draw(length: int) -> bytes:
        out = b""
        while len(out) < length:
            out += blake2b(f"{seed}/{purpose}/{next(counter)}".encode(), digest_size=64).digest()
        return out[:length]

    return draw


class Wire:
    """What one program sends, carried to whoever is at the other end of the link."""

    def __init__(self, world: World, name: str) -> None:
        self._world = world
        self._name = name

    def transmit(self, link: LinkId, data: bytes) -> bool:
        return self._world.carry(self._name, link, data)


class Program:
    """A hub or node that is running: machine, store, pump."""

    def __init__(self, name: str, machine: HubMachine | NodeMachine, store: HubStore | NodeStore, world: World) -> None:
        self.name = name
        self.machine = machine
        self.store = store
        self.pump: Pump[object] = Pump(machine, store, Wire(world, name), lambda news: world.told(self, news))  # type: ignore[arg-type]
        self.news: list[object] = []


class World:
    """Hubs, nodes, and the time and wires between them."""

    def __init__(
        self,
        seed: int = 1,
        *,
        codes: Sequence[str] = ("BR", "FR", "SG", "XP"),
        hubs: Sequence[str] = ("lyon", "singapore"),
        homes: dict[str, tuple[str, ...]] | None = None,
    ) -> None:
        self.seed = seed
        self.mono = 1_000
        self.repository = Repository(codes, hubs=hubs, homes=homes or HOMES)
        self.repository.beat()
        self.start = self.repository.wall
        self.programs: dict[str, Program] = {}
        self.stores: dict[str, HubStore | NodeStore] = {}
        self.registers: dict[str, Registers] = {}
        self.policies: dict[str, Policy] = {}
        self.admitted: dict[str, frozenset[bytes]] = {}
        self.frames: list[tuple[str, str, bytes]] = []
        self.cut: set[frozenset[str]] = set()
        self.deaf: Callable[[str, str, bytes], bool] | None = None
        self._heap: list[tuple[int, int, str, object]] = []
        self._order = count()
        self._far: dict[tuple[str, LinkId], tuple[str, LinkId]] = {}
        self._starts = count()
        self._tokens = count(1)

    # Programs.

    def start_all(self) -> None:
        for hub in self.trust.directory.hubs:
            self.start_hub(hub.name)
        for member in self.trust.directory.members:
            self.start_node(member.code)
        self.run(500)

    def start_hub(self, name: str) -> HubMachine:
        store = self.stores.setdefault(name, HubStore(":memory:"))
        assert isinstance(store, HubStore)
        machine = HubMachine(HubName(name), key(name), self.trust, store, self._entropy(name))
        self._run_first(name, machine, store)
        return machine

    def start_node(self, code: str) -> NodeMachine:
        store = self.stores.setdefault(code, NodeStore(":memory:"))
        assert isinstance(store, NodeStore)
        machine = NodeMachine(
            MemberCode(code),
            key(code),
            self.trust,
            store,
            self._entropy(code),
            registers=self.registers.get(code, Registers()),
            policy=self.policies.get(code, Policy(frozenset(), {})),
            incarnation=1,
        )
        self._run_first(code, machine, store)
        return machine

    def stop(self, name: str) -> None:
        """Kill a program: what its store has committed stays, connections and memory are gone."""
        del self.programs[name]
        for (owner, link), (far, far_link) in list(self._far.items()):
            if owner == name:
                del self._far[owner, link]
                if self._far.pop((far, far_link), None) and far_link.startswith(b"hub:"):
                    self._at(LATENCY_MS, far, LinkLost(far_link))
                    self._at(LATENCY_MS * 2, far, ("redial", far_link))

    def node(self, code: str) -> NodeMachine:
        machine = self.programs[code].machine
        assert isinstance(machine, NodeMachine)
        return machine

    def hub(self, name: str) -> HubMachine:
        machine = self.programs[name].machine
        assert isinstance(machine, HubMachine)
        return machine

    # What people do.

    def ask(
        self,
        asker: str,
        to: str,
        register: str,
        number: str,
        *,
        within_ms: int = 10_000,
        prio: Priority = Priority.URGENT,
        criteria: Criteria | None = None,
    ) -> int:
        token = next(self._tokens)
        document = criteria or TravelDocument(country="UTO", number=number, type="P")
        self.command(
            asker,
            AskQuestion(
                token, MemberCode(to), register, document, Purpose.BORDER_CONTROL, within_ms, prio, ROUTINE_HANDLING
            ),
        )
        return token

    def publish(
        self, publisher: str, notice: Notice, to: tuple[str, ...] | None = None, prio: Priority = Priority.URGENT
    ) -> int:
        token = next(self._tokens)
        members = None if to is None else tuple(MemberCode(code) for code in to)
        self.command(publisher, PublishNotice(token, notice, members, Purpose.ALERT, prio, ROUTINE_HANDLING))
        return token

    def write(self, author: str, to: str, subject: str, text: str, prio: Priority = Priority.ROUTINE) -> int:
        token = next(self._tokens)
        self.command(
            author,
            WriteLetter(token, (MemberCode(to),), subject, text, None, Purpose.INVESTIGATION, prio, ROUTINE_HANDLING),
        )
        return token

    def confirm(self, code: str, entry: int) -> int:
        token = next(self._tokens)
        self.command(code, ConfirmEntry(token, entry))
        return token

    def command(self, code: str, command: Command) -> None:
        self._turn(self.programs[code], [command])

    def give_directory(self, *names: str) -> None:
        for name in names:
            self._turn(self.programs[name], [DirectoryGiven(self.trust.to_bytes())])

    def news(self, code: str, kind: type[N]) -> list[N]:
        return [one for one in self.programs[code].news if isinstance(one, kind)]

    # Time.

    @property
    def now(self) -> Now:
        return Now(MonoMs(self.mono), WallMs(self.start + self.mono))

    @property
    def trust(self) -> Trust:
        return self.repository.trust

    def run(self, ms: int) -> None:
        """Let time pass, event by event."""
        end = self.mono + ms
        while True:
            due = min((at for at in (self._next_event(), self._next_deadline()) if at is not None), default=end + 1)
            if due > end:
                break
            self.mono = max(self.mono, due)
            self._step()
        self.mono = end

    def _step(self) -> None:
        arrived: dict[str, list[object]] = {}
        while self._heap and self._heap[0][0] <= self.mono:
            _, _, name, event = heappop(self._heap)
            if isinstance(event, tuple):
                self._dial(name, event[1])
            elif name in self.programs:
                arrived.setdefault(name, []).append(event)
        for name, program in list(self.programs.items()):
            deadline = program.pump.next_deadline()
            if name in arrived or (deadline is not None and deadline <= self.mono):
                self._turn(program, arrived.get(name, []))

    def _next_event(self) -> int | None:
        return self._heap[0][0] if self._heap else None

    def _next_deadline(self) -> int | None:
        deadlines = [program.pump.next_deadline() for program in self.programs.values()]
        return min((at for at in deadlines if at is not None), default=None)

    # The wire.

    def carry(self, sender: str, link: LinkId, data: bytes) -> bool:
        end = self._far.get((sender, link))
        if end is None:
            return False
        receiver, far_link = end
        self.frames.append((sender, receiver, data))
        if frozenset((sender, receiver)) in self.cut or (self.deaf is not None and self.deaf(sender, receiver, data)):
            return True
        self._at(LATENCY_MS, receiver, FrameArrived(far_link, self._link_key(sender), data))
        return True

    def told(self, program: Program, news: object) -> None:
        if isinstance(news, Dial):
            wanted = {peer.link for peer in news.peers}
            for owner, link in list(self._far):
                if owner == program.name and link.startswith(b"hub:") and link not in wanted:
                    self._hang_up(owner, link)
            for peer in news.peers:
                if (program.name, peer.link) not in self._far:
                    self._at(LATENCY_MS, program.name, ("dial", peer.link))
        elif isinstance(news, Admit):
            self.admitted[program.name] = news.keys
        else:
            program.news.append(news)

    def hang_up(self, name: str) -> None:
        """Break every connection that a program has; those that it dials come back."""
        for owner, link in list(self._far):
            if name in (owner, self._far.get((owner, link), ("", b""))[0]) and link.startswith(b"hub:"):
                self._hang_up(owner, link)
                self._at(LATENCY_MS, owner, LinkLost(link))
                self._at(LATENCY_MS * 2, owner, ("redial", link))

    def _hang_up(self, owner: str, link: LinkId) -> None:
        far, far_link = self._far.pop((owner, link))
        self._far.pop((far, far_link), None)

    def _dial(self, owner: str, link: LinkId) -> None:
        hub = link.split(b":")[1].decode()
        if owner not in self.programs or (owner, link) in self._far:
            return
        if hub not in self.programs or self._link_key(owner) not in self.admitted.get(hub, frozenset()):
            self._at(500, owner, ("redial", link))
            return
        inbound = LinkId(b"\0" + next(self._order).to_bytes(4))
        self._far[owner, link] = (hub, inbound)
        self._far[hub, inbound] = (owner, link)
        self._at(LATENCY_MS, owner, LinkUp(link))

    def _link_key(self, name: str) -> bytes:
        directory = self.trust.directory
        row = directory.hub(HubName(name)) or directory.member(MemberCode(name))
        return b"" if row is None else bytes(row.link)

    def _at(self, delay_ms: int, name: str, event: object) -> None:
        heappush(self._heap, (self.mono + delay_ms, next(self._order), name, event))

    def _run_first(self, name: str, machine: HubMachine | NodeMachine, store: HubStore | NodeStore) -> None:
        program = self.programs[name] = Program(name, machine, store, self)
        program.pump.perform(machine.start(self.now))

    def _turn(self, program: Program, events: Iterable[object]) -> None:
        program.pump.turn(events, self.now)

    def _entropy(self, name: str) -> Callable[[int], bytes]:
        return entropy(self.seed, f"{name}/{next(self._starts)}")


HOMES = {"FR": ("lyon",), "SG": ("singapore",), "BR": ("lyon",), "XP": ("lyon",)}
