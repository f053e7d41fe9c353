"""Options and parts that several commands share. Edge."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click

from i247_edges.terminal import emit
from i247_keys.keyfile import INTERACTIVE, LEAST, MODERATE, Cost
from i247_protocol.errors import CallerFault, PeerFault
from i247_protocol.names import HubName, MemberCode, parse_hub, parse_member

folder_argument: Final = click.argument("directory", type=click.Path(path_type=Path))
out_option: Final = click.option(
    "--out", "directory", type=click.Path(path_type=Path), required=True, help="Folder for the files."
)
passphrase_option: Final = click.option(
    "--passphrase-file",
    type=click.Path(path_type=Path),
    required=True,
    help="File with the passphrase, mode 0600.",
)
kdf_option: Final = click.option(
    "--kdf",
    type=click.Choice(["moderate", "interactive", "min"]),
    default="moderate",
    show_default=True,
    help="What a guess at the passphrase costs. `min` protects nothing; it is for demonstrations.",
)
names_option: Final = click.option(
    "--name", "names", multiple=True, metavar="LANG=TEXT", help="Name in a language, as en=Brazil."
)
homes_option: Final = click.option(
    "--home", "homes", multiple=True, metavar="HUB", help="Home hub; the first is preferred."
)


def cost_of(kdf: str) -> Cost:
    """Return what --kdf says, and warn of a cost that protects nothing."""
    if kdf == "min":
        click.echo("note: --kdf min: these keyfiles can be guessed at full speed; for demonstrations only", err=True)
    return {"moderate": MODERATE, "interactive": INTERACTIVE, "min": LEAST}[kdf]


def member_in(text: str) -> MemberCode:
    """Return the member's code that somebody typed."""
    try:
        return parse_member(text)
    except PeerFault:
        raise CallerFault(f"reading the member code {text}", "it is two capital letters, as FR") from None


def hub_in(text: str) -> HubName:
    """Return the hub's name that somebody typed."""
    try:
        return parse_hub(text)
    except PeerFault:
        raise CallerFault(
            f"reading the hub's name {text}", "lower case letters, digits and hyphens, as hub-lyon"
        ) from None


def hubs_in(texts: tuple[str, ...]) -> tuple[HubName, ...]:
    """Return the hubs' names that somebody typed."""
    return tuple(hub_in(text) for text in texts)


def names_in(texts: tuple[str, ...]) -> dict[str, str]:
    """Return names by language."""
    pairs = [text.partition("=") for text in texts]
    if any(not separator for _, separator, _ in pairs):
        raise CallerFault("reading a name", "write language and name, as --name en=France")
    return {language: name for language, _, name in pairs}


def say(value: object, *lines: str, as_json: bool) -> None:
    """Print a value as JSON, or what it means to people."""
    if as_json:
        emit(value, as_json=True)
        return
    for line in lines:
        click.echo(line)
