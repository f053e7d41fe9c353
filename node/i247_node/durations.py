"""Read and write spans of time as people do: `500ms`, `10s`, `5m`, `2h`, `7d`."""

from __future__ import annotations

import re
from typing import Final

from i247_protocol.errors import CallerFault


def parse_duration(text: str) -> int:
    """Return milliseconds; raise CallerFault when `text` is not a number with a unit."""
    found = _DURATION.fullmatch(text.strip())
    if found is None:
        raise CallerFault("reading a span of time", "write a whole number and a unit: 500ms, 10s, 5m, 2h, 7d")
    return int(found[1]) * UNITS_MS[found[2]]


def show_duration(ms: int) -> str:
    """Return the largest unit in which `ms` is whole, else its two largest."""
    sign, rest = ("-" if ms < 0 else ""), abs(ms)
    parts = []
    for unit, size in reversed(UNITS_MS.items()):
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count}{unit}")
    return sign + (" ".join(parts[:2]) or "0s")


UNITS_MS: Final = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_DURATION: Final = re.compile(r"(\d{1,12})\s?(ms|s|m|h|d)")
