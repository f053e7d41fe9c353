"""Keep sessions with this member's hubs, and choose which one carries what.

A node dials both lanes of each of its homes, in the order of its roster row; the first home whose lane is
open and has credit carries new envelopes. Answers go back on the link by which something came.
docs/protocol.md 9.3 and 9.6.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from i247_keys.roster import Directory
from i247_protocol.clocks import is_behind, is_doubtful
from i247_protocol.frames import Hello, Role
from i247_protocol.limits import SKEW_MS, WINDOW_BYTES, WINDOW_MESSAGES
from i247_protocol.machine import LinkId, Peer
from i247_protocol.names import HubName, MemberCode, Now, SessionId, WallMs
from i247_protocol.priority import Lane
from i247_protocol.session import Session


@dataclass(slots=True)
class Link:
    """One dialled connection to a hub."""

    id: LinkId
    hub: HubName
    lane: Lane
    key: bytes
    session: Session | None = None
    hub_clock_ms: int = 0
    """The hub's wall clock, less our monotonic one, when it last greeted."""
    hub_roster: int = 0

    @property
    def is_open(self) -> bool:
        """Whether both sides have greeted."""
        return self.session is not None and self.session.is_open


class Links:
    """All links of a node, in the order in which they are preferred."""

    def __init__(self, entropy: Callable[[int], bytes]) -> None:
        self._entropy = entropy
        self._links: dict[LinkId, Link] = {}
        self._clock_ms = 0
        self._is_behind = False

    def __iter__(self) -> Iterator[Link]:
        """Yield the links, preferred ones first."""
        return iter(self._links.values())

    def on(self, link: LinkId) -> Link | None:
        """Return a link by its name."""
        return self._links.get(link)

    def open_on(self, lane: Lane) -> Iterator[Link]:
        """Yield the open links of a lane, preferred ones first."""
        return (link for link in self._links.values() if link.lane is lane and link.is_open)

    def to_hub(self, hub: HubName | None, lane: Lane) -> Link | None:
        """Return the open link to a hub, else the most preferred open one, else None."""
        candidates = list(self.open_on(lane))
        return next((link for link in candidates if link.hub == hub), candidates[0] if candidates else None)

    def with_credit(self, lane: Lane, size: int) -> Link | None:
        """Return the most preferred open link that has credit for `size` bytes."""
        return next((link for link in self.open_on(lane) if link.session and link.session.may_put(size)), None)

    def settle_on(self, me: MemberCode, directory: Directory) -> tuple[tuple[Peer, ...], tuple[LinkId, ...]]:
        """Choose whom to dial by the roster; return the peers, and the links that are not wanted any more."""
        row = directory.member(me)
        homes = row.homes if row is not None and row.homes else tuple(hub.name for hub in directory.hubs)
        wanted: dict[LinkId, Link] = {}
        peers = []
        for name in homes:
            hub = directory.hub(HubName(name))
            if hub is None:
                continue
            for lane in Lane:
                link = LinkId(DIALLED + f"{name}:{lane.value}".encode())
                held = self._links.get(link)
                fresh = held is None or held.key != hub.link
                wanted[link] = Link(link, hub.name, lane, hub.link) if held is None or fresh else held
                peers.append(Peer(link, hub.endpoints[0], hub.link))
        gone = tuple(link for link, held in self._links.items() if wanted.get(link) is not held)
        self._links = wanted
        return tuple(peers), gone

    def begin(self, link: Link, now: Now) -> Session:
        """Begin a new session on a link."""
        link.session = Session(SessionId(self._entropy(8)), now, dialled=True)
        return link.session

    def greeted(self, link: Link, hello: Hello, now: Now) -> bool:
        """Take a hub's answer to a greeting; return False when it answers another one."""
        if link.session is None or link.session.id != hello.session or hello.role is not Role.HUB:
            return False
        link.session.heard(now)
        link.session.opened(hello)
        link.hub_clock_ms = hello.time - now.mono
        link.hub_roster = hello.roster
        return True

    def read_clock(self, now: Now, *, signed: WallMs | None) -> None:
        """Note what our wall clock shows; it cannot be before what the authority signed (`signed`).

        It may be set at any moment, the monotonic one not: so a step shows at once, and not at the next greeting.
        """
        self._clock_ms = now.wall - now.mono
        self._is_behind = is_behind(now, signed)

    def clock_offset_ms(self, link: Link) -> int:
        """Return by how much a hub's clock is ahead of ours."""
        return link.hub_clock_ms - self._clock_ms

    @property
    def clock_is_doubtful(self) -> bool:
        """Whether our clock is not to be trusted, by the hubs' clocks or the newest pulse."""
        if self._is_behind:
            return True
        for link in self._links.values():
            if abs(link.hub_clock_ms - self._clock_ms) > SKEW_MS:
                break
        else:  # nearly always, and this is asked in every turn
            return False
        offsets = {link.hub: self.clock_offset_ms(link) for link in self._links.values() if link.is_open}
        return is_doubtful(offsets.values())


def hello(session: Session, lane: Lane, *, roster: int, pulse: bytes, cards: bytes, now: Now) -> Hello:
    """Return this node's greeting."""
    return Hello(session.id, Role.MEMBER, lane, roster, pulse, cards, now.wall, WINDOW_MESSAGES, WINDOW_BYTES)


DIALLED: Final = b"hub:"
