"""A plan follows from its seed, keeps to its bounds, and brings everything once before anything twice."""

from __future__ import annotations

import pytest
from tests.chaos.plan import OF_HUBS, OF_NODES, Kind, draw

HUBS, NODES = ("lyon", "singapore"), ("BR", "FR", "SG")


def test_a_seed_gives_one_plan() -> None:
    assert draw(7, 120, HUBS, NODES) == draw(7, 120, HUBS, NODES)
    assert draw(7, 120, HUBS, NODES) != draw(8, 120, HUBS, NODES)


@pytest.mark.parametrize("seed", range(20))
def test_a_plan_keeps_to_its_bounds(seed: int) -> None:
    plan = draw(seed, 120, HUBS, NODES)
    assert {one.kind for one in plan} == set(Kind)
    assert [one.at_s for one in plan] == sorted(one.at_s for one in plan)
    for one in plan:
        assert 0 < one.at_s < 120
        assert one.at_s + one.lasts_s <= 120.5
        assert one.target in (HUBS if one.kind in OF_HUBS else NODES if one.kind in OF_NODES else HUBS + NODES)
