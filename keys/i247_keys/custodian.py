"""Collect what was taken from each link, and sign for all of it at the end of a turn.

A hub and a recipient's node say custody alike; when it is due is for them: a hub gathers it a moment longer, since a
signature and a commit cost as much for one as for fifty. docs/protocol.md 9.4.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

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
        self._due: MonoMs | None = None
        self._owed: dict[tuple[LinkId, bytes], _Owed] = {}

    def took(self, link: LinkId, session: bytes, taken: Iterable[Taken], due: MonoMs) -> None:
        """Note what is owed custody in one session from now on, and when it should have it.

        It leaves at the end of the first turn in which any of that session's is due, after the commit of that turn.
        """
        owed = self._owed.get((link, session))
        if owed is None:
            self._owed[link, session] = _Owed(due, list(taken))
        else:
            owed.due = min(owed.due, due)
            owed.taken.extend(taken)
        self._due = due if self._due is None else min(self._due, due)

    def finish(self, now: Now) -> Iterator[Claim]:
        """Yield the signed custody that is due; it leaves after the commit, as all claims do."""
        if self._due is None or now.mono < self._due:
            return
        ready = {place: owed.taken for place, owed in self._owed.items() if owed.due <= now.mono}
        for place in ready:
            del self._owed[place]
        self._due = min((owed.due for owed in self._owed.values()), default=None)
        frames = [(*place, some) for place, taken in ready.items() for some in framefuls(taken)]
        for begin in range(0, len(frames), ROOTS_MAX):
            batch = frames[begin : begin + ROOTS_MAX]
            voucher = vouch(self._me, self._identity, now.wall, [root_of(taken) for _, _, taken in batch])
            for link, session, taken in batch:
                yield Claim(link, Custody(session, taken, voucher))

    def next_deadline(self) -> MonoMs | None:
        """Return when custody is due next."""
        return self._due


@dataclass(slots=True)
class _Owed:
    due: MonoMs
    taken: list[Taken]
