"""Measure a notice to 195 members at its sender: signed, sealed, saved and ready to leave. docs/performance.md 4.

The real machine, pump and store; of the hub there is only its greeting, and what leaves is counted, not sent.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Final

from i247_edges.clock import read_clocks
from i247_keys.keyring import Keyring
from i247_node.commands import Accepted, PublishNotice
from i247_node.machine import Event, NodeMachine
from i247_node.policy import Policy
from i247_node.records import KeepCard
from i247_node.registers import Registers
from i247_node.store import NodeStore
from i247_protocol.frames import Hello, Role, encode_frame, parse_frame
from i247_protocol.handling import ROUTINE_HANDLING, Purpose
from i247_protocol.limits import WINDOW_BYTES, WINDOW_MESSAGES
from i247_protocol.machine import FrameArrived, LinkId, LinkUp
from i247_protocol.names import DAY_MS, MemberCode, WallMs
from i247_protocol.notices import Colour, Notice
from i247_protocol.notices import Event as NoticeEvent
from i247_protocol.priority import Lane, Priority
from i247_protocol.pump import Pump
from measures import in_turn, median, per_call_us, ratios, spread
from network import MEMBERS, PUBLISHER, World, home_of
from probes import disk_times, sealing_primitives, told, wrapping_primitives
from table import Figure

NAME: Final = "notice to 195 at its sender"
BUDGET_S: Final = 15.0


def measure(world: World, budget_s: float) -> Iterator[Figure]:
    """Yield what one notice costs the Secretariat's node."""
    before = disk_times(world.folder)
    with closing(NodeStore(str(world.folder / "notice.db"))) as store:
        publisher = Publisher(world, store)
        taken, floors = in_turn(budget_s, publisher.publish, lambda: per_call_us(_primitives, 1) / 1e3)
    after = disk_times(world.folder)
    commits = median([*before.commits, *after.commits]) / 1e3
    yield Figure(
        NAME,
        f"{median(taken):.1f} ms",
        spread(taken, ".1f"),
        f"≤ {MS_MAX} ms",
        median(taken) <= MS_MAX,
        f"{median(ratios(taken, [floor + commits for floor in floors])):.2f}",
        note=(
            f"signed, sealed to {RECIPIENTS}, saved, encoded: {publisher.frame_bytes:,} bytes leave. Floor: its "
            f"primitives, {median(floors):.1f} ms, and one commit, {commits:.1f} ms"
        ),
        disk=told(before, after),
    )


class Publisher:
    """The Secretariat's node with everybody's keycard and one open link."""

    def __init__(self, world: World, store: NodeStore) -> None:
        now = read_clocks()
        for code in MEMBERS:
            if code != PUBLISHER:
                card = Keyring().renewed(now.wall, os.urandom).card(MemberCode(code), 1, now.wall, world.identity(code))
                store.persist(KeepCard(MemberCode(code), card))
        machine = NodeMachine(
            MemberCode(PUBLISHER),
            world.identity(PUBLISHER),
            world.trust,
            store,
            os.urandom,
            registers=Registers(),
            policy=Policy(frozenset(), {}),
            incarnation=1,
        )
        self.frame_bytes = 0
        self._accepted = 0
        self._published = 0
        self._pump: Pump[Event] = Pump(machine, store, self, self._tell)
        self._pump.perform(machine.start(now))
        self._greet(world)

    def publish(self) -> float:
        """Publish one notice; return the ms until it has left."""
        self._published += 1
        until = WallMs(read_clocks().wall + 30 * DAY_MS)
        notice = Notice(Colour.ORANGE, NoticeEvent.PUBLISHED, f"2026/{self._published}", TEXT, "A title", until, 1)
        command = PublishNotice(0, notice, None, Purpose.ALERT, Priority.URGENT, ROUTINE_HANDLING)
        self.frame_bytes = 0
        begin = time.perf_counter()
        self._pump.turn([command], read_clocks())
        taken = (time.perf_counter() - begin) * 1e3
        if self._accepted < self._published or not self.frame_bytes:
            raise RuntimeError("the notice did not leave")
        return taken

    def transmit(self, link: LinkId, data: bytes) -> bool:
        """Take a frame, as the pump's wire."""
        self._last = (link, data)
        self.frame_bytes += len(data)
        return True

    def _greet(self, world: World) -> None:
        home = home_of(PUBLISHER)
        link = LinkId(f"hub:{home}:{Lane.EXPRESS.value}".encode())
        self._pump.turn([LinkUp(link)], read_clocks())
        session = parse_frame(self._last[1]).session
        now = read_clocks()
        # A window that no number of rounds uses up.
        window = (WINDOW_MESSAGES * 1000, WINDOW_BYTES * 1000)
        answer = Hello(session, Role.HUB, Lane.EXPRESS, world.trust.directory.version, b"", b"", now.wall, *window)
        self._pump.turn([FrameArrived(link, world.hub(home).link, encode_frame(answer))], now)

    def _tell(self, news: object) -> None:
        self._accepted += isinstance(news, Accepted)


def _primitives() -> None:
    sealing_primitives()
    wrapping_primitives(RECIPIENTS)


RECIPIENTS: Final = len(MEMBERS) - 1
TEXT: Final = "x" * 700
MS_MAX: Final = 25
