"""Say something as this member: build a statement, sign it once, and seal it as often as needed.

docs/protocol.md 6.1 and 5.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from i247_keys import contexts
from i247_keys.cipher import SODIUM, Cipher
from i247_keys.identity import Identity
from i247_keys.keycard import EpochKey
from i247_keys.sealing import seal_for_many, seal_for_one
from i247_node.records import Outgoing
from i247_protocol import codec
from i247_protocol.bodies import Body
from i247_protocol.digests import evidence_id
from i247_protocol.frames import Parcel
from i247_protocol.handling import Handling, Purpose
from i247_protocol.header import Envelope
from i247_protocol.names import EvidenceId, KeyId, MemberCode, MessageId, WallMs, expiry_minutes
from i247_protocol.priority import Priority
from i247_protocol.statement import Act, Statement


@dataclass(frozen=True, slots=True)
class Draft:
    """What is to be said; who says it, when and under which directory is added when it is signed."""

    act: Act
    to: tuple[MemberCode, ...]
    body: Body
    prio: Priority
    lifetime_ms: int
    basis: Purpose
    handling: Handling
    conv: bytes | None = None
    re: tuple[EvidenceId, ...] = ()
    seq: tuple[int, int] | None = None


def sign(
    draft: Draft,
    *,
    n: int,
    me: MemberCode,
    identity: Identity,
    directory: tuple[int, bytes],
    wall: WallMs,
    entropy: Callable[[int], bytes],
) -> Outgoing:
    """Return the message that `draft` becomes; `n` is its running number here."""
    message = MessageId(entropy(16))
    conv = entropy(16) if draft.conv is None else draft.conv
    exp = expiry_minutes(WallMs(wall + draft.lifetime_ms))
    statement = Statement(
        act=draft.act,
        att=(),
        basis=draft.basis,
        body=codec.encode(draft.body),
        conv=conv,
        dir=directory,
        exp=exp,
        sender=me,
        handling=draft.handling,
        iat=wall,
        id=message,
        prio=draft.prio,
        re=draft.re,
        seq=draft.seq,
        to=tuple(sorted(draft.to)),
    )
    data = codec.encode(statement)
    signature = identity.sign(contexts.STATEMENT, data)
    return Outgoing(
        n=n,
        id=message,
        sid=evidence_id(data, signature),
        act=draft.act,
        conv=conv,
        prio=draft.prio,
        exp=exp,
        created=wall,
        to=tuple(sorted(draft.to)),
        statement=data,
        signature=signature,
        seq=draft.seq,
    )


def seal(
    message: Outgoing,
    keys: Sequence[tuple[MemberCode, EpochKey]],
    entropy: Callable[[int], bytes],
    cipher: Cipher = SODIUM,
) -> Parcel:
    """Return `message` sealed to the epoch keys of one or more of its recipients."""
    if len(keys) == 1:
        member, key = keys[0]
        return _parcel(
            seal_for_one(
                message.statement,
                message.signature,
                recipient=member,
                epoch_kid=KeyId(key.kid),
                epoch_public=key.public,
                prio=message.prio,
                exp=message.exp,
                entropy=entropy,
                cipher=cipher,
            )
        )
    return _parcel(
        seal_for_many(
            message.statement,
            message.signature,
            recipients=[(member, KeyId(key.kid), key.public) for member, key in keys],
            prio=message.prio,
            exp=message.exp,
            entropy=entropy,
            cipher=cipher,
        )
    )


def _parcel(envelope: Envelope) -> Parcel:
    return Parcel(0, envelope.header, envelope.body, envelope.wraps)
