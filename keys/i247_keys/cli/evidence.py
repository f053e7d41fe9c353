"""Judge an evidence file: who signed for a message, and who answers for it. Edge."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import click

from i247_edges.clock import read_clocks
from i247_edges.terminal import emit, examples, json_option, table, when
from i247_keys.ceremony_files import parse_pin
from i247_keys.evidence import EVIDENCE_BYTES_MAX, Course, End, Judgement, judge, parse_evidence
from i247_keys.whole_file import read_whole
from i247_protocol.errors import CallerFault, PeerFault


@click.group("evidence")
def commands() -> None:
    """Judge what places on a message's way have signed."""


@commands.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--pin", metavar="HEX", required=True, help="The pin, from another channel than the file.")
@json_option
@examples("i247-keys evidence verify message.evidence --pin 12ab…")
def verify(*, file: Path, pin: str, as_json: bool) -> None:
    """Verify every signature in FILE, and tell for each recipient how far the message came and who answers for it."""
    data = read_whole(file, EVIDENCE_BYTES_MAX)
    try:
        judgement = judge(parse_evidence(data), parse_pin(pin), read_clocks().wall)
    except PeerFault as fault:
        raise CallerFault(
            f"judging {file}: {fault.reason}", "something in it is not signed as it should be: it proves nothing"
        ) from None
    if as_json:
        emit(_plain(judgement), as_json=True)
        return
    click.echo(f"statement {judgement.sid.hex()}, signed by {judgement.author} at {when(judgement.issued)}")
    click.echo()
    table(
        ("recipient", "came to", "by", "at", "why"),
        [
            (one.recipient, WORDS[one.end], one.by or " ".join(one.answerable) or "-", when(one.at), one.reason or "-")
            for one in judgement.courses
        ],
    )
    ways = [
        (one.recipient, step.envelope.hex()[:16], step.hops, step.by, when(step.at)) for one, step in _all(judgement)
    ]
    if ways:
        click.echo()
        table(("recipient", "envelope", "hubs before", "signed by", "at"), ways)
    click.echo()
    if judgement.accused:
        click.echo(
            f"accused: {' '.join(judgement.accused)}: signed for it, and nothing shows who took it next, that it was "
            "returned, or that it expired there"
        )
    else:
        click.echo("nobody is accused")


def _all(judgement: Judgement) -> list[tuple[Course, Any]]:
    return [(course, step) for course in judgement.courses for step in course.steps]


def _plain(judgement: Judgement) -> dict[str, Any]:
    return {
        "sid": judgement.sid.hex(),
        "author": judgement.author,
        "issued": judgement.issued,
        "accused": judgement.accused,
        "courses": [
            {
                "recipient": course.recipient,
                "end": course.end.value,
                "by": course.by,
                "answerable": course.answerable,
                "reason": course.reason,
                "at": course.at,
                "steps": [
                    {"envelope": step.envelope.hex(), "hops": step.hops, "by": step.by, "at": step.at}
                    for step in course.steps
                ],
            }
            for course in judgement.courses
        ],
    }


WORDS: Final = {
    End.ACKNOWLEDGED: "acknowledged by its recipient",
    End.REFUSED: "refused by its recipient",
    End.TAKEN: "taken by its recipient's node",
    End.RETURNED: "returned",
    End.HELD: "held, not expired",
    End.LOST: "lost",
    End.UNKNOWN: "not signed for by anybody",
}
