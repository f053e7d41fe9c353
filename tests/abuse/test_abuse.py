"""Attack a hub as a process, in every way: it goes on serving its members, its memory stays bounded, all is counted.

How much longer a member's round trips take meanwhile is printed by `make abuse`; a busy machine says nothing about it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.abuse.assault import SUSPENDED, Cost, Scene
from tests.abuse.attack import ATTACKS

from i247_protocol.limits import CONNECTIONS_PER_KEY_MAX

pytestmark = pytest.mark.slow

SECONDS = 3.0
GROWN_MIB_MAX = 400.0  # what comes within the quarter of a second in which a hub notices, on a fast machine

Counts = Counter[str]
COUNTED: dict[str, Callable[[Counts, Counts], bool]] = {
    "strangers": lambda did, hub: hub["link.came"] > 0 and hub["link.left.unknown"] + hub["link.ended.crowd"] > 0,
    "half-handshakes": lambda did, hub: hub["link.came"] >= did["hellos"],
    "old-protocols": lambda did, hub: hub["link.left.unknown"] > 0,
    "unknown-keys": lambda did, hub: hub["door.refused.stranger"] >= did["kept out"] > 0 and "let in" not in did,
    "announced-frames": lambda did, hub: 0 < did["cut off"] <= hub["link.left.unknown"] + hub["link.ended.silent"],
    "many-parts": lambda did, hub: hub["link.ended.unfinished"] + hub["link.refused.malformed"] > 0,
    "routing-ids": lambda did, hub: hub["link.ended.chosen-routing-id"] > 0,
    "reconnects": lambda did, hub: hub["door.refused.too-often"] > 0,
    "many-connections": lambda did, hub: (
        hub["link.ended.too-many"] > 0 and did["held at the end"] <= CONNECTIONS_PER_KEY_MAX
    ),
}


@pytest.mark.timeout(120)
@pytest.mark.parametrize("name", ATTACKS)
def test_a_hub_stands(name: str, tmp_path: Path) -> None:
    scene = Scene(tmp_path, is_suspended=name in SUSPENDED)
    try:
        cost = scene.attack(name, SECONDS)
        assert len(cost.during_ms) > 0, told(cost)
        assert scene.round_trips(0.2), "members are served afterwards"
    finally:
        scene.close()
    assert cost.grown_mib < GROWN_MIB_MAX, told(cost)
    assert COUNTED[name](cost.did, cost.counted), told(cost)


def told(cost: Cost) -> str:
    return f"{cost.line()}\n{cost.counted}\nrepeat: make abuse ARGS={cost.attack}"
