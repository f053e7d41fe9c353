"""Make a hub's keys and its request. Edge."""

from __future__ import annotations

from pathlib import Path

import click

from i247_edges.terminal import examples, json_option
from i247_keys.cli.options import cost_of, hub_in, kdf_option, out_option, passphrase_option, say
from i247_keys.key_folder import make_hub_keys
from i247_keys.keyfile import passphrase_from_file


@click.group("hub")
def commands() -> None:
    """Make a hub's keys and request."""


@commands.command()
@click.argument("name")
@out_option
@click.option("--region", required=True, help="The region that it serves.")
@click.option(
    "--endpoint", "endpoints", multiple=True, required=True, metavar="tcp://HOST:PORT", help="Where it listens."
)
@passphrase_option
@kdf_option
@json_option
@examples(
    "i247-keys hub request lyon --region Europe --endpoint tcp://hub.example:7247 --out hub --passphrase-file hub.pass",
)
def request(
    *,
    name: str,
    directory: Path,
    region: str,
    endpoints: tuple[str, ...],
    passphrase_file: Path,
    kdf: str,
    as_json: bool,
) -> None:
    """Make the keys of the hub NAME and its request to be listed."""
    passphrase = passphrase_from_file(passphrase_file)
    path = make_hub_keys(directory, hub_in(name), region, endpoints, passphrase, cost_of(kdf))
    say({"hub": name, "request": path}, f"wrote {path}: send it to the secretariat", as_json=as_json)
