"""A chain of records in which nothing can be changed, removed or reordered unseen."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from i247_protocol import codec
from i247_protocol.audit import GENESIS, AuditRecord, Chain, chain_after, record_digest, verify_chain
from i247_protocol.errors import PeerFault
from i247_protocol.reasons import Reason


def records(count: int) -> list[bytes]:
    chain = Chain()
    return [
        chain.append("sent", at=n, peer="SG", sid=bytes([n]) * 32, conv=bytes(16), detail="query") for n in range(count)
    ]


CHAIN = records(6)


def reason_of(chain: list[bytes]) -> Reason:
    with pytest.raises(PeerFault) as fault:
        verify_chain(chain)
    return fault.value.reason


def test_a_chain_is_followed_to_its_end() -> None:
    end = verify_chain(CHAIN)
    assert (end.n, end.digest) == (6, record_digest(CHAIN[-1]))


def test_the_first_record_stands_on_nothing() -> None:
    assert codec.decode_as(AuditRecord, CHAIN[0], bytes_max=4096).before == GENESIS
    assert (verify_chain([]).n, verify_chain([]).digest) == (0, GENESIS)


@pytest.mark.parametrize("length", range(7))
def test_a_chain_goes_on_where_it_ended(length: int) -> None:
    begun = CHAIN[:length]
    chain = chain_after(begun[-1] if begun else None)
    following = chain.append("refused", at=99, peer="", sid=b"", conv=b"", detail="policy")
    assert verify_chain([*begun, following]).n == length + 1


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param(CHAIN[1:], id="the first is missing"),
        pytest.param(CHAIN[:2] + CHAIN[3:], id="one is missing"),
        pytest.param([CHAIN[0], CHAIN[0]], id="one is there twice"),
        pytest.param([CHAIN[0], CHAIN[2], CHAIN[1], *CHAIN[3:]], id="two change places"),
        pytest.param(CHAIN[::-1], id="backwards"),
        pytest.param(CHAIN[:3] + records(6)[2:], id="spliced at the wrong place"),
    ],
)
def test_a_chain_with_a_break_is_found(broken: list[bytes]) -> None:
    assert reason_of(broken) is Reason.CHAIN_BROKEN


@given(st.integers(0, 4), st.data())
@settings(max_examples=1_000)
def test_no_byte_of_a_record_can_be_changed(at: int, data: st.DataObject) -> None:
    changed = bytearray(CHAIN[at])
    changed[data.draw(st.integers(0, len(changed) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(PeerFault):
        verify_chain([*CHAIN[:at], bytes(changed), *CHAIN[at + 1 :]])


def test_a_record_numbered_wrongly_is_found() -> None:
    first = codec.decode(CHAIN[0], bytes_max=4096)
    assert reason_of([codec.encode(first | {"n": 2})]) is Reason.CHAIN_BROKEN


def test_what_the_chain_alone_does_not_show() -> None:
    # Cutting the end off, or writing all anew, leaves a good chain: the newest digest must be kept elsewhere too.
    assert verify_chain(CHAIN[:-1]).digest != verify_chain(CHAIN).digest


@given(st.binary(max_size=60))
@settings(max_examples=500)
def test_any_bytes_are_a_peers_fault(data: bytes) -> None:
    with pytest.raises(PeerFault):
        verify_chain([data])


def test_a_record_has_no_room_for_a_text_of_a_case() -> None:
    assert reason_of([codec.encode(codec.decode(CHAIN[0], bytes_max=4096) | {"text": ""})]) is Reason.MALFORMED
