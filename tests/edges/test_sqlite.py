"""How a database is opened, by whom, and what its failures say."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import apsw
import pytest

from i247_edges.day_tables import DayTables
from i247_edges.sqlite import Database, Layout, open_database, open_reading
from i247_protocol.errors import CallerFault, WorldFault
from i247_protocol.names import Minutes

FIRST = "CREATE TABLE things (n INTEGER PRIMARY KEY, data BLOB NOT NULL) STRICT"
LAYOUT = Layout(owner=0x1234, steps=(FIRST,))
ADD = "INSERT INTO things VALUES (?, ?)"
ALL = "SELECT n, data FROM things ORDER BY n"


def add(database: Database, n: int, data: bytes = b"data") -> None:
    database.write(ADD, (n, data))
    database.commit()


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "store.db")


def test_only_the_owner_may_read_the_files(path: str) -> None:
    before = os.umask(0)
    try:
        with open_database(path, LAYOUT) as database:
            add(database, 1)
            files = sorted(Path(path).parent.iterdir())
            assert [file.name for file in files] == ["store.db", "store.db-shm", "store.db-wal", "store.db.lock"]
            assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    finally:
        os.umask(before)


def test_it_works_as_promised(path: str) -> None:
    with open_database(path, LAYOUT, secure_delete="on", cache_kib=1_000) as database:
        found = {
            name: database.rows(f"PRAGMA {name}")[0][0]
            for name in ("journal_mode", "synchronous", "secure_delete", "cache_size", "mmap_size", "trusted_schema")
        }
    assert found == {
        "journal_mode": "wal",
        "synchronous": 2,
        "secure_delete": 1,
        "cache_size": -1_000,
        "mmap_size": 0,
        "trusted_schema": 0,
    }


def test_memory_is_private() -> None:
    with open_database(":memory:", LAYOUT) as one, open_database(":memory:", LAYOUT) as other:
        add(one, 1)
        assert one.rows(ALL) == [(1, b"data")]
        assert other.rows(ALL) == []


def test_a_second_writer_is_refused_with_a_hint(path: str) -> None:
    with open_database(path, LAYOUT):
        with pytest.raises(CallerFault) as caught:
            open_database(path, LAYOUT)
        assert "another daemon" in caught.value.hint
    open_database(path, LAYOUT).close()


def test_a_second_process_is_refused(path: str) -> None:
    program = "import sys, fcntl, os\nfcntl.flock(os.open(sys.argv[1], os.O_RDWR), fcntl.LOCK_EX | fcntl.LOCK_NB)"
    with open_database(path, LAYOUT):
        run = subprocess.run([sys.executable, "-c", program, f"{path}.lock"], capture_output=True, check=False)
        assert b"BlockingIOError" in run.stderr


def test_a_refused_opening_lets_go_of_the_lock(path: str) -> None:
    with open_database(path, LAYOUT):
        pass
    with pytest.raises(CallerFault):
        open_database(path, Layout(owner=0x9999, steps=(FIRST,)))
    open_database(path, LAYOUT).close()


def test_the_folder_must_exist(tmp_path: Path) -> None:
    with pytest.raises(CallerFault) as caught:
        open_database(str(tmp_path / "missing" / "store.db"), LAYOUT)
    assert str(tmp_path / "missing") in caught.value.hint


def test_what_is_no_database_is_left_alone(path: str) -> None:
    Path(path).write_bytes(b"some words" * 1_000)
    with pytest.raises(CallerFault) as caught:
        open_database(path, LAYOUT)
    assert "no database" in caught.value.hint
    assert Path(path).read_bytes() == b"some words" * 1_000


def test_a_database_of_another_program_is_left_alone(path: str) -> None:
    apsw.Connection(path).execute("CREATE TABLE other (n)").connection.close()
    before = Path(path).read_bytes()
    with pytest.raises(CallerFault) as caught:
        open_database(path, LAYOUT)
    assert "another program" in caught.value.hint
    assert Path(path).read_bytes() == before


def test_a_newer_layout_is_refused(path: str) -> None:
    newer = Layout(LAYOUT.owner, (FIRST, "CREATE TABLE more (n INTEGER) STRICT"))
    open_database(path, newer).close()
    with pytest.raises(CallerFault) as caught:
        open_database(path, LAYOUT)
    assert "newer version" in caught.value.hint


def test_an_older_layout_is_brought_up_to_date(path: str) -> None:
    with open_database(path, LAYOUT) as database:
        add(database, 1)
    newer = Layout(LAYOUT.owner, (FIRST, "ALTER TABLE things ADD COLUMN colour TEXT NOT NULL DEFAULT 'red'"))
    with open_database(path, newer) as database:
        assert database.rows("SELECT * FROM things") == [(1, b"data", "red")]


def test_an_upgrade_happens_whole_or_not_at_all(path: str) -> None:
    open_database(path, LAYOUT).close()
    bad = Layout(LAYOUT.owner, (FIRST, "CREATE TABLE more (n INTEGER) STRICT; INSERT INTO nowhere VALUES (1)"))
    with pytest.raises(WorldFault):
        open_database(path, bad)
    with open_database(path, LAYOUT) as database:
        assert database.row("SELECT count(*) FROM sqlite_schema WHERE name = 'more'") == (0,)


def test_damage_is_told_not_repaired(path: str) -> None:
    with open_database(path, LAYOUT) as database:
        for n in range(200):
            database.write(ADD, (n, bytes(500)))
        database.commit()
        assert database.damage() == []
    data = bytearray(Path(path).read_bytes())
    data[3 * 4096 : 3 * 4096 + 8] = b"\xff" * 8
    Path(path).write_bytes(data)
    with open_database(path, LAYOUT) as database:
        with pytest.raises(WorldFault) as caught:
            database.rows(ALL)
        assert "damaged" in caught.value.hint
        assert database.failed


def test_a_rule_that_is_broken_ends_the_store(path: str) -> None:
    with open_database(path, LAYOUT) as database:
        add(database, 1)
        database.write(ADD, (2, b"half"))
        with pytest.raises(WorldFault):
            database.write(ADD, (1, b"twice"))
        assert database.failed
        with pytest.raises(WorldFault):
            database.commit()
    with open_database(path, LAYOUT) as database:
        assert database.rows(ALL) == [(1, b"data")]


def test_another_program_that_writes_is_waited_for_and_then_told(path: str) -> None:
    with open_database(path, LAYOUT) as database:
        database.commit()
        other = apsw.Connection(path)
        other.execute("BEGIN IMMEDIATE")
        database._connection.set_busy_timeout(1)  # noqa: SLF001  nobody wants to wait five seconds here
        with pytest.raises(WorldFault) as caught:
            database.write(ADD, (1, b"data"))
        other.close()
    assert "another program" in caught.value.hint


def test_a_closed_store_is_over(path: str) -> None:
    database = open_database(path, LAYOUT)
    database.close()
    database.close()
    with pytest.raises(WorldFault):
        database.rows(ALL)


def test_a_full_log_is_emptied_into_the_database(path: str) -> None:
    with open_database(path, LAYOUT, checkpoint_pages=10) as database:
        for n in range(100):
            add(database, n, bytes(4_000))
        assert Path(f"{path}-wal").stat().st_size < 20 * 4_096
        assert Path(path).stat().st_size > 90 * 4_000


def test_a_log_is_emptied_aside_and_all_of_it_is_found_again(path: str) -> None:
    database = open_database(path, LAYOUT, checkpoint_pages=8, aside=True)
    for n in range(400):
        add(database, n, bytes(4_000))
    size = Path(f"{path}-wal").stat().st_size
    assert len(database.rows(ALL)) == 400
    database.close()
    assert size < 200 * 4_096, "a thread that is too slow is waited for"
    with open_database(path, LAYOUT) as again:
        assert len(again.rows(ALL)) == 400
        assert again.damage() == []


def test_whoever_empties_a_log_aside_holds_no_lock_afterwards(path: str) -> None:
    open_database(path, LAYOUT, aside=True).close()
    open_database(path, LAYOUT, aside=True).close()


def test_a_reader_sees_what_was_committed(path: str) -> None:
    with open_database(path, LAYOUT) as database, open_reading(path, LAYOUT) as reading:
        add(database, 1)
        database.write(ADD, (2, b"open"))
        assert reading.rows("SELECT n FROM things") == [(1,)]
        with reading.snapshot():
            assert reading.rows("SELECT n FROM things") == [(1,)]
            database.commit()
            assert reading.rows("SELECT n FROM things") == [(1,)]
        assert reading.rows("SELECT n FROM things") == [(1,), (2,)]


def test_a_reader_works_without_a_writer(path: str) -> None:
    with open_database(path, LAYOUT) as database:
        add(database, 1)
    with open_reading(path, LAYOUT) as reading:
        assert reading.rows("SELECT n FROM things") == [(1,)]
        assert reading.damage() == []


def test_a_reader_cannot_write(path: str) -> None:
    open_database(path, LAYOUT).close()
    with open_reading(path, LAYOUT) as reading, pytest.raises(WorldFault):
        reading.rows("DELETE FROM things")


def test_a_reader_needs_a_store(path: str) -> None:
    with pytest.raises(CallerFault) as caught:
        open_reading(path, LAYOUT)
    assert path in caught.value.hint
    assert not Path(path).exists()


def test_what_is_scrubbed_is_nowhere_in_the_files(path: str) -> None:
    secret, other = os.urandom(64), os.urandom(64)
    with open_database(path, LAYOUT, secure_delete="on") as database:
        add(database, 1, secret)
        database.write("UPDATE things SET data = ? WHERE n = 1", (other,))
        database.scrub_at_commit()
        database.commit()
        content = b"".join(file.read_bytes() for file in Path(path).parent.iterdir())
    assert other in content
    assert secret not in content


def test_scrubbing_waits_for_a_reader_without_standing_still(path: str) -> None:
    secret = os.urandom(64)
    with open_database(path, LAYOUT, secure_delete="on") as database:
        add(database, 1, secret)
        with open_reading(path, LAYOUT) as reading:
            with reading.snapshot():
                reading.rows(ALL)
                database.write("DELETE FROM things")
                database.scrub_at_commit()
                database.commit()
            assert not database.failed
            add(database, 2)
        content = b"".join(file.read_bytes() for file in Path(path).parent.iterdir())
    assert secret not in content


def test_a_copy_taken_in_the_midst_holds_what_was_committed(path: str, tmp_path: Path) -> None:
    with open_database(path, LAYOUT) as database:
        add(database, 1)
        database.write(ADD, (2, b"half"))
        shutil.copytree(tmp_path, tmp_path.with_name("copy"))
    with open_database(str(tmp_path.with_name("copy") / "store.db"), LAYOUT) as copy:
        assert copy.rows(ALL) == [(1, b"data")]


# --- tables of days ---


def days(database: Database) -> DayTables:
    return DayTables(
        database,
        "kept",
        create="CREATE TABLE {table} (n INTEGER PRIMARY KEY, word TEXT NOT NULL) STRICT",
        insert="INSERT INTO {table} VALUES (?, ?)",
        find="SELECT word FROM {table} WHERE n = ?",
    )


def tables(database: Database) -> list[str]:
    return [name for (name,) in database.rows("SELECT name FROM sqlite_schema WHERE name GLOB 'kept_*' ORDER BY name")]


def test_rows_are_found_latest_day_first_and_dropped_by_the_day(path: str) -> None:
    day = 24 * 60
    with open_database(path, LAYOUT) as database:
        kept = days(database)
        assert kept.find((1,)) is None
        kept.add(Minutes(9 * day), (1, "nine"))
        kept.add(Minutes(10 * day), (1, "ten"))
        kept.add(Minutes(9 * day + day - 1), (2, "nine too"))
        assert kept.find((1,)) == ("ten",)
        assert kept.find((2,)) == ("nine too",)
        kept.drop(Minutes(10 * day - 2))
        assert tables(database) == ["kept_10", "kept_9"]
        kept.drop(Minutes(10 * day - 1))
        assert tables(database) == ["kept_10"]
        assert kept.find((2,)) is None
        database.commit()
    with open_database(path, LAYOUT) as database:
        kept = days(database)
        assert kept.find((1,)) == ("ten",)
        kept.add(Minutes(9 * day), (3, "again"))
        assert kept.find((3,)) == ("again",)
        kept.drop(Minutes(100 * day))
        assert tables(database) == []
