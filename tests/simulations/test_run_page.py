"""The page of a run: whole, self-contained, the same bytes each time, and no text of a result becomes markup."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import msgspec
import pytest

from i247_simulations.cli import run_command
from i247_simulations.cli.forms import write
from i247_simulations.faults import Level
from i247_simulations.report.run_page import run_page
from i247_simulations.results import Breach, Result, Verdict
from i247_simulations.running import run
from i247_simulations.scenarios import TINY, with_until

EVIL = '<script>alert("x")</script>&"\''
SECTIONS = ["latency", "time", "load", "waiting", "map", "drops", "faults", "life", "promises", "about"]
VOID = {"meta", "br", "link"}


class Reader(HTMLParser):
    """Takes a page apart, and fails when elements do not close in order."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and data.strip():
            self.texts.append((self.open[-1], data.strip()))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.found if name == tag]


@pytest.fixture(scope="module")
def lived() -> Result:
    return run(with_until(TINY, 30_000), 7, Level.HARSH, version="1", command="i247-sim run here --seed 7")


@pytest.fixture(scope="module")
def broken() -> Result:
    return run(with_until(TINY, 30_000), 3, Level.HARSH, "no-replay-table", version="1")


def test_all_parts_are_there_and_the_verdict_comes_first(lived: Result) -> None:
    reader = Reader(run_page(lived))
    assert [one["id"] for one in reader.all("h2")] == SECTIONS
    texts = [text for tag, text in reader.texts if tag not in {"title", "style"}]
    assert texts[1:3] == ["✓", "Every promise held."]
    assert ("code", "i247-sim run here --seed 7") in reader.texts


def test_links_lead_to_parts_that_are_there(lived: Result) -> None:
    reader = Reader(run_page(lived))
    targets = {attributes["id"] for _, attributes in reader.found if "id" in attributes}
    assert {(one["href"] or "")[1:] for one in reader.all("a")} <= targets
    assert len(targets) == sum("id" in attributes for _, attributes in reader.found)


def test_a_page_asks_nothing_of_any_network(lived: Result) -> None:
    page = run_page(lived)
    reader = Reader(page)
    for _, attributes in reader.found:
        assert not attributes.keys() & {"src", "srcset", "action", "poster", "data"}
        assert (attributes.get("href") or "#").startswith("#")
    assert not re.search(r"https?:|url\(|@import|//[a-z]", page)


def test_figures_say_in_words_what_they_show(lived: Result) -> None:
    figures = [one for one in Reader(run_page(lived)).all("svg") if one.get("aria-hidden") != "true"]
    assert len(figures) == 12  # six, each drawn for wide and for narrow windows
    assert all(one["role"] == "img" and len(one["aria-label"] or "") > 20 for one in figures)


def test_a_broken_promise_stands_first_with_what_broke_it(broken: Result) -> None:
    page = run_page(broken)
    reader = Reader(page)
    assert next(one["id"] for one in reader.all("h2")) == "broke"
    assert f"Promise P4 is broken: {broken.breaches[0].what}." in [text for _, text in reader.texts]
    assert "The life of the message that broke a promise" in page
    assert ("span", "✗ broken") in reader.texts
    assert "planted on purpose: no-replay-table" in page


def test_no_text_becomes_markup(broken: Result) -> None:
    life = msgspec.structs.replace(
        broken.lives[0],
        sender=EVIL,
        kind=EVIL,
        moments=tuple(msgspec.structs.replace(one, what=EVIL, program=EVIL) for one in broken.lives[0].moments),
    )
    first = broken.latencies[0]
    evil = msgspec.structs.replace(
        broken,
        scenario=EVIL,
        level=EVIL,
        plant=EVIL,
        version=EVIL,
        command=EVIL,
        members=(*broken.members, EVIL),
        hubs=(*broken.hubs, EVIL),
        homes={**broken.homes, EVIL: (EVIL,)},
        marks={EVIL: 3},
        counters={EVIL: {f"refused.{EVIL}": 2}},
        breaches=(Breach(EVIL, EVIL, 9_000, EVIL, EVIL, ""),),
        lives=(life,),
        latencies=(msgspec.structs.replace(first, kind=EVIL),),
        phases=tuple(msgspec.structs.replace(one, name=EVIL) for one in broken.phases),
        watched={EVIL: (EVIL,)},
    )
    page = run_page(evil)
    reader = Reader(page)
    assert len(reader.all("script")) == 1
    assert "alert(" in page
    assert "<script>alert" not in page


@pytest.mark.parametrize("verdict", list(Verdict))
def test_a_run_in_which_nothing_happened_has_a_page(verdict: Verdict, broken: Result) -> None:
    nothing = msgspec.structs.replace(
        broken, verdict=verdict, faults=(), lives=(), latencies=(), priorities=(), samples=(), flows=(), counters={}
    )
    nothing = msgspec.structs.replace(nothing, phases=(), marks={}, questions={}, accepted=0)
    assert "The promises" in run_page(nothing)


def test_the_same_result_gives_the_same_bytes_in_any_process(lived: Result, tmp_path: Path) -> None:
    kept = tmp_path / "result.json"
    write(kept, lived)
    assert run_command(["report", str(kept), str(tmp_path / "here.html")]) == 0
    program = "import sys; from i247_simulations.cli import run_command; sys.exit(run_command(sys.argv[1:]))"
    subprocess.run(
        [sys.executable, "-c", program, "report", str(kept), str(tmp_path / "there.html")],
        env={**os.environ, "PYTHONHASHSEED": "77"},
        check=True,
    )
    here = (tmp_path / "here.html").read_bytes()
    assert here == (tmp_path / "there.html").read_bytes() == run_page(lived).encode()
