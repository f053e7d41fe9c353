"""A scenario's file says what is run; what it must not say is refused with its place and a way out."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from i247_protocol.errors import CallerFault
from i247_simulations.faults import HangUp, Partition
from i247_simulations.latency import Constant, Distance, Matrix, Place, Uniform
from i247_simulations.scenario import Scenario
from i247_simulations.scenarios import TINY, WORLD, find_scenario, our_names, text_of
from i247_simulations.traffic import Burst, Exponential, Fixed, HeavyTailed, Kind, Line, Stream, Swing

LEAST = """
what = "as little as can be"
[run]
warm_up = "8s"
until = "20s"
[topology]
kind = "listed"
[topology.homes]
FR = ["lyon"]
SG = ["lyon"]
[latency]
kind = "constant"
rtt = "40ms"
"""


def written(folder: Path, text: str, name: str = "mine.toml") -> Scenario:
    path = folder / name
    path.write_text(text)
    return find_scenario(str(path))


def test_ours_are_what_they_were() -> None:
    assert TINY.traffic.streams == {
        Kind.QUERY: Stream(3_600.0, None, None),
        Kind.LETTER: Stream(900.0, Exponential(400), None),
        Kind.DIFFUSION: Stream(300.0, None, None),
        Kind.NOTICE: Stream(120.0, None, None),
    }
    assert (TINY.warm_ms, TINY.chaos_ms, TINY.calm_ms_max, TINY.sample_ms) == (8_000, 180_000, 2_700_000, 5_000)
    assert (TINY.commit_us, TINY.store_bytes_max, TINY.latency) == (2_000, 2**34, Uniform(1.0, 2.0, 120.0))
    assert (WORLD.warm_ms, WORLD.chaos_ms, WORLD.calm_ms_max, WORLD.sample_ms) == (20_000, 60_000, 2_700_000, 5_000)
    assert (WORLD.commit_us, WORLD.store_bytes_max, WORLD.latency) == (4_000, 2**36, Uniform(1.0, 5.0, 150.0))
    assert [stream.per_hour for stream in WORLD.traffic.streams.values()] == [36_000, 7_200, 120, 30]
    assert not TINY.faults
    assert not WORLD.faults


@pytest.mark.parametrize("name", our_names())
def test_ours_can_be_printed_and_read_from_there(name: str, tmp_path: Path) -> None:
    again = written(tmp_path, text_of(name), f"{name}.toml")
    assert again == find_scenario(name)
    assert again.what
    assert not again.what.endswith(("\n", " "))


@pytest.mark.parametrize("name", our_names())
def test_a_scenario_written_and_read_again_is_the_same(name: str) -> None:
    scenario = find_scenario(name)
    data = msgspec.json.encode(scenario, order="deterministic")
    again = msgspec.json.decode(data, type=Scenario)
    assert again == scenario
    assert again.hash == scenario.hash


def test_a_hash_names_the_content(tmp_path: Path) -> None:
    one = written(tmp_path, LEAST)
    assert written(tmp_path, f"# words about it\n{LEAST}").hash == one.hash
    assert len({one.hash, written(tmp_path, LEAST.replace("40ms", "41ms")).hash, TINY.hash, WORLD.hash}) == 4


def test_what_is_left_out_has_a_usual_value(tmp_path: Path) -> None:
    least = written(tmp_path, LEAST)
    assert least.latency == Constant(1.0, 40.0)
    assert least.homes == {"FR": ("lyon",), "SG": ("lyon",)}
    assert (least.name, least.traffic.streams, least.traffic.scale, least.traffic.hit_every) == ("mine", {}, 1.0, 10)


def test_a_file_says_only_what_is_different_from_another(tmp_path: Path) -> None:
    (tmp_path / "deeper").mkdir()
    (tmp_path / "deeper" / "lower.toml").write_text('extends = "tiny-4"\n[traffic.query]\nrate = "7/h"\n')
    found = written(tmp_path, 'extends = "deeper/lower.toml"\n[latency]\nkind = "constant"\nrtt = "9ms"\n')
    streams = {**TINY.traffic.streams, Kind.QUERY: Stream(7.0, None, None)}
    assert found == msgspec.structs.replace(
        TINY,
        name="mine",
        latency=Constant(1.0, 9.0),
        traffic=msgspec.structs.replace(TINY.traffic, streams=streams),
    )


def test_all_settings_mean_what_they_say(tmp_path: Path) -> None:
    (tmp_path / "rtt.csv").write_text("from,to,rtt_ms\nlyon,FR,9\n")
    (tmp_path / "log.csv").write_text("instant,from,to,kind,bytes\n9s,FR,SG,letter,12\n")
    found = written(
        tmp_path,
        """
what = "all of it"
[run]
warm_up = "8s"
until = "20s"
calm_at_most = "1h"
sample_every = "250ms"
[topology]
kind = "listed"
[topology.homes]
FR = ["lyon"]
SG = ["lyon", "here"]
XP = ["lyon"]
[topology.places]
here = { latitude = 1.5, longitude = -2.5, utc_offset_hours = 5.5 }
[machines]
commit = "1500us"
store = "1GiB"
[latency]
kind = "matrix"
file = "rtt.csv"
otherwise = "80ms"
jitter = 0.5
[traffic]
scale = "1:4"
hit_rate = 0.0002
shares = { SG = 0.25 }
asked = { XP = 1 }
replay = "log.csv"
[traffic.query]
rate = "2/s"
rhythm = "day and night"
swing = 0.5
peak_hour = 15.5
[traffic.letter]
rate = "1/min"
size = { kind = "heavy-tailed", median = "1kB", spread = 2 }
[[burst]]
at = "19s"
what = "notice"
size = { kind = "fixed", bytes = "2kB" }
[[burst]]
at = "10s"
what = "letter"
count = 5
within = "2s"
sender = "FR"
to = ["SG"]
[[fault]]
at = "12s"
what = "hang up"
who = "SG"
""",
    )
    assert (found.calm_ms_max, found.sample_ms, found.commit_us, found.store_bytes_max) == (
        3_600_000,
        250,
        1_500,
        2**30,
    )
    assert found.latency == Matrix(0.5, {"lyon": {"FR": 4_500}}, 80.0)
    assert found.places["here"] == Place(1.5, -2.5, 330)
    traffic = found.traffic
    assert (traffic.scale, traffic.hit_every, traffic.shares, traffic.asked) == (0.25, 5_000, {"SG": 0.25}, {"XP": 1.0})
    assert traffic.streams == {
        Kind.QUERY: Stream(7_200.0, None, Swing(0.5, 15.5)),
        Kind.LETTER: Stream(60.0, HeavyTailed(1_000, 2.0), None),
    }
    assert traffic.bursts == (
        Burst(10_000, Kind.LETTER, 5, 2_000, "FR", ("SG",), None),
        Burst(19_000, Kind.NOTICE, 1, 0, "XP", (), Fixed(2_000)),
    )
    assert traffic.replayed == (Line(9_000, "FR", ("SG",), Kind.LETTER, 12),)
    assert found.faults == (HangUp(12_000, "SG"),)


def test_lyon_is_cut_off_for_three_hours() -> None:
    lyon = find_scenario("lyon-cut-off")
    (fault,) = lyon.faults
    assert isinstance(fault, Partition)
    assert (fault.here, fault.for_ms, len(fault.there)) == (("lyon", "XP"), 3 * 3_600_000, 196 + 7)
    assert lyon.traffic.scale == 0.01
    assert lyon.traffic.streams[Kind.QUERY].per_hour == 900_000
    assert lyon.traffic.hit_every == 5_000
    assert sum(lyon.traffic.shares.values()) > 0.5
    assert isinstance(lyon.latency, Distance)
    day = find_scenario("day-1-100")
    assert day.chaos_ms == 24 * 3_600_000
    assert day.traffic == lyon.traffic


BAD = [
    # what is changed in LEAST, or added to it; where; a way out
    ("warm_up", "warmup", "line 4: run.warmup: unknown key", "did you mean `warm_up`?"),
    ("[latency]", "[latncy]", "latncy: unknown key", "did you mean `latency`?"),
    ('kind = "constant"', 'kind = "constnat"', "latency.kind: none of the words", "did you mean `constant`?"),
    ('rtt = "40ms"', "rtt = 40", "latency.rtt", "a text"),
    ('rtt = "40ms"', 'rtt = "40"', "latency.rtt: cannot be read", "a duration is wanted"),
    ('rtt = "40ms"', 'rtt = "2m"', "latency.rtt: out of bounds", "60000"),
    ('rtt = "40ms"', 'least = "40ms"', "latency.least: of no use with kind `constant`", "rtt"),
    ('rtt = "40ms"', "", "latency.rtt: missing", "extend"),
    ('kind = "constant"\nrtt = "40ms"', 'kind = "uniform"\nleast = "9ms"\nmost = "8ms"', "latency.most", "exchange"),
    ('kind = "constant"\nrtt = "40ms"', 'kind = "distance"\njitter = nan', "latency.jitter: out of bounds", "0 to 10"),
    ('kind = "constant"\nrtt = "40ms"', 'kind = "matrix"', "latency.file: missing", "extend"),
    ('kind = "constant"\nrtt = "40ms"', 'kind = "matrix"\nfile = "none.csv"', "none.csv", "path of a file"),
    ('kind = "constant"\nrtt = "40ms"', 'kind = "matrix"\nfile = "part.csv"', "nothing from SG to lyon", "otherwise"),
    ('kind = "constant"\nrtt = "40ms"', 'kind = "matrix"\nfile = "other.csv"', "nobody is called Lyon", "`lyon`"),
    (
        'SG = ["lyon"]\n[latency]\nkind = "constant"\nrtt = "40ms"',
        'SG = ["far"]\n[latency]\nkind = "distance"',
        "latency.kind: nobody knows where far is",
        "topology.places.far",
    ),
    ('until = "20s"', 'until = "8s"', "run.until: before the warm-up is over", "8s"),
    ('until = "20s"', "", "run.until: missing", "extend"),
    ('until = "20s"', 'until = "20s"\nsample_every = "0s"', "run.sample_every: out of bounds", "100"),
    ('what = "as little as can be"', "", "what: missing", "extend"),
    ('kind = "listed"', "", "topology.kind: missing", "extend"),
    ('kind = "listed"', 'kind = "ring"', "topology.homes: of no use with kind `ring`", "members"),
    ('kind = "listed"', 'kind = "listed"\nhubs = 9', "topology: choosing hubs", "wherever a member is"),
    ('SG = ["lyon"]', "", "topology.homes: out of bounds", "2 to 1024"),
    ('SG = ["lyon"]', 'SGP = ["lyon"]', "topology.homes.SGP: no code", "two capital letters"),
    ('SG = ["lyon"]', "SG = []", "topology.homes.SG: none", "1 to 8"),
    ('SG = ["lyon"]', 'SG = ["lyon", "lyon"]', "topology.homes.SG: none, too many, or one twice", "1 to 8"),
    ('SG = ["lyon"]', 'SG = ["Lyon"]', "topology.homes.SG: no name of a hub", "small letters"),
    ("", '[traffic]\nscale = "1:0"', "traffic.scale: cannot be read", "1:100"),
    ("", "[traffic]\nhit_rate = 2", "traffic.hit_rate: out of bounds", "0 to 1"),
    ("", "[traffic]\nshares = { BR = 0.5 }", "traffic.shares: nobody is called BR", "FR"),
    ("", "[traffic]\nshares = { FR = 0.7, SG = 0.7 }", "traffic.shares: more than all", "1 at most"),
    ("", '[traffic.notice]\nrate = "1/h"', "traffic.notice: nobody is there", "XP"),
    ("", '[traffic.query]\nrate = "1"', "traffic.query.rate: cannot be read", "250/s"),
    ("", '[traffic.query]\nrate = "1/s"\nswing = 0.5', "traffic.query.rhythm: steady", "day and night"),
    ("", '[traffic.letter]\nrate = "1/s"\nsize = { mean = "4B" }', "traffic.letter.size.kind: missing", "add it"),
    (
        "",
        '[traffic.letter]\nrate = "1/s"\nsize = { kind = "exponential", mean = "4MB" }',
        "traffic.letter.size.mean: out of bounds",
        "30000",
    ),
    (
        "",
        '[traffic.letter]\nrate = "1/s"\nsize = { kind = "fixed", mean = "4B" }',
        "traffic.letter.size.mean: of no use with kind `fixed`",
        "bytes",
    ),
    ("", '[traffic]\nreplay = "log.csv"', "traffic.replay: nobody is called DE", "FR"),
    ("", '[[burst]]\nat = "9s"\nwhat = "notice"', "burst[0].sender: nobody is called XP", "FR"),
    ("", '[[burst]]\nat = "9s"\nwhat = "letter"\nto = ["FR", "FR"]', "burst[0].to", "each once"),
    ("", '[[burst]]\nat = "7s"\nwhat = "letter"', "burst[0].at: not while people speak", "from 8s to 20s"),
    ("", '[[burst]]\nat = "19s"\nwithin = "2s"\nwhat = "letter"', "burst[0].at", "from 8s to 20s"),
    ("", '[[burst]]\nat = "9s"\nwhat = "letter"\ncount = 0', "burst[0].count: out of bounds", "100000"),
    ("", '[[burst]]\nat = "9s"\nwhat = "leter"', "burst[0].what", "did you mean `letter`?"),
    ("", '[[fault]]\nat = "9s"\nwhat = "crash"\nwho = "lyon"\nfor = "12s"', "run.until: before all faults", "21s"),
    ("", '[[fault]]\nat = "9s"\nwhat = "crsh"', "fault[0].what", "did you mean `crash`?"),
    ("", "fault = 3", "latency.fault: unknown key", "known here"),
    ("", "[[", "not TOML", "toml.io"),
]


@pytest.mark.parametrize(("old", "new", "told", "hint"), BAD)
def test_a_file_that_does_not_do_is_refused(old: str, new: str, told: str, hint: str, tmp_path: Path) -> None:
    (tmp_path / "part.csv").write_text("from,to,rtt_ms\nFR,lyon,9\n")
    (tmp_path / "other.csv").write_text("from,to,rtt_ms\nFR,Lyon,9\n")
    (tmp_path / "log.csv").write_text("instant,from,to,kind,bytes\n9s,FR,DE,letter,12\n")
    text = LEAST.replace(old, new) if old else LEAST + new
    assert text != LEAST
    with pytest.raises(CallerFault) as caught:
        written(tmp_path, text)
    assert told in caught.value.doing, caught.value.doing
    assert hint in caught.value.hint, caught.value.hint


def test_a_circle_of_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text('extends = "b.toml"\n')
    (tmp_path / "b.toml").write_text('extends = "a.toml"\n')
    for name in ("a", "b"):
        with pytest.raises(CallerFault, match="extends itself"):
            find_scenario(str(tmp_path / f"{name}.toml"))


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("tinny-4", "`tiny-4`"),
        ("nowhere/at-all.toml", "path"),
        ("x", "ends in .toml"),
        ("../data/members", "lyon-cut-off"),
    ],
)
def test_a_name_that_leads_nowhere_is_told(name: str, hint: str) -> None:
    with pytest.raises(CallerFault) as caught:
        find_scenario(name)
    assert hint in caught.value.hint


def test_who_is_told_of_a_file_that_is_extended(tmp_path: Path) -> None:
    (tmp_path / "lower.toml").write_text("[traffic]\nscal = 3\n")
    with pytest.raises(CallerFault, match=r"reading lower.toml, line 2: traffic.scal: unknown key"):
        written(tmp_path, 'extends = "lower.toml"\n')
