"""What is said, by whom, when and how long, is as the scenario says; each kind and each burst has a luck of its own."""

from __future__ import annotations

from collections import Counter
from hashlib import blake2b
from statistics import median

import msgspec
import pytest

from i247_node.commands import AskQuestion, Command, PublishNotice, WriteLetter
from i247_protocol.limits import RECIPIENTS_MAX
from i247_protocol.queries import TravelDocument
from i247_simulations.agenda import Agenda
from i247_simulations.scenario import Scenario
from i247_simulations.scenarios import TINY, WORLD, find_scenario
from i247_simulations.traffic import Burst, Exponential, Fixed, HeavyTailed, Kind, Line, Size, Stream, Swing, Traffic
from i247_simulations.workload import LOST, MARK, Workload

HOUR_MS = 3_600_000
Said = tuple[int, str, Command]


class Listener:
    """Takes every command, and notes when it came and who gave it."""

    def __init__(self, agenda: Agenda) -> None:
        self.said: list[Said] = []
        self._agenda = agenda

    def command(self, member: str, command: Command) -> bool:
        self.said.append((self._agenda.now_us, member, command))
        return True


def said(scenario: Scenario, *, until_ms: int, seed: int = 1) -> list[Said]:
    agenda = Agenda()
    listener = Listener(agenda)
    Workload(seed, scenario, agenda, listener).begin()
    agenda.run(until_ms * 1_000)
    return [(at_us // 1_000, member, command) for at_us, member, command in listener.said]


def silent(scenario: Scenario, **changes: object) -> Scenario:
    """Return a scenario in which nothing is said but what is named."""
    nothing = Traffic(streams={}, scale=1.0, hit_every=10, shares={}, asked={}, bursts=(), replayed=())
    return msgspec.structs.replace(scenario, traffic=msgspec.structs.replace(nothing, **changes))


def stream(per_hour: float, size: Size | None = None, swing: Swing | None = None) -> Stream:
    return Stream(per_hour, size, swing)


@pytest.mark.parametrize(
    ("scenario", "count", "digest"), [(TINY, 777, "9154076c846fa12d"), (WORLD, 7_555, "fbd962428a71220c")]
)
def test_what_is_said_in_ten_minutes_of_ours_stays_the_same(scenario: Scenario, count: int, digest: str) -> None:
    """As it was before scenarios were files, so that a seed of old shows the same again."""
    agenda = Agenda()
    listener = Listener(agenda)
    workload = Workload(1, scenario, agenda, listener)
    workload.begin()
    agenda.run(600_000_000)
    workload.probe()
    found = blake2b(digest_size=8)
    for at_us, member, command in listener.said:
        found.update(f"{at_us} {member} {type(command).__name__} {getattr(command, 'to', None)}\n".encode())
    assert (len(listener.said), found.hexdigest()) == (count, digest)


@pytest.mark.parametrize("scale", [1.0, 0.1])
def test_rates_are_for_the_whole_world_and_an_hour(scale: float) -> None:
    scenario = silent(WORLD, scale=scale, streams={Kind.QUERY: stream(20_000), Kind.NOTICE: stream(2_000)})
    kinds = Counter(type(command) for _, _, command in said(scenario, until_ms=HOUR_MS))
    assert kinds[AskQuestion] == pytest.approx(20_000 * scale, rel=0.1)
    assert kinds[PublishNotice] == pytest.approx(2_000 * scale, rel=0.25)
    assert kinds.keys() == {AskQuestion, PublishNotice}


def test_one_kind_less_changes_no_other() -> None:
    both = {Kind.QUERY: stream(3_000), Kind.LETTER: stream(3_000, Exponential(400))}
    alone = said(silent(TINY, streams={Kind.LETTER: both[Kind.LETTER]}), until_ms=HOUR_MS)
    together = said(silent(TINY, streams=both), until_ms=HOUR_MS)
    assert letters(alone) == letters(together)
    assert len(together) > 1.5 * len(alone)


def letters(all_said: list[Said]) -> list[tuple[int, str, tuple[str, ...], int]]:
    return [
        (at_ms, member, command.to, max(20, len(command.text)))  # what is shorter holds its number alone
        for at_ms, member, command in all_said
        if isinstance(command, WriteLetter)
    ]


def test_members_say_and_are_asked_their_shares() -> None:
    scenario = silent(
        WORLD, shares={"US": 0.31, "GB": 0.15}, asked={"XP": 0.5, "US": 0.0}, streams={Kind.QUERY: stream(20_000)}
    )
    asked = [(member, command) for _, member, command in said(scenario, until_ms=HOUR_MS)]
    authors = Counter(member for member, _ in asked)
    recipients = Counter(str(command.to) for _, command in asked if isinstance(command, AskQuestion))
    assert authors["US"] / len(asked) == pytest.approx(0.31, abs=0.02)
    assert authors["GB"] / len(asked) == pytest.approx(0.15, abs=0.02)
    assert authors["FR"] / len(asked) == pytest.approx(0.54 / 195, abs=0.002)
    assert recipients["XP"] / len(asked) == pytest.approx(0.5, abs=0.02)
    assert recipients["US"] < 10
    assert all(member != command.to for member, command in asked if isinstance(command, AskQuestion))


def test_a_share_of_all_leaves_nobody_else_a_word() -> None:
    scenario = silent(TINY, shares={"FR": 1.0}, asked={"FR": 1.0}, streams={Kind.QUERY: stream(3_000)})
    asked = said(scenario, until_ms=HOUR_MS)
    assert {member for _, member, _ in asked} == {"FR"}
    assert {command.to for _, _, command in asked if isinstance(command, AskQuestion)} == {"BR", "SG", "XP"}


def test_by_day_more_is_said_than_by_night_where_the_member_is() -> None:
    swing = Swing(share=0.8, peak_h=14.0)
    scenario = silent(WORLD, streams={Kind.QUERY: stream(6_000, swing=swing)}, shares={"JP": 0.4, "PE": 0.4})
    by_hour = {"JP": Counter[int](), "PE": Counter[int]()}
    for at_ms, member, _ in said(scenario, until_ms=24 * HOUR_MS):
        if member in by_hour:
            local = 8 + at_ms / HOUR_MS + (9 if member == "JP" else -5)  # a run begins at 8:00 UTC
            by_hour[member][int(local % 24)] += 1
    for hours in by_hour.values():
        assert sum(hours.values()) == pytest.approx(0.4 * 24 * 6_000, rel=0.03)
        assert sum(hours[hour] for hour in (13, 14)) / sum(hours[hour] for hour in (1, 2)) == pytest.approx(9, rel=0.15)


@pytest.mark.parametrize(
    ("size", "low", "middle", "high"),
    [(Fixed(700), 700, 700, 700), (Exponential(400), 20, 277, 2_500), (HeavyTailed(1_200, 1.5), 20, 1_200, 30_000)],
)
def test_texts_are_as_long_as_they_should_be(size: Size, low: int, middle: int, high: int) -> None:
    scenario = silent(TINY, streams={Kind.LETTER: stream(3_000, size)})
    lengths = sorted(length for *_, length in letters(said(scenario, until_ms=HOUR_MS)))
    assert median(lengths) == pytest.approx(middle, rel=0.15)
    assert lengths[0] >= low
    assert high * 0.5 <= lengths[-1] <= high * 2
    assert lengths[-1] <= 30_000


def test_every_so_manyth_query_finds_something() -> None:
    for every, expected in ((10, 0.1), (50, 0.02), (0, 0.0)):
        scenario = silent(TINY, streams={Kind.QUERY: stream(10_000)}, hit_every=every)
        asked = [command for *_, command in said(scenario, until_ms=HOUR_MS) if isinstance(command, AskQuestion)]
        hits = sum(isinstance(one.criteria, TravelDocument) and one.criteria.number == LOST for one in asked)
        assert hits / len(asked) == pytest.approx(expected, abs=0.001)


def test_a_burst_comes_at_its_instant_and_changes_nothing_else() -> None:
    streams = {Kind.QUERY: stream(3_000)}
    burst = Burst(9_000, Kind.LETTER, 40, 2_000, "FR", ("SG", "XP"), Fixed(100))
    notice = Burst(9_000, Kind.NOTICE, 1, 0, "XP", (), None)
    quiet = said(silent(TINY, streams=streams), until_ms=60_000)
    loud = said(silent(TINY, streams=streams, bursts=(burst, notice)), until_ms=60_000)
    written = letters(loud)
    assert len(written) == 40
    assert all(9_000 <= at_ms <= 11_000 and member == "FR" for at_ms, member, *_ in written)
    assert {to for *_, to, _ in written} == {("SG",), ("XP",)}
    (published,) = [(at_ms, member, command) for at_ms, member, command in loud if isinstance(command, PublishNotice)]
    assert published[:2] == (9_000, "XP")
    assert published[2].to is None
    assert [(at_ms, member) for at_ms, member, command in loud if isinstance(command, AskQuestion)] == [
        (at_ms, member) for at_ms, member, _ in quiet
    ]


@pytest.mark.parametrize("kind", list(Kind))
def test_a_burst_of_anybody_is_of_somebody_else_than_its_recipients(kind: Kind) -> None:
    burst = Burst(9_000, kind, 50, 0, "XP" if kind is Kind.NOTICE else None, ("FR", "SG"), None)
    for _, member, command in said(silent(TINY, bursts=(burst,)), until_ms=60_000):
        to = getattr(command, "to", None)
        assert member in {"BR", "XP"}
        assert set([to] if isinstance(to, str) else to or ()) <= {"FR", "SG"}


def test_a_log_is_said_again() -> None:
    lines = (
        Line(9_000, "BR", ("FR", "SG"), Kind.LETTER, 1_200),
        Line(9_000, "SG", ("FR",), Kind.QUERY, 0),
        Line(12_000, "XP", (), Kind.NOTICE, 800),
        Line(13_000, "FR", ("XP",), Kind.DIFFUSION, 0),
    )
    found = said(silent(TINY, replayed=lines), until_ms=60_000)
    assert [(at_ms, member, type(command)) for at_ms, member, command in found] == [
        (9_000, "BR", WriteLetter),
        (9_000, "SG", AskQuestion),
        (12_000, "XP", PublishNotice),
        (13_000, "FR", PublishNotice),
    ]
    letter, query, notice, diffusion = (command for *_, command in found)
    assert isinstance(letter, WriteLetter)
    assert (letter.to, len(letter.text)) == (("FR", "SG"), 1_200)
    assert MARK in letter.text
    assert isinstance(query, AskQuestion)
    assert query.to == "FR"
    assert isinstance(notice, PublishNotice)
    assert (notice.to, len(notice.notice.text)) == (None, 800)
    assert isinstance(diffusion, PublishNotice)
    assert diffusion.to == ("XP",)


@pytest.mark.parametrize("scale", [0.25, 1.0, 2.5])
def test_a_log_is_scaled_line_by_line(scale: float) -> None:
    lines = tuple(Line(9_000 + n, "BR", ("FR",), Kind.QUERY, 0) for n in range(2_000))
    assert len(said(silent(TINY, replayed=lines, scale=scale), until_ms=60_000)) == pytest.approx(
        2_000 * scale, rel=0.1
    )


def test_a_notice_to_more_than_one_message_may_name_becomes_several() -> None:
    large = find_scenario("scale-1000")
    notice = Burst(9_000, Kind.NOTICE, 1, 0, "XP", (), None)
    found = [command for *_, command in said(silent(large, bursts=(notice,)), until_ms=60_000)]
    named = [code for command in found if isinstance(command, PublishNotice) for code in command.to or ()]
    assert [len(command.to or ()) for command in found if isinstance(command, PublishNotice)] == [
        RECIPIENTS_MAX
    ] * 3 + [249]
    assert {*named} == {*large.members} - {"XP"}
