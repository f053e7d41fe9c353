"""Make a world smaller, or give it more or fewer hubs, so that one scenario serves many sizes.

Everything that names a program follows: homes, places, faults, bursts, shares, the lines of a log. docs/simulation.md 4.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from i247_protocol.errors import CallerFault
from i247_protocol.limits import HUBS_MAX
from i247_protocol.names import SECRETARIAT
from i247_simulations.faults import Fault, Partition
from i247_simulations.latency import Matrix, Place, distance_km
from i247_simulations.scenario import Scenario
from i247_simulations.traffic import Burst, Kind, Stream


def with_members(scenario: Scenario, count: int | None) -> Scenario:
    """Return `scenario` with so many of its members, spread over all hubs, and their traffic in proportion.

    The Secretariat stays, and so do those whom faults, bursts and shares name unless they are too many. What concerns
    only members that are gone is left out.
    """
    if count is None or count == len(scenario.homes):
        return scenario
    if not 2 <= count <= len(scenario.homes):
        raise CallerFault("choosing members", f"there are 2 to {len(scenario.homes)}")
    named = _named(scenario)
    staying = {SECRETARIAT, *(named if len(named) < count / 2 else ())} & scenario.homes.keys()
    # Every so-manyth, so that all hubs keep some.
    others = [code for homes in _by_hub(scenario).values() for code in homes if code not in staying]
    step = len(others) / (count - len(staying))
    chosen = {others[int(n * step)] for n in range(count - len(staying))} | staying
    homes = {code: scenario.homes[code] for code in sorted(chosen)}
    share = len(homes) / len(scenario.homes)
    streams = {
        kind: _fewer(stream, share) if kind in {Kind.QUERY, Kind.LETTER} else stream
        for kind, stream in scenario.traffic.streams.items()
    }
    return _with_homes(scenario, homes, scenario.places, streams)


def with_hubs(scenario: Scenario, count: int | None) -> Scenario:
    """Return `scenario` with so many hubs.

    Of too many the largest stay, and those that faults name; members of the others go to the next nearest. When there
    are too few, one after the other is opened where a member is farthest from all.
    """
    if count is None or count == len(scenario.hubs):
        return scenario
    if not 1 <= count <= HUBS_MAX:
        raise CallerFault("choosing hubs", f"there are 1 to {HUBS_MAX}")
    if isinstance(scenario.latency, Matrix) and scenario.latency.otherwise_ms is None:
        raise CallerFault("choosing hubs", "its latencies were measured for those it has; add `otherwise` to them")
    places = dict(scenario.places)
    hubs = _largest(scenario, count)
    while len(hubs) < count:
        if not {*hubs, *scenario.homes} <= places.keys():
            raise CallerFault("choosing hubs", f"it has {len(hubs)}, and more only where all places are known")
        far = max(scenario.members, key=lambda code: (min(_km(places, code, hub) for hub in hubs), code))
        name = f"hub-{far.lower()}"
        if name in hubs:
            raise CallerFault("choosing hubs", f"with {len(hubs)} there is one wherever a member is")
        hubs.append(name)
        places[name] = places[far]
    homes = {
        code: _nearest(places, code, homes, hubs, known=scenario.hubs) for code, homes in sorted(scenario.homes.items())
    }
    return _with_homes(scenario, homes, places, scenario.traffic.streams)


def _largest(scenario: Scenario, count: int) -> list[str]:
    """Return at most `count` hubs, those that faults name first, then those with the most members."""
    sizes = {hub: len(codes) for hub, codes in _by_hub(scenario).items()}
    named = _named(scenario)
    hubs = sorted(scenario.hubs, key=lambda hub: (hub not in named, -sizes.get(hub, 0), hub))
    return hubs[:count]


def _nearest(
    places: Mapping[str, Place], code: str, homes: tuple[str, ...], hubs: Sequence[str], *, known: Sequence[str]
) -> tuple[str, ...]:
    """Return a member's homes among `hubs`: those it has, but for a new one that is nearer, then the nearest."""
    by_distance = sorted(hubs, key=lambda hub: (_km(places, code, hub) if {code, hub} <= places.keys() else 0.0, hub))
    kept = [hub for hub in homes if hub in hubs]
    if by_distance[0] not in known:
        kept.insert(0, by_distance[0])
    kept += [hub for hub in by_distance if hub not in kept]
    return tuple(kept[: len(homes)])


def _with_homes(
    scenario: Scenario, homes: dict[str, tuple[str, ...]], places: Mapping[str, Place], streams: dict[Kind, Stream]
) -> Scenario:
    """Return `scenario` with other homes, and without what concerns only those that are gone."""
    traffic = scenario.traffic
    new = msgspec.structs.replace(scenario, homes=homes)
    here = {*new.members, *new.hubs}
    everybody = {*scenario.members, *scenario.hubs}
    bursts = [_burst_among(burst, here) for burst in traffic.bursts if burst.sender is None or burst.sender in here]
    return msgspec.structs.replace(
        new,
        places={name: place for name, place in sorted(places.items()) if name in here},
        faults=tuple(kept for fault in scenario.faults for kept in _among(fault, here, everybody)),
        traffic=msgspec.structs.replace(
            traffic,
            streams=streams,
            shares={code: share for code, share in traffic.shares.items() if code in here},
            asked={code: share for code, share in traffic.asked.items() if code in here},
            bursts=tuple(burst for burst in bursts if burst is not None),
            replayed=tuple(line for line in traffic.replayed if line.sender in here and here.issuperset(line.to)),
        ),
    )


def _burst_among(burst: Burst, here: set[str]) -> Burst | None:
    to = tuple(code for code in burst.to if code in here)
    return None if burst.to and not to else msgspec.structs.replace(burst, to=to)


def _among(fault: Fault, here: set[str], everybody: set[str]) -> Iterator[Fault]:
    """Yield what is left of a fault; a partition of everybody stays one of everybody."""
    if isinstance(fault, Partition):
        one = tuple(name for name in fault.here if name in here)
        is_of_all = everybody <= {*fault.here, *fault.there}
        other = sorted(here.difference(one)) if is_of_all else [name for name in fault.there if name in here]
        if one and other:
            yield msgspec.structs.replace(fault, here=one, there=tuple(other))
    elif here.issuperset(names_in(fault)):
        yield fault


def names_in(fault: Fault) -> tuple[str, ...]:
    """Return which programs a fault names, for a partition all of them."""
    if isinstance(fault, Partition):
        return (*fault.here, *fault.there)
    return tuple(getattr(fault, field.name) for field in msgspec.structs.fields(fault) if field.type is str)


def _named(scenario: Scenario) -> set[str]:
    """Return those whom it is about: named by a fault, a burst or a share, and not merely one of everybody."""
    traffic = scenario.traffic
    named = {*traffic.shares, *traffic.asked}
    for burst in traffic.bursts:
        named |= {*burst.to} | ({burst.sender} if burst.sender else set())
    everybody = {*scenario.members, *scenario.hubs}
    for fault in scenario.faults:
        names = {*names_in(fault)}
        named |= {*getattr(fault, "here", ())} if everybody <= names else names
    return named


def _fewer(stream: Stream, share: float) -> Stream:
    rate = stream.per_hour * share
    return msgspec.structs.replace(stream, per_hour=float(int(rate)) if rate >= 1 else rate)


def _by_hub(scenario: Scenario) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for code in scenario.members:
        found.setdefault(scenario.homes[code][0], []).append(code)
    return found


def _km(places: Mapping[str, Place], one: str, other: str) -> float:
    return distance_km(places[one], places[other])
