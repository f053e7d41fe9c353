"""`i247-sim`: run worlds, find what breaks them, see it again, make it small, compare. Edge. docs/simulation.md.

Exit 0: every promise held. 1: one is broken. 2: no verdict. 64: used wrongly.
"""

from __future__ import annotations

import sys

import click

from i247_edges.terminal import explain
from i247_protocol.errors import CallerFault, I247Error
from i247_simulations.choosing import list_scenarios
from i247_simulations.cli import runs, studies, swarms
from i247_simulations.cli.forms import HOLDS, NO_VERDICT, USAGE, say_fault


def main() -> None:
    """Run the command line and end the process with its exit code."""
    sys.exit(run_command(sys.argv[1:]))


def run_command(arguments: list[str]) -> int:
    """Run one command; return its exit code."""
    try:
        code = commands.main(arguments, prog_name="i247-sim", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as fault:
        fault.show()
        return USAGE
    except click.ClickException as fault:
        say_fault(fault.format_message(), "see --help")
        return USAGE
    except click.Abort:
        say_fault("interrupted", "run it again when ready")
        return NO_VERDICT
    except (I247Error, OSError) as fault:
        say_fault(*explain(fault))
        return USAGE if isinstance(fault, CallerFault) else NO_VERDICT
    return code if isinstance(code, int) else HOLDS


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def commands() -> None:
    """Simulate the whole network from one seed."""


for command in (
    runs.run_one,
    swarms.run_many,
    swarms.merge_files,
    studies.compare_runs,
    studies.sweep_settings,
    studies.draw_report,
    runs.run_again,
    runs.make_smaller,
    list_scenarios,
):
    commands.add_command(command)
