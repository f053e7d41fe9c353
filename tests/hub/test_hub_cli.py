"""Use `i247-hub` as an operator does: set up, find what is wrong before a start, ask, and be told what to do."""

from __future__ import annotations

import json
import socket
import stat
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from tests.hub.network import HubFolder, Network, findings_of, i247_hub

from i247_edges.clock import read_clocks
from i247_hub.config import read_config
from i247_hub.preparation import believe, open_store
from i247_hub.status import Mailbox, Snapshot, answer_to, hint_for
from i247_keys import ceremony_files as files
from i247_keys.log import parse_network_file
from i247_keys.request import parse_hub_request
from i247_protocol import codec
from i247_protocol.names import WallMs

ENDPOINT = "tcp://hub.example:7247"


def init(folder: Path, *words: str, endpoint: str = ENDPOINT) -> list[str]:
    return ["init", "lyon", "--region", "Europe", "--endpoint", endpoint, "--dir", str(folder), "--kdf", "min", *words]


@pytest.fixture
def network(tmp_path: Path) -> Network:
    return Network(tmp_path, "lyon")


@pytest.fixture
def hub(network: Network) -> HubFolder:
    return network.hubs["lyon"]


# --- help ---


@pytest.mark.parametrize("command", ["init", "check", "run", "status", "mailboxes"])
def test_each_command_shows_an_example(command: str) -> None:
    result = i247_hub(command, "--help")
    assert result.exit_code == 0
    assert f"\n    i247-hub {command} " in result.stdout


@pytest.mark.parametrize("words", [["runn"], ["run", "--confg", "x"], ["init"], ["init", "lyon", "--kdf", "none"]])
def test_wrong_usage_has_an_exit_code_of_its_own(words: list[str]) -> None:
    assert i247_hub(*words).exit_code == 2


def test_a_config_that_is_nowhere_is_told() -> None:
    result = i247_hub("status")
    assert result.exit_code == 1
    assert "hint: name it by --config" in result.stderr


# --- init ---


def test_init_makes_all_that_a_hub_needs_and_says_what_comes_next(tmp_path: Path) -> None:
    folder = tmp_path / "new"
    result = i247_hub(*init(folder))
    assert result.exit_code == 0
    names = {"hub.toml", "identity.key", "link.key", "passphrase", "lyon.request"}
    assert {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()} == names
    assert all(stat.S_IMODE((folder / name).stat().st_mode) == 0o600 for name in names)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert f"send {folder / 'lyon.request'} to the Secretariat" in result.stdout
    request = parse_hub_request(files.read_request(folder / "lyon.request"))
    assert (request.hub, request.region, request.endpoints) == ("lyon", "Europe", (ENDPOINT,))


@pytest.mark.parametrize(
    ("endpoint", "listen"),
    [
        (ENDPOINT, "tcp://0.0.0.0:7247"),
        ("tcp://[2001:db8::1]:7247", "tcp://[::]:7247"),
        ("tcp://127.0.0.1:7247", "tcp://127.0.0.1:7247"),
    ],
)
def test_init_listens_where_the_endpoint_leads(tmp_path: Path, endpoint: str, listen: str) -> None:
    assert i247_hub(*init(tmp_path, endpoint=endpoint)).exit_code == 0
    assert read_config(tmp_path / "hub.toml").listen == (listen,)


def test_init_tells_programs_where_it_put_things(tmp_path: Path) -> None:
    result = i247_hub(*init(tmp_path, "--json"))
    assert json.loads(result.stdout) == {
        "hub": "lyon",
        "config": str(tmp_path / "hub.toml"),
        "request": str(tmp_path / "lyon.request"),
        "passphrase_file": str(tmp_path / "passphrase"),
    }


@pytest.mark.parametrize("name", ["hub.toml", "identity.key", "link.key", "passphrase", "lyon.request"])
def test_init_overwrites_nothing(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("precious")
    result = i247_hub(*init(tmp_path))
    assert result.exit_code == 1
    assert result.stderr.startswith(f"error: writing {tmp_path / name}\nhint: it exists already")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [tmp_path / name]
    assert (tmp_path / name).read_text() == "precious"


@pytest.mark.parametrize(
    "words",
    [["--pin", "zz"], ["--listen", "tcp://hub.example:1"], ["--region", "x" * 999], ["--endpoint", "http://x"]],
)
def test_init_leaves_nothing_behind_when_it_fails(tmp_path: Path, words: list[str]) -> None:
    result = i247_hub(*init(tmp_path, *words))
    assert (result.exit_code, result.stdout) == (1, "")
    assert "hint: " in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_init_takes_a_passphrase_file_of_the_operator(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("correct horse\n")
    secret.chmod(0o640)
    refused = i247_hub(*init(tmp_path / "hub", "--passphrase-file", str(secret)))
    assert refused.exit_code == 1
    assert f"chmod 600 {secret}" in refused.stderr
    secret.chmod(0o600)
    assert i247_hub(*init(tmp_path / "hub", "--passphrase-file", str(secret))).exit_code == 0
    assert read_config(tmp_path / "hub" / "hub.toml").passphrase_file == secret


# --- check ---


def test_check_finds_nothing_wrong_and_changes_nothing(hub: HubFolder) -> None:
    before = sorted(hub.folder.iterdir())
    result = hub.ask("check", "--json")
    assert result.exit_code == 0, result.output
    assert set(findings_of(result).values()) == {"ok"}
    assert sorted(hub.folder.iterdir()) == before


def test_check_finds_an_empty_pin(tmp_path: Path) -> None:
    fresh = HubFolder(tmp_path / "hub", "lyon")
    result = fresh.ask("check")
    assert result.exit_code == 1
    assert "ask the Secretariat" in result.stdout


def blunt(name: str) -> Callable[[Network, HubFolder], None]:
    def edit(_: Network, hub: HubFolder) -> None:
        (hub.folder / name).chmod(0o640)

    return edit


def remove(name: str) -> Callable[[Network, HubFolder], None]:
    def edit(_: Network, hub: HubFolder) -> None:
        (hub.folder / name).unlink()

    return edit


def another_pin(network: Network, hub: HubFolder) -> None:
    hub.edit(network.pin, "00" * 32)


def another_name(_: Network, hub: HubFolder) -> None:
    hub.edit('name = "lyon"', 'name = "paris"')


def another_passphrase(_: Network, hub: HubFolder) -> None:
    (hub.folder / "passphrase").write_text("guess")


def other_keys(network: Network, hub: HubFolder) -> None:
    other = HubFolder(network.root / "other", "lyon")
    for name in ("identity.key", "link.key", "passphrase"):
        (other.folder / name).replace(hub.folder / name)


def keys_swapped(_: Network, hub: HubFolder) -> None:
    hub.edit('link = "link.key"', 'link = "identity.key"')


def damaged_network_file(_: Network, hub: HubFolder) -> None:
    path = hub.folder / files.NETWORK_FILE
    path.write_bytes(path.read_bytes()[:-1])


def foreign_store(_: Network, hub: HubFolder) -> None:
    (hub.folder / "state").mkdir(mode=0o700)
    (hub.folder / "state" / "hub.db").write_text("no database, but longer than a header of one hundred bytes " * 5)


@pytest.mark.parametrize(
    ("edit", "subject", "hint"),
    [
        (blunt("identity.key"), "keys", "chmod 600"),
        (remove("link.key"), "keys", "No such file"),
        (keys_swapped, "keys", "this one holds another"),
        (blunt("passphrase"), "passphrase", "chmod 600"),
        (another_passphrase, "passphrase", "check the passphrase"),
        (remove(files.NETWORK_FILE), "network file", "get it from the Secretariat"),
        (damaged_network_file, "network file", "fetch it again from its source"),
        (another_pin, "network file", "compare the pin by another channel"),
        (another_name, "roster", "it lists lyon: correct `name`"),
        (other_keys, "roster", "it lists another identity key"),
        (foreign_store, "store", "the file is no database"),
    ],
)
def test_what_is_wrong_is_found_by_check_and_refused_by_run(
    network: Network, hub: HubFolder, edit: Callable[[Network, HubFolder], None], subject: str, hint: str
) -> None:
    edit(network, hub)
    checked = hub.ask("check", "--json")
    assert (checked.exit_code, findings_of(checked)[subject]) == (1, "wrong"), checked.stdout
    assert hint in checked.stdout
    run = hub.ask("run")
    assert (run.exit_code, run.stdout) == (1, "")
    assert run.stderr.startswith("error: ")
    assert f"\nhint: {run.stderr.partition('hint: ')[2]}" in run.stderr
    assert hint in run.stderr


def test_check_finds_an_address_in_use(hub: HubFolder) -> None:
    host, port = hub.endpoint.removeprefix("tcp://").split(":")
    with socket.create_server((host, int(port))):
        result = hub.ask("check", "--json")
    assert (result.exit_code, findings_of(result)["addresses"]) == (1, "wrong")


def test_a_directory_that_has_expired_is_an_alarm_and_no_reason_not_to_start(network: Network, hub: HubFolder) -> None:
    # Without a pulse it proves nothing after the moment of its own issue.
    path = network.authority / files.NETWORK_FILE
    path.write_bytes(codec.encode(msgspec.structs.replace(parse_network_file(path.read_bytes()), pulse=None)))
    network.hand_out(hub)
    result = hub.ask("check", "--json")
    assert (result.exit_code, findings_of(result)["directory"]) == (3, "degraded")


def test_check_uses_the_store_where_the_network_file_is_gone(hub: HubFolder) -> None:
    config = read_config(hub.config)
    store = open_store(config)
    trust = believe(config, store, WallMs(read_clocks().wall + 1_000))
    store.close()
    (hub.folder / files.NETWORK_FILE).unlink()
    result = hub.ask("check", "--json")
    assert result.exit_code == 3
    assert findings_of(result)["network file"] == "degraded"
    assert findings_of(result)["roster"] == "ok"
    store = open_store(config)
    assert believe(config, store, read_clocks().wall).roster_hash == trust.roster_hash
    store.close()


def test_a_store_of_another_network_is_refused(network: Network, hub: HubFolder, tmp_path: Path) -> None:
    config = read_config(hub.config)
    store = open_store(config)
    believe(config, store, read_clocks().wall)
    store.close()
    other = Network(tmp_path / "other", "lyon")
    hub.edit(network.pin, other.pin)
    other.hand_out(hub)
    result = hub.ask("check")
    assert result.exit_code == 1
    assert "it is of another network: correct the pin" in result.stdout
    assert "it is of another network: correct the pin" in hub.ask("run").stderr


def test_an_older_network_file_takes_nothing_back(network: Network, hub: HubFolder) -> None:
    config = read_config(hub.config)
    older = config.network_file.read_bytes()
    network.next_roster()
    network.hand_out(hub)
    store = open_store(config)
    assert believe(config, store, read_clocks().wall).directory.version == 2
    config.network_file.write_bytes(older)
    assert believe(config, store, read_clocks().wall).directory.version == 2
    store.close()


# --- asking ---


@pytest.mark.parametrize("command", ["status", "mailboxes"])
def test_a_daemon_that_does_not_run_is_told(hub: HubFolder, command: str) -> None:
    result = hub.ask(command)
    assert (result.exit_code, result.stdout) == (1, "")
    assert f"error: asking the hub at {hub.socket}\nhint: the daemon is not running" in result.stderr


def test_a_daemon_that_was_killed_is_told(hub: HubFolder) -> None:
    hub.socket.parent.mkdir()
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(hub.socket))
    assert "the daemon is not running" in hub.ask("status").stderr


@pytest.mark.parametrize(
    ("error", "hint"),
    [
        (PermissionError(), "use `sudo -u`"),
        (TimeoutError(), "does not answer in time"),
        (ConnectionRefusedError(), "not running"),
        (OSError(40, "Too many links"), "Too many links"),
    ],
)
def test_each_way_to_fail_has_a_hint(error: OSError, hint: str) -> None:
    assert hint in hint_for(error)


@pytest.mark.parametrize("question", [b"", b"\n", b"{}\n", b'{"want":1}\n', b'{"want":"status","more":1}\n', b"\xff\n"])
def test_a_question_that_is_none_is_answered_so(question: bytes) -> None:
    assert json.loads(answer_to(question, None)) == {"error": 'ask {"want":"status"}'}


def test_troubles_are_told() -> None:
    well = Snapshot(
        name="lyon",
        version="1",
        pid=1,
        started=0,
        taken=0,
        endpoints=(),
        is_listed=True,
        roster=1,
        roster_expires=0,
        pulse_expires=None,
        health="fresh",
        members_connected=(),
        hubs_connected=("quito",),
        hubs_known=1,
        store_bytes=79,
        store_bytes_max=100,
        mailboxes=(),
        over_quota=(),
        counters={},
    )
    assert well.troubles == []
    changes = {"is_listed": False, "health": "hold", "hubs_known": 2, "store_bytes": 80, "over_quota": ("FR",)}
    changes |= {"mailboxes": (Mailbox("BR", 0, 7, 9_000, 80, is_connected=False),)}
    for n in range(len(changes)):
        sick = msgspec.structs.replace(well, **dict(list(changes.items())[: n + 1]))
        assert len(sick.troubles) == n + 1
