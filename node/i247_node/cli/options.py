"""Options and parts that several commands share. Edge."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from i247_node.calls import BureauError
from i247_node.client import Bureau
from i247_node.config import NodeConfig, find_config, read_config
from i247_node.forms import Urgency
from i247_protocol.errors import CallerFault, WorldFault
from i247_protocol.handling import Classification, Handling, Onward, Purpose
from i247_protocol.limits import TEXT_BYTES_MAX

F = TypeVar("F", bound=Callable[..., Any])

config_option: Final = click.option(
    "--config",
    "-c",
    "path",
    type=click.Path(path_type=Path),
    help="The node's configuration.  [default: node.toml here, then /etc/i247/node.toml]",
)
purpose_option: Final = click.option(
    "--purpose",
    type=click.Choice([one.value for one in Purpose]),
    required=True,
    help="Why data is asked for or given; the other member sees it, and it is audited.",
)


def sending_options(command: F) -> F:
    """Add what every message has beside its content."""
    for option in reversed(
        (
            purpose_option,
            click.option(
                "--urgency",
                type=click.Choice([one.value for one in Urgency]),
                default=Urgency.ROUTINE.value,
                show_default=True,
                help="How soon it goes out.",
            ),
            click.option(
                "--classification",
                type=click.Choice([one.value for one in Classification]),
                default=Classification.OFFICIAL.value,
                show_default=True,
                help="The source's classification.",
            ),
            click.option(
                "--onward",
                type=click.Choice([one.value for one in Onward]),
                default=Onward.NATIONAL.value,
                show_default=True,
                help="To whom the recipient may pass it on.",
            ),
            click.option("--exercise", is_flag=True, help="Mark it as training, not real work."),
        )
    ):
        command = option(command)
    return command


def handling_of(classification: str, onward: str, *, exercise: bool) -> Handling:
    """Return what the sending options say."""
    return Handling(classification=Classification(classification), exercise=exercise, onward=Onward(onward))


def examples(*lines: str) -> Callable[[F], F]:
    """Add examples to the help of a command."""

    def added(command: F) -> F:
        # What follows a backspace is not wrapped by click.
        command.__doc__ = "\n\n".join([command.__doc__ or "", "\b\nExamples:\n  " + "\n  ".join(lines)])
        return command

    return added


def config_at(path: Path | None) -> NodeConfig:
    """Return the configuration that a command is to use."""
    return read_config(find_config(path))


@contextmanager
def bureau_at(path: Path | None) -> Iterator[Bureau]:
    """Give a connection to the running node; its errors become faults that are told."""
    try:
        with Bureau.connect(config_at(path).socket) as bureau:
            yield bureau
    except BureauError as fault:
        raise WorldFault(fault.doing, fault.hint) from fault


def text_from(text: str, what: str) -> str:
    """Return a text that was given as it is, or with `-` on standard input, where no other process can see it."""
    if text != STDIN:
        return text
    read = sys.stdin.read(TEXT_BYTES_MAX + 1)
    if len(read) > TEXT_BYTES_MAX:
        raise CallerFault(f"reading the {what} from standard input", f"shorten it to {TEXT_BYTES_MAX} bytes")
    return read


def members_in(text: str | None) -> tuple[str, ...] | None:
    """Return the codes in a list such as `SG,BR`."""
    return None if text is None else tuple(code.strip() for code in text.split(","))


STDIN: Final = "-"
