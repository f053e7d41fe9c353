"""Found a directory and keep it: draft, sign, publish. Edge."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import click

from i247_edges.clock import read_clocks
from i247_edges.terminal import examples, explain, json_option
from i247_keys import ceremony_files as files
from i247_keys import showing
from i247_keys.ceremony import Changes
from i247_keys.cli.options import cost_of, folder_argument, kdf_option, passphrase_option, say
from i247_keys.documents import Verdict
from i247_keys.key_folder import read_identity
from i247_keys.keyfile import passphrase_from_file
from i247_protocol.errors import CallerFault, PeerFault
from i247_protocol.limits import SIGNATURES_MAX
from i247_protocol.names import HubName, MemberCode
from i247_protocol.reasons import Reason


@contextmanager
def _advised() -> Iterator[None]:
    """Advise whoever makes the directory: they can mend what all others can only refuse."""
    try:
        yield
    except PeerFault as fault:
        if fault.reason not in HINTS:
            raise
        raise CallerFault(explain(fault).error, HINTS[fault.reason]) from fault


@click.group("ceremony")
def commands() -> None:
    """Found a directory and keep it: draft, sign, publish."""


@commands.command()
@folder_argument
@click.option("--keys", type=click.IntRange(0, 64), default=3, show_default=True, help="Secretariat keys to make here.")
@click.option("--threshold", type=click.IntRange(1, 63), default=2, show_default=True, help="How many must sign.")
@click.option("--holder", "holders", multiple=True, metavar="HEX", help="Public key of a keyholder who made theirs.")
@kdf_option
@json_option
@examples("i247-keys ceremony new authority --keys 5 --threshold 3")
def new(*, directory: Path, keys: int, threshold: int, holders: tuple[str, ...], kdf: str, as_json: bool) -> None:
    """Make the secretariat's keys and the pulse key in DIRECTORY, each with a passphrase file."""
    made = files.new_ceremony(directory, keys, threshold, [_key_in(holder) for holder in holders], cost_of(kdf))
    say(
        {"directory": directory, "keys": made, "threshold": threshold},
        *(f"made {path}" for path in made),
        f"any {threshold} of {keys + len(holders)} sign; each keyholder now takes key and passphrase away, apart",
        as_json=as_json,
    )


@commands.command()
@folder_argument
@click.option(
    "--member",
    "--members",
    "members",
    multiple=True,
    required=True,
    type=click.Path(path_type=Path),
    help="A member's request, or a folder of requests.",
)
@click.option(
    "--hub",
    "--hubs",
    "hubs",
    multiple=True,
    required=True,
    type=click.Path(path_type=Path),
    help="A hub's request, or a folder of requests.",
)
@click.option(
    "--witnesses",
    type=click.IntRange(0, SIGNATURES_MAX),
    default=0,
    show_default=True,
    help="How many members together may sign a pulse when the pulse key is lost; 0: none.",
)
@json_option
@examples("i247-keys ceremony found authority --members requests/members --hubs requests/hubs")
def found(*, directory: Path, members: tuple[Path, ...], hubs: tuple[Path, ...], witnesses: int, as_json: bool) -> None:
    """Draft the first charter and the first roster from requests."""
    pin = files.draft_founding(directory, members, hubs, witnesses)
    verdicts = files.signatures(directory)
    say(
        {"pin": pin, **_signatures(verdicts)},
        f"drafted; the pin will be {pin.hex()}",
        *_signature_lines(verdicts),
        as_json=as_json,
    )


@commands.command()
@folder_argument
@click.option("--key", type=click.Path(path_type=Path), required=True, help="A secretariat key's file.")
@passphrase_option
@json_option
@examples("i247-keys ceremony sign authority --key secretariat-1.key --passphrase-file secretariat-1.passphrase")
def sign(*, directory: Path, key: Path, passphrase_file: Path, as_json: bool) -> None:
    """Sign what waits in DIRECTORY."""
    signer = read_identity(key, passphrase_from_file(passphrase_file), files.SECRETARIAT)
    verdicts = files.sign_drafts(directory, signer)
    say(_signatures(verdicts), *_signature_lines(verdicts), as_json=as_json)


@commands.command()
@folder_argument
@click.argument("other", type=click.Path(path_type=Path))
@json_option
@examples("i247-keys ceremony merge authority copy-of-second-keyholder")
def merge(*, directory: Path, other: Path, as_json: bool) -> None:
    """Take over the signatures made in OTHER, a copy of DIRECTORY."""
    verdicts = files.merge_drafts(directory, other)
    say(_signatures(verdicts), *_signature_lines(verdicts), as_json=as_json)


@commands.command()
@folder_argument
@json_option
@examples("i247-keys ceremony publish authority")
@_advised()
def publish(*, directory: Path, as_json: bool) -> None:
    """Check the drafts by the rules, and write the network file.

    The pin it prints goes to every member by another channel than the file.
    """
    trust, wall = files.publish_drafts(directory), read_clocks().wall
    path = directory / files.NETWORK_FILE
    say(
        {**showing.summary(trust, wall), "network": path},
        f"wrote {path}: roster {trust.directory.version}",
        *showing.summary_lines(trust, wall),
        as_json=as_json,
    )


@commands.command()
@folder_argument
@click.option("--key", type=click.Path(path_type=Path), help="The pulse key's file.  [default: DIRECTORY/pulse.key]")
@click.option(
    "--passphrase-file",
    type=click.Path(path_type=Path),
    help="File with its passphrase.  [default: DIRECTORY/pulse.passphrase]",
)
@json_option
@examples("i247-keys ceremony pulse authority")
@_advised()
def pulse(*, directory: Path, key: Path | None, passphrase_file: Path | None, as_json: bool) -> None:
    """Sign a fresh pulse, good for a day, and put it into the network file."""
    passphrase = passphrase_from_file(passphrase_file or directory / "pulse.passphrase")
    signer = read_identity(key or directory / "pulse.key", passphrase, files.PULSE)
    trust, wall = files.publish_pulse(directory, signer), read_clocks().wall
    say(
        showing.summary(trust, wall),
        f"pulse for roster {trust.directory.version}",
        *showing.summary_lines(trust, wall),
        as_json=as_json,
    )


@commands.command()
@folder_argument
@click.option("--request", "requests", multiple=True, type=click.Path(path_type=Path), help="A member's request.")
@click.option("--decision", "decisions", multiple=True, type=click.Path(path_type=Path), help="A decision and ballots.")
@click.option("--hub", "--hubs", "hubs", multiple=True, type=click.Path(path_type=Path), help="A hub's request.")
@click.option("--remove-hub", "hubs_gone", multiple=True, metavar="NAME", help="A hub to take off.")
@click.option("--suspend", multiple=True, metavar="CODE", help="Suspend a member in an emergency, for 72 hours.")
@json_option
@examples(
    "i247-keys ceremony roster authority --request FR-1800000000000.request",
    "i247-keys ceremony roster authority --suspend FR",
)
@_advised()
def roster(
    *,
    directory: Path,
    requests: tuple[Path, ...],
    decisions: tuple[Path, ...],
    hubs: tuple[Path, ...],
    hubs_gone: tuple[str, ...],
    suspend: tuple[str, ...],
    as_json: bool,
) -> None:
    """Draft the next roster; without options the same rows for another 30 days."""
    changes = Changes(
        requests=tuple(files.read_request(path) for path in requests),
        records=tuple(files.read_record(path) for path in decisions),
        hubs=tuple(files.read_request(path) for path in hubs),
        hubs_gone=tuple(HubName(name) for name in hubs_gone),
        suspend=tuple(MemberCode(code) for code in suspend),
    )
    step = files.draft_roster(directory, changes)
    touched = [*(row.code for row in step.members), *(row.name for row in step.hubs), *step.hubs_gone]
    verdicts = files.signatures(directory)
    say(
        {"version": step.version, "touched": touched, **_signatures(verdicts)},
        f"drafted roster {step.version}, which changes {', '.join(touched) or 'no row'}",
        *_signature_lines(verdicts),
        as_json=as_json,
    )


def _key_in(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise CallerFault("reading a holder's key", "write it in hexadecimal") from None


def _signatures(verdicts: list[tuple[str, Verdict]]) -> dict[str, Any]:
    return {"signatures": {name: {"signed": verdict.signed, "lacking": verdict.lacking} for name, verdict in verdicts}}


def _signature_lines(verdicts: list[tuple[str, Verdict]]) -> list[str]:
    return [
        f"{name}: {len(verdict.signed)} signed, {f'{verdict.lacking} lacking' if verdict.lacking else 'enough'}"
        for name, verdict in verdicts
    ]


HINTS: Final[Mapping[Reason, str]] = {
    Reason.NOT_JUSTIFIED: "a member's row follows only from its own signed request or a decision; make a fresh request",
    Reason.DIRECTORY_EXPIRED: "the charter has expired: a next one is needed first",
}
