"""A small world in memory: hubs and nodes joined by a fake wire, under one virtual clock and one seed.

The machines, the pump and the stores are those of the daemons; only sockets, clocks, disks and entropy are
replaced. A history is fixed by the seed and by what the test does to it.

A test may cut wires, meddle with frames, speak on a link with any key (`Voice`), put a lying hub in the place of a
real one (`pretend`), and let the authority publish.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from hashlib import blake2b
from heapq import heappop, heappush
from itertools import count
from pathlib import Path
from typing import TypeVar

from tests.keys.repository import Repository, key
from tests.keys.repository import link as link_key

from i247_hub.machine import HubMachine
from i247_hub.quotas import USUAL, Quotas
from i247_hub.store import HubStore
from i247_keys.charter import Kind
from i247_keys.trust import Trust
from i247_node.commands import AskQuestion, Command, ConfirmEntry, PublishNotice, WriteLetter
from i247_node.machine import NodeMachine
from i247_node.policy import Policy
from i247_node.records import Entry
from i247_node.registers import Registers
from i247_node.store import NodeStore
from i247_protocol.errors import PeerFault
from i247_protocol.frames import Frame, Hello, Role, encode_frame, parse_frame
from i247_protocol.handling import ROUTINE_HANDLING, Purpose
from i247_protocol.limits import STORE_BYTES_MAX, WINDOW_BYTES, WINDOW_MESSAGES
from i247_protocol.machine import (
    Admit,
    Dial,
    DirectoryGiven,
    Effect,
    FrameArrived,
    LinkId,
    LinkLost,
    LinkUp,
)
from i247_protocol.names import HubName, MemberCode, MonoMs, Now, SessionId, WallMs
from i247_protocol.notices import Notice
from i247_protocol.priority import Lane, Priority
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
        self.due: int | None = None  # asked after each turn alone, since nothing else moves it

    def begin(self, effects: Iterable[Effect]) -> None:
        self.pump.perform(effects)
        self.due = self.pump.next_deadline()

    def turn(self, events: Iterable[object], now: Now) -> None:
        self.pump.turn(events, now)
        self.due = self.pump.next_deadline()


class Voice:
    """The raw end of one link: says any bytes under the key that it has proved to hold, and remembers what it hears."""

    def __init__(self, world: World, name: str, link: LinkId) -> None:
        self._world = world
        self._name = name
        self._link = link
        self.session = SessionId(bytes(8))
        self.data: list[bytes] = []

    def say(self, frame: Frame | bytes) -> None:
        data = frame if isinstance(frame, bytes) else encode_frame(frame)
        self._world.carry(self._name, self._link, data)

    def greet(self, role: Role = Role.MEMBER, lane: Lane = Lane.EXPRESS, **changed: object) -> None:
        """Begin a session under a new name."""
        self.session = SessionId(blake2b(self._name.encode() + self.session, digest_size=8).digest())
        usual: dict[str, object] = {
            "session": self.session,
            "role": role,
            "lane": lane,
            "roster": 1,
            "pulse": b"",
            "cards": b"",
            "time": self._world.now.wall,
            "window_messages": WINDOW_MESSAGES,
            "window_bytes": WINDOW_BYTES,
        }
        self.say(Hello(**{**usual, **changed}))  # type: ignore[arg-type]

    def heard(self, *kinds: type[Frame]) -> list[Frame]:
        frames = map(parse_frame, self.data)
        return [frame for frame in frames if not kinds or isinstance(frame, kinds)]


class World:
    """Hubs, nodes, and the time and wires between them."""

    def __init__(
        self,
        seed: int = 1,
        *,
        codes: Sequence[str] = ("BR", "FR", "SG", "XP"),
        hubs: Sequence[str] = ("lyon", "singapore"),
        homes: Mapping[str, tuple[str, ...]] | None = None,
        store_bytes_max: int = STORE_BYTES_MAX,
        quotas: Quotas = USUAL,
        folder: Path | None = None,
    ) -> None:
        """Make a world whose stores are in memory, where a kill loses nothing, or in files in `folder`."""
        self.seed = seed
        self.folder = folder
        self.store_bytes_max = store_bytes_max
        self.quotas = quotas
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
        self.wall_steps: dict[str, int] = {}
        self.meddle: Callable[[str, str, bytes], Iterable[bytes]] | None = None
        self.latency: Callable[[], int] = lambda: LATENCY_MS
        self.link_keys: dict[str, bytes] = {}
        self.identities: dict[str, str] = {}
        self.trusts: dict[str, Trust] = {}
        self._voices: dict[str, Voice] = {}
        self._pretenders: dict[str, Callable[[str, LinkId, bytes], None]] = {}
        self._proved: dict[tuple[str, LinkId], bytes] = {}
        self._latest: dict[tuple[str, LinkId], int] = {}
        self._heap: list[tuple[int, int, str, object]] = []
        self._order = count()
        self._far: dict[tuple[str, LinkId], tuple[str, LinkId]] = {}
        self._starts = count()
        self._tokens = count(1)

    # Programs.

    def start_all(self, but: Sequence[str] = ()) -> None:
        for hub in self.trust.directory.hubs:
            if hub.name not in but:
                self.start_hub(hub.name)
        for member in self.trust.directory.members:
            if member.code not in but:
                self.start_node(member.code)
        self.run(500)

    def start_hub(self, name: str) -> HubMachine:
        store = self.stores.get(name) or HubStore(self._path(name))
        self.stores[name] = store
        assert isinstance(store, HubStore)
        machine = HubMachine(
            HubName(name),
            key(name),
            self.trusts.get(name, self.trust),
            store,
            self._entropy(name),
            store_bytes_max=self.store_bytes_max,
            quotas=self.quotas,
        )
        self._run_first(name, machine, store)
        return machine

    def start_node(self, code: str) -> NodeMachine:
        store = self.stores.get(code) or NodeStore(self._path(code))
        self.stores[code] = store
        assert isinstance(store, NodeStore)
        machine = NodeMachine(
            MemberCode(code),
            key(self.identities.get(code, code)),
            self.trusts.get(code, self.trust),
            store,
            self._entropy(code),
            registers=self.registers.get(code, Registers()),
            policy=self.policies.get(code, Policy(frozenset(), {})),
            incarnation=1,
        )
        self._run_first(code, machine, store)
        return machine

    def lose_disk(self, name: str) -> None:
        """Take away what a stopped program had saved."""
        self.stores.pop(name, None)
        if self.folder is not None:
            for file in self.folder.glob(f"{name}.db*"):
                file.unlink()

    def stop(self, name: str) -> None:
        """Kill a program: what its store has committed stays, connections and memory are gone."""
        self.programs.pop(name, None)
        self._pretenders.pop(name, None)
        if self.folder is not None and name in self.stores:
            self.stores.pop(name).close()
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

    # What adversaries do.

    def voice(self, hub: str, key: bytes | str) -> Voice:
        """Connect to a hub with a link key, or with that of a member or hub."""
        name = f"voice-{len(self._voices)}"
        inbound = LinkId(b"\0" + next(self._order).to_bytes(4))
        outbound = LinkId(b"voice")
        self._far[name, outbound] = (hub, inbound)
        self._far[hub, inbound] = (name, outbound)
        self._proved[name, outbound] = self._link_key(key) if isinstance(key, str) else key
        self._proved[hub, inbound] = self._link_key(hub)
        voice = self._voices[name] = Voice(self, name, outbound)
        return voice

    def member_voice(self, hub: str, code: str, lane: Lane = Lane.EXPRESS) -> Voice:
        """Connect to a hub as a member whose node does not run, and open a session."""
        voice = self.voice(hub, code)
        voice.greet(Role.MEMBER, lane)
        self.run(LATENCY_MS * 3)
        return voice

    def inject(self, hub: str, code: str, lane: Lane, frame: Callable[[SessionId], Frame] | bytes) -> None:
        """Let a hub say something to a node that its machine does not say."""
        link = LinkId(f"hub:{hub}:{lane.value}".encode())
        data = frame if isinstance(frame, bytes) else encode_frame(frame(self.session(code, hub, lane)))
        self._at(LATENCY_MS, code, FrameArrived(link, self._link_key(hub), data))

    def pretend(self, hub: str, answer: Callable[[Voice, str, Frame], None]) -> None:
        """Put a hub that lies in the place of a real one: it greets, and does what `answer` does with other frames."""

        def heard(owner: str, link: LinkId, data: bytes) -> None:
            frame = parse_frame(data)
            voice = Voice(self, hub, link)
            voice.session = SessionId(frame.session)
            if isinstance(frame, Hello):
                voice.say(
                    Hello(
                        frame.session,
                        Role.HUB,
                        frame.lane,
                        1,
                        self.trust.pulse_hash,
                        b"",
                        self.now.wall,
                        WINDOW_MESSAGES,
                        WINDOW_BYTES,
                    )
                )
            else:
                answer(voice, owner, frame)

        self._pretenders[hub] = heard

    def session(self, code: str, hub: str, lane: Lane) -> SessionId:
        """Return the session that a program has with a hub, as the wire saw it begin."""
        for sender, receiver, data in reversed(self.frames):
            if (sender, receiver) == (code, hub) and isinstance(hello := _parsed(data), Hello) and hello.lane is lane:
                return SessionId(hello.session)
        raise AssertionError("there is no session")

    def sent(self, sender: str, receiver: str, *kinds: type[Frame], since: int = 0) -> list[Frame]:
        """Return the frames that went from one program to another."""
        frames = (_parsed(data) for one, other, data in self.frames[since:] if (one, other) == (sender, receiver))
        return [frame for frame in frames if frame is not None and (not kinds or isinstance(frame, kinds))]

    # What the authority does; programs learn of it by `give_directory`, or on their links.

    def publish_roster(self, **changes: object) -> None:
        self.repository.wall = self.now.wall
        self.repository.publish(after_ms=0, **changes)

    def decide(self, kind: Kind, code: str) -> None:
        """Publish a roster that carries out what all members have decided about one."""
        self.repository.wall = self.now.wall
        everybody = [row.code for row in self.trust.directory.members]
        self.publish_roster(records=(self.repository.decided(kind, code, yes=everybody),))

    def beat(self) -> None:
        self.repository.wall = self.now.wall
        self.repository.beat()

    # What anybody may look at.

    def total(self, name: str, counter: str) -> int:
        return self.programs[name].machine.counters.total(counter)

    def entries(self, code: str) -> Iterator[Entry]:
        """Yield everything that a node has accepted, in order."""
        store = self.node_store(code)
        _, last, _ = store.last_numbers()
        for n in range(1, last + 1):
            if (entry := store.entry(n)) is not None:
                yield entry

    def node_store(self, code: str) -> NodeStore:
        store = self.stores[code]
        assert isinstance(store, NodeStore)
        return store

    def hub_store(self, name: str) -> HubStore:
        store = self.stores[name]
        assert isinstance(store, HubStore)
        return store

    # Time.

    def leap(self, ms: int) -> None:
        """Let time pass in one step, as on a machine that was asleep; then a moment event by event."""
        self.mono += ms
        self.run(100)

    @property
    def now(self) -> Now:
        return Now(MonoMs(self.mono), WallMs(self.start + self.mono))

    def clock_of(self, name: str) -> Now:
        """Return what a program's clocks show; `wall_steps` has by how much somebody has set its wall clock wrong."""
        return Now(MonoMs(self.mono), WallMs(self.start + self.mono + self.wall_steps.get(name, 0)))

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
            elif isinstance(event, FrameArrived):
                self._overheard(name, event)
        for name, program in list(self.programs.items()):
            if name in arrived or (program.due is not None and program.due <= self.mono):
                self._turn(program, arrived.get(name, []))

    def _next_event(self) -> int | None:
        return self._heap[0][0] if self._heap else None

    def _next_deadline(self) -> int | None:
        return min((program.due for program in self.programs.values() if program.due is not None), default=None)

    # The wire.

    def carry(self, sender: str, link: LinkId, data: bytes) -> bool:
        end = self._far.get((sender, link))
        if end is None:
            return False
        receiver, far_link = end
        self.frames.append((sender, receiver, data))
        if frozenset((sender, receiver)) in self.cut or (self.deaf is not None and self.deaf(sender, receiver, data)):
            return True
        # What is sent on one link arrives in order, as over TCP.
        arrival = self._latest[sender, link] = max(self.mono + self.latency(), self._latest.get((sender, link), 0))
        for one in [data] if self.meddle is None else self.meddle(sender, receiver, data):
            self._at(arrival - self.mono, receiver, FrameArrived(far_link, self._proved[sender, link], one))
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

    def hang_up(self, name: str, other: str | None = None) -> None:
        """Break every connection that a program has, or those with another; those that it dials come back."""
        for owner, link in list(self._far):
            far = self._far.get((owner, link), ("", b""))[0]
            ours = name in (owner, far) and (other is None or other in (owner, far))
            if ours and link.startswith(b"hub:"):
                self._hang_up(owner, link)
                self._at(LATENCY_MS, owner, LinkLost(link))
                self._at(LATENCY_MS * 2, owner, ("redial", link))

    def mend(self, wire: frozenset[str]) -> None:
        """Join a cut wire again. What was sent meanwhile is lost, so its connections begin anew."""
        self.cut.discard(wire)
        self.hang_up(*sorted(wire))

    def _hang_up(self, owner: str, link: LinkId) -> None:
        far, far_link = self._far.pop((owner, link))
        self._far.pop((far, far_link), None)

    def _dial(self, owner: str, link: LinkId) -> None:
        hub = link.split(b":")[1].decode()
        if owner not in self.programs or (owner, link) in self._far:
            return
        is_there = hub in self._pretenders or (
            hub in self.programs and self._link_key(owner) in self.admitted.get(hub, frozenset())
        )
        if not is_there:
            self._at(500, owner, ("redial", link))
            return
        inbound = LinkId(b"\0" + next(self._order).to_bytes(4))
        self._far[owner, link] = (hub, inbound)
        self._far[hub, inbound] = (owner, link)
        self._proved[owner, link] = self._link_key(owner)
        self._proved[hub, inbound] = self._link_key(hub)
        self._at(LATENCY_MS, owner, LinkUp(link))

    def _path(self, name: str) -> str:
        return ":memory:" if self.folder is None else str(self.folder / f"{name}.db")

    def _overheard(self, name: str, event: FrameArrived) -> None:
        if name in self._voices:
            self._voices[name].data.append(event.data)
        elif name in self._pretenders:
            self._pretenders[name](self._far.get((name, event.link), ("", b""))[0], event.link, event.data)

    def _link_key(self, name: str) -> bytes:
        """Return the link key that a program holds, whatever the directory says of it."""
        return self.link_keys.get(name) or link_key(name)

    def _at(self, delay_ms: int, name: str, event: object) -> None:
        heappush(self._heap, (self.mono + delay_ms, next(self._order), name, event))

    def _run_first(self, name: str, machine: HubMachine | NodeMachine, store: HubStore | NodeStore) -> None:
        program = self.programs[name] = Program(name, machine, store, self)
        program.begin(machine.start(self.clock_of(name)))

    def _turn(self, program: Program, events: Iterable[object]) -> None:
        program.turn(events, self.clock_of(program.name))

    def _entropy(self, name: str) -> Callable[[int], bytes]:
        return entropy(self.seed, f"{name}/{next(self._starts)}")


def _parsed(data: bytes) -> Frame | None:
    try:
        return parse_frame(data)
    except PeerFault:
        return None


HOMES = {"FR": ("lyon",), "SG": ("singapore",), "BR": ("lyon",), "XP": ("lyon",)}
