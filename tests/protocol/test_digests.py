"""Each digest has a purpose of its own."""

from collections.abc import Callable
from hashlib import blake2b

import pytest
from hypothesis import given
from hypothesis import strategies as st

from i247_protocol import audit, digests

KEY = bytes(range(32))
ALL: dict[str, Callable[[bytes], bytes]] = {
    "i247/header/1": digests.header_hash,
    "i247/body/1": digests.body_hash,
    "i247/document/1": digests.document_hash,
    "i247/next/1": digests.next_key_hash,
    "i247/audit/1": audit.record_digest,
    "i247/envelope/1": lambda data: digests.envelope_id(data, b""),
    "i247/sid/1": lambda data: digests.evidence_id(data, b""),
    "i247/kc/1": lambda data: digests.content_key_commitment(data, b""),
}


@pytest.mark.parametrize("person", ALL)
def test_it_is_what_the_specification_says(person: str) -> None:
    assert ALL[person](KEY) == blake2b(KEY, digest_size=32, person=person.encode()).digest()


@given(st.binary(max_size=100))
def test_no_two_purposes_agree(data: bytes) -> None:
    found = [digest(data) for digest in ALL.values()]
    assert len(set(found)) == len(ALL)
    assert {len(one) for one in found} == {32}


def test_a_key_id_is_short_and_no_prefix_of_a_digest() -> None:
    assert digests.key_id(KEY) == blake2b(KEY, digest_size=8, person=b"i247/kid/1").digest()
    assert digests.key_id(KEY) != blake2b(KEY, digest_size=32, person=b"i247/kid/1").digest()[:8]


@given(st.binary(max_size=40), st.binary(max_size=40), st.binary(min_size=64, max_size=64))
def test_parts_are_joined_in_order(one: bytes, other: bytes, signature: bytes) -> None:
    assert digests.envelope_id(one, other) == ALL["i247/envelope/1"](one + other)
    assert digests.evidence_id(one, signature) == ALL["i247/sid/1"](one + signature)
    assert digests.content_key_commitment(KEY, one) == ALL["i247/kc/1"](KEY + one)
