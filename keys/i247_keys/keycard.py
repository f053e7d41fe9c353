"""Publish a member's epoch keys, and say which of them to seal to.

A keycard is a document (`i247_keys.documents`) with exactly one signature, the member's identity key's under
`contexts.KEYCARD`. Its payload is the canonical struct

    member   code of the member
    version  a later card has a strictly greater one
    iat      when it was signed, ms
    keys     [{kid, public, use_from, use_until}, …], ordered by (use_from, kid); 1 to EPOCH_KEYS_MAX

`public` is X25519 and `kid` its key id. A key is sealed to while use_from ≤ now < use_until (ms), for at most
EPOCH_USE_MS_MAX; at most EPOCH_KEYS_AHEAD_MAX begin after `iat`. The card lists all keys that the member can
open, so a key that it does not list is dead. Decides what a good card is; which of two cards counts, and whether
the signer is in the directory, is decided by `i247_keys.cardfile`. docs/protocol.md 8.6.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import msgspec
from nacl import bindings, exceptions

from i247_keys import contexts
from i247_keys.documents import Document, parse_document, sign_document
from i247_keys.identity import Identity, verify
from i247_protocol import codec
from i247_protocol.digests import document_hash, key_id
from i247_protocol.errors import CallerFault, PeerFault
from i247_protocol.header import EXPIRY_MINUTES_MAX
from i247_protocol.limits import EPOCH_KEYS_AHEAD_MAX, EPOCH_KEYS_MAX, EPOCH_USE_MS_MAX
from i247_protocol.names import MINUTE_MS, KeyId, MemberCode, WallMs, parse_member
from i247_protocol.reasons import Reason


class EpochKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A public key to seal to, and when."""

    kid: KeyId
    public: bytes
    use_from: WallMs
    use_until: WallMs


@dataclass(frozen=True, slots=True)
class Keycard:
    """The epoch keys of one member; `digest` is the document hash of the payload."""

    member: MemberCode
    version: int
    iat: WallMs
    keys: tuple[EpochKey, ...]
    digest: bytes

    def sealing_key(self, wall: WallMs) -> EpochKey | None:
        """Return the newest key in use at `wall`, or None: then nothing can be sealed to this member."""
        in_use = (key for key in reversed(self.keys) if key.use_from <= wall < key.use_until)
        return next(in_use, None)

    def lists(self, kid: KeyId) -> bool:
        """Whether `kid` is alive: the member says that it can still open what was sealed to it."""
        return any(key.kid == kid for key in self.keys)


def parse_keycard(data: bytes) -> tuple[Keycard, Document]:
    """Return the card in `data` and its document; raise PeerFault when it breaks a rule. Nothing is verified."""
    if len(data) > CARD_BYTES_MAX:
        raise PeerFault(Reason.TOO_LARGE)
    document = parse_document(data)
    # A second signature would let anybody make other bytes of the same card.
    if len(document.s) != 1:
        raise PeerFault(Reason.MALFORMED)
    return _parse_payload(document.p), document


def verify_keycard(document: Document, identity_public: bytes) -> Keycard:
    """Return the card that the holder of `identity_public` signed; raise PeerFault when it did not."""
    if len(document.s) != 1 or document.s[0][0] != key_id(identity_public):
        raise PeerFault(Reason.BAD_SIGNATURE)
    verify(identity_public, contexts.KEYCARD, document.p, document.s[0][1])
    card = _parse_payload(document.p)
    for key in card.keys:
        _require_sealable(key.public)
    return card


def sign_keycard(member: MemberCode, version: int, wall: WallMs, keys: Iterable[EpochKey], identity: Identity) -> bytes:
    """Return the document of a card signed at `wall`; raise CallerFault for one that nobody would take."""
    ordered = tuple(sorted(keys, key=_order))
    payload = codec.encode(_Payload(member=member, version=version, iat=wall, keys=ordered))
    try:
        _parse_payload(payload)
    except PeerFault:
        raise CallerFault("signing a keycard", "keep to the limits of docs/protocol.md 8.6") from None
    return sign_document(payload, contexts.KEYCARD, (identity,)).to_bytes()


class _Payload(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    member: str
    version: int
    iat: WallMs
    keys: tuple[EpochKey, ...]


def _parse_payload(data: bytes) -> Keycard:
    payload: _Payload = codec.decode_as(_Payload, data, bytes_max=CARD_BYTES_MAX)
    right = (
        1 <= payload.version <= VERSION_MAX
        and 0 <= payload.iat <= _WALL_MS_MAX
        and 1 <= len(payload.keys) <= EPOCH_KEYS_MAX
        and all(map(_is_sound, payload.keys))
        and all(_order(one) < _order(other) for one, other in pairwise(payload.keys))
        and len({key.kid for key in payload.keys}) == len(payload.keys)
        and sum(key.use_from > payload.iat for key in payload.keys) <= EPOCH_KEYS_AHEAD_MAX
    )
    if not right:
        raise PeerFault(Reason.MALFORMED)
    member = parse_member(payload.member)
    return Keycard(member, payload.version, payload.iat, payload.keys, document_hash(data))


def _is_sound(key: EpochKey) -> bool:
    return (
        len(key.public) == PUBLIC_BYTES
        and key.kid == key_id(key.public)
        and 0 <= key.use_from < key.use_until <= _WALL_MS_MAX
        and key.use_until - key.use_from <= EPOCH_USE_MS_MAX
    )


def _order(key: EpochKey) -> tuple[int, bytes]:
    return key.use_from, key.kid


def _require_sealable(public: bytes) -> None:
    # A point of small order would make every sender's sealing fail, later and elsewhere.
    try:
        bindings.crypto_scalarmult(_ANY_SECRET, public)
    except exceptions.RuntimeError:
        raise PeerFault(Reason.MALFORMED) from None


PUBLIC_BYTES: Final = 32
CARD_BYTES_MAX: Final = 4096  # EPOCH_KEYS_MAX keys need less than half of it
VERSION_MAX: Final = 2**53 - 1  # exact in every language and every database
_WALL_MS_MAX: Final = EXPIRY_MINUTES_MAX * MINUTE_MS
_ANY_SECRET: Final = b"\1" * 32
