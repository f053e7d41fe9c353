"""Know to whom can be sealed now, and by which key.

Nothing is sealed to a member without a keycard, to a key that a hub has just called dead, or for a mailbox that is
full; that waits in the store. A hub may lie about a key, or be behind, so a key is tried again after a while, and a
newer keycard clears it. docs/protocol.md 6.6 and 9.7.
"""

from __future__ import annotations

from typing import NamedTuple

from i247_keys.cardfile import CardFile
from i247_keys.keycard import EpochKey
from i247_protocol.limits import RESEND_MS, RETRY_MS_MAX
from i247_protocol.names import MemberCode, MonoMs, Now
from i247_protocol.priority import Priority


class Addressees:
    """The members that messages wait for, and what keeps them waiting."""

    def __init__(self, cards: CardFile) -> None:
        self._cards = cards
        self._without_card: set[MemberCode] = set()
        self._dead: dict[MemberCode, _Dead] = {}
        self._full: dict[tuple[MemberCode, Priority], MonoMs] = {}

    def key_of(self, member: MemberCode, now: Now) -> EpochKey | None:
        """Return the key to seal to a member, or None while there is none that is in use and not called dead."""
        card = self._cards.of(member)
        key = None if card is None else card.sealing_key(now.wall)
        dead = self._dead.get(member)
        is_dead = key is not None and dead is not None and key.kid == dead.kid and now.mono < dead.until
        return None if is_dead else key

    def is_full(self, member: MemberCode, prio: Priority) -> bool:
        """Return whether a member's mailbox has no room at a priority."""
        return (member, prio) in self._full

    def wait_for_card(self, member: MemberCode) -> None:
        """Note that something waits for a key of a member."""
        self._without_card.add(member)

    def hold_back(self, member: MemberCode, prio: Priority, until: MonoMs) -> None:
        """Note that a member's mailbox is full at a priority."""
        self._full[member, prio] = until

    def call_dead(self, member: MemberCode, kid: bytes | None, now: Now) -> None:
        """Seal to a key no more for a while, longer each time; without `kid` to the one that would be used now.

        The hub may lie, or be behind and not know the newest keycard yet, so the first while is short.
        """
        key = self.key_of(member, now)
        kid = key.kid if kid is None and key is not None else kid
        before = self._dead.get(member)
        if kid is None or (before is not None and before.kid == kid and now.mono < before.until):
            return
        pause = RESEND_MS if before is None or before.kid != kid else min(RETRY_MS_MAX, 2 * before.pause_ms)
        self._dead[member] = _Dead(kid, MonoMs(now.mono + pause), pause)

    def card_came(self, member: MemberCode) -> bool:
        """Take a newer keycard: it says anew which keys live. Return whether something waited for it."""
        self._dead.pop(member, None)
        if member not in self._without_card:
            return False
        self._without_card.discard(member)
        return True

    def come_back(self, now: Now) -> bool:
        """Forget what is over; return whether something may be sealed now that could not before."""
        over = [place for place, until in self._full.items() if until <= now.mono]
        for place in over:
            del self._full[place]
        ready = [member for member in self._without_card if self.key_of(member, now) is not None]
        self._without_card.difference_update(ready)
        return bool(ready or over)


class _Dead(NamedTuple):
    """A key that a hub has called dead, until when it is left alone, and how long that is."""

    kid: bytes
    until: MonoMs
    pause_ms: int
