"""Map values to places in a figure, and choose the ticks that stand beside them. Pure."""

from __future__ import annotations

from collections.abc import Callable
from math import log10
from typing import Final

Scale = Callable[[float], float]


def linear(low: float, high: float, begin: float, end: float) -> Scale:
    """Return the even scale from values to places."""
    width = (high - low) or 1
    return lambda value: begin + (min(max(value, low), high) - low) / width * (end - begin)


def logarithmic(low: float, high: float, begin: float, end: float) -> Scale:
    """Return the scale on which each factor is as long as the same factor elsewhere; `low` is more than 0."""
    even = linear(log10(low), log10(max(high, low * 1.01)), begin, end)
    return lambda value: even(log10(max(value, low)))


def even_ticks(high: float, most: int) -> list[float]:
    """Return round values from 0 to `high`, `most` or fewer steps of them."""
    raw = max(high, 1) / max(most, 1)
    power = 10 ** int(log10(raw) // 1)
    step = next(step for step in (1 * power, 2 * power, 5 * power, 10 * power) if step >= raw)
    step = max(step, 1)
    return [step * n for n in range(int(high // step) + 1)]


def time_ticks(high_ms: float, most: int) -> list[int]:
    """Return round instants from 0 to `high_ms`."""
    step = next((step for step in TIME_STEPS_MS if high_ms / step <= most), TIME_STEPS_MS[-1])
    return [step * n for n in range(int(high_ms // step) + 1)]


def span_ticks(low_ms: float, high_ms: float) -> list[int]:
    """Return round lengths of time between two bounds, for a logarithmic scale: more of them where there are few."""
    fine = [ms for ms in FINE_SPANS_MS if low_ms <= ms <= high_ms]
    return fine if len(fine) <= FINE_MAX else [ms for ms in SPANS_MS if low_ms <= ms <= high_ms]


_S: Final = 1_000
_MIN: Final = 60 * _S
_H: Final = 60 * _MIN
SPANS_MS: Final = (1, 10, 100, _S, 10 * _S, _MIN, 10 * _MIN, _H, 10 * _H)
FINE_SPANS_MS: Final = (
    *(n * unit for unit in (1, 10, 100, _S) for n in (1, 2, 5)),
    *(n * _S for n in (10, 20)),
    *(n * _MIN for n in (1, 2, 5, 10, 20)),
    *(n * _H for n in (1, 2, 5, 10)),
)
FINE_MAX: Final = 6
TIME_STEPS_MS: Final = (
    *(s * _S for s in (1, 2, 5, 10, 20, 30)),
    *(m * _MIN for m in (1, 2, 5, 10, 20, 30)),
    *(h * _H for h in (1, 2, 6, 12, 24, 48, 168)),
)
