"""Say which setting of a file does not do, and why: the ways in which every setting of a scenario is read.

docs/simulation.md 4.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from difflib import get_close_matches
from typing import TypeVar

import msgspec

from i247_protocol.errors import CallerFault

T = TypeVar("T")
N = TypeVar("N", int, float)


class Reading:
    """One file being read; `where` is how it is called."""

    def __init__(self, where: str) -> None:
        self.where = where

    def read(self, at: str, reading: Callable[[str], T], text: str | None) -> T:
        """Return what a setting means; raise CallerFault when it is missing or cannot be read."""
        try:
            return reading(self.needed(at, text))
        except ValueError as fault:
            raise self.fault(at, "cannot be read", str(fault)) from None

    def needed(self, at: str, value: T | None) -> T:
        """Return a setting that must be there."""
        if value is None:
            raise self.fault(at, "missing", "add it, or extend a scenario that has it")
        return value

    def between(self, at: str, value: N, low: float, high: float) -> N:
        """Return a number that has bounds."""
        if not low <= value <= high:
            raise self.fault(at, "out of bounds", f"it is from {low:g} to {high:g}")
        return value

    def only(self, at: str, table: msgspec.Struct, keys: Iterable[str]) -> None:
        """Refuse settings that another kind has."""
        for key in msgspec.to_builtins(table):
            if key not in {"kind", *keys}:
                kind = getattr(table, "kind", "")
                raise self.fault(f"{at}.{key}", f"of no use with kind `{kind}`", f"there: {', '.join(sorted(keys))}")

    def require_known(self, at: str, name: str, known: Iterable[str]) -> None:
        """Refuse a name that nobody has."""
        if name not in known:
            raise self.fault(at, f"nobody is called {name}", nearest_word(name, list(known)))

    def require_places(self, at: str, unplaced: Iterable[str]) -> None:
        """Refuse what needs the places of all, if that of somebody is not known."""
        lacking = sorted(unplaced)
        if lacking:
            raise self.fault(at, f"nobody knows where {lacking[0]} is", f"add [topology.places.{lacking[0]}]")

    def fault(self, at: str, what: str, hint: str) -> CallerFault:
        """Return what is wrong with a setting."""
        return CallerFault(f"reading {self.where}: {at}: {what}", hint)


def nearest_word(word: str, known: Iterable[str]) -> str:
    """Return a hint: the word that was meant, or some of those that there are."""
    words = sorted(known)
    near = get_close_matches(word, words, 1)
    return f"did you mean `{near[0]}`?" if near else f"there are {', '.join(words[:12])}"


def given(value: T | None, otherwise: T) -> T:
    """Return a setting, or what is taken when it is left out."""
    return otherwise if value is None else value
