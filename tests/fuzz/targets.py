"""List all targets by name."""

from __future__ import annotations

from functools import cache

from tests.fuzz import directory, files, proofs, wire
from tests.fuzz.target import Target


@cache
def all_targets() -> dict[str, Target]:
    """Return every target, in the order in which they are tried."""
    return {one.name: one for module in (wire, directory, proofs, files) for one in module.targets()}
