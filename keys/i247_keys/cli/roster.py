"""Look into a network file: show it, judge it, compare two. Edge."""

from __future__ import annotations

import json
from pathlib import Path

import click

from i247_edges.clock import read_clocks
from i247_edges.terminal import emit, examples, json_option, table
from i247_keys import showing
from i247_keys.ceremony_files import parse_pin, read_network
from i247_keys.cli.options import say
from i247_keys.trust import Trust

_network = click.argument("network", type=click.Path(path_type=Path))
_pin = click.option("--pin", metavar="HEX", help="The pin, from another channel than the file.")


@click.group("roster")
def commands() -> None:
    """Look into a network file."""


@commands.command()
@_network
@_pin
@json_option
@examples("i247-keys roster show network.i247 --pin 12ab…")
def show(*, network: Path, pin: str | None, as_json: bool) -> None:
    """Show members and hubs of the newest roster."""
    trust, wall = _read(network, pin), read_clocks().wall
    directory = trust.directory
    if as_json:
        emit({**showing.summary(trust, wall), **showing.rows(directory, wall)}, as_json=True)
        return
    for line in showing.summary_lines(trust, wall):
        click.echo(line)
    click.echo()
    table(("member", "state", "key id", "homes", "name"), showing.member_cells(directory, wall))
    click.echo()
    table(("hub", "key id", "region", "endpoints"), showing.hub_cells(directory))


@commands.command()
@_network
@click.option("--pin", metavar="HEX", required=True, help="The pin, from another channel than the file.")
@json_option
@examples("i247-keys roster verify network.i247 --pin 12ab…")
def verify(*, network: Path, pin: str, as_json: bool) -> None:
    """Judge every document of a network file, from the pin on."""
    trust, wall = _read(network, pin), read_clocks().wall
    say(
        showing.summary(trust, wall),
        "all documents follow from the pin",
        *showing.summary_lines(trust, wall),
        as_json=as_json,
    )


@commands.command()
@click.argument("before", type=click.Path(path_type=Path))
@click.argument("after", type=click.Path(path_type=Path))
@_pin
@json_option
@examples("i247-keys roster diff old.i247 network.i247 --pin 12ab…")
def diff(*, before: Path, after: Path, pin: str | None, as_json: bool) -> None:
    """Show what changed between the newest rosters of two network files."""
    wall = read_clocks().wall
    old, new = (showing.rows(_read(path, pin).directory, wall) for path in (before, after))
    changes = {kind: showing.changes(old[kind], new[kind]) for kind in ("members", "hubs")}
    lines = [
        f"{name}: {field} {json.dumps(was)} -> {json.dumps(now)}"
        for rows in changes.values()
        for name, fields in rows.items()
        for field, (was, now) in fields.items()
    ]
    say(changes, *(lines or ["no difference"]), as_json=as_json)


def _read(path: Path, pin: str | None) -> Trust:
    if pin is None:
        click.echo("note: no --pin: whether this is the right network is not known", err=True)
    return read_network(path, None if pin is None else parse_pin(pin))
