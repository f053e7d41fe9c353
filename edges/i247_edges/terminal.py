"""Speak to whoever typed a command, in the same manners in every program.

Decides: how a fault reads (`error:`, then `hint:`, on stderr), what each reason means in a sentence, the exit codes,
and how tables, values and times look. Leaves to others: what is said. What members wrote is shown without control
characters, so it cannot play with the terminal. docs/operations.md.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
import sys
import traceback
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from enum import Enum
from pathlib import PurePath
from typing import Any, Final, NamedTuple, NoReturn, TypeVar

import click
import msgspec

from i247_protocol.errors import CallerFault, I247Error, PeerFault, WorldFault
from i247_protocol.names import WallMs
from i247_protocol.reasons import Reason

F = TypeVar("F", bound=Callable[..., Any])

OK: Final = 0
FAILED: Final = 1
USAGE: Final = 2
DEGRADED: Final = 3


class Commands(click.Group):
    """A group of commands that ends every failure as `error:` and `hint:`, never in a traceback.

    A command returns None, or the exit code. The hidden flag `--trace-errors` shows where a fault was raised.
    """

    def __init__(self, *args: Any, **settings: Any) -> None:  # noqa: ANN401 -- click's own signature, passed on
        super().__init__(*args, **settings)
        self.context_settings.setdefault("help_option_names", ["-h", "--help"])
        self.params.append(
            click.Option(["--trace-errors"], is_flag=True, hidden=True, expose_value=False, callback=_note_tracing)
        )

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,  # noqa: FBT001, FBT002 -- as above
        **extra: Any,  # noqa: ANN401 -- as above
    ) -> Any:  # noqa: ANN401 -- as above
        """Run the command line; with `standalone_mode`, end the process with the command's exit code."""
        try:
            code = super().main(args, prog_name, complete_var, standalone_mode=False, **extra)
        except I247Error as fault:  # of an option, before any command runs
            _say_fault(*explain(fault))
            code = FAILED
        except click.exceptions.NoArgsIsHelpError as fault:
            fault.show()
            code = USAGE
        except click.UsageError as fault:
            command = fault.ctx.command_path if fault.ctx is not None else "the command"
            _say_fault(fault.format_message(), f"{command} --help")
            code = USAGE
        except click.ClickException as fault:
            _say_fault(fault.format_message(), "correct it and try again")
            code = FAILED
        except click.Abort:
            _say_fault("interrupted", "run it again when ready")
            code = FAILED
        return sys.exit(code if isinstance(code, int) else OK) if standalone_mode else code

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 -- as above
        """Run the command; end with a told fault when it fails."""
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort, BrokenPipeError):
            raise
        except Exception as fault:  # noqa: BLE001 -- the outermost loop of a program: told, then stopped
            if ctx.find_root().meta.get(TRACING):
                traceback.print_exception(fault)
            fail(fault)


def fail(fault: Exception) -> NoReturn:
    """Tell a fault on stderr and exit with `FAILED`."""
    told = explain(fault)
    _say_fault(told.error, told.hint)
    raise click.exceptions.Exit(FAILED) if click.get_current_context(silent=True) else SystemExit(FAILED)


class Told(NamedTuple):
    """A fault in words: what was wrong, and what to do next."""

    error: str
    hint: str


def explain(fault: Exception) -> Told:
    """Return what a fault means to a user."""
    match fault:
        case CallerFault() | WorldFault():
            return Told(fault.doing, fault.hint)
        case PeerFault():
            return SENTENCES[fault.reason]
        case OSError():
            return Told(f"{fault.strerror or type(fault).__name__}: {fault.filename or 'the system'}", HINT_SYSTEM)
        case I247Error():
            return Told(str(fault), HINT_BUG)
        case _:
            return Told(f"{type(fault).__name__} at {_place(fault)}, which should not happen", HINT_BUG)


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print rows under columns; cut to the terminal's width, or whole and without colour when it is not one."""
    lines = table_lines(columns, rows, shutil.get_terminal_size().columns if sys.stdout.isatty() else None)
    for place, line in enumerate(lines):
        click.echo(click.style(line, bold=True) if place == 0 else line)


def table_lines(columns: Sequence[str], rows: Iterable[Sequence[object]], width: int | None) -> list[str]:
    """Return the lines of a table, the first one naming the columns; with `width`, no line is wider."""
    cells = [[_cell(cell) for cell in row] for row in (columns, *rows)]
    widths = [max(_width(row[place]) for row in cells) for place in range(len(columns))]
    lines = [GAP.join(map(_padded, row, widths)).rstrip() for row in cells]
    return lines if width is None else [_cut(line, width) for line in lines]


def emit(value: object, as_json: bool) -> None:  # noqa: FBT001 -- click hands the flag of --json on
    """Print a value: one JSON document, or for people `key: value` lines, a table, or plain text."""
    simple = plain(value)
    if as_json:
        click.echo(json.dumps(simple, ensure_ascii=False, indent=2))
    elif isinstance(simple, dict):
        width = max(map(_width, simple), default=0)
        for key, item in simple.items():
            click.echo(f"{_padded(key + ':', width + 1)} {_cell(item)}")
    elif isinstance(simple, list) and simple and all(isinstance(row, dict) for row in simple):
        columns = list(dict.fromkeys(key for row in simple for key in row))
        table(columns, [[row.get(column) for column in columns] for row in simple])
    else:
        for item in simple if isinstance(simple, list) else [simple]:
            click.echo(_cell(item))


def plain(value: object) -> Any:  # noqa: ANN401 -- whatever JSON can hold
    """Return a value as JSON holds it: records become objects, bytes become hexadecimal digits."""
    match value:
        case Enum():
            return value.value
        case bytes() | bytearray() | memoryview():
            return bytes(value).hex()
        case msgspec.Struct():
            return {name: plain(item) for name, item in msgspec.structs.asdict(value).items()}
        case tuple() if hasattr(value, "_asdict"):
            return {name: plain(item) for name, item in value._asdict().items()}
        case Mapping():
            return {str(plain(key)): plain(item) for key, item in value.items()}
        case list() | tuple():
            return [plain(item) for item in value]
        case set() | frozenset():
            return sorted(map(plain, value))
        case None | bool() | int() | float() | str():
            return value
        case PurePath():
            return str(value)
        case _ if dataclasses.is_dataclass(value):
            return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
        case _:
            raise CallerFault(f"printing a {type(value).__name__}", "make it of records, lists and plain values")


def when(wall_ms: WallMs | int | None) -> str:
    """Return an instant as people read it, in UTC; `-` when there is none."""
    if wall_ms is None:
        return "-"
    return datetime.fromtimestamp(wall_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def shown(text: str) -> str:
    """Return text that cannot act on a terminal: what is no visible character becomes `\ufffd`, a break a space."""
    spaced = "".join(" " if sign in "\t\n\r" else sign for sign in text)
    return "".join("\ufffd" if unicodedata.category(sign) in UNSEEN else sign for sign in spaced)


def examples(*lines: str) -> Callable[[F], F]:
    """Add examples to the help of a command, each on a line of its own."""

    def added(command: F) -> F:
        # What follows a backspace is not wrapped by click.
        command.__doc__ = "\n\n".join([command.__doc__ or "", "\b\nExamples:\n  " + "\n  ".join(lines)])
        return command

    return added


json_option: Final = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")


def _note_tracing(ctx: click.Context, _: click.Parameter, value: bool) -> None:  # noqa: FBT001 -- click's own signature
    if value:
        ctx.find_root().meta[TRACING] = True


def _say_fault(error: str, hint: str) -> None:
    click.echo(f"error: {shown(error)}\nhint: {shown(hint)}", err=True)


def _place(fault: Exception) -> str:
    frames = traceback.extract_tb(fault.__traceback__)
    return f"{PurePath(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "an unknown place"


def _cell(value: object) -> str:
    simple = plain(value)
    match simple:
        case None:
            return "-"
        case bool():
            return "yes" if simple else "no"
        case list():
            return ", ".join(map(_cell, simple)) or "-"
        case dict():
            return ", ".join(f"{shown(key)}={_cell(item)}" for key, item in simple.items()) or "-"
        case _:
            return shown(str(simple))


def _padded(text: str, width: int) -> str:
    return text + " " * (width - _width(text))


def _cut(line: str, width: int) -> str:
    if _width(line) <= width:
        return line
    taken = ""
    used = 1
    for sign in line:
        used += _width(sign)
        if used > width:
            break
        taken += sign
    return taken + "…"


def _width(text: str) -> int:
    return sum(0 if unicodedata.combining(sign) else 1 + (unicodedata.east_asian_width(sign) in WIDE) for sign in text)


GAP: Final = "  "
WIDE: Final = frozenset({"W", "F"})
UNSEEN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
TRACING: Final = "i247.trace_errors"
HINT_BUG: Final = "this is a defect: run it again with --trace-errors, and report what it prints"
HINT_SYSTEM: Final = "see owner, mode and disk of what it names"

SENTENCES: Final[Mapping[Reason, Told]] = {
    Reason.MALFORMED: Told("the data is not what it claims to be", "fetch it again from its source"),
    Reason.NOT_CANONICAL: Told("the data is not encoded in its one true form", "fetch it again from its source"),
    Reason.TOO_LARGE: Told("the data is larger than allowed", "shorten it, or split it into several messages"),
    Reason.UNKNOWN_VERSION: Told("it was written by a version that this one does not know", "update this program"),
    Reason.UNKNOWN_SUITE: Told("it is sealed in a way that this version does not know", "update this program"),
    Reason.EXPIRED: Told("its time has passed", "send it again with a later expiry"),
    Reason.FUTURE_DATED: Told("it is dated in the future", "see whether the clocks of both sides are right"),
    Reason.LIFETIME_TOO_LONG: Told("it would be valid for longer than allowed", "choose an expiry within seven days"),
    Reason.DOUBTFUL_CLOCK: Told("the clock here differs from the hubs' clocks", "set the clock of this machine"),
    Reason.CANNOT_OPEN: Told("it cannot be opened", "ask the sender to seal it again to the newest keycard"),
    Reason.BAD_SIGNATURE: Told("a signature does not verify", "do not use it; ask its source by another channel"),
    Reason.DEAD_KEY: Told("it is sealed to a key that is no longer in use", "send it again; it takes the newest key"),
    Reason.NO_KEYCARD: Told("no valid keycard of the recipient is known", "wait until its node has been on line"),
    Reason.UNKNOWN_MEMBER: Told(
        "the directory has no such member", "see `roster show` for the members and their codes"
    ),
    Reason.SUSPENDED: Told("the member is suspended", "see `roster show` for since when and until when"),
    Reason.UNKNOWN_HUB: Told("the directory has no such hub", "see `roster show` for the hubs"),
    Reason.NOT_ADDRESSED: Told(
        "it is addressed to somebody else", "nothing to do; tell the hub's operator if it goes on"
    ),
    Reason.HEADER_MISMATCH: Told("outside and inside of the envelope differ", "do not use it; tell the sender"),
    Reason.DUPLICATE: Told("it was accepted before", "nothing to do"),
    Reason.EVIDENCE_CONFLICT: Told("two different messages bear the same number", "keep both and tell the Secretariat"),
    Reason.NOT_NEWER: Told("it is not newer than what is held here", "nothing to do"),
    Reason.FORKED: Told(
        "two directories claim the same version", "use neither; tell the Secretariat and other members"
    ),
    Reason.CHAIN_BROKEN: Told("a document does not follow the one before", "fetch the whole network file again"),
    Reason.TOO_FEW_SIGNATURES: Told("too few have signed", "collect the signatures that lack"),
    Reason.NOT_JUSTIFIED: Told("the directory was changed without a decision or signature for it", "do not use it"),
    Reason.WRONG_PIN: Told("the network file does not belong to the pin", "compare the pin by another channel"),
    Reason.DIRECTORY_EXPIRED: Told("the directory has expired", "fetch the newest network file"),
    Reason.NEWER_ROSTER: Told("it names a newer directory than is held here", "wait until the directory is fetched"),
    Reason.STRANGER: Told("the other side is not in the directory", "see that both sides hold the newest directory"),
    Reason.CHOSEN_ROUTING_ID: Told("the other side chose its own address", "nothing to do; it is not one of ours"),
    Reason.UNKNOWN_SESSION: Told("it belongs to a connection that has ended", "nothing to do; it is sent again"),
    Reason.OUT_OF_TURN: Told("it came before the greeting", "nothing to do; update the other side if it goes on"),
    Reason.CREDIT_EXCEEDED: Told("more was sent than was asked for", "update the other side"),
    Reason.TOO_MANY_HOPS: Told("it has passed through too many hubs", "see whether the hubs reach one another"),
    Reason.REPLACED: Told("a newer connection of the same member took its place", "see that only one node is running"),
    Reason.TOO_OFTEN: Told(
        "directory documents came too often that bring nothing", "give newer ones, or wait a minute"
    ),
    Reason.MAILBOX_FULL: Told("the recipient's mailbox is full", "wait; it is tried again by itself"),
    Reason.STORE_FULL: Told("the store is full", "give it room, or wait until mail is fetched"),
    Reason.QUOTA_FULL: Told("this member's share of the hub is used up", "wait; it is tried again by itself"),
    Reason.PARKED_FULL: Told("too much waits for a newer directory", "wait until the directory is fetched"),
    Reason.SEEN_FULL: Told("too many messages of this sender are remembered", "wait until older ones have expired"),
    Reason.POLICY: Told("the recipient's policy does not allow it", "ask that bureau to open the register for you"),
    Reason.UNKNOWN_REGISTER: Told("there is no such register there", "ask that bureau which registers it has"),
    Reason.UNKNOWN_BODY: Told("the kind of message is not known there", "one of both sides needs an update"),
    Reason.REGISTER_UNAVAILABLE: Told("the register cannot be reached now", "ask again later"),
}
