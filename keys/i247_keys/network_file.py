"""Follow a network file from the pin: the whole log, by any channel, believed from nobody.

A newcomer replays it; whoever holds something already extends it. The shapes stand in `log`, the rules in
`trust`. docs/protocol.md 8.8.
"""

from __future__ import annotations

from i247_keys.documents import parse_document
from i247_keys.log import parse_network_file
from i247_keys.trust import Trust
from i247_protocol.errors import PeerFault
from i247_protocol.names import WallMs
from i247_protocol.reasons import Reason


def replay(data: bytes, pin: bytes, wall: WallMs) -> Trust:
    """Return what a whole network file leads to; raise PeerFault at the first broken rule."""
    file = parse_network_file(data)
    if file.founding is None:
        raise PeerFault(Reason.CHAIN_BROKEN)
    founding = parse_document(file.founding.charter), parse_document(file.founding.roster)
    return Trust.founded(pin, *founding, wall).with_file(file, wall)


def extend(trust: Trust, data: bytes, wall: WallMs) -> Trust:
    """Return `trust` with what is newer in `data`, passing over what is held; raise PeerFault at a fork."""
    return trust.with_file(parse_network_file(data), wall)
