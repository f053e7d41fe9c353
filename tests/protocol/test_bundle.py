"""Merging makes fewer frames of the same content, in the same order, within the bounds of one frame."""

from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from i247_protocol.bundle import PAIR_BYTES, Bundle
from i247_protocol.frames import Ask, Credit, Frame, Pair, Parcel, Put, Reset, Told, parse_frame
from i247_protocol.limits import BATCH_BYTES_MAX, BATCH_PARCELS_MAX, BODY_BYTES_MAX, FRAME_BYTES_MAX, PAIRS_MAX
from i247_protocol.machine import LinkId

A, B = LinkId(b"a"), LinkId(b"b")
ONE, TWO = b"session1", b"session2"


def parcel(n: int, size: int = 10) -> Parcel:
    return Parcel(0, n.to_bytes(2), bytes(size), ())


def named(n: int) -> Pair:
    return Pair(n.to_bytes(32), ("FR",))


def bundled(frames: Iterable[tuple[LinkId, Frame]]) -> list[tuple[LinkId, Frame]]:
    bundle = Bundle()
    for link, frame in frames:
        bundle.add(link, frame)
    return [(link, parse_frame(data)) for link, data in bundle.frames()]


def content(frames: Iterable[tuple[LinkId, Frame]], link: LinkId) -> list[tuple[str, bytes, object]]:
    """Return what frames say on one link, item by item."""
    said: list[tuple[str, bytes, object]] = []
    for on, frame in frames:
        items: tuple[object, ...] = (frame,)
        if isinstance(frame, Put):
            items = frame.parcels
        elif isinstance(frame, Ask):
            items = frame.pairs
        said += [(type(frame).__name__, frame.session, item) for item in items if on == link]
    return said


frames = st.one_of(
    st.builds(lambda s, n: Put(s, (parcel(n),)), st.sampled_from([ONE, TWO]), st.integers(0, 99)),
    st.builds(lambda s, n: Ask(s, (named(n), named(n + 1))), st.sampled_from([ONE, TWO]), st.integers(0, 99)),
    st.builds(lambda n: Credit(ONE, n, n), st.integers(0, 99)),
    st.just(Reset(TWO)),
)


@given(st.lists(st.tuples(st.sampled_from([A, B]), frames), max_size=60))
def test_nothing_is_lost_or_moved(added: list[tuple[LinkId, Frame]]) -> None:
    merged = bundled(added)
    for link in (A, B):
        assert content(merged, link) == content(added, link)
    assert len(merged) <= len(added)


@given(st.lists(st.integers(0, BATCH_BYTES_MAX * 2), min_size=1, max_size=30))
def test_no_merged_frame_is_larger_than_a_batch(sizes: list[int]) -> None:
    merged = bundled((A, Put(ONE, (parcel(n, size),))) for n, size in enumerate(sizes))
    for _, frame in merged:
        assert isinstance(frame, Put)
        assert len(frame.parcels) == 1 or sum(one.size for one in frame.parcels) <= BATCH_BYTES_MAX


def test_neighbours_of_one_kind_and_session_share_a_frame() -> None:
    merged = bundled((A, Put(ONE, (parcel(n),))) for n in range(5))
    assert merged == [(A, Put(ONE, tuple(parcel(n) for n in range(5))))]


def test_only_neighbours_do() -> None:
    apart: list[Frame] = [Put(ONE, (parcel(0),)), Credit(ONE, 1, 1), Put(ONE, (parcel(1),)), Put(TWO, (parcel(2),))]
    assert [frame for _, frame in bundled((A, frame) for frame in apart)] == apart


def test_links_are_not_mixed() -> None:
    merged = bundled((link, Put(ONE, (parcel(n),))) for n, link in enumerate([A, B, A, B]))
    assert merged == [(A, Put(ONE, (parcel(0), parcel(2)))), (B, Put(ONE, (parcel(1), parcel(3))))]


def test_what_cannot_be_merged_stays_as_it_is() -> None:
    told: list[Frame] = [Told(ONE, ()), Told(ONE, ())]
    assert [frame for _, frame in bundled((A, frame) for frame in told)] == told


def test_a_batch_ends_at_its_count() -> None:
    counts = [
        len(frame.parcels)
        for _, frame in bundled((A, Put(ONE, (parcel(n),))) for n in range(BATCH_PARCELS_MAX + 2))
        if isinstance(frame, Put)
    ]
    assert counts == [BATCH_PARCELS_MAX, 2]
    asked = [
        len(frame.pairs)
        for _, frame in bundled((A, Ask(ONE, (named(n),))) for n in range(PAIRS_MAX + 2))
        if isinstance(frame, Ask)
    ]
    assert asked == [PAIRS_MAX, 2]
    assert PAIRS_MAX * PAIR_BYTES < BATCH_BYTES_MAX


def test_the_largest_parcel_is_a_frame() -> None:
    largest = Parcel(15, bytes(1024), bytes(BODY_BYTES_MAX), tuple(("FR", bytes(8), bytes(80)) for _ in range(250)))
    bundle = Bundle()
    bundle.add(A, Put(ONE, (largest,)))
    bundle.add(A, Put(ONE, (parcel(1),)))
    first, second = (data for _, data in bundle.frames())
    assert len(first) <= FRAME_BYTES_MAX
    assert parse_frame(second) == Put(ONE, (parcel(1),))


def test_an_empty_bundle_says_nothing() -> None:
    assert bundled([]) == []
