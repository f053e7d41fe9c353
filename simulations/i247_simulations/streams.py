"""Derive every random choice of a run from its one seed, by a stream of its own for each purpose.

Taking one fault or one message away moves no other stream. Keys and nonces come from BLAKE2b in counter mode,
everything else from a generator seeded with such bytes; neither depends on the process or its hash seed.
docs/simulation.md 1.
"""

from __future__ import annotations

from hashlib import blake2b
from random import Random


class Entropy:
    """Bytes as fresh entropy would give them, fixed by seed and purpose."""

    __slots__ = ("_at", "_block", "_key", "_n")

    def __init__(self, seed: int, purpose: str) -> None:
        self._key = derived(seed, purpose)
        self._n = 0
        self._block = b""
        self._at = 0

    def __call__(self, length: int) -> bytes:
        """Return the next `length` bytes."""
        at = self._at
        while len(self._block) - at < length:
            self._n += 1
            self._block = self._block[at:] + blake2b(self._n.to_bytes(8), key=self._key, digest_size=64).digest()
            at = 0
        self._at = at + length
        return self._block[at : self._at]


def derived(seed: int, purpose: str) -> bytes:
    """Return the 32 bytes that seed and purpose fix."""
    return blake2b(f"{seed}/{purpose}".encode(), digest_size=32, person=b"i247/sim/1").digest()


def luck(seed: int, purpose: str) -> Random:
    """Return the generator that seed and purpose fix."""
    return Random(int.from_bytes(derived(seed, purpose)))
