"""Say what must happen, beside what is drawn, for a planted bug to show. docs/simulation.md 7."""

from __future__ import annotations

from i247_simulations.faults import (
    Crash,
    DiskFull,
    Fault,
    HostileHub,
    HubLie,
    LyingSync,
    Partition,
    PowerLoss,
    RestoredCopy,
    SlowDisk,
    Suspension,
    Theft,
)
from i247_simulations.scenario import Scenario


def crashes(scenario: Scenario) -> tuple[Fault, ...]:
    """Kill members again and again, a moment each, while their disks are slow: hardly a turn is safe."""
    begin, names = scenario.warm_ms, scenario.members
    slow = (SlowDisk(begin, name, scenario.chaos_ms, 250) for name in names)
    return (*slow, *(Crash(begin + 997 * n, names[n % len(names)], 300) for n in range(1, scenario.chaos_ms // 1_000)))


def absence(scenario: Scenario) -> tuple[Fault, ...]:
    """Cut each member off for a while that is longer than most questions live."""
    pause = scenario.chaos_ms // (len(scenario.members) + 1)
    return tuple(
        Partition(scenario.warm_ms + n * pause, (name,), scenario.hubs, int(pause * 0.9), one_way=False)
        for n, name in enumerate(scenario.members)
    )


def long_absence(scenario: Scenario) -> tuple[Fault, ...]:
    """Let a member be away for the whole time."""
    return (Crash(scenario.warm_ms, scenario.members[0], scenario.chaos_ms),)


def suspensions(scenario: Scenario) -> tuple[Fault, ...]:
    """Suspend a member while its mail is held up between two hubs."""
    here, there = scenario.hubs[:2]
    member = next(code for code, homes in scenario.homes.items() if homes == (here,))
    span = scenario.chaos_ms // 2
    return (
        Partition(scenario.warm_ms, (here,), (there,), span, one_way=False),
        Suspension(scenario.warm_ms + span * 3 // 4, member),
    )


def leave(scenario: Scenario) -> tuple[Fault, ...]:
    """Let a member be away and then suspended, so that its mail stays where it is."""
    member = scenario.members[0]
    return (Crash(scenario.warm_ms, member, scenario.chaos_ms), Suspension(scenario.warm_ms + 30_000, member))


def lying_disks(scenario: Scenario) -> tuple[Fault, ...]:
    """Let one member's disk after another lie."""
    return tuple(LyingSync(scenario.warm_ms + 20_000 * n, name, 8_000, 500) for n, name in enumerate(scenario.members))


def pulse_and_crashes(scenario: Scenario) -> tuple[Fault, ...]:
    """Publish a newer directory, and let everybody begin again later."""
    begin, end = scenario.warm_ms, scenario.warm_ms + scenario.chaos_ms // 2
    return (Suspension(begin, scenario.members[0]), *(Crash(end, name, 500) for name in scenario.members[1:]))


def forged_cards(scenario: Scenario) -> tuple[Fault, ...]:
    """Let a hub hand out keycards with keys of its own."""
    return (HostileHub(scenario.warm_ms, scenario.hubs[0], scenario.chaos_ms // 2, HubLie.FORGE_CARDS, 50),)


def torn_turns(scenario: Scenario) -> tuple[Fault, ...]:
    """Let the power go at every other commit of members, each in turn."""
    begin, names = scenario.warm_ms, scenario.members
    times = range(1, scenario.chaos_ms // 1_500)
    return tuple(PowerLoss(begin + 1_500 * n, names[n % len(names)], 300, kept=False) for n in times)


def full_disks(scenario: Scenario) -> tuple[Fault, ...]:
    """Let disks be full for a while, and kill whoever still runs then."""
    begin, names = scenario.warm_ms, scenario.members
    full = (DiskFull(begin + 12_000 * n, name, 6_000) for n, name in enumerate(names))
    return (*full, *(Crash(begin + 12_000 * n + 5_900, name, 200) for n, name in enumerate(names)))


def thefts(scenario: Scenario) -> tuple[Fault, ...]:
    """Let the keys of one member be stolen."""
    first, second = scenario.members[:2]
    return (Theft(scenario.warm_ms, first, second, scenario.chaos_ms // 2, 1_000),)


def forks(scenario: Scenario) -> tuple[Fault, ...]:
    """Let one hub show a fork, at the time at which the authority publishes another roster."""
    begin, last = scenario.warm_ms, scenario.members[-1]
    return (
        HostileHub(begin, scenario.hubs[0], scenario.chaos_ms // 2, HubLie.FORK_DIRECTORY, 100),
        Suspension(begin, last),
    )


def replayed_copies(scenario: Scenario) -> tuple[Fault, ...]:
    """Put old copies back under members whose hub replays what it has carried."""
    begin, hub = scenario.warm_ms, scenario.hubs[0]
    at_home = [code for code, homes in scenario.homes.items() if homes[0] == hub]
    copies = (RestoredCopy(begin + 20_000 + 9_000 * n, code, 500, 15_000) for n, code in enumerate(at_home))
    return (HostileHub(begin, hub, scenario.chaos_ms // 2, HubLie.REPLAY, 100), *copies)


def suspension(scenario: Scenario) -> tuple[Fault, ...]:
    """Let one member be suspended."""
    return (Suspension(scenario.warm_ms, scenario.members[0]),)
