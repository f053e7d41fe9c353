"""What goes wrong can be told in plain words, and each kind of fault has them."""

from __future__ import annotations

import typing
from enum import StrEnum

import msgspec
import pytest

from i247_protocol.errors import CallerFault
from i247_simulations.fault_words import MEMBERS_ONLY, WORDS, read_faults, words_of
from i247_simulations.faults import (
    ClockStep,
    CommitFails,
    Crash,
    Fault,
    HangUp,
    HostileHub,
    HostileMember,
    HubLie,
    LyingSync,
    Mischief,
    Partition,
    SlowDisk,
    SlowLinks,
    Stall,
    Suspension,
)

HOMES = {"BR": ("lyon",), "FR": ("lyon", "asia"), "SG": ("asia",), "XP": ("lyon",)}
REST = ("BR", "FR", "SG", "XP")


@pytest.mark.parametrize(
    ("entry", "faults"),
    [
        (
            {"what": "cut off", "who": "lyon", "for": "3h"},
            [Partition(600_000, ("lyon",), ("asia", *REST), 10_800_000, one_way=False)],
        ),
        (
            {"what": "cut off", "who": ["lyon", "members of lyon"], "for": "1s", "from": "asia", "one_way": True},
            [Partition(600_000, ("lyon", "BR", "FR", "XP"), ("asia",), 1_000, one_way=True)],
        ),
        ({"what": "crash", "who": "FR", "for": "5s"}, [Crash(600_000, "FR", 5_000)]),
        (
            {"what": "crash", "who": "all hubs", "for": "5s"},
            [Crash(600_000, "asia", 5_000), Crash(600_000, "lyon", 5_000)],
        ),
        ({"what": "commit fails", "who": "FR", "for": "0s"}, [CommitFails(600_000, "FR", 0)]),
        ({"what": "slow disk", "who": "FR", "for": "1m", "delay": "200ms"}, [SlowDisk(600_000, "FR", 60_000, 200)]),
        ({"what": "lying sync", "who": "FR", "for": "1m", "down": "2s"}, [LyingSync(600_000, "FR", 60_000, 2_000)]),
        ({"what": "hang up", "who": ["FR", "FR", "SG"]}, [HangUp(600_000, "FR"), HangUp(600_000, "SG")]),
        ({"what": "stall", "from": "FR", "to": "lyon", "for": "1s"}, [Stall(600_000, "FR", "lyon", 1_000)]),
        (
            {"what": "slow links", "who": "FR", "for": "1s", "delay": "1s", "bytes_per_s": 4_000},
            [SlowLinks(600_000, "FR", 1_000, 1_000, 4_000)],
        ),
        ({"what": "clock wrong", "who": "FR", "for": "1s", "step": "-5m"}, [ClockStep(600_000, "FR", 1_000, -300_000)]),
        (
            {"what": "hub lies", "who": "lyon", "for": "1s", "lie": "drop"},
            [HostileHub(600_000, "lyon", 1_000, HubLie.DROP, 100)],
        ),
        (
            {"what": "member misbehaves", "who": "FR", "for": "1s", "mischief": "flood", "per_s": 5},
            [HostileMember(600_000, "FR", 1_000, Mischief.FLOOD, 5)],
        ),
        ({"what": "suspend", "who": "FR"}, [Suspension(600_000, "FR")]),
    ],
)
def test_words_are_faults(entry: dict[str, object], faults: list[Fault]) -> None:
    assert list(read_faults([{"at": "10m", **entry}], HOMES)) == faults


@pytest.mark.parametrize("kind", typing.get_args(Fault), ids=lambda kind: kind.__struct_config__.tag)
def test_each_kind_can_be_told_by_its_own_name(kind: type[Fault]) -> None:
    tag = str(kind.__struct_config__.tag)
    keys, entry = words_of(kind), dict[str, object]()
    for field in msgspec.structs.fields(kind):
        entry[keys[field.name]] = written(field, tag)
    (fault,) = read_faults([{"what": tag.replace("-", " "), **entry}], HOMES)
    assert type(fault) is kind
    for field in msgspec.structs.fields(kind):
        assert getattr(fault, field.name) == meant(field, tag)
    assert WORDS[tag.replace("-", " ")] is kind


def written(field: msgspec.structs.FieldInfo, tag: str) -> object:
    if field.name.endswith("_ms"):
        return "7s"
    value = meant(field, tag)
    return [*value] if isinstance(value, tuple) else value


def meant(field: msgspec.structs.FieldInfo, tag: str) -> object:
    if field.name.endswith("_ms"):
        return 7_000
    if isinstance(field.type, type) and issubclass(field.type, StrEnum):
        return next(iter(field.type))
    if field.type is str:
        is_member = tag in MEMBERS_ONLY or field.name not in {"program", "receiver"}
        return "FR" if is_member else "lyon"
    if field.name in {"here", "there"}:
        return ("lyon", "BR") if field.name == "here" else ("FR",)
    return True if field.type is bool else 3


@pytest.mark.parametrize(
    ("entry", "told", "hint"),
    [
        ({}, "fault[0].what: missing", "cut off"),
        ({"what": "cut of"}, "fault[0].what", "did you mean `cut off`?"),
        ({"what": 3}, "fault[0].what", "cut off"),
        ({"what": "crash", "at": "1m", "who": "FR", "fro": "5s"}, "fault[0].fro: unknown key", "did you mean `for`?"),
        ({"what": "crash", "at": "1m", "who": "FR"}, "fault[0].for: missing", '"3h"'),
        ({"what": "crash", "who": "FR", "for": "5s"}, "fault[0].at: missing", '"10m"'),
        ({"what": "crash", "at": "1m", "who": "lyonn", "for": "5s"}, "fault[0].who: nobody", "did you mean `lyon`?"),
        ({"what": "crash", "at": "1m", "who": [], "for": "5s"}, "fault[0].who", "write"),
        ({"what": "crash", "at": "1m", "who": 7, "for": "5s"}, "fault[0].who", "write"),
        ({"what": "crash", "at": "1m", "who": "FR", "for": 5}, "fault[0].for: no duration", "as a text"),
        ({"what": "crash", "at": "1m", "who": "FR", "for": "-5s"}, "fault[0].for: no duration", "90s"),
        ({"what": "clock wrong", "at": "1m", "who": "FR", "for": "5s", "step": "--5s"}, "fault[0].step", "90s"),
        ({"what": "stall", "at": "1m", "from": "all", "to": "FR", "for": "5s"}, "fault[0].from: more", "name one"),
        ({"what": "disk lost", "at": "1m", "who": "FR", "for": "5s"}, "fault[0].who: not a hub", "lyon"),
        ({"what": "suspend", "at": "1m", "who": "lyon"}, "fault[0].who: not a member", "code"),
        ({"what": "cut off", "at": "1m", "who": "all", "for": "5s"}, "fault[0].from: nobody is left", "name others"),
        ({"what": "cut off", "at": "1m", "who": "FR", "from": "FR", "for": "5s"}, "fault[0].from", "name others"),
        ({"what": "cut off", "at": "1m", "who": "FR", "for": "5s", "one_way": 1}, "fault[0].one_way", "true or false"),
        (
            {"what": "hub lies", "at": "1m", "who": "lyon", "for": "5s", "lie": "dropp"},
            "fault[0].lie: none of the words",
            "did you mean `drop`?",
        ),
        ({"what": "clock drifts", "at": "1m", "who": "FR", "ppm": "x"}, "fault[0].ppm: of another kind", "number"),
    ],
)
def test_what_cannot_be_read_is_told_with_its_place(entry: dict[str, object], told: str, hint: str) -> None:
    with pytest.raises(CallerFault) as caught:
        read_faults([entry], HOMES)
    assert caught.value.doing.startswith(told)
    assert hint in caught.value.hint


def test_faults_come_in_order_of_time() -> None:
    entries: list[dict[str, object]] = [{"what": "hang up", "at": at, "who": "FR"} for at in ("3m", "1m", "2m")]
    assert [fault.at_ms for fault in read_faults(entries, HOMES)] == [60_000, 120_000, 180_000]
