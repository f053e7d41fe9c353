"""Seal and open what every peer carries: a signed statement of 1 KiB to one recipient, by this project's own library.

The two ends of a benchmark trust each other with their seeds, so that no directory is needed; what is done to a
message is what two members do, and its bytes are those of an envelope. docs/performance.md 10.
"""

from __future__ import annotations

import hashlib
import os
import time
from typing import Final

from i247_keys import contexts
from i247_keys.identity import Identity, verify
from i247_keys.keyring import Keyring
from i247_keys.opening import open_envelope
from i247_keys.sealing import seal_for_one
from i247_protocol.header import parse_header
from i247_protocol.names import KeyId, MemberCode, WallMs, expiry_minutes
from i247_protocol.priority import Priority


class Correspondent:
    """One end: it signs and seals numbered statements to the other, and opens and verifies the other's."""

    def __init__(self, me: str, other: str, seed: bytes) -> None:
        wall = WallMs(time.time_ns() // 1_000_000)
        self._identity = Identity(_derived(seed, me, "identity"))
        self._ring = _ring(seed, me)
        self._other = MemberCode(other)
        self._verifying = Identity(_derived(seed, other, "identity")).public
        key = _ring(seed, other).keys[0]
        self._kid, self._key = KeyId(key.kid), key.public
        self._exp = expiry_minutes(WallMs(wall + LIFETIME_MS))

    def compose(self, number: int) -> bytes:
        """Return statement `number`, signed and sealed, as one piece of bytes."""
        statement = number.to_bytes(NUMBER_BYTES) + FILLING
        envelope = seal_for_one(
            statement,
            self._identity.sign(contexts.STATEMENT, statement),
            recipient=self._other,
            epoch_kid=self._kid,
            epoch_public=self._key,
            prio=Priority.ROUTINE,
            exp=self._exp,
            entropy=os.urandom,
        )
        return len(envelope.header).to_bytes(LENGTH_BYTES) + envelope.header + envelope.body

    def open(self, data: bytes) -> int:
        """Return the number of a statement that the other has truly signed; raise PeerFault otherwise."""
        begin = LENGTH_BYTES + int.from_bytes(data[:LENGTH_BYTES])
        header, body = data[LENGTH_BYTES:begin], data[begin:]
        inner = open_envelope(header, parse_header(header), body, None, self._ring)
        verify(self._verifying, contexts.STATEMENT, inner.statement, inner.signature)
        return int.from_bytes(inner.statement[:NUMBER_BYTES])


def _ring(seed: bytes, whose: str) -> Keyring:
    """Return the same keys in both processes, in use for as long as a benchmark runs."""
    return Keyring().renewed(WallMs(0), lambda size: _derived(seed, whose, "epoch")[:size])


def _derived(seed: bytes, whose: str, use: str) -> bytes:
    return hashlib.blake2b(f"{whose}/{use}".encode(), key=seed, digest_size=32).digest()


NUMBER_BYTES: Final = 8
LENGTH_BYTES: Final = 2
FILLING: Final = bytes(945)
"""With number and signature it pads to 1 KiB."""
LIFETIME_MS: Final = 3_600_000
