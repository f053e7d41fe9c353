"""Name the primitives under an envelope, a statement and custody: the one place where others could be put in.

Every program uses `SODIUM`. A simulation may take another `Cipher` of the same lengths that protects nothing, where the
time of real cryptography would decide how much of the world can be run. Directory documents, keycards and words of
return do not pass here: those are always real. Nothing in the hub may reach this module. docs/protocol.md 4 and 5.
"""

from __future__ import annotations

from typing import Final, Protocol

from nacl import bindings, exceptions

from i247_keys import hpke, identity
from i247_protocol.errors import PeerFault
from i247_protocol.reasons import Reason


class Cipher(Protocol):
    """What seals, opens and verifies."""

    def verify(self, public: bytes, context: bytes, message: bytes, signature: bytes) -> None:
        """Raise PeerFault unless `signature` is `public`'s over `context` and `message`."""
        ...

    def seal(self, public: bytes, info: bytes, plaintext: bytes, ephemeral_secret: bytes) -> bytes:
        """Return `plaintext` sealed to `public` under `info`."""
        ...

    def open_sealed(self, secret: bytes, public: bytes, info: bytes, sealed: bytes) -> bytes:
        """Return what was sealed to `public`, whose secret is `secret`, under `info`; raise PeerFault otherwise."""
        ...

    def encrypt(self, plaintext: bytes, aad: bytes, nonce: bytes, key: bytes) -> bytes:
        """Return `plaintext` under a content key, with its tag."""
        ...

    def decrypt(self, ciphertext: bytes, aad: bytes, nonce: bytes, key: bytes) -> bytes:
        """Return what was encrypted under a content key; raise PeerFault otherwise."""
        ...


class Sodium:
    """Ed25519, HPKE and XChaCha20-Poly1305."""

    verify = staticmethod(identity.verify)
    seal = staticmethod(hpke.seal)
    open_sealed = staticmethod(hpke.open_sealed)
    encrypt = staticmethod(bindings.crypto_aead_xchacha20poly1305_ietf_encrypt)

    @staticmethod
    def decrypt(ciphertext: bytes, aad: bytes, nonce: bytes, key: bytes) -> bytes:
        """Return what was encrypted under a content key; raise PeerFault otherwise."""
        try:
            return bindings.crypto_aead_xchacha20poly1305_ietf_decrypt(ciphertext, aad, nonce, key)
        except exceptions.CryptoError:
            raise PeerFault(Reason.CANNOT_OPEN) from None


SODIUM: Final = Sodium()
