"""Judge the directory documents that links bring, and spend on no giver more than its share.

A document of a version that is held may prove that somebody signed two, so it is not refused unread: the log is
replayed up to it, which costs milliseconds. Whoever gives many that bring nothing makes its listener pay each time. So
what was found to bring nothing is remembered by digest, and a giver of `USELESS_A_MINUTE_MAX` such is not heard until
the minute is over (`too-often`). What is new is believed by the rules of `trust` and costs its giver nothing.
docs/protocol.md 8.8.
"""

from __future__ import annotations

from collections import OrderedDict

from i247_keys.log import parse_network_file
from i247_keys.trust import Trust
from i247_protocol.digests import document_hash
from i247_protocol.errors import PeerFault
from i247_protocol.limits import USELESS_A_MINUTE_MAX, USELESS_REMEMBERED_MAX
from i247_protocol.names import MINUTE_MS, Now
from i247_protocol.reasons import Reason


class Petitions:
    """What was given in vain, and by whom."""

    def __init__(self) -> None:
        self._useless: OrderedDict[tuple[bytes, bytes, bytes], Reason | None] = OrderedDict()
        self._minute = 0
        self._counts: dict[bytes, int] = {}

    def __len__(self) -> int:
        """How many documents are remembered."""
        return len(self._useless)

    def extend(self, trust: Trust, data: bytes, giver: bytes | None, now: Now) -> Trust:
        """Return `trust` with what is newer in `data`; raise PeerFault as `network_file.extend` does, or `too-often`.

        `giver` is the public key by which a link is known, None for this program's own side, which may ask at will.
        """
        self._turn_to(now)
        known = (trust.roster_hash, trust.pulse_hash, document_hash(data))
        if giver is not None and known in self._useless:
            return _as_before(trust, self._useless[known])
        if giver is not None and self._counts.get(giver, 0) >= USELESS_A_MINUTE_MAX:
            raise PeerFault(Reason.TOO_OFTEN)
        try:
            file = parse_network_file(data)
            after = trust.with_file(file, now.wall)
        except PeerFault as fault:
            self._was_useless(known, giver, fault.reason)
            raise
        # Steps that are held byte for byte are passed over at no cost: every hub that hears of a roster gives them.
        if after is trust and not {entry.data for entry in trust.log.entries}.issuperset(file.steps):
            self._was_useless(known, giver, None)
        return after

    def _was_useless(self, known: tuple[bytes, bytes, bytes], giver: bytes | None, reason: Reason | None) -> None:
        if giver is not None:
            self._counts[giver] = self._counts.get(giver, 0) + 1
        if reason not in _OF_A_MOMENT:
            self._useless[known] = reason
        if len(self._useless) > USELESS_REMEMBERED_MAX:
            self._useless.popitem(last=False)

    def _turn_to(self, now: Now) -> None:
        minute = now.mono // MINUTE_MS
        if minute != self._minute:
            self._minute = minute
            self._counts.clear()


def _as_before(trust: Trust, reason: Reason | None) -> Trust:
    if reason is not None:
        raise PeerFault(reason)
    return trust


# What time alone, or a step that comes later, may change is judged again.
_OF_A_MOMENT = frozenset({Reason.FUTURE_DATED, Reason.NEWER_ROSTER, Reason.CHAIN_BROKEN})
