"""Look at keyfiles. Edge."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click

from i247_edges.terminal import emit, examples, json_option
from i247_keys.ceremony_files import PULSE, SECRETARIAT
from i247_keys.key_folder import IDENTITY, LINK
from i247_keys.keyfile import read_public
from i247_protocol.digests import key_id
from i247_protocol.errors import CallerFault


@click.group("identity")
def commands() -> None:
    """Look at keyfiles."""


@commands.command()
@click.argument("file", type=click.Path(path_type=Path))
@json_option
@examples("i247-keys identity show fr/identity.key")
def show(*, file: Path, as_json: bool) -> None:
    """Show the public part of a keyfile; needs no passphrase, proves nothing."""
    use, public = _public_of(file)
    emit({"use": use, "public": public, "key_id": key_id(public)}, as_json)


def _public_of(file: Path) -> tuple[str, bytes]:
    for use in USES[:-1]:
        try:
            return use, read_public(file, use=use)
        except CallerFault:
            continue  # it is for another use
    return USES[-1], read_public(file, use=USES[-1])


USES: Final = (IDENTITY, LINK, SECRETARIAT, PULSE)
