"""What a user sees: faults in two lines, exit codes, tables, values, times; and nothing that acts on a terminal."""

import json
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

import click
import msgspec
import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from i247_edges.terminal import (
    DEGRADED,
    FAILED,
    OK,
    SENTENCES,
    USAGE,
    Commands,
    _width,
    emit,
    explain,
    fail,
    json_option,
    plain,
    shown,
    table,
    table_lines,
    when,
)
from i247_protocol.errors import CallerFault, PeerFault, WorldFault
from i247_protocol.names import WallMs
from i247_protocol.reasons import Reason

FAULTS = {
    "caller": CallerFault("reading x", "give y"),
    "world": WorldFault("writing x", "make room"),
    "peer": PeerFault(Reason.WRONG_PIN),
    "system": FileNotFoundError(2, "No such file or directory", "node.toml"),
    "bug": KeyError("secret value"),
}


@click.group(cls=Commands)
def program() -> None:
    """Do things."""


@program.command("raise")
@click.argument("name")
def raise_(name: str) -> None:
    raise FAULTS[name]


@program.command()
@click.argument("code", type=int)
def end(code: int) -> int:
    return code


@program.command()
def leave() -> None:
    click.get_current_context().exit(DEGRADED)


@program.command()
def stop() -> None:
    raise KeyboardInterrupt


@program.command()
@json_option
def values(*, as_json: bool) -> None:
    emit({"member": "FR", "ids": (b"\x01\xff",)}, as_json)


@program.group(cls=Commands)
def inner() -> None:
    """Do inner things."""


@inner.command("raise")
def inner_raise() -> None:
    raise FAULTS["caller"]


def run(*words: str) -> Result:
    return CliRunner().invoke(program, words, prog_name="i247-test")


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["raise", "caller"], FAILED, "error: reading x\nhint: give y\n"),
        (["raise", "world"], FAILED, "error: writing x\nhint: make room\n"),
        (
            ["raise", "peer"],
            FAILED,
            "error: the network file does not belong to the pin\nhint: compare the pin by another channel\n",
        ),
        (["raise", "system"], FAILED, "error: No such file or directory: node.toml\nhint: see owner, mode and disk"),
        (["raise", "bug"], FAILED, "error: KeyError at test_terminal.py:"),
        (["inner", "raise"], FAILED, "error: reading x\nhint: give y\n"),
        (["stop"], FAILED, "error: interrupted\nhint: "),
        (["end", "0"], OK, ""),
        (["end", "3"], DEGRADED, ""),
        (["leave"], DEGRADED, ""),
        (["end"], USAGE, "error: Missing argument 'CODE'.\nhint: i247-test end --help\n"),
        (["nothing"], USAGE, "error: No such command 'nothing'.\nhint: i247-test --help\n"),
        (["end", "--such"], USAGE, "error: No such option '--such'.\nhint: i247-test end --help\n"),
        (["values"], OK, ""),
    ],
)
def test_how_a_command_ends(words: list[str], code: int, told: str) -> None:
    result = run(*words)
    assert result.exit_code == code, result.output
    assert told in result.stderr
    assert bool(result.stderr) == bool(told)
    assert "Traceback" not in result.output
    assert "secret value" not in result.output


def test_a_traceback_is_shown_on_demand_alone() -> None:
    assert "Traceback" in run("--trace-errors", "raise", "bug").stderr
    assert "Traceback" in run("--trace-errors", "inner", "raise").stderr
    assert "--trace-errors" not in run("--help").output


def test_help_is_short_and_long() -> None:
    assert run("-h").output == run("--help").output
    assert run("-h").exit_code == OK


def test_no_command_shows_help() -> None:
    result = run()
    assert result.exit_code == USAGE
    assert "Usage:" in result.output


def test_a_fault_outside_any_command_ends_the_process(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        fail(FAULTS["caller"])
    assert ended.value.code == FAILED
    assert capsys.readouterr().err == "error: reading x\nhint: give y\n"


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_has_its_sentence(reason: Reason) -> None:
    told = explain(PeerFault(reason))
    assert told == SENTENCES[reason]
    assert told.error
    assert told.hint
    assert not told.error.endswith(".")
    assert reason.value not in told or len(reason.value) < 10


def test_a_fault_cannot_act_on_the_terminal() -> None:
    assert shown("a\x1b[2Jb\nc\u202ed\u200be") == "a\ufffd[2Jb c\ufffdd\ufffde"


def test_a_table_is_aligned_by_width_on_screen() -> None:
    lines = table_lines(["member", "name", "seen"], [["FR", "日本", None], ["XP", "e\u0301te\u0301", True]], None)
    assert lines == ["member  name  seen", "FR      日本  -", "XP      e\u0301te\u0301   yes"]


def test_a_table_is_cut_to_its_width() -> None:
    assert table_lines(["a"], [["123456"], ["日本日本"]], 5) == ["a", "1234…", "日本…"]


@given(st.lists(st.tuples(st.text(max_size=30), st.text(max_size=30)), max_size=5), st.integers(5, 40))
def test_no_line_is_wider_than_asked(rows: list[tuple[str, str]], width: int) -> None:
    assert all(_width(line) <= width for line in table_lines(["one", "two"], rows, width))


@given(st.text())
def test_shown_text_is_one_line_without_control_characters(text: str) -> None:
    assert len(shown(text).splitlines()) <= 1
    assert "\x1b" not in shown(text)


def test_a_table_that_goes_to_no_terminal_is_whole_and_plain(capsys: pytest.CaptureFixture[str]) -> None:
    table(["a", "b"], [["x" * 300, 1]])
    assert capsys.readouterr().out == f"a{' ' * 301}b\n{'x' * 300}  1\n"


class Colour(StrEnum):
    RED = "red"


class Row(NamedTuple):
    name: str
    id: bytes


class Letter(msgspec.Struct, frozen=True):
    colour: Colour
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Parcel:
    path: Path
    kinds: frozenset[str]


@pytest.mark.parametrize(
    ("value", "simple"),
    [
        (Letter(Colour.RED, (Row("a", b"\x00\xff"),)), {"colour": "red", "rows": [{"name": "a", "id": "00ff"}]}),
        (Parcel(Path("x/y"), frozenset("ba")), {"path": "x/y", "kinds": ["a", "b"]}),
        ({b"\x01": [1, 2.5, None, True]}, {"01": [1, 2.5, None, True]}),
    ],
)
def test_values_become_json(value: object, simple: object, capsys: pytest.CaptureFixture[str]) -> None:
    assert plain(value) == simple
    emit(value, as_json=True)
    assert json.loads(capsys.readouterr().out) == simple


def test_what_cannot_be_printed_is_the_callers_fault() -> None:
    with pytest.raises(CallerFault, match="printing a object"):
        plain(object())


@pytest.mark.parametrize(
    ("value", "lines"),
    [
        ({"a": 1, "long": [True, None]}, ["a:    1", "long: yes, -"]),
        ([Row("FR", b"\x01"), Row("日本", b"")], ["name  id", "FR    01", "日本"]),
        (["one", "two\x1b"], ["one", "two\ufffd"]),
        ("text", ["text"]),
        ({"in": {"a": 1, "b": []}}, ["in: a=1, b=-"]),
        ({}, []),
        ([], []),
    ],
)
def test_values_for_people(value: object, lines: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    emit(value, as_json=False)
    assert capsys.readouterr().out.splitlines() == lines


def test_times_are_in_utc() -> None:
    assert when(WallMs(1_772_800_000_999)) == "2026-03-06 12:26:40 UTC"
    assert when(None) == "-"
