"""The made-up parts on their own: entropy, clocks, order."""

from __future__ import annotations

from random import Random

import pytest

from i247_protocol.names import WallMs
from i247_simulations.agenda import Agenda
from i247_simulations.clocks import Clock
from i247_simulations.ordered import OrderedRows
from i247_simulations.streams import Entropy, luck


def test_entropy_is_fixed_by_seed_and_purpose_and_not_by_how_it_is_drawn() -> None:
    whole = Entropy(1, "a")(1_000)
    other = Entropy(1, "a")
    assert b"".join(other(n) for n in (1, 31, 32, 64, 100, 772)) == whole
    assert Entropy(1, "b")(32) != whole[:32] != Entropy(2, "a")(32)
    assert luck(1, "a").random() == luck(1, "a").random() != luck(1, "b").random()


@pytest.mark.parametrize("ppm", [-200, -1, 0, 1, 200, 50_000])
def test_a_deadline_comes_at_the_first_instant_that_shows_it(ppm: int) -> None:
    clock = Clock(WallMs(10**12), 300)
    clock.drift(ppm, 7_777_777)
    for mono in (9_000, 10_001, 3_600_000, 10**9):
        at = clock.instant_of(mono)
        assert clock.read(at).mono >= mono > clock.read(at - 1).mono


def test_a_steady_clock_never_goes_back() -> None:
    clock, chance, before, at = Clock(WallMs(0), 0), Random(1), 0, 0
    for _ in range(200):
        at += chance.randint(0, 10**7)
        clock.drift(chance.randint(-300, 300), at)
        clock.step_ms = chance.randint(-(10**6), 10**6)
        assert clock.read(at).mono >= before
        before = clock.read(at).mono


def test_what_is_due_at_one_instant_happens_in_the_order_of_its_putting_down() -> None:
    agenda, seen = Agenda(), list[int]()
    for n, at in enumerate((5, 3, 5, 3, 9)):
        agenda.at(at, seen.append, n)
    agenda.run(5)
    assert (seen, agenda.now_us) == ([1, 3, 0, 2], 5)


def test_rows_stay_in_order_through_any_changes() -> None:
    chance, rows, model = Random(1), OrderedRows[int, str](), dict[int, str]()
    for _ in range(4_000):
        key = chance.randrange(200) if chance.random() < 0.5 else chance.randrange(10**6)
        if chance.random() < 0.4:
            assert rows.remove(key) == model.pop(key, None)
        else:
            rows.put(key, str(key))
            model[key] = str(key)
        if model and chance.random() < 0.3:
            gone = chance.choice(list(model))
            rows.remove(gone)
            del model[gone]
        assert rows.first() == min(model.items(), default=None)
    assert list(rows) == [model[key] for key in sorted(model)]
    assert list(rows.after(1_000)) == [model[key] for key in sorted(model) if key > 1_000]
