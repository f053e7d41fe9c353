"""Count what is held, and know in which mailbox each row waits.

A row is in the store or passing, counted in the room of all and in its giver's share, and in one mailbox; this module
keeps the four together, and owes custody for a row as soon as it is saved or the next place has signed for it. What
becomes of a row, and what is said about it, is decided in `carriage`. docs/protocol.md 9.5.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from i247_hub.connections import Connections
from i247_hub.mailbox import Mailbox
from i247_hub.passing import Giver, Passing
from i247_hub.quotas import Quotas, Shares
from i247_hub.records import Forget, Held, Hold, Hop, HubMemory, size_of
from i247_hub.room import Room
from i247_keys.custodian import Custodian
from i247_protocol.frames import Taken
from i247_protocol.limits import CUSTODY_WITHIN_MS, CUSTODY_WITHIN_URGENT_MS
from i247_protocol.machine import Effect, Persist
from i247_protocol.names import EnvelopeId, MemberCode, MonoMs, Now
from i247_protocol.priority import Lane, lane_of


class Touched(NamedTuple):
    """A mailbox to which one frame has added, and whether its place is connected."""

    mailbox: Mailbox
    connected: bool


Touch = dict[tuple[Hop, Lane], Touched]
"""The mailboxes to which one frame has added, so that each is looked up once and then delivered from."""


class Holdings:
    """All rows of this hub, by where they go next."""

    def __init__(
        self,
        connections: Connections,
        memory: HubMemory,
        custodian: Custodian,
        store_bytes_max: int,
        quotas: Quotas,
    ) -> None:
        self._connections = connections
        self._memory = memory
        self._custodian = custodian
        self._passing = Passing()
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

    def held(self, envelope: EnvelopeId) -> Sequence[Held]:
        """Return the rows of one envelope, in order (bodies may be left empty)."""
        saved = self._memory.held(envelope)
        passing = self._passing.rows(envelope)
        return [*saved, *passing] if passing else saved

    def take(self, rows: tuple[Held, ...], giver: Giver | None, touched: Touch, now: Now) -> Iterator[Effect]:
        """Let the rows of one envelope wait in their mailboxes.

        They are saved, unless all of them leave at once: then the giver waits for custody until the next places have
        given it. Without a giver, nobody waits.
        """
        places = [self._touched(row, touched) for row in rows]
        ready = all(one.connected and one.mailbox.keeps(row) for row, one in zip(rows, places, strict=True))
        if giver is None or not ready or not self._passing.begin(rows, giver, now):
            yield Persist(Hold(rows, now.wall))
            self._owe(rows, giver, now.mono)
        for row, one in zip(rows, places, strict=True):
            self.room.taken(row.size)
            self.shares.held(row)
            one.mailbox.add(row, connected=one.connected)

    def save(self, envelope: EnvelopeId) -> Iterator[Effect]:
        """Save what is left of an envelope, if it is passing."""
        passage = self._passing.take_out(envelope)
        if passage is not None:
            yield Persist(Hold(tuple(passage.left), passage.began.wall))
            self._owe(passage.rows, passage.giver, passage.began.mono)

    def save_mailbox(self, mailbox: Mailbox) -> Iterator[Effect]:
        """Save what is passing to one place, so that the store has all that waits for it."""
        for envelope in self._passing.at(mailbox.hop, mailbox.lane):
            yield from self.save(envelope)

    def save_what_is_slow(self, now: Now) -> Iterator[Effect]:
        """Save what its next place has not signed for in time."""
        for envelope in self._passing.due(now):
            yield from self.save(envelope)

    def next_deadline(self) -> MonoMs | None:
        """Return when something has to be saved."""
        return self._passing.next_deadline()

    def take_anew(
        self, row: Held, branches: Iterable[tuple[Hop, Sequence[MemberCode]]], touched: Touch, now: Now
    ) -> Iterator[Effect]:
        """Put new rows, each for some of its recipients, in the place of a row that waits."""
        self.mailbox_of(row).drop(row)
        yield from self.forget((row,))
        rows = []
        for hop, members in branches:
            wraps = tuple(wrap for wrap in row.wraps if wrap[0] in members)
            size = size_of(row.header, row.body, wraps)
            rows.append(row._replace(seq=self.next_seq(), hop=hop, recipients=tuple(members), wraps=wraps, size=size))
        yield from self.take(tuple(rows), None, touched, now)

    def forget(self, rows: Iterable[Held]) -> Iterator[Effect]:
        """Free rows that their mailboxes have let go."""
        saved = []
        for row in rows:
            self.room.freed(row.size)
            self.shares.freed(row)
            was_passing, ended = self._passing.over(row)
            if not was_passing:
                saved.append(row.seq)
            elif ended is not None:
                self._owe(ended.rows, ended.giver, ended.began.mono)
        if saved:
            yield Persist(Forget(tuple(saved)))

    def expire(self, row: Held) -> Iterator[Effect]:
        """Free a row wherever it waits; what bodies it shared took is counted anew."""
        self.mailbox_of(row).drop(row)
        yield from self.forget((row,))
        self.room.used = self._memory.used_bytes() + self._passing.size

    def _touched(self, row: Held, touched: Touch) -> Touched:
        hop, lane = place = (row.hop, lane_of(row.prio))
        one = touched.get(place)
        if one is None:
            connected = self._connections.outward(hop.text, lane) is not None
            one = touched[place] = Touched(self.mailbox(hop, lane), connected)
        return one

    def owe(self, envelope: EnvelopeId, members: tuple[MemberCode, ...], giver: Giver, since: MonoMs) -> None:
        """Owe custody to the session that has waited for it `since` then, if there still is one."""
        connection = self._connections.on(giver.link)
        if connection is not None and connection.session.id == giver.session:
            taken = (Taken(envelope, giver.hops, members),)
            self._custodian.took(giver.link, giver.session, taken, MonoMs(since + WITHIN_MS[connection.lane]))

    def _owe(self, rows: Sequence[Held], giver: Giver | None, since: MonoMs) -> None:
        if giver is not None:
            first, *more = rows
            members = first.recipients + tuple(member for row in more for member in row.recipients)
            self.owe(first.envelope, members, giver, since)


WITHIN_MS: Final = {Lane.EXPRESS: CUSTODY_WITHIN_URGENT_MS, Lane.BULK: CUSTODY_WITHIN_MS}
