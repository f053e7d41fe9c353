"""Read durations, sizes, rates and scales as people write them: `1h30m`, `50kB`, `28e6/year`, `1:100`.

What cannot be read raises ValueError with what is wanted instead; whoever asked knows where it stood. Durations are
whole microseconds, so that what is written and what is run are the same number. docs/simulation.md 4.
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Final


def duration_us(text: str) -> int:
    """Return a duration such as `1h30m`, `0.5s` or `20 ms` in microseconds."""
    if DURATION.fullmatch(text) is None:
        raise ValueError(DURATION_WANTED)
    parts = PART.findall(text)
    sizes = [UNITS_US[unit] for _, unit in parts]
    if sizes != sorted(set(sizes), reverse=True):
        raise ValueError(DURATION_WANTED)
    whole = sum((Fraction(number) * size for (number, _), size in zip(parts, sizes, strict=True)), Fraction(0))
    if whole.denominator != 1 or whole > DURATION_US_MAX:
        raise ValueError("a duration has whole microseconds, and ten years at most")
    return int(whole)


def duration_ms(text: str) -> int:
    """Return a duration in milliseconds."""
    us = duration_us(text)
    if us % 1_000:
        raise ValueError("whole milliseconds are wanted here, such as 20ms")
    return us // 1_000


def spelled_duration(ms: int) -> str:
    """Return a duration as it is written, without what is zero."""
    parts = []
    for unit in ("d", "h", "m", "s", "ms"):
        count, ms = divmod(ms, UNITS_US[unit] // 1_000)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


def size_bytes(text: str) -> int:
    """Return a size such as `400B`, `50kB` or `16GiB` in bytes."""
    found = SIZE.fullmatch(text)
    if found is None:
        raise ValueError("a size is wanted, such as 400B, 50kB or 16GiB")
    size = Fraction(found[1]) * UNITS_BYTES[found[2]]
    if size.denominator != 1 or size > SIZE_BYTES_MAX:
        raise ValueError("a size has whole bytes, and 1 EiB at most")
    return int(size)


def rate_per_hour(text: str) -> float:
    """Return a rate such as `250/s`, `3600/h` or `28e6/year`, in an hour."""
    found = RATE.fullmatch(text)
    if found is None:
        raise ValueError("a rate is wanted, such as 250/s, 3600/h or 28e6/year")
    rate = float(Fraction(found[1]) * HOUR_US / RATE_UNITS_US[found[2]])
    if rate > RATE_PER_HOUR_MAX:
        raise ValueError(f"a rate is {RATE_PER_HOUR_MAX // 3_600}/s at most")
    return rate


def scale(text: str) -> float:
    """Return a scale such as `1:100` or `0.01` as a factor."""
    found = SCALE.fullmatch(text)
    factor = Fraction(0)
    if found is not None and Fraction(found[2] or 1) > 0:
        factor = Fraction(found[1]) / Fraction(found[2] or 1)
    if not 0 < factor <= SCALE_MAX:
        raise ValueError(f"a scale is wanted, such as 1:100 or 0.01, above 0 and {SCALE_MAX} at most")
    return float(factor)


HOUR_US: Final = 3_600_000_000
UNITS_US: Final = {
    "d": 24 * HOUR_US,
    "h": HOUR_US,
    "min": 60_000_000,
    "m": 60_000_000,
    "s": 1_000_000,
    "ms": 1_000,
    "us": 1,
    "µs": 1,
}
UNITS_BYTES: Final = {
    "B": 1,
    "kB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "KiB": 2**10,
    "MiB": 2**20,
    "GiB": 2**30,
    "TiB": 2**40,
}
RATE_UNITS_US: Final = {
    "s": 1_000_000,
    "min": 60_000_000,
    "h": HOUR_US,
    "day": 24 * HOUR_US,
    "year": 365 * 24 * HOUR_US,
}
NUMBER: Final = r"([0-9]{1,15}(?:\.[0-9]{1,9})?)"
PART: Final = re.compile(rf"{NUMBER} ?(d|h|min|ms|m|s|us|µs)(?![a-zµ])")
DURATION: Final = re.compile(rf"(?:{NUMBER} ?(?:d|h|min|ms|m|s|us|µs) ?)+(?<! )")
SIZE: Final = re.compile(rf"{NUMBER} ?({'|'.join(UNITS_BYTES)})")
RATE: Final = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,9})?(?:e[0-9]{1,2})?) ?/ ?(s|min|h|day|year)")
SCALE: Final = re.compile(rf"{NUMBER}(?: ?: ?{NUMBER})?")
DURATION_WANTED: Final = "a duration is wanted, such as 90s, 1h30m or 24h, the larger unit first"
DURATION_US_MAX: Final = 3_650 * 24 * HOUR_US
SIZE_BYTES_MAX: Final = 2**60
RATE_PER_HOUR_MAX: Final = 100_000 * 3_600
SCALE_MAX: Final = 1_000
