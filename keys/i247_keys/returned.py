"""Check a hub's signed word that an envelope will not reach a recipient. docs/protocol.md 9.7."""

from __future__ import annotations

from i247_keys import contexts
from i247_keys.identity import verify
from i247_keys.roster import Directory
from i247_protocol import codec
from i247_protocol.errors import PeerFault
from i247_protocol.frames import Bounce
from i247_protocol.names import HubName, WallMs
from i247_protocol.reasons import Reason


def returned_payload(envelope: bytes, recipient: str, reason: str, at: int, hub: str) -> bytes:
    """Return the bytes that the hub signs."""
    return codec.encode([envelope, recipient, reason, at, hub])


def verify_bounce(bounce: Bounce, directory: Directory, wall: WallMs) -> Reason:
    """Return the reason that a hub of the directory signed for; raise PeerFault when none did."""
    payload = returned_payload(bounce.envelope, bounce.recipient, bounce.reason, bounce.at, bounce.hub)
    for public in directory.hub_verifying_keys(HubName(bounce.hub), wall):
        try:
            verify(public, contexts.RETURNED, payload, bounce.signature)
        except PeerFault:
            continue
        return known_reason(bounce.reason)
    raise PeerFault(Reason.BAD_SIGNATURE)


def known_reason(word: str) -> Reason:
    """Return the reason that `word` names; raise PeerFault when it names none."""
    try:
        return Reason(word)
    except ValueError:
        raise PeerFault(Reason.MALFORMED) from None
