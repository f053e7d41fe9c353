"""How long the way is: by distance, as measured, or drawn; one link's luck moves no other."""

from __future__ import annotations

from random import Random
from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from i247_simulations.latency import Constant, Distance, Latency, Matrix, Place, Uniform, Ways, distance_km
from i247_simulations.streams import luck

PLACES = {
    "lyon": Place(45.8, 4.8, 60),
    "singapore": Place(1.3, 103.9, 480),
    "FR": Place(48.9, 2.3, 60),
    "NZ": Place(-41.3, 174.8, 780),
}
DISTANCE = Distance(jitter=0.2, base_rtt_ms=5.0, ms_per_km=0.0098, stretch=2.3, spread=0.3)


def least(latency: Latency, sender: str, receiver: str, *, seed: int = 1) -> int:
    chance = luck(seed, f"link/{sender}/{receiver}")
    return Ways(seed, latency, PLACES).least_us(sender, receiver, chance)


@pytest.mark.parametrize(
    ("one", "other", "km"), [("lyon", "FR", 390), ("lyon", "singapore", 10_500), ("FR", "NZ", 19_000), ("FR", "FR", 0)]
)
def test_a_distance_is_that_of_a_globe(one: str, other: str, km: float) -> None:
    assert distance_km(PLACES[one], PLACES[other]) == pytest.approx(km, rel=0.02, abs=0.01)
    assert distance_km(PLACES[one], PLACES[other]) == distance_km(PLACES[other], PLACES[one])


PLACE = st.builds(Place, st.floats(-90, 90), st.floats(-180, 180), st.just(0))


@given(PLACE, PLACE, PLACE)
def test_no_detour_is_shorter(one: Place, other: Place, between: Place) -> None:
    direct = distance_km(one, other)
    assert 0 <= direct <= 20_016
    assert direct <= distance_km(one, between) + distance_km(between, other) + 0.1


def test_without_spread_the_formula_is_exact() -> None:
    model = Distance(jitter=0.0, base_rtt_ms=5.0, ms_per_km=0.0098, stretch=2.3, spread=0.0)
    km = distance_km(PLACES["lyon"], PLACES["singapore"])
    assert least(model, "lyon", "singapore") == int(500 * (5 + 0.0098 * km * 2.3))
    assert least(model, "FR", "FR") == 2_500


def test_the_stretch_of_a_link_is_its_own_and_lognormal_around_its_median() -> None:
    km = distance_km(PLACES["lyon"], PLACES["singapore"])
    drawn = [least(DISTANCE, "lyon", "singapore", seed=seed) for seed in range(400)]
    stretches = [(us / 500 - 5) / (0.0098 * km) for us in drawn]
    assert median(stretches) == pytest.approx(2.3, rel=0.05)
    assert min(stretches) >= 1 - 1e-3
    assert len(set(drawn)) > 390
    assert least(DISTANCE, "singapore", "lyon") == least(DISTANCE, "lyon", "singapore")


def test_no_link_is_faster_than_light_in_a_fibre() -> None:
    wild = Distance(jitter=0.0, base_rtt_ms=0.0, ms_per_km=0.0098, stretch=1.0, spread=2.0)
    km = distance_km(PLACES["FR"], PLACES["NZ"])
    assert min(least(wild, "FR", "NZ", seed=seed) for seed in range(50)) == int(500 * 0.0098 * km)


def test_a_uniform_latency_is_the_first_draw_of_its_direction() -> None:
    chance = Random(3)
    assert Ways(1, Uniform(1.0, 2.0, 120.0), {}).least_us("a", "b", chance) == int(
        1_000 * (2 + 118 * Random(3).random())
    )


def test_a_constant_latency_is_half_a_round_trip() -> None:
    assert least(Constant(0.0, 80.0), "lyon", "FR") == 40_000


def test_what_was_measured_in_one_direction_holds_for_the_other_unless_that_was_too() -> None:
    matrix = Matrix(0.0, {"lyon": {"FR": 9_000}, "FR": {"lyon": 7_000, "singapore": 81_000}}, 50.0)
    assert least(matrix, "lyon", "FR") == 9_000
    assert least(matrix, "FR", "lyon") == 7_000
    assert least(matrix, "singapore", "FR") == 81_000
    assert least(matrix, "lyon", "singapore") == 50_000
