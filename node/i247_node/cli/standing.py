"""Ask the running node how it stands. Edge."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click

from i247_edges.terminal import DEGRADED, OK, emit, json_option, table, when
from i247_node.cli.options import bureau_at, config_option, examples
from i247_node.forms import StatusShown


@click.command()
@config_option
@json_option
@examples("i247-node status", "i247-node status --json | jq .counters")
def status(*, path: Path | None, as_json: bool) -> int:
    """Ask the running node how it stands. Exit code 3: it works, but needs looking after."""
    with bureau_at(path) as bureau:
        found = bureau.status()
    if as_json:
        emit(found, as_json=True)
    else:
        _show(found)
    troubles = list(_troubles(found))
    for error, hint in troubles:
        click.echo(f"error: {error}\nhint: {hint}", err=True)
    return DEGRADED if troubles else OK


def _show(found: StatusShown) -> None:
    counts = found.counts
    emit(
        {
            "member": found.member,
            "directory": f"roster {found.roster}, {found.health}, {found.members} members",
            "roster expires": when(found.roster_expires),
            "pulse expires": "no pulse yet" if found.pulse_expires is None else when(found.pulse_expires),
            "keycards": f"{found.cards} of {found.members} members; this one's is version {found.card_version}",
            "outbox": f"{counts.queued} wait for a hub, {counts.in_custody} wait for a receipt, {counts.sent} in all",
            "inbox": f"{counts.inbox_unconfirmed} not confirmed, {counts.withheld} withheld, {counts.received} in all",
            "our queries": f"{found.open_conversations} not answered yet",
            "missing": f"{found.missing} numbers of other members have not come",
            "their queries": f"{counts.answers_owed} not answered yet",
        },
        as_json=False,
    )
    click.echo()
    table(
        ("hub", "lane", "open", "clock"),
        [
            (link.hub, link.lane, link.open, f"{link.clock_offset_ms:+d} ms" if link.open else "-")
            for link in found.links
        ],
    )
    counted = [(name, total) for name, total in found.counters.items() if total]
    if counted:
        click.echo()
        table(("counted", "times"), counted)


def _troubles(found: StatusShown) -> list[tuple[str, str]]:
    troubles = []
    if not any(link.open for link in found.links):
        hubs = ", ".join(sorted({link.hub for link in found.links})) or "none is known"
        troubles.append((f"no hub is reached ({hubs})", HINT_HUBS))
    if found.health != FRESH:
        troubles.append((f"the directory is {found.health}", HINT_DIRECTORY))
    if found.counts.withheld:
        troubles.append((f"{found.counts.withheld} messages are withheld", HINT_WITHHELD))
    return troubles


FRESH: Final = "fresh"
HINT_HUBS: Final = (
    "see network and firewall, the clock, and whether the hubs run; what is sent meanwhile is kept and goes out"
)
HINT_DIRECTORY: Final = "a hub that is reached brings a newer one; otherwise lay a newer network file before the node"
HINT_WITHHELD: Final = "they are of suspended members, or came while the directory was out of date; see `audit`"
