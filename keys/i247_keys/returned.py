"""Check a hub's signed word that an envelope will not reach a recipient. docs/protocol.md 9.7."""

from __future__ import annotations

from typing import Final

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


def encode_word(word: Bounce) -> bytes:
    """Return the bytes under which a word is kept."""
    return codec.encode(word)


def parse_word(data: bytes) -> Bounce:
    """Return the word in `data`; raise PeerFault when it is none."""
    return codec.decode_as(Bounce, data, bytes_max=WORD_BYTES_MAX)


def known_reason(word: str) -> Reason:
    """Return the reason that `word` names; raise PeerFault when it names none."""
    try:
        return Reason(word)
    except ValueError:
        raise PeerFault(Reason.MALFORMED) from None


WORD_BYTES_MAX: Final = 1024
