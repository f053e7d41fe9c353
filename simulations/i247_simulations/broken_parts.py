"""Put broken parts in the place of pump, memory and entropy: the bugs that `plants` can plant there.

docs/simulation.md 7.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

from i247_hub.records import Held
from i247_node.records import (
    KeepSeen,
)
from i247_protocol.bundle import Bundle
from i247_protocol.errors import WorldFault
from i247_protocol.machine import Claim, Effect, Forward, Persist, Tell
from i247_protocol.names import MemberCode, Minutes
from i247_protocol.priority import Priority
from i247_protocol.pump import Pump
from i247_simulations.hub_memory import PlainHubMemory
from i247_simulations.node_memory import PlainNodeMemory
from i247_simulations.undoing import Undoing

# --- the pump ---


class HastyPump(Pump[Any]):
    """Lets claims and news out before the commit."""

    def perform(self, effects: Iterable[Effect]) -> None:
        """Speak first, save then."""
        spoken, news = Bundle(), list[object]()
        for effect in effects:
            match effect:
                case Persist(record):
                    self._journal.persist(record)
                    self._dirty = True
                case Claim(link, frame) | Forward(link, frame):
                    spoken.add(link, frame)
                case Tell(one):
                    news.append(one)
        self._send(spoken.frames())
        for one in news:
            self._tell(one)
        self.commit()


class DeafPump(Pump[Any]):
    """Goes on after a commit that has failed."""

    def commit(self) -> None:
        """Take a failure for a success."""
        try:
            super().commit()
        except WorldFault:
            self._dirty = False


# --- memories ---


class Half(Undoing):
    """Takes back half of a turn, as if a torn record had been believed as far as it goes."""

    def undo(self) -> None:
        """Take the last half back."""
        del self._steps[: len(self._steps) // 2]
        super().undo()

    def taken(self) -> Undoing:
        """Return what was noted so far, as a half to be."""
        turn = Half()
        turn._steps, self._steps = self._steps, []
        return turn


class BelievesTorn(PlainNodeMemory):
    """Has no checksum over its turns."""

    def __init__(self) -> None:
        super().__init__()
        self.undoing = Half()


class SeenAtOnce(PlainNodeMemory):
    """Saves the mark of what was seen in a commit of its own, before the entry."""

    def persist(self, record: object) -> None:
        """Save a mark so that no crash takes it back."""
        if not isinstance(record, KeepSeen):
            super().persist(record)
            return
        open_turn = self.undoing.taken()
        super().persist(record)
        self.undoing.taken()
        self.undoing.note(open_turn.undo)


class ForgetfulOfSeen(PlainNodeMemory):
    """Keeps what was seen in the process alone: it is gone after a restart."""

    def last_numbers(self) -> tuple[int, int, int]:
        """Forget, since this is asked at each start."""
        self._seen.clear()
        return super().last_numbers()


class ForgetfulOfNumbers(PlainNodeMemory):
    """Finds no message by the number that its recipient counts it by."""

    def outgoing_by_number(self, to: MemberCode, prio: Priority, incarnation: int, number: int) -> int | None:
        """Find nothing."""
        return None


class NeverExpiring(PlainHubMemory):
    """Never finds what has expired."""

    def expired(self, minute: Minutes, limit: int) -> tuple[Held, ...]:
        """Return nothing."""
        return ()


# --- entropy ---


def without_jitter(inner: Callable[[int], bytes]) -> Callable[[int], bytes]:
    """Draw nothing but zeros for pauses, so that none of them grows."""
    return lambda length: bytes(length) if length == PAUSE_BYTES else inner(length)


PAUSE_BYTES: Final = 4
