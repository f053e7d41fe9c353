"""The one TOML file of a program: what it is read into, and how each mistake is told."""

import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from i247_edges.config import _lines_of, read_config
from i247_protocol.errors import CallerFault
from i247_protocol.names import HubName


class Form(StrEnum):
    JSON = "json"
    CONSOLE = "console"


class Listen(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    address: str
    port: Annotated[int, msgspec.Meta(ge=1, le=65535)]


class Hub(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: HubName
    weight: float = 1.0


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    member: str
    store: Path
    listen: Listen
    hubs: tuple[Hub, ...] = ()
    form: Form = Form.JSON
    level: Literal["info", "debug"] = "info"
    metrics: Listen | None = None
    registers: dict[str, Listen] = {}
    policy: dict[str, object] = {}
    pins: list[str] = []
    exercise: bool = False


GOOD = """\
member = "UT"
store = "state/node.db"

[listen]
address = "127.0.0.1"
port = 7247
"""


def read(folder: Path, text: str) -> Settings:
    path = folder / "node.toml"
    path.write_text(text, encoding="utf-8")
    return read_config(path, Settings)


def test_settings_are_read(tmp_path: Path) -> None:
    more = """
[[hubs]]
name = "lyon"
[[hubs]]
name = "abidjan"
weight = 2
[registers.sltd]
address = "x"
port = 1
[policy.anything]
goes = [1, "two"]
"""
    settings = read(tmp_path, 'form = "console"\nlevel = "debug"\npins = ["a"]\nexercise = true\n' + GOOD + more)
    assert settings == Settings(
        member="UT",
        store=tmp_path / "state" / "node.db",
        listen=Listen("127.0.0.1", 7247),
        hubs=(Hub(HubName("lyon")), Hub(HubName("abidjan"), 2)),
        form=Form.CONSOLE,
        level="debug",
        registers={"sltd": Listen("x", 1)},
        policy={"anything": {"goes": [1, "two"]}},
        pins=["a"],
        exercise=True,
    )


def test_an_absolute_path_stays(tmp_path: Path) -> None:
    assert read(tmp_path, GOOD.replace("state/node.db", "/var/lib/node.db")).store == Path("/var/lib/node.db")


@pytest.mark.parametrize(
    ("text", "told", "hint"),
    [
        (GOOD + "prot = 1\n", "line 7: listen.prot: unknown key", "did you mean `port`?"),
        ("zzz = 1\n" + GOOD, "line 1: zzz: unknown key", "known here: member, store"),
        ('passphrase = "hunter2"\n' + GOOD, "line 1: passphrase: unknown key", "no secret stands in this file"),
        (GOOD + '[[hubs]]\nname = "a"\n[[hubs]]\nnam = "b"\n', "line 10: hubs[1].nam: unknown key", "`name`"),
        (GOOD + '[registers."s l"]\nadress = "b"\n', "line 8: registers.s l.adress: unknown key", "`address`"),
        (GOOD.replace("7247", '"7247"'), "line 6: listen.port: expected a whole number, got a text", "a whole number"),
        (GOOD.replace("7247", "99999"), "line 6: listen.port: expected a whole number <= 65535", "a whole number"),
        (GOOD.replace("7247", "true"), "line 6: listen.port: expected a whole number, got true or false", ""),
        (GOOD.replace('"UT"', "1"), "line 1: member: expected a text, got a whole number", "it is a text"),
        (GOOD.replace('"state/node.db"', "3"), "line 2: store: expected a text", "it is a path, as a text"),
        (GOOD.replace("port = 7247", ""), "line 4: listen.port: missing", "it is a whole number"),
        ('member = "UT"\nstore = "x"\n', ": listen: missing", "it is a table"),
        ("listen = 3\n" + GOOD.partition("[")[0], "line 1: listen: expected a table, got a whole number", "[listen]"),
        ("metrics = 3\n" + GOOD, "line 1: metrics: expected a table, got a whole number", "[metrics]"),
        ("hubs = [3]\n" + GOOD, "line 1: hubs[0]: expected a table, got a whole number", ""),
        ("hubs = 3\n" + GOOD, "line 1: hubs: expected a list, got a whole number", "it is a list"),
        ('pins = ["a", 2]\n' + GOOD, "line 1: pins[1]: expected a text, got a whole number", ""),
        ("registers = 3\n" + GOOD, "line 1: registers: expected a table, got a whole number", "it is a table"),
        ('form = "jsno"\n' + GOOD, "line 1: form: none of the words", "did you mean `json`?"),
        ('form = "xml"\n' + GOOD, "line 1: form: none of the words", "one of json, console"),
        ('level = "trace"\n' + GOOD, "line 1: level: none of the words", "one of info, debug"),
        (GOOD + "= 3", "line 7: not TOML", "toml.io"),
        (GOOD + 'address = "again"', "line 7: not TOML", "toml.io"),
    ],
)
def test_a_mistake_is_told_with_place_and_way_out(tmp_path: Path, text: str, told: str, hint: str) -> None:
    with pytest.raises(CallerFault) as caught:
        read(tmp_path, text)
    assert told in caught.value.doing
    assert caught.value.doing.startswith("reading node.toml")
    assert hint in caught.value.hint
    assert caught.value.hint
    assert "hunter2" not in caught.value.doing + caught.value.hint


def test_what_is_no_readable_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(CallerFault, match="no such file"):
        read_config(tmp_path / "missing.toml", Settings)
    with pytest.raises(CallerFault, match="reading"):
        read_config(tmp_path, Settings)
    latin = tmp_path / "latin.toml"
    latin.write_bytes(b'member = "\xe9"')
    with pytest.raises(CallerFault, match="not UTF-8"):
        read_config(latin, Settings)
    large = tmp_path / "large.toml"
    large.write_bytes(b"#" * (1024 * 1024 + 1))
    with pytest.raises(CallerFault, match="more than"):
        read_config(large, Settings)


def test_a_file_that_everybody_may_write_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "node.toml"
    path.write_text(GOOD)
    path.chmod(0o646)
    with pytest.raises(CallerFault, match="everybody may write") as caught:
        read_config(path, Settings)
    assert caught.value.hint == f"chmod o-w {path}"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_told(tmp_path: Path) -> None:
    path = tmp_path / "node.toml"
    path.write_text(GOOD)
    path.chmod(0)
    with pytest.raises(CallerFault, match="not permitted"):
        read_config(path, Settings)


@given(st.text("[]ab.=\"'\n# 1", max_size=60))
def test_any_text_has_lines(text: str) -> None:
    assert all(1 <= line <= len(text.splitlines()) for line in _lines_of(text).values())
