"""HPKE against the RFC's vector and against pyca's, and the primitives under it against their own vectors."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cryptography_vectors
import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite
from hypothesis import given
from hypothesis import strategies as st
from nacl import bindings

from i247_keys.hpke import OVERHEAD_BYTES, open_sealed, seal
from i247_protocol.errors import PeerFault
from i247_protocol.reasons import Reason

RFC = json.loads((Path(__file__).parents[1] / "vectors" / "rfc9180.json").read_text())["vectors"]
ORACLE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.CHACHA20_POLY1305)
SMALL_ORDER = (
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
    "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
)
SECRETS = st.binary(min_size=32, max_size=32)


def public_of(secret: bytes) -> bytes:
    return X25519PrivateKey.from_private_bytes(secret).public_key().public_bytes_raw()


# --- vectors ---


@pytest.mark.parametrize("vector", RFC)
def test_the_rfcs_vector(vector: dict[str, Any]) -> None:
    enc, secret, public, ephemeral, info = (
        bytes.fromhex(vector[name]) for name in ("enc", "skRm", "pkRm", "skEm", "info")
    )
    aad, plaintext, ciphertext = (bytes.fromhex(vector["encryption"][name]) for name in ("aad", "pt", "ct"))
    assert seal(public, info, plaintext, ephemeral, aad=aad) == enc + ciphertext
    assert open_sealed(secret, public, info, enc + ciphertext, aad=aad) == plaintext


def test_the_stored_vector_is_the_published_one() -> None:
    with cryptography_vectors.open_vector_file("HPKE/test-vectors.json", "rb") as file:
        published = json.load(file)
    for vector in RFC:
        ours = {name: value for name, value in vector.items() if name != "encryption"}
        same = [entry for entry in published if ours.items() <= entry.items()]
        assert [entry["encryptions"][0] for entry in same] == [vector["encryption"]]


def test_x25519_gives_the_published_results() -> None:
    count = 0
    for entry in records("asymmetric/X25519/rfc7748.txt"):
        scalar, point, result = (bytes.fromhex(entry[name]) for name in ("INPUT_SCALAR", "INPUT_U", "OUTPUT_U"))
        assert bindings.crypto_scalarmult(scalar, point) == result
        count += 1
    assert count >= 3


def test_chacha20_poly1305_gives_the_published_results() -> None:
    count = 0
    for entry in records("ciphers/ChaCha20Poly1305/boringssl.txt"):
        key, nonce, aad, plaintext, ciphertext, tag = (
            as_bytes(entry[name]) for name in ("KEY", "NONCE", "AD", "IN", "CT", "TAG")
        )
        if len(nonce) != 12 or len(tag) != 16:
            continue
        sealed = bindings.crypto_aead_chacha20poly1305_ietf_encrypt(plaintext, aad, nonce, key)
        assert sealed == ciphertext + tag
        assert bindings.crypto_aead_chacha20poly1305_ietf_decrypt(sealed, aad, nonce, key) == plaintext
        count += 1
    assert count >= 50


# --- another implementation ---


@given(SECRETS, SECRETS, st.binary(max_size=100), st.binary(max_size=2000))
def test_another_implementation_opens_what_we_seal(
    secret: bytes, ephemeral: bytes, info: bytes, plaintext: bytes
) -> None:
    sealed = seal(public_of(secret), info, plaintext, ephemeral)
    assert ORACLE.decrypt(sealed, X25519PrivateKey.from_private_bytes(secret), info) == plaintext


@given(SECRETS, st.binary(max_size=100), st.binary(max_size=2000))
def test_we_open_what_another_implementation_seals(secret: bytes, info: bytes, plaintext: bytes) -> None:
    public = public_of(secret)
    sealed = ORACLE.encrypt(plaintext, X25519PublicKey.from_public_bytes(public), info)
    assert open_sealed(secret, public, info, sealed) == plaintext


@given(SECRETS, SECRETS, st.data())
def test_both_refuse_the_same(secret: bytes, ephemeral: bytes, data: st.DataObject) -> None:
    sealed = bytearray(seal(public_of(secret), b"info", b"plaintext", ephemeral))
    sealed[data.draw(st.integers(0, len(sealed) - 1))] ^= data.draw(st.integers(1, 255))
    # Bit 255 of enc is ignored by X25519 but not by the key schedule, so nothing is left unbound.
    with pytest.raises(PeerFault):
        open_sealed(secret, public_of(secret), b"info", bytes(sealed))
    with pytest.raises((InvalidTag, ValueError)):
        ORACLE.decrypt(bytes(sealed), X25519PrivateKey.from_private_bytes(secret), b"info")


# --- refusals ---


@pytest.mark.parametrize("point", SMALL_ORDER)
def test_a_point_of_small_order_is_refused(point: str) -> None:
    public, secret = bytes.fromhex(point), b"\x11" * 32
    with pytest.raises(PeerFault) as sealing:
        seal(public, b"", b"text", secret)
    with pytest.raises(PeerFault) as opening:
        open_sealed(secret, public_of(secret), b"", public + bytes(16))
    assert sealing.value.reason is opening.value.reason is Reason.CANNOT_OPEN


@given(st.binary(max_size=200))
def test_any_bytes_are_the_peers_fault(sealed: bytes) -> None:
    secret = b"\x11" * 32
    with pytest.raises(PeerFault) as fault:
        open_sealed(secret, public_of(secret), b"", sealed)
    assert fault.value.reason is Reason.CANNOT_OPEN


@pytest.mark.parametrize(
    ("info", "aad", "public"),
    [(b"other", b"", None), (b"info", b"other", None), (b"info", b"", public_of(b"\x33" * 32)), (b"info", b"", b"")],
)
def test_info_aad_and_public_key_are_bound(info: bytes, aad: bytes, public: bytes | None) -> None:
    secret = b"\x11" * 32
    right = public_of(secret)
    sealed = seal(right, b"info", b"text", b"\x22" * 32)
    with pytest.raises(PeerFault):
        open_sealed(secret, right if public is None else public, info, sealed, aad=aad)


@pytest.mark.parametrize("length", [0, 31, 33, 64])
def test_a_key_of_another_length_never_reaches_the_library(length: int) -> None:
    # PyNaCl would read 32 bytes all the same, past the end of a short one.
    with pytest.raises(PeerFault):
        seal(bytes(length), b"", b"", b"\x11" * 32)
    with pytest.raises(ValueError, match="32 bytes"):
        seal(public_of(b"\x11" * 32), b"", b"", bytes(length))
    with pytest.raises(ValueError, match="32 bytes"):
        open_sealed(bytes(length), public_of(b"\x11" * 32), b"", bytes(OVERHEAD_BYTES))


def test_sealed_is_longer_by_enc_and_tag() -> None:
    assert len(seal(public_of(b"\x11" * 32), b"", b"12345", b"\x22" * 32)) == 5 + OVERHEAD_BYTES == 53


def records(name: str) -> Iterator[dict[str, str]]:
    """Yield the records of a vector file: lines `NAME = value` or `NAME: value`, apart by an empty line."""
    with cryptography_vectors.open_vector_file(name, "r") as file:
        blocks = file.read().split("\n\n")
    for block in blocks:
        lines = [line for line in block.splitlines() if line and not line.startswith("#")]
        record = {key.strip(): value.strip() for key, _, value in (line.partition("=") for line in lines)}
        if len(record) > 1:
            yield record


def as_bytes(value: str) -> bytes:
    return value[1:-1].encode() if value.startswith('"') else bytes.fromhex(value)
