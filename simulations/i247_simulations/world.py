"""Join everything: programs, network, disks, clocks, users, the authority, and what goes wrong, under one agenda.

A history is fixed by scenario, seed and plan. It has four phases: warm-up, chaos, healing, and quiet, in which nothing
new is said but a last round of questions, and all must come to its end. docs/simulation.md 1.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache, partial
from hashlib import blake2b
from typing import Final

from i247_hub.machine import HubMachine
from i247_keys.trust import Trust
from i247_node.commands import Command, LookUp, LookupFinished
from i247_node.machine import NodeMachine
from i247_node.records import KeepOutgoing
from i247_node.registers import Finding
from i247_protocol.machine import Admit, Dial, DirectoryGiven, FrameArrived, LinkLost, LinkUp
from i247_protocol.names import HubName, MemberCode, WallMs
from i247_protocol.queries import Status
from i247_simulations.acquaintance import acquaint
from i247_simulations.agenda import Agenda
from i247_simulations.audience import Audience
from i247_simulations.checkers.bounds import Bounded, ComesToRest, NoStorm, TrailHolds, UrgentFirst
from i247_simulations.checkers.keeping import EveryQuestionEnds, NothingLost, OnlyOnce
from i247_simulations.checkers.numbers import NumbersEnd, missing
from i247_simulations.checkers.secrecy import SenderUnknown
from i247_simulations.checkers.sizes import TablesBounded
from i247_simulations.checkers.truth import GoodStanding, NothingLeaks, TrueWords, TrustGrows
from i247_simulations.checkers.watching import Checker, Sight
from i247_simulations.clocks import START, Clock
from i247_simulations.crypto import cipher_of, shared_card_file
from i247_simulations.disk import Disk, Memory
from i247_simulations.faults import Fault
from i247_simulations.hub_memory import PlainHubMemory
from i247_simulations.latency import Ways
from i247_simulations.life import Follower
from i247_simulations.measures import Measures
from i247_simulations.network import Network
from i247_simulations.node_memory import PlainNodeMemory
from i247_simulations.plants import Plant
from i247_simulations.population import Authority
from i247_simulations.programs import Program
from i247_simulations.results import Phase
from i247_simulations.scenario import Scenario
from i247_simulations.streams import Entropy, luck
from i247_simulations.troubles import AFTERMATH_US, Troubles
from i247_simulations.workload import Workload, open_policy, registers_of


class World:
    """One run."""

    def __init__(
        self,
        scenario: Scenario,
        seed: int,
        plan: Sequence[Fault],
        plant: Plant | None = None,
        follow: bytes = b"",
    ) -> None:
        self.scenario = scenario
        self.seed = seed
        self.agenda = Agenda()
        self.programs: dict[str, Program] = {}
        self.disks: dict[str, Disk] = {}
        self.phases: list[Phase] = []
        self.marks: Counter[str] = Counter()
        self.counters: dict[str, Counter[str]] = {name: Counter() for name in (*scenario.hubs, *scenario.members)}
        self.turns = 0
        self.authority = Authority(seed, scenario, START)
        self.network = Network(seed, self.agenda, self, Ways(seed, scenario.latency, scenario.places))
        self.sight = Sight(
            now_us=lambda: self.agenda.now_us,
            programs=self.programs,
            disks=self.disks,
            newest_roster=lambda: self.authority.trust.directory.version,
            no_faults=not plan,
            marks=self.marks,
        )
        self.workload = Workload(seed, scenario, self.agenda, self)
        self.measures = Measures(self.sight)
        self.follower = Follower(self.sight, follow)
        self._plan = plan
        self._plant = plant or Plant("", "", ())
        self._boots = Counter[str]()
        self._lives: dict[str, Program] = {}
        self._chance = luck(seed, "disks")
        self._incarnations = dict.fromkeys(scenario.members, 1)
        self._renewed: set[str] = set()
        self.clocks = {name: Clock(START, luck(seed, f"clock/{name}").randint(-500, 500)) for name in self.counters}
        self._registers = {code: registers_of(code) for code in scenario.members}
        self._troubles = Troubles(self, plan)
        self._liars = self._troubles.liars
        self._heard = self._troubles.heard
        self._trace = blake2b(digest_size=16, person=b"i247/trace")
        self._frames: Counter[str] = Counter()
        watchers: list[Checker] = [kind(self.sight) for kind in CHECKERS]
        watchers += [self.measures, self.follower] if follow else [self.measures]
        self._on_command = _those(watchers, "commanded")
        self._on_effect = Audience(_that(watchers, "effect"), "effect")
        self._on_durable = Audience(_that(watchers, "durable"), "durable")
        self._on_told = Audience(_that(watchers, "told"), "told")
        self._on_frame = _those(watchers, "frame")
        self._on_turn = _those(watchers, "turned")
        self._on_boot = _those(watchers, "booted")
        self._on_restore = _those(watchers, "restored")
        self._at_end = _those(watchers, "finish")

    @property
    def trace(self) -> str:
        """The hash of all that has happened."""
        return self._trace.copy().hexdigest()

    @property
    def is_broken(self) -> bool:
        """Whether a promise has been broken."""
        return bool(self.sight.breaches)

    # The four phases.

    def begin(self) -> None:
        """Let all programs begin, and put down what will happen of itself."""
        scenario = self.scenario
        for name in self.names:
            self.disks[name] = Disk(self._memory(name), partial(self._durable, name))
        if scenario.is_acquainted:
            acquaint(self.authority, scenario, {name: disk.memory for name, disk in self.disks.items()}, self.seed)
        for name in self.names:
            self.boot(name)
        self._troubles.begin()
        self._sample(None)
        self.agenda.at(PULSE_US, self._beat, None)
        self.agenda.at(scenario.warm_ms * 500, lambda _: self.workload.begin(), None)

    def run(self) -> None:
        """Run to the end, or until a promise is broken."""
        scenario = self.scenario
        self.begin()
        self._phase("warm-up", scenario.warm_ms)
        self._phase("chaos", scenario.warm_ms + scenario.chaos_ms)
        self.workload.stop()
        self._heal()
        healed_ms = self.agenda.now_us // 1_000
        self._phase("heal", healed_ms + HEAL_MS)
        if not self.is_broken:
            self.workload.probe()
        self._phase("quiet", self.agenda.now_us // 1_000 + scenario.calm_ms_max, until_still=True)
        self.marks["a connection could take no more"] += self.network.overfull
        for name, program in self.programs.items():
            self.counters[name].update(program.machine.counters.snapshot())
        if not self.is_broken:
            for finish in self._at_end:
                finish()

    @property
    def wall(self) -> WallMs:
        """What a true clock shows."""
        return WallMs(START + self.agenda.now_us // 1_000)

    @property
    def hubs(self) -> tuple[str, ...]:
        """All hubs."""
        return self.scenario.hubs

    @property
    def names(self) -> tuple[str, ...]:
        """All programs, hubs first."""
        return (*self.scenario.hubs, *self.scenario.members)

    def _phase(self, name: str, end_ms: int, *, until_still: bool = False) -> None:
        begin_ms = self.agenda.now_us // 1_000
        while not self.is_broken and self.agenda.now_us < end_ms * 1_000:
            self.agenda.run(min(self.agenda.now_us + LOOK_US, end_ms * 1_000))
            if until_still and self._is_still():
                break
        self.phases.append(Phase(name, begin_ms, self.agenda.now_us // 1_000))

    def _is_still(self) -> bool:
        for name, disk in self.disks.items():
            memory = disk.memory
            if not isinstance(memory, PlainNodeMemory):
                continue
            if name not in self.sight.suspended and any(
                one.recipient not in self.sight.suspended and memory.messages[one.n].sid not in self.sight.void
                for one in memory.unsettled()
            ):
                return False
            if memory.open_conversations():
                return False
        return not any(missing(self.sight))

    # What programs are given.

    def boot_of(self, name: str) -> int | None:
        """Return which life of a program runs."""
        program = self.programs.get(name)
        return None if program is None else program.boot

    def link_key(self, name: str) -> bytes:
        """Return a program's public link key."""
        return self.authority.link_key(name)

    def admits(self, hub: str, key: bytes) -> bool:
        """Whether a hub lets this key in."""
        return key in self.programs[hub].admitted

    def arrived(self, name: str, event: FrameArrived | LinkUp | LinkLost) -> None:
        """Hand an event to a running program."""
        program = self.programs.get(name)
        if program is None:
            return
        liar = self._liars.get(name)
        if liar is not None and isinstance(event, FrameArrived):
            heard, answers = liar.hears(event.data, self.wall)
            for answer in answers:
                self.network.inject(name, event.link, answer)
            for data in heard:
                program.take(FrameArrived(event.link, event.key, data))
            return
        program.take(event)

    def overheard(self, sender: str, receiver: str, data: bytes) -> Iterable[bytes]:
        """Note a frame, and let its sender lie."""
        self._note(sender, data)
        self._frames[sender] += 1
        for see in self._on_frame:
            see(sender, receiver, data)
        heard = self._heard.get(sender)
        if heard is not None:
            heard.append((receiver, data))
        liar = self._liars.get(sender)
        return (data,) if liar is None else liar.sends(data)

    def command(self, member: str, command: Command) -> bool:
        """Give a member's node a command of its user."""
        program = self.programs.get(member)
        if program is None:
            return False
        for see in self._on_command:
            see(program, command)
        program.take(command)
        return True

    # What programs report.

    def said(self, program: Program, news: object) -> None:
        """Take a program's news."""
        match news:
            case Dial(peers):
                self.network.want(program.name, program.boot, peers)
            case Admit(keys):
                program.admitted = keys
            case LookUp():
                self.agenda.after(LOOK_UP_US, self._looked_up, (program, news))
            case _:
                self._note(program.name, repr(news).encode())
                for see in self._on_told[type(news)]:
                    see(program, news)

    def turned(self, program: Program) -> None:
        """See that a turn is over."""
        self.turns += 1
        for see in self._on_turn:
            see(program)

    def failed(self, program: Program) -> None:
        """Let a program end that its disk has failed."""
        self.marks["a commit failed"] += 1
        self.kill(program.name)
        self.agenda.after(self._troubles.down_us.pop(program.name, RESTART_US), self.boot, program.name)

    # Lives.

    def boot(self, name: str) -> None:
        """Begin a program's next life, unless it runs."""
        if name in self.programs:
            return
        disk = self.disks[name]
        self._boots[name] += 1
        boot = self._boots[name]
        program = self.programs[name] = self._lives[name] = Program(
            name,
            boot,
            self._machine(name, boot, disk.memory),
            disk=disk,
            clock=self.clocks[name],
            agenda=self.agenda,
            network=self.network,
            around=self,
            commit_us=self.scenario.commit_us,
            audience=self._on_effect,
            bent=self._plant.bent,
            pump=self._plant.pump,
        )
        for see in self._on_boot:
            see(program)
        program.start()

    def _memory(self, name: str) -> Memory:
        return self._plant.hub_memory() if name in self.scenario.hubs else self._plant.node_memory()

    def _machine(self, name: str, boot: int, memory: Memory) -> HubMachine | NodeMachine:
        identity = self.authority.watched(name, self.sight.signed)
        entropy: Callable[[int], bytes] = Entropy(self.seed, f"entropy/{name}/{boot}")
        if self._plant.entropy is not None:
            entropy = self._plant.entropy(entropy)
        if isinstance(memory, PlainHubMemory):
            trust = self._trust(memory.directory())
            limit = self.scenario.store_bytes_max
            return HubMachine(
                HubName(name),
                identity,
                trust,
                memory,
                entropy,
                store_bytes_max=limit,
                verify=cipher_of(self.scenario.crypto).verify,
            )
        is_renewed = name in self._renewed and not self._plant.trusts_copies
        self._renewed.discard(name)
        return NodeMachine(
            MemberCode(name),
            identity,
            self._trust(memory.trust()),
            memory,
            entropy,
            registers=self._registers[name],
            policy=open_policy(),
            incarnation=self._incarnations[name],
            drop_epoch_secrets=is_renewed,
            cipher=cipher_of(self.scenario.crypto),
            cards=shared_card_file(),
        )

    def _trust(self, saved: bytes | None) -> Trust:
        if saved is None or self._plant.forgets_directory:
            return self.authority.founded
        return _read_trust(self.authority.founded.pin, saved)

    def kill(self, name: str, *, pending_is_kept: bool | None = None) -> None:
        """End a program's life; whether a turn that was just being saved is kept is luck, or as given."""
        program = self.programs.pop(name, None)
        if program is None:
            return
        self.counters[name].update(program.machine.counters.snapshot())
        kept = self._chance.random() < 0.5
        if program.kill(pending_is_kept=kept if pending_is_kept is None else pending_is_kept):
            self.marks["a crash lost a turn"] += 1
        self.network.stopped(name)

    def mount(self, name: str, memory: Memory | None) -> None:
        """Give a program that is down another disk: an empty one, or one with an old state of its own."""
        before = self.disks[name]
        self.disks[name] = Disk(self._memory(name) if memory is None else memory, partial(self._durable, name))
        if name in self._incarnations:
            self._incarnations[name] = max(
                self._incarnations[name] + 1, self.clocks[name].read(self.agenda.now_us).wall // 1_000
            )
            self._renewed.add(name)
        for see in self._on_restore:
            see(name, before.memory, self.disks[name].memory)

    def _durable(self, name: str, records: Sequence[object]) -> None:
        program = self._lives[name]  # the last one: a commit may still be kept while it dies
        for record in records:
            if isinstance(record, KeepOutgoing):
                one = record.message
                to = tuple(str(member) for member in one.to)
                self.sight.sent[one.sid] = (name, self.agenda.now_us, to, one.act.value, one.prio)
            for see in self._on_durable[type(record)]:
                see(program, record)

    def _looked_up(self, event: tuple[Program, LookUp]) -> None:
        program, wanted = event
        if program.runs:
            register = self._registers[program.name].get(wanted.register)
            finding = Finding(Status.NO_HIT, (), None, None) if register is None else register.look_up(wanted.criteria)
            program.take(LookupFinished(wanted.entry, finding))

    # The authority.

    def _beat(self, _: object) -> None:
        self.authority.beat(self.wall)
        self.publish()
        self.agenda.after(PULSE_US, self._beat, None)

    def publish(self) -> None:
        """Lay the authority's newest documents before all hubs."""
        data = self.authority.trust.to_bytes()
        for name in self.scenario.hubs:
            if name in self.programs:
                self.programs[name].take(DirectoryGiven(data))

    def _heal(self) -> None:
        """Let everything be whole again that no fault has ended by itself."""
        self._troubles.heal()
        for name in self.names:
            self.boot(name)
        self.publish()
        if self._plan:
            self.sight.troubled_until_us = max(self.sight.troubled_until_us, self.agenda.now_us + AFTERMATH_US)

    # Notes.

    def _note(self, name: str, data: bytes) -> None:
        self._trace.update(b"%d %s %d " % (self.agenda.now_us, name.encode(), len(data)))
        self._trace.update(data)
        if self._plant.has_no_luck:
            self._trace.update(str(hash(name)).encode())

    def _sample(self, _: object) -> None:
        self.measures.sample({name: self._frames[name] for name in self.scenario.hubs})
        self.agenda.after(self.scenario.sample_ms * 1_000, self._sample, None)


@lru_cache(64)
def _read_trust(pin: bytes, data: bytes) -> Trust:
    # A value that never changes, and reading it verifies hundreds of signatures.
    return Trust.from_bytes(pin, data, START)


def _those(watchers: Iterable[Checker], name: str) -> list[Callable[..., None]]:
    """Return a method of those watchers that have one of their own."""
    return [getattr(one, name) for one in _that(watchers, name)]


def _that(watchers: Iterable[Checker], name: str) -> list[Checker]:
    """Return those watchers that have a method of their own."""
    return [one for one in watchers if getattr(type(one), name) is not getattr(Checker, name)]


CHECKERS: Final[tuple[type[Checker], ...]] = (
    NothingLeaks,
    SenderUnknown,
    TrueWords,
    NothingLost,
    OnlyOnce,
    EveryQuestionEnds,
    GoodStanding,
    TrustGrows,
    UrgentFirst,
    Bounded,
    TablesBounded,
    NoStorm,
    TrailHolds,
    NumbersEnd,
    ComesToRest,
)
LOOK_US: Final = 1_000_000
LOOK_UP_US: Final = 400_000
RESTART_US: Final = 1_000_000
PULSE_US: Final = 6 * 3_600_000_000
HEAL_MS: Final = 60_000
