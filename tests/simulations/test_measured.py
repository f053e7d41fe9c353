"""Logs and latencies from elsewhere are read to the line, or refused with its number."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from i247_protocol.errors import CallerFault
from i247_simulations.measured import read_log, read_matrix
from i247_simulations.traffic import Kind, Line

HEADER = "instant,from,to,kind,bytes\n"


def test_a_log_is_said_in_order_of_time() -> None:
    text = HEADER + "1m,XP,,notice,800\n12.5s,BR,FR SG,letter,1200\n\n30s, SG ,FR,query,\n"
    assert read_log(text, "log.csv", begin_ms=8_000) == (
        Line(12_500, "BR", ("FR", "SG"), Kind.LETTER, 1_200),
        Line(30_000, "SG", ("FR",), Kind.QUERY, 0),
        Line(60_000, "XP", (), Kind.NOTICE, 800),
    )


def test_the_first_date_of_a_log_is_the_end_of_the_warm_up() -> None:
    text = "kind,bytes,from,to,instant\nquery,,FR,SG,2026-03-01T09:15:30.250+01:00\nquery,,SG,FR,2026-03-01T08:15:29Z\n"
    assert [line.at_ms for line in read_log(text, "log.csv", begin_ms=20_000)] == [20_000, 21_250]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "line 1: other columns"),
        ("instant,from,to,kind\n", "line 1: other columns"),
        (HEADER + "10s,FR,SG,query\n", "line 2: 4 columns"),
        (HEADER + "soon,FR,SG,query,\n", "line 2: instant"),
        (HEADER + "1s,FR,SG,query,\n", "line 2: instant: before the warm-up"),
        (HEADER + "10s,FR,SG,query,\n10s,FR,SG,cable,\n", "line 3: kind"),
        (HEADER + "10s,FR,SG,letter,-1\n", "line 2: bytes"),
        (HEADER + "10s,FR,SG,letter,1e3\n", "line 2: bytes"),
        (HEADER + "10s,FR,SG,letter,30001\n", "line 2: bytes"),
        (HEADER + "10s,FR,,letter,1\n", "line 2: to"),
        (HEADER + "10s,FR,FR,letter,1\n", "line 2: to"),
        (HEADER + "10s,XP,XP,notice,1\n", "line 2: to"),
        (HEADER + "10s,FR,SG SG,diffusion,1\n", "line 2: to"),
        (HEADER + "10s,FR,SG BR,query,\n", "line 2: to: more than one"),
    ],
)
def test_a_log_that_cannot_be_read_is_refused(text: str, told: str) -> None:
    with pytest.raises(CallerFault) as caught:
        read_log(text, "log.csv", begin_ms=8_000)
    assert f"reading log.csv, {told}" in caught.value.doing


def test_latencies_are_one_way_in_the_end() -> None:
    assert read_matrix("from,to,rtt_ms\nlyon,FR,9.5\nFR,lyon,8\n", "m.csv") == {
        "lyon": {"FR": 4_750},
        "FR": {"lyon": 4_000},
    }
    assert read_matrix("to,one_way_ms,from\nFR,9.5,lyon\n", "m.csv") == {"lyon": {"FR": 9_500}}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("from,to,ms\n", "line 1: other columns"),
        ("from,to,rtt_ms\nlyon,FR,fast\n", "line 2: rtt_ms"),
        ("from,to,rtt_ms\nlyon,FR,0\n", "line 2: rtt_ms"),
        ("from,to,rtt_ms\nlyon,FR,-4\n", "line 2: rtt_ms"),
        ("from,to,rtt_ms\nlyon,FR,nan\n", "line 2: rtt_ms"),
        ("from,to,rtt_ms\nlyon,FR,inf\n", "line 2: rtt_ms"),
        ("from,to,one_way_ms\nlyon,FR,60001\n", "line 2: one_way_ms"),
        ("from,to,rtt_ms\nlyon,FR,5\nlyon,FR,6\n", "line 3: this way"),
    ],
)
def test_latencies_that_cannot_be_read_are_refused(text: str, told: str) -> None:
    with pytest.raises(CallerFault) as caught:
        read_matrix(text, "m.csv")
    assert f"reading m.csv, {told}" in caught.value.doing


@given(st.text(max_size=60) | st.text(alphabet='0123456789smFRSG",. \n', max_size=60).map(lambda text: HEADER + text))
def test_any_text_is_a_log_or_refused(text: str) -> None:
    for read in (lambda: read_log(text, "x.csv", begin_ms=0), lambda: read_matrix(text, "x.csv")):
        with suppress(CallerFault):
            read()
