"""Make a failing plan smaller while it still fails, by delta debugging. Pure; `fails` runs the simulation.

docs/simulation.md 7.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from i247_simulations.faults import Fault

Fails = Callable[[Sequence[Fault]], bool]


def shrunk(plan: Sequence[Fault], fails: Fails, *, runs_max: int) -> tuple[Fault, ...]:
    """Return a part of `plan` that still fails; when the runs suffice, no single fault of it can be left out."""
    kept = tuple(plan)
    parts, runs = 2, 0
    if kept and fails(()):
        return ()
    while len(kept) >= 2 and runs < runs_max:
        size = -(-len(kept) // parts)
        for begin in range(0, len(kept), size):
            fewer = kept[:begin] + kept[begin + size :]
            runs += 1
            if fewer and fails(fewer):
                kept, parts = fewer, max(parts - 1, 2)
                break
        else:
            if size == 1:
                break
            parts = min(parts * 2, len(kept))
    return kept
