"""Name things by their bytes: BLAKE2b-256 with one personalisation string for each purpose.

A digest made for one purpose can never be taken for one of another. docs/protocol.md 4.
"""

from __future__ import annotations

from hashlib import blake2b

from i247_protocol.names import EnvelopeId, EvidenceId, KeyId


def header_hash(header: bytes) -> bytes:
    """Return the 32-byte hash that binds everything sealed to its header."""
    return _digest(b"i247/header/1", header)


def body_hash(body: bytes) -> bytes:
    """Return the 32-byte hash that binds each wrap to the one body."""
    return _digest(b"i247/body/1", body)


def envelope_id(header: bytes, body: bytes) -> EnvelopeId:
    """Return the name by which hubs know an envelope."""
    return EnvelopeId(blake2b(header + body, digest_size=32, person=b"i247/envelope/1").digest())


def evidence_id(statement: bytes, signature: bytes) -> EvidenceId:
    """Return the name by which both ends know a signed statement."""
    return EvidenceId(_digest(b"i247/sid/1", statement + signature))


def key_id(public_key: bytes) -> KeyId:
    """Return the 8-byte name of a public key."""
    return KeyId(blake2b(public_key, digest_size=8, person=b"i247/kid/1").digest())


def document_hash(payload: bytes) -> bytes:
    """Return the 32-byte hash by which directory documents name one another."""
    return _digest(b"i247/document/1", payload)


def next_key_hash(public_key: bytes) -> bytes:
    """Return the 32-byte commitment to an identity key that is not in use yet."""
    return _digest(b"i247/next/1", public_key)


def content_key_commitment(content_key: bytes, header: bytes) -> bytes:
    """Return the 32-byte commitment to the content key of an envelope; `header` is its header hash."""
    return _digest(b"i247/kc/1", content_key + header)


def _digest(purpose: bytes, data: bytes) -> bytes:
    return blake2b(data, digest_size=32, person=purpose).digest()
