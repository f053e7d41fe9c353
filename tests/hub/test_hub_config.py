"""Read hub.toml: what is right is taken as written, what is wrong is named with its place."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from i247_hub.config import HubConfig, first_config, parse_endpoint, read_config
from i247_hub.quotas import Quotas
from i247_protocol.errors import CallerFault
from i247_protocol.limits import STORE_BYTES_MAX
from i247_protocol.names import HubName

PIN = "ab" * 32
SMALLEST = """\
name = "lyon"
listen = ["tcp://127.0.0.1:7247"]
state = "state"
[directory]
network_file = "network.i247"
pin = ""
[keys]
identity = "identity.key"
link = "/etc/link.key"
passphrase_file = "passphrase"
"""
LYON = HubName("lyon")


def read(folder: Path, text: str) -> HubConfig:
    path = folder / "hub.toml"
    path.write_text(text)
    path.chmod(0o600)
    return read_config(path)


def test_the_first_config_reads_back(tmp_path: Path) -> None:
    listen = ["tcp://0.0.0.0:7247", "tcp://[::]:7247"]
    config = read(tmp_path, first_config(LYON, listen=listen, passphrase_file='a "quoted" \\ path', pin=PIN))
    assert config.name == "lyon"
    assert config.listen == tuple(listen)
    assert config.passphrase_file == tmp_path / 'a "quoted" \\ path'
    assert config.pin == bytes.fromhex(PIN)
    assert config.store_bytes_max == STORE_BYTES_MAX
    assert config.metrics is None


def test_all_that_the_first_config_leaves_out_may_be_put_in(tmp_path: Path) -> None:
    text = first_config(LYON, listen=["tcp://0.0.0.0:7247"], passphrase_file="passphrase", pin="")
    whole = re.sub(r"^# (\w+ = )", r"\1", text, flags=re.MULTILINE)
    config = read(tmp_path, whole.replace('passphrase_file = "passphrase"', ""))
    assert config.passphrase_credential == "hub-passphrase"
    assert config.log_file == tmp_path / "hub.log"
    assert config.metrics == ("127.0.0.1", 9247)
    assert config.quotas == Quotas(), "the values shown are the usual ones"
    assert config.status_socket == tmp_path / "state" / "hub.sock"


def test_quotas_are_taken_as_written(tmp_path: Path) -> None:
    assert read(tmp_path, SMALLEST).quotas == Quotas()
    written = "[quotas]\nmessages_per_s = 7\nmib_per_s = 2\nrecipients_per_s = 9\nmember_percent = 3\n"
    written += "hub_percent = 40\nmailbox_percent = 20\nmailbox_rows = 500\n"
    assert read(tmp_path, SMALLEST + written).quotas == Quotas(7, 2 << 20, 9, 3, 40, 20, 500)


def test_paths_begin_at_the_folder_of_the_file(tmp_path: Path) -> None:
    config = read(tmp_path, SMALLEST)
    assert config.identity == tmp_path / "identity.key"
    assert config.link == Path("/etc/link.key")
    assert config.store == tmp_path / "state" / "hub.db"
    assert config.status_socket == tmp_path / "state" / "hub.sock"
    assert config.pin is None


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('name = "lyon"', "", "name: missing"),
        ('name = "lyon"', "name = 7", "line 1: name: expected a text"),
        ('name = "lyon"', 'name = "Lyon"', "name: no hub's name"),
        ('name = "lyon"', 'name = "lyon"\nnmae = "lyon"', "line 2: nmae: unknown key"),
        ("[keys]", '[keys]\npasphrase_file = "x"', "line 8: keys.pasphrase_file: unknown key"),
        ("[keys]", '[logs]\nform = "json"\n[keys]', "line 7: logs: unknown key"),
        ("[keys]", "[quotas]\nmessages = 7\n[keys]", "line 8: quotas.messages: unknown key"),
        ("[keys]", "[quotas]\nmember_percent = 101\n[keys]", "line 8: quotas.member_percent: expected"),
        ("[keys]", "[quotas]\nmessages_per_s = 0\n[keys]", "line 8: quotas.messages_per_s: expected"),
        ("[keys]", '[log]\nformat = "xml"\n[keys]', "line 8: log.format: none of the words"),
        ("[keys]", '[keys]\npassphrase_credential = "x"', "reading hub.toml: keys"),
        ('passphrase_file = "passphrase"', "", "reading hub.toml: keys"),
        ('"tcp://127.0.0.1:7247"', "", "listen: no address"),
        ("tcp://127.0.0.1:7247", "tcp://hub.example:7247", "listen[0]: no address of this machine"),
        ("tcp://127.0.0.1:7247", "tcp://127.0.0.1", "listen[0]: no address of this machine"),
        ("tcp://127.0.0.1:7247", "tcp://127.0.0.1:70000", "listen[0]: no address of this machine"),
        ("tcp://127.0.0.1:7247", "tcp://127.0.0.1:0", "listen[0]: no address of this machine"),
        ("tcp://127.0.0.1:7247", "ipc:///tmp/hub", "listen[0]: no address of this machine"),
        ("tcp://127.0.0.1:7247", "inproc://hub", "listen[0]: no address of this machine"),
        ('pin = ""', 'pin = "abcd"', "pin: no pin"),
        ('pin = ""', 'pin = "zz"', "pin: no pin"),
        ("[keys]", '[metrics]\nlisten = "0.0.0.0:9247"\n[keys]', "metrics.listen: no address for this machine"),
        ("[keys]", '[metrics]\nlisten = "localhost"\n[keys]', "metrics.listen: no address for this machine"),
        ("[keys]", '[metrics]\nlisten = "127.0.0.1:0"\n[keys]', "metrics.listen: no address for this machine"),
        ("[keys]", f'[status]\nsocket = "{"s" * 200}"\n[keys]', "status.socket: too long a path"),
        ("[keys]", "[store]\n[keys]", "line 7: store: unknown key"),
        ("[keys]", "[keys", "line 7: not TOML"),
        (
            'state = "state"',
            'state = "state"\nstore_mib_max = 0',
            "line 4: store_mib_max: expected a whole number >= 1",
        ),
    ],
)
def test_a_wrong_config_is_told_with_its_place(tmp_path: Path, old: str, new: str, told: str) -> None:
    assert old in SMALLEST
    with pytest.raises(CallerFault) as caught:
        read(tmp_path, SMALLEST.replace(old, new))
    assert caught.value.doing.startswith("reading hub.toml")
    assert told in caught.value.doing
    assert caught.value.hint


def test_a_config_that_everybody_may_write_is_refused(tmp_path: Path) -> None:
    read(tmp_path, SMALLEST)
    (tmp_path / "hub.toml").chmod(0o606)
    with pytest.raises(CallerFault) as caught:
        read_config(tmp_path / "hub.toml")
    assert caught.value.hint.startswith("chmod o-w")


def test_a_config_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(CallerFault, match="there is no such file"):
        read_config(tmp_path / "hub.toml")


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("tcp://hub.example:7247", ("hub.example", "7247")),
        ("tcp://[2001:db8::1]:7247", ("2001:db8::1", "7247")),
        ("tcp://*:*", ("*", "*")),
        ("tcp://127.0.0.1:65535", ("127.0.0.1", "65535")),
    ],
)
def test_an_endpoint_is_read(text: str, parsed: tuple[str, str]) -> None:
    assert parse_endpoint(text) == parsed


@pytest.mark.parametrize("text", ["tcp://", "tcp://:7", "tcp://[::1:7", "tcp://[zz]:7", "tcp://a b:7", "udp://a:7"])
def test_a_wrong_endpoint_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=re.escape(text)):
        parse_endpoint(text)
