"""Know which other hubs can be reached, and by which of them the others can.

Reached is a hub to which both lanes are open. Each hub tells its neighbours whom it reaches, so that mail finds a way
round a connection that is down. Nothing here is saved: after a start it is told anew. docs/protocol.md 9.6.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from i247_hub.connections import Connection, Connections
from i247_protocol.clocks import is_behind, is_doubtful
from i247_protocol.frames import Reach
from i247_protocol.machine import Claim, Effect
from i247_protocol.names import HubName, MonoMs, Now, WallMs
from i247_protocol.priority import Lane


class Ways(NamedTuple):
    """The hubs that are reached from here, and whom each of them says it reaches."""

    reached: frozenset[HubName]
    by: Mapping[HubName, frozenset[HubName]]

    def around(self, hub: HubName) -> HubName | None:
        """Return a hub that is reached from here and says it reaches `hub`, the first by name."""
        return next((other for other in sorted(self.reached) if hub in self.by.get(other, ())), None)


class Neighbours:
    """The other hubs, as seen from here."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._told: dict[HubName, frozenset[HubName]] = {}
        self._lost: dict[HubName, MonoMs] = {}
        self._began = MonoMs(0)
        self._clocks_ms: dict[HubName, int] = {}
        self.ways = Ways(frozenset(), {})

    def start(self, now: Now) -> None:
        """Begin, with nobody reached."""
        self._began = now.mono

    def changed(self, now: Now) -> Iterator[Effect]:
        """Look again who is reached, after a session has opened or ended; tell the others when that has changed."""
        reached = self._connections.reachable_hubs()
        gone, come = self.ways.reached - reached, reached - self.ways.reached
        if not gone and not come:
            return
        for hub in gone:
            self._lost[hub] = now.mono
        for hub in come:
            self._lost.pop(hub, None)
        self.ways = Ways(reached, dict(self._told))
        for hub in sorted(reached):
            connection = self._connections.outward(hub, Lane.EXPRESS)
            if connection is not None:
                yield Claim(connection.link, Reach(connection.session.id, tuple(sorted(reached))))

    def told(self, connection: Connection, reach: Reach) -> bool:
        """Note whom another hub reaches; return whether that is news."""
        hub = HubName(connection.caller.name)
        said = frozenset(map(HubName, reach.hubs))
        if self._told.get(hub) == said:
            return False
        self._told[hub] = said
        self.ways = Ways(self.ways.reached, dict(self._told))
        return True

    def greeted(self, hub: HubName, time: int, now: Now) -> None:
        """Note a hub's wall clock, by our monotonic one."""
        self._clocks_ms[hub] = time - now.mono

    def doubt(self, now: Now, signed: WallMs | None) -> bool:
        """Return whether our own clock is not to be trusted, by those of the hubs reached or the newest pulse."""
        here = now.wall - now.mono
        return is_behind(now, signed) or is_doubtful(
            [self._clocks_ms[hub] - here for hub in self.ways.reached if hub in self._clocks_ms]
        )

    def unreached_since(self, hub: HubName) -> MonoMs | None:
        """Return since when a hub is not reached, or None while it is."""
        return None if hub in self.ways.reached else self._lost.get(hub, self._began)
