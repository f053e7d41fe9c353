"""Open an envelope with one of the member's epoch keys.

Decides whether the bytes are what somebody sealed to this header and this key, and nothing about who that was:
the signature inside is not looked at here. Byte layouts stand in `i247_keys.sealing`. Whatever fails,
the reason is `cannot-open`, so that a failure tells nothing of its cause; a key that is not held is `dead-key`,
which the newest keycard tells everybody anyway. Nothing in the hub may reach this module. docs/protocol.md 5.3 and 5.4.
"""

from __future__ import annotations

import hmac
from typing import Final, NamedTuple

from i247_keys import hpke
from i247_keys.cipher import SODIUM, Cipher
from i247_keys.identity import SIGNATURE_BYTES
from i247_keys.keyring import EpochSecret, Keyring
from i247_keys.padding import unpad
from i247_keys.sealing import COMMITMENT_BYTES, NONCE_BYTES, SEAL_INFO, WRAP_INFO
from i247_protocol import codec
from i247_protocol.digests import body_hash, content_key_commitment, header_hash
from i247_protocol.errors import PeerFault
from i247_protocol.header import Header, Wrap
from i247_protocol.limits import BODY_BYTES_MAX, STATEMENT_BYTES_MAX, WRAP_BYTES
from i247_protocol.names import KeyId
from i247_protocol.reasons import Reason


class Inner(NamedTuple):
    """What was sealed: a statement's exact bytes and a signature over them that nobody has verified yet."""

    statement: bytes
    signature: bytes


def open_envelope(
    header_bytes: bytes, header: Header, body: bytes, wrap: Wrap | None, keyring: Keyring, cipher: Cipher = SODIUM
) -> Inner:
    """Return what `body` holds; raise PeerFault when it cannot be opened.

    `header` is `header_bytes` parsed; `wrap` is the opener's own, and None for an envelope with one recipient.
    """
    if len(body) > BODY_BYTES_MAX:
        raise PeerFault(Reason.TOO_LARGE)
    hh = header_hash(header_bytes)
    if header.kid is not None:
        if wrap is not None:
            raise PeerFault(Reason.CANNOT_OPEN)
        secret = _secret_for(KeyId(header.kid), keyring)
        padded = cipher.open_sealed(secret.secret, secret.public, SEAL_INFO + hh, body)
    else:
        if wrap is None:
            raise PeerFault(Reason.CANNOT_OPEN)
        padded = _open_shared(hh, body, _unwrap(hh, body, wrap, keyring, cipher), cipher)
    return _parse_inner(padded)


def _secret_for(kid: KeyId, keyring: Keyring) -> EpochSecret:
    secret = keyring.secret_for(kid)
    if secret is None:
        raise PeerFault(Reason.DEAD_KEY)
    return secret


def _unwrap(hh: bytes, body: bytes, wrap: Wrap, keyring: Keyring, cipher: Cipher) -> bytes:
    secret = _secret_for(wrap.kid, keyring)
    if len(wrap.sealed) != WRAP_BYTES:
        raise PeerFault(Reason.CANNOT_OPEN)
    return cipher.open_sealed(secret.secret, secret.public, WRAP_INFO + hh + body_hash(body), wrap.sealed)


def _open_shared(hh: bytes, body: bytes, content_key: bytes, cipher: Cipher) -> bytes:
    commitment, nonce, ciphertext = body[:COMMITMENT_BYTES], body[COMMITMENT_BYTES:_HEAD_BYTES], body[_HEAD_BYTES:]
    if len(ciphertext) < hpke.TAG_BYTES:
        raise PeerFault(Reason.CANNOT_OPEN)
    if not hmac.compare_digest(commitment, content_key_commitment(content_key, hh)):
        raise PeerFault(Reason.CANNOT_OPEN)
    return cipher.decrypt(ciphertext, hh, nonce, content_key)


def _parse_inner(padded: bytes) -> Inner:
    try:
        statement, signature = codec.decode_as(tuple[bytes, bytes], unpad(padded), bytes_max=BODY_BYTES_MAX)
    except PeerFault:
        raise PeerFault(Reason.CANNOT_OPEN) from None
    if not 0 < len(statement) <= STATEMENT_BYTES_MAX or len(signature) != SIGNATURE_BYTES:
        raise PeerFault(Reason.CANNOT_OPEN)
    return Inner(statement, signature)


_HEAD_BYTES: Final = COMMITMENT_BYTES + NONCE_BYTES
