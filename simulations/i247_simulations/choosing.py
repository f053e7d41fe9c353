"""Let a command line choose a scenario: its options, and the command that lists and shows scenarios. Edge.

docs/simulation.md 4.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import click

from i247_simulations.crypto import Crypto
from i247_simulations.faults import Level
from i247_simulations.plants import PLANTS
from i247_simulations.quantities import duration_ms, scale
from i247_simulations.scenario import Scenario, with_crypto
from i247_simulations.scenarios import (
    find_scenario,
    our_names,
    text_of,
    with_hubs,
    with_load,
    with_members,
    with_until,
)


class Duration(click.ParamType[Any]):
    """A length of time such as 90s, as milliseconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:  # noqa: ANN401
        """Return milliseconds."""
        if isinstance(value, int):
            return value
        try:
            return duration_ms(str(value))
        except ValueError as fault:
            self.fail(f"{value}: {fault}", param, ctx)


class Scale(click.ParamType[Any]):
    """A factor such as 1:100."""

    name = "scale"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:  # noqa: ANN401
        """Return the factor."""
        try:
            return scale(str(value))
        except ValueError as fault:
            self.fail(f"{value}: {fault}", param, ctx)


def scenario_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options members, hubs, until, load and crypto, for `chosen_scenario`."""
    for option in reversed(OPTIONS):
        command = option(command)
    return command


def chosen_scenario(
    name: str, members: int | None, hubs: int | None, until: int | None, load: float | None, crypto: str | None
) -> Scenario:
    """Return the scenario that a command line names, as it wants it."""
    whole = with_members(with_hubs(find_scenario(name), hubs), members)
    return with_crypto(with_load(with_until(whole, until), load), None if crypto is None else Crypto(crypto))


def chosen_level(faults: str | None, scenario: Scenario, otherwise: Level) -> Level:
    """Return how rough a world is: as said, else as usual, but not by luck when its scenario has its own faults."""
    if faults is not None:
        return Level(faults)
    return Level.NONE if scenario.faults else otherwise


@click.command("scenarios")
@click.argument("scenario", required=False)
def list_scenarios(scenario: str | None) -> None:
    """List the scenarios and the bugs that can be planted, or print the file of one."""
    if scenario is not None:
        click.echo(text_of(scenario), nl=False)
        return
    width = max(map(len, our_names()))
    for found in map(find_scenario, our_names()):
        click.echo(f"{found.name:{width}}  {found.hash}  {found.what}")
    click.echo("\nbugs for --plant:")
    for plant in PLANTS.values():
        click.echo(f"  {plant.name:24}{plant.what}")


OPTIONS: Final = (
    click.option("--members", type=click.IntRange(2), help="Only so many members, spread over all hubs."),
    click.option("--hubs", type=click.IntRange(1), help="So many hubs; members go to the nearest."),
    click.option("--until", type=Duration(), help="How long people speak and faults happen, such as 5m or 1h30m."),
    click.option("--load", type=Scale(), metavar="SCALE", help="So many times the traffic, such as 0.5 or 1:100."),
    click.option(
        "--crypto",
        type=click.Choice([one.value for one in Crypto]),
        help="A stub has the same lengths and refuses the same, protects nothing, and is faster.",
    ),
)
FAULTS: Final = click.option(
    "--faults",
    type=click.Choice([level.value for level in Level]),
    help="What luck adds to the scenario's own faults.",
)
