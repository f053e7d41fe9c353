"""Set a node up, check it, run it. Edge."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import click

from i247_edges.checkup import Finding, Grade
from i247_edges.logs import Form, start_logs
from i247_edges.terminal import DEGRADED, FAILED, OK, emit, json_option, table
from i247_keys import key_folder as files
from i247_keys.keyfile import INTERACTIVE, LEAST, MODERATE, passphrase_from_file
from i247_node.checkup import findings
from i247_node.cli.options import config_at, config_option, examples
from i247_node.config import CONFIG_FILE, first_config, read_config
from i247_node.daemon import run_node
from i247_protocol.errors import CallerFault, PeerFault, WorldFault
from i247_protocol.names import HubName, MemberCode, parse_hub, parse_member


@click.command()
@click.argument("code")
@click.option("--name", "names", multiple=True, metavar="LANG=TEXT", help="Name in a language, as en=Brazil.")
@click.option("--home", "homes", multiple=True, metavar="HUB", required=True, help="Home hub; the first is preferred.")
@click.option(
    "--dir", "folder", type=click.Path(path_type=Path), default=Path(), help="Where to put all.  [default: here]"
)
@click.option(
    "--passphrase-file",
    type=click.Path(path_type=Path),
    help="File with the passphrase of the keys, mode 0600.  [default: a new one]",
)
@click.option("--pin", default="", metavar="HEX", help="The pin, where the network exists already.")
@click.option(
    "--kdf",
    type=click.Choice(["moderate", "interactive", "min"]),
    default="moderate",
    show_default=True,
    help="What a guess at the passphrase costs. `min` protects nothing; it is for demonstrations.",
)
@json_option
@examples(
    "i247-node init FR --name en=France --home lyon --dir /etc/i247",
    "i247-node init FR --home lyon --dir test --kdf min",
)
def init(
    *,
    code: str,
    names: tuple[str, ...],
    homes: tuple[str, ...],
    folder: Path,
    passphrase_file: Path | None,
    pin: str,
    kdf: str,
    as_json: bool,
) -> None:
    """Set up the node of the member CODE. Makes keys, request and configuration, and never overwrites anything."""
    member = _member(code)
    config_path, request = folder / CONFIG_FILE, folder / f"{member}{files.REQUEST_SUFFIX}"
    secret = folder / PASSPHRASE_FILE if passphrase_file is None else passphrase_file.absolute()
    keys = [folder / name for name in (files.IDENTITY_FILE, files.NEXT_IDENTITY_FILE, files.LINK_FILE)]
    home_hubs, named = [_hub(home) for home in homes], _names(names) or {"en": code}
    _require_absent(config_path, request, *keys, *([secret] if passphrase_file is None else []))
    text = first_config(member, passphrase_file=PASSPHRASE_FILE if passphrase_file is None else str(secret), pin=pin)
    files.make_folder(folder)
    _write_new(config_path, text)
    try:
        network = read_config(config_path).network_file  # whatever is wrong with a value is told before a key is made
        if passphrase_file is None:
            _write_new(secret, os.urandom(PASSPHRASE_RANDOM_BYTES).hex() + "\n")
        cost = {"moderate": MODERATE, "interactive": INTERACTIVE, "min": LEAST}[kdf]
        try:
            files.make_member_keys(folder, member, named, home_hubs, passphrase_from_file(secret), cost)
        except PeerFault:
            raise CallerFault("making the request", "give short names, and at most a few home hubs") from None
    except BaseException:
        if not keys[0].exists():
            for path in (config_path, *([secret] if passphrase_file is None else [])):
                path.unlink(missing_ok=True)
        raise
    if kdf == "min":
        click.echo("note: --kdf min: these keyfiles can be guessed at full speed; for demonstrations only", err=True)
    if as_json:
        made = {"member": member, "config": config_path, "request": request, "passphrase_file": secret}
        emit(made, as_json=True)
        return
    for line in (
        f"wrote {config_path}, the keys beside it, and {request}",
        "next:",
        f"  1. keep a copy of {secret} away from this machine: without it the keys are lost",
        f"  2. move {keys[1]} to a safe place off this machine: it replaces a stolen identity",
        f"  3. send {request} to the Secretariat",
        f"  4. lay the network file that it publishes at {network}",
        f"  5. write the pin into {config_path}: ask for it by another channel than the file",
        f"  6. i247-node check --config {config_path}",
        f"  7. i247-node run --config {config_path}",
    ):
        click.echo(line)


@click.command()
@config_option
@json_option
@examples("i247-node check --config /etc/i247/node.toml")
def check(*, path: Path | None, as_json: bool) -> int:
    """Find what is wrong before a start. Exit code 3: it would run, but needs looking after."""
    found = list(findings(config_at(path)))
    worst = max((EXITS[one.grade] for one in found), key=(OK, DEGRADED, FAILED).index)
    if as_json:
        emit({"exit": worst, "findings": found}, as_json=True)
    else:
        table(("", "what", "found"), [row for one in found for row in _rows(one)])
    return worst


@click.command()
@config_option
@examples("i247-node run --config /etc/i247/node.toml")
def run(*, path: Path | None) -> None:
    """Run the node. SIGTERM or SIGINT ends it, SIGHUP reads network file, policy and registers again."""
    config = config_at(path)
    form = Form.JSON if config.log_format == "json" else Form.CONSOLE
    run_node(config, start_logs("i247-node", form=form, level=config.log_level, file=config.log_file))


def _rows(finding: Finding) -> list[tuple[str, str, str]]:
    row = (finding.grade.value, finding.subject, finding.text)
    return [row, ("", "hint", finding.hint)] if finding.hint else [row]


def _member(text: str) -> MemberCode:
    try:
        return parse_member(text)
    except PeerFault:
        raise CallerFault("reading the member's code", "it is two capital letters, as FR") from None


def _hub(text: str) -> HubName:
    try:
        return parse_hub(text)
    except PeerFault:
        raise CallerFault("reading a hub's name", "lower case letters, digits and hyphens, as lyon") from None


def _names(texts: tuple[str, ...]) -> dict[str, str]:
    pairs = [text.partition("=") for text in texts]
    if any(not separator for _, separator, _ in pairs):
        raise CallerFault("reading a name", "write language and name, as --name en=France")
    return {language: name for language, _, name in pairs}


def _require_absent(*paths: Path) -> None:
    for path in paths:
        if os.path.lexists(path):
            raise CallerFault(f"writing {path}", "it exists already and is never overwritten: choose another --dir")


def _write_new(path: Path, text: str) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with open(descriptor, "w", encoding="utf-8") as file:  # noqa: PTH123  a descriptor has no path
            file.write(text)
            file.flush()
            os.fsync(descriptor)
    except OSError as error:
        raise WorldFault(f"writing {path}", f"{error.strerror}: check that the folder may be written") from None


EXITS: Final = {Grade.OK: OK, Grade.DEGRADED: DEGRADED, Grade.WRONG: FAILED}
PASSPHRASE_FILE: Final = "passphrase"  # noqa: S105  a file's name
PASSPHRASE_RANDOM_BYTES: Final = 16
