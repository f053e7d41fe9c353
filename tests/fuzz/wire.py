"""Targets: what travels between programs. Encoding, headers, statements, bodies, frames, envelopes, audit records."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

from nacl import bindings
from tests.fuzz import corpus
from tests.fuzz.target import Find, Target
from tests.vectors.make_envelopes import SIGNER, Draws, epoch_secret

from i247_keys import contexts, hpke
from i247_keys.padding import pad
from i247_keys.returned import verify_bounce
from i247_keys.roster import Directory
from i247_keys.sealing import CONTENT_KEY_BYTES, NONCE_BYTES, SEAL_INFO, WRAP_INFO
from i247_node.acceptance import open_parcel, verify_opened
from i247_protocol import codec
from i247_protocol.audit import chain_after, verify_chain
from i247_protocol.bodies import TYPES, body_is_sound, parse_body
from i247_protocol.bundle import Bundle, batches, framefuls
from i247_protocol.digests import body_hash, content_key_commitment, header_hash
from i247_protocol.errors import PeerFault
from i247_protocol.frames import Ask, Custody, Parcel, Put, Returned, encode_frame, parse_frame
from i247_protocol.header import encode_header, parse_header
from i247_protocol.limits import STATEMENT_BYTES_MAX
from i247_protocol.machine import LinkId
from i247_protocol.names import MemberCode, Minutes, WallMs, expiry_wall, parse_hub, parse_member
from i247_protocol.priority import Priority
from i247_protocol.reasons import Reason
from i247_protocol.statement import Act, parse_statement


def targets() -> Iterator[Target]:
    """Yield them all."""
    yield Target("codec", lambda data: codec.encode(codec.decode(data, bytes_max=1 << 20)), corpus.codec_seeds)
    yield Target("names", _names, lambda: [b"FR", b"XP", b"hub-1"], is_text=True, bytes_max=64)
    yield Target("header", lambda data: codec.encode(parse_header(data)), corpus.header_seeds, bytes_max=2048)
    yield Target("statement", lambda data: codec.encode(parse_statement(data)), corpus.statement_seeds)
    yield Target("statement-body", _body_of_statement, corpus.statement_seeds)
    for act in Act:
        if act is not Act.DIFFUSION:
            yield Target(f"body-{act}", _reader_of_body(act), _seeds_of_body(act))
    yield Target("frame", lambda data: encode_frame(parse_frame(data)), corpus.frame_seeds)
    yield Target("bundle", _bundle, _bundle_seeds)
    yield Target("bounce", _bounce, corpus.frame_seeds)
    yield Target("padded", _padded, _padded_seeds)
    yield Target("envelope", _envelope, envelope_seeds)
    yield Target("audit", _audit, corpus.audit_seeds)


def _names(data: bytes) -> bytes:
    text = data.decode(errors="replace")
    try:
        return parse_member(text).encode()
    except PeerFault:
        return parse_hub(text).encode()


def _reader_of_body(act: Act) -> Callable[[bytes], bytes]:
    def read(data: bytes) -> bytes:
        body = codec.decode_as(TYPES[act], data, bytes_max=STATEMENT_BYTES_MAX)
        if not body_is_sound(body):
            raise PeerFault(Reason.UNKNOWN_BODY)
        return codec.encode(body)

    return read


def _seeds_of_body(act: Act) -> Callable[[], list[bytes]]:
    return lambda: corpus.body_seeds(act)


def _body_of_statement(data: bytes) -> None:
    parse_body(parse_statement(data))


def _bundle(data: bytes) -> None:
    """Merge frames as a turn does, and read what comes out: nothing is lost, and every frame is one."""
    frames = []
    for one in codec.decode_as(tuple[bytes, ...], data, bytes_max=1 << 20):
        try:
            frames.append(parse_frame(one))
        except PeerFault:
            continue
    bundle = Bundle()
    for frame in frames:
        bundle.add(LinkId(frame.session), frame)
    merged = [parse_frame(one) for _, one in bundle.frames()]
    for kind in (Put, Ask):
        if _carried(kind, frames) != _carried(kind, merged):
            raise Find(f"merging loses or reorders what a {kind.__name__} carries")
    for frame in merged:
        match frame:
            case Put(parcels=parcels):
                again = [encode_frame(Put(frame.session, one)) for one in batches(parcels)]
            case Custody(taken=taken, voucher=voucher):
                again = [encode_frame(Custody(frame.session, one, voucher)) for one in framefuls(taken)]
            case _:
                again = []
        for one in again:
            parse_frame(one)


def _carried(kind: Any, frames: list[Any]) -> dict[bytes, list[Any]]:
    found: dict[bytes, list[Any]] = {}
    for frame in frames:
        if isinstance(frame, kind):
            found.setdefault(frame.session, []).extend(frame.parcels if isinstance(frame, Put) else frame.pairs)
    return found


def _bundle_seeds() -> list[bytes]:
    seeds = corpus.frame_seeds()
    return [codec.encode(seeds[at : at + 4]) for at in range(len(seeds) - 3)] + [
        codec.encode([one] * 3) for one in seeds
    ]


def _padded_seeds() -> list[bytes]:
    return [pad(codec.encode([one, bytes(64)])) for one in corpus.statement_seeds()]


def _bounce(data: bytes) -> None:
    frame = parse_frame(data)
    if isinstance(frame, Returned):
        for bounce in frame.bounces:
            verify_bounce(bounce, corpus.history().founded.directory, WallMs(0))


def _padded(data: bytes) -> None:
    """Open a body whose padded inside is `data`, truly sealed."""
    header = encode_header((ME,), OPENER.kid, Priority.ROUTINE, Minutes(1))
    open_parcel(_sealed(header, data), ME, corpus.keyring(), WallMs(0))


def _envelope(data: bytes) -> None:
    """Seal and sign what `data` says, as its author would, and accept it as far as a node can without its memory.

    `data` is [header, statement, bytes after the statement in its padding]; header and statement may be anything.
    """
    header, statement, more = codec.decode_as(tuple[bytes, bytes, bytes], data, bytes_max=1 << 20)
    signature = SIGNER.sign(contexts.STATEMENT, statement)
    parcel = _sealed(header, pad(codec.encode([statement, signature])) + more)
    wall = WallMs(max(0, expiry_wall(parse_header(header).expires) - 60_000))
    opened = open_parcel(parcel, ME, corpus.keyring(), wall)
    parse_body(verify_opened(opened, ME, _Everybody(), wall).statement)


def _sealed(header: bytes, padded: bytes) -> Parcel:
    """Return an envelope that opens to exactly these bytes under exactly this header."""
    hh = header_hash(header)
    if parse_header(header).kid is not None:
        return Parcel(0, header, hpke.seal(OPENER.public, SEAL_INFO + hh, padded, EPHEMERAL), ())
    ciphertext = bindings.crypto_aead_xchacha20poly1305_ietf_encrypt(padded, hh, NONCE, CONTENT_KEY)
    body = content_key_commitment(CONTENT_KEY, hh) + NONCE + ciphertext
    sealed = hpke.seal(OPENER.public, WRAP_INFO + hh + body_hash(body), CONTENT_KEY, EPHEMERAL)
    return Parcel(0, header, body, ((ME, OPENER.kid, sealed),))


class _Everybody(Directory):
    """Every member is active and has the one key: here it is not the signature that is tried."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(corpus.history().founded.directory.roster)

    def state_of(self, code: MemberCode, wall: WallMs) -> Any:
        return self.members[0].state_at(wall)

    def verifying_keys(self, code: MemberCode, wall: WallMs) -> tuple[bytes, ...]:
        return (SIGNER.public,)


def envelope_seeds() -> list[bytes]:
    """Return statements with the headers that fit them, for one and for many."""
    seeds = []
    for data in corpus.statement_seeds():
        statement = parse_statement(data)
        to = tuple(sorted({ME, *statement.to} - {statement.sender}))
        for recipients in ((ME,), to if len(to) > 1 else (ME, "XP")):
            changed = codec.decode(data, bytes_max=1 << 20) | {"to": sorted(recipients)}
            header = {"v": 1, "suite": 1, "to": sorted(recipients), "prio": changed["prio"], "exp": changed["exp"]}
            header["kid"] = OPENER.kid if len(recipients) == 1 else None
            seeds.append(codec.encode([codec.encode(header), codec.encode(changed), b""]))
    return seeds


def _audit(data: bytes) -> None:
    records = codec.decode_as(tuple[bytes, ...], data, bytes_max=1 << 20)
    end = verify_chain(records)
    last = chain_after(records[-1] if records else None)
    if (end.n, end.digest) != (last.n, last.digest):
        raise Find("the end of a chain depends on how it is found")


ME: Final = MemberCode("FR")
OPENER: Final = epoch_secret("FR")
EPHEMERAL: Final = Draws("fuzz, ephemeral")(32)
CONTENT_KEY: Final = Draws("fuzz, content key")(CONTENT_KEY_BYTES)
NONCE: Final = Draws("fuzz, nonce")(NONCE_BYTES)
