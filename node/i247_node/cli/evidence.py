"""Trace a message, write what proves its way, and verify the audit trail. Edge."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from i247_edges.terminal import emit, json_option, table, when
from i247_keys.whole_file import write_whole
from i247_node.cli.options import bureau_at, config_option, examples
from i247_node.client import Bureau
from i247_node.forms import PAGE_MAX, PAGE_USUAL
from i247_protocol.audit import verify_chain
from i247_protocol.errors import PeerFault, WorldFault


@click.command()
@click.argument("message")
@config_option
@json_option
@examples("i247-node trace 5f0c6a2b9d1e4c7780aa31b2c4d5e6f7")
def trace(*, message: str, path: Path | None, as_json: bool) -> None:
    """Tell what is known here of MESSAGE, in order."""
    with bureau_at(path) as bureau:
        found = bureau.trace(message)
    if as_json:
        emit(found, as_json=True)
        return
    table(("at", "what", "member", "detail"), [(when(s.at), s.what, s.peer, s.detail or "-") for s in found.steps])


@click.command()
@click.argument("message")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="The file to write.")
@click.option("--wait", metavar="DURATION", default="3s", show_default=True, help="How long to wait for the hubs.")
@config_option
@json_option
@examples("i247-node evidence 5f0c6a2b9d1e4c7780aa31b2c4d5e6f7 --out message.evidence")
def evidence(*, message: str, out: Path, wait: str, path: Path | None, as_json: bool) -> None:
    """Write what proves what became of MESSAGE, a message of ours; `i247-keys evidence verify` judges it anywhere."""
    with bureau_at(path) as bureau:
        found = bureau.evidence(message, wait)
    write_whole(out, found.file)
    if as_json:
        emit({"file": str(out), "bytes": len(found.file), "answerable": found.answerable}, as_json=True)
        return
    click.echo(f"wrote {out}: {len(found.file)} bytes")
    for hub in found.answerable:
        click.echo(f"{hub} signed for it, and has not shown who took it next")
    click.echo(f"next: i247-keys evidence verify {out} --pin PIN")


@click.group()
def audit() -> None:
    """Read and verify the trail of what this node did."""


@audit.command("show")
@click.option("--after", type=click.IntRange(0), default=0, show_default=True, help="Begin behind this record.")
@click.option("--limit", type=click.IntRange(1, PAGE_MAX), default=PAGE_USUAL, show_default=True, help="Rows at most.")
@config_option
@json_option
@examples("i247-node audit show --after 1000")
def show(*, after: int, limit: int, path: Path | None, as_json: bool) -> None:
    """List audit records: who, what, when, under which evidence id; never what a message says."""
    with bureau_at(path) as bureau:
        page = bureau.audit(after, limit)
    if as_json:
        emit(page, as_json=True)
        return
    table(
        ("n", "at", "what", "member", "detail", "evidence"),
        [(one.n, when(one.at), one.what, one.peer or "-", one.detail or "-", one.sid or "-") for one in page.records],
    )


@audit.command("verify")
@config_option
@json_option
@examples("i247-node audit verify")
def verify(*, path: Path | None, as_json: bool) -> None:
    """Follow the trail from its first record on: nothing was changed, removed or put in between.

    Keep the digest that it prints: a trail that is cut off at its end can only be told by an older one.
    """
    with bureau_at(path) as bureau:
        try:
            end = verify_chain(_records(bureau))
        except PeerFault:
            raise WorldFault(
                "verifying the audit trail: it is broken",
                "keep a copy of the store, and find out who had access to it",
            ) from None
    emit({"sound": True, "records": end.n, "digest": end.digest}, as_json)


def _records(bureau: Bureau) -> Iterator[bytes]:
    after: int | None = 0
    while after is not None:
        page = bureau.audit(after, PAGE_MAX)
        for record in page.records:
            yield bytes.fromhex(record.data)
        after = page.next
