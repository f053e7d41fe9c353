"""Hide the length of what is sealed among few possible lengths.

The padded form is the inner bytes, one byte 0x80, and zeros up to max(512, Padmé of the two together), so that
a length leaks O(log log length) bits and costs at most 12 %. Each inner has exactly one padded form, and no
other is taken. Padmé: Nikitin et al., "Reducing Metadata Leakage from Encrypted Files and Communication with
PURBs", 2019, section 4. docs/protocol.md 5.2.
"""

from __future__ import annotations

from typing import Final

from i247_protocol.errors import PeerFault
from i247_protocol.limits import INNER_BYTES_MIN
from i247_protocol.reasons import Reason


def pad(inner: bytes) -> bytes:
    """Return the one padded form of `inner`."""
    return (inner + MARK).ljust(padded_length(len(inner)), b"\0")


def unpad(padded: bytes) -> bytes:
    """Return the inner bytes of `padded`; raise PeerFault when it is not their one padded form."""
    marked = padded.rstrip(b"\0")
    if not marked.endswith(MARK):
        raise PeerFault(Reason.MALFORMED)
    inner = marked[:-1]
    if len(padded) != padded_length(len(inner)):
        raise PeerFault(Reason.NOT_CANONICAL)
    return inner


def padded_length(inner_length: int) -> int:
    """Return how many bytes an inner of `inner_length` bytes becomes."""
    return max(INNER_BYTES_MIN, _padme(inner_length + len(MARK)))


def _padme(length: int) -> int:
    """Round `length`, at least 1, up so that only its leading bits can differ from zero."""
    exponent = length.bit_length() - 1
    zeroed = exponent - exponent.bit_length()
    mask = (1 << max(0, zeroed)) - 1
    return (length + mask) & ~mask


MARK: Final = b"\x80"
