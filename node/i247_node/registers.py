"""Look a document, a vehicle or a person up in a register of this member.

Decides: what a register is to the node (`Register`), which records match which criteria, how well, and what
that makes of a reply. Leaves to others: who may ask (`policy`), where records lie (`registers_sqlite`), how
they come in (`register_csv`), and the caution that goes with every reply. docs/protocol.md 7.2.

Rules, the same for every register of this project:
1. A travel document is hit by country and normalised number; where both sides name a type, its first letter must
   agree too, since the second is each issuer's own.
2. A vehicle is hit by its identification number, or by plate and country. A plate whose vehicle bears another
   identification number than the one asked for is only possible.
3. A person is hit when family name, given names and the whole date of birth agree. It is possible when the family
   name agrees, one side's given names are among the other's (or not known), and no known part of the date differs
   in its year. Case, accents, hyphens and the spellings Ä and AE do not count.
4. At most `ROWS_PER_KEY_MAX` records are weighed for each key, in order of record, and `GIVEN_NAMES_MAX` given names.
5. Criteria that name nothing to look for are refused, and so are criteria of a kind that the register does not hold:
   silence would read as "no hit".
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from types import MappingProxyType
from typing import Final, NamedTuple, Protocol

import msgspec

from i247_protocol.errors import CallerFault
from i247_protocol.limits import CANDIDATES_MAX
from i247_protocol.mrz import normal_number
from i247_protocol.names import WallMs
from i247_protocol.queries import (
    REGISTER_NAME_MAX,
    SCORE_MAX,
    Candidate,
    Criteria,
    Person,
    Status,
    TravelDocument,
    Vehicle,
)
from i247_protocol.reasons import Reason


class Finding(NamedTuple):
    """What a look-up found; `as_of` is when the register's content was current, `reason` set when refused."""

    status: Status
    candidates: tuple[Candidate, ...]
    as_of: WallMs | None
    reason: Reason | None


class Register(Protocol):
    """A register that the node can ask."""

    @property
    def name(self) -> str:
        """The name by which members ask for it."""
        ...

    @property
    def is_immediate(self) -> bool:
        """Whether a look-up is in this process and takes a bounded time, so that it may precede the commit."""
        ...

    def look_up(self, criteria: Criteria) -> Finding:
        """Return what is found, and change nothing; raise WorldFault when the register cannot be reached."""
        ...


class Kind(StrEnum):
    """What a register holds."""

    DOCUMENTS = "documents"
    VEHICLES = "vehicles"
    PERSONS = "persons"


class Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One record: whom or what it is about, in the terms of a query, and what an asker is told when it matches."""

    subject: Criteria
    action: str
    fields: dict[str, str]
    owner: str
    record: str


class MemoryRegister:
    """A register that lies in memory."""

    def __init__(self, name: str, records: Iterable[Record], *, as_of: WallMs | None = None) -> None:
        self.name = checked_name(name)
        self.is_immediate = True
        self._as_of = as_of
        self._kinds: set[Kind] = set()
        self._by_key: dict[str, list[Record]] = {}
        for record in sorted(records, key=lambda record: record.record):
            self._kinds.add(kind_of(record.subject))
            for key in index_keys(record.subject):
                self._by_key.setdefault(key, []).append(record)

    def look_up(self, criteria: Criteria) -> Finding:
        """Return what is found."""
        if self._kinds and kind_of(criteria) not in self._kinds:
            return refused(Reason.UNKNOWN_REGISTER, self._as_of)
        keys = search_keys(criteria)
        found = (record for key in keys for record in self._by_key.get(key, [])[:ROWS_PER_KEY_MAX])
        return weigh(criteria, found, self._as_of) if keys else refused(Reason.MALFORMED, self._as_of)


class Registers(Mapping[str, Register]):
    """All registers of a node by their names; never changes."""

    def __init__(self, registers: Iterable[Register] = ()) -> None:
        by_name: dict[str, Register] = {}
        for register in registers:
            if checked_name(register.name) in by_name:
                raise CallerFault(f"naming registers: there are two called {register.name}", "rename one of them")
            by_name[register.name] = register
        self._by_name = MappingProxyType(dict(sorted(by_name.items())))

    def __getitem__(self, name: str) -> Register:
        return self._by_name[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_name)

    def __len__(self) -> int:
        return len(self._by_name)


# --- what other registers of this project answer with, so that all answer alike ---


def kind_of(criteria: Criteria) -> Kind:
    """Return the kind of register that such criteria are for."""
    match criteria:
        case TravelDocument():
            return Kind.DOCUMENTS
        case Vehicle():
            return Kind.VEHICLES
        case Person():
            return Kind.PERSONS


def index_keys(subject: Criteria) -> tuple[str, ...]:
    """Return every key under which a record about `subject` is to be found."""
    if not isinstance(subject, Person):
        return search_keys(subject)
    return _name_keys(subject, (ANY, *(_given_names(subject) or [UNKNOWN])), (ANY, subject.born[:4] or UNKNOWN))


def search_keys(criteria: Criteria) -> tuple[str, ...]:
    """Return the keys whose records can match; none when the criteria name nothing to look for."""
    match criteria:
        case TravelDocument():
            country, number = normal_number(criteria.country), normal_number(criteria.number)
            return (f"document|{country}|{number}",) if country and number else ()
        case Vehicle():
            vin, plate, country = _vin(criteria), normal_number(criteria.plate), normal_number(criteria.country)
            by_vin = (f"vin|{vin}",) if vin else ()
            return (*by_vin, f"plate|{country}|{plate}") if plate and country else by_vin
        case Person():
            given, year = _given_names(criteria), criteria.born[:4]
            return _name_keys(criteria, (*given, UNKNOWN) if given else (ANY,), (year, UNKNOWN) if year else (ANY,))


def weigh(criteria: Criteria, found: Iterable[Record], as_of: WallMs | None) -> Finding:
    """Return what records found under the search keys make of the criteria, best first, at most `CANDIDATES_MAX`."""
    scores = {record.record: (-score, record) for record in found if (score := score_of(criteria, record.subject))}
    best = sorted(scores.values(), key=lambda scored: (scored[0], scored[1].record))[:CANDIDATES_MAX]
    candidates = tuple(_candidate(record, -negative) for negative, record in best)
    if not candidates:
        return Finding(Status.NO_HIT, (), as_of, None)
    return Finding(Status.HIT if candidates[0].score == SCORE_MAX else Status.POSSIBLE, candidates, as_of, None)


def refused(reason: Reason, as_of: WallMs | None) -> Finding:
    """Return the finding that says why nothing was looked up."""
    return Finding(Status.REFUSED, (), as_of, reason)


def score_of(criteria: Criteria, subject: Criteria) -> int:
    """Return how surely `subject` is meant: `SCORE_MAX` is a hit, 0 is not meant at all."""
    match criteria, subject:
        case TravelDocument(), TravelDocument():
            return _score_documents(criteria, subject)
        case Vehicle(), Vehicle():
            return _score_vehicles(criteria, subject)
        case Person(), Person():
            return _score_persons(criteria, subject)
        case _:
            return 0


def name_forms(name: str) -> tuple[str, ...]:
    """Return a name's comparable spellings: accents taken off, and also written out as travel documents do."""
    folded = unicodedata.normalize("NFC", name.casefold())
    return tuple(dict.fromkeys(_bare(form) for form in (folded, folded.translate(WRITTEN_OUT))))


def checked_name(name: str) -> str:
    """Return a register's name; raise CallerFault when it is empty or too long."""
    if not 0 < len(name) <= REGISTER_NAME_MAX:
        raise CallerFault("naming a register", f"a name has 1 to {REGISTER_NAME_MAX} characters")
    return name


def _candidate(record: Record, score: int) -> Candidate:
    return Candidate(action=record.action, fields=record.fields, owner=record.owner, record=record.record, score=score)


def _score_documents(asked: TravelDocument, held: TravelDocument) -> int:
    types_agree = not asked.type or not held.type or asked.type[0].upper() == held.type[0].upper()
    return SCORE_MAX if types_agree and search_keys(asked) == search_keys(held) else 0


def _score_vehicles(asked: Vehicle, held: Vehicle) -> int:
    vins = _vin(asked), _vin(held)
    if vins[0] and vins[0] == vins[1]:
        return SCORE_MAX
    plates = [(normal_number(one.country), normal_number(one.plate)) for one in (asked, held)]
    if not all(plates[0]) or plates[0] != plates[1]:
        return 0
    return SCORE_OTHER_VIN if all(vins) else SCORE_MAX


def _score_persons(asked: Person, held: Person) -> int:
    if set(name_forms(asked.family)).isdisjoint(name_forms(held.family)):
        return 0
    given = _score_given(asked.given, held.given)
    born = _score_born(asked.born, held.born)
    return SCORE_FAMILY + given + born if given and born else 0


def _score_given(asked: str, held: str) -> int:
    if not (asked.strip() and held.strip()):
        return SCORE_GIVEN_UNKNOWN
    if not set(name_forms(asked)).isdisjoint(name_forms(held)):
        return SCORE_GIVEN
    pairs = ((set(one.split()), set(other.split())) for one in name_forms(asked) for other in name_forms(held))
    return SCORE_GIVEN_PART if any(one <= other or other <= one for one, other in pairs) else 0


def _score_born(asked: str, held: str) -> int:
    if not asked or not held:
        return SCORE_BORN_UNKNOWN
    if asked[:4] != held[:4]:
        return 0
    return SCORE_BORN if asked == held and len(asked) == len("YYYY-MM-DD") else SCORE_BORN_YEAR


def _name_keys(person: Person, given: Sequence[str], years: Sequence[str]) -> tuple[str, ...]:
    families = [form for form in name_forms(person.family) if form]
    return tuple(f"name|{family}|{name}|{year}" for family in families for name in given for year in years)


def _given_names(person: Person) -> list[str]:
    forms = [form.split()[:GIVEN_NAMES_MAX] for form in name_forms(person.given)]
    return sorted({name for names in forms for name in names})


def _vin(vehicle: Vehicle) -> str:
    # No number since 1981 holds I, O or Q, because people write them for 1 and 0.
    return normal_number(vehicle.vin).translate(VIN_MISREADINGS)


def _bare(folded: str) -> str:
    signs = unicodedata.normalize("NFKD", folded.translate(BARE_LETTERS))
    return " ".join(
        "".join(sign if sign.isalnum() else " " for sign in signs if not unicodedata.combining(sign)).split()
    )


ROWS_PER_KEY_MAX: Final = 1_000
GIVEN_NAMES_MAX: Final = 8
ANY: Final = "*"
UNKNOWN: Final = "?"

SCORE_OTHER_VIN: Final = 500
SCORE_FAMILY: Final = 300
SCORE_GIVEN: Final = 300
SCORE_GIVEN_PART: Final = 150
SCORE_GIVEN_UNKNOWN: Final = 50
SCORE_BORN: Final = 400
SCORE_BORN_YEAR: Final = 200
SCORE_BORN_UNKNOWN: Final = 50

VIN_MISREADINGS: Final = str.maketrans("IOQ", "100")
WRITTEN_OUT: Final = str.maketrans({"ä": "ae", "å": "aa", "ø": "oe", "ö": "oe", "ü": "ue"})  # ICAO 9303-3 section 6
BARE_LETTERS: Final = str.maketrans(  # these have no accent that could be taken off; an apostrophe joins
    {"æ": "ae", "ð": "d", "đ": "d", "ħ": "h", "\u0131": "i", "ł": "l", "ø": "o", "œ": "oe", "þ": "th"}
    | dict.fromkeys("'`\u2019\u02bc")
)
