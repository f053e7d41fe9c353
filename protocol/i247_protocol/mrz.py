"""Read the machine-readable zone of a travel document, as ICAO Doc 9303 lays it out.

Decides: which of the five layouts a text is, what its fields hold and whether every check digit fits.
Leaves to others: whether a country code is in use, whether a date has passed, and which century a year
of two digits belongs to when no clock is at hand. docs/protocol.md 7.1.

Rules:
1. White space is no part of the zone and letters count as capitals. The first letter and the length fix the layout.
2. Where only letters may stand, a digit that a camera takes for a letter becomes that letter; in dates and check
   digits the other way round. A document number may hold both and is never changed.
3. Every check digit must fit, the composite one too; the one of an empty field may be missing.
4. In TD1 and TD2 a number longer than nine characters goes on in the optional data, with its check digit. Issuers
   disagree on whether the filler between both parts counts, so either sum is taken; the composite decides.
5. A fault names the check digit or the place, never what stands there.
"""

from __future__ import annotations

import unicodedata
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import Final, NamedTuple

import msgspec

from i247_protocol.errors import CallerFault
from i247_protocol.names import WallMs
from i247_protocol.queries import Person, TravelDocument


class Format(StrEnum):
    """The layouts of ICAO 9303: identity cards, passports and two sizes of visa."""

    TD1 = "td1"
    TD2 = "td2"
    TD3 = "td3"
    MRV_A = "mrv-a"
    MRV_B = "mrv-b"


class Mrz(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a zone says. Fillers are gone; dates are `YYMMDD` with `<` where unknown; `sex` is F, M, X or empty."""

    format: Format
    type: str
    country: str
    number: str
    family: str
    given: str
    nationality: str
    born: str
    sex: str
    expires: str


def parse_mrz(text: str) -> Mrz:
    """Return what the zone says; raise CallerFault when it is none, or a check digit does not fit."""
    layout, zone = _zone(text)
    number, number_check = _number(layout, zone)
    checked = {
        "document number": _number_fits(number, number_check),
        "date of birth": _fits(zone[layout.born], zone[layout.born.stop]),
        "date of expiry": _fits(zone[layout.expires], zone[layout.expires.stop]),
        "optional data": layout.personal is None or _fits(zone[layout.personal], zone[layout.personal.stop]),
        "whole zone": not layout.composite
        or check_digit("".join(zone[span] for span in layout.composite)) == zone[layout.end],
    }
    failing = [name for name, fits in checked.items() if not fits]
    if failing:
        raise CallerFault(f"{DOING}: the check digit of the {' and the '.join(failing)} does not fit", HINT_CHECK)
    if zone[layout.sex] not in SEXES:
        raise CallerFault(f"{DOING}: the place of the sex holds none of M, F, X and <", HINT_CHECK)
    family, _, given = zone[layout.names].partition(FILLER * 2)
    return Mrz(
        format=layout.format,
        type=zone[0:2].strip(FILLER),
        country=zone[2:5].strip(FILLER),
        number=number.replace(FILLER, ""),
        family=_spaced(family),
        given=_spaced(given),
        nationality=zone[layout.nationality].strip(FILLER),
        born=zone[layout.born],
        sex=zone[layout.sex].strip(FILLER),
        expires=zone[layout.expires],
    )


def travel_document(mrz: Mrz) -> TravelDocument:
    """Return the criteria under which a register knows this document; raise CallerFault when it bears no number."""
    if not mrz.number:
        raise CallerFault(f"{DOING}: the document number is empty", "ask by country and number as printed elsewhere")
    return TravelDocument(country=mrz.country, number=mrz.number, type=mrz.type)


def person(mrz: Mrz, wall: WallMs) -> Person:
    """Return the criteria under which a register knows the holder; `wall` is the present, which settles the century."""
    return Person(born=birth_date(mrz, wall), family=mrz.family, given=mrz.given)


def birth_date(mrz: Mrz, wall: WallMs) -> str:
    """Return `YYYY-MM-DD`, `YYYY` when the day is unknown, or nothing; the latest century that is not in the future."""
    if not mrz.born[:2].isdigit():
        return ""
    today = datetime.fromtimestamp(wall / 1000, UTC)
    year = today.year - (today.year - int(mrz.born[:2])) % 100
    if (year, mrz.born[2:]) > (today.year, today.strftime("%m%d")) and mrz.born[2:].isdigit():
        year -= 100
    return _dated(year, mrz.born[2:])


def expiry_date(mrz: Mrz, wall: WallMs) -> str:
    """Return the date of expiry in the same form; the century within 50 years of `wall`."""
    if not mrz.expires[:2].isdigit():
        return ""
    earliest = datetime.fromtimestamp(wall / 1000, UTC).year - 50
    return _dated(earliest + (int(mrz.expires[:2]) - earliest) % 100, mrz.expires[2:])


def normal_number(text: str) -> str:
    """Return a document's number, plate or the like without fillers, spaces and signs, in capitals."""
    return "".join(sign for sign in unicodedata.normalize("NFKC", text).upper() if sign.isalnum())


def check_digit(text: str) -> str:
    """Return the check digit of characters `0-9A-Z<`: weights 7, 3, 1, sum modulo 10."""
    return str(sum(VALUES[sign] * WEIGHTS[place % 3] for place, sign in enumerate(text)) % 10)


class _Layout(NamedTuple):
    """Where things stand in the lines put one after another; a field's check digit stands right behind it.

    `signs` says for each place what may stand there: a letter, a digit or any. `rest` is where a long number goes on.
    """

    format: Format
    signs: str
    names: slice
    number: slice
    rest: slice | None
    nationality: slice
    born: slice
    sex: slice
    expires: slice
    personal: slice | None
    composite: tuple[slice, ...]

    @property
    def end(self) -> int:
        return self.names.start - 1 if self.format is Format.TD1 else len(self.signs) - 1


def _zone(text: str) -> tuple[_Layout, str]:
    if len(text) > TEXT_CHARS_MAX:
        raise CallerFault(f"{DOING}: the text is far too long", HINT_LENGTH)
    zone = "".join(text.split()).upper()
    for place, sign in enumerate(zone, start=1):
        if sign not in VALUES:
            raise CallerFault(f"{DOING}: what stands at character {place} may not", "a zone holds A-Z, 0-9 and < alone")
    layout = LAYOUTS.get((len(zone), zone.startswith("V")))
    if layout is None:
        raise CallerFault(f"{DOING}: no zone has {len(zone)} characters", HINT_LENGTH)
    mended = (sign.translate(MENDED[kind]) for sign, kind in zip(zone, layout.signs, strict=True))
    return layout, "".join(mended)


def _number(layout: _Layout, zone: str) -> tuple[str, str]:
    number, check = zone[layout.number], zone[layout.number.stop]
    rest = zone[layout.rest].partition(FILLER)[0] if layout.rest is not None else ""
    if check == FILLER and rest:
        return number + FILLER + rest[:-1], rest[-1].translate(MENDED[DIGIT])
    return number, check


def _number_fits(number: str, check: str) -> bool:
    is_long = len(number) > NUMBER_CHARS
    return _fits(number, check) or (is_long and _fits(number[:NUMBER_CHARS] + number[NUMBER_CHARS + 1 :], check))


def _fits(field: str, check: str) -> bool:
    return check_digit(field) == check or (check == FILLER and not field.strip(FILLER))


def _dated(year: int, month_and_day: str) -> str:
    try:
        return date(year, int(month_and_day[:2]), int(month_and_day[2:])).isoformat()
    except ValueError:
        return f"{year:04}"


def _spaced(name: str) -> str:
    return " ".join(name.replace(FILLER, " ").split())


def _two_lines(format: Format, tail: str, *, is_visa: bool) -> _Layout:
    """Lay out all but TD1: names in the first line, data in the second; `tail` tells what follows the expiry there."""
    signs = "x" * 9 + "d" + "aaa" + "d" * 7 + "a" + "d" * 7 + tail
    at = len(signs)
    passport = format is Format.TD3
    summed = (slice(at, at + 10), slice(at + 13, at + 20), slice(at + 21, 2 * at - 1))
    return _Layout(
        format=format,
        signs="a" * at + signs,
        names=slice(5, at),
        number=slice(at, at + 9),
        rest=slice(at + 28, 2 * at - 1) if format is Format.TD2 else None,
        nationality=slice(at + 10, at + 13),
        born=slice(at + 13, at + 19),
        sex=slice(at + 20, at + 21),
        expires=slice(at + 21, at + 27),
        personal=slice(at + 28, at + 42) if passport else None,
        composite=() if is_visa else summed,
    )


DIGIT: Final = "d"
FILLER: Final = "<"
NUMBER_CHARS: Final = 9
SEXES: Final = ("M", "F", "X", FILLER)
TEXT_CHARS_MAX: Final = 1024
WEIGHTS: Final = (7, 3, 1)
VALUES: Final = {sign: value for value, sign in enumerate("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ")} | {FILLER: 0}
MENDED: Final = {
    "a": str.maketrans("012568", "OIZSGB"),
    DIGIT: str.maketrans("OQDIZSGB", "00012568"),
    "x": {},
}

DOING: Final = "reading a machine-readable zone"
HINT_CHECK: Final = "compare what was read with the document, character by character"
HINT_LENGTH: Final = "give the whole zone: three lines of 30 characters, two of 36 or two of 44, trailing < included"

_TD1: Final = _Layout(
    format=Format.TD1,
    signs="aaaaa" + "x" * 9 + "d" + "x" * 15 + "d" * 7 + "a" + "d" * 7 + "aaa" + "x" * 11 + "d" + "a" * 30,
    names=slice(60, 90),
    number=slice(5, 14),
    rest=slice(15, 30),
    nationality=slice(45, 48),
    born=slice(30, 36),
    sex=slice(37, 38),
    expires=slice(38, 44),
    personal=None,
    composite=(slice(5, 37), slice(38, 45), slice(48, 59)),
)
LAYOUTS: Final = {  # by length, and whether it begins as a visa does
    (90, False): _TD1,
    (72, False): _two_lines(Format.TD2, "x" * 7 + "d", is_visa=False),
    (88, False): _two_lines(Format.TD3, "x" * 14 + "dd", is_visa=False),
    (72, True): _two_lines(Format.MRV_B, "x" * 8, is_visa=True),
    (88, True): _two_lines(Format.MRV_A, "x" * 16, is_visa=True),
}
