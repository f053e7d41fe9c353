"""Seal a signed statement into an envelope that only its recipients can open.

Decides the bytes of body and wraps; who may be written to, and under which key, is the caller's. A statement
is signed once and may be sealed as often as needed. ‖ joins bytes, hh is the header hash, bh the body hash
(`i247_protocol.digests`), HPKE is `i247_keys.hpke`, and

    inner = pad(msgpack [statement bytes, signature bytes])      canonical, padded as in `i247_keys.padding`

One recipient; the header's `kid` names the key, and there are no wraps:

    body = HPKE.seal(epoch key, info = "i247/seal/1" ‖ 00 ‖ hh, inner)
         = enc (32) ‖ ciphertext (as long as inner) ‖ tag (16)

Two recipients or more; the header's `kid` is nil, the content key is 32 random bytes:

    body = commitment (32) ‖ nonce (24) ‖ XChaCha20-Poly1305(content key, nonce, aad = hh, inner) with its tag (16)
    commitment = BLAKE2b-256(personal "i247/kc/1", content key ‖ hh)
    wraps = [[member, kid, sealed], …] by member code, one for each recipient
    sealed = HPKE.seal(epoch key, info = "i247/wrap/1" ‖ 00 ‖ hh ‖ bh, content key) = enc (32) ‖ 32 bytes ‖ tag (16)

The commitment makes the body open under one key only: without it a sender could make one body that reads
differently for two recipients. docs/protocol.md 5.2 to 5.4.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from i247_keys import hpke
from i247_keys.cipher import SODIUM, Cipher
from i247_keys.identity import SIGNATURE_BYTES
from i247_keys.padding import pad
from i247_protocol import codec
from i247_protocol.digests import body_hash, content_key_commitment, header_hash
from i247_protocol.errors import CallerFault
from i247_protocol.header import Envelope, Wrap, encode_header
from i247_protocol.limits import RECIPIENTS_MAX, STATEMENT_BYTES_MAX
from i247_protocol.names import KeyId, MemberCode, Minutes
from i247_protocol.priority import Priority


def seal_for_one(
    statement: bytes,
    signature: bytes,
    *,
    recipient: MemberCode,
    epoch_kid: KeyId,
    epoch_public: bytes,
    prio: Priority,
    exp: Minutes,
    entropy: Callable[[int], bytes],
    cipher: Cipher = SODIUM,
) -> Envelope:
    """Return the envelope for one recipient; draws 32 bytes, the ephemeral secret."""
    header = encode_header((recipient,), epoch_kid, prio, exp)
    info = SEAL_INFO + header_hash(header)
    body = cipher.seal(epoch_public, info, _inner(statement, signature), entropy(hpke.KEY_BYTES))
    return Envelope(header, body, ())


def seal_for_many(
    statement: bytes,
    signature: bytes,
    *,
    recipients: Sequence[tuple[MemberCode, KeyId, bytes]],
    prio: Priority,
    exp: Minutes,
    entropy: Callable[[int], bytes],
    cipher: Cipher = SODIUM,
) -> Envelope:
    """Return one envelope for several recipients, each given as (member, kid, epoch key), in any order.

    Draws the content key (32 bytes), the nonce (24), then an ephemeral secret (32) for each recipient in the
    order of their codes.
    """
    ordered = sorted(recipients)
    members = tuple(member for member, _, _ in ordered)
    _require_several(members)
    header = encode_header(members, None, prio, exp)
    hh = header_hash(header)
    content_key, nonce = entropy(CONTENT_KEY_BYTES), entropy(NONCE_BYTES)
    ciphertext = cipher.encrypt(_inner(statement, signature), hh, nonce, content_key)
    body = content_key_commitment(content_key, hh) + nonce + ciphertext
    info = WRAP_INFO + hh + body_hash(body)
    wraps = tuple(
        Wrap(member, kid, cipher.seal(public, info, content_key, entropy(hpke.KEY_BYTES)))
        for member, kid, public in ordered
    )
    return Envelope(header, body, wraps)


def _inner(statement: bytes, signature: bytes) -> bytes:
    if not 0 < len(statement) <= STATEMENT_BYTES_MAX:
        raise CallerFault("sealing a statement", f"make it 1 to {STATEMENT_BYTES_MAX} bytes long")
    if len(signature) != SIGNATURE_BYTES:
        raise CallerFault("sealing a statement", "sign it first; a signature is 64 bytes")
    return pad(codec.encode([statement, signature]))


def _require_several(members: tuple[MemberCode, ...]) -> None:
    if not 1 < len(members) <= RECIPIENTS_MAX:
        raise CallerFault("sealing for many", f"name 2 to {RECIPIENTS_MAX} recipients; for one there is seal_for_one")
    if len(set(members)) != len(members):
        raise CallerFault("sealing for many", "name each recipient once")


SEAL_INFO: Final = b"i247/seal/1\0"
WRAP_INFO: Final = b"i247/wrap/1\0"
CONTENT_KEY_BYTES: Final = 32
COMMITMENT_BYTES: Final = 32
NONCE_BYTES: Final = 24
