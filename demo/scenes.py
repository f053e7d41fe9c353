"""Chapters 3 to 6: questions and answers, a notice, receipts, and what the hubs could see of it."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from i247_node.client import Answer, Bureau, Outcome
from i247_node.forms import DeliveryShown, MessageShown
from programs import DemoFailed
from sight import Waiting, files_with, passed, waiting
from stage import HUBS, MEMBERS, Stage


def ask(stage: Stage) -> None:
    """Let France ask Singapore three times."""
    tell = stage.tell
    tell.chapter("France asks Singapore")
    tell.event("France", "at a border, reads the specimen passport of ICAO 9303, issued in Utopia:")
    tell.quote(SPECIMEN.splitlines())
    hit = _query(stage, "sltd", "--mrz", "-", text=SPECIMEN, expected=Outcome.HIT)
    found = hit.candidates[0]
    _answered(
        stage,
        hit,
        f"*hit*: {found.record}, {found.fields.get('status', '')}; confirm with {found.owner} before any action",
    )

    tell.event("France", "asks for another document, UTO X12345678:")
    miss = _query(stage, "sltd", "--document", "UTO", "X12345678", expected=Outcome.NO_HIT)
    _answered(stage, miss, "*no hit*, which does not mean that the document is valid")

    tell.event("France", f"asks for a person, {NAME}, in a register that Singapore opens to the Secretariat alone:")
    shut = _query(stage, "watchlist", "--family", NAME, "--born", "1974", expected=Outcome.REFUSED)
    _answered(stage, shut, f"*refused*, because of its {shut.reason}: nothing was looked up")

    tell.prose(
        "Each reply is also the receipt of its query: it names the query's evidence id, under Singapore's signature. "
        "France signs for each reply in turn, for several at once where it can. Singapore's outbox:"
    )
    replies = stage.with_bureau("SG", Bureau.outbox).messages
    for reply in replies:
        stage.wait_for_receipts("SG", reply.id, ["FR"])
    _show_receipts(stage, stage.with_bureau("SG", Bureau.outbox).messages)


def publish(stage: Stage) -> list[Waiting]:
    """Let the Secretariat publish while Brazil is off; return what lyon's database held meanwhile."""
    tell = stage.tell
    tell.chapter("The Secretariat publishes a notice while Brazil is switched off")
    stage.stop("BR")
    tell.event("Brazil", "is switched off")
    message = _publish_notice(stage)
    stage.wait_for_receipts("XP", message, ["FR", "SG"])
    stage.programs.wait_until("for lyon to hold the notice", lambda: _is_held(stage, message), *stage.running.values())
    _show_deliveries(stage, message)
    held = _held_for_brazil(stage)
    _require_unread(stage)

    tell.event("Brazil", "is switched on")
    stage.launch("BR")
    stage.wait_for("BR")
    at = stage.wait_for_receipts("XP", message, ["BR"])["BR"].at
    tell.event("Brazil", "has *received* the notice, and put it on its board", at=_received(stage, "BR", message))
    _show_entry(stage, "BR")
    tell.event("Secretariat", "has Brazil's receipt as well:", at=at)
    _show_deliveries(stage, message)
    return held


def look_into_hubs(stage: Stage, held: Sequence[Waiting]) -> None:
    """Show all that the hubs' databases tell, and search them for what was said."""
    tell = stage.tell
    tell.chapter("What the hubs could see, and what not")
    tell.prose("While the notice waited for Brazil, lyon's database held it as sealed bytes, and beside them:")
    tell.table(
        ("recipient", "priority", "bytes", "expires", "came over the link of"),
        [(one.recipients, one.priority, str(one.size), one.expires, one.source) for one in held],
    )
    tell.prose(
        "The last column is what a first hub cannot help knowing; it goes with the row, and no other hub is told. "
        "Nothing says what kind of message it is, or what is in it. Of what they have handed on, hubs keep:"
    )
    for hub in HUBS:
        rows = passed(stage.store(hub))
        shown = rows[:ROWS_SHOWN]
        left = [("…", f"and {len(rows) - len(shown)} more", "", "")] if len(rows) > len(shown) else []
        tell.table((f"{hub}: for", "handed to", "at", "expires"), [*(tuple(row) for row in shown), *left])
    _require_unread(stage)
    readers = [code for code in MEMBERS if files_with(MARKS, [stage.folder / code / "state"])]
    if not readers:
        raise DemoFailed(
            "the search finds nothing anywhere", "it must find what was said at both ends: please report it"
        )
    tell.event("anybody", f"searches every file and log of both hubs for {', '.join(MARKS)}: *nothing found*")
    tell.event("anybody", f"searches the databases at the ends: found in {', '.join(readers)}, where it belongs")


def _query(stage: Stage, register: str, *criteria: str, text: str = "", expected: Outcome) -> Answer:
    words = ("i247-node", "query", "SG", register, *criteria, "--purpose", "border-control", "--within", "10s")
    words += ("--config", "FR/node.toml")
    stage.tell.typed(*words)
    said = stage.programs.run(*words, text=text, codes=(0, 1)).splitlines()
    stage.tell.quote(said)
    query = next(line.split()[-1] for line in said if line.startswith("message"))
    answer = stage.with_bureau("FR", lambda bureau: bureau.answer(query))
    if answer.outcome is not expected:
        raise DemoFailed(
            f"France got {answer.outcome} for an answer, not {expected}", "see the logs", stage.programs.log_files()
        )
    return answer


def _answered(stage: Stage, answer: Answer, what: str) -> None:
    state = answer.state
    at = next(one.at for one in stage.deliveries("FR", state.id).values())
    stage.tell.event(
        "Singapore",
        f"answers query {_short(state.id)} after {at - state.asked} ms: {what}. "
        f"Signed receipt: {_short(state.receipt or '')}",
        at=at,
    )


def _received(stage: Stage, code: str, message: str) -> int:
    steps = stage.with_bureau(code, lambda bureau: bureau.trace(message)).steps
    return next(step.at for step in steps if step.what == "received")


def _publish_notice(stage: Stage) -> str:
    words = ["i247-node", "notice", "--colour", "orange", "--number", "2026/7", "--title", TITLE, "--text", "-"]
    words += ["--purpose", "alert", "--urgency", "urgent", "--config", "XP/node.toml"]
    said = stage.programs.run(*words, text=TEXT)
    message = next(line.split()[-1] for line in said.splitlines() if line.startswith("message"))
    sent = next(one for one in stage.with_bureau("XP", Bureau.outbox).messages if one.id == message)
    stage.tell.event("Secretariat", f"publishes an orange notice to all, message {_short(message)}:", at=sent.created)
    stage.tell.typed(shlex.join(words))
    return message


def _show_entry(stage: Stage, code: str) -> None:
    entry = next(one.entry for one in stage.with_bureau(code, Bureau.board).notices)
    words = ("i247-node", "inbox", str(entry), "--config", f"{code}/node.toml")
    stage.tell.typed(*words)
    stage.tell.quote(stage.programs.run(*words).splitlines())


def _show_receipts(stage: Stage, messages: Sequence[MessageShown]) -> None:
    stage.tell.table(
        ("message", "is a", "to", "stands", "receipt", "signed for after"),
        [
            (
                _short(sent.id),
                sent.act,
                one.recipient,
                one.state,
                _short(one.receipt or "-"),
                f"{one.at - sent.created} ms",
            )
            for sent in messages
            for one in sent.deliveries
        ],
    )


def _show_deliveries(stage: Stage, message: str) -> None:
    rows = sorted(stage.deliveries("XP", message).items())
    stage.tell.table(
        ("message", "to", "stands", "receipt"),
        [(_short(message), code, _stands(one), _short(one.receipt or "-")) for code, one in rows],
    )


def _stands(one: DeliveryShown) -> str:
    return f"{one.state} of {one.hub}" if one.state == "in-custody" else one.state


def _is_held(stage: Stage, message: str) -> bool:
    return stage.deliveries("XP", message)["BR"].state == "in-custody" and bool(_held_for_brazil(stage))


def _held_for_brazil(stage: Stage) -> list[Waiting]:
    return [one for one in waiting(stage.store("lyon")) if "BR" in one.recipients.split()]


def _require_unread(stage: Stage) -> None:
    places = [place for hub in HUBS for place in (stage.folder / hub, stage.log(hub))]
    found = files_with(MARKS, places)
    if found:
        raise DemoFailed(f"what was said stands in {found[0]}", "no hub may be able to read it: please report this")


def _short(id_: str) -> str:
    return id_[:8]


NAME = "Quillfeather"
TITLE = f"Parcels in the name of {NAME}"
TEXT = f"An exercise. Parcels that bear the name {NAME} as their sender hold batteries that burn. Do not open them."
SPECIMEN = """\
P<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<<<<<<<<<<
L898902C36UTO7408122F1204159ZE184226B<<<<<10
"""
MARKS = (NAME, "L898902C3", "X12345678", "watchlist")
ROWS_SHOWN = 5
