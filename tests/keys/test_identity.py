import copy
import pickle

import cryptography_vectors
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from i247_keys import contexts
from i247_keys.identity import Identity, verify
from i247_protocol.digests import key_id
from i247_protocol.errors import PeerFault
from i247_protocol.reasons import Reason

SEEDS = st.binary(min_size=32, max_size=32)
ORDER = 2**252 + 27742317777372353535851937790883648493
CONTEXTS = sorted(value for name, value in vars(contexts).items() if name.isupper())


def test_the_published_signatures() -> None:
    with cryptography_vectors.open_vector_file("asymmetric/Ed25519/sign.input", "r") as file:
        lines = file.read().splitlines()
    assert len(lines) == 1024
    for line in lines[::4]:
        secret, public, message, signed = (bytes.fromhex(part) for part in line.split(":")[:4])
        identity = Identity(secret[:32])
        assert identity.public == public
        assert identity.sign(b"", message) == signed[:64]
        verify(public, b"", message, signed[:64])


@given(SEEDS, st.sampled_from(CONTEXTS), st.binary(max_size=300))
def test_another_implementation_signs_the_same(seed: bytes, context: bytes, message: bytes) -> None:
    assert Identity(seed).sign(context, message) == Ed25519PrivateKey.from_private_bytes(seed).sign(context + message)


@given(SEEDS, st.binary(max_size=100), st.data())
def test_one_flipped_bit_is_refused(seed: bytes, message: bytes, data: st.DataObject) -> None:
    identity = Identity(seed)
    parts = [identity.public, message, identity.sign(contexts.STATEMENT, message)]
    place = data.draw(st.sampled_from([place for place, part in enumerate(parts) if part]))
    changed = bytearray(parts[place])
    changed[data.draw(st.integers(0, len(changed) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    parts[place] = bytes(changed)
    with pytest.raises(PeerFault) as fault:
        verify(parts[0], contexts.STATEMENT, parts[1], parts[2])
    assert fault.value.reason is Reason.BAD_SIGNATURE


@given(st.binary(max_size=70), st.binary(max_size=10), st.binary(max_size=130))
def test_any_bytes_are_the_peers_fault(public: bytes, message: bytes, signature: bytes) -> None:
    with pytest.raises(PeerFault):
        verify(public, b"", message, signature)


def test_no_purpose_is_the_beginning_of_another() -> None:
    assert len(set(CONTEXTS)) == len(CONTEXTS) >= 10
    for one in CONTEXTS:
        assert one.endswith(b"\0")
        assert one.count(b"\0") == 1


def test_a_signature_for_one_purpose_is_none_for_another() -> None:
    identity = Identity(b"\1" * 32)
    for made in CONTEXTS:
        for asked in CONTEXTS:
            if made != asked:
                with pytest.raises(PeerFault):
                    verify(identity.public, asked, b"text", identity.sign(made, b"text"))


def test_a_signature_has_one_form() -> None:
    identity = Identity(b"\1" * 32)
    signature = identity.sign(b"", b"text")
    scalar = int.from_bytes(signature[32:], "little") + ORDER
    with pytest.raises(PeerFault):
        verify(identity.public, b"", b"text", signature[:32] + scalar.to_bytes(32, "little"))


def test_a_key_of_small_order_signs_nothing() -> None:
    # With it, one signature would be good for every text.
    for public in (bytes(32), b"\1".ljust(32, b"\0"), b"\xec" + b"\xff" * 30 + b"\x7f"):
        with pytest.raises(PeerFault):
            verify(public, b"", b"text", b"\1".ljust(64, b"\0"))


@pytest.mark.parametrize("length", [0, 31, 33, 64])
def test_a_seed_is_32_bytes(length: int) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        Identity(bytes(length))


def test_a_secret_does_not_leak() -> None:
    identity = Identity(b"\1" * 32)
    assert b"\1".hex() * 4 not in repr(identity) + str(identity)
    assert identity.key_id == key_id(identity.public)
    for attempt in (pickle.dumps, copy.copy, copy.deepcopy, hash, lambda one: one == one):  # noqa: PLR0124
        with pytest.raises(TypeError):
            attempt(identity)
