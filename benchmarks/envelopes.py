"""Sealing and opening, held against the sum of their primitives in the same run; a notice to 195 at its sender."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

from nacl import bindings

from i247_keys import contexts
from i247_keys.identity import Identity, verify
from i247_keys.keyring import Keyring
from i247_keys.opening import open_envelope
from i247_keys.sealing import seal_for_many, seal_for_one
from i247_node.records import Delivery, DeliveryState, KeepOutgoing, Outgoing
from i247_node.store import NodeStore
from i247_protocol.digests import evidence_id
from i247_protocol.header import parse_header
from i247_protocol.names import KeyId, MemberCode, MessageId, Minutes, WallMs
from i247_protocol.priority import Priority
from i247_protocol.statement import Act
from measures import Row, in_turn, median, per_call_us, ratios, spread

NOW = WallMs(1_800_000_000_000)
EXP = Minutes(NOW // 60_000 + 600)
STATEMENT = bytes(820)
CALLS = 400
MEMBERS = 195


def rows(rounds: int, folder: Path) -> list[Row]:
    """Measure, and return the lines of the table."""
    identity = Identity(bytes(32))
    ring = Keyring().renewed(NOW, os.urandom)
    key = ring.keys[0]
    recipient = MemberCode("SG")

    def seal() -> object:
        signature = identity.sign(contexts.STATEMENT, STATEMENT)
        return seal_for_one(
            STATEMENT,
            signature,
            recipient=recipient,
            epoch_kid=KeyId(key.kid),
            epoch_public=key.public,
            prio=Priority.ROUTINE,
            exp=EXP,
            entropy=os.urandom,
        )

    envelope = seal_for_one(
        STATEMENT,
        identity.sign(contexts.STATEMENT, STATEMENT),
        recipient=recipient,
        epoch_kid=KeyId(key.kid),
        epoch_public=key.public,
        prio=Priority.ROUTINE,
        exp=EXP,
        entropy=os.urandom,
    )

    def open_and_verify() -> object:
        inner = open_envelope(envelope.header, parse_header(envelope.header), envelope.body, None, ring)
        verify(identity.public, contexts.STATEMENT, inner.statement, inner.signature)
        return inner

    seals, floors, opens, open_floors = in_turn(
        rounds,
        lambda: per_call_us(seal, CALLS),
        lambda: per_call_us(_sealing_floor, CALLS),
        lambda: per_call_us(open_and_verify, CALLS),
        lambda: per_call_us(_opening_floor, CALLS),
    )
    table = []
    for what, series, floor in (("seal + sign", seals, floors), ("open + verify", opens, open_floors)):
        part = ratios(series, floor)
        figure = f"{median(series):.0f} µs, {median(part):.2f} × primitives"
        table.append(Row(what, figure, spread(part, ".2f"), "≤ 1.3 ×", "944-byte body"))
    return [*table, _notice(rounds, folder, identity)]


def _sealing_floor() -> None:
    bindings.crypto_sign(STATEMENT, SIGNING[1])
    bindings.crypto_scalarmult_base(SECRET)
    bindings.crypto_scalarmult(SECRET, PUBLIC)
    bindings.crypto_aead_chacha20poly1305_ietf_encrypt(PADDED, b"", NONCE, SECRET)


def _opening_floor() -> None:
    bindings.crypto_scalarmult(SECRET, PUBLIC)
    bindings.crypto_aead_chacha20poly1305_ietf_decrypt(CIPHERTEXT, b"", NONCE, SECRET)
    bindings.crypto_sign_open(SIGNED, SIGNING[0])


def _notice(rounds: int, folder: Path, identity: Identity) -> Row:
    codes = [MemberCode(a + b) for a in "ABCDEFGH" for b in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"][:MEMBERS]
    keys = [(code, Keyring().renewed(NOW, os.urandom).keys[0]) for code in codes]
    recipients = [(code, KeyId(key.kid), key.public) for code, key in keys]
    store = NodeStore(str(folder / "notice.db"))

    def publish(n: int) -> None:
        signature = identity.sign(contexts.STATEMENT, STATEMENT)
        seal_for_many(STATEMENT, signature, recipients=recipients, prio=Priority.URGENT, exp=EXP, entropy=os.urandom)
        message = Outgoing(
            n=n,
            id=MessageId(os.urandom(16)),
            sid=evidence_id(STATEMENT, signature + bytes([n % 256])),
            act=Act.NOTICE,
            conv=os.urandom(16),
            prio=Priority.URGENT,
            exp=EXP,
            created=NOW,
            to=tuple(codes),
            statement=STATEMENT,
            signature=signature,
        )
        deliveries = tuple(Delivery(n, code, DeliveryState.QUEUED, None, None, NOW, None, None) for code in codes)
        store.persist(KeepOutgoing(message, deliveries))
        store.commit()

    taken = [per_call_us(partial(publish, n), 1) / 1000 for n in range(1, rounds * 5 + 1)]
    store.close()
    figure = f"{median(taken):.1f} ms"
    return Row("notice to 195: sign, seal, save, commit", figure, spread(taken, ".1f"), "≤ 25 ms", "durable")


SIGNING = bindings.crypto_sign_seed_keypair(bytes(32))
SIGNED = bindings.crypto_sign(STATEMENT, SIGNING[1])
SECRET = bytes([64, *range(1, 31), 64])
PUBLIC = bindings.crypto_scalarmult_base(bytes([72, *range(2, 32), 65])[:32])
NONCE = bytes(12)
PADDED = bytes(912)
CIPHERTEXT = bindings.crypto_aead_chacha20poly1305_ietf_encrypt(PADDED, b"", NONCE, SECRET)
