"""The program `i247-keys`: make keys and requests, hold the ceremony, look into a directory. Edge.

Says what was done on stdout, or as JSON with --json; faults on stderr as `error:` and `hint:`. Exit codes: 0 done,
1 failed, 2 wrong usage. What the commands do is decided in `ceremony_files`. docs/operations.md.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import click

from i247_keys import ceremony_files as files
from i247_keys import showing
from i247_keys.ceremony import Changes
from i247_keys.documents import Verdict
from i247_keys.keyfile import INTERACTIVE, LEAST, MODERATE, Cost, passphrase_from_file, read_public
from i247_keys.trust import Trust
from i247_protocol.digests import key_id
from i247_protocol.errors import CallerFault, I247Error, PeerFault, WorldFault
from i247_protocol.names import HubName, MemberCode, parse_hub, parse_member
from i247_protocol.reasons import Reason

Command = Callable[..., None]


class _Program(click.Group):
    """A group that tells faults of this project as `error:` and `hint:`."""

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401  click's own type
        try:
            return super().invoke(ctx)
        except I247Error as fault:
            error, hint = _told(fault)
            click.echo(f"error: {error}", err=True)
            click.echo(f"hint: {hint}", err=True)
            raise click.exceptions.Exit(FAILED) from None


def _examples(*lines: str) -> Callable[[Command], Command]:
    """Add examples to the help of a command, each on a line of its own."""

    def added(command: Command) -> Command:
        # click leaves a paragraph that begins with a backspace as it is.
        command.__doc__ = "\n\n".join([command.__doc__ or "", "\b\nExamples:\n  " + "\n  ".join(lines)])
        return command

    return added


@click.group(cls=_Program, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="i247")
@_examples(
    "i247-keys ceremony new authority --keys 3 --threshold 2",
    "i247-keys hub request lyon --region Europe --endpoint tcp://hub.example:7247 --out hub --passphrase-file hub.pass",
    "i247-keys member request FR --name en=France --home lyon --out fr --passphrase-file fr.pass",
    "i247-keys ceremony found authority --member fr/FR.request --hub hub/lyon.request",
    "i247-keys ceremony sign authority --key secretariat-1.key --passphrase-file secretariat-1.passphrase",
    "i247-keys ceremony sign authority --key secretariat-2.key --passphrase-file secretariat-2.passphrase",
    "i247-keys ceremony publish authority",
    "i247-keys ceremony pulse authority",
)
def main() -> None:
    """Make keys and requests, hold the ceremony, and look into a directory."""


# --- options that several commands share ---

_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
_passphrase = click.option(
    "--passphrase-file",
    type=click.Path(path_type=Path),
    required=True,
    help="File with the passphrase, mode 0600.",
)
_kdf = click.option(
    "--kdf",
    type=click.Choice(["moderate", "interactive", "min"]),
    default="moderate",
    show_default=True,
    help="What a guess at the passphrase costs. `min` protects nothing; it is for demonstrations.",
)
_pin = click.option("--pin", metavar="HEX", help="The pin, from another channel than the file.")
_network = click.argument("network", type=click.Path(path_type=Path))
_folder = click.argument("directory", type=click.Path(path_type=Path))
_out = click.option("--out", "directory", type=click.Path(path_type=Path), required=True, help="Folder for the files.")
_names = click.option("--name", "names", multiple=True, metavar="LANG=TEXT", help="Name in a language, as en=Brazil.")
_homes = click.option("--home", "homes", multiple=True, metavar="HUB", help="Home hub; the first is preferred.")


# --- ceremony ---


@main.group()
def ceremony() -> None:
    """Found a directory and keep it: draft, sign, publish."""


@ceremony.command("new")
@_folder
@click.option("--keys", type=click.IntRange(0, 64), default=3, show_default=True, help="Secretariat keys to make here.")
@click.option("--threshold", type=click.IntRange(1, 63), default=2, show_default=True, help="How many must sign.")
@click.option("--holder", "holders", multiple=True, metavar="HEX", help="Public key of a keyholder who made theirs.")
@_kdf
@_json
@_examples(
    "i247-keys ceremony new authority --keys 5 --threshold 3",
)
def ceremony_new(
    *, directory: Path, keys: int, threshold: int, holders: tuple[str, ...], kdf: str, as_json: bool
) -> None:
    """Make the secretariat's keys and the pulse key in DIRECTORY, each with a passphrase file."""
    publics = [_hex("reading a holder's key", holder) for holder in holders]
    made = files.new_ceremony(directory, keys, threshold, publics, _cost(kdf))
    _say(
        as_json,
        {"directory": str(directory), "keys": [str(path) for path in made], "threshold": threshold},
        *(f"made {path}" for path in made),
        f"any {threshold} of {keys + len(holders)} sign; each keyholder now takes key and passphrase away, apart",
    )


@ceremony.command("found")
@_folder
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
    type=click.IntRange(0, 400),
    default=0,
    show_default=True,
    help="How many members together may sign a pulse when the pulse key is lost; 0: none.",
)
@_json
@_examples(
    "i247-keys ceremony found authority --members requests/members --hubs requests/hubs",
)
def ceremony_found(
    *, directory: Path, members: tuple[Path, ...], hubs: tuple[Path, ...], witnesses: int, as_json: bool
) -> None:
    """Draft the first charter and the first roster from requests."""
    pin = files.draft_founding(directory, members, hubs, witnesses)
    _say(
        as_json,
        {"pin": pin.hex(), **_signatures(directory)},
        f"drafted; the pin will be {pin.hex()}",
        *_lines_of(files.signatures(directory)),
    )


@ceremony.command("sign")
@_folder
@click.option("--key", type=click.Path(path_type=Path), required=True, help="A secretariat key's file.")
@_passphrase
@_json
@_examples(
    "i247-keys ceremony sign authority --key secretariat-1.key --passphrase-file secretariat-1.passphrase",
)
def ceremony_sign(directory: Path, key: Path, passphrase_file: Path, as_json: bool) -> None:
    """Sign what waits in DIRECTORY."""
    signer = files.read_identity(key, passphrase_from_file(passphrase_file), files.SECRETARIAT)
    verdicts = files.sign_drafts(directory, signer)
    _say(as_json, _signatures(directory), *_lines_of(verdicts))


@ceremony.command("merge")
@_folder
@click.argument("other", type=click.Path(path_type=Path))
@_json
def ceremony_merge(directory: Path, other: Path, as_json: bool) -> None:
    """Take over the signatures made in OTHER, a copy of DIRECTORY."""
    verdicts = files.merge_drafts(directory, other)
    _say(as_json, _signatures(directory), *_lines_of(verdicts))


@ceremony.command("publish")
@_folder
@_json
def ceremony_publish(directory: Path, as_json: bool) -> None:
    """Check the drafts by the rules, and write the network file.

    The pin it prints goes to every member by another channel than the file.
    """
    trust = files.publish_drafts(directory)
    path = directory / files.NETWORK_FILE
    _say(
        as_json,
        {**showing.summary(trust, files.wall_now()), "network": str(path)},
        f"wrote {path}: roster {trust.directory.version}",
        *showing.summary_lines(trust, files.wall_now()),
    )


@ceremony.command("pulse")
@_folder
@click.option("--key", type=click.Path(path_type=Path), help="The pulse key's file.  [default: DIRECTORY/pulse.key]")
@click.option(
    "--passphrase-file",
    type=click.Path(path_type=Path),
    help="File with its passphrase.  [default: DIRECTORY/pulse.passphrase]",
)
@_json
@_examples(
    "i247-keys ceremony pulse authority",
)
def ceremony_pulse(directory: Path, key: Path | None, passphrase_file: Path | None, as_json: bool) -> None:
    """Sign a fresh pulse, good for a day, and put it into the network file."""
    passphrase = passphrase_from_file(passphrase_file or directory / "pulse.passphrase")
    signer = files.read_identity(key or directory / "pulse.key", passphrase, files.PULSE)
    trust = files.publish_pulse(directory, signer)
    _say(
        as_json,
        showing.summary(trust, files.wall_now()),
        f"pulse for roster {trust.directory.version}",
        *showing.summary_lines(trust, files.wall_now()),
    )


@ceremony.command("roster")
@_folder
@click.option("--request", "requests", multiple=True, type=click.Path(path_type=Path), help="A member's request.")
@click.option("--decision", "decisions", multiple=True, type=click.Path(path_type=Path), help="A decision and ballots.")
@click.option("--hub", "--hubs", "hubs", multiple=True, type=click.Path(path_type=Path), help="A hub's request.")
@click.option("--remove-hub", "hubs_gone", multiple=True, metavar="NAME", help="A hub to take off.")
@click.option("--suspend", multiple=True, metavar="CODE", help="Suspend a member in an emergency, for 72 hours.")
@_json
@_examples(
    "i247-keys ceremony roster authority --request FR-1800000000000.request",
    "i247-keys ceremony roster authority --suspend FR",
)
def ceremony_roster(
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
    _say(
        as_json,
        {"version": step.version, "touched": touched, **_signatures(directory)},
        f"drafted roster {step.version}, which changes {', '.join(touched) or 'no row'}",
        *_lines_of(files.signatures(directory)),
    )


# --- members and hubs ---


@main.group()
def member() -> None:
    """Make a member's keys and requests."""


@member.command("request")
@click.argument("code")
@_out
@_names
@_homes
@_passphrase
@_kdf
@_json
@_examples(
    "i247-keys member request FR --name en=France --home lyon --out fr --passphrase-file fr.pass",
)
def member_request(
    *,
    code: str,
    directory: Path,
    names: tuple[str, ...],
    homes: tuple[str, ...],
    passphrase_file: Path,
    kdf: str,
    as_json: bool,
) -> None:
    """Make the keys of the member CODE and its request to join."""
    passphrase = passphrase_from_file(passphrase_file)
    path = files.make_member_keys(
        directory, _code(code), _names_of(names) or {"en": code}, _hubs(homes), passphrase, _cost(kdf)
    )
    _say(
        as_json,
        {"member": code, "request": str(path), "directory": str(directory)},
        f"wrote {path}: send it to the secretariat",
        f"move {directory / files.NEXT_IDENTITY_FILE} to a safe place off this machine: it replaces a stolen identity",
    )


@member.command("change")
@_folder
@click.option(
    "--network", type=click.Path(path_type=Path), required=True, help="The network file that lists the member."
)
@click.option("--pin", metavar="HEX", required=True, help="The pin.")
@click.option("--code", required=True, help="The member's code.")
@_names
@_homes
@click.option("--rotate", is_flag=True, help="Replace the identity key by the next one.")
@click.option("--stolen", is_flag=True, help="As --rotate, but the present key is not used and gets no grace.")
@click.option("--new-link", is_flag=True, help="Replace the link key.")
@_passphrase
@_kdf
@_json
@_examples(
    "i247-keys member change fr --code FR --network network.i247 --pin 12ab… --rotate --passphrase-file fr.pass",
)
def member_change(
    *,
    directory: Path,
    network: Path,
    pin: str,
    code: str,
    names: tuple[str, ...],
    homes: tuple[str, ...],
    rotate: bool,
    stolen: bool,
    new_link: bool,
    passphrase_file: Path,
    kdf: str,
    as_json: bool,
) -> None:
    """Make a request to change a member's own row, signed by its keys in DIRECTORY."""
    row = files.read_network(network, files.parse_pin(pin)).directory.member(_code(code))
    if row is None:
        raise CallerFault(f"changing {code}", "the network file does not list it: `member request` joins")
    wanted = files.Wanted(_names_of(names) or None, _hubs(homes) or None, rotate, new_link)
    path = files.change_member(directory, row, wanted, passphrase_from_file(passphrase_file), _cost(kdf), stolen=stolen)
    _say(as_json, {"member": code, "request": str(path)}, f"wrote {path}: send it to the secretariat")


@main.group()
def hub() -> None:
    """Make a hub's keys and request."""


@hub.command("request")
@click.argument("name")
@_out
@click.option("--region", required=True, help="The region that it serves.")
@click.option(
    "--endpoint", "endpoints", multiple=True, required=True, metavar="tcp://HOST:PORT", help="Where it listens."
)
@_passphrase
@_kdf
@_json
@_examples(
    "i247-keys hub request lyon --region Europe --endpoint tcp://hub.example:7247 --out hub --passphrase-file hub.pass",
)
def hub_request(
    *,
    name: str,
    directory: Path,
    region: str,
    endpoints: tuple[str, ...],
    passphrase_file: Path,
    kdf: str,
    as_json: bool,
) -> None:
    """Make the keys of the hub NAME and its request to be listed."""
    passphrase = passphrase_from_file(passphrase_file)
    path = files.make_hub_keys(directory, _hub(name), region, endpoints, passphrase, _cost(kdf))
    _say(as_json, {"hub": name, "request": str(path)}, f"wrote {path}: send it to the secretariat")


@main.group()
def identity() -> None:
    """Look at keyfiles."""


@identity.command("show")
@click.argument("file", type=click.Path(path_type=Path))
@_json
def identity_show(file: Path, as_json: bool) -> None:
    """Show the public part of a keyfile; needs no passphrase, proves nothing."""
    use, public = _public_of(file)
    _say(
        as_json,
        {"use": use, "public": public.hex(), "key_id": key_id(public).hex()},
        f"use     {use}",
        f"public  {public.hex()}",
        f"key id  {key_id(public).hex()}",
    )


# --- roster ---


@main.group()
def roster() -> None:
    """Look into a network file."""


@roster.command("show")
@_network
@_pin
@_json
@_examples(
    "i247-keys roster show network.i247 --pin 12ab…",
)
def roster_show(network: Path, pin: str | None, as_json: bool) -> None:
    """Show members and hubs of the newest roster."""
    trust = _read_network(network, pin)
    directory = trust.directory
    _say(
        as_json,
        {**showing.summary(trust, files.wall_now()), **showing.rows(directory, files.wall_now())},
        *showing.summary_lines(trust, files.wall_now()),
        *showing.row_lines(directory, files.wall_now()),
    )


@roster.command("verify")
@_network
@click.option("--pin", metavar="HEX", required=True, help="The pin, from another channel than the file.")
@_json
def roster_verify(network: Path, pin: str, as_json: bool) -> None:
    """Judge every document of a network file, from the pin on."""
    trust = _read_network(network, pin)
    _say(
        as_json,
        showing.summary(trust, files.wall_now()),
        "all documents follow from the pin",
        *showing.summary_lines(trust, files.wall_now()),
    )


@roster.command("diff")
@click.argument("before", type=click.Path(path_type=Path))
@click.argument("after", type=click.Path(path_type=Path))
@_pin
@_json
def roster_diff(before: Path, after: Path, pin: str | None, as_json: bool) -> None:
    """Show what changed between the newest rosters of two network files."""
    wall = files.wall_now()
    old, new = (
        showing.rows(_read_network(before, pin).directory, wall),
        showing.rows(_read_network(after, pin).directory, wall),
    )
    changes = {kind: showing.changes(old[kind], new[kind]) for kind in ("members", "hubs")}
    lines = [
        f"{name}: {field} {json.dumps(was)} -> {json.dumps(now)}"
        for rows in changes.values()
        for name, fields in rows.items()
        for field, (was, now) in fields.items()
    ]
    _say(as_json, changes, *(lines or ["no difference"]))


# --- parts ---


def _told(fault: I247Error) -> tuple[str, str]:
    match fault:
        case CallerFault() | WorldFault():
            return fault.doing, fault.hint
        case PeerFault():
            return f"refused: {fault.reason}", HINTS.get(fault.reason, "get it again from whoever made it")
        case _:
            return str(fault), "report this: the program has no advice for it"


def _say(as_json: bool, value: dict[str, Any], *lines: str) -> None:
    for line in [json.dumps(value, ensure_ascii=False)] if as_json else lines:
        click.echo(line)


def _cost(kdf: str) -> Cost:
    if kdf == "min":
        click.echo("note: --kdf min: these keyfiles can be guessed at full speed; for demonstrations only", err=True)
    return {"moderate": MODERATE, "interactive": INTERACTIVE, "min": LEAST}[kdf]


def _code(text: str) -> MemberCode:
    try:
        return parse_member(text)
    except PeerFault:
        raise CallerFault(f"reading the member code {text}", "it is two capital letters, as FR") from None


def _hub(text: str) -> HubName:
    try:
        return parse_hub(text)
    except PeerFault:
        raise CallerFault(
            f"reading the hub's name {text}", "lower case letters, digits and hyphens, as hub-lyon"
        ) from None


def _hubs(texts: tuple[str, ...]) -> tuple[HubName, ...]:
    return tuple(_hub(text) for text in texts)


def _names_of(texts: tuple[str, ...]) -> dict[str, str]:
    pairs = [text.partition("=") for text in texts]
    if any(not separator for _, separator, _ in pairs):
        raise CallerFault("reading a name", "write language and name, as --name en=France")
    return {language: name for language, _, name in pairs}


def _hex(doing: str, text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise CallerFault(doing, "write it in hexadecimal") from None


def _public_of(file: Path) -> tuple[str, bytes]:
    for use in files.USES[:-1]:
        try:
            return use, read_public(file, use=use)
        except CallerFault:
            continue  # it is for another use
    return files.USES[-1], read_public(file, use=files.USES[-1])


def _read_network(path: Path, pin: str | None) -> Trust:
    if pin is None:
        click.echo("note: no --pin: whether this is the right network is not known", err=True)
    return files.read_network(path, None if pin is None else files.parse_pin(pin))


def _signatures(directory: Path) -> dict[str, Any]:
    return {
        "signatures": {
            name: {"signed": [key.hex() for key in verdict.signed], "lacking": verdict.lacking}
            for name, verdict in files.signatures(directory)
        }
    }


def _lines_of(verdicts: list[tuple[str, Verdict]]) -> list[str]:
    return [
        f"{name}: {len(verdict.signed)} signed, {f'{verdict.lacking} lacking' if verdict.lacking else 'enough'}"
        for name, verdict in verdicts
    ]


FAILED: Final = 1
HINTS: Final = {
    Reason.WRONG_PIN: "the file is of another network, or the pin was mistyped: compare it with its source",
    Reason.TOO_FEW_SIGNATURES: "enough keyholders of the charter must sign: `i247-keys ceremony sign`",
    Reason.NOT_JUSTIFIED: "a member's row follows only from its own signed request or a decision; make a fresh request",
    Reason.FORKED: "two different documents of one version are signed: keep both files and raise the alarm",
    Reason.CHAIN_BROKEN: "documents in between are missing: get the whole network file",
    Reason.FUTURE_DATED: "this machine's clock is behind: set it",
    Reason.DIRECTORY_EXPIRED: "the charter has expired: a next one is needed first",
    Reason.UNKNOWN_VERSION: "the file was written by a newer version of this program: update this one",
}
