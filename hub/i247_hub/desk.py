"""Exchange directory documents and keycards with whoever is connected.

A hub carries both and is no authority on either: it believes what `trust` and the card file accept, hands
that on to those who have less, and asks those who seem to have more. docs/protocol.md 8.6 and 9.3.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from i247_hub.admission import admitted_keys
from i247_hub.connections import Connection, Connections
from i247_hub.records import HubMemory, KeepCard, KeepDirectory
from i247_keys.cardfile import CardFile
from i247_keys.petitions import Petitions
from i247_keys.roster import Directory
from i247_keys.trust import Trust
from i247_protocol.counters import Counters
from i247_protocol.errors import PeerFault
from i247_protocol.frames import Cards, CardWant, DirHave, DirWant, Hello
from i247_protocol.limits import CARDS_IN_FRAME_MAX
from i247_protocol.machine import Admit, Claim, Dial, Effect, LinkId, Peer, Persist, Tell
from i247_protocol.names import HubName, MemberCode, Now
from i247_protocol.priority import Lane


class Desk:
    """The directory and the keycards that this hub holds."""

    def __init__(
        self, me: HubName, trust: Trust, memory: HubMemory, connections: Connections, counters: Counters
    ) -> None:
        self.trust = trust
        self.cards = CardFile()
        self._petitions = Petitions()
        self._me = me
        self._memory = memory
        self._connections = connections
        self._counters = counters

    @property
    def directory(self) -> Directory:
        """The newest roster."""
        return self.trust.directory

    def start(self, now: Now) -> None:
        """Take up the keycards that were saved."""
        for data in self._memory.cards():
            self._offered(data, now)

    def opened(self, connection: Connection, hello: Hello) -> Iterator[Effect]:
        """Ask a side that has greeted for what it seems to have more of."""
        version = self.directory.version
        if hello.roster > version or (hello.roster == version and hello.pulse != self.trust.pulse_hash):
            yield Claim(connection.link, DirWant(hello.session, version, self.trust.pulse_hash))
        if hello.cards != self.cards.digest and connection.lane is Lane.EXPRESS:
            yield Claim(connection.link, CardWant(hello.session, self.cards.versions()))

    def wanted(self, connection: Connection, want: DirWant) -> Iterator[Effect]:
        """Give the documents that somebody lacks."""
        yield Claim(connection.link, DirHave(want.session, self.trust.steps_since(want.roster)))

    def still_wanted(self, connection: Connection, before: int) -> Iterator[Effect]:
        """Ask for more where an answer brought this hub forward, but not to where the other side is."""
        if before < self.directory.version < connection.roster:
            yield Claim(connection.link, DirWant(connection.session.id, self.directory.version, self.trust.pulse_hash))

    def given(self, data: bytes, giver: bytes | None, now: Now) -> Iterator[Effect]:
        """Judge directory documents, whoever gives them (None: our own side); believe and hand on what is newer."""
        before = self.trust
        try:
            self.trust = self._petitions.extend(before, data, giver, now)
        except PeerFault as fault:
            self._counters.add(f"directory.{fault.reason}")
            return
        if self.trust is before:
            return
        self._counters.add("directory.newer")
        self.cards.void_all_but(self.directory)
        yield Persist(KeepDirectory(self.trust.to_bytes()))
        yield from self.neighbourhood()
        for connection in self._connections:
            behind = connection.roster <= self.directory.version
            if connection.session.is_open and connection.lane is Lane.EXPRESS and behind:
                steps = self.trust.steps_since(connection.roster)
                connection.roster = self.directory.version
                yield Claim(connection.link, DirHave(connection.session.id, steps))

    def neighbourhood(self) -> Iterator[Effect]:
        """Tell whom to admit and whom to dial under the newest roster."""
        yield Tell(Admit(admitted_keys(self.directory, self._me)))
        peers = (
            Peer(link_to(row.name, lane), row.endpoints[0], row.link)
            for row in self.directory.hubs
            if row.name != self._me
            for lane in Lane
        )
        yield Tell(Dial(tuple(peers)))

    def cards_wanted(self, connection: Connection, want: CardWant) -> Iterator[Effect]:
        """Give the keycards that somebody lacks."""
        yield from _give(connection, self.cards.newer_than(want.have))

    def cards_came(self, connection: Connection, frame: Cards, now: Now) -> tuple[list[MemberCode], list[Effect]]:
        """Return whose cards are newer, and what saves them and hands them on to all others."""
        fresh = [(member, data) for data in frame.cards if (member := self._offered(data, now)) is not None]
        effects: list[Effect] = [Persist(KeepCard(member, data)) for member, data in fresh]
        for other in self._connections if fresh else ():
            if other.session.is_open and other.lane is Lane.EXPRESS and other.link != connection.link:
                effects += _give(other, (data for _, data in fresh))
        return [member for member, _ in fresh], effects

    def _offered(self, data: bytes, now: Now) -> MemberCode | None:
        try:
            return MemberCode(self.cards.offer(data, self.directory, now.wall).member)
        except PeerFault as fault:
            self._counters.add(f"card.{fault.reason}")
            return None


def link_to(hub: HubName, lane: Lane) -> LinkId:
    """Return what this hub calls the connection that it dials to another."""
    return LinkId(DIALLED + f"{hub}:{lane.value}".encode())


def dialled(link: LinkId) -> tuple[HubName, Lane] | None:
    """Return which hub and lane a link of ours leads to; None for a link that others dialled."""
    if not link.startswith(DIALLED):
        return None
    _, name, lane = link.decode().split(":")
    return HubName(name), Lane(lane)


def _give(connection: Connection, cards: Iterable[bytes]) -> Iterator[Effect]:
    batch = list(cards)
    for begin in range(0, len(batch), CARDS_IN_FRAME_MAX):
        yield Claim(connection.link, Cards(connection.session.id, tuple(batch[begin : begin + CARDS_IN_FRAME_MAX])))


DIALLED = b"hub:"
