"""What people write as a duration, a size, a rate or a scale is one number, or is refused."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from i247_simulations.quantities import (
    duration_ms,
    duration_us,
    rate_per_hour,
    scale,
    size_bytes,
    spelled_duration,
)


@pytest.mark.parametrize(
    ("text", "us"),
    [
        ("0s", 0),
        ("250us", 250),
        ("250µs", 250),
        ("20ms", 20_000),
        ("1.5s", 1_500_000),
        ("90s", 90_000_000),
        ("5m", 300_000_000),
        ("5min", 300_000_000),
        ("1h30m", 5_400_000_000),
        ("1h 30m", 5_400_000_000),
        ("1d2h3m4s5ms6us", 93_784_005_006),
        ("20 ms", 20_000),
    ],
)
def test_durations(text: str, us: int) -> None:
    assert duration_us(text) == us


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "5",
        "h",
        "-5m",
        "5 minutes",
        "30m1h",
        "1h1h",
        "1h 30",
        "1.h",
        "1e3s",
        "1s ",
        "0.0000001s",
        "9999d",
        "\u0661s",
    ],
)
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="duration"):
        duration_us(text)


def test_a_millisecond_is_not_divided() -> None:
    with pytest.raises(ValueError, match="whole milliseconds"):
        duration_ms("1500us")


@given(st.integers(0, 3_650 * 86_400_000))
def test_a_duration_can_be_spelled_and_read_again(ms: int) -> None:
    assert duration_ms(spelled_duration(ms)) == ms


@given(st.lists(st.integers(0, 999), min_size=7, max_size=7), st.sampled_from(["", " "]))
def test_the_parts_of_a_duration_add_up(counts: list[int], between: str) -> None:
    units = {"d": 86_400_000_000, "h": 3_600_000_000, "m": 60_000_000, "s": 1_000_000, "ms": 1_000, "us": 1}
    text = between.join(f"{count}{unit}" for count, unit in zip(counts, units, strict=False))
    assert duration_us(text) == sum(count * size for count, size in zip(counts, units.values(), strict=False))


@given(st.text(alphabet="0123456789.:/ eEkMGiBdhminsyµu-", max_size=14) | st.text(max_size=8))
def test_any_text_is_read_or_refused(text: str) -> None:
    for read in (duration_us, duration_ms, size_bytes, rate_per_hour, scale):
        with suppress(ValueError):
            assert read(text) >= 0


@pytest.mark.parametrize(
    ("read", "text", "value"),
    [
        (size_bytes, "400B", 400),
        (size_bytes, "1.5 kB", 1_500),
        (size_bytes, "16GiB", 2**34),
        (rate_per_hour, "250/s", 900_000.0),
        (rate_per_hour, "3600/h", 3_600.0),
        (rate_per_hour, "0/s", 0.0),
        (rate_per_hour, "8.76e6/year", 1_000.0),
        (rate_per_hour, "24 / day", 1.0),
        (scale, "1:100", 0.01),
        (scale, "1 : 2.5", 0.4),
        (scale, "0.01", 0.01),
        (scale, "3", 3.0),
    ],
)
def test_sizes_rates_and_scales(read: Callable[[str], float], text: str, value: float) -> None:
    assert read(text) == value


@pytest.mark.parametrize(
    ("read", "text"),
    [
        (size_bytes, "400"),
        (size_bytes, "1.5B"),
        (size_bytes, "4KB"),
        (size_bytes, "9999999TiB"),
        (rate_per_hour, "250"),
        (rate_per_hour, "250/week"),
        (rate_per_hour, "1e99/s"),
        (scale, "1:0"),
        (scale, "0"),
        (scale, "-1"),
        (scale, "1:2:3"),
        (scale, "2000"),
        (scale, "nan"),
    ],
)
def test_what_is_no_size_rate_or_scale(read: Callable[[str], float], text: str) -> None:
    with pytest.raises(ValueError, match=r"size|rate|scale"):
        read(text)
