from contextlib import suppress

from hypothesis import example, given
from hypothesis import strategies as st

from i247_keys.padding import pad, padded_length, unpad
from i247_protocol.errors import PeerFault
from i247_protocol.limits import BODY_BYTES_MAX, STATEMENT_BYTES_MAX
from i247_protocol.reasons import Reason


@given(st.binary(max_size=5000))
@example(b"\x80" * 600)
@example(b"\0" * 511)
def test_what_was_padded_comes_back(inner: bytes) -> None:
    padded = pad(inner)
    assert unpad(padded) == inner
    assert len(padded) == padded_length(len(inner)) >= 512


@given(st.binary(max_size=1200))
def test_any_bytes_are_the_one_padded_form_or_the_peers_fault(data: bytes) -> None:
    reason = None
    try:
        inner = unpad(data)
    except PeerFault as fault:
        reason = fault.reason
    else:
        assert pad(inner) == data
    assert reason in {None, Reason.MALFORMED, Reason.NOT_CANONICAL}


@given(st.binary(max_size=1200), st.integers(-40, 40).filter(bool))
def test_another_number_of_zeros_is_refused(inner: bytes, more: int) -> None:
    padded = pad(inner)
    other = padded + bytes(more) if more > 0 else padded[:more]
    with suppress(PeerFault):
        assert unpad(other) != inner


@given(st.integers(0, STATEMENT_BYTES_MAX))
def test_a_length_costs_at_most_an_eighth(length: int) -> None:
    # Padmé adds at most 1/(2·log2 L) of a length; 12 % is its worst, and short ones are all 512.
    assert length < padded_length(length) <= max(512, (length + 1) * 1.12)


def test_there_are_few_lengths() -> None:
    assert len({padded_length(length) for length in range(STATEMENT_BYTES_MAX)}) < 300


def test_the_longest_statement_fits_a_body() -> None:
    assert padded_length(STATEMENT_BYTES_MAX + 100) + 200 < BODY_BYTES_MAX
