"""Know which sessions are open, with whom, on which lane.

Inbound links belong to members and to hubs that dialled; outbound ones are those that this hub dials, and
only on these does it put envelopes for another hub. The newest greeting of a member on a lane replaces the
one before. docs/protocol.md 9.3.
"""

from __future__ import annotations

from collections.abc import Iterator

from i247_hub.admission import Caller
from i247_protocol.frames import Hello, Role
from i247_protocol.limits import SESSIONS_MAX
from i247_protocol.machine import LinkId
from i247_protocol.names import HubName, Now
from i247_protocol.priority import Lane
from i247_protocol.session import Session


class Connection:
    """One link with a session on it."""

    __slots__ = ("began", "caller", "key", "lane", "link", "roster", "session")

    def __init__(self, link: LinkId, key: bytes, caller: Caller, lane: Lane, session: Session, now: Now) -> None:
        self.link = link
        self.began = now.mono
        self.key = key
        self.caller = caller
        self.lane = lane
        self.session = session
        self.roster = 0

    @property
    def carries_mail_out(self) -> bool:
        """Whether envelopes for the caller may be put here."""
        return self.caller.role is Role.MEMBER or self.session.dialled


class Connections:
    """All connections of a hub."""

    def __init__(self) -> None:
        self._by_link: dict[LinkId, Connection] = {}
        self._outward: dict[tuple[str, Lane], LinkId] = {}

    def __iter__(self) -> Iterator[Connection]:
        """Yield all connections in the order of their greeting."""
        return iter(list(self._by_link.values()))

    def __len__(self) -> int:
        return len(self._by_link)

    def on(self, link: LinkId) -> Connection | None:
        """Return the connection on a link."""
        return self._by_link.get(link)

    def lane_of(self, link: LinkId) -> Lane:
        """Return the lane of a link; on one that has not greeted, nothing is urgent."""
        found = self._by_link.get(link)
        return Lane.BULK if found is None else found.lane

    def outward(self, place: str, lane: Lane) -> Connection | None:
        """Return the open connection by which `place` gets its envelopes on a lane."""
        link = self._outward.get((place, lane))
        found = None if link is None else self._by_link.get(link)
        return found if found is not None and found.session.is_open else None

    def greeted(self, connection: Connection, hello: Hello) -> Connection | None:
        """Take a session that opens; return the one that it replaces."""
        connection.session.opened(hello)
        connection.roster = hello.roster
        replaced = None
        if connection.carries_mail_out:
            place = (connection.caller.name, connection.lane)
            before = self._outward.get(place)
            if before is not None and before != connection.link:
                replaced = self.drop(before)
            self._outward[place] = connection.link
        self._by_link[connection.link] = connection
        return replaced

    def begun(self, connection: Connection) -> None:
        """Take a session that this hub begins by greeting."""
        self._by_link[connection.link] = connection

    def drop(self, link: LinkId) -> Connection | None:
        """Forget a link; return what was on it."""
        found = self._by_link.pop(link, None)
        if found is not None and self._outward.get((found.caller.name, found.lane)) == link:
            del self._outward[found.caller.name, found.lane]
        return found

    @property
    def full(self) -> bool:
        """Whether no more sessions are taken."""
        return len(self._by_link) >= SESSIONS_MAX

    def reachable_hubs(self) -> frozenset[HubName]:
        """Return the hubs to which both lanes are open."""
        names = {HubName(one.caller.name) for one in self._by_link.values() if one.session.dialled}
        return frozenset(name for name in names if all(self.outward(name, lane) for lane in Lane))
