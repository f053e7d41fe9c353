"""The machine-readable zone: specimens, long numbers, torn input, and every wrong digit noticed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from i247_protocol.errors import CallerFault
from i247_protocol.mrz import (
    Format,
    Mrz,
    birth_date,
    check_digit,
    expiry_date,
    normal_number,
    parse_mrz,
    person,
    travel_document,
)
from i247_protocol.names import WallMs
from i247_protocol.queries import Person, TravelDocument

TD3 = "P<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<<<<<<<<<<\nL898902C36UTO7408122F1204159ZE184226B<<<<<10"
TD3_D = "P<D<<MUSTERMANN<<ERIKA<<<<<<<<<<<<<<<<<<<<<<\nC01X0006H1D<<6408125F1710319<<<<<<<<<<<<<<<0"
TD3_OCR = "P<UT0ERIK55ON<<ANNA<MAR1A<<<<<<<<<<<<<<<<<<<\nL898902C36UTO740BIZZF12041S9ZE184226B<<<<<1O"
TD1 = "I<UTOD231458907<<<<<<<<<<<<<<<\n7408122F1204159UTO<<<<<<<<<<<6\nERIKSSON<<ANNA<MARIA<<<<<<<<<<"
TD1_LONG = "I<UTOD23145890<7349<<<<<<<<<<<\n3407127M9507122UTO<<<<<<<<<<<2\nSTEVENSON<<PETER<JOHN<<<<<<<<<"
TD1_LONG_FILLER = "IDBEL000590448<3016<<<<<<<<<<<\n8501019F1702035BEL850101002007\nLE<MEUNIER<<JENNIFER<ANNE<<<<<"
TD2 = "I<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<<\nD231458907UTO7408122F1204159<<<<<<<6"
TD2_LONG = "I<UTOSTEVENSON<<PETER<JOHN<<<<<<<<<<\nD23145890<UTO3407127M95071227349<<<8"
MRV_A = "V<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<<<<<<<<<<\nL8988901C4XXX4009078F96121096ZE184226B<<<<<<"
MRV_B = "V<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<<\nL8988901C4XXX4009078F9612109<<<<<<<<"

READ = {
    TD3: (Format.TD3, "P", "UTO", "L898902C3", "ERIKSSON", "ANNA MARIA", "UTO", "740812", "F", "120415"),
    TD3_D: (Format.TD3, "P", "D", "C01X0006H", "MUSTERMANN", "ERIKA", "D", "640812", "F", "171031"),
    TD3_OCR: (Format.TD3, "P", "UTO", "L898902C3", "ERIKSSON", "ANNA MARIA", "UTO", "740812", "F", "120415"),
    TD1: (Format.TD1, "I", "UTO", "D23145890", "ERIKSSON", "ANNA MARIA", "UTO", "740812", "F", "120415"),
    TD1_LONG: (Format.TD1, "I", "UTO", "D23145890734", "STEVENSON", "PETER JOHN", "UTO", "340712", "M", "950712"),
    TD1_LONG_FILLER: (
        *(Format.TD1, "ID", "BEL", "000590448301", "LE MEUNIER", "JENNIFER ANNE", "BEL", "850101", "F", "170203"),
    ),
    TD2: (Format.TD2, "I", "UTO", "D23145890", "ERIKSSON", "ANNA MARIA", "UTO", "740812", "F", "120415"),
    TD2_LONG: (Format.TD2, "I", "UTO", "D23145890734", "STEVENSON", "PETER JOHN", "UTO", "340712", "M", "950712"),
    MRV_A: (Format.MRV_A, "V", "UTO", "L8988901C", "ERIKSSON", "ANNA MARIA", "XXX", "400907", "F", "961210"),
    MRV_B: (Format.MRV_B, "V", "UTO", "L8988901C", "ERIKSSON", "ANNA MARIA", "XXX", "400907", "F", "961210"),
}

# Where a check digit guards the digits of a zone without its line breaks, itself included.
CHECKED = {
    TD3: [(44, 54), (57, 64), (65, 88)],
    TD3_D: [(44, 54), (57, 64), (65, 88)],
    TD1: [(5, 37), (38, 45), (48, 60)],
    TD1_LONG: [(5, 37), (38, 45), (48, 60)],
    TD1_LONG_FILLER: [(5, 37), (38, 45), (48, 60)],
    TD2: [(36, 46), (49, 56), (57, 72)],
    TD2_LONG: [(36, 46), (49, 56), (57, 72)],
    MRV_A: [(44, 54), (57, 64), (65, 72)],
    MRV_B: [(36, 46), (49, 56), (57, 64)],
}

MARCH_2026 = WallMs(1_772_800_000_000)

each_specimen = pytest.mark.parametrize("text", READ)


@each_specimen
def test_specimen(text: str) -> None:
    assert parse_mrz(text) == Mrz(*READ[text])


@each_specimen
def test_every_wrong_digit_in_a_checked_field_is_noticed(text: str) -> None:
    zone = text.replace("\n", "")
    for start, end in CHECKED.get(text, []):
        for at in range(start, end):
            for digit in "0123456789" if zone[at].isdigit() else "":
                wrong = zone[:at] + digit + zone[at + 1 :]
                if wrong != zone:
                    with pytest.raises(CallerFault, match="check digit"):
                        parse_mrz(wrong)


numbers = st.text("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ", min_size=1, max_size=9)
dates = st.text("0123456789", min_size=6, max_size=6)


def passport(number: str, born: str, expires: str, personal: str) -> str:
    fields = [part + check_digit(part) for part in (number.ljust(9, "<"), born, expires, personal.ljust(14, "<"))]
    summed = "".join(fields)
    line = f"{fields[0]}UTO{fields[1]}<{fields[2]}{fields[3]}{check_digit(summed)}"
    return "P<UTOSPECIMEN<<".ljust(44, "<") + line


@given(numbers, dates, dates, numbers)
def test_a_sound_passport_is_read(number: str, born: str, expires: str, personal: str) -> None:
    read = parse_mrz(passport(number, born, expires, personal))
    assert (read.number, read.born, read.expires, read.sex) == (number, born, expires, "")


@given(numbers, dates, dates, numbers, st.data())
def test_one_wrong_digit_is_noticed(number: str, born: str, expires: str, personal: str, data: st.DataObject) -> None:
    zone = passport(number, born, expires, personal)
    checked = [at for start, end in CHECKED[TD3] for at in range(start, end) if zone[at].isdigit()]
    at = data.draw(st.sampled_from(checked))
    digit = data.draw(st.sampled_from([sign for sign in "0123456789" if sign != zone[at]]))
    with pytest.raises(CallerFault, match="check digit"):
        parse_mrz(zone[:at] + digit + zone[at + 1 :])


@given(st.text() | st.text("<ABC018", min_size=72, max_size=90))
def test_any_text_is_read_or_the_callers_fault(text: str) -> None:
    try:
        assert isinstance(parse_mrz(text), Mrz)
    except CallerFault as fault:
        assert fault.hint  # noqa: PT017 -- either outcome is right


@pytest.mark.parametrize("break_", ["\n", "\r\n", "\r", "", " ", "\n\n  "])
@each_specimen
def test_breaks_do_not_matter(text: str, break_: str) -> None:
    assert parse_mrz(f" {text.replace(chr(10), break_)}\r\n") == parse_mrz(text)


def test_small_letters_do_not_matter() -> None:
    assert parse_mrz(TD3.lower()) == parse_mrz(TD3)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        (TD3.replace("L898902C36", "L898902C46"), ["document number", "whole zone"]),
        (TD3.replace("7408122", "7408132"), ["date of birth", "whole zone"]),
        (TD3.replace("1204159", "1204169"), ["date of expiry", "whole zone"]),
        (TD3.replace("ZE184226B<<<<<10", "ZE184227B<<<<<10"), ["optional data", "whole zone"]),
        (TD3[:-1] + "1", ["whole zone"]),
        (TD3[:-1] + "<", ["whole zone"]),
        (TD1_LONG.replace("7349", "7359"), ["document number", "whole zone"]),
        (MRV_A.replace("C4XXX", "C5XXX"), ["document number"]),
    ],
)
def test_a_fault_names_the_check_digit_and_repeats_no_value(text: str, names: list[str]) -> None:
    with pytest.raises(CallerFault) as caught:
        parse_mrz(text)
    assert caught.value.doing.endswith(f"the check digit of the {' and the '.join(names)} does not fit")
    assert all(part not in str(caught.value.args) + caught.value.hint for part in ("L898902", "7408", "ERIKSSON"))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "no zone has 0 characters"),
        (TD3[:-1], "no zone has 87 characters"),
        (TD3.replace("ANNA", "ÄNNA"), "character 16 may not"),
        (TD3.replace("F1204", "Q1204"), "none of M, F, X and <"),
        ("P" * 5000, "far too long"),
    ],
)
def test_what_is_no_zone_is_refused(text: str, told: str) -> None:
    with pytest.raises(CallerFault, match=told):
        parse_mrz(text)


def test_a_document_becomes_criteria() -> None:
    assert travel_document(parse_mrz(TD3_D)) == TravelDocument(country="D", number="C01X0006H", type="P")
    with pytest.raises(CallerFault, match="number is empty"):
        travel_document(parse_mrz(passport("", "740812", "120415", "")))


def test_a_holder_becomes_criteria() -> None:
    assert person(parse_mrz(TD3), MARCH_2026) == Person(born="1974-08-12", family="ERIKSSON", given="ANNA MARIA")


@pytest.mark.parametrize(
    ("born", "date"),
    [
        ("740812", "1974-08-12"),
        ("260306", "2026-03-06"),
        ("260307", "1926-03-07"),
        ("000229", "2000-02-29"),
        ("74<<<<", "1974"),
        ("740<<<", "1974"),
        ("740231", "1974"),
        ("<<<<<<", ""),
    ],
)
def test_birth_is_in_the_latest_century_that_is_not_the_future(born: str, date: str) -> None:
    assert birth_date(parse_mrz(passport("A1", born, "300101", "")), MARCH_2026) == date


@pytest.mark.parametrize(
    ("expires", "date"), [("120415", "2012-04-15"), ("751231", "2075-12-31"), ("760101", "1976-01-01"), ("<<<<<<", "")]
)
def test_expiry_is_near_the_present(expires: str, date: str) -> None:
    assert expiry_date(parse_mrz(passport("A1", "740812", expires, "")), MARCH_2026) == date


@pytest.mark.parametrize(
    ("text", "number"), [("l898-902 c3", "L898902C3"), ("D23<<", "D23"), ("AB12", "AB12"), ("-", "")]
)
def test_numbers_are_normalised(text: str, number: str) -> None:
    assert normal_number(text) == number
