"""Watch P3, P4 and P5: nothing accepted is lost, nothing comes twice, every question ends in its time."""

from __future__ import annotations

from typing import ClassVar, Final

from i247_node.commands import Accepted, ConversationMoved
from i247_node.records import (
    ConversationState,
    DeliveryState,
    KeepConversation,
    KeepDelivery,
    KeepEntry,
)
from i247_protocol.names import MINUTE_MS, EvidenceId, MemberCode
from i247_simulations.checkers.watching import Checker, Sight
from i247_simulations.disk import Memory
from i247_simulations.node_memory import OPEN, PlainNodeMemory
from i247_simulations.programs import Program


class NothingLost(Checker):
    """What a user was told is accepted is saved; what counts as delivered is saved by its recipient."""

    promise = "P3"
    looks_at: ClassVar[dict[str, frozenset[type]]] = {
        "durable": frozenset({KeepEntry, KeepDelivery}),
        "told": frozenset({Accepted}),
    }

    def __init__(self, sight: Sight) -> None:
        super().__init__(sight)
        self._has: dict[str, set[bytes]] = {}
        self._gone: dict[str, set[bytes]] = {}
        """What a member had, and lost with its disk: no network can keep that."""
        self._accepted: list[tuple[str, bytes]] = []

    def durable(self, program: Program, record: object) -> None:
        """Compare a delivery with what its recipient has saved."""
        if isinstance(record, KeepEntry):
            self._has.setdefault(program.name, set()).add(record.entry.sid)
        elif isinstance(record, KeepDelivery):
            self._moved(program, record)

    def told(self, program: Program, news: object) -> None:
        """Compare a promise with what is saved."""
        if isinstance(news, Accepted) and news.sid:
            self._accepted.append((program.name, news.sid))
            if news.sid not in self.sight.sent:
                self.broken(program.name, "a message was accepted that is not saved", news.sid)

    def restored(self, name: str, before: Memory, after: Memory) -> None:
        """Count as gone what a member's own disk does not have any more."""
        if not isinstance(after, PlainNodeMemory):
            return
        has: set[bytes] = {entry.sid for entry in after.entries.values()}
        self._gone.setdefault(name, set()).update(self._has.get(name, set()) - has)
        self._has[name] = has
        kept = {message.sid for message in after.messages.values()}
        self._accepted = [one for one in self._accepted if one[0] != name or one[1] in kept]

    def finish(self) -> None:
        """Compare all deliveries with what lies on the recipients' disks now."""
        has: dict[str, set[bytes]] = {}
        memories: dict[str, PlainNodeMemory] = {}
        for name, disk in self.sight.disks.items():
            if isinstance(disk.memory, PlainNodeMemory):
                memories[name] = disk.memory
                has[name] = {entry.sid for entry in disk.memory.entries.values()}
        for name, sid in self._accepted:
            if memories[name].outgoing_by_sid(sid) is None:  # type: ignore[arg-type]  # an evidence id as bytes
                self.broken(name, "a message that was accepted is not on disk any more", sid)
        for name, memory in memories.items():
            for (n, recipient), delivery in memory.delivered.items():
                sid = memory.messages[n].sid
                had = has[recipient] | self._gone.get(recipient, set())
                if delivery.state is DeliveryState.DELIVERED and sid not in had:
                    self.broken(name, f"delivered to {recipient}, on whose disk it is not", sid)

    def _moved(self, program: Program, record: KeepDelivery) -> None:
        delivery = record.delivery
        if delivery.state not in (DeliveryState.DELIVERED, DeliveryState.EXPIRED):
            return
        memory = program.disk.memory
        message = memory.outgoing(delivery.n) if isinstance(memory, PlainNodeMemory) else None
        if message is None:
            self.broken(program.name, "a delivery without its message")
        elif delivery.state is DeliveryState.EXPIRED:
            if message.exp * MINUTE_MS > delivery.at:
                self.broken(program.name, f"given up for {delivery.recipient} before it expired", message.sid)
        elif not any(message.sid in had.get(delivery.recipient, ()) for had in (self._has, self._gone)):
            what = f"counted as delivered to {delivery.recipient}, which has not saved it"
            self.broken(program.name, what, message.sid)


class OnlyOnce(Checker):
    """One message of one sender is one entry, whatever crashes and repeats."""

    promise = "P4"
    looks_at: ClassVar[dict[str, frozenset[type]]] = {"durable": frozenset({KeepEntry})}

    def __init__(self, sight: Sight) -> None:
        super().__init__(sight)
        self._entries: dict[tuple[str, str, bytes], tuple[int, EvidenceId]] = {}
        self._lost: set[tuple[str, str, bytes]] = set()
        """What a recipient's disk does not have any more."""
        self._expected: set[tuple[str, str, bytes]] = set()
        """Which of these may come once more: their author had no receipt when either disk was put back."""

    def durable(self, program: Program, record: object) -> None:
        """Compare an entry with those before."""
        if not isinstance(record, KeepEntry):
            return
        entry = record.entry
        key = program.name, entry.sender, entry.id
        before, _ = self._entries.get(key, (entry.n, entry.sid))
        if before != entry.n and key not in self._expected:
            self.broken(program.name, f"a message of {entry.sender} came through twice", entry.sid)
        self._entries[key] = entry.n, entry.sid
        self._lost.discard(key)
        self._expected.discard(key)

    def restored(self, name: str, before: Memory, after: Memory) -> None:
        """Let an entry come once more that an old disk does not have, where its author has no receipt for it."""
        if not isinstance(after, PlainNodeMemory):
            return
        kept = {(name, str(entry.sender), bytes(entry.id)) for entry in after.entries.values()}
        self._lost.update(key for key in self._entries if key[0] == name and key not in kept)
        for key in self._lost:
            recipient, sender, _ = key
            if name in (recipient, sender) and not self._is_acknowledged(recipient, sender, self._entries[key][1]):
                self._expected.add(key)

    def _is_acknowledged(self, recipient: str, sender: str, sid: EvidenceId) -> bool:
        disk = self.sight.disks.get(sender)
        if disk is None or not isinstance(disk.memory, PlainNodeMemory):
            return False
        message = disk.memory.outgoing_by_sid(sid)
        delivery = None if message is None else disk.memory.delivery(message.n, MemberCode(recipient))
        return delivery is not None and delivery.state is DeliveryState.DELIVERED


class EveryQuestionEnds(Checker):
    """A question ends once, by its time, and not before without an answer."""

    promise = "P5"
    looks_at: ClassVar[dict[str, frozenset[type]]] = {
        "durable": frozenset({KeepConversation}),
        "told": frozenset({ConversationMoved}),
    }

    def __init__(self, sight: Sight) -> None:
        super().__init__(sight)
        self._began_us: dict[bytes, int] = {}
        self._ended: dict[tuple[str, bytes], ConversationState] = {}

    def durable(self, program: Program, record: object) -> None:
        """Watch a conversation move."""
        if not isinstance(record, KeepConversation):
            return
        key = program.name, record.conv
        if key in self._ended and record.state is not self._ended[key]:
            self.broken(program.name, "a conversation that had ended moved again")
        began_us = self._began_us.setdefault(record.conv, self.sight.now_us())
        if record.state in OPEN:
            return
        self._ended[key] = record.state
        late_ms = program.now.wall - record.reply_by
        if record.state is ConversationState.EXPIRED and self._is_undisturbed(program, began_us):
            if late_ms > LATE_MS_MAX:
                self.broken(program.name, f"a question ended {late_ms} ms after its time")
            if late_ms < -EARLY_MS_MAX:
                self.broken(program.name, f"a question was given up {-late_ms} ms before its time")

    def told(self, program: Program, news: object) -> None:
        """Compare news with what is saved."""
        if not isinstance(news, ConversationMoved) or news.state in OPEN:
            return
        if (program.name, news.conv) not in self._ended:
            self.broken(program.name, "the end of a question was told that is not saved")

    def restored(self, name: str, before: Memory, after: Memory) -> None:
        """Let those questions end again whose end is not on the disk any more."""
        if isinstance(after, PlainNodeMemory):
            ended = {conv for conv, one in after.conversations.items() if one.state not in OPEN}
            for key in [key for key in self._ended if key[0] == name and key[1] not in ended]:
                del self._ended[key]

    def finish(self) -> None:
        """Look for questions without an end."""
        for name, disk in self.sight.disks.items():
            memory, program = disk.memory, self.sight.programs.get(name)
            if not isinstance(memory, PlainNodeMemory) or program is None:
                continue
            for one in memory.open_conversations():
                if one.reply_by + LATE_MS_MAX < program.now.wall:
                    self.broken(name, "a question has no end although its time is over")

    def _is_undisturbed(self, program: Program, since_us: int) -> bool:
        return self.sight.disturbed_us.get(program.name, -1) < since_us and program.began_us < since_us


LATE_MS_MAX: Final = 3_000
EARLY_MS_MAX: Final = 100
