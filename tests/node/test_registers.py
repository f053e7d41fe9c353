"""Registers: one set of cases for the one in memory and the one in SQLite, then what only one of them has."""

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from i247_node.register_csv import Rule, read_rows
from i247_node.registers import (
    Kind,
    MemoryRegister,
    Record,
    Register,
    Registers,
    index_keys,
    name_forms,
    score_of,
    search_keys,
)
from i247_node.registers_sqlite import SqliteRegister, import_csv, open_registers
from i247_protocol.errors import CallerFault, WorldFault
from i247_protocol.limits import CANDIDATES_MAX
from i247_protocol.names import WallMs
from i247_protocol.queries import CAUTION, Criteria, Person, Reply, Status, TravelDocument, Vehicle, reply_is_sound
from i247_protocol.reasons import Reason

AS_OF = WallMs(1_772_800_000_000)
SLTD = Path(__file__).parents[2] / "demo" / "registers" / "sltd.csv"

ROWS = {
    Kind.DOCUMENTS: """\
country,number,type,status,owner,record,action
UTO,L898902C3,P,stolen,XP,D1,seize
UTO,77-88 99,,lost,XP,D2,seize
D,77 88 99,ID,lost,DE,D3,seize
""",
    Kind.VEHICLES: """\
vin,plate,country,status,owner,record,action
1M8GDM9AXKP042788,AB-123,UTO,stolen,XP,V1,stop
,CD 456,UTO,wanted,XP,V2,watch
11111111111111111,,,stolen,FR,V3,stop
""",
    Kind.PERSONS: """\
family,given,born,status,owner,record,action
Eriksson,Anna Maria,1974-08-12,wanted,XP,P1,arrest
Müller-Lüdenscheidt,Jörg,1960,missing,DE,P2,tell
O'Neill,,1955-01-01,witness,IE,P3,tell
Ødegård,Åse,,victim,NO,P4,tell
Eriksson,Karl,1974-01-01,wanted,XP,P5,arrest
""",
}

CASES: list[tuple[Kind, Criteria, Status, list[str]]] = [
    (Kind.DOCUMENTS, TravelDocument(country="UTO", number="L898902C3", type="P"), Status.HIT, ["D1"]),
    (Kind.DOCUMENTS, TravelDocument(country="UTO", number="l898902c3<", type="PM"), Status.HIT, ["D1"]),
    (Kind.DOCUMENTS, TravelDocument(country="UTO", number="L898902C3", type=""), Status.HIT, ["D1"]),
    (Kind.DOCUMENTS, TravelDocument(country="UTO", number="L898902C3", type="V"), Status.NO_HIT, []),
    (Kind.DOCUMENTS, TravelDocument(country="UTO", number="L898902C4", type="P"), Status.NO_HIT, []),
    (Kind.DOCUMENTS, TravelDocument(country="UTO", number="778899", type="P"), Status.HIT, ["D2"]),
    (Kind.DOCUMENTS, TravelDocument(country="D<<", number="778899", type="ID"), Status.HIT, ["D3"]),
    (Kind.DOCUMENTS, TravelDocument(country="FRA", number="778899", type=""), Status.NO_HIT, []),
    (Kind.VEHICLES, Vehicle(country="", plate="", vin="1m8gdm9axkp042788"), Status.HIT, ["V1"]),
    (Kind.VEHICLES, Vehicle(country="", plate="", vin="1M8GDM9AXKPO42788"), Status.HIT, ["V1"]),
    (Kind.VEHICLES, Vehicle(country="FRA", plate="ZZ9", vin="1M8GDM9AXKP042788"), Status.HIT, ["V1"]),
    (Kind.VEHICLES, Vehicle(country="UTO", plate="ab 123", vin=""), Status.HIT, ["V1"]),
    (Kind.VEHICLES, Vehicle(country="UTO", plate="AB123", vin="JTHCE96S770008889"), Status.POSSIBLE, ["V1"]),
    (Kind.VEHICLES, Vehicle(country="UTO", plate="CD456", vin="JTHCE96S770008889"), Status.HIT, ["V2"]),
    (Kind.VEHICLES, Vehicle(country="FRA", plate="AB123", vin=""), Status.NO_HIT, []),
    (Kind.VEHICLES, Vehicle(country="UTO", plate="CD456", vin="11111111111111111"), Status.HIT, ["V2", "V3"]),
    (Kind.PERSONS, Person(born="1974-08-12", family="ERIKSSON", given="ANNA MARIA"), Status.HIT, ["P1"]),
    (Kind.PERSONS, Person(born="1974", family="eriksson", given="anna-maria"), Status.POSSIBLE, ["P1"]),
    (Kind.PERSONS, Person(born="1974-08-13", family="Eriksson", given="Anna Maria"), Status.POSSIBLE, ["P1"]),
    (Kind.PERSONS, Person(born="1974-08-12", family="Eriksson", given="Maria"), Status.POSSIBLE, ["P1"]),
    (Kind.PERSONS, Person(born="1974-08-12", family="Eriksson", given="Anna Maria Eva"), Status.POSSIBLE, ["P1"]),
    (Kind.PERSONS, Person(born="1974-08-12", family="Eriksson", given=""), Status.POSSIBLE, ["P1", "P5"]),
    (Kind.PERSONS, Person(born="", family="Eriksson", given="Anna Maria"), Status.POSSIBLE, ["P1"]),
    (Kind.PERSONS, Person(born="1975-08-12", family="Eriksson", given="Anna Maria"), Status.NO_HIT, []),
    (Kind.PERSONS, Person(born="1974-08-12", family="Eriksson", given="Eva"), Status.NO_HIT, []),
    (Kind.PERSONS, Person(born="", family="Eriks", given=""), Status.NO_HIT, []),
    (Kind.PERSONS, Person(born="1960-05-05", family="MUELLER LUEDENSCHEIDT", given="JOERG"), Status.POSSIBLE, ["P2"]),
    (Kind.PERSONS, Person(born="1960", family="Muller Ludenscheidt", given="Jorg"), Status.POSSIBLE, ["P2"]),
    (Kind.PERSONS, Person(born="1955-01-01", family="ONEILL", given="Sean"), Status.POSSIBLE, ["P3"]),
    (Kind.PERSONS, Person(born="1980-01-01", family="ODEGARD", given="ASE"), Status.POSSIBLE, ["P4"]),
    (Kind.PERSONS, Person(born="1980-01-01", family="OEDEGAARD", given="AASE"), Status.POSSIBLE, ["P4"]),
]

REFUSED: list[tuple[Kind, Criteria, Reason]] = [
    (Kind.DOCUMENTS, TravelDocument(country="UTO", number="<<", type="P"), Reason.MALFORMED),
    (Kind.DOCUMENTS, TravelDocument(country="", number="L898902C3", type="P"), Reason.MALFORMED),
    (Kind.VEHICLES, Vehicle(country="UTO", plate="", vin=""), Reason.MALFORMED),
    (Kind.PERSONS, Person(born="1974-08-12", family=" - ", given="Anna"), Reason.MALFORMED),
    (Kind.PERSONS, TravelDocument(country="UTO", number="L898902C3", type="P"), Reason.UNKNOWN_REGISTER),
    (Kind.DOCUMENTS, Vehicle(country="UTO", plate="AB123", vin=""), Reason.UNKNOWN_REGISTER),
]

Open = Callable[[Kind, str], Register]


def records_of(kind: Kind, text: str) -> list[Record]:
    rows = list(read_rows(kind, text.splitlines(keepends=True)))
    return [row for row in rows if isinstance(row, Record)]


def in_memory(kind: Kind, text: str) -> Register:
    return MemoryRegister("r", records_of(kind, text), as_of=AS_OF)


@pytest.fixture(params=["memory", "sqlite"])
def open_register(request: pytest.FixtureRequest, tmp_path: Path) -> Open:
    def in_sqlite(kind: Kind, text: str) -> Register:
        path = tmp_path / "r.csv"
        path.write_text(text)
        report = import_csv(tmp_path / "r.db", "r", kind, path, as_of=AS_OF)
        assert report.replaced, report
        return SqliteRegister(tmp_path / "r.db", "r")

    return in_memory if request.param == "memory" else in_sqlite


@pytest.mark.parametrize("kind", Kind)
def test_every_register_answers_alike(open_register: Open, kind: Kind) -> None:
    register = open_register(kind, ROWS[kind])
    for criteria, status, found in [case[1:] for case in CASES if case[0] is kind]:
        finding = register.look_up(criteria)
        told = (finding.status, sorted(one.record for one in finding.candidates), finding.as_of, finding.reason)
        assert told == (status, found, AS_OF, None), criteria


@pytest.mark.parametrize(("kind", "criteria", "reason"), REFUSED)
def test_no_answer_is_not_taken_for_no_hit(open_register: Open, kind: Kind, criteria: Criteria, reason: Reason) -> None:
    finding = open_register(kind, ROWS[kind]).look_up(criteria)
    assert (finding.status, finding.candidates, finding.reason) == (Status.REFUSED, (), reason)


def test_a_candidate_tells_what_the_row_tells(open_register: Open) -> None:
    finding = open_register(Kind.DOCUMENTS, ROWS[Kind.DOCUMENTS]).look_up(CASES[0][1])
    (one,) = finding.candidates
    assert (one.owner, one.record, one.action, one.score) == ("XP", "D1", "seize", 1000)
    assert one.fields == {"country": "UTO", "number": "L898902C3", "type": "P", "status": "stolen"}


def test_candidates_are_bounded_and_best_first(open_register: Open) -> None:
    rows = [f"Kim,Min {n},1990-01-01,wanted,KR,K{n:03},tell" for n in range(120)]
    text = "\n".join([ROWS[Kind.PERSONS].partition("\n")[0], *rows])
    finding = open_register(Kind.PERSONS, text).look_up(Person(born="1990-01-01", family="KIM", given="MIN 77"))
    assert len(finding.candidates) == 1  # the others share one given name alone
    finding = open_register(Kind.PERSONS, text).look_up(Person(born="1990-01-01", family="KIM", given="MIN"))
    assert [one.record for one in finding.candidates] == [f"K{n:03}" for n in range(CANDIDATES_MAX)]
    reply = Reply(
        as_of=AS_OF, candidates=finding.candidates, caution=CAUTION, reason=None, register="r", status=finding.status
    )
    assert reply_is_sound(reply)


def test_the_example_register_hits_the_specimen(open_register: Open) -> None:
    register = open_register(Kind.DOCUMENTS, SLTD.read_text())
    finding = register.look_up(TravelDocument(country="UTO", number="L898902C3", type="P"))
    assert (finding.status, finding.candidates[0].fields["status"]) == (Status.HIT, "stolen")
    long = register.look_up(TravelDocument(country="UTO", number="D23145890734", type="I"))
    assert long.status is Status.HIT


names = st.text("aAäÄöüßøå é'-", max_size=12)
persons = st.builds(Person, born=st.sampled_from(["", "1974", "1974-08-12", "1980"]), family=names, given=names)
short = st.text("AB1- ", max_size=4)
documents = st.builds(TravelDocument, country=short, number=short, type=st.sampled_from(["", "P", "PD", "I"]))
vehicles = st.builds(Vehicle, country=short, plate=short, vin=short)


@given(st.tuples(persons, persons) | st.tuples(documents, documents) | st.tuples(vehicles, vehicles))
def test_what_matches_is_found_by_its_keys(pair: tuple[Criteria, Criteria]) -> None:
    asked, held = pair
    keys = search_keys(asked)
    if keys and score_of(asked, held):
        assert not set(keys).isdisjoint(index_keys(held))


@given(persons | documents | vehicles)
def test_what_can_be_asked_for_is_found_by_itself(subject: Criteria) -> None:
    if search_keys(subject):
        assert score_of(subject, subject) > 0


@pytest.mark.parametrize(
    ("name", "forms"),
    [
        ("Müller", {"muller", "mueller"}),
        ("Mu\u0308ller", {"muller", "mueller"}),
        ("STRAßE", {"strasse"}),
        ("Łukasz  van-der Æ", {"lukasz van der ae"}),
        ("D\u2019Arc", {"darc"}),
        ("Иванов", {"иванов"}),
        ("--", {""}),
    ],
)
def test_spellings_of_a_name(name: str, forms: set[str]) -> None:
    assert set(name_forms(name)) == forms


def test_registers_are_a_mapping_without_doubles() -> None:
    registers = Registers([MemoryRegister("smv", []), MemoryRegister("sltd", [])])
    assert list(registers) == ["sltd", "smv"]
    assert registers["sltd"].look_up(CASES[0][1]).status is Status.NO_HIT
    assert registers.get("x") is None
    with pytest.raises(CallerFault):
        Registers([MemoryRegister("smv", []), MemoryRegister("smv", [])])
    for name in ("", "x" * 65):
        with pytest.raises(CallerFault):
            MemoryRegister(name, [])


# --- the file ---


def imported(tmp_path: Path, text: str, *, skip_bad_rows: bool = False, name: str = "sltd") -> object:
    (tmp_path / "in.csv").write_text(text)
    path = tmp_path / "in.csv"
    return import_csv(tmp_path / "r.db", name, Kind.DOCUMENTS, path, skip_bad_rows=skip_bad_rows, as_of=AS_OF)


def hits(tmp_path: Path, number: str, name: str = "sltd") -> Status:
    return SqliteRegister(tmp_path / "r.db", name).look_up(TravelDocument(country="UTO", number=number, type="")).status


HEADER = "country,number,type,status,owner,record,action\n"
GOOD = "UTO,A1,P,lost,XP,1,seize\n"
BAD = "UTO,A2,P,borrowed,XP,2,seize\n"


def test_an_import_is_all_or_nothing(tmp_path: Path) -> None:
    assert imported(tmp_path, HEADER + GOOD) == (1, 1, (), True)
    assert imported(tmp_path, HEADER + GOOD.replace("A1", "A9") + BAD) == (
        2,
        0,
        ((3, "status", Rule.NOT_A_STATUS),),
        False,
    )
    assert (hits(tmp_path, "A1"), hits(tmp_path, "A9")) == (Status.HIT, Status.NO_HIT)


def test_bad_rows_can_be_passed_over(tmp_path: Path) -> None:
    report = imported(tmp_path, HEADER + BAD + GOOD, skip_bad_rows=True)
    assert report == (2, 1, ((2, "status", Rule.NOT_A_STATUS),), True)
    assert hits(tmp_path, "A1") is Status.HIT


def test_an_import_replaces_one_register_alone(tmp_path: Path) -> None:
    imported(tmp_path, HEADER + GOOD)
    imported(tmp_path, HEADER + GOOD, name="other")
    imported(tmp_path, HEADER + GOOD.replace("A1", "A3"))
    assert (hits(tmp_path, "A1"), hits(tmp_path, "A3"), hits(tmp_path, "A1", "other")) == (
        Status.NO_HIT,
        Status.HIT,
        Status.HIT,
    )
    assert list(open_registers(tmp_path / "r.db")) == ["other", "sltd"]
    with sqlite3.connect(tmp_path / "r.db") as plain:
        assert plain.execute("SELECT count(*) FROM keys").fetchone() == (2,)
    plain.close()


def test_an_open_register_sees_the_next_import(tmp_path: Path) -> None:
    imported(tmp_path, HEADER + GOOD)
    register = SqliteRegister(tmp_path / "r.db", "sltd")
    imported(tmp_path, HEADER + GOOD.replace("A1", "A3"))
    assert register.look_up(TravelDocument(country="UTO", number="A3", type="")).status is Status.HIT
    assert register.status() == ("sltd", Kind.DOCUMENTS, 1, AS_OF)


def test_a_wrong_file_changes_nothing(tmp_path: Path) -> None:
    imported(tmp_path, HEADER + GOOD)
    for text in ("", "a;b\n1;2\n", HEADER.replace("type", "typ") + GOOD):
        with pytest.raises(CallerFault):
            imported(tmp_path, text)
    (tmp_path / "latin.csv").write_bytes(HEADER.encode() + "UTO,Ä1,P,lost,XP,1,seize\n".encode("latin-1"))
    with pytest.raises(CallerFault, match="not UTF-8"):
        import_csv(tmp_path / "r.db", "sltd", Kind.DOCUMENTS, tmp_path / "latin.csv")
    assert hits(tmp_path, "A1") is Status.HIT


def test_the_file_is_private(tmp_path: Path) -> None:
    imported(tmp_path, HEADER + GOOD)
    assert (tmp_path / "r.db").stat().st_mode & 0o077 == 0


def test_what_cannot_be_opened_is_told(tmp_path: Path) -> None:
    with pytest.raises(CallerFault, match="no such file"):
        SqliteRegister(tmp_path / "r.db", "sltd")
    imported(tmp_path, HEADER + GOOD)
    with pytest.raises(CallerFault, match="none of this name"):
        SqliteRegister(tmp_path / "r.db", "smv")
    with pytest.raises(CallerFault, match="no such file"):
        import_csv(tmp_path / "r.db", "sltd", Kind.DOCUMENTS, tmp_path / "missing.csv")
    (tmp_path / "other.db").write_bytes(os.urandom(8192))
    with pytest.raises(WorldFault, match="SQLite says"):
        SqliteRegister(tmp_path / "other.db", "sltd")
    (tmp_path / "empty.db").touch()
    with pytest.raises(CallerFault, match="not a file of registers"):
        SqliteRegister(tmp_path / "empty.db", "sltd")


def test_what_is_lost_or_damaged_under_an_open_register_is_the_worlds_fault(tmp_path: Path) -> None:
    imported(tmp_path, HEADER + GOOD)
    register = SqliteRegister(tmp_path / "r.db", "sltd")
    for damage in ("UPDATE records SET data = x'7b'", "UPDATE registers SET name = 'gone'", "DROP TABLE registers"):
        with sqlite3.connect(tmp_path / "r.db") as plain:
            plain.execute(damage)
        plain.close()
        with pytest.raises(WorldFault):
            register.look_up(TravelDocument(country="UTO", number="A1", type="P"))


def test_the_look_up_uses_the_index(tmp_path: Path) -> None:
    imported(tmp_path, HEADER + GOOD)
    with sqlite3.connect(tmp_path / "r.db") as plain:
        plan = plain.execute(
            "EXPLAIN QUERY PLAN SELECT records.data FROM keys JOIN records ON records.id = keys.row "
            "WHERE keys.register = 1 AND keys.key = 'x' ORDER BY keys.record LIMIT 9"
        ).fetchall()
    plain.close()
    assert [row[3].split()[0] for row in plan] == ["SEARCH", "SEARCH"], plan
