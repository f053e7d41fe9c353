"""Read inbox, outbox and board. Edge."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import click

from i247_edges.terminal import emit, json_option, shown, table, when
from i247_node.cli.options import bureau_at, config_option, examples
from i247_node.client import Bureau
from i247_node.forms import PAGE_USUAL, EntryShown, MessageShown
from i247_protocol.errors import CallerFault

_limit = click.option(
    "--limit", type=click.IntRange(1, 200), default=PAGE_USUAL, show_default=True, help="Rows at most."
)


@click.command()
@click.argument("entry", type=click.IntRange(1), required=False)
@click.option("--confirm", "confirmed", type=click.IntRange(1), multiple=True, metavar="N", help="Confirm entry N.")
@click.option("--all", "with_confirmed", is_flag=True, help="Show confirmed entries too.")
@click.option("--after", type=click.IntRange(0), default=0, help="Begin behind this entry.")
@_limit
@config_option
@json_option
@examples("i247-node inbox", "i247-node inbox 17", "i247-node inbox --confirm 17 --confirm 18")
def inbox(
    *,
    entry: int | None,
    confirmed: tuple[int, ...],
    with_confirmed: bool,
    after: int,
    limit: int,
    path: Path | None,
    as_json: bool,
) -> None:
    """List what came and is not confirmed, or show ENTRY whole.

    An entry that is not confirmed is offered again; `again` marks what was given before and not confirmed.
    """
    with bureau_at(path) as bureau:
        if confirmed:
            for one in confirmed:
                bureau.confirm(one)
            emit({"confirmed": list(confirmed)}, as_json)
            return
        if entry is not None:
            _show_entry(_entry(bureau, entry), as_json=as_json)
            return
        page = bureau.inbox(after, limit, confirmed=with_confirmed)
    if as_json:
        emit(page, as_json=True)
        return
    table(
        ("n", "received", "from", "what", "about", ""),
        [
            (one.n, when(one.received), one.sender, one.act, _about(one), ", ".join(_marks(one)) or " ")
            for one in page.entries
        ],
    )
    _tell_more(page.next)


@click.command()
@click.option("--open", "only_open", is_flag=True, help="Show only what somebody still has to sign for.")
@click.option("--after", type=click.IntRange(0), help="Begin behind this number.  [default: the newest]")
@_limit
@config_option
@json_option
@examples("i247-node outbox", "i247-node outbox --open --json")
def outbox(*, only_open: bool, after: int | None, limit: int, path: Path | None, as_json: bool) -> None:
    """List what was sent, and where it stands."""
    with bureau_at(path) as bureau:
        page = bureau.outbox(0 if only_open and after is None else after, limit, only_open=only_open)
    if as_json:
        emit(page, as_json=True)
        return
    table(
        ("n", "created", "what", "to", "stands", "message"),
        [(one.n, when(one.created), one.act, ",".join(_first(one)), _standing(one), one.id) for one in page.messages],
    )
    _tell_more(page.next)


@click.command()
@config_option
@json_option
@examples("i247-node board")
def board(*, path: Path | None, as_json: bool) -> None:
    """List the newest version of each notice."""
    with bureau_at(path) as bureau:
        found = bureau.board()
    if as_json:
        emit(found, as_json=True)
        return
    table(
        ("publisher", "number", "version", "colour", "event", "title", "valid until"),
        [
            (one.publisher, one.number, one.version, one.colour, one.event, one.title, when(one.valid_until))
            for one in found.notices
        ],
    )


def _entry(bureau: Bureau, n: int) -> EntryShown:
    found = bureau.inbox(n - 1, 1, confirmed=True).entries
    if not found or found[0].n != n:
        raise CallerFault(f"showing inbox entry {n}: there is none", "see `i247-node inbox --all` for what there is")
    return found[0]


def _show_entry(entry: EntryShown, *, as_json: bool) -> None:
    if as_json:
        emit(entry, as_json=True)
        return
    emit(
        {
            "entry": f"{entry.n}, {', '.join([entry.state, *_marks(entry)])}",
            "from": entry.sender,
            "what": f"{entry.act}, {entry.priority}",
            "about": _about(entry),
            "received": when(entry.received),
            "expires": when(entry.expires),
            "purpose": entry.purpose,
            "handling": entry.handling,
            "message": entry.id,
            "evidence": entry.sid,
            "conversation": entry.conversation,
        },
        as_json=False,
    )
    text = entry.letter.text if entry.letter is not None else entry.notice.text if entry.notice is not None else ""
    for line in text.splitlines():
        click.echo(f"  {shown(line)}")
    if entry.reply is not None:
        emit(entry.reply, as_json=False)


def _about(entry: EntryShown) -> str:
    if entry.notice is not None:
        return f"{entry.notice.colour} {entry.notice.number}: {entry.notice.title}"
    if entry.letter is not None:
        return entry.letter.subject
    if entry.reply is not None:
        return f"{entry.reply.register}: {entry.reply.status}"
    return "-"


def _marks(entry: EntryShown) -> list[str]:
    return [mark for mark, holds in (("again", entry.again), ("exercise", entry.handling.exercise)) if holds]


def _first(message: MessageShown) -> list[str]:
    recipients = [one.recipient for one in message.deliveries]
    return recipients if len(recipients) <= NAMED_MAX else [*recipients[:NAMED_MAX], "…"]


def _standing(message: MessageShown) -> str:
    if len(message.deliveries) == 1:
        (one,) = message.deliveries
        return f"{one.state}: {one.reason}" if one.reason else one.state
    counted = Counter(one.state for one in message.deliveries)
    return ", ".join(f"{count} {state}" for state, count in sorted(counted.items()))


def _tell_more(following: int | None) -> None:
    if following is not None:
        click.echo(f"more: --after {following}", err=True)


NAMED_MAX = 4
