"""Turn rows of a CSV file into records of a register, and say which rows are none and why.

Decides: the columns, and what may stand in them. Leaves to others: the file and the store (`registers_sqlite`).
Text is UTF-8, with or without a byte order mark; columns are separated by commas, in any order, named in the first
line; a cell may stand in "double quotes", one inside it doubled; a row is one line. Empty lines are passed over.
docs/protocol.md 7.2.

    column       kinds      must   what
    record       all        yes    the owner's number of the record; no two rows have the same
    owner        all        yes    member code of the bureau to ask before acting, such as FR
    status       all        yes    documents: lost stolen stolen-blank revoked invalid
                                   vehicles:  stolen wanted
                                   persons:   wanted suspect convicted witness victim missing unidentified deceased
                                              possible-threat un-sanctioned
    action       all        yes    what the owner asks for, as a sentence
    country      documents  yes    who issued it: one to three letters of ICAO 9303, such as FRA, D or UTO
    number       documents  yes    as printed or as in the machine-readable zone
    type         documents  no     one or two letters as in the machine-readable zone, such as P or ID
    vin          vehicles   or     identification number } one of both
    plate        vehicles   or     plate, with country   }
    country      vehicles   or     as above; wherever there is a plate
    family       persons    yes    family name
    given        persons    no     given names
    born         persons    no     YYYY-MM-DD or YYYY

Columns that need not be there, told to who asks as they stand: `reported` (a date) and `remark` for all; `issued`
and `expires` (dates) for documents, which never name their holder; `make`, `model`, `colour`, `year` for vehicles;
`sex`, `nationality`, `notice` for persons. Columns marked `no` or `or` must be named in the first line, their cells
may be empty.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date
from difflib import get_close_matches
from enum import StrEnum
from typing import Final, NamedTuple

from i247_node.registers import Kind, Record, search_keys
from i247_protocol.errors import CallerFault
from i247_protocol.limits import FIELD_TEXT_BYTES_MAX
from i247_protocol.mrz import normal_number
from i247_protocol.queries import Criteria, Person, TravelDocument, Vehicle


class Rule(StrEnum):
    """What a row broke."""

    QUOTING = "quoting"
    COLUMN_COUNT = "column-count"
    MISSING = "missing"
    TOO_LONG = "too-long"
    CONTROL_CHARACTER = "control-character"
    NOT_A_COUNTRY = "not-a-country"
    NOT_A_TYPE = "not-a-type"
    NO_LETTER_OR_DIGIT = "no-letter-or-digit"
    NOT_A_MEMBER = "not-a-member"
    NOT_A_STATUS = "not-a-status"
    NOT_A_DATE = "not-a-date"
    DUPLICATE = "duplicate"


class BadRow(NamedTuple):
    """Where a row broke which rule; `column` is empty when it is about the whole row. Never what stands there."""

    line: int
    column: str
    rule: Rule


def read_rows(kind: Kind, lines: Iterable[str]) -> Iterator[Record | BadRow]:
    """Yield one record, or why there is none, for each row; raise CallerFault when the file as a whole is wrong.

    `lines` are lines as a text file yields them, taken one by one.
    """
    numbered = _numbered(lines)
    columns = _columns(kind, next(numbered, (1, ""))[1])
    seen: set[str] = set()
    for line, text in numbered:
        row = _row(kind, columns, line, text)
        if isinstance(row, Record):
            if row.record in seen:
                row = BadRow(line, "record", Rule.DUPLICATE)
            else:
                seen.add(row.record)
        yield row


def _numbered(lines: Iterable[str]) -> Iterator[tuple[int, str]]:
    for line, text in enumerate(lines, start=1):
        if line > LINES_MAX:
            raise CallerFault(f"reading the register: more than {LINES_MAX} lines", "split it into several registers")
        if len(text) > LINE_CHARS_MAX:
            raise CallerFault(f"reading line {line}: more than {LINE_CHARS_MAX} characters", HINT_FORMAT)
        bare = text.removeprefix("\ufeff" if line == 1 else "").rstrip("\r\n")
        if bare or line == 1:
            yield line, bare


def _columns(kind: Kind, header: str) -> list[str]:
    try:
        columns = _cells(header)
    except csv.Error:
        raise CallerFault("reading the first line: the quotes are not balanced", HINT_FORMAT) from None
    must, may = MUST[kind], MAY[kind]
    if missing := [column for column in must if column not in columns]:
        raise CallerFault(f"reading the first line: no column {', '.join(missing)}", _header_hint(header, must))
    for place, column in enumerate(columns, start=1):
        if column not in must and column not in may:
            near = get_close_matches(column, [*must, *may], 1)
            hint = f"did you mean `{near[0]}`?" if near else f"known here: {', '.join([*must, *may])}"
            raise CallerFault(f"reading the first line: column {place} has no name that is known", hint)
        if column in columns[: place - 1]:
            raise CallerFault(f"reading the first line: two columns {column}", "leave one of them")
    return columns


def _header_hint(header: str, must: Iterable[str]) -> str:
    if "," not in header and (";" in header or "\t" in header):
        return "separate the columns by commas"
    return f"the first line names the columns: {','.join(must)}"


def _row(kind: Kind, columns: list[str], line: int, text: str) -> Record | BadRow:
    try:
        cells = _cells(text)
    except csv.Error:
        return BadRow(line, "", Rule.QUOTING)
    if len(cells) != len(columns):
        return BadRow(line, "", Rule.COLUMN_COUNT)
    row = {column: cell.strip() for column, cell in zip(columns, cells, strict=True)}
    for column, cell in row.items():
        rule = _broken(kind, column, cell)
        if rule is not None:
            return BadRow(line, column, rule)
    subject = SUBJECTS[kind](row)
    if kind is Kind.VEHICLES and row["plate"] and not row["country"]:
        return BadRow(line, "country", Rule.MISSING)
    if not search_keys(subject):
        return BadRow(line, KEY_COLUMN[kind], Rule.MISSING)
    return Record(
        subject=subject,
        action=row["action"],
        fields={column: cell for column, cell in row.items() if cell and column not in TOLD_ELSEWHERE},
        owner=row["owner"],
        record=row["record"],
    )


def _cells(text: str) -> list[str]:
    return next(csv.reader([text], strict=True), [])


def _broken(kind: Kind, column: str, cell: str) -> Rule | None:
    if len(cell.encode(errors="replace")) > FIELD_TEXT_BYTES_MAX:
        return Rule.TOO_LONG
    if CONTROL.search(cell):
        return Rule.CONTROL_CHARACTER
    if not cell:
        return Rule.MISSING if column in FILLED[kind] else None
    if column == "status":
        return None if cell in STATUSES[kind] else Rule.NOT_A_STATUS
    pattern, rule = PATTERNS.get(column, (ANYTHING, None))
    if pattern.fullmatch(cell) is None or (rule is Rule.NOT_A_DATE and not _is_date(cell)):
        return rule
    return Rule.NO_LETTER_OR_DIGIT if column in KEYS and not normal_number(cell) else None


def _is_date(cell: str) -> bool:
    try:
        date.fromisoformat(cell if len(cell) > len("YYYY") else f"{cell}-01-01")
    except ValueError:
        return False
    return True


def _document(row: Mapping[str, str]) -> Criteria:
    return TravelDocument(country=row["country"], number=normal_number(row["number"]), type=row["type"])


def _vehicle(row: Mapping[str, str]) -> Criteria:
    return Vehicle(country=row["country"], plate=normal_number(row["plate"]), vin=normal_number(row["vin"]))


def _person(row: Mapping[str, str]) -> Criteria:
    return Person(born=row["born"], family=row["family"], given=row["given"])


LINES_MAX: Final = 5_000_000
LINE_CHARS_MAX: Final = 64 * 1024
HINT_FORMAT: Final = "save the table as CSV in UTF-8, columns separated by commas, one row a line"

SUBJECTS: Final[Mapping[Kind, Callable[[Mapping[str, str]], Criteria]]] = {
    Kind.DOCUMENTS: _document,
    Kind.VEHICLES: _vehicle,
    Kind.PERSONS: _person,
}
MUST: Final = {
    Kind.DOCUMENTS: ("country", "number", "type", "status", "owner", "record", "action"),
    Kind.VEHICLES: ("vin", "plate", "country", "status", "owner", "record", "action"),
    Kind.PERSONS: ("family", "given", "born", "status", "owner", "record", "action"),
}
MAY: Final = {
    Kind.DOCUMENTS: ("issued", "expires", "reported", "remark"),
    Kind.VEHICLES: ("make", "model", "colour", "year", "reported", "remark"),
    Kind.PERSONS: ("sex", "nationality", "notice", "reported", "remark"),
}
KEY_COLUMN: Final = {Kind.DOCUMENTS: "number", Kind.VEHICLES: "vin", Kind.PERSONS: "family"}
FILLED: Final = {
    Kind.DOCUMENTS: ("country", "number", "status", "owner", "record", "action"),
    Kind.VEHICLES: ("status", "owner", "record", "action"),
    Kind.PERSONS: ("family", "status", "owner", "record", "action"),
}
KEYS: Final = frozenset({"number", "vin", "plate", "family"})
TOLD_ELSEWHERE: Final = frozenset({"owner", "record", "action"})
STATUSES: Final = {
    Kind.DOCUMENTS: ("lost", "stolen", "stolen-blank", "revoked", "invalid"),
    Kind.VEHICLES: ("stolen", "wanted"),
    Kind.PERSONS: (
        *("wanted", "suspect", "convicted", "witness", "victim", "missing", "unidentified", "deceased"),
        *("possible-threat", "un-sanctioned"),
    ),
}

CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]")
ANYTHING: Final = re.compile(r".*")
_A_DATE: Final = (re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}"), Rule.NOT_A_DATE)
PATTERNS: Final[Mapping[str, tuple[re.Pattern[str], Rule | None]]] = {
    "country": (re.compile(r"[A-Z]{1,3}"), Rule.NOT_A_COUNTRY),
    "nationality": (re.compile(r"[A-Z]{1,3}"), Rule.NOT_A_COUNTRY),
    "owner": (re.compile(r"[A-Z][A-Z0-9]|[0-9][A-Z]"), Rule.NOT_A_MEMBER),
    "type": (re.compile(r"[A-Z]{1,2}"), Rule.NOT_A_TYPE),
    "born": (re.compile(r"[0-9]{4}(-[0-9]{2}-[0-9]{2})?"), Rule.NOT_A_DATE),
    "issued": _A_DATE,
    "expires": _A_DATE,
    "reported": _A_DATE,
}
