"""Seal bytes to a public key, once, and open them again: RFC 9180 (HPKE), base mode, single shot.

One suite only: DHKEM(X25519, HKDF-SHA256) 0x0020, HKDF-SHA256 0x0001, ChaCha20-Poly1305 0x0003. Sealed bytes
are `enc (32) ‖ ciphertext ‖ tag (16)`. What they are bound to is the caller's, in `info`. Written here because
PyNaCl has no HPKE; held against the RFC's vectors and an independent implementation in tests/keys/test_hpke.py.
Nothing in the hub may reach this module. docs/protocol.md 5.3.
"""

from __future__ import annotations

import hmac
from hashlib import sha256
from typing import Final

from nacl import bindings, exceptions

from i247_protocol.errors import PeerFault
from i247_protocol.reasons import Reason


def seal(public: bytes, info: bytes, plaintext: bytes, ephemeral_secret: bytes, *, aad: bytes = b"") -> bytes:
    """Return `plaintext` sealed to `public` under `info`.

    `ephemeral_secret` is 32 bytes of fresh entropy, used for this one call and then forgotten. Raise PeerFault
    when `public` is a point to which nothing can be sealed, ValueError for secrets of another length.
    """
    if len(ephemeral_secret) != KEY_BYTES:
        raise ValueError("an ephemeral secret is 32 bytes")
    enc = bindings.crypto_scalarmult_base(ephemeral_secret)
    key, nonce = _schedule(_diffie_hellman(ephemeral_secret, public), enc + public, info)
    return enc + bindings.crypto_aead_chacha20poly1305_ietf_encrypt(plaintext, aad, nonce, key)


def open_sealed(secret: bytes, public: bytes, info: bytes, sealed: bytes, *, aad: bytes = b"") -> bytes:
    """Return what was sealed to `secret`'s own `public` under `info`; raise PeerFault for anything else."""
    if len(secret) != KEY_BYTES:
        raise ValueError("a secret is 32 bytes")
    if len(sealed) < OVERHEAD_BYTES:
        raise PeerFault(Reason.CANNOT_OPEN)
    enc = sealed[:KEY_BYTES]
    key, nonce = _schedule(_diffie_hellman(secret, enc), enc + public, info)
    try:
        return bindings.crypto_aead_chacha20poly1305_ietf_decrypt(sealed[KEY_BYTES:], aad, nonce, key)
    except exceptions.CryptoError:
        raise PeerFault(Reason.CANNOT_OPEN) from None


def _diffie_hellman(secret: bytes, public: bytes) -> bytes:
    # libsodium reads 32 bytes from wherever it is pointed, so the length is checked here.
    if len(public) != KEY_BYTES:
        raise PeerFault(Reason.CANNOT_OPEN)
    try:
        # It also refuses a result of zeros, as RFC 9180 section 7.1.4 demands.
        return bindings.crypto_scalarmult(secret, public)
    except exceptions.RuntimeError:
        raise PeerFault(Reason.CANNOT_OPEN) from None


def _schedule(dh: bytes, kem_context: bytes, info: bytes) -> tuple[bytes, bytes]:
    """Return key and nonce: ExtractAndExpand of section 4.1, then KeySchedule of section 5.1 in base mode."""
    shared_secret = _hmac(_extract_unsalted(_EAE_PRK + dh), _SHARED_SECRET + kem_context + _LAST)
    context = _MODE_AND_PSK_ID_HASH + _extract_unsalted(_INFO_HASH + info) + _LAST
    secret = _hmac(shared_secret, _SECRET)
    return _hmac(secret, _KEY + context), _hmac(secret, _BASE_NONCE + context)[:NONCE_BYTES]


def _hmac(key: bytes, message: bytes) -> bytes:
    return hmac.digest(key, message, "sha256")


def _extract_unsalted(ikm: bytes) -> bytes:
    """Return HKDF-Extract with the empty salt: HMAC with a constant key, so its first blocks are hashed once."""
    inner = _EMPTY_KEY_INNER.copy()
    inner.update(ikm)
    outer = _EMPTY_KEY_OUTER.copy()
    outer.update(inner.digest())
    return outer.digest()


KEY_BYTES: Final = 32
TAG_BYTES: Final = 16
NONCE_BYTES: Final = 12
OVERHEAD_BYTES: Final = KEY_BYTES + TAG_BYTES

_KEM_ID: Final = (0x0020).to_bytes(2, "big")
_KDF_ID: Final = (0x0001).to_bytes(2, "big")
_AEAD_ID: Final = (0x0003).to_bytes(2, "big")

# The constant parts of each labelled input of sections 4 and 5.1: lengths, version, suite and label. An expand
# of at most 32 bytes is one block, whose counter is `_LAST`.
_VERSION: Final = b"HPKE-v1"
_KEM_SUITE: Final = b"KEM" + _KEM_ID
_HPKE_SUITE: Final = b"HPKE" + _KEM_ID + _KDF_ID + _AEAD_ID
_EAE_PRK: Final = _VERSION + _KEM_SUITE + b"eae_prk"
_SHARED_SECRET: Final = (32).to_bytes(2, "big") + _VERSION + _KEM_SUITE + b"shared_secret"
_INFO_HASH: Final = _VERSION + _HPKE_SUITE + b"info_hash"
_SECRET: Final = _VERSION + _HPKE_SUITE + b"secret"
_KEY: Final = KEY_BYTES.to_bytes(2, "big") + _VERSION + _HPKE_SUITE + b"key"
_BASE_NONCE: Final = NONCE_BYTES.to_bytes(2, "big") + _VERSION + _HPKE_SUITE + b"base_nonce"
_LAST: Final = b"\x01"

_EMPTY_KEY_INNER: Final = sha256(b"\x36" * 64)
_EMPTY_KEY_OUTER: Final = sha256(b"\x5c" * 64)

_MODE_AND_PSK_ID_HASH: Final = b"\0" + _extract_unsalted(_VERSION + _HPKE_SUITE + b"psk_id_hash")
