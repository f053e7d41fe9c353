"""The program `i247-node`: set a node up, check it, run it, and ask, publish, read and trace through it. Edge.

Says what was found on stdout, or as JSON with --json; faults on stderr as `error:` and `hint:`. Exit codes: 0 well,
1 failed, 2 wrong usage, 3 it works but needs looking after. docs/operations.md.
"""

from __future__ import annotations

import click

from i247_edges.terminal import Commands
from i247_node.cli.evidence import audit, evidence, trace
from i247_node.cli.mail import board, inbox, outbox
from i247_node.cli.options import examples
from i247_node.cli.registers import register
from i247_node.cli.sending import notice, query, write
from i247_node.cli.setup import check, init, run
from i247_node.cli.standing import status


@click.group(cls=Commands)
@click.version_option(package_name="i247")
@examples(
    "i247-node init FR --name en=France --home lyon --dir /etc/i247",
    "i247-node check",
    "i247-node run",
    "i247-node status",
    "i247-node query SG sltd --mrz - --purpose border-control",
    "i247-node inbox",
)
def main() -> None:
    """Run a member's node, and speak through it with other members."""


for command in (init, check, run, status, query, notice, write, inbox, outbox, board, trace, evidence, register, audit):
    main.add_command(command)
