"""Say in plain words what a result has as numbers and codes. Pure.

What is not in a table here, because it is newer, is shown by its own code: nothing is left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final


def span(ms: float) -> str:
    """Return a length of time as people say it."""
    if ms < 999.5:
        return f"{ms:.0f} ms"
    if ms < 59_500:
        return f"{ms / 1_000:.1f}".removesuffix(".0") + " s" if ms < 9_950 else f"{ms / 1_000:.0f} s"
    minutes, seconds = divmod(round(ms / 1_000), 60)
    if minutes < 60:
        return f"{minutes} min {seconds} s" if seconds else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


def count(number: float) -> str:
    """Return a number with its thousands apart."""
    return f"{number:,.0f}"


def size(length: float) -> str:
    """Return a number of bytes."""
    for unit in ("B", "kB", "MB"):
        if length < 1_000:
            return f"{length:.0f} {unit}" if unit == "B" or length >= 9.95 else f"{length:.1f} {unit}"
        length /= 1_000
    return f"{length:.1f} GB"


def value_words(unit: str, value: float | None) -> str:
    """Return a metric's value with its unit."""
    if value is None:
        return "–"
    match unit:
        case "ms":
            return span(value)
        case "bytes":
            return size(value)
        case "%":
            return f"{value:.1f} %"
        case _:
            return count(value) if abs(value) >= 100 or value == int(value) else f"{value:.1f}"


def signed(unit: str, value: float) -> str:
    """Return a difference with its sign."""
    words = f"{abs(value):.1f} points" if unit == "%" else value_words(unit, abs(value))
    return f"{'−' if value < 0 else '+' if value > 0 else ''}{words}"


def factor(ratio: float | None) -> str:
    """Return how many times something is as much as before."""
    if ratio is None:
        return "–"
    return f"× {ratio:.2f}" if ratio < 10 else f"× {ratio:,.0f}"


def many(number: int, thing: str, things: str = "") -> str:
    """Return how many there are of something."""
    return f"{count(number)} {thing if number == 1 else things or thing + 's'}"


def listed(names: Sequence[str], most: int = 3) -> str:
    """Return names as a list of words, and how many more there are."""
    if len(names) <= most + 1:
        return " and ".join(filter(None, (", ".join(names[:-1]), names[-1]))) if names else "nobody"
    return f"{', '.join(names[:most])} and {len(names) - most} others"


def spaced(code: str) -> str:
    """Return a code as words."""
    return code.replace("-", " ").replace("_", " ").replace(".", ": ")


PROMISES: Final = {
    "P1": "Nobody between the two ends can read.",
    "P2": "Nobody can pretend to be somebody else.",
    "P3": "An accepted message is never lost.",
    "P4": "One message becomes one inbox entry.",
    "P5": "No silence: every question ends, in its time.",
    "P6": "Members that share nothing but the directory can work together.",
    "P7": "No single party can admit, expel or impersonate a member.",
    "P8": "What expired or was suspended is not taken.",
    "P9": "Urgent is never behind bulk.",
    "P10": "Everything has a bound.",
    "P11": "Every act leaves a trace at the end that did it.",
    "P12": "One seed, one history.",
}
KINDS: Final = {"correspondence": "letter"}
PHASES: Final = {
    "warm-up": "no faults yet",
    "chaos": "people speak, and the faults strike",
    "heal": "everything is put right",
    "quiet": "one last round of questions, until all has ended",
}
