"""Sign as a member, a hub or a keyholder, and check what others signed.

Ed25519 (RFC 8032) over a context string and the exact bytes received. A secret has no repr, no
equality and cannot be pickled. docs/protocol.md 4.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn

from nacl import bindings, exceptions

from i247_protocol.digests import key_id
from i247_protocol.errors import PeerFault
from i247_protocol.names import KeyId
from i247_protocol.reasons import Reason

Verify = Callable[[bytes, bytes, bytes, bytes], None]
"""What `verify` does; whoever takes one gets `verify` in every program."""


class Identity:
    """An Ed25519 signing key."""

    __slots__ = ("_secret", "key_id", "public")

    public: bytes
    key_id: KeyId

    def __init__(self, seed: bytes) -> None:
        """Make the key that the 32-byte `seed` fixes; raise ValueError for another length."""
        if len(seed) != SEED_BYTES:
            raise ValueError("an identity seed is 32 bytes")
        self.public, self._secret = bindings.crypto_sign_seed_keypair(seed)
        self.key_id = key_id(self.public)

    def sign(self, context: bytes, message: bytes) -> bytes:
        """Return the 64-byte signature over `context` and `message`."""
        return bindings.crypto_sign(context + message, self._secret)[:SIGNATURE_BYTES]

    def __repr__(self) -> str:
        """Name the type and the public key only."""
        return f"Identity({self.public.hex()[:8]}…)"

    def __eq__(self, other: object) -> NoReturn:
        """Refuse: secrets are not compared."""
        raise TypeError("an identity is not compared")

    __hash__ = None  # type: ignore[assignment]  # not comparable, so not hashable

    def __reduce__(self) -> NoReturn:
        """Refuse: secrets are not pickled."""
        raise TypeError("an identity is not pickled")


def verify(public: bytes, context: bytes, message: bytes, signature: bytes) -> None:
    """Raise PeerFault unless `signature` is `public`'s over `context` and `message`."""
    if len(public) != PUBLIC_BYTES or len(signature) != SIGNATURE_BYTES:
        raise PeerFault(Reason.BAD_SIGNATURE)
    try:
        bindings.crypto_sign_open(signature + context + message, public)
    except (exceptions.BadSignatureError, exceptions.ValueError, exceptions.RuntimeError):
        raise PeerFault(Reason.BAD_SIGNATURE) from None


SEED_BYTES = 32
PUBLIC_BYTES = 32
SIGNATURE_BYTES = 64
