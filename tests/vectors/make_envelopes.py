"""Make envelopes.json: envelopes to open, good and bad, with what must come of each.

Run it as `python -m tests.vectors.make_envelopes` from the project's root. Every key and every draw of entropy is
fixed, so it writes the same bytes each time; tests/keys/test_sealing.py holds the file against it. The file is for
any implementation of docs/protocol.md 5; all bytes are in hexadecimal.

    members   code -> epoch key pair {kid, public, secret} that this member holds
    signer    the identity that signed the statements: {seed, public}
    padding   [length of the inner, length of the padded form]
    cases     name; opener: who opens; header, body; wrap: the opener's own {member, kid, sealed} or null; then either
              opens: {statement, signature} and made: {recipients, prio, exp, entropy}, from which sealing must give
              these bytes, entropy being all that is drawn, in order; or reason: why it must be refused
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final, NamedTuple

from nacl import bindings

from i247_keys import contexts, hpke
from i247_keys.identity import Identity
from i247_keys.keyring import EpochSecret
from i247_keys.padding import pad, padded_length
from i247_keys.sealing import SEAL_INFO, WRAP_INFO, seal_for_many, seal_for_one
from i247_protocol import codec
from i247_protocol.digests import body_hash, content_key_commitment, header_hash
from i247_protocol.header import Envelope, Wrap, encode_header, parse_header
from i247_protocol.names import MemberCode, Minutes, WallMs
from i247_protocol.priority import Priority
from i247_protocol.reasons import Reason

PATH: Final = Path(__file__).with_name("envelopes.json")


def text() -> str:
    """Return what envelopes.json must hold."""
    return json.dumps(_vectors(), indent=1, sort_keys=True) + "\n"


class Draws:
    """Entropy that a name fixes, remembering what was drawn."""

    def __init__(self, name: str) -> None:
        self._name = name.encode()
        self.drawn = b""

    def __call__(self, count: int) -> bytes:
        block = blake2b(self._name + len(self.drawn).to_bytes(8, "big"), digest_size=count, person=b"i247 vectors")
        self.drawn += block.digest()
        return block.digest()


class Signed(NamedTuple):
    """A statement, opaque here, and its signature."""

    statement: bytes
    signature: bytes


def epoch_secret(member: str) -> EpochSecret:
    return EpochSecret(Draws(f"epoch key of {member}")(32), WallMs(0), WallMs(604_800_000))


def signed(length: int) -> Signed:
    statement = (b"a statement is opaque to sealing; " * (length // 34 + 1))[:length]
    return Signed(statement, SIGNER.sign(contexts.STATEMENT, statement))


def sealed_for_one(inner: Signed, member: str, name: str, prio: Priority = Priority.ROUTINE) -> tuple[Envelope, Draws]:
    key, draws = epoch_secret(member), Draws(name)
    envelope = seal_for_one(
        inner.statement,
        inner.signature,
        recipient=MemberCode(member),
        epoch_kid=key.kid,
        epoch_public=key.public,
        prio=prio,
        exp=EXP,
        entropy=draws,
    )
    return envelope, draws


def sealed_for_many(
    inner: Signed, members: str, name: str, prio: Priority = Priority.ROUTINE
) -> tuple[Envelope, Draws]:
    keys, draws = {member: epoch_secret(member) for member in members.split()}, Draws(name)
    envelope = seal_for_many(
        inner.statement,
        inner.signature,
        recipients=[(MemberCode(member), key.kid, key.public) for member, key in keys.items()],
        prio=prio,
        exp=EXP,
        entropy=draws,
    )
    return envelope, draws


def _vectors() -> dict[str, Any]:
    return {
        "about": __doc__.partition("\n")[0],
        "cases": [*_good(), *_bad_headers(), *_bad_for_one(), *_bad_for_many(), *_bad_by_a_sender(), *_bad_inners()],
        "members": {
            member: {"kid": key.kid.hex(), "public": key.public.hex(), "secret": key.secret.hex()}
            for member in MEMBERS.split()
            for key in (epoch_secret(member),)
        },
        "padding": [[length, padded_length(length)] for length in PADDED],
        "signer": {"seed": SIGNER_SEED.hex(), "public": SIGNER.public.hex()},
    }


def _good() -> Iterator[dict[str, Any]]:
    for length, prio in ((1, Priority.CONTROL), (300, Priority.URGENT), (2500, Priority.BULK)):
        name = f"one recipient, {length} bytes"
        inner = signed(length)
        envelope, draws = sealed_for_one(inner, "FR", name, prio)
        yield _opens(name, "FR", envelope, inner, draws)
    for opener, members in (("FR", "FR JP"), ("BR", "XP KE BR JP FR")):
        name = f"{len(members.split())} recipients, opened by {opener}"
        inner = signed(300)
        envelope, draws = sealed_for_many(inner, members, name)
        yield _opens(name, opener, envelope, inner, draws)


def _bad_headers() -> Iterator[dict[str, Any]]:
    envelope, _ = sealed_for_one(signed(300), "FR", "bad headers")
    fields = codec.decode(envelope.header, bytes_max=1024)

    def changed(name: str, reason: Reason, **values: object) -> dict[str, Any]:
        return _refused(f"header: {name}", "FR", envelope._replace(header=codec.encode(fields | values)), reason)

    yield changed("another version", Reason.UNKNOWN_VERSION, v=2)
    yield changed("another suite", Reason.UNKNOWN_SUITE, suite=2)
    yield changed("unknown field", Reason.MALFORMED, note="")
    yield changed("no recipient", Reason.MALFORMED, to=[])
    yield changed("two recipients and a kid", Reason.MALFORMED, to=["FR", "JP"])
    yield changed("one recipient without a kid", Reason.MALFORMED, kid=None)
    yield changed("recipients out of order", Reason.MALFORMED, to=["JP", "FR"], kid=None)
    yield changed("a recipient twice", Reason.MALFORMED, to=["FR", "FR"], kid=None)
    yield changed("small letters", Reason.MALFORMED, to=["fr"])
    yield changed("short kid", Reason.MALFORMED, kid=b"\1\2\3")
    yield changed("priority that is none", Reason.MALFORMED, prio=4)
    yield changed("negative expiry", Reason.MALFORMED, exp=-1)
    yield changed("other priority than was sealed", Reason.CANNOT_OPEN, prio=0)
    yield changed("other expiry than was sealed", Reason.CANNOT_OPEN, exp=EXP + 1)
    yield changed("other recipient than was sealed", Reason.CANNOT_OPEN, to=["JP"])
    yield changed("key that the opener does not hold", Reason.DEAD_KEY, kid=epoch_secret("JP").kid)
    for name, header, reason in (
        ("empty", b"", Reason.MALFORMED),
        ("cut off", envelope.header[:-1], Reason.MALFORMED),
        ("something behind", envelope.header + b"\0", Reason.MALFORMED),
        ("an integer not in its shortest form", _lengthened(envelope.header), Reason.NOT_CANONICAL),
        ("longer than 1024 bytes", envelope.header.ljust(1025, b"\0"), Reason.TOO_LARGE),
    ):
        yield _refused(f"header: {name}", "FR", envelope._replace(header=header), reason)


def _bad_for_one() -> Iterator[dict[str, Any]]:
    envelope, _ = sealed_for_one(signed(300), "FR", "bad for one")
    other, _ = sealed_for_one(signed(300), "FR", "bad for one, the other", Priority.BULK)
    shared, _ = sealed_for_many(signed(300), "FR JP", "bad for one, shared")
    enc, ciphertext = envelope.body[:32], envelope.body[32:]
    wrap = _wrap_of(shared, "FR")
    for name, body in (
        ("empty body", b""),
        ("body shorter than enc and tag", envelope.body[:47]),
        ("enc and tag only", envelope.body[:48]),
        ("body cut off", envelope.body[:-1]),
        ("something behind the body", envelope.body + b"\0"),
        ("first bit of enc flipped", _flipped(envelope.body, 0)),
        ("last bit of the tag flipped", _flipped(envelope.body, len(envelope.body) * 8 - 1)),
        ("a bit of the ciphertext flipped", _flipped(envelope.body, 8 * 40)),
        ("enc of zeros, a point of small order", bytes(32) + ciphertext),
        ("enc of one, a point of small order", b"\1".ljust(32, b"\0") + ciphertext),
        ("enc from another envelope", other.body[:32] + ciphertext),
        ("ciphertext from another envelope", enc + other.body[32:]),
        ("body from another envelope", other.body),
    ):
        yield _refused(f"one: {name}", "FR", envelope._replace(body=body), Reason.CANNOT_OPEN)
    yield _refused("one: a wrap where none belongs", "FR", envelope._replace(wraps=(wrap,)), Reason.CANNOT_OPEN)
    yield _refused("one: opened by another member", "JP", envelope, Reason.DEAD_KEY)


def _bad_for_many() -> Iterator[dict[str, Any]]:
    envelope, _ = sealed_for_many(signed(300), "FR JP", "bad for many")
    other, _ = sealed_for_many(signed(300), "FR JP", "bad for many, the other")
    mine, theirs = _wrap_of(envelope, "FR"), _wrap_of(envelope, "JP")
    for name, body in (
        ("empty body", b""),
        ("commitment and nonce only", envelope.body[:56]),
        ("body cut off", envelope.body[:-1]),
        ("a bit of the commitment flipped", _flipped(envelope.body, 0)),
        ("a bit of the nonce flipped", _flipped(envelope.body, 8 * 32)),
        ("a bit of the ciphertext flipped", _flipped(envelope.body, 8 * 56)),
        ("body from another envelope", other.body),
    ):
        yield _refused(f"many: {name}", "FR", envelope._replace(body=body), Reason.CANNOT_OPEN)
    for name, wrap, reason in (
        ("wrap cut off", mine._replace(sealed=mine.sealed[:-1]), Reason.CANNOT_OPEN),
        ("something behind the wrap", mine._replace(sealed=mine.sealed + b"\0"), Reason.CANNOT_OPEN),
        ("a bit of the wrap flipped", mine._replace(sealed=_flipped(mine.sealed, 8 * 40)), Reason.CANNOT_OPEN),
        ("wrap from another envelope", _wrap_of(other, "FR"), Reason.CANNOT_OPEN),
        ("another member's sealed content key", mine._replace(sealed=theirs.sealed), Reason.CANNOT_OPEN),
        ("another member's wrap", theirs, Reason.DEAD_KEY),
        ("wrap of zeros", mine._replace(sealed=bytes(80)), Reason.CANNOT_OPEN),
    ):
        yield _refused(f"many: {name}", "FR", envelope._replace(wraps=(wrap,)), reason)
    yield _refused("many: no wrap", "FR", envelope._replace(wraps=()), Reason.CANNOT_OPEN)
    header = codec.encode(codec.decode(envelope.header, bytes_max=1024) | {"to": ["BR", "FR", "JP"]})
    yield _refused("many: recipient added", "FR", envelope._replace(header=header), Reason.CANNOT_OPEN)


def _bad_inners() -> Iterator[dict[str, Any]]:
    """Yield what only a sender could make: sealed rightly, wrong inside."""
    statement, signature = signed(300)
    inner = codec.encode([statement, signature])
    padded = pad(inner)
    for name, plaintext in (
        ("empty", b""),
        ("zeros only", bytes(512)),
        ("not padded", inner),
        ("no mark before the zeros", inner.ljust(512, b"\0")),
        ("a zero less than the padded length", padded[:-1]),
        ("a zero more than the padded length", padded + b"\0"),
        ("padded to the next step", inner + b"\x80" + bytes(1024 - len(inner) - 1)),
        ("another mark", (inner + b"\x81").ljust(512, b"\0")),
        ("not msgpack", pad(b"\xc1" * 100)),
        ("a map", pad(codec.encode({"s": signature, "st": statement}))),
        ("three elements", pad(codec.encode([statement, signature, b""]))),
        ("one element", pad(codec.encode([statement]))),
        ("text for bytes", pad(codec.encode(["AAAA", signature]))),
        ("empty statement", pad(codec.encode([b"", signature]))),
        ("signature of 63 bytes", pad(codec.encode([statement, signature[:-1]]))),
        ("a length not in its shortest form", pad(b"\x92\xc6\0\0\1\x2c" + statement + b"\xc4\x40" + signature)),
    ):
        yield _refused(f"inner: {name}", "FR", _with_plaintext(plaintext, f"inner: {name}"), Reason.CANNOT_OPEN)


def _with_plaintext(plaintext: bytes, name: str) -> Envelope:
    key = epoch_secret("FR")
    header = encode_header((MemberCode("FR"),), key.kid, Priority.ROUTINE, EXP)
    return Envelope(header, hpke.seal(key.public, SEAL_INFO + header_hash(header), plaintext, Draws(name)(32)), ())


def _bad_by_a_sender() -> Iterator[dict[str, Any]]:
    """Yield what only a sender could make: wrapped rightly, so that the body alone is wrong."""
    right, other = Draws("right content key")(32), Draws("other content key")(32)
    nonce, padded = bytes(24), pad(codec.encode(list(signed(300))))

    def encrypted(aad: bytes, key: bytes = right) -> bytes:
        return nonce + bindings.crypto_aead_xchacha20poly1305_ietf_encrypt(padded, aad, nonce, key)

    def refused(name: str, wrapped: bytes, body: Callable[[bytes], bytes]) -> dict[str, Any]:
        envelope = _shared(name, wrapped, body)
        return _refused(f"many: {name}", "FR", envelope, Reason.CANNOT_OPEN)

    # Without a commitment, a body could be made that reads differently for two recipients.
    yield refused("commitment to another key", right, lambda hh: content_key_commitment(other, hh) + encrypted(hh))
    yield refused(
        "commitment under another header", right, lambda hh: content_key_commitment(right, bytes(32)) + encrypted(hh)
    )
    yield refused(
        "encrypted with another key", right, lambda hh: content_key_commitment(right, hh) + encrypted(hh, other)
    )
    yield refused(
        "encrypted under another header", right, lambda hh: content_key_commitment(right, hh) + encrypted(bytes(32))
    )
    yield refused("nothing behind the nonce", right, lambda hh: content_key_commitment(right, hh) + nonce)
    yield refused(
        "content key of 31 bytes", right[:31], lambda hh: content_key_commitment(right[:31], hh) + encrypted(hh)
    )


def _shared(name: str, wrapped: bytes, body_for: Callable[[bytes], bytes]) -> Envelope:
    mine = epoch_secret("FR")
    header = encode_header((MemberCode("FR"), MemberCode("JP")), None, Priority.ROUTINE, EXP)
    body = body_for(header_hash(header))
    info = WRAP_INFO + header_hash(header) + body_hash(body)
    sealed = hpke.seal(mine.public, info, wrapped, Draws(name)(32))
    return Envelope(header, body, (Wrap(MemberCode("FR"), mine.kid, sealed),))


def _opens(name: str, opener: str, envelope: Envelope, inner: Signed, draws: Draws) -> dict[str, Any]:
    header = parse_header(envelope.header)
    made = {"recipients": list(header.to), "prio": int(header.prio), "exp": header.exp, "entropy": draws.drawn.hex()}
    opens = {"statement": inner.statement.hex(), "signature": inner.signature.hex()}
    return _case(name, opener, envelope) | {"opens": opens, "made": made}


def _refused(name: str, opener: str, envelope: Envelope, reason: Reason) -> dict[str, Any]:
    return _case(name, opener, envelope) | {"reason": reason.value}


def _case(name: str, opener: str, envelope: Envelope) -> dict[str, Any]:
    return {
        "name": name,
        "opener": opener,
        "header": envelope.header.hex(),
        "body": envelope.body.hex(),
        "wrap": _wrap_to_offer(envelope, opener),
    }


def _wrap_to_offer(envelope: Envelope, opener: str) -> dict[str, str] | None:
    if not envelope.wraps:
        return None
    wrap = envelope.wraps[0] if len(envelope.wraps) == 1 else _wrap_of(envelope, opener)
    return {"member": wrap.member, "kid": wrap.kid.hex(), "sealed": wrap.sealed.hex()}


def _wrap_of(envelope: Envelope, member: str) -> Wrap:
    return next(wrap for wrap in envelope.wraps if wrap.member == member)


def _flipped(data: bytes, bit: int) -> bytes:
    changed = bytearray(data)
    changed[bit // 8] ^= 0x80 >> bit % 8
    return bytes(changed)


def _lengthened(header: bytes) -> bytes:
    """Return `header` with its version, the integer 1, in two bytes."""
    assert header.endswith(b"\xa1v\x01")
    return header[:-1] + b"\xcc\x01"


MEMBERS: Final = "BR FR JP KE XP"
EXP: Final = Minutes(29_000_000)
SIGNER_SEED: Final = Draws("signer")(32)
SIGNER: Final = Identity(SIGNER_SEED)
PADDED: Final = (0, 1, 510, 511, 512, 513, 543, 544, 1023, 1024, 1055, 1056, 4095, 4096, 65_535, 65_536, 1_048_576)


if __name__ == "__main__":
    PATH.write_text(text(), encoding="utf-8")
