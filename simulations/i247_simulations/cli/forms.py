"""What the commands share: options, files, exit codes, the words for a verdict. Edge."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final, TypeVar

import click
import msgspec
from click.core import ParameterSource

from i247_protocol.errors import CallerFault
from i247_simulations.choosing import Duration
from i247_simulations.quantities import spelled_duration
from i247_simulations.results import Failure, Result, Verdict
from i247_simulations.running import failure_of

T = TypeVar("T", bound=msgspec.Struct)


class Seeds(click.ParamType[Any]):
    """A range of seeds such as 1..500, both ends in it."""

    name = "A..B"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> range:  # noqa: ANN401
        """Return the seeds from A to B."""
        found = re.fullmatch(r"(\d+)(?:\.\.(\d+))?", str(value))
        if found is None:
            self.fail(f"{value} is no range such as 1..500", param, ctx)
        return range(int(found[1]), int(found[2] or found[1]) + 1)


class Shard(click.ParamType[Any]):
    """A part of many such as 2/4: every fourth, from the second on."""

    name = "I/N"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> slice:  # noqa: ANN401
        """Return the slice that takes this part of a sequence."""
        found = re.fullmatch(r"(\d+)/(\d+)", str(value))
        if found is None or not 1 <= int(found[1]) <= int(found[2]):
            self.fail(f"{value} is no shard such as 1/4", param, ctx)
        return slice(int(found[1]) - 1, None, int(found[2]))


def command_line() -> str:
    """Return the command that is running, as it could be typed again: without the files that it is to write."""
    context = click.get_current_context()
    words = [context.command_path]
    for param in context.command.params:
        value = context.params.get(param.name or "")
        if isinstance(param, click.Argument):
            words.append(shlex.quote(str(value)))
        elif context.get_parameter_source(param.name or "") is ParameterSource.COMMANDLINE and not _is_file(param):
            words += [param.opts[0]] if value is True else [param.opts[0], shlex.quote(_typed(param, value))]
    return " ".join(words)


def write(path: Path | None, value: object) -> None:
    """Write a value as JSON, always the same bytes for the same value; no path, no file."""
    if path is not None:
        path.write_bytes(msgspec.json.format(msgspec.json.encode(value, order="deterministic"), indent=1) + b"\n")


def write_text(path: Path | None, text: str) -> None:
    """Write a page; the same bytes on every system."""
    if path is not None:
        path.write_bytes(text.encode())


def read(path: Path, kind: type[T], hint: str, *, schema: int | None = None) -> T:
    """Read a file that another command has written; with `schema`, of that schema alone."""
    try:
        data = path.read_bytes()
        if schema is not None and msgspec.json.decode(data, type=_Numbered).schema != schema:
            raise CallerFault(
                f"reading {path}", f"it has another schema than {schema}; make it again with this version"
            )
        return msgspec.json.decode(data, type=kind)
    except OSError:
        raise CallerFault(f"reading {path}", hint) from None
    except msgspec.MsgspecError:
        raise CallerFault(f"reading {path}", f"it is not what this command needs: {hint}") from None


def tell(result: Result) -> None:
    """Print how a run ended: one line when all is well, and what is needed to look further when it is not."""
    breach = result.breaches[0] if result.breaches else None
    if breach is None:
        click.echo(
            f"{result.verdict.value}: {result.scenario} seed {result.seed}, {result.accepted} messages accepted, "
            f"{len(result.faults)} faults, trace {result.trace}"
        )
        return
    click.echo(f"broken: {breach.promise} at {breach.at_ms} ms, {breach.program}: {breach.what} ({breach.checker})")
    click.echo(f"  version {result.version}, scenario {result.scenario} {result.scenario_hash}, seed {result.seed}")
    for life in result.lives:
        click.echo(f"  the life of {life.message[:16]}, {life.kind} of {life.sender} for {' '.join(life.recipients)}:")
        for moment in life.moments[:MOMENTS_SHOWN]:
            click.echo(f"    {moment.at_ms:>9} ms  {moment.program}: {moment.what}")


def keep_failure(result: Result, path: Path | None) -> None:
    """Write a run's failure, if it is one, and say how to see it again."""
    failure = failure_of(result)
    if failure is not None:
        path = path or Path(f"failure-{result.seed}.json")
        write(path, failure)
        click.echo(f"  see it again with: i247-sim replay {path}")


def keep_failures(failures: Iterable[Failure]) -> None:
    """Write the failures of a study, each under a name of its own, and say how to see them again."""
    for n, failure in enumerate(failures, 1):
        breach, path = failure.breach, Path(f"failure-{failure.seed}-{n}.json")
        write(path, failure)
        click.echo(f"broken: {breach.promise} at {breach.at_ms} ms, {breach.program}: {breach.what} ({breach.checker})")
        click.echo(f"  see it again with: i247-sim replay {path}")


def read_failure(path: Path) -> Failure:
    """Read what a failing run has written."""
    return read(path, Failure, "give the file that a failing run has written")


def version_here() -> str:
    """Return the version of this installation."""
    try:
        return version("i247")
    except PackageNotFoundError:
        return "unknown"


def say_fault(error: str, hint: str) -> None:
    """Tell a fault and what to do next."""
    click.echo(f"error: {error}\nhint: {hint}", err=True)


def _is_file(param: click.Parameter) -> bool:
    return isinstance(param.type, click.Path)


def _typed(param: click.Parameter, value: object) -> str:
    if isinstance(param.type, Duration) and isinstance(value, int):
        return spelled_duration(value)
    return str(value)


class _Numbered(msgspec.Struct):
    schema: int


MOMENTS_SHOWN: Final = 60

HOLDS: Final = 0
BROKEN: Final = 1
NO_VERDICT: Final = 2
USAGE: Final = 64
EXIT: Final = {Verdict.HOLDS: HOLDS, Verdict.BROKEN: BROKEN, Verdict.NO_VERDICT: NO_VERDICT}

PLANT: Final = click.option("--plant", default="", help="Plant a known bug (see `i247-sim scenarios`).")
JSON: Final = click.option("--json", "json_path", type=click.Path(path_type=Path), help="Write what is found there.")
REPORT: Final = click.option("--report", type=click.Path(path_type=Path), help="Write a page to read, one HTML file.")
JOBS: Final = click.option("--jobs", type=click.IntRange(1), default=1, show_default=True, help="Processes to use.")
DASK: Final = click.option("--dask", metavar="ADDRESS", help="Run on a Dask cluster, such as 127.0.0.1:8786.")
