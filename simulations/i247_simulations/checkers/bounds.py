"""Watch P9, P10 and P11, and that the world comes to rest: lanes and haste, credit and tables, chains, storms."""

from __future__ import annotations

from collections import deque
from typing import ClassVar, Final, TypeVar

from i247_hub.machine import HubMachine
from i247_node.commands import Accepted, AskQuestion, Command, ConversationMoved, Declined
from i247_node.records import ConversationState, DeliveryState, KeepAudit, KeepEntry
from i247_protocol.audit import record_digest, verify_chain
from i247_protocol.errors import PeerFault
from i247_protocol.frames import Ask, Credit, Hello, Put
from i247_protocol.header import parse_header
from i247_protocol.limits import EXPIRED_ROWS_IN_TURN_MAX, SESSIONS_MAX
from i247_protocol.machine import Claim, Effect, Forward, LinkId
from i247_protocol.names import MINUTE_MS
from i247_protocol.priority import Lane, Priority, lane_of
from i247_simulations.checkers.watching import Checker, Sight
from i247_simulations.disk import Memory
from i247_simulations.hub_memory import PlainHubMemory
from i247_simulations.node_memory import PlainNodeMemory
from i247_simulations.programs import Program

K = TypeVar("K")


class UrgentFirst(Checker):
    """Each priority uses its own connection, and in a calm world nothing urgent waits."""

    promise = "P9"
    looks_at: ClassVar[dict[str, frozenset[type]]] = {"effect": frozenset({Put}), "durable": frozenset({KeepEntry})}

    def effect(self, program: Program, effect: Effect) -> None:
        """Compare an envelope's priority with the lane that it goes by."""
        if not isinstance(effect, Claim | Forward) or not isinstance(effect.frame, Put):
            return
        lane = _lane(program, effect.link)
        for parcel in effect.frame.parcels:
            if lane is not None and lane_of(parse_header(parcel.header).prio) is not lane:
                self.broken(program.name, f"an envelope of another lane was put on {lane.value}")

    def durable(self, program: Program, record: object) -> None:
        """Compare an urgent message's journey with the time that it may take."""
        if not isinstance(record, KeepEntry) or record.entry.prio is not Priority.URGENT:
            return
        sent = self.sight.sent.get(record.entry.sid)
        took_us = 0 if sent is None else self.sight.now_us() - sent[1]
        if sent is not None and took_us > URGENT_US_MAX and sent[1] > self.sight.troubled_until_us:
            self.broken(program.name, f"an urgent message took {took_us // 1_000} ms in a calm world", record.entry.sid)


class Bounded(Checker):
    """Nobody puts more than the other side's credit; sessions and expired rows do not pile up."""

    promise = "P10"
    looks_at: ClassVar[dict[str, frozenset[type]]] = {"effect": frozenset({Hello, Credit, Put})}

    def __init__(self, sight: Sight) -> None:
        super().__init__(sight)
        self._granted: dict[tuple[bytes, str], int] = {}
        self._put: dict[tuple[bytes, str], int] = {}
        self._sides: dict[bytes, list[str]] = {}

    def effect(self, program: Program, effect: Effect) -> None:
        """Count what is granted, and what is put."""
        if not isinstance(effect, Claim | Forward):
            return
        frame = effect.frame
        match frame:
            case Hello():
                sides = self._sides.setdefault(frame.session, [])
                if program.name not in sides:
                    sides.append(program.name)
                    self._granted[frame.session, program.name] = frame.window_messages
                elif program.is_hub:  # somebody greets in a session that was over: its credit is counted anew
                    self._put.pop((frame.session, program.name), None)
            case Credit():
                key = frame.session, program.name
                self._granted[key] = max(self._granted.get(key, 0), frame.total_messages)
            case Put():
                key = frame.session, program.name
                self._put[key] = self._put.get(key, 0) + len(frame.parcels)
                if frame.session in self.sight.foreign_sessions:
                    return
                other = next((name for name in self._sides.get(frame.session, ()) if name != program.name), None)
                if other is None or self._put[key] > self._granted[frame.session, other]:
                    self.broken(program.name, "more was put than the other side had granted")
                elif self._put[key] == self._granted[frame.session, other]:
                    self.sight.marks["all credit was used"] += 1
            case _:
                pass

    def turned(self, program: Program) -> None:
        """Count sessions."""
        if isinstance(program.machine, HubMachine) and len(program.machine.connections) > SESSIONS_MAX:
            self.broken(program.name, "there are more sessions than may be")

    def finish(self) -> None:
        """Look for what should have been dropped."""
        for name, disk in self.sight.disks.items():
            program = self.sight.programs.get(name)
            if isinstance(disk.memory, PlainHubMemory) and program is not None:
                oldest = disk.memory.oldest_expiry()
                late = oldest is not None and oldest * MINUTE_MS < program.now.wall - EXPIRED_MS_MAX
                if late and disk.memory.rows < EXPIRED_ROWS_IN_TURN_MAX:
                    self.broken(name, "an envelope is still held that has long expired")


class TrailHolds(Checker):
    """Audit records follow one another without a gap, on disk and from life to life."""

    promise = "P11"
    looks_at: ClassVar[dict[str, frozenset[type]]] = {"durable": frozenset({KeepAudit}), "told": frozenset({Accepted})}

    def __init__(self, sight: Sight) -> None:
        super().__init__(sight)
        self._ends: dict[str, tuple[int, bytes]] = {}
        self._traced: set[bytes] = set()

    def durable(self, program: Program, record: object) -> None:
        """Compare a record with the one before."""
        if not isinstance(record, KeepAudit):
            return
        n, before = self._ends.get(program.name, (0, b""))
        if record.n != n + 1 or (before and before not in record.data):
            self.broken(program.name, f"audit record {record.n} does not follow record {n}")
        self._ends[program.name] = record.n, record_digest(record.data)
        self._traced.add(record.sid)

    def restored(self, name: str, before: Memory, after: Memory) -> None:
        """Go on from where the chain of another disk ends."""
        last = after.audit[-1] if isinstance(after, PlainNodeMemory) and after.audit else None
        self._ends[name] = (0, b"") if last is None else (last.n, record_digest(last.data))

    def told(self, program: Program, news: object) -> None:
        """Look for the trace of what was accepted."""
        if isinstance(news, Accepted) and news.sid and news.sid not in self._traced:
            self.broken(program.name, "a message was accepted without a trace", news.sid)

    def finish(self) -> None:
        """Verify every chain whole."""
        for name, disk in self.sight.disks.items():
            if isinstance(disk.memory, PlainNodeMemory):
                try:
                    verify_chain(record.data for record in disk.memory.audit)
                except PeerFault:
                    self.broken(name, "the chain of audit records is broken")


class NoStorm(Checker):
    """Nobody asks or repeats without pause: counted for each node and member, over five minutes."""

    promise = "P10"
    looks_at: ClassVar[dict[str, frozenset[type]]] = {"effect": frozenset({Ask, Put})}

    def __init__(self, sight: Sight) -> None:
        super().__init__(sight)
        self._asks: dict[tuple[str, str], deque[int]] = {}
        self._puts: dict[tuple[str, bytes], deque[int]] = {}

    def effect(self, program: Program, effect: Effect) -> None:
        """Count."""
        if program.is_hub or not isinstance(effect, Claim):
            return
        match effect.frame:
            case Ask(pairs=pairs):
                for member in dict.fromkeys(member for pair in pairs for member in pair.recipients):
                    if self._too_many(self._asks, (program.name, member), ASKS_MAX):
                        self.broken(program.name, f"{member} was asked after more than {ASKS_MAX} times in 5 minutes")
            case Put(parcels=parcels):
                for parcel in parcels:
                    if self._too_many(self._puts, (program.name, parcel.body[:32]), PUTS_MAX):
                        self.broken(program.name, f"one envelope was put more than {PUTS_MAX} times in 5 minutes")
            case _:
                pass

    def _too_many(self, table: dict[K, deque[int]], key: K, most: int) -> bool:
        now = self.sight.now_us()
        times = table.setdefault(key, deque(maxlen=most + 1))
        times.append(now)
        return len(times) > most and now - times[0] < WINDOW_US


class ComesToRest(Checker):
    """Once everything is healed, all that was accepted ends, and whoever asks is answered."""

    promise = "P5"
    looks_at: ClassVar[dict[str, frozenset[type]]] = {"told": frozenset({Accepted, Declined, ConversationMoved})}

    def __init__(self, sight: Sight) -> None:
        super().__init__(sight)
        self._probes: dict[tuple[str, int], Command] = {}
        self._convs: dict[bytes, AskQuestion] = {}

    def commanded(self, program: Program, command: Command) -> None:
        """Note a question that is put in a calm world."""
        if isinstance(command, AskQuestion) and self.sight.is_calm():
            self._probes[program.name, command.token] = command

    def told(self, program: Program, news: object) -> None:
        """See what becomes of it."""
        match news:
            case Accepted() if isinstance(asked := self._probes.get((program.name, news.token)), AskQuestion):
                self._convs[news.conv] = asked
            case Declined() if (program.name, news.token) in self._probes:
                command = self._probes[program.name, news.token]
                if isinstance(command, AskQuestion) and self._both_speak(program.name, command):
                    self.broken(program.name, f"a question was declined in a calm world: {news.fault.hint}")
            case ConversationMoved() if news.conv in self._convs:
                command = self._convs[news.conv]
                is_bad = news.state in (ConversationState.EXPIRED, ConversationState.REFUSED)
                if is_bad and self._both_speak(program.name, command) and self.sight.is_calm():
                    self.broken(program.name, f"a question to {news.to} was {news.state.value} in a calm world")
            case _:
                pass

    def finish(self) -> None:
        """Look for messages that have not ended, for what failed where nothing was wrong, and who is behind."""
        newest = self.sight.newest_roster()
        for name, program in self.sight.programs.items():
            if program.machine.trust.directory.version != newest:
                self.broken(name, f"roster {newest} is not held, long after it was published")
        for name, disk in self.sight.disks.items():
            memory = disk.memory
            if not isinstance(memory, PlainNodeMemory) or name in self.sight.suspended:
                continue
            for delivery in memory.unsettled():
                message = memory.messages[delivery.n]
                if delivery.recipient not in self.sight.suspended and message.sid not in self.sight.void:
                    self.broken(name, f"a message to {delivery.recipient} is still {delivery.state.value}", message.sid)
            if self.sight.no_faults:
                for delivery in memory.delivered.values():
                    if delivery.state in (DeliveryState.EXPIRED, DeliveryState.REFUSED):
                        message = memory.messages[delivery.n]
                        what = f"a message to {delivery.recipient} was {delivery.state.value}, and nothing was wrong"
                        self.broken(name, what, message.sid)

    def _both_speak(self, asker: str, command: AskQuestion) -> bool:
        return asker not in self.sight.suspended and command.to not in self.sight.suspended


def _lane(program: Program, link: LinkId) -> Lane | None:
    if link.startswith(b"hub:"):
        return Lane(link.rsplit(b":", 1)[1].decode())
    if isinstance(program.machine, HubMachine):
        connection = program.machine.connections.on(link)
        return None if connection is None else connection.lane
    return None


URGENT_US_MAX: Final = 2_500_000
EXPIRED_MS_MAX: Final = MINUTE_MS
WINDOW_US: Final = 5 * 60 * 1_000_000
ASKS_MAX: Final = 40
PUTS_MAX: Final = 60
