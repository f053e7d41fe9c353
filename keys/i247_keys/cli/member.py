"""Make a member's keys, and its requests to join and to change. Edge."""

from __future__ import annotations

from pathlib import Path

import click

from i247_edges.terminal import examples, json_option
from i247_keys.ceremony_files import parse_pin, read_network
from i247_keys.cli.options import (
    cost_of,
    folder_argument,
    homes_option,
    hubs_in,
    kdf_option,
    member_in,
    names_in,
    names_option,
    out_option,
    passphrase_option,
    say,
)
from i247_keys.key_folder import NEXT_IDENTITY_FILE, Wanted, change_member, make_member_keys
from i247_keys.keyfile import passphrase_from_file
from i247_protocol.errors import CallerFault


@click.group("member")
def commands() -> None:
    """Make a member's keys and requests."""


@commands.command()
@click.argument("code")
@out_option
@names_option
@homes_option
@passphrase_option
@kdf_option
@json_option
@examples("i247-keys member request FR --name en=France --home lyon --out fr --passphrase-file fr.pass")
def request(
    *,
    code: str,
    directory: Path,
    names: tuple[str, ...],
    homes: tuple[str, ...],
    passphrase_file: Path,
    kdf: str,
    as_json: bool,
) -> None:
    """Make the keys of the member CODE and its request to join."""
    passphrase = passphrase_from_file(passphrase_file)
    path = make_member_keys(
        directory, member_in(code), names_in(names) or {"en": code}, hubs_in(homes), passphrase, cost_of(kdf)
    )
    say(
        {"member": code, "request": path, "directory": directory},
        f"wrote {path}: send it to the secretariat",
        f"move {directory / NEXT_IDENTITY_FILE} to a safe place off this machine: it replaces a stolen identity",
        as_json=as_json,
    )


@commands.command()
@folder_argument
@click.option(
    "--network", type=click.Path(path_type=Path), required=True, help="The network file that lists the member."
)
@click.option("--pin", metavar="HEX", required=True, help="The pin.")
@click.option("--code", required=True, help="The member's code.")
@names_option
@homes_option
@click.option("--rotate", is_flag=True, help="Replace the identity key by the next one.")
@click.option("--stolen", is_flag=True, help="As --rotate, but the present key is not used and gets no grace.")
@click.option("--new-link", is_flag=True, help="Replace the link key.")
@passphrase_option
@kdf_option
@json_option
@examples(
    "i247-keys member change fr --code FR --network network.i247 --pin 12ab… --rotate --passphrase-file fr.pass",
)
def change(
    *,
    directory: Path,
    network: Path,
    pin: str,
    code: str,
    names: tuple[str, ...],
    homes: tuple[str, ...],
    rotate: bool,
    stolen: bool,
    new_link: bool,
    passphrase_file: Path,
    kdf: str,
    as_json: bool,
) -> None:
    """Make a request to change a member's own row, signed by its keys in DIRECTORY."""
    row = read_network(network, parse_pin(pin)).directory.member(member_in(code))
    if row is None:
        raise CallerFault(f"changing {code}", "the network file does not list it: `member request` joins")
    wanted = Wanted(names_in(names) or None, hubs_in(homes) or None, rotate, new_link)
    path = change_member(directory, row, wanted, passphrase_from_file(passphrase_file), cost_of(kdf), stolen=stolen)
    say({"member": code, "request": path}, f"wrote {path}: send it to the secretariat", as_json=as_json)
