"""Chain records of what was done, so that none can be changed, removed or reordered unseen.

A record holds who, what, when and under which evidence id; never a name, a number or a text of a case.
Each names the digest of the one before. docs/protocol.md 10.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b
from typing import Final

import msgspec

from i247_protocol import codec
from i247_protocol.errors import PeerFault
from i247_protocol.reasons import Reason


class AuditRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One act: `what` is a word of docs/protocol.md 10, `detail` a reason code or an outcome."""

    at: int
    before: bytes
    conv: bytes
    detail: str
    n: int
    peer: str
    sid: bytes
    what: str


class Chain:
    """The end of a chain of audit records."""

    __slots__ = ("digest", "n")

    def __init__(self, n: int = 0, digest: bytes = b"") -> None:
        self.n = n
        self.digest = digest or GENESIS

    def append(self, what: str, *, at: int, peer: str, sid: bytes, conv: bytes, detail: str) -> bytes:
        """Return the bytes of the next record, and move the end of the chain to it."""
        self.n += 1
        record = AuditRecord(
            at=at, before=self.digest, conv=conv, detail=detail, n=self.n, peer=peer, sid=sid, what=what
        )
        data = codec.encode(record)
        self.digest = record_digest(data)
        return data


def chain_after(last: bytes | None) -> Chain:
    """Return the end of a chain whose last record is `last`, or a new chain; raise PeerFault when it is no record."""
    if last is None:
        return Chain()
    return Chain(codec.decode_as(AuditRecord, last, bytes_max=RECORD_BYTES_MAX).n, record_digest(last))


def record_digest(data: bytes) -> bytes:
    """Return the digest by which the next record names this one."""
    return blake2b(data, digest_size=32, person=b"i247/audit/1").digest()


def verify_chain(records: Iterable[bytes]) -> Chain:
    """Return the end of the chain that `records` form from the first on; raise PeerFault where it breaks."""
    end = Chain()
    for data in records:
        record = codec.decode_as(AuditRecord, data, bytes_max=RECORD_BYTES_MAX)
        if record.n != end.n + 1 or record.before != end.digest:
            raise PeerFault(Reason.CHAIN_BROKEN)
        end = Chain(record.n, record_digest(data))
    return end


GENESIS: Final = bytes(32)
RECORD_BYTES_MAX: Final = 4096
