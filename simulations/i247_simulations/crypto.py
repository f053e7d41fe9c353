"""Choose between real cryptography and a stub of the same lengths, and verify each keycard once for the whole world.

The stub protects nothing, and hides a text only from a search for it. It refuses what the real cipher refuses: another
header, another key, altered bytes, a signature of somebody else; so nothing that a lying hub does to a frame comes
through. Directory documents, keycards and words of return are real either way. docs/simulation.md 2.
"""

from __future__ import annotations

from enum import StrEnum
from functools import lru_cache
from hashlib import blake2b
from typing import Final

from i247_keys import contexts
from i247_keys.cardfile import CardFile
from i247_keys.cipher import SODIUM, Cipher
from i247_keys.documents import Document
from i247_keys.identity import Identity
from i247_keys.keycard import Keycard, parse_keycard, verify_keycard
from i247_protocol.errors import PeerFault
from i247_protocol.reasons import Reason


class Crypto(StrEnum):
    """What seals and signs messages in a run."""

    REAL = "real"
    STUB = "stub"


class Stub:
    """Takes as many bytes as the real cipher, and refuses the same."""

    def verify(self, public: bytes, context: bytes, message: bytes, signature: bytes) -> None:
        """Raise PeerFault unless `signature` is the one that `StubIdentity` gives."""
        if signature != _signature(public, context, message):
            raise PeerFault(Reason.BAD_SIGNATURE)

    def seal(self, public: bytes, info: bytes, plaintext: bytes, ephemeral_secret: bytes) -> bytes:
        """Return what stands for a sealed text: 32 bytes, as many as the text has, a tag of 16."""
        body = ephemeral_secret + plaintext.translate(VEIL)
        return body + _tag(public + info, body)

    def open_sealed(self, secret: bytes, public: bytes, info: bytes, sealed: bytes) -> bytes:
        """Return the text; raise PeerFault for other bytes, another key or other `info`."""
        body = sealed[:-TAG_BYTES]
        if len(body) < ENC_BYTES or sealed[-TAG_BYTES:] != _tag(public + info, body):
            raise PeerFault(Reason.CANNOT_OPEN)
        return body[ENC_BYTES:].translate(VEIL)

    def encrypt(self, plaintext: bytes, aad: bytes, nonce: bytes, key: bytes) -> bytes:
        """Return what stands for a ciphertext and its tag."""
        body = plaintext.translate(VEIL)
        return body + _tag(key + nonce + aad, body)

    def decrypt(self, ciphertext: bytes, aad: bytes, nonce: bytes, key: bytes) -> bytes:
        """Return the text; raise PeerFault for anything that `encrypt` did not give for the same arguments."""
        body = ciphertext[:-TAG_BYTES]
        if ciphertext[-TAG_BYTES:] != _tag(key + nonce + aad, body):
            raise PeerFault(Reason.CANNOT_OPEN)
        return body.translate(VEIL)


class StubIdentity(Identity):
    """An identity whose signatures under statements and custody cost nothing; all others are real."""

    __slots__ = ()

    def sign(self, context: bytes, message: bytes) -> bytes:
        """Return the signature."""
        if context not in STUBBED:
            return super().sign(context, message)
        return _signature(self.public, context, message)


def cipher_of(crypto: Crypto) -> Cipher:
    """Return what nodes seal, open and verify with."""
    return Stub() if crypto is Crypto.STUB else SODIUM


def identity_of(crypto: Crypto, seed: bytes) -> Identity:
    """Return what signs in a run."""
    return (StubIdentity if crypto is Crypto.STUB else Identity)(seed)


def shared_card_file() -> CardFile:
    """Return a card file that does not read or verify a card again which any other has: a verdict never changes."""
    return CardFile(_parsed, _verified)


_parsed = lru_cache(8_192)(parse_keycard)


def _verified(document: Document, identity_public: bytes) -> Keycard:
    ((signer, signature),) = document.s  # a parsed card has exactly one
    return _verified_once(document.p, signer, signature, identity_public)


@lru_cache(8_192)
def _verified_once(payload: bytes, signer: bytes, signature: bytes, identity_public: bytes) -> Keycard:
    return verify_keycard(Document(payload, [(signer, signature)]), identity_public)


def _tag(bound: bytes, body: bytes) -> bytes:
    return blake2b(bound + body, digest_size=TAG_BYTES, person=b"i247/stub/tag").digest()


def _signature(public: bytes, context: bytes, message: bytes) -> bytes:
    return blake2b(context + message, key=public, digest_size=64, person=b"i247/stub/sign").digest()


STUBBED: Final = frozenset({contexts.STATEMENT, contexts.CUSTODY})
ENC_BYTES: Final = 32
TAG_BYTES: Final = 16
VEIL: Final = bytes(255 - byte for byte in range(256))
"""Its own opposite."""
