"""Read and write envelopes, statements and keycards from docs/protocol.md alone, with other libraries.

Nothing of the project is imported here, and none of its libraries: the cryptography is pyca's, msgpack and HChaCha20
are written out. Where this and the project differ, one of the two does not keep the specification.
"""

from __future__ import annotations

import hmac
import os
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b, sha256
from typing import Any, Final

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat


class Refused(Exception):
    """The bytes break a rule; the text is the reason of section 12."""


# --- 3 encoding ---


def encode(value: object) -> bytes:
    """Return the one encoding of a value."""
    match value:
        case None:
            return b"\xc0"
        case bool():
            return b"\xc3" if value else b"\xc2"
        case int():
            return _encode_int(value)
        case str():
            data = value.encode()
            short = bytes([0xA0 | len(data)]) if len(data) < 32 else b""
            return (short or _length(len(data), b"\xd9", b"\xda", b"\xdb")) + data
        case bytes():
            return _length(len(value), b"\xc4", b"\xc5", b"\xc6") + value
        case list() | tuple():
            short = bytes([0x90 | len(value)]) if len(value) < 16 else b""
            return (short or _length(len(value), None, b"\xdc", b"\xdd")) + b"".join(map(encode, value))
        case dict():
            short = bytes([0x80 | len(value)]) if len(value) < 16 else b""
            pairs = sorted((name.encode(), name) for name in value)
            inner = b"".join(encode(name) + encode(value[name]) for _, name in pairs)
            return (short or _length(len(value), None, b"\xde", b"\xdf")) + inner
        case _:
            raise TypeError(type(value))


def decode(data: bytes) -> Any:
    """Return what `data` encodes; refuse anything but its one encoding."""
    value, end = _value(data, 0, 8)
    if end != len(data):
        raise Refused("malformed")
    if encode(value) != data:
        raise Refused("not-canonical")
    return value


def _encode_int(n: int) -> bytes:
    if 0 <= n < 128:
        return bytes([n])
    if -32 <= n < 0:
        return struct.pack(">b", n)
    ranges = UNSIGNED if n >= 0 else SIGNED
    for mark, layout in ranges:
        try:
            return bytes([mark]) + struct.pack(layout, n)
        except struct.error:
            continue
    raise OverflowError("an integer beyond 64 bits")


def _length(n: int, one: bytes | None, two: bytes, four: bytes) -> bytes:
    if one is not None and n < 256:
        return one + struct.pack(">B", n)
    return two + struct.pack(">H", n) if n < 65536 else four + struct.pack(">I", n)


def _value(data: bytes, at: int, levels: int) -> tuple[Any, int]:
    mark = _take(data, at, 1)[0]
    at += 1
    if mark < 0x80:
        return mark, at
    if mark >= 0xE0:
        return mark - 256, at
    if mark in CONSTANTS:
        return CONSTANTS[mark], at
    if mark in NUMBERS:
        layout = NUMBERS[mark]
        size = struct.calcsize(layout)
        return struct.unpack(layout, _take(data, at, size))[0], at + size
    kind, length = ("map", mark & 15) if mark < 0x90 else ("array", mark & 15) if mark < 0xA0 else ("text", mark & 31)
    if mark >= 0xC0:
        if mark not in LENGTHS:
            raise Refused("malformed")
        kind, layout = LENGTHS[mark]
        size = struct.calcsize(layout)
        (length,) = struct.unpack(layout, _take(data, at, size))
        at += size
    if kind in ("text", "bytes"):
        raw = _take(data, at, length)
        return (_utf8(raw) if kind == "text" else raw), at + length
    if levels == 0:
        raise Refused("malformed")
    return _array(data, at, length, levels) if kind == "array" else _map(data, at, length, levels)


def _array(data: bytes, at: int, length: int, levels: int) -> tuple[list[Any], int]:
    items = []
    for _ in range(length):
        item, at = _value(data, at, levels - 1)
        items.append(item)
    return items, at


def _map(data: bytes, at: int, length: int, levels: int) -> tuple[dict[str, Any], int]:
    found: dict[str, Any] = {}
    for _ in range(length):
        name, at = _value(data, at, levels - 1)
        if not isinstance(name, str):
            raise Refused("malformed")
        found[name], at = _value(data, at, levels - 1)
    return found, at


def _take(data: bytes, at: int, size: int) -> bytes:
    if at + size > len(data):
        raise Refused("malformed")
    return data[at : at + size]


def _utf8(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise Refused("malformed") from None


# --- 4 digests and signatures ---


def digest(name: str, data: bytes, size: int = 32) -> bytes:
    return blake2b(data, digest_size=size, person=f"i247/{name}/1".encode()).digest()


def key_id(public: bytes) -> bytes:
    return digest("kid", public, 8)


def evidence_id(statement: bytes, signature: bytes) -> bytes:
    return digest("sid", statement + signature)


def sign(seed: bytes, context: str, message: bytes) -> bytes:
    return Ed25519PrivateKey.from_private_bytes(seed).sign(f"i247/{context}/1\0".encode() + message)


def verify(public: bytes, context: str, message: bytes, signature: bytes) -> None:
    try:
        key = Ed25519PublicKey.from_public_bytes(public)
        key.verify(signature, f"i247/{context}/1\0".encode() + message)
    except (InvalidSignature, ValueError):
        raise Refused("bad-signature") from None


# --- 5.1 header ---


def parse_header(data: bytes) -> dict[str, Any]:
    if len(data) > 1024:
        raise Refused("too-large")
    header = _struct(decode(data), exp=int, kid=(bytes, type(None)), prio=int, suite=int, to=list, v=int)
    if header["v"] != 1:
        raise Refused("unknown-version")
    if header["suite"] != 1:
        raise Refused("unknown-suite")
    right = (
        _is_list_of_members(header["to"])
        and (header["kid"] is None if len(header["to"]) > 1 else header["kid"] is not None and len(header["kid"]) == 8)
        and 0 <= header["prio"] <= 3
        and 0 <= header["exp"] <= 2**32
    )
    _require(right)
    return header


def make_header(to: Sequence[str], kid: bytes | None, prio: int, exp: int) -> bytes:
    return encode({"exp": exp, "kid": kid, "prio": prio, "suite": 1, "to": sorted(to), "v": 1})


# --- 5.2 padding and inner ---


def padded_length(n: int) -> int:
    length = n + 1
    e = length.bit_length() - 1
    s = 0 if e == 0 else e.bit_length()
    m = (1 << max(0, e - s)) - 1
    return max(512, (length + m) // (m + 1) * (m + 1))


def make_inner(statement: bytes, signature: bytes) -> bytes:
    inner = encode([statement, signature])
    return (inner + b"\x80").ljust(padded_length(len(inner)), b"\0")


def read_inner(padded: bytes) -> tuple[bytes, bytes]:
    end = len(padded.rstrip(b"\0")) - 1
    try:
        if end < 0 or padded[end] != 0x80 or len(padded) != padded_length(end):
            raise Refused("cannot-open")
        value = decode(padded[:end])
    except Refused:
        raise Refused("cannot-open") from None
    match value:
        case [bytes(statement), bytes(signature)] if 1 <= len(statement) <= 1048576 and len(signature) == 64:
            return statement, signature
    raise Refused("cannot-open")


# --- 5.3 HPKE, base mode, single shot (RFC 9180, sections 4.1 and 5.1) ---

KEM_SUITE: Final = b"KEM\x00\x20"
HPKE_SUITE: Final = b"HPKE\x00\x20\x00\x01\x00\x03"


def hpke_seal(public: bytes, info: bytes, plaintext: bytes, ephemeral: bytes) -> bytes:
    enc = public_of(ephemeral)
    key, nonce = _schedule(_shared(ephemeral, public, enc + public), info)
    return enc + ChaCha20Poly1305(key).encrypt(nonce, plaintext, b"")


def hpke_open(secret: bytes, info: bytes, sealed: bytes) -> bytes:
    enc = sealed[:32]
    if len(sealed) < 48:
        raise Refused("cannot-open")
    try:
        key, nonce = _schedule(_shared(secret, enc, enc + public_of(secret)), info)
        return ChaCha20Poly1305(key).decrypt(nonce, sealed[32:], b"")
    except (InvalidTag, ValueError):
        raise Refused("cannot-open") from None


def public_of(secret: bytes) -> bytes:
    return X25519PrivateKey.from_private_bytes(secret).public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def _shared(secret: bytes, public: bytes, kem_context: bytes) -> bytes:
    dh = X25519PrivateKey.from_private_bytes(secret).exchange(X25519PublicKey.from_public_bytes(public))
    return _expand(_extract(b"", KEM_SUITE, b"eae_prk", dh), KEM_SUITE, b"shared_secret", kem_context, 32)


def _schedule(shared: bytes, info: bytes) -> tuple[bytes, bytes]:
    psk_id_hash = _extract(b"", HPKE_SUITE, b"psk_id_hash", b"")
    context = b"\0" + psk_id_hash + _extract(b"", HPKE_SUITE, b"info_hash", info)
    secret = _extract(shared, HPKE_SUITE, b"secret", b"")
    return _expand(secret, HPKE_SUITE, b"key", context, 32), _expand(secret, HPKE_SUITE, b"base_nonce", context, 12)


def _extract(salt: bytes, suite: bytes, label: bytes, ikm: bytes) -> bytes:
    return hmac.digest(salt or bytes(32), b"HPKE-v1" + suite + label + ikm, sha256)


def _expand(prk: bytes, suite: bytes, label: bytes, info: bytes, size: int) -> bytes:
    labelled = struct.pack(">H", size) + b"HPKE-v1" + suite + label + info
    return HKDFExpand(SHA256(), size, labelled).derive(prk)


# --- 5.4 XChaCha20-Poly1305 ---


def xchacha_seal(key: bytes, nonce: bytes, aad: bytes, plaintext: bytes) -> bytes:
    return ChaCha20Poly1305(hchacha20(key, nonce[:16])).encrypt(bytes(4) + nonce[16:], plaintext, aad)


def xchacha_open(key: bytes, nonce: bytes, aad: bytes, ciphertext: bytes) -> bytes:
    try:
        return ChaCha20Poly1305(hchacha20(key, nonce[:16])).decrypt(bytes(4) + nonce[16:], ciphertext, aad)
    except (InvalidTag, ValueError):
        raise Refused("cannot-open") from None


def hchacha20(key: bytes, nonce: bytes) -> bytes:
    """Return the key that draft-irtf-cfrg-xchacha-03, section 2.2, derives."""
    state = [*struct.unpack("<4I", b"expand 32-byte k"), *struct.unpack("<8I", key), *struct.unpack("<4I", nonce)]
    for _ in range(10):
        for quarter in QUARTERS:
            _quarter_round(state, *quarter)
    return struct.pack("<8I", *state[:4], *state[12:])


def _quarter_round(state: list[int], a: int, b: int, c: int, d: int) -> None:
    for one, other, third, bits in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
        state[one] = (state[one] + state[other]) & 0xFFFFFFFF
        mixed = state[third] ^ state[one]
        state[third] = (mixed << bits | mixed >> (32 - bits)) & 0xFFFFFFFF


# --- 5.3 and 5.4 envelopes ---

Wrap = tuple[str, bytes, bytes]


@dataclass(frozen=True)
class Envelope:
    header: bytes
    body: bytes
    wraps: tuple[Wrap, ...]

    @property
    def id(self) -> bytes:
        return digest("envelope", self.header + self.body)


def seal_for_one(
    statement: bytes, signature: bytes, member: str, public: bytes, prio: int, exp: int, ephemeral: bytes | None = None
) -> Envelope:
    header = make_header([member], key_id(public), prio, exp)
    info = b"i247/seal/1\0" + digest("header", header)
    return Envelope(header, hpke_seal(public, info, make_inner(statement, signature), ephemeral or os.urandom(32)), ())


def seal_for_many(
    statement: bytes, signature: bytes, keys: Mapping[str, bytes], prio: int, exp: int, drawn: bytes | None = None
) -> Envelope:
    """Seal to {member: public key}; `drawn` stands in for random bytes: key, nonce, one secret for each member."""
    drawn = drawn or os.urandom(56 + 32 * len(keys))
    header = make_header(list(keys), None, prio, exp)
    hh = digest("header", header)
    key, nonce = drawn[:32], drawn[32:56]
    body = digest("kc", key + hh) + nonce + xchacha_seal(key, nonce, hh, make_inner(statement, signature))
    info = b"i247/wrap/1\0" + hh + digest("body", body)
    wraps = tuple(
        (member, key_id(keys[member]), hpke_seal(keys[member], info, key, drawn[56 + 32 * n : 88 + 32 * n]))
        for n, member in enumerate(sorted(keys))
    )
    return Envelope(header, body, wraps)


def open_envelope(envelope: Envelope, me: str, secrets: Mapping[bytes, bytes]) -> tuple[bytes, bytes]:
    """Return statement and signature; `secrets` are mine by key id."""
    if len(envelope.body) > 1310720:
        raise Refused("too-large")
    header = parse_header(envelope.header)
    hh = digest("header", envelope.header)
    if header["kid"] is not None:
        if envelope.wraps:
            raise Refused("cannot-open")
        info = b"i247/seal/1\0" + hh
        return read_inner(hpke_open(_held(secrets, header["kid"]), info, envelope.body))
    mine = [wrap for wrap in envelope.wraps if wrap[0] == me]
    if not mine:
        raise Refused("cannot-open")
    _, kid, sealed = mine[0]
    secret = _held(secrets, kid)
    if len(sealed) != 80:
        raise Refused("cannot-open")
    key = hpke_open(secret, b"i247/wrap/1\0" + hh + digest("body", envelope.body), sealed)
    commitment, nonce, ciphertext = envelope.body[:32], envelope.body[32:56], envelope.body[56:]
    if not hmac.compare_digest(commitment, digest("kc", key + hh)):
        raise Refused("cannot-open")
    return read_inner(xchacha_open(key, nonce, hh, ciphertext))


def _held(secrets: Mapping[bytes, bytes], kid: bytes) -> bytes:
    if kid not in secrets:
        raise Refused("dead-key")
    return secrets[kid]


# --- 6 statement ---


def parse_statement(data: bytes) -> dict[str, Any]:
    if len(data) > 1048576:
        raise Refused("too-large")
    said = _struct(decode(data), **STATEMENT)
    handling = _struct(said["handling"], classification=str, exercise=bool, onward=str)
    right = (
        said["act"] in ACTS
        and not said["att"]
        and said["basis"] in PURPOSES
        and len(said["conv"]) == 16
        and len(said["id"]) == 16
        and _is_directory(said["dir"])
        and 0 <= said["exp"] <= 2**32
        and 0 <= said["iat"] <= 60000 * 2**32
        and 0 <= said["prio"] <= 3
        and len(said["re"]) <= 32
        and all(type(sid) is bytes and len(sid) == 32 for sid in said["re"])
        and (said["seq"] is None or (len(said["seq"]) == 2 and all(type(n) is int for n in said["seq"])))
        and _is_member(said["from"])
        and _is_list_of_members(said["to"])
        and handling["classification"] in CLASSIFICATIONS
        and handling["onward"] in ONWARD
    )
    _require(right)
    return said


def make_statement(seed: bytes, **fields: Any) -> tuple[bytes, bytes]:
    """Return a statement and its signature."""
    data = encode(fields)
    parse_statement(data)
    return data, sign(seed, "statement", data)


def accept(envelope: Envelope, me: str, secrets: Mapping[bytes, bytes], authors: Mapping[str, bytes]) -> dict[str, Any]:
    """Return the fields of a statement by rules 2, 3, 5, 6, 8, 9 and 10 of 6.4; clocks and memory are others'."""
    header = parse_header(envelope.header)
    if me not in header["to"]:
        raise Refused("not-addressed")
    data, signature = open_envelope(envelope, me, secrets)
    said = parse_statement(data)
    if said["from"] not in authors:
        raise Refused("unknown-member")
    verify(authors[said["from"]], "statement", data, signature)
    same = (
        me in said["to"]
        and set(header["to"]) <= set(said["to"])
        and (header["prio"], header["exp"]) == (said["prio"], said["exp"])
        and said["from"] not in said["to"]
    )
    if not same:
        raise Refused("header-mismatch")
    return said


def _is_directory(value: list[Any]) -> bool:
    match value:
        case [int(version), bytes(pulse)]:
            return type(version) is int and version >= 1 and len(pulse) in (0, 32)
        case _:
            return False


# --- 8.6 keycards ---


def read_keycard(data: bytes, identity: bytes) -> dict[str, Any]:
    """Return the payload of a card that the holder of `identity` signed."""
    if len(data) > 4096:
        raise Refused("too-large")
    document = _struct(decode(data), p=bytes, s=list)
    if len(document["s"]) != 1:
        raise Refused("malformed")
    ((kid, signature),) = document["s"]
    if kid != key_id(identity):
        raise Refused("bad-signature")
    verify(identity, "keycard", document["p"], signature)
    card = _struct(decode(document["p"]), iat=int, keys=list, member=str, version=int)
    keys = [_struct(key, kid=bytes, public=bytes, use_from=int, use_until=int) for key in card["keys"]]
    order = [(key["use_from"], key["kid"]) for key in keys]
    right = (
        _is_member(card["member"])
        and 1 <= card["version"] < 2**53
        and 1 <= len(keys) <= 12
        and all(len(key["public"]) == 32 and key["kid"] == key_id(key["public"]) for key in keys)
        and all(0 <= key["use_from"] < key["use_until"] <= key["use_from"] + 604_800_000 for key in keys)
        and order == sorted(set(order))
        and sum(key["use_from"] > card["iat"] for key in keys) <= 4
    )
    _require(right)
    return card


# --- shapes ---


def _struct(value: Any, **fields: type | tuple[type, ...]) -> dict[str, Any]:
    _require(isinstance(value, dict) and value.keys() == fields.keys())
    for name, kinds in fields.items():
        allowed = kinds if isinstance(kinds, tuple) else (kinds,)
        _require(type(value[name]) in allowed)
    return dict(value)


def _is_member(text: object) -> bool:
    return isinstance(text, str) and len(text) == 2 and all("A" <= sign <= "Z" for sign in text)


def _is_list_of_members(to: list[Any]) -> bool:
    return 1 <= len(to) <= 250 and all(map(_is_member, to)) and to == sorted(set(to))


def _require(right: bool) -> None:
    if not right:
        raise Refused("malformed")


CONSTANTS: Final[dict[int, bool | None]] = {0xC0: None, 0xC2: False, 0xC3: True}
UNSIGNED: Final = ((0xCC, ">B"), (0xCD, ">H"), (0xCE, ">I"), (0xCF, ">Q"))
SIGNED: Final = ((0xD0, ">b"), (0xD1, ">h"), (0xD2, ">i"), (0xD3, ">q"))
NUMBERS: Final = dict((*UNSIGNED, *SIGNED))
LENGTHS: Final = {
    0xC4: ("bytes", ">B"),
    0xC5: ("bytes", ">H"),
    0xC6: ("bytes", ">I"),
    0xD9: ("text", ">B"),
    0xDA: ("text", ">H"),
    0xDB: ("text", ">I"),
    0xDC: ("array", ">H"),
    0xDD: ("array", ">I"),
    0xDE: ("map", ">H"),
    0xDF: ("map", ">I"),
}
COLUMNS: Final = ((0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15))
DIAGONALS: Final = ((0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14))
QUARTERS: Final = COLUMNS + DIAGONALS

STATEMENT: Final[dict[str, type | tuple[type, ...]]] = {
    "act": str,
    "att": list,
    "basis": str,
    "body": bytes,
    "conv": bytes,
    "dir": list,
    "exp": int,
    "from": str,
    "handling": dict,
    "iat": int,
    "id": bytes,
    "prio": int,
    "re": list,
    "seq": (list, type(None)),
    "to": list,
}
ACTS: Final = ("query", "reply", "notice", "diffusion", "correspondence", "receipt", "missing", "account")
PURPOSES: Final = (
    *("wanted", "identification", "investigation", "alert", "missing", "bodies", "forensics"),
    *("security-check", "border-control", "threat-analysis", "administration"),
)
CLASSIFICATIONS: Final = ("official-use-only", "restricted", "confidential")
ONWARD: Final = ("national", "bureau-only", "ask-source")
