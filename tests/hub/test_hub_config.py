"""Read hub.toml: what is right is taken as written, what is wrong is named with its place."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from i247_hub.config import HubConfig, first_config, parse_endpoint, read_config
from i247_protocol.errors import CallerFault, WorldFault
from i247_protocol.limits import STORE_BYTES_MAX
from i247_protocol.names import HubName

PIN = "ab" * 32
SMALLEST = """\
name = "lyon"
listen = ["tcp://127.0.0.1:7247"]
state = "state"
[keys]
identity = "identity.key"
link = "/etc/link.key"
passphrase_file = "passphrase"
[directory]
network_file = "network.i247"
pin = ""
"""


def read(folder: Path, text: str) -> HubConfig:
    path = folder / "hub.toml"
    path.write_text(text)
    path.chmod(0o600)
    return read_config(path)


def test_the_first_config_reads_back(tmp_path: Path) -> None:
    text = first_config(HubName("lyon"), ("tcp://0.0.0.0:7247", "tcp://[::]:7247"), 'a "quoted" path', PIN)
    config = read(tmp_path, text)
    assert config.name == "lyon"
    assert config.listen == ("tcp://0.0.0.0:7247", "tcp://[::]:7247")
    assert config.passphrase_file == tmp_path / 'a "quoted" path'
    assert config.pin == bytes.fromhex(PIN)
    assert config.store_bytes_max == STORE_BYTES_MAX
    assert config.metrics is None


def test_all_that_the_first_config_leaves_out_may_be_put_in(tmp_path: Path) -> None:
    text = first_config(HubName("lyon"), ("tcp://0.0.0.0:7247",), "passphrase", "")
    whole = "\n".join(line.removeprefix("# ") if " = " in line else line for line in text.splitlines())
    config = read(tmp_path, whole.replace('passphrase_file = "passphrase"', ""))
    assert config.passphrase_credential == "hub-passphrase"
    assert config.metrics == ("127.0.0.1", 9247)
    assert config.status_socket == tmp_path / "state" / "status.sock"


def test_paths_begin_at_the_folder_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read(tmp_path, SMALLEST)
    monkeypatch.chdir(tmp_path)
    config = read_config(Path("hub.toml"))
    assert config.identity == tmp_path / "identity.key"
    assert config.link == Path("/etc/link.key")
    assert config.store == tmp_path / "state" / "hub.db"
    assert config.pin is None


@pytest.mark.parametrize(
    ("old", "new", "hint"),
    [
        ('name = "lyon"', "", "Object missing required field `name`"),
        ('name = "lyon"', "name = 7", "name: Expected `str`, got `int`"),
        ('name = "lyon"', 'name = "Lyon"', "name: lower case"),
        ('name = "lyon"', 'name = "lyon"\nnmae = "lyon"', "nmae: unknown key"),
        ("[keys]", '[keys]\npasphrase_file = "x"', "keys.pasphrase_file: unknown key"),
        ("[keys]", '[logs]\nformat = "json"\n[keys]', "logs: unknown key"),
        ("[keys]", '[log]\nformat = "xml"\n[keys]', "log.format: Invalid enum value 'xml'"),
        ("[keys]", '[keys]\npassphrase_credential = "x"', "keys: set one of"),
        ('passphrase_file = "passphrase"', "", "keys: set one of"),
        ('"tcp://127.0.0.1:7247"', "", "listen: name one address"),
        ("tcp://127.0.0.1:7247", "tcp://hub.example:7247", "listen: an address of this machine"),
        ("tcp://127.0.0.1:7247", "tcp://127.0.0.1", "listen: an address of this machine"),
        ("tcp://127.0.0.1:7247", "tcp://127.0.0.1:70000", "listen: an address of this machine"),
        ("tcp://127.0.0.1:7247", "tcp://127.0.0.1:0", "listen: an address of this machine"),
        ("tcp://127.0.0.1:7247", "ipc:///tmp/hub", "listen: an address of this machine"),
        ("tcp://127.0.0.1:7247", "inproc://hub", "listen: an address of this machine"),
        ('pin = ""', 'pin = "abcd"', "directory.pin: 64 hexadecimal digits"),
        ('pin = ""', 'pin = "zz"', "directory.pin: 64 hexadecimal digits"),
        ("[keys]", '[metrics]\nlisten = "0.0.0.0:9247"\n[keys]', "metrics.listen: an address that only this machine"),
        ("[keys]", '[metrics]\nlisten = "localhost"\n[keys]', "metrics.listen: an address that only this machine"),
        ("[keys]", f'[status]\nsocket = "{"s" * 200}"\n[keys]', "status.socket: choose a path of 107 bytes"),
        ("[keys]", "store_mib_max = 0\n[keys]", "store_mib_max: "),
        ("[keys]", "[keys", "it is not TOML: "),
    ],
)
def test_a_wrong_config_is_told_with_its_place(tmp_path: Path, old: str, new: str, hint: str) -> None:
    assert old in SMALLEST
    with pytest.raises(CallerFault) as caught:
        read(tmp_path, SMALLEST.replace(old, new))
    assert caught.value.hint.startswith(hint)
    assert caught.value.doing == f"reading {tmp_path / 'hub.toml'}"


def test_bytes_that_are_no_text_are_told(tmp_path: Path) -> None:
    (tmp_path / "hub.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(CallerFault, match="reading") as caught:
        read_config(tmp_path / "hub.toml")
    assert caught.value.hint.startswith("it is not TOML: ")


def test_a_config_that_everybody_may_write_is_refused(tmp_path: Path) -> None:
    read(tmp_path, SMALLEST)
    (tmp_path / "hub.toml").chmod(0o606)
    with pytest.raises(CallerFault) as caught:
        read_config(tmp_path / "hub.toml")
    assert caught.value.hint.endswith(f"chmod o-w {tmp_path / 'hub.toml'}")


def test_a_config_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(CallerFault) as caught:
        read_config(tmp_path / "hub.toml")
    assert "i247-hub init" in caught.value.hint
    with pytest.raises(WorldFault):
        read_config(tmp_path)


def test_a_huge_config_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CallerFault, match="reading") as caught:
        read(tmp_path, "#" * 70_000)
    assert "larger than" in caught.value.hint


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


@pytest.mark.parametrize("text", ["", "tcp://", "tcp://:7", "tcp://[::1:7", "tcp://[zz]:7", "tcp://a b:7", "udp://a:7"])
def test_a_wrong_endpoint_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=re.escape(text)):
        parse_endpoint(text)
