"""docs/simulation.md names the scenarios, settings and words that there are."""

from __future__ import annotations

import re
import tomllib
import typing
from pathlib import Path

import msgspec
import pytest

from i247_simulations.fault_words import WORDS, words_of
from i247_simulations.scenarios import find_scenario, our_names
from i247_simulations.settings import Settings

TEXT = (Path(__file__).parents[2] / "docs" / "simulation.md").read_text()
SECTION = TEXT.partition("## 4 Scenarios")[2].partition("## 5 ")[0]
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")] for line in SECTION.splitlines() if line.startswith("| `")
]


def test_every_scenario_of_ours_is_told() -> None:
    assert set(our_names()) <= set(re.findall(r"`([\w-]+)`", SECTION))


def test_every_setting_is_told() -> None:
    told = set(re.findall(r"\w+", SECTION))
    tables: list[type[msgspec.Struct]] = [Settings]
    settings = set[str]()
    while tables:
        for field in msgspec.structs.fields(tables.pop()):
            settings.add(field.name)
            kinds = [field.type, *typing.get_args(field.type)]
            kinds += [inner for kind in kinds for inner in typing.get_args(kind)]
            tables += [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, msgspec.Struct)]
    assert len(settings) > 40
    assert settings - told == set()


@pytest.mark.parametrize("row", [row for row in ROWS if row[0].strip("`") in WORDS], ids=lambda row: row[0])
def test_the_words_of_a_fault_are_as_told(row: list[str]) -> None:
    word, keys, tag = row
    kind = WORDS[word.strip("`")]
    assert kind.__struct_config__.tag == tag
    wanted = {key for key in words_of(kind).values() if key != "at"}
    assert set(re.findall(r"`(\w+)`", keys)) == wanted


def test_the_example_can_be_run(tmp_path: Path) -> None:
    (example,) = re.findall(r"```toml\n(.*?)```", SECTION, re.DOTALL)
    assert tomllib.loads(example)["extends"] == "lyon-cut-off"
    path = tmp_path / "example.toml"
    path.write_text(example)
    scenario = find_scenario(str(path))
    assert (len(scenario.members), len(scenario.faults), scenario.traffic.scale) == (60, 2, 0.02)
    assert len(scenario.traffic.bursts) == 1
