"""Ask, publish and write. Edge."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Final

import click

from i247_edges.terminal import FAILED, OK, SENTENCES, emit, json_option, shown, when
from i247_node.calls import Answer, Outcome
from i247_node.cli.options import (
    bureau_at,
    config_option,
    examples,
    handling_of,
    members_in,
    sending_options,
    text_from,
)
from i247_node.durations import parse_duration
from i247_node.forms import Taken, Urgency
from i247_protocol.errors import CallerFault
from i247_protocol.handling import Purpose
from i247_protocol.notices import Colour, Event, Notice
from i247_protocol.queries import Candidate, Criteria, Person, TravelDocument, Vehicle
from i247_protocol.reasons import Reason


@click.command()
@click.argument("to", metavar="MEMBER")
@click.argument("register")
@click.option("--mrz", help="Travel document by its machine-readable zone; `-` reads it from standard input.")
@click.option("--document", nargs=2, metavar="COUNTRY NUMBER", help="Travel document by issuing country and number.")
@click.option("--type", "kind", default="P", show_default=True, help="With --document: its type.")
@click.option("--family", help="Person: family name.")
@click.option("--given", default="", help="Person: given names.")
@click.option("--born", default="", metavar="YYYY-MM-DD", help="Person: date or year of birth.")
@click.option("--vin", default="", help="Vehicle: identification number.")
@click.option("--plate", nargs=2, metavar="COUNTRY PLATE", help="Vehicle: plate.")
@click.option("--within", default="30s", show_default=True, help="How long the other member has; then the query ends.")
@click.option("--no-wait", is_flag=True, help="Do not wait for the answer; `i247-node trace` tells it later.")
@sending_options
@config_option
@json_option
@examples(
    "i247-node query SG sltd --mrz - --purpose border-control < zone.txt",
    "i247-node query SG sltd --document UTO L898902C3 --purpose border-control --within 10s",
    "i247-node query BR nominal --family Silva --given Ana --born 1980-02-29 --purpose wanted",
    "i247-node query BR smv --plate BR ABC1D23 --purpose investigation --json",
)
def query(
    *,
    to: str,
    register: str,
    within: str,
    no_wait: bool,
    purpose: str,
    urgency: str,
    classification: str,
    onward: str,
    exercise: bool,
    path: Path | None,
    as_json: bool,
    **criteria: Any,  # noqa: ANN401  as click hands them on
) -> int:
    """Ask REGISTER of MEMBER, and wait for the answer.

    Exit code 0: hit, possible or no hit. 1: refused, unavailable or not answered in time, so nothing is known.
    What is typed here can be seen by other users of this machine while the command runs: prefer `--mrz -`.
    """
    wanted = _criteria(**criteria)
    with bureau_at(path) as bureau:
        ask = bureau.ask if no_wait else bureau.query
        answer = ask(
            wanted,
            to=to,
            register=register,
            purpose=Purpose(purpose),
            within=within,
            urgency=Urgency(urgency),
            handling=handling_of(classification, onward, exercise=exercise),
        )
        if as_json:
            emit({"outcome": answer.outcome, **_flat(answer)}, as_json=True)
        else:
            for line in answer_lines(answer):
                click.echo(line)
        if answer.state.entry is not None:
            bureau.confirm(answer.state.entry)  # it has been read; otherwise the inbox would offer it again
    return OK if answer.outcome in KNOWN or (no_wait and answer.outcome is Outcome.OPEN) else FAILED


@click.command()
@click.option("--colour", type=click.Choice([one.value for one in Colour]), required=True, help="What it is for.")
@click.option("--number", required=True, help="The publisher's number, as 2026/104.")
@click.option("--title", required=True, help="What it is about, in a line.")
@click.option("--text", required=True, help="The text; `-` reads it from standard input.")
@click.option(
    "--event",
    type=click.Choice([one.value for one in Event]),
    default=Event.PUBLISHED.value,
    show_default=True,
    help="What happens to the notice.",
)
@click.option("--version", type=click.IntRange(1), default=1, show_default=True, help="Counts up with each change.")
@click.option("--valid", default="30d", show_default=True, help="How long it stays valid, from now.")
@click.option("--to", metavar="SG,BR", help="A diffusion to these members.  [default: a notice to all]")
@sending_options
@config_option
@json_option
@examples(
    'i247-node notice --colour orange --number 2026/7 --title "Parcel bombs" --text - --purpose alert < text.txt',
    "i247-node notice --colour blue --number FR/12 --title Witness --text - --to SG,BR --purpose investigation",
)
def notice(
    *,
    colour: str,
    number: str,
    title: str,
    text: str,
    event: str,
    version: int,
    valid: str,
    to: str | None,
    purpose: str,
    urgency: str,
    classification: str,
    onward: str,
    exercise: bool,
    path: Path | None,
    as_json: bool,
) -> None:
    """Publish a notice to all members (the Secretariat alone may), or a diffusion to some."""
    valid_until = time.time_ns() // 1_000_000 + parse_duration(valid)
    published = Notice(
        colour=Colour(colour),
        event=Event(event),
        number=number,
        text=text_from(text, "text"),
        title=title,
        valid_until=valid_until,
        version=version,
    )
    with bureau_at(path) as bureau:
        taken = bureau.publish(
            published,
            purpose=Purpose(purpose),
            to=members_in(to),
            urgency=Urgency(urgency),
            handling=handling_of(classification, onward, exercise=exercise),
        )
    _tell_taken(taken, as_json=as_json)


@click.command()
@click.argument("to", metavar="MEMBER[,MEMBER]")
@click.option("--subject", required=True, help="What it is about.")
@click.option("--text", required=True, help="The text; `-` reads it from standard input.")
@click.option("--thread", metavar="ID", help="The conversation that it continues, as the inbox shows it.")
@sending_options
@config_option
@json_option
@examples("i247-node write SG --subject 'Your query of today' --text - --purpose investigation < letter.txt")
def write(
    *,
    to: str,
    subject: str,
    text: str,
    thread: str | None,
    purpose: str,
    urgency: str,
    classification: str,
    onward: str,
    exercise: bool,
    path: Path | None,
    as_json: bool,
) -> None:
    """Write a letter to one or more members."""
    with bureau_at(path) as bureau:
        taken = bureau.write(
            to=members_in(to) or (),
            subject=subject,
            text=text_from(text, "text"),
            purpose=Purpose(purpose),
            thread=thread,
            urgency=Urgency(urgency),
            handling=handling_of(classification, onward, exercise=exercise),
        )
    _tell_taken(taken, as_json=as_json)


def answer_lines(answer: Answer) -> list[str]:
    """Return an answer in plain words."""
    state = answer.state
    lines = [f"{WORDS[answer.outcome]} in register {shown(state.register)} of {state.to}"]
    if answer.reason is not None:
        lines.append(f"why         {_why(answer.reason)}")
    for candidate in answer.candidates:
        lines += _candidate_lines(candidate)
    if state.reply is not None and state.reply.as_of is not None:
        lines.append(f"current at  {when(state.reply.as_of)}")
    if answer.outcome in (Outcome.OPEN, Outcome.PENDING):
        lines.append(f"answer by   {when(state.reply_by)}")
    if answer.caution:
        lines.append(f"caution     {shown(answer.caution)}")
    lines.append(f"message     {state.id}")
    lines.append(f"receipt     {state.receipt or 'none yet'}")
    return lines


def _candidate_lines(candidate: Candidate) -> list[str]:
    lines = [
        f"record      {shown(candidate.record)}, score {candidate.score} of 1000",
        f"action      {shown(candidate.action)}",
        f"owner       {shown(candidate.owner)}",
    ]
    return lines + [f"            {shown(name)}: {shown(value)}" for name, value in candidate.fields.items()]


def _why(reason: str) -> str:
    try:
        return f"{SENTENCES[Reason(reason)].error} ({reason})"
    except ValueError:
        return shown(reason)


def _criteria(  # one of three kinds, by what was given
    *,
    mrz: str | None,
    document: tuple[str, str] | None,
    kind: str,
    family: str | None,
    given: str,
    born: str,
    vin: str,
    plate: tuple[str, str] | None,
) -> Criteria:
    found: list[Criteria] = []
    if mrz is not None:
        found.append(TravelDocument.from_mrz(text_from(mrz, "machine-readable zone")))
    if document is not None:
        country, number = document
        found.append(TravelDocument(country=country, number=number, type=kind))
    if family is not None:
        found.append(Person(born=born, family=family, given=given))
    if vin or plate is not None:
        country, number = plate or ("", "")
        found.append(Vehicle(country=country, plate=number, vin=vin))
    if len(found) != 1:
        raise CallerFault(
            "asking: what to look for",
            "give one of --mrz, --document, --family with --given and --born, --vin with or without --plate",
        )
    return found[0]


def _flat(answer: Answer) -> dict[str, Any]:
    flat: dict[str, Any] = {name: getattr(answer.state, name) for name in answer.state.__struct_fields__}
    return flat


def _tell_taken(taken: Taken, *, as_json: bool) -> None:
    if as_json:
        emit(taken, as_json=True)
        return
    click.echo("accepted: it is saved, and delivered until each recipient has signed for it")
    click.echo(f"message       {taken.id}")
    click.echo(f"conversation  {taken.conversation}")


KNOWN: Final = frozenset({Outcome.HIT, Outcome.POSSIBLE, Outcome.NO_HIT})
WORDS: Final = {
    Outcome.HIT: "HIT",
    Outcome.POSSIBLE: "POSSIBLE HIT",
    Outcome.NO_HIT: "no hit",
    Outcome.REFUSED: "refused: nothing was looked up",
    Outcome.UNAVAILABLE: "unavailable: nothing could be looked up",
    Outcome.PENDING: "pending: the other member is still looking",
    Outcome.EXPIRED: "not answered in time: nothing is known of a record",
    Outcome.OPEN: "asked, not answered yet",
}
