"""Read node.toml: what `init` writes is right, and what is wrong is told with its place and a way out."""

from __future__ import annotations

from contextlib import chdir
from pathlib import Path

import pytest

from i247_node.config import find_config, first_config, read_config
from i247_protocol.errors import CallerFault
from i247_protocol.names import MemberCode

PIN = "ab" * 32


def write(folder: Path, *changes: tuple[str, str]) -> Path:
    text = first_config(MemberCode("FR"), passphrase_file="passphrase", pin=PIN)
    for old, new in changes:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    path = folder / "node.toml"
    path.write_text(text)
    return path


def test_the_first_config_is_right(tmp_path: Path) -> None:
    config = read_config(write(tmp_path))
    assert (config.member, config.pin) == ("FR", bytes.fromhex(PIN))
    assert config.store == tmp_path / "state" / "node.db"
    assert config.socket == tmp_path / "state" / "node.sock"
    assert config.socket_mode == 0o660
    assert config.identity == tmp_path / "identity.key"
    assert config.network_file == tmp_path / "network.i247"
    assert config.registers == {}
    assert config.log_level == "info"


def test_every_setting_has_a_comment_above_or_is_plain(tmp_path: Path) -> None:
    text = first_config(MemberCode("FR"), passphrase_file="passphrase", pin="")
    assert text.count("#") > 20
    assert read_config(write(tmp_path, (f'pin = "{PIN}"', 'pin = ""'))).pin is None


def test_what_is_commented_out_is_right_too(tmp_path: Path) -> None:
    """Take the sign away before each line that is a setting."""
    path = write(tmp_path)
    lines = [
        line[2:]
        if line.startswith(("# sltd", "# [policy", "# open_to", "# closed_to", "# purposes", "# file"))
        else line
        for line in path.read_text().splitlines()
    ]
    path.write_text("\n".join(lines))
    config = read_config(path)
    assert config.registers == {"sltd": tmp_path / "registers.db"}
    assert config.policy.registers["sltd"].open_to is None
    assert config.log_file == tmp_path / "node.log"


def test_complete_paths_stay(tmp_path: Path) -> None:
    config = read_config(write(tmp_path, ('# socket = "state/node.sock"', 'socket = "/run/i247/node.sock"')))
    assert config.socket == Path("/run/i247/node.sock")


def test_a_credential_takes_the_place_of_the_file(tmp_path: Path) -> None:
    config = read_config(write(tmp_path, ('passphrase_file = "passphrase"', 'passphrase_credential = "pass"')))
    assert (config.passphrase_file, config.passphrase_credential) == (None, "pass")


@pytest.mark.parametrize(
    ("change", "told", "hint"),
    [
        (('member = "FR"', 'member = "France"'), "member", "two capital letters"),
        (('state = "state"', 'stat = "state"'), "stat", "state"),
        (('state = "state"', "state = 5"), "state", "path"),
        ((f'pin = "{PIN}"', 'pin = "abc"'), "pin", "64 hexadecimal"),
        ((f'pin = "{PIN}"', ""), "pin", "add it"),
        (('mode = "0660"', 'mode = "rw"'), "interface.mode", ""),
        (('mode = "0660"', "mode = 432"), "interface.mode", "text"),
        (("refuse = []", 'refuse = ["France"]'), "policy.refuse[0]", "two capital letters"),
        (("refuse = []", "refusing = []"), "policy.refusing", "refuse"),
        (('# sltd = "registers.db"', 'sltd = "registers.db"'), "registers.sltd", "[policy.registers.sltd]"),
        (('level = "info"', 'level = "loud"'), "log.level", "info"),
        (('format = "text"', 'format = "xml"'), "log.format", "json"),
        (('passphrase_file = "passphrase"', ""), "keys", "one of passphrase_file"),
        (("# passphrase_credential", "passphrase_credential"), "keys", "not both"),
        (('passphrase_file = "passphrase"', 'passphrase = "secret words"'), "keys.passphrase", "no secret"),
        (("[log]", "[log"), "line", ""),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told(tmp_path: Path, change: tuple[str, str], told: str, hint: str) -> None:
    with pytest.raises(CallerFault) as caught:
        read_config(write(tmp_path, change))
    assert "node.toml" in caught.value.doing or "policy" in caught.value.doing
    assert told in caught.value.doing
    assert hint in caught.value.hint
    assert "secret words" not in f"{caught.value.doing} {caught.value.hint}"


def test_where_it_is_looked_for(tmp_path: Path) -> None:
    assert find_config(tmp_path / "other.toml") == tmp_path / "other.toml"
    with chdir(tmp_path):
        if not Path("/etc/i247/node.toml").exists():
            with pytest.raises(CallerFault) as caught:
                find_config(None)
            assert "--config" in caught.value.hint
        write(tmp_path)
        assert find_config(None) == Path("node.toml")
