"""A hub is killed with -9 in the midst of a thousand queries, and comes back: all of them end, none twice."""

import sqlite3
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from tests.processes.country import Countries, until

from i247_node.commands import AskQuestion, ConversationMoved
from i247_node.embed import EmbeddedNode
from i247_node.engine import Moved
from i247_protocol.handling import ROUTINE_HANDLING, Purpose
from i247_protocol.names import MemberCode
from i247_protocol.priority import Priority
from i247_protocol.queries import Status, TravelDocument

QUERIES = 1_000
IN_FLIGHT = 64
MARK = "MARKEDNUMBER"


@pytest.fixture
def countries(tmp_path: Path) -> Iterator[Countries]:
    made = Countries(tmp_path, {"FR": "lyon", "SG": "singapore", "XP": "lyon"})
    config = made.config("SG")
    text = config.read_text().replace('# sltd = "registers.db"', 'sltd = "registers.db"')
    config.write_text(text + '\n[policy.registers.sltd]\nopen_to = "all"\n')
    rows = Path(__file__).parents[2] / "demo/registers/sltd.csv"
    made.run("i247-node", "register", "import", "sltd", rows, "--kind", "documents", "--config", config)
    yield made
    made.close()


@pytest.mark.timeout(180)
def test_all_end_and_none_twice(countries: Countries) -> None:
    for name in ("lyon", "singapore", "SG"):
        countries.start(name)
    ended: Counter[bytes] = Counter()
    statuses: Counter[str] = Counter()

    def follow(news: Sequence[Moved]) -> None:
        for one in news:
            if isinstance(one, ConversationMoved):
                ended[one.conv] += 1
                statuses["none" if one.reply is None else one.reply.status.value] += 1

    with EmbeddedNode.open(countries.config("FR")) as node:
        node.follow(follow)

        def ready() -> bool:
            node.step(50)
            status = node.status()
            return all(link.open for link in status.links) and status.cards >= 1

        until(ready, countries.logs)
        asked = 0
        killed = False

        def all_ended() -> bool:
            nonlocal asked, killed
            while asked < QUERIES and asked - len(ended) < IN_FLIGHT:
                asked += 1
                node.ask(_question(asked), lambda answer: None)
            node.step(20)
            if len(ended) > QUERIES // 3 and not killed:
                killed = True
                countries.kill("lyon")
                countries.start("lyon")
            return len(ended) == QUERIES

        until(all_ended, lambda: (len(ended), statuses, countries.logs()), 120)
        assert killed
        assert set(ended.values()) == {1}
        assert statuses == {Status.NO_HIT.value: QUERIES}
    _read_by_nobody(countries)


def _question(n: int) -> AskQuestion:
    document = TravelDocument(country="UTO", number=f"{MARK}{n}", type="P")
    return AskQuestion(
        0, MemberCode("SG"), "sltd", document, Purpose.BORDER_CONTROL, 100_000, Priority.ROUTINE, ROUTINE_HANDLING
    )


def _read_by_nobody(countries: Countries) -> None:
    """Show that the marked number is in no file and no log of a hub."""
    for hub in ("lyon", "singapore"):
        files = [path for path in (countries.root / hub).rglob("*") if path.is_file()]
        assert any(path.suffix.startswith(".db") or path.read_bytes()[:6] == b"SQLite" for path in files)
        for data in (*(path.read_bytes() for path in files), countries.log(hub).encode()):
            assert MARK.encode() not in data


def test_the_mark_would_be_found(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "x.db") as database:
        database.execute("CREATE TABLE t (v BLOB)")
        database.execute("INSERT INTO t VALUES (?)", (b"--" + MARK.encode(),))
    assert MARK.encode() in (tmp_path / "x.db").read_bytes()
