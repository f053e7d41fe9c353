"""Tell the life of one message: who did what to it, when.

A run that fails is run once more from the same seed with one message followed, so that no run has to remember them all.
"""

from __future__ import annotations

from i247_hub.records import HandedOn, Hold
from i247_node.records import KeepDelivery, KeepEntry, KeepOutgoing, Quarantine
from i247_protocol.names import EnvelopeId
from i247_simulations.checkers.watching import Checker, Sight
from i247_simulations.node_memory import PlainNodeMemory
from i247_simulations.programs import Program
from i247_simulations.results import Life, Moment


class Follower(Checker):
    """Writes down what becomes of one message."""

    def __init__(self, sight: Sight, sid: bytes) -> None:
        super().__init__(sight)
        self._sid = sid
        self._envelopes: set[EnvelopeId] = set()
        self._moments: list[Moment] = []

    @property
    def life(self) -> Life:
        """What was seen so far."""
        sender, _, to, kind, _ = self.sight.sent.get(self._sid, ("", 0, (), "", 0))
        return Life(self._sid.hex(), kind, sender, to, tuple(self._moments))

    def durable(self, program: Program, record: object) -> None:
        """Look whether a record is about it."""
        match record:
            case KeepOutgoing(message, deliveries) if message.sid == self._sid:
                self._envelopes.update(one.envelope for one in deliveries if one.envelope is not None)
                self._note(program, f"saved by its sender, for {' '.join(message.to)}")
            case KeepDelivery(delivery) if self._is_it(program, delivery.n):
                if delivery.envelope is not None:
                    self._envelopes.add(delivery.envelope)
                reason = "" if delivery.reason is None else f", {delivery.reason}"
                self._note(program, f"for {delivery.recipient}: {delivery.state.value}{reason}")
            case Hold(rows) if rows[0].envelope in self._envelopes:
                for row in rows:
                    self._note(program, f"held for {' '.join(row.recipients)}, next place {row.hop.text}")
            case HandedOn(hop, _, _, passed):
                for one in passed:
                    if one.envelope in self._envelopes:
                        self._note(program, f"handed on to {hop} for {one.recipient}")
            case KeepEntry(entry) if entry.sid == self._sid:
                self._note(program, f"taken by its recipient as entry {entry.n}, {entry.state.value}")
            case Quarantine() if record.envelope in self._envelopes:
                self._note(program, f"put in quarantine, {record.reason}")
            case _:
                pass

    def _is_it(self, program: Program, n: int) -> bool:
        memory = program.disk.memory
        message = memory.outgoing(n) if isinstance(memory, PlainNodeMemory) else None
        return message is not None and message.sid == self._sid

    def _note(self, program: Program, what: str) -> None:
        self._moments.append(Moment(self.sight.now_us() // 1_000, program.name, what))
