"""Shrinking leaves only what a failure needs."""

from __future__ import annotations

import pytest

from i247_simulations.faults import Fault, HangUp
from i247_simulations.shrinking import shrunk

PLAN = tuple(HangUp(n, f"hub-{n}") for n in range(40))


@pytest.mark.parametrize("needed", [{3}, {0, 39}, {5, 6, 30}, set()])
def test_only_what_is_needed_is_left(needed: set[int]) -> None:
    wanted = {PLAN[n] for n in needed}
    assert set(shrunk(PLAN, lambda plan: wanted <= set(plan), runs_max=10_000)) == wanted


def test_the_number_of_runs_is_bounded() -> None:
    runs = 0

    def fails(plan: object) -> bool:
        nonlocal runs
        runs += 1
        return len(plan) == len(PLAN)  # type: ignore[arg-type]

    found: tuple[Fault, ...] = shrunk(PLAN, fails, runs_max=3)
    assert found == PLAN
    assert runs < 80
