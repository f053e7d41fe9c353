"""Say which roster is the newest and how long the log is, so that nobody can be kept on an old one.

A pulse lives a day. Its log root is the RFC 9162 Merkle tree hash (SHA-256) over the hashes of the log's documents.
How long a node may go on without a fresh one is decided in `trust`. docs/protocol.md 8.4.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from i247_keys.bounds import require, require_bytes32, require_lifetime
from i247_keys.merkle import Tree
from i247_protocol import codec
from i247_protocol.limits import DOCUMENT_BYTES_MAX, PULSE_LIFETIME_MS


class Pulse(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The payload of a pulse document; times are ms."""

    roster_version: int
    roster_hash: bytes
    log_size: int
    log_root: bytes
    iat: int
    exp: int


def encode_pulse(pulse: Pulse) -> bytes:
    """Return the payload to sign; raise PeerFault when nobody would take it."""
    _check(pulse)
    return codec.encode(pulse)


def parse_pulse(payload: bytes) -> Pulse:
    """Return the pulse in `payload`; raise PeerFault when it breaks a rule that holds for every pulse."""
    pulse: Pulse = codec.decode_as(Pulse, payload, bytes_max=DOCUMENT_BYTES_MAX)
    _check(pulse)
    return pulse


def log_root(leaves: Sequence[bytes]) -> bytes:
    """Return the 32-byte Merkle tree hash of the log's documents' hashes."""
    return Tree(leaves).root


def _check(pulse: Pulse) -> None:
    require(pulse.roster_version >= 1 and pulse.log_size >= 2)  # noqa: PLR2004  the founding charter and roster
    require_bytes32(pulse.roster_hash, pulse.log_root)
    require_lifetime(pulse.iat, pulse.exp, PULSE_LIFETIME_MS)
