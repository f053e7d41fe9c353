"""Count what is held, and know in which mailbox each row waits.

A row is in the store, counted in the room of all and in its giver's share, and in one mailbox; this module keeps the
four together. What becomes of a row, and what is said about it, is decided in `carriage`. docs/protocol.md 9.5.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from i247_hub.connections import Connections
from i247_hub.mailbox import Mailbox
from i247_hub.quotas import Quotas, Shares
from i247_hub.records import Forget, Held, Hold, Hop, HubMemory, size_of
from i247_hub.room import Room
from i247_protocol.machine import Effect, Persist
from i247_protocol.names import MemberCode, Now
from i247_protocol.priority import Lane, lane_of


class Touched(NamedTuple):
    """A mailbox to which one frame has added, and whether its place is connected."""

    mailbox: Mailbox
    connected: bool


Touch = dict[tuple[Hop, Lane], Touched]
"""The mailboxes to which one frame has added, so that each is looked up once and then delivered from."""


class Holdings:
    """All rows of this hub, by where they go next."""

    def __init__(self, connections: Connections, memory: HubMemory, store_bytes_max: int, quotas: Quotas) -> None:
        self._connections = connections
        self._memory = memory
        self._mailboxes: dict[tuple[Hop, Lane], Mailbox] = {}
        self.last_seq = memory.last_seq()
        self.room = Room(memory.used_bytes(), store_bytes_max)
        backlog = memory.backlog()
        self.shares = Shares(quotas, store_bytes_max, memory.given(), backlog)
        for waiting in backlog:
            self.mailbox(waiting.hop, lane_of(waiting.prio)).behind(waiting.prio, waiting.rows)

    def __iter__(self) -> Iterator[Mailbox]:
        """Yield all mailboxes."""
        return iter(list(self._mailboxes.values()))

    def next_seq(self) -> int:
        """Return the number of a new row."""
        self.last_seq += 1
        return self.last_seq

    def mailbox(self, hop: Hop, lane: Lane) -> Mailbox:
        """Return the mailbox of a place, a new one when nothing has waited for it yet."""
        mailbox = self._mailboxes.get((hop, lane))
        if mailbox is None:
            mailbox = self._mailboxes[hop, lane] = Mailbox(hop, lane)
        return mailbox

    def mailbox_of(self, row: Held) -> Mailbox:
        """Return the mailbox in which a row waits."""
        return self.mailbox(row.hop, lane_of(row.prio))

    def take(self, rows: Sequence[Held], touched: Touch, now: Now) -> Iterator[Effect]:
        """Save the rows of one envelope, and let them wait in their mailboxes."""
        yield Persist(Hold(tuple(rows), now.wall))
        for row in rows:
            self.room.taken(row.size)
            self.shares.held(row)
            hop, lane = place = (row.hop, lane_of(row.prio))
            one = touched.get(place)
            if one is None:
                connected = self._connections.outward(hop.text, lane) is not None
                one = touched[place] = Touched(self.mailbox(hop, lane), connected)
            one.mailbox.add(row, connected=one.connected)

    def take_anew(
        self, row: Held, branches: Iterable[tuple[Hop, Sequence[MemberCode]]], touched: Touch, now: Now
    ) -> Iterator[Effect]:
        """Put new rows, each for some of its recipients, in the place of a row that waits."""
        self.mailbox_of(row).drop(row)
        yield from self.forget(row)
        rows = []
        for hop, members in branches:
            wraps = tuple(wrap for wrap in row.wraps if wrap[0] in members)
            size = size_of(row.header, row.body, wraps)
            rows.append(row._replace(seq=self.next_seq(), hop=hop, recipients=tuple(members), wraps=wraps, size=size))
        yield from self.take(rows, touched, now)

    def forget(self, row: Held) -> Iterator[Effect]:
        """Free a row that its mailbox has let go."""
        self.room.freed(row.size)
        self.shares.freed(row)
        yield Persist(Forget(row.seq))

    def expire(self, row: Held) -> Iterator[Effect]:
        """Free a row wherever it waits; what bodies it shared took is counted anew."""
        self.mailbox_of(row).drop(row)
        yield from self.forget(row)
        self.room.used = self._memory.used_bytes()
