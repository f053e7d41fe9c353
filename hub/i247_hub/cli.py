"""The program `i247-hub`: set a hub up, check it, run it, and ask it how it does. Edge.

Says what was found on stdout, or as JSON with --json; faults on stderr as `error:` and `hint:`. Exit codes: 0 well,
1 failed, 2 wrong usage, 3 it works but needs looking after. What a hub needs is decided in `preparation`, what it
does in `daemon`. docs/operations.md.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import click

from i247_edges.checkup import Finding, Grade
from i247_edges.logs import start_logs
from i247_edges.terminal import DEGRADED, FAILED, OK, Commands, emit, json_option, plain, table, when
from i247_hub.config import CONFIG_FILE, find_config, first_config, parse_endpoint, read_config
from i247_hub.daemon import run_hub
from i247_hub.preparation import findings
from i247_hub.status import Snapshot, ask
from i247_hub.tracing import trace as traced
from i247_keys import key_folder as files
from i247_keys.keyfile import INTERACTIVE, LEAST, MODERATE, Cost, passphrase_from_file
from i247_protocol.errors import CallerFault, PeerFault, WorldFault
from i247_protocol.names import HubName, parse_hub

Command = Callable[..., int | None]


def _examples(*lines: str) -> Callable[[Command], Command]:
    """Add examples to the help of a command."""

    def added(command: Command) -> Command:
        # What follows a backspace is not wrapped by click.
        command.__doc__ = "\n\n".join([command.__doc__ or "", "\b\nExamples:\n  " + "\n  ".join(lines)])
        return command

    return added


@click.group(cls=Commands)
@click.version_option(package_name="i247")
@_examples(
    "i247-hub init lyon --region Europe --endpoint tcp://hub.example:7247 --dir /etc/i247",
    "i247-hub check --config /etc/i247/hub.toml",
    "i247-hub run --config /etc/i247/hub.toml",
    "i247-hub status --config /etc/i247/hub.toml",
)
def main() -> None:
    """Run a regional hub, which carries everybody's mail and can read nobody's."""


_config = click.option(
    "--config",
    "-c",
    "path",
    type=click.Path(path_type=Path),
    help="The hub's configuration.  [default: hub.toml here, then in /etc/i247]",
)


@main.command()
@click.argument("name")
@click.option("--region", required=True, help="The region that it serves, as people call it.")
@click.option(
    "--endpoint",
    "endpoints",
    multiple=True,
    required=True,
    metavar="tcp://HOST:PORT",
    help="Where members and other hubs will dial it.",
)
@click.option(
    "--listen",
    multiple=True,
    metavar="tcp://ADDRESS:PORT",
    help="Address of this machine.  [default: all, at the endpoint's port]",
)
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
@_examples(
    "i247-hub init lyon --region Europe --endpoint tcp://hub.example:7247 --dir /etc/i247",
    "i247-hub init test --region Nowhere --endpoint tcp://127.0.0.1:7247 --dir test --kdf min",
)
def init(
    *,
    name: str,
    region: str,
    endpoints: tuple[str, ...],
    listen: tuple[str, ...],
    folder: Path,
    passphrase_file: Path | None,
    pin: str,
    kdf: str,
    as_json: bool,
) -> None:
    """Set up the hub NAME. Makes keys, request and configuration, and never overwrites anything."""
    hub = _hub(name)
    config_path, request = folder / CONFIG_FILE, folder / f"{hub}{files.REQUEST_SUFFIX}"
    identity, link = folder / files.IDENTITY_FILE, folder / files.LINK_FILE
    own = folder / PASSPHRASE_FILE if passphrase_file is None else None
    secret = own or (passphrase_file or Path()).absolute()
    text = first_config(
        hub,
        listen=listen or map(_listen_for, endpoints),
        passphrase_file=PASSPHRASE_FILE if own else str(secret),
        pin=pin,
    )
    _require_absent(config_path, identity, link, request, *([own] if own else []))
    files.make_folder(folder)
    try:
        _write_new(config_path, text)
        network = read_config(config_path).network_file  # a value that is wrong is told before a key is made
        if own:
            _write_new(own, os.urandom(PASSPHRASE_RANDOM_BYTES).hex() + "\n")
        cost = {"moderate": MODERATE, "interactive": INTERACTIVE, "min": LEAST}[kdf]
        _make_keys(folder, hub, region, endpoints, passphrase_from_file(secret), cost)
    except BaseException:
        if not identity.exists():
            for path in (config_path, *([own] if own else [])):
                path.unlink(missing_ok=True)
        raise
    if kdf == "min":
        click.echo("note: --kdf min: these keyfiles can be guessed at full speed; for demonstrations only", err=True)
    _say(
        as_json,
        {"hub": hub, "config": config_path, "request": request, "passphrase_file": secret},
        f"wrote {config_path}, the keys beside it, and {request}",
        "next:",
        f"  1. keep a copy of {secret} away from this machine: without it the keys are lost",
        f"  2. send {request} to the Secretariat",
        f"  3. lay the network file that it publishes at {network}",
        f"  4. write the pin into {config_path}: ask for it by another channel than the file",
        f"  5. i247-hub check --config {config_path}",
        f"  6. i247-hub run --config {config_path}",
    )


@main.command()
@_config
@json_option
@_examples("i247-hub check --config /etc/i247/hub.toml")
def check(path: Path | None, as_json: bool) -> int:
    """Find what is wrong before a start. Exit code 3: it would run, but needs looking after."""
    found = list(findings(read_config(find_config(path))))
    worst = max((EXITS[one.grade] for one in found), key=(OK, DEGRADED, FAILED).index)
    _say(as_json, {"exit": worst, "findings": found}, *_finding_lines(found))
    return worst


@main.command()
@_config
@_examples("i247-hub run --config /etc/i247/hub.toml")
def run(path: Path | None) -> None:
    """Run the hub. SIGTERM or SIGINT ends it, SIGHUP reads the network file again."""
    config = read_config(find_config(path))
    run_hub(config, start_logs("i247-hub", form=config.log_form, level=config.log_level, file=config.log_file))


@main.command()
@_config
@json_option
@_examples(
    "i247-hub status --config /etc/i247/hub.toml",
    "i247-hub status --json | jq .counters",
)
def status(path: Path | None, as_json: bool) -> int:
    """Ask the running hub how it does. Exit code 3: it works, but needs looking after."""
    found = ask(read_config(find_config(path)).status_socket)
    value = {**plain(found), "troubles": found.troubles}
    del value["mailboxes"]
    _say(as_json, value, *_status_lines(found))
    return DEGRADED if found.troubles else OK


@main.command()
@_config
@json_option
@_examples("i247-hub mailboxes --config /etc/i247/hub.toml")
def mailboxes(path: Path | None, as_json: bool) -> None:
    """Show how many wait for whom. Express carries control and urgent, bulk the rest."""
    found = ask(read_config(find_config(path)).status_socket).mailboxes
    if as_json:
        emit({"mailboxes": found}, as_json)
    elif found:
        table(
            ("for", "express", "bulk", "size", "of its room", "connected"),
            [
                (box.place, box.express, box.bulk, _size(box.bytes), f"{box.fill_percent} %", box.is_connected)
                for box in found
            ],
        )
    else:
        click.echo("nothing waits")


@main.command()
@click.argument("envelope")
@_config
@json_option
@_examples("i247-hub trace 5f0c6a2b9d1e4c77 --config /etc/i247/hub.toml")
def trace(envelope: str, path: Path | None, as_json: bool) -> None:
    """Tell what this hub knows of ENVELOPE, by the first 8 digits of its id or more. The daemon may run or not.

    A sender's `i247-node trace` tells the id. Who gave the envelope is told to nobody.
    """
    steps = traced(read_config(find_config(path)).store, envelope)
    if as_json:
        emit({"steps": steps}, as_json)
        return
    click.echo(f"envelope {steps[0].envelope}")
    table(
        ("for", "what", "since", "next place", "priority", "reason", "proof kept", "expires"),
        [
            (
                step.recipient,
                step.what,
                "-" if step.at is None else when(step.at),
                step.place or "-",
                step.priority or "-",
                step.reason or "-",
                step.has_proof,
                when(step.expires),
            )
            for step in steps
        ],
    )


# --- parts ---


def _say(as_json: bool, value: dict[str, Any], *lines: str) -> None:
    if as_json:
        emit(value, as_json)
    else:
        click.echo("\n".join(lines))


def _finding_lines(found: list[Finding]) -> list[str]:
    lines = []
    for one in found:
        lines.append(f"{one.grade:<9} {one.subject + ':':<14} {one.text}")
        if one.hint:
            lines.append(f"{'':<9} {'hint:':<14} {one.hint}")
    return lines


def _status_lines(found: Snapshot) -> list[str]:
    percent = 100 * found.store_bytes // found.store_bytes_max
    waiting = sum(box.express + box.bulk for box in found.mailboxes)
    pulse = "no pulse yet" if found.pulse_expires is None else f"pulse good until {when(found.pulse_expires)}"
    return [
        f"hub        {found.name}, i247 {found.version}, process {found.pid}, since {when(found.started)}",
        f"listens    {' '.join(found.endpoints)}",
        f"directory  roster {found.roster}, {found.health}, {pulse}",
        f"members    {len(found.members_connected)} connected  {' '.join(found.members_connected)}".rstrip(),
        f"hubs       {len(found.hubs_connected)} of {found.hubs_known} connected  "
        f"{' '.join(found.hubs_connected)}".rstrip(),
        f"holds      {waiting} waiting, {_size(found.store_bytes)} of {_size(found.store_bytes_max)} ({percent} %)",
        *(f"counted    {count:>10}  {name}" for name, count in found.counters.items() if count),
        *(f"trouble    {trouble}" for trouble in found.troubles),
    ]


def _size(count: float) -> str:
    for unit in ("B", "KiB", "MiB"):
        if count < KIB:
            return f"{count:.0f} {unit}"
        count /= KIB
    return f"{count:.1f} GiB"


def _hub(text: str) -> HubName:
    try:
        return parse_hub(text)
    except PeerFault:
        raise CallerFault("reading the hub's name", "lower case letters, digits and hyphens, as lyon") from None


def _listen_for(endpoint: str) -> str:
    """Return where a hub should listen that is dialled at `endpoint`."""
    try:
        host, port = parse_endpoint(endpoint)
    except ValueError:
        raise CallerFault(f"reading the endpoint {endpoint}", "write it as tcp://hub.example:7247") from None
    if host.startswith("127."):
        return endpoint
    return f"tcp://[::]:{port}" if ":" in host else f"tcp://0.0.0.0:{port}"


def _make_keys(
    folder: Path, hub: HubName, region: str, endpoints: tuple[str, ...], passphrase: bytes, cost: Cost
) -> None:
    try:
        files.make_hub_keys(folder, hub, region, endpoints, passphrase, cost)
    except PeerFault:
        raise CallerFault("making the request", "give a short region and at most a few endpoints") from None


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
KIB: Final = 1_024
PASSPHRASE_FILE: Final = "passphrase"  # noqa: S105  a file's name
PASSPHRASE_RANDOM_BYTES: Final = 16

if __name__ == "__main__":
    main()
