"""Take what was verified, once: remember it, act on it, and keep it for the application.

Seen-mark, entry and everything that follows (a reply, a notice on the board, an acknowledged delivery) are
saved in the same turn, so a crash leaves all or nothing. docs/protocol.md 6.5.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from i247_node.acceptance import Verified
from i247_node.commands import EntryArrived
from i247_node.records import Entry, EntryState, KeepEntry, KeepEntryState, KeepNotice, KeepSeen, NodeMemory, Seen
from i247_protocol.errors import CallerFault
from i247_protocol.machine import Effect, Persist, Tell
from i247_protocol.names import Now, WallMs
from i247_protocol.notices import Notice
from i247_protocol.statement import Act, Statement


class Inbox:
    """What came from other members."""

    def __init__(self, memory: NodeMemory) -> None:
        self._memory = memory
        _, self._last, _ = memory.last_numbers()

    def keep(self, verified: Verified, state: EntryState, *, offered: bool, now: Now) -> tuple[Entry, list[Effect]]:
        """Return the entry that a statement becomes, and what saves it."""
        statement = verified.statement
        self._last += 1
        entry = Entry(
            n=self._last,
            sid=verified.sid,
            id=statement.message_id,
            sender=statement.author,
            act=statement.act,
            conv=statement.conv,
            prio=statement.prio,
            exp=statement.expires,
            received=now.wall,
            state=state,
            offered=offered,
            statement=verified.statement_bytes,
            signature=verified.signature,
        )
        seen = Seen(statement.author, statement.message_id, verified.sid, statement.expires)
        return entry, [Persist(KeepSeen(seen)), Persist(KeepEntry(entry))]

    def offer(self, n: int) -> Iterator[Effect]:
        """Note that the application is being given an entry, so that it is marked if it is given once more."""
        entry = self._memory.entry(n)
        if entry is not None and entry.offered and entry.state is EntryState.NEW:
            yield Persist(KeepEntryState(n, EntryState.OFFERED, offered=True))

    def confirm(self, n: int) -> Persist:
        """Return what saves that the application has an entry; raise CallerFault when there is none."""
        entry = self._memory.entry(n)
        if entry is None or not entry.offered:
            raise CallerFault("confirming an inbox entry", "list the inbox to see which entries there are")
        return Persist(KeepEntryState(n, EntryState.CONFIRMED, offered=True))


def arrival(entry: Entry, statement: Statement) -> Tell:
    """Return the news of an entry for the application."""
    return Tell(EntryArrived(entry.n, entry.act, entry.sender, entry.prio, statement.handling.exercise))


def on_the_board(memory: NodeMemory, entry: Entry, notice: Notice) -> Iterator[Effect]:
    """Save a notice as the newest of its number, unless a newer version is there already."""
    held = memory.notice_version(entry.sender, notice.number)
    if held is not None and held >= notice.version:
        return
    yield Persist(
        KeepNotice(
            publisher=entry.sender,
            number=notice.number,
            version=notice.version,
            entry=entry.n,
            colour=notice.colour.value,
            event=notice.event.value,
            title=notice.title,
            valid_until=WallMs(notice.valid_until),
        )
    )


OFFERED: Final = frozenset({Act.REPLY, Act.NOTICE, Act.DIFFUSION, Act.CORRESPONDENCE})
"""Acts whose entries the application sees; queries are answered by the node, receipts only settle."""
