"""Fill registers from CSV files, and see what they hold. Edge."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Final

import click

from i247_edges.terminal import FAILED, OK, emit, json_option, table, when
from i247_node.cli.options import config_at, config_option, examples
from i247_node.registers import Kind
from i247_node.registers_sqlite import SqliteRegister, import_csv
from i247_protocol.errors import CallerFault


@click.group()
def register() -> None:
    """Fill registers that other members may ask, and see what they hold."""


@register.command("import")
@click.argument("name")
@click.argument("csv_path", metavar="FILE", type=click.Path(path_type=Path))
@click.option("--kind", type=click.Choice([one.value for one in Kind]), required=True, help="What the rows are about.")
@click.option("--skip-bad-rows", is_flag=True, help="Take the good rows all the same.")
@click.option("--database", type=click.Path(path_type=Path), help="The register's file.  [default: as configured]")
@config_option
@json_option
@examples(
    "i247-node register import sltd documents.csv --kind documents",
    "i247-node register import sltd documents.csv --kind documents --database registers.db",
)
def import_(
    *,
    name: str,
    csv_path: Path,
    kind: str,
    skip_bad_rows: bool,
    database: Path | None,
    path: Path | None,
    as_json: bool,
) -> int:
    """Replace the content of the register NAME by the rows of a CSV file, or leave it as it was when a row is bad.

    A node that runs answers from the new content at once; a register that is new is taken up at SIGHUP.
    """
    report = import_csv(database or _file_of(name, path), name, Kind(kind), csv_path, skip_bad_rows=skip_bad_rows)
    if as_json:
        emit(report, as_json=True)
    else:
        for row in report.rejected[:ROWS_SHOWN_MAX]:
            click.echo(f"line {row.line}{f', column {row.column}' if row.column else ''}: {row.rule}", err=True)
        click.echo(f"{report.accepted} of {report.rows} rows are in the register {name}")
    if report.replaced:
        return OK
    click.echo(
        f"error: {len(report.rejected)} bad rows, so the register stays as it was\n"
        "hint: correct them, or take the good ones by --skip-bad-rows",
        err=True,
    )
    return FAILED


@register.command("show")
@config_option
@json_option
@examples("i247-node register show")
def show(*, path: Path | None, as_json: bool) -> None:
    """List the registers of the configuration, what they hold, and to whom they are open."""
    config = config_at(path)
    rows = []
    for name, database in sorted(config.registers.items()):
        with closing(SqliteRegister(database, name)) as one:
            rows.append((one.status(), config.policy.registers[name]))
    if as_json:
        emit(
            {
                "registers": [
                    {
                        **status._asdict(),
                        "open_to": sorted(opening.open_to) if opening.open_to is not None else "all",
                        "closed_to": sorted(opening.closed_to),
                    }
                    for status, opening in rows
                ]
            },
            as_json=True,
        )
        return
    table(
        ("register", "kind", "records", "current at", "open to"),
        [
            (
                status.name,
                status.kind,
                status.records,
                when(status.as_of),
                _opened(opening.open_to, opening.closed_to),
            )
            for status, opening in rows
        ],
    )


def _file_of(name: str, path: Path | None) -> Path:
    config = config_at(path)
    found = config.registers.get(name)
    if found is None:
        raise CallerFault(
            f"importing into {name}: {config.path} names no such register",
            "add it to [registers], with a table in [policy.registers], or give --database",
        )
    return found


def _opened(to: frozenset[str] | frozenset[object] | None, but: frozenset[str] | frozenset[object]) -> str:
    named = "all" if to is None else ",".join(sorted(map(str, to))) or "nobody"
    return f"{named} but {','.join(sorted(map(str, but)))}" if but else named


ROWS_SHOWN_MAX: Final = 20
