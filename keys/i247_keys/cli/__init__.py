"""The program `i247-keys`: make keys and requests, hold the ceremony, look into a directory. Edge.

Says what was done on stdout, or as JSON with --json; faults on stderr as `error:` and `hint:`. Exit codes: 0 done,
1 failed, 2 wrong usage. What the commands do is decided in `key_folder` and `ceremony_files`. docs/operations.md.
"""

from __future__ import annotations

import click

from i247_edges.terminal import Commands, examples
from i247_keys.cli import ceremony, evidence, hub, identity, member, roster


@click.group(cls=Commands)
@click.version_option(package_name="i247")
@examples(
    "i247-keys ceremony new authority --keys 3 --threshold 2",
    "i247-keys hub request lyon --region Europe --endpoint tcp://hub.example:7247 --out hub --passphrase-file hub.pass",
    "i247-keys member request FR --name en=France --home lyon --out fr --passphrase-file fr.pass",
    "i247-keys ceremony found authority --member fr/FR.request --hub hub/lyon.request",
    "i247-keys ceremony sign authority --key secretariat-1.key --passphrase-file secretariat-1.passphrase",
    "i247-keys ceremony sign authority --key secretariat-2.key --passphrase-file secretariat-2.passphrase",
    "i247-keys ceremony publish authority",
    "i247-keys ceremony pulse authority",
)
def main() -> None:
    """Make keys and requests, hold the ceremony, and look into a directory."""


for family in (ceremony, member, hub, identity, roster, evidence):
    main.add_command(family.commands)
