"""Read the one TOML file of a program into the type that says what may stand in it.

Decides: that a setting nobody knows, one of the wrong type and one that is missing are refused with path, line and
a way out; that the file cannot be changed by everybody. Leaves to others: what the settings mean. Such a file holds
no secrets, so no value of it is a secret; even so no fault repeats one. docs/operations.md.

A field of type `Path` is taken from the folder of the file unless it is absolute. A `kind` is a msgspec struct of
structs, lists, tuples, dicts with text keys, and plain values; `X | None` may stand around any of them, and
`object` for what another module reads.
"""

from __future__ import annotations

import re
import stat
import tomllib
import types
import typing
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from enum import Enum
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from i247_protocol.errors import CallerFault

T = TypeVar("T", bound=msgspec.Struct)


def read_config(path: Path, kind: type[T]) -> T:
    """Return the settings in the file; raise CallerFault that says what is wrong, where, and what to do."""
    text = _read(path)
    for number, line in enumerate(text.splitlines(), start=1):
        if line.count(".") > DOTS_IN_LINE_MAX:  # a key of many parts takes tomllib the square of their number
            raise _fault(path.name, number, "too many dots", "give each setting a line of its own")
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as fault:
        raise _fault(
            path.name, _line_in(fault, text), "not TOML", "see https://toml.io; text stands in quotes"
        ) from None
    except (RecursionError, ValueError):  # lists in lists without end, or a number of thousands of digits
        raise CallerFault(
            f"reading {path.name}: too deep, or too large a number", "write it anew from `init`"
        ) from None
    reading = _Reading(path, text)
    reading.check(table, kind, ())
    return reading.converted(table, kind)


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(BYTES_MAX + 1)
            is_open_to_all = path.stat().st_mode & stat.S_IWOTH
    except FileNotFoundError:
        raise CallerFault(f"reading {path}: there is no such file", "give its path, or let `init` write one") from None
    except PermissionError:
        raise CallerFault(
            f"reading {path}: not permitted", f"see `ls -l {path}`: this user must be able to read it"
        ) from None
    except OSError as fault:
        raise CallerFault(f"reading {path}: {fault.strerror}", "give the path of a TOML file") from fault
    if is_open_to_all:
        raise CallerFault(f"reading {path}: everybody may write in it", f"chmod o-w {path}")
    if len(data) > BYTES_MAX:
        raise CallerFault(f"reading {path}: more than {BYTES_MAX} bytes", "give the path of the program's own file")
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise CallerFault(f"reading {path}: not UTF-8", "save it as UTF-8") from None


class _Reading:
    """One file being held against its type."""

    def __init__(self, path: Path, text: str) -> None:
        self._path = path
        self._lines = _lines_of(text)

    def check(self, value: object, kind: object, at: _At) -> None:
        """Raise CallerFault at the first place where `value` is not of `kind`."""
        kind = _without_none(kind)
        arguments = typing.get_args(kind)
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
            self._check_table(value, kind, at)
        elif typing.get_origin(kind) is dict and isinstance(value, dict):
            for key, item in value.items():
                self.check(item, arguments[1], (*at, key))
        elif typing.get_origin(kind) in {list, tuple} and isinstance(value, list) and len(set(arguments) - {...}) == 1:
            for place, item in enumerate(value):
                self.check(item, arguments[0], (*at, place))
        else:
            self._check_value(value, kind, at)

    def converted(self, table: Mapping[str, object], kind: type[T]) -> T:
        """Return the whole, now that each part is of its type."""
        try:
            return msgspec.convert(table, kind, dec_hook=self._custom)
        except msgspec.ValidationError as fault:
            raise self._fault((), f"settings do not fit together: {_said(fault)}", "change one of them") from None

    def _check_table(self, value: object, kind: type[msgspec.Struct], at: _At) -> None:
        if not isinstance(value, dict):
            raise self._fault(at, f"expected a table, got {_called(value)}", f"write it as [{_spelled(at)}]")
        fields = {field.encode_name: field for field in msgspec.structs.fields(kind)}
        for key in value:
            if key not in fields:
                raise self._fault((*at, key), "unknown key", _hint_unknown(key, list(fields)))
        for key, field in fields.items():
            if key in value:
                self.check(value[key], field.type, (*at, key))
            elif field.required:
                raise self._fault((*at, key), "missing", f"add it; it is {_wanted(field.type)}")

    def _check_value(self, value: object, kind: object, at: _At) -> None:
        try:
            msgspec.convert(value, kind, dec_hook=self._custom)
        except msgspec.ValidationError as fault:
            if _is_choice(kind):
                raise self._fault(at, "none of the words that may stand here", _hint_choice(value, kind)) from None
            raise self._fault(at, _said(fault), f"it is {_wanted(kind)}") from None

    def _custom(self, kind: type, value: object) -> object:
        if kind is object:
            return value
        if kind is Path and isinstance(value, str):
            return self._path.parent / value
        message = "expected a text" if kind is Path else f"no setting is read as {kind.__name__}"
        raise ValueError(message)

    def _fault(self, at: _At, what: str, hint: str) -> CallerFault:
        known = (self._lines.get(at[:length]) for length in range(len(at), 0, -1))
        line = next((line for line in known if line is not None), None)
        return _fault(self._path.name, line, f"{_spelled(at)}: {what}" if at else what, hint)


def _fault(name: str, line: int | None, what: str, hint: str) -> CallerFault:
    return CallerFault(f"reading {name}{'' if line is None else f', line {line}'}: {what}", hint)


def _hint_unknown(key: str, known: Sequence[str]) -> str:
    if SECRET.search(key):
        return "no secret stands in this file; name the file that holds it"
    near = get_close_matches(key, known, 1)
    return f"did you mean `{near[0]}`?" if near else f"known here: {', '.join(known)}"


def _hint_choice(value: object, kind: object) -> str:
    choices = [str(choice) for choice in _choices(kind)]
    near = get_close_matches(str(value), choices, 1)
    return f"did you mean `{near[0]}`?" if near else f"one of {', '.join(choices)}"


def _is_choice(kind: object) -> bool:
    return typing.get_origin(kind) is typing.Literal or (isinstance(kind, type) and issubclass(kind, Enum))


def _choices(kind: object) -> list[object]:
    if isinstance(kind, type) and issubclass(kind, Enum):
        return [member.value for member in kind]
    return list(typing.get_args(kind))


def _wanted(kind: object) -> str:
    kind = _without_none(kind)
    if _is_choice(kind):
        return f"one of {', '.join(str(choice) for choice in _choices(kind))}"
    if typing.get_origin(kind) is typing.Annotated:
        return _wanted(typing.get_args(kind)[0])
    if isinstance(kind, typing.NewType):
        return _wanted(kind.__supertype__)
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return "a table"
    return CALLED.get(typing.get_origin(kind) or kind, "another kind of value")


def _called(value: object) -> str:
    return CALLED.get(type(value), "another kind of value")


def _said(fault: msgspec.ValidationError) -> str:
    words = str(fault).partition(" - at `")[0]
    return TYPE_WORD.sub(lambda found: TYPE_WORDS.get(found[1], found[0]), words[:1].lower() + words[1:])


def _without_none(kind: object) -> object:
    if typing.get_origin(kind) in {typing.Union, types.UnionType}:
        others = [one for one in typing.get_args(kind) if one is not types.NoneType]
        return others[0] if len(others) == 1 else kind
    return kind


def _spelled(at: _At) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in at).removeprefix(".")


def _line_in(fault: tomllib.TOMLDecodeError, text: str) -> int:
    found = AT_LINE.search(str(fault))
    return len(text.splitlines()) if found is None else int(found[1])


def _lines_of(text: str) -> dict[_At, int]:
    """Return on which line each key first stands, as far as can be seen without a parser that tells."""
    lines: dict[_At, int] = {}
    table: _At = ()
    for number, line in enumerate(text.splitlines(), start=1):
        header = HEADER.fullmatch(line)
        if header is not None:
            table = _keys_in(header[2])
            if header[1] == "[[":
                table = (*table, sum(known[:-1] == table and isinstance(known[-1], int) for known in lines))
            found = table
        else:
            found = (*table, *keys) if (keys := _keys_in(line.partition("=")[0])) and "=" in line else ()
        for length in range(1, len(found) + 1):
            lines.setdefault(found[:length], number)
    return lines


def _keys_in(text: str) -> _At:
    try:
        value: object = tomllib.loads(f"{text} = 0")
    except (RecursionError, ValueError):
        return ()
    keys = []
    while isinstance(value, dict) and value:
        (key, value), *_ = value.items()
        keys.append(key)
    return tuple(keys)


_At = tuple[str | int, ...]

BYTES_MAX: Final = 1024 * 1024
DOTS_IN_LINE_MAX: Final = 500
HEADER: Final = re.compile(r"\s*(\[\[?)([^\[\]]+)\]\]?\s*(?:#.*)?")
AT_LINE: Final = re.compile(r"at line (\d+)")
SECRET: Final = re.compile(r"passphrase|password|secret|private|token", re.IGNORECASE)
TYPE_WORD: Final = re.compile(r"`(\w+)(?: \| null)?`")
TYPE_WORDS: Final = {
    "array": "a list",
    "bool": "true or false",
    "float": "a number",
    "int": "a whole number",
    "null": "nothing",
    "object": "a table",
    "str": "a text",
}
CALLED: Final[Mapping[object, str]] = {
    bool: "true or false",
    dict: "a table",
    float: "a number",
    int: "a whole number",
    list: "a list",
    Path: "a path, as a text",
    str: "a text",
    tuple: "a list",
}
