"""Fix what a checker may see, and how it says that a promise is broken.

A checker only looks. It sees effects as a machine yields them, records when they are durable, news when it is told,
frames as they leave, and at the end everything that lies still. docs/simulation.md 6.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from i247_node.commands import Command
from i247_protocol.machine import Effect
from i247_simulations.disk import Disk, Memory
from i247_simulations.programs import Program
from i247_simulations.results import Breach


@dataclass(slots=True)
class Sight:
    """What every checker can look at."""

    now_us: Callable[[], int]
    programs: Mapping[str, Program]
    disks: Mapping[str, Disk]
    newest_roster: Callable[[], int]
    """The version of the roster that was published last."""
    no_faults: bool
    """Whether the whole plan is empty."""
    troubled_until_us: int = 0
    """Until when a fault may still be felt."""
    marks: Counter[str] = field(default_factory=Counter)
    """How often something interesting came about."""
    disturbed_us: dict[str, int] = field(default_factory=dict)
    """When a fault last had to do with a program."""
    suspended: dict[str, int] = field(default_factory=dict)
    """Since which roster version a member is suspended."""
    rekeyed: dict[bytes, int] = field(default_factory=dict)
    """Since which roster version stolen keys are known as such, by the stolen link key."""
    stolen: dict[bytes, bytes] = field(default_factory=dict)
    """With whose keys (by the stolen link key) a thief has signed a statement, by its evidence id."""
    stolen_bodies: dict[bytes, bytes] = field(default_factory=dict)
    """On whose link a thief has put an envelope, by the first bytes of its body."""
    foreign_sessions: set[bytes] = field(default_factory=set)
    """Sessions that a thief has begun."""
    void: set[bytes] = field(default_factory=set)
    """Evidence ids of messages that had not ended when their author's key was stolen: nobody takes them any more."""
    hostile_keys: set[bytes] = field(default_factory=set)
    """Key ids of epoch keys that a hub has in hand."""
    signed: dict[bytes, str] = field(default_factory=dict)
    """Who has truly signed a statement, by its evidence id."""
    sent: dict[bytes, tuple[str, int, tuple[str, ...], str, int]] = field(default_factory=dict)
    """Durable messages, by evidence id: sender, instant (us), recipients, kind, priority."""
    breaches: list[Breach] = field(default_factory=list)

    def is_calm(self) -> bool:
        """Whether no fault has touched anything for a while, or ever."""
        return self.now_us() > self.troubled_until_us


class Checker:
    """One observer; a subclass overrides what it wants to see."""

    promise = ""
    looks_at: ClassVar[dict[str, frozenset[type]]] = {}
    """Of which kinds `effect` (by record, frame or news), `durable` and `told` are called; of all where not named."""

    def __init__(self, sight: Sight) -> None:
        self.sight = sight

    def commanded(self, program: Program, command: Command) -> None:
        """See a user's command reach a node."""

    def effect(self, program: Program, effect: Effect) -> None:
        """See what a machine wants done."""

    def durable(self, program: Program, record: object) -> None:
        """See a record when it is safe on disk."""

    def told(self, program: Program, news: object) -> None:
        """See news when it is told."""

    def frame(self, sender: str, receiver: str, data: bytes) -> None:
        """See a frame as it leaves."""

    def turned(self, program: Program) -> None:
        """See that a turn is over."""

    def booted(self, program: Program) -> None:
        """See a program begin a life."""

    def restored(self, name: str, before: Memory, after: Memory) -> None:
        """See a program that is down be given another disk."""

    def finish(self) -> None:
        """Look at everything once more, when nothing moves any longer."""

    def broken(self, program: str, what: str, message: bytes = b"") -> None:
        """Say that the promise is broken; `what` is in words of our own."""
        at_ms = self.sight.now_us() // 1_000
        self.sight.breaches.append(Breach(self.promise, type(self).__name__, at_ms, program, what, message.hex()))
