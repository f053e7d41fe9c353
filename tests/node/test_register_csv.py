"""Rows of a CSV file: which become records, and what is said of the others."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from i247_node.register_csv import LINE_CHARS_MAX, MAY, MUST, BadRow, Rule, read_rows
from i247_node.registers import Kind, Record
from i247_protocol.errors import CallerFault
from i247_protocol.limits import FIELD_TEXT_BYTES_MAX
from i247_protocol.queries import Person, TravelDocument, Vehicle

HEADERS = {kind: ",".join(MUST[kind]) for kind in Kind}
DOCUMENT = "UTO,L898902C3,P,stolen,XP,1,seize"
DEMO = Path(__file__).parents[2] / "demo" / "registers"


def read(kind: Kind, *rows: str, header: str | None = None) -> list[Record | BadRow]:
    return list(read_rows(kind, [f"{line}\n" for line in (header or HEADERS[kind], *rows)]))


@pytest.mark.parametrize(
    ("kind", "row", "subject"),
    [
        (Kind.DOCUMENTS, DOCUMENT, TravelDocument(country="UTO", number="L898902C3", type="P")),
        (Kind.DOCUMENTS, ' D ,"c01-x 0006h", ,lost,DE,1,a', TravelDocument(country="D", number="C01X0006H", type="")),
        (Kind.VEHICLES, "1M8GDM9AXKP042788,,,stolen,FR,1,a", Vehicle(country="", plate="", vin="1M8GDM9AXKP042788")),
        (Kind.VEHICLES, ",ab-12,UTO,wanted,FR,1,a", Vehicle(country="UTO", plate="AB12", vin="")),
        (
            Kind.PERSONS,
            "Müller,Jörg,1960-02-29,wanted,DE,1,a",
            Person(born="1960-02-29", family="Müller", given="Jörg"),
        ),
        (Kind.PERSONS, "Li,,1960,missing,CN,1,a", Person(born="1960", family="Li", given="")),
    ],
)
def test_a_row_becomes_a_record(kind: Kind, row: str, subject: object) -> None:
    (record,) = read(kind, row)
    assert isinstance(record, Record), record
    assert record.subject == subject


def test_what_is_told_stands_as_it_was_written() -> None:
    header = HEADERS[Kind.DOCUMENTS] + ",remark,reported,issued"
    (record,) = read(Kind.DOCUMENTS, DOCUMENT + ',"one ""word"", two",2024-02-11,', header=header)
    assert isinstance(record, Record), record
    assert record.fields == {
        "country": "UTO",
        "number": "L898902C3",
        "type": "P",
        "status": "stolen",
        "remark": 'one "word", two',
        "reported": "2024-02-11",
    }
    assert (record.owner, record.record, record.action) == ("XP", "1", "seize")


@pytest.mark.parametrize(
    ("kind", "row", "column", "rule"),
    [
        (Kind.DOCUMENTS, ",A1,P,lost,XP,1,a", "country", Rule.MISSING),
        (Kind.DOCUMENTS, "UTO,,P,lost,XP,1,a", "number", Rule.MISSING),
        (Kind.DOCUMENTS, "UTO,A1,P,,XP,1,a", "status", Rule.MISSING),
        (Kind.DOCUMENTS, "UTO,A1,P,lost,,1,a", "owner", Rule.MISSING),
        (Kind.DOCUMENTS, "UTO,A1,P,lost,XP,,a", "record", Rule.MISSING),
        (Kind.DOCUMENTS, "UTO,A1,P,lost,XP,1, ", "action", Rule.MISSING),
        (Kind.DOCUMENTS, "UTO,--,P,lost,XP,1,a", "number", Rule.NO_LETTER_OR_DIGIT),
        (Kind.DOCUMENTS, "Utopia,A1,P,lost,XP,1,a", "country", Rule.NOT_A_COUNTRY),
        (Kind.DOCUMENTS, "UTO,A1,passport,lost,XP,1,a", "type", Rule.NOT_A_TYPE),
        (Kind.DOCUMENTS, "UTO,A1,P,borrowed,XP,1,a", "status", Rule.NOT_A_STATUS),
        (Kind.DOCUMENTS, "UTO,A1,P,wanted,XP,1,a", "status", Rule.NOT_A_STATUS),
        (Kind.DOCUMENTS, "UTO,A1,P,lost,xp,1,a", "owner", Rule.NOT_A_MEMBER),
        (Kind.DOCUMENTS, "UTO,A1,P,lost,XP,1,a\x1b[2J", "action", Rule.CONTROL_CHARACTER),
        (Kind.DOCUMENTS, "UTO,A1,P,lost,XP,1,a\u202eb", "action", Rule.CONTROL_CHARACTER),
        (Kind.DOCUMENTS, f"UTO,A1,P,lost,XP,1,{'é' * FIELD_TEXT_BYTES_MAX}", "action", Rule.TOO_LONG),
        (Kind.DOCUMENTS, "UTO,A1,P,lost,XP,1", "", Rule.COLUMN_COUNT),
        (Kind.DOCUMENTS, "UTO,A1,P,lost,XP,1,a,b", "", Rule.COLUMN_COUNT),
        (Kind.DOCUMENTS, '"UTO,A1,P,lost,XP,1,a', "", Rule.QUOTING),
        (Kind.DOCUMENTS, '"UTO"x,A1,P,lost,XP,1,a', "", Rule.QUOTING),
        (Kind.VEHICLES, ",,UTO,stolen,XP,1,a", "vin", Rule.MISSING),
        (Kind.VEHICLES, ",AB1,,stolen,XP,1,a", "country", Rule.MISSING),
        (Kind.VEHICLES, "-,AB1,UTO,stolen,XP,1,a", "vin", Rule.NO_LETTER_OR_DIGIT),
        (Kind.PERSONS, ",Anna,1974,wanted,XP,1,a", "family", Rule.MISSING),
        (Kind.PERSONS, "Li,,12.08.1974,wanted,XP,1,a", "born", Rule.NOT_A_DATE),
        (Kind.PERSONS, "Li,,1974-02-30,wanted,XP,1,a", "born", Rule.NOT_A_DATE),
        (Kind.PERSONS, "Li,,0000,wanted,XP,1,a", "born", Rule.NOT_A_DATE),
        (Kind.PERSONS, "Li,,1974,stolen,XP,1,a", "status", Rule.NOT_A_STATUS),
    ],
)
def test_a_bad_row_is_told_by_place_and_rule(kind: Kind, row: str, column: str, rule: Rule) -> None:
    assert read(kind, row) == [BadRow(2, column, rule)]


def test_reading_goes_on_after_a_bad_row() -> None:
    rows = read(Kind.DOCUMENTS, '"', "", DOCUMENT, DOCUMENT, DOCUMENT.replace(",1,", ",2,"))
    assert [row if isinstance(row, BadRow) else row.record for row in rows] == [
        BadRow(2, "", Rule.QUOTING),
        "1",
        BadRow(5, "record", Rule.DUPLICATE),
        "2",
    ]


@pytest.mark.parametrize("end", ["\n", "\r\n", ""])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_byte_order_mark_and_line_ends_do_not_matter(mark: str, end: str) -> None:
    rows = list(read_rows(Kind.DOCUMENTS, [mark + HEADERS[Kind.DOCUMENTS] + end, DOCUMENT + end]))
    assert [type(row) for row in rows] == [Record]


def test_columns_stand_in_any_order() -> None:
    header = ",".join(reversed(MUST[Kind.DOCUMENTS]))
    (record,) = read(Kind.DOCUMENTS, ",".join(reversed(DOCUMENT.split(","))), header=header)
    assert isinstance(record, Record), record
    assert record.owner == "XP"


@pytest.mark.parametrize(
    ("header", "told", "hint"),
    [
        ("", "no column country, number", "the first line names"),
        ("country;number;type;status;owner;record;action", "no column", "commas"),
        ("country,number,status,owner,record,action", "no column type", "the first line names"),
        (HEADERS[Kind.DOCUMENTS] + ",remarks", "column 8 has no name that is known", "did you mean `remark`?"),
        (HEADERS[Kind.DOCUMENTS] + ",holder", "column 8 has no name that is known", "known here"),
        (HEADERS[Kind.DOCUMENTS] + ",type", "two columns type", "leave one"),
        ('"' + HEADERS[Kind.DOCUMENTS], "quotes", "CSV"),
    ],
)
def test_a_wrong_first_line_is_told(header: str, told: str, hint: str) -> None:
    with pytest.raises(CallerFault, match=told) as caught:
        list(read_rows(Kind.DOCUMENTS, [header + "\n", DOCUMENT]))
    assert hint in caught.value.hint


def test_a_file_without_lines_is_told() -> None:
    with pytest.raises(CallerFault, match="no column"):
        list(read_rows(Kind.DOCUMENTS, []))


def test_an_endless_line_is_told() -> None:
    with pytest.raises(CallerFault, match="reading line 2: more than"):
        read(Kind.DOCUMENTS, "x" * (LINE_CHARS_MAX + 1))


def test_rows_are_read_one_by_one() -> None:
    lines = iter([HEADERS[Kind.DOCUMENTS], DOCUMENT, "x" * (LINE_CHARS_MAX + 1)])
    assert isinstance(next(read_rows(Kind.DOCUMENTS, lines)), Record)


@given(st.sampled_from(Kind), st.lists(st.text(max_size=40) | st.text('UTO,"1- \t;', max_size=40)))
def test_any_text_is_a_record_or_a_bad_row(kind: Kind, lines: list[str]) -> None:
    rows = list(read_rows(kind, [HEADERS[kind], *lines]))
    assert all(isinstance(row, Record | BadRow) for row in rows)
    assert len(rows) <= len(lines)


def test_columns_are_documented_once_each() -> None:
    for kind in Kind:
        assert not set(MUST[kind]) & set(MAY[kind])


def test_the_example_register_is_clean() -> None:
    rows = list(read_rows(Kind.DOCUMENTS, (DEMO / "sltd.csv").read_text(encoding="utf-8").splitlines(keepends=True)))
    assert [row for row in rows if isinstance(row, BadRow)] == []
    assert len(rows) > 20
