"""Let happen what a plan says: strike programs, disks, clocks and the authority, and put right again what is to be.

What goes wrong on the wire is done by `network`, what hubs and members say falsely by `hostile`; this module begins
and ends it. docs/simulation.md 3.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence
from copy import deepcopy
from functools import partial
from random import Random
from typing import Final, Protocol

from i247_protocol.frames import Cards, Put, encode_frame
from i247_protocol.machine import FrameArrived, LinkId
from i247_protocol.names import MemberCode, WallMs
from i247_simulations.agenda import Agenda
from i247_simulations.checkers.watching import Sight
from i247_simulations.clocks import Clock
from i247_simulations.crypto import cipher_of
from i247_simulations.disk import Disk, Memory
from i247_simulations.faults import (
    BitRot,
    ClockDrift,
    ClockStep,
    CommitFails,
    Crash,
    DiskDestroyed,
    DiskFull,
    Fault,
    HangUp,
    HostileHub,
    HostileMember,
    HubLie,
    LyingSync,
    Mischief,
    Partition,
    PowerLoss,
    RestoredCopy,
    Scramble,
    SlowDisk,
    SlowLinks,
    Stall,
    Suspension,
    Theft,
    end_of,
)
from i247_simulations.hostile import Liar
from i247_simulations.network import Network
from i247_simulations.node_memory import PlainNodeMemory
from i247_simulations.population import Authority
from i247_simulations.programs import Program
from i247_simulations.scenario import Scenario
from i247_simulations.streams import Entropy, luck
from i247_simulations.thieves import Thief, impersonated, session_heard
from i247_simulations.workload import Workload


class Struck(Protocol):
    """The world, as far as faults reach."""

    seed: int
    scenario: Scenario
    agenda: Agenda
    network: Network
    authority: Authority
    workload: Workload
    sight: Sight
    marks: Counter[str]
    programs: dict[str, Program]
    disks: dict[str, Disk]
    clocks: dict[str, Clock]

    @property
    def wall(self) -> WallMs:
        """What a true clock shows."""
        ...

    @property
    def hubs(self) -> Sequence[str]:
        """All hubs."""
        ...

    def kill(self, name: str, *, pending_is_kept: bool | None = None) -> None:
        """End a program's life; whether a turn that was just being saved is kept is luck, or as given."""
        ...

    def boot(self, name: str) -> None:
        """Begin a program's next life, unless it runs."""
        ...

    def mount(self, name: str, memory: Memory | None) -> None:
        """Give a program that is down another disk: an empty one, or one with an old state of its own."""
        ...

    def publish(self) -> None:
        """Lay the authority's newest documents before all hubs."""
        ...


class Troubles:
    """Everything that goes wrong in one run."""

    def __init__(self, world: Struck, plan: Sequence[Fault]) -> None:
        self.liars: dict[str, Liar] = {}
        self.heard: dict[str, deque[tuple[str, bytes]]] = {}
        """The last frames of who is going to misbehave."""
        self.down_us: dict[str, int] = {}
        """How long a program whose disk fails is down."""
        self._world = world
        self._plan = plan
        self._copies: dict[int, Memory] = {}
        self._on_links = 0

    def begin(self) -> None:
        """Put everything that is planned down on the agenda."""
        agenda = self._world.agenda
        for fault in self._plan:
            agenda.at(fault.at_ms * 1_000, self._strike, fault)
            if isinstance(fault, RestoredCopy | BitRot):
                agenda.at(max(0, fault.at_ms - fault.copy_age_ms) * 1_000, self._copy, fault)

    def heal(self) -> None:
        """Let everything be whole again that no fault has ended by itself."""
        for name in list(self.liars):
            self._throw_out(name)
        for disk in self._world.disks.values():
            disk.fails_next = disk.is_full = False
            disk.at_commit = None
            disk.delay_us = 0

    def _strike(self, fault: Fault) -> None:  # noqa: PLR0912, PLR0915  a line or two a fault
        world, after = self._world, self._world.agenda.after
        self._note(fault)
        match fault:
            case Crash(program=name, down_ms=down_ms):
                world.kill(name)
                after(down_ms * 1_000, world.boot, name)
            case CommitFails(program=name, down_ms=down_ms):
                world.disks[name].fails_next = True
                self.down_us[name] = down_ms * 1_000
            case PowerLoss(program=name):
                world.disks[name].at_commit = partial(after, TORN_US, self._lose_power, fault)
            case DiskFull(program=name):
                world.disks[name].is_full = True
                after(fault.for_ms * 1_000, self._make_room, name)
            case SlowDisk(program=name):
                world.disks[name].delay_us = fault.delay_ms * 1_000
                after(fault.for_ms * 1_000, self._quicken, name)
            case DiskDestroyed(program=name, down_ms=down_ms):
                world.kill(name)
                world.mount(name, None)
                after(down_ms * 1_000, world.boot, name)
            case BitRot() | RestoredCopy():
                self._put_back(fault)
            case LyingSync(program=name):
                world.disks[name].lies = True
                after(fault.for_ms * 1_000, self._expose, fault)
            case Partition():
                world.network.part(fault)
                after(fault.for_ms * 1_000, world.network.join, fault)
            case HangUp(program=name):
                world.network.hang_up(name)
            case Stall():
                world.network.stall(fault)
            case Scramble():
                world.network.scramble(fault)
                after(fault.for_ms * 1_000, world.network.unscramble, fault)
            case SlowLinks():
                world.network.slow(fault)
                after(fault.for_ms * 1_000, world.network.unslow, fault)
            case ClockStep(program=name):
                world.clocks[name].step_ms += fault.step_ms
                after(fault.for_ms * 1_000, self._set_right, fault)
            case ClockDrift(program=name):
                world.clocks[name].drift(fault.ppm, world.agenda.now_us)
            case HostileHub(program=name):
                self._let_lie(fault)
            case HostileMember(program=name):
                self.heard[name] = deque(maxlen=HEARD_MAX)
                if fault.mischief is Mischief.HOARD:
                    self._let_lie(HostileHub(fault.at_ms, name, fault.for_ms, HubLie.NO_CUSTODY, 100))
                self._mischief((fault, world.agenda.now_us + fault.for_ms * 1_000))
            case Suspension():
                self._suspend(fault.member)
            case Theft():
                self._steal(fault)

    def _note(self, fault: Fault) -> None:
        sight = self._world.sight
        sight.troubled_until_us = max(sight.troubled_until_us, end_of(fault) * 1_000 + AFTERMATH_US)
        self._world.marks[f"fault: {fault.__struct_config__.tag}"] += 1
        named = (getattr(fault, name, ()) for name in ("program", "sender", "receiver", "member", "accomplice"))
        struck = [one for one in named if one] + [*getattr(fault, "here", ()), *getattr(fault, "there", ())]
        for name in struck:
            sight.disturbed_us[name] = max(sight.disturbed_us.get(name, 0), end_of(fault) * 1_000)

    # Disks and clocks.

    def _lose_power(self, fault: PowerLoss) -> None:
        self._world.kill(fault.program, pending_is_kept=fault.kept)
        self._world.marks["the power went during a commit"] += 1
        self._world.agenda.after(fault.down_ms * 1_000, self._world.boot, fault.program)

    def _make_room(self, name: str) -> None:
        self._world.disks[name].is_full = False

    def _quicken(self, name: str) -> None:
        self._world.disks[name].delay_us = 0

    def _copy(self, fault: RestoredCopy | BitRot) -> None:
        """Copy a node's disk as it is between two turns: a copy of an open database holds what was committed."""
        disk = self._world.disks[fault.program]
        if not isinstance(disk.memory, PlainNodeMemory):
            return
        if disk.is_at_rest:
            self._copies[id(fault)] = deepcopy(disk.memory)
        else:
            self._world.agenda.after(COPY_AGAIN_US, self._copy, fault)

    def _put_back(self, fault: RestoredCopy | BitRot) -> None:
        world, name = self._world, fault.program
        world.kill(name)
        copy = self._copies.pop(id(fault), None)
        if name in world.hubs or copy is not None:
            world.mount(name, copy)
        world.agenda.after(fault.down_ms * 1_000, world.boot, name)

    def _set_right(self, fault: ClockStep) -> None:
        self._world.clocks[fault.program].step_ms -= fault.step_ms

    def _expose(self, fault: LyingSync) -> None:
        self._world.kill(fault.program)
        self._world.agenda.after(fault.down_ms * 1_000, self._world.boot, fault.program)

    # Who deceives.

    def _let_lie(self, fault: HostileHub) -> None:
        world, name = self._world, fault.program
        purpose = f"hostile/{fault.at_ms}/{name}"
        papers = b""
        if fault.lie is HubLie.FORGE_DIRECTORY:
            papers = world.authority.forged(world.wall, holders=1)
        elif fault.lie is HubLie.FORK_DIRECTORY:
            papers = world.authority.forged(world.wall, holders=2)
        self._throw_out(name)
        cards = world.disks[name].memory.cards() if fault.lie is HubLie.FORGE_CARDS else ()
        self.liars[name] = Liar(
            fault,
            world.authority.identity(name),
            luck(world.seed, purpose),
            Entropy(world.seed, purpose),
            cards=cards,
            papers=papers,
            wall=world.wall,
        )
        world.sight.hostile_keys.update(self.liars[name].kids)
        world.agenda.after(fault.for_ms * 1_000, self._end_lie, fault)

    def _end_lie(self, fault: HostileHub) -> None:
        liar = self.liars.get(fault.program)
        if liar is not None and liar.fault is fault:
            self._throw_out(fault.program)

    def _throw_out(self, name: str) -> None:
        liar = self.liars.pop(name, None)
        if liar is not None:
            who = "a hub" if name in self._world.hubs else "a member"
            self._world.marks[f"{who} lied: {liar.fault.lie.value}"] += liar.lies
            self._world.network.hang_up(name)

    def _mischief(self, event: tuple[HostileMember, int]) -> None:
        fault, until_us = event
        world, name = self._world, fault.program
        if world.agenda.now_us >= until_us:
            self.heard.pop(name, None)
            world.network.hang_up(name)
            return
        chance = luck(world.seed, f"mischief/{name}/{world.agenda.now_us}")
        links = list(world.network.links_of(name))
        heard = self.heard.setdefault(name, deque(maxlen=HEARD_MAX))
        if fault.mischief is Mischief.FLOOD:
            world.workload.flood(name, fault.per_s)
        for _ in range(fault.per_s if links else 0):
            link, there = chance.choice(links)
            if fault.mischief is Mischief.GARBAGE:
                world.network.inject(name, link, chance.randbytes(chance.randint(0, 200)))
            elif fault.mischief is Mischief.REPLAY:
                past = [data for receiver, data in heard if receiver == there]
                if past:
                    world.network.inject(name, link, chance.choice(past))
            elif fault.mischief is Mischief.IMPERSONATE:
                self._impersonate(name, link, there, chance)
        world.agenda.after(1_000_000, self._mischief, event)

    def _impersonate(self, name: str, link: LinkId, there: str, chance: Random) -> None:
        world = self._world
        session = session_heard(self.heard[name], there)
        memory = world.disks[name].memory
        cards = memory.cards() if isinstance(memory, PlainNodeMemory) else ()
        parcel = impersonated(
            name,
            world.authority.watched(name, world.sight.signed),
            cards,
            wall=world.wall,
            chance=chance,
            entropy=chance.randbytes,
            cipher=cipher_of(world.scenario.crypto),
        )
        if session is not None and parcel is not None:
            world.marks["a member spoke in another's name"] += 1
            world.network.inject(name, link, encode_frame(Put(session, (parcel,))))

    # The authority, and what is stolen.

    def _suspend(self, member: str) -> None:
        world = self._world
        before = world.authority.trust
        world.authority.suspend(MemberCode(member), world.wall)
        if world.authority.trust is not before:
            world.sight.suspended[member] = world.authority.trust.directory.version
            world.publish()

    def _steal(self, fault: Theft) -> None:
        world = self._world
        thief = Thief(
            fault.member,
            world.authority.watched(fault.member, world.sight.signed),
            world.authority.link_key(fault.member),
            Entropy(world.seed, f"theft/{fault.at_ms}/{fault.member}"),
            cipher_of(world.scenario.crypto),
        )
        self.heard.setdefault(fault.accomplice, deque(maxlen=HEARD_MAX))
        world.agenda.after(fault.for_ms * 1_000 // 3, self._rekey, (fault, thief))
        self._use_stolen((fault, thief, world.agenda.now_us + fault.for_ms * 1_000))

    def _rekey(self, event: tuple[Theft, Thief]) -> None:
        fault, thief = event
        world, member = self._world, fault.member
        world.kill(member)
        memory = world.disks[member].memory
        if isinstance(memory, PlainNodeMemory):
            world.sight.void.update(memory.messages[one.n].sid for one in memory.unsettled())
        world.authority.rekey(MemberCode(member), world.wall)
        world.sight.rekeyed[thief.link_key] = world.authority.trust.directory.version
        world.publish()
        world.agenda.after(fault.down_ms * 1_000, world.boot, member)

    def _use_stolen(self, event: tuple[Theft, Thief, int]) -> None:
        """Say something in the member's name: by an accomplice's link, and on one that the stolen key had opened."""
        fault, thief, until_us = event
        world = self._world
        if world.agenda.now_us >= until_us:
            self.heard.pop(fault.accomplice, None)
            world.network.hang_up(fault.accomplice)
            return
        memory = world.disks[fault.accomplice].memory
        cards = memory.cards() if isinstance(memory, PlainNodeMemory) else ()
        heard = self.heard.get(fault.accomplice, ())
        for link, there in list(world.network.links_of(fault.accomplice)):
            session, letter = session_heard(heard, there), thief.letter(cards, world.wall)
            card = thief.card(cards, world.wall, is_last=fault.at_ms % 2 == 0)
            if session is not None and card is not None:
                world.marks["a thief published a keycard"] += 1
                world.network.inject(fault.accomplice, link, encode_frame(Cards(session, (card,))))
            if session is not None and letter is not None:
                world.sight.stolen[letter.sid] = thief.link_key
                world.network.inject(fault.accomplice, link, encode_frame(Put(session, (letter.parcel,))))
        if world.authority.link_key(fault.member) != thief.link_key:  # before that, it would be the member itself
            self._knock(fault, thief, cards)
        world.agenda.after(1_000_000, self._use_stolen, event)

    def _knock(self, fault: Theft, thief: Thief, cards: Sequence[bytes]) -> None:
        world = self._world
        letter = thief.letter(cards, world.wall)
        if letter is None:
            return
        world.sight.stolen_bodies[letter.parcel.body[:32]] = thief.link_key
        for hub in world.hubs:
            program = world.programs.get(hub)
            if program is not None:
                self._on_links += 1
                link = LinkId(b"\1" + self._on_links.to_bytes(4))
                for frame in thief.frames(letter, program.now.wall):
                    world.sight.foreign_sessions.add(frame.session)
                    program.take(FrameArrived(link, thief.link_key, encode_frame(frame)))


AFTERMATH_US: Final = 45_000_000
TORN_US: Final = 500
COPY_AGAIN_US: Final = 7_000
HEARD_MAX: Final = 256
