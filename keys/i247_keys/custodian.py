"""Collect what was taken from each link, and sign for all of it at the end of a turn.

A hub and a recipient's node say custody alike; when it is due is for them: a hub gathers it a moment longer, since a
signature and a commit cost as much for one as for fifty. docs/protocol.md 9.4.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from i247_keys.identity import Identity
from i247_keys.vouching import root_of, vouch
from i247_protocol.bundle import framefuls
from i247_protocol.frames import Custody, Taken
from i247_protocol.limits import ROOTS_MAX
from i247_protocol.machine import Claim, LinkId
from i247_protocol.names import MonoMs, Now


class Custodian:
    """The hub or member `me`, as the one that answers for what it has saved."""

    def __init__(self, me: str, identity: Identity) -> None:
        self._me = me
        self._identity = identity
        self._due = MonoMs(0)
        self._taken: dict[tuple[LinkId, bytes], list[Taken]] = {}

    def took(self, link: LinkId, session: bytes, taken: Iterable[Taken], due: MonoMs) -> None:
        """Note what is owed custody in one session from now on, and when it should have it.

        It leaves at the end of the first turn in which anything is due; what that turn saves is committed before.
        """
        self._due = min(self._due, due) if self._taken else due
        self._taken.setdefault((link, session), []).extend(taken)

    def finish(self, now: Now) -> Iterator[Claim]:
        """Yield the signed custody that is due; it leaves after the commit, as all claims do."""
        if not self._taken or now.mono < self._due:
            return
        frames = [(*place, some) for place, taken in self._taken.items() for some in framefuls(taken)]
        self._taken.clear()
        for begin in range(0, len(frames), ROOTS_MAX):
            batch = frames[begin : begin + ROOTS_MAX]
            voucher = vouch(self._me, self._identity, now.wall, [root_of(taken) for _, _, taken in batch])
            for link, session, taken in batch:
                yield Claim(link, Custody(session, taken, voucher))

    def next_deadline(self) -> MonoMs | None:
        """Return when custody is due next."""
        return self._due if self._taken else None
