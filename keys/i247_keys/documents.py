"""Sign a directory document and count who signed it.

A document is the canonical msgpack `{p: payload, s: [[key id, signature], …]}`. The payload's bytes are
kept as received and never re-encoded; a key that signs twice counts once. docs/protocol.md 8.1.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import msgspec

from i247_keys.identity import Identity, verify
from i247_protocol import codec
from i247_protocol.digests import document_hash
from i247_protocol.errors import PeerFault
from i247_protocol.limits import DOCUMENT_BYTES_MAX, SIGNATURES_MAX
from i247_protocol.names import KeyId
from i247_protocol.reasons import Reason


class Document(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A payload and the signatures that came with it; nothing is verified yet."""

    p: bytes
    s: list[tuple[bytes, bytes]]

    @property
    def hash(self) -> bytes:
        """The 32 bytes by which other documents name this payload."""
        return document_hash(self.p)

    def to_bytes(self) -> bytes:
        """Return the document as it travels."""
        return codec.encode(self)

    def with_signature(self, context: bytes, signer: Identity) -> Document:
        """Return this document with `signer`'s signature added, or as it is when it was there."""
        if any(name == signer.key_id for name, _ in self.s):
            return self
        return Document(self.p, [*self.s, (signer.key_id, signer.sign(context, self.p))])

    def merged(self, other: Document) -> Document:
        """Return one document with both lists of signatures; raise PeerFault when the payloads differ."""
        if self.p != other.p:
            raise PeerFault(Reason.FORKED)
        mine = {name for name, _ in self.s}
        return Document(self.p, [*self.s, *(pair for pair in other.s if pair[0] not in mine)])


def parse_document(data: bytes) -> Document:
    """Return the document in `data`; raise PeerFault when it is not one."""
    document = codec.decode_as(Document, data, bytes_max=DOCUMENT_BYTES_MAX)
    if len(document.s) > SIGNATURES_MAX or len(document.p) == 0:
        raise PeerFault(Reason.TOO_LARGE)
    return document


def sign_document(payload: bytes, context: bytes, signers: Iterable[Identity]) -> Document:
    """Return `payload` signed by each of `signers`."""
    document = Document(payload, [])
    for signer in signers:
        document = document.with_signature(context, signer)
    return document


@dataclass(frozen=True, slots=True)
class Verdict:
    """Who of those entitled signed, and how many are still needed."""

    signed: tuple[KeyId, ...]
    lacking: int

    @property
    def reached(self) -> bool:
        """Whether the threshold is met."""
        return self.lacking == 0

    def require(self) -> None:
        """Raise PeerFault unless the threshold is met."""
        if not self.reached:
            raise PeerFault(Reason.TOO_FEW_SIGNATURES)


def tally(document: Document, context: bytes, entitled: Mapping[KeyId, bytes], threshold: int) -> Verdict:
    """Count each entitled key at most once; a wrong or foreign signature counts nothing and harms nothing."""
    signed: dict[KeyId, None] = {}
    for name, signature in document.s:
        key = KeyId(name)
        public = entitled.get(key)
        if public is None or key in signed:
            continue
        try:
            verify(public, context, document.p, signature)
        except PeerFault:
            continue
        signed[key] = None
    return Verdict(tuple(signed), max(0, threshold - len(signed)))
