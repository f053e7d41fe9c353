"""Each fault alone: every promise holds, and what the fault is there for comes about. All together: every mark does."""

from __future__ import annotations

from collections import Counter
from functools import cache
from typing import get_args

import pytest

from i247_simulations import plots
from i247_simulations.faults import (
    BitRot,
    ClockDrift,
    ClockStep,
    CommitFails,
    Crash,
    DiskDestroyed,
    DiskFull,
    Fault,
    HangUp,
    HostileHub,
    HostileMember,
    HubLie,
    Level,
    LyingSync,
    Mischief,
    Partition,
    PowerLoss,
    RestoredCopy,
    Scramble,
    SlowDisk,
    SlowLinks,
    Stall,
    Suspension,
    Theft,
)
from i247_simulations.results import Result, Verdict
from i247_simulations.running import SEEN, SOMETIMES, run
from i247_simulations.scenarios import TINY, with_until

SHORT = with_until(TINY, 60_000)
HUBS, MEMBERS = ("lyon", "singapore"), ("BR", "FR", "SG", "XP")
EVERYBODY = (*HUBS, *MEMBERS)
AGAIN = (Crash(14_000, "FR", 300), Crash(22_000, "SG", 300))


def lie(kind: HubLie, *others: Fault, hub: str = "lyon") -> tuple[Fault, ...]:
    return (HostileHub(10_000, hub, 30_000, kind, 50), *AGAIN, *others)


def mischief(kind: Mischief, per_s: int = 10) -> tuple[Fault, ...]:
    return (HostileMember(10_000, "BR", 15_000, kind, per_s),)


# ruff: noqa: E501  a table of plans reads best with a plan a line
CASES: dict[str, tuple[tuple[Fault, ...], set[str]]] = {
    "crash": (tuple(Crash(10_000 + 3_000 * n, name, 800) for n, name in enumerate(EVERYBODY)), {"a duplicate was refused"}),
    "crash-in-commit": (
        (*(SlowDisk(9_000, name, 40_000, 250) for name in MEMBERS), *(Crash(10_000 + 997 * n, MEMBERS[n % 4], 300) for n in range(40))),
        {"a crash lost a turn"},
    ),
    "commit-fails": (tuple(CommitFails(10_000 + 3_000 * n, name, 500) for n, name in enumerate(EVERYBODY)), {"a commit failed"}),
    "power-loss": (
        tuple(PowerLoss(9_000 + 2_000 * n, EVERYBODY[n % 6], 300, n % 2 == 0) for n in range(24)),
        {"the power went during a commit", "a crash lost a turn"},
    ),
    "disk-full": ((DiskFull(10_000, "lyon", 8_000), DiskFull(25_000, "FR", 8_000)), {"a commit failed"}),
    "disk-destroyed": ((DiskDestroyed(20_000, "lyon", 3_000), DiskDestroyed(30_000, "singapore", 3_000)), {"a connection was lost"}),
    "bit-rot": ((BitRot(20_000, "singapore", 2_000, 0), BitRot(40_000, "FR", 2_000, 10_000)), {"a key was dead"}),
    "restored-copy": (
        (RestoredCopy(25_000, "BR", 1_000, 12_000), RestoredCopy(45_000, "SG", 1_000, 35_000)),
        {"a key was dead", "a message was sent again"},
    ),
    "copies-replayed": (plots.replayed_copies(SHORT), {"a key was dead", "a hub lied: replay"}),
    "partition": ((Partition(15_000, ("lyon", "BR"), ("singapore", "SG"), 30_000, one_way=False),), {"a connection fell silent", "a message was sent again"}),
    "one-way": ((Partition(15_000, ("lyon",), ("singapore",), 30_000, one_way=True),), {"a connection fell silent", "a message was sent again"}),
    "absence": (plots.long_absence(SHORT), {"a message expired and its sender was told"}),
    "hang-up": (tuple(HangUp(10_000 + 2_000 * n, EVERYBODY[n % 6]) for n in range(20)), {"a newer connection replaced one"}),
    "stall": ((Stall(12_000, "lyon", "FR", 25_000),), {"a connection was lost", "a hub was asked after a message"}),
    "scramble": (
        tuple(Scramble(10_000 + 4_000 * n, *way, 3_500, 40) for n, way in enumerate((HUBS, HUBS[::-1], ("FR", "lyon"), ("lyon", "BR")))),
        {"a connection was lost"},
    ),
    "slow-links": ((SlowLinks(12_000, "lyon", 20_000, 800, 4_000),), {"a hub was asked after a message"}),
    "clock-step": (
        (ClockStep(12_000, "FR", 20_000, 700_000), ClockStep(12_000, "lyon", 25_000, -900_000), HangUp(14_000, "lyon"), HangUp(40_000, "lyon")),
        {"a node did not trust its clock", "somebody was busy"},
    ),
    "drop": (lie(HubLie.DROP), {"a hub lied: drop"}),
    "replay": (lie(HubLie.REPLAY), {"a hub lied: replay", "a duplicate was refused"}),
    "reorder": (lie(HubLie.REORDER), {"a hub lied: reorder"}),
    "swap": (lie(HubLie.SWAP), {"a hub lied: swap", "an envelope could not be opened"}),
    "alter": (lie(HubLie.ALTER), {"a hub lied: alter", "an envelope could not be opened"}),
    "rot": (lie(HubLie.ROT), {"a hub lied: rot", "an envelope could not be opened"}),
    "no-custody": (lie(HubLie.NO_CUSTODY), {"a hub lied: no-custody"}),
    "forge-custody": (lie(HubLie.FORGE_CUSTODY), {"a hub lied: forge-custody", "a message was sent again"}),
    "forge-cards": (lie(HubLie.FORGE_CARDS), {"a hub lied: forge-cards", "a forged keycard was refused"}),
    "withhold-directory": (
        (HostileHub(8_000, "singapore", 40_000, HubLie.WITHHOLD_DIRECTORY, 100), Suspension(12_000, "BR")),
        {"a hub lied: withhold-directory", "mail waited for a newer roster", "a suspended member was refused"},
    ),
    "forge-directory": (lie(HubLie.FORGE_DIRECTORY), {"a hub lied: forge-directory", "a forged directory was refused"}),
    "suspension": (plots.suspensions(SHORT), {"mail was withheld", "a newer directory was believed"}),
    "flood": (
        (HostileMember(10_000, "BR", 12_000, Mischief.FLOOD, 150), Stall(10_000, "lyon", "BR", 12_000)),
        {"all credit was used"},
    ),
    "garbage": (mischief(Mischief.GARBAGE), {"garbage was refused"}),
    "member-replays": (mischief(Mischief.REPLAY), {"a frame came for a session that is over"}),
    "hoard": (mischief(Mischief.HOARD), {"a member lied: no-custody"}),
    "impersonate": (
        mischief(Mischief.IMPERSONATE),
        {"a member spoke in another's name", "a signature was wrong", "a header was not its statement's"},
    ),
    "theft": (
        (Theft(10_001, "FR", "BR", 24_000, 1_000), Theft(12_000, "SG", "XP", 24_000, 1_000)),
        {"a thief published a keycard", "a stranger was refused", "a signature was wrong", "a node met a keycard of its own that it did not know"},
    ),
}  # fmt: skip


@cache
def ran(name: str) -> Result:
    return run(SHORT, 1, Level.NONE, plan=CASES[name][0], tell_lives=False)


@pytest.mark.parametrize("name", CASES)
def test_every_promise_holds_and_the_fault_is_felt(name: str) -> None:
    plan, marks = CASES[name]
    result = ran(name)
    assert result.verdict is Verdict.HOLDS, (plan, result.breaches[:1])
    assert {mark for mark in marks if not result.marks.get(mark)} == set()


def test_every_interesting_situation_comes_about_somewhere() -> None:
    marks: Counter[str] = Counter()
    for name in CASES:
        marks.update(ran(name).marks)
    assert [mark for mark in (*SOMETIMES.values(), *SEEN) if not marks[mark]] == []


def test_each_kind_of_fault_and_deceit_is_there() -> None:
    faults = [fault for plan, _ in CASES.values() for fault in plan]
    assert {type(fault) for fault in faults} == set(get_args(Fault)) - {LyingSync, ClockDrift}
    assert {fault.lie for fault in faults if isinstance(fault, HostileHub)} == set(HubLie) - {HubLie.FORK_DIRECTORY}
    assert {fault.mischief for fault in faults if isinstance(fault, HostileMember)} == set(Mischief)


def test_a_fork_is_seen_and_nobody_changes_sides() -> None:
    """Two rosters of one version are signed: who holds one keeps it and says so; people must decide which is right."""
    result = run(SHORT, 1, Level.NONE, plan=plots.forks(SHORT), tell_lives=False)
    assert sum(totals.get("directory.forked", 0) for totals in result.counters.values()) > 0
    assert {one.checker for one in result.breaches} <= {"ComesToRest"}
