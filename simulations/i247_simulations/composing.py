"""Make a scenario of what a file says, or say which setting does not do.

Decides: what is taken when a setting is left out, which settings need which others, and that all names exist. Leaves to
others: reading files and unknown keys (`scenarios`), what is said (`composing_traffic`), words for faults
(`fault_words`), who is where (`topologies`). docs/simulation.md 4.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import permutations

from i247_protocol.errors import CallerFault, PeerFault
from i247_protocol.limits import HOMES_MAX, HUBS_MAX, MEMBERS_MAX
from i247_protocol.names import parse_hub, parse_member
from i247_simulations.composing_traffic import TrafficComposer
from i247_simulations.countries import Atlas
from i247_simulations.crypto import Crypto
from i247_simulations.fault_words import read_faults
from i247_simulations.faults import Fault, end_of
from i247_simulations.latency import Constant, Distance, Latency, Matrix, Place, Uniform
from i247_simulations.measured import read_matrix
from i247_simulations.quantities import duration_ms, duration_us, size_bytes, spelled_duration
from i247_simulations.reading import Reading, given, nearest_word
from i247_simulations.resizing import with_hubs, with_members
from i247_simulations.scenario import Scenario
from i247_simulations.settings import (
    LatencyTable,
    MachinesTable,
    PlaceTable,
    RunTable,
    Settings,
    TopologyTable,
    TrafficTable,
)
from i247_simulations.topologies import Topology, at_nearest, in_ring, of_bureaus, on_globe


def composed(settings: Settings, *, name: str, where: str, atlas: Atlas, text_of: Callable[[str], str]) -> Scenario:
    """Return the scenario of a file that is called `where`; `text_of` gives the text of another one that it names."""
    reading = Reading(where)
    topology = _topology(reading, settings.topology or TopologyTable(), atlas)
    run, machines = settings.run or RunTable(), settings.machines or MachinesTable()
    warm_ms = reading.read("run.warm_up", duration_ms, run.warm_up)
    until_ms = reading.read("run.until", duration_ms, run.until)
    if until_ms <= warm_ms:
        raise reading.fault("run.until", "before the warm-up is over", f"it is over at {spelled_duration(warm_ms)}")
    traffic = TrafficComposer(reading, topology, warm_ms, until_ms)
    sample_ms = reading.read("run.sample_every", duration_ms, given(run.sample_every, "5s"))
    whole = Scenario(
        name=name,
        what=reading.needed("what", settings.what),
        homes=topology.homes,
        traffic=traffic.traffic(settings.traffic or TrafficTable(), settings.burst or (), text_of),
        warm_ms=warm_ms,
        chaos_ms=until_ms - warm_ms,
        calm_ms_max=reading.read("run.calm_at_most", duration_ms, given(run.calm_at_most, "45m")),
        latency=_latency(reading, settings.latency or LatencyTable(), topology, text_of),
        commit_us=reading.read("machines.commit", duration_us, given(machines.commit, "2ms")),
        store_bytes_max=reading.read("machines.store", size_bytes, given(machines.store, "16GiB")),
        sample_ms=reading.between("run.sample_every", sample_ms, 100, 86_400_000),
        places={name: place for name, place in sorted(topology.places.items()) if name in topology.names},
        faults=_faults(reading, settings, topology, until_ms),
        crypto=Crypto(given(machines.crypto, "real")),
        is_acquainted=bool(run.acquainted),
    )
    return _resized(reading, whole, settings.topology)


def _resized(reading: Reading, whole: Scenario, table: TopologyTable | None) -> Scenario:
    """Return a part of those who would be there; a ring and a globe are made in the size that is wanted."""
    if table is None or table.kind in {"ring", "globe"}:
        return whole
    try:
        return with_members(with_hubs(whole, table.hubs), table.members)
    except CallerFault as fault:
        raise reading.fault("topology", fault.doing, fault.hint) from None


# Who is there.


def _topology(reading: Reading, table: TopologyTable, atlas: Atlas) -> Topology:
    each = reading.between("topology.homes_each", given(table.homes_each, 2), 1, HOMES_MAX)
    places = {**atlas.places, **{name: _place(reading, name, place) for name, place in (table.places or {}).items()}}
    codes = [code for bureau in atlas.bureaus.values() for code in bureau]
    match reading.needed("topology.kind", table.kind):
        case "bureaus":
            reading.only("topology", table, {"members", "hubs", "homes_each", "places"})
            homes = of_bureaus(atlas.bureaus, reading.between("topology.homes_each", each, 1, 2))
        case "nearest":
            reading.only("topology", table, {"members", "hubs", "homes_each", "places", "nearest_of"})
            hubs = reading.needed("topology.nearest_of", table.nearest_of)
            known = places.keys() - set(codes)
            for hub in hubs:
                if hub not in known:
                    raise reading.fault("topology.nearest_of", f"no place of a hub {hub}", nearest_word(hub, known))
            homes = at_nearest(codes, hubs, places, each)
        case "listed":
            reading.only("topology", table, {"members", "hubs", "homes", "places"})
            homes = _listed(reading, reading.needed("topology.homes", table.homes))
        case kind:
            reading.only("topology", table, {"members", "hubs", "homes_each"})
            members = reading.between(
                "topology.members", reading.needed("topology.members", table.members), 2, MEMBERS_MAX
            )
            count = reading.between("topology.hubs", reading.needed("topology.hubs", table.hubs), 1, HUBS_MAX)
            return (in_ring if kind == "ring" else on_globe)(members, count, each)
    return Topology(homes, places)


def _listed(reading: Reading, homes: Mapping[str, list[str]]) -> dict[str, tuple[str, ...]]:
    reading.between("topology.homes", len(homes), 2, MEMBERS_MAX)
    for code, hubs in homes.items():
        at = f"topology.homes.{code}"
        if _is_refused(parse_member, code):
            raise reading.fault(at, "no code of a member", "it is two capital letters")
        if not 1 <= len(hubs) <= HOMES_MAX or len(set(hubs)) != len(hubs):
            raise reading.fault(at, "none, too many, or one twice", f"name 1 to {HOMES_MAX} hubs")
        if any(_is_refused(parse_hub, hub) for hub in hubs):
            raise reading.fault(at, "no name of a hub", "it has small letters, digits and hyphens, a letter first")
    reading.between("topology.homes", len({hub for hubs in homes.values() for hub in hubs}), 1, HUBS_MAX)
    return {code: tuple(hubs) for code, hubs in sorted(homes.items())}


def _place(reading: Reading, name: str, place: PlaceTable) -> Place:
    at = f"topology.places.{name}"
    return Place(
        reading.between(f"{at}.latitude", place.latitude, -90, 90),
        reading.between(f"{at}.longitude", place.longitude, -180, 180),
        round(60 * reading.between(f"{at}.utc_offset_hours", place.utc_offset_hours, -14, 14)),
    )


def _is_refused(parse: Callable[[str], object], text: str) -> bool:
    try:
        parse(text)
    except PeerFault:
        return True
    return False


# How far it is.


def _latency(reading: Reading, table: LatencyTable, topology: Topology, text_of: Callable[[str], str]) -> Latency:
    jitter = reading.between("latency.jitter", given(table.jitter, 1.0), 0, 10)
    match reading.needed("latency.kind", table.kind):
        case "uniform":
            reading.only("latency", table, {"least", "most", "jitter"})
            low, high = _ms(reading, "latency.least", table.least), _ms(reading, "latency.most", table.most)
            if low > high:
                raise reading.fault("latency.most", "less than `least`", "exchange them")
            return Uniform(jitter, low, high)
        case "constant":
            reading.only("latency", table, {"rtt", "jitter"})
            return Constant(jitter, _ms(reading, "latency.rtt", table.rtt))
        case "matrix":
            reading.only("latency", table, {"file", "otherwise", "jitter"})
            otherwise = None if table.otherwise is None else _ms(reading, "latency.otherwise", table.otherwise)
            file = reading.needed("latency.file", table.file)
            return Matrix(jitter, _matrix(reading, read_matrix(text_of(file), file), topology, otherwise), otherwise)
        case _:
            reading.only("latency", table, {"rtt", "ms_per_km", "stretch", "spread", "jitter"})
            reading.require_places("latency.kind", topology.names - topology.places.keys())
            return Distance(
                jitter,
                _ms(reading, "latency.rtt", given(table.rtt, "5ms")),
                reading.between("latency.ms_per_km", given(table.ms_per_km, 0.0098), 0, 1),
                reading.between("latency.stretch", given(table.stretch, 2.3), 1, 100),
                reading.between("latency.spread", given(table.spread, 0.3), 0, 2),
            )


def _ms(reading: Reading, at: str, text: str | None) -> float:
    return reading.between(at, reading.read(at, duration_us, text) / 1_000, 0, 60_000)


def _matrix(
    reading: Reading, found: dict[str, dict[str, int]], topology: Topology, otherwise_ms: float | None
) -> dict[str, dict[str, int]]:
    """Return what was measured; refuse names that nobody has, and a link that was not measured."""
    for name in (*found, *(name for row in found.values() for name in row)):
        reading.require_known("latency.file", name, topology.names)
    links = [(code, hub) for code, homes in topology.homes.items() for hub in homes]
    for one, other in (*links, *permutations(sorted(topology.hubs), 2)):
        if otherwise_ms is None and other not in found.get(one, {}) and one not in found.get(other, {}):
            raise reading.fault("latency.file", f"nothing from {one} to {other}", "add a line, or `otherwise` for all")
    return found


# What goes wrong.


def _faults(reading: Reading, settings: Settings, topology: Topology, until_ms: int) -> tuple[Fault, ...]:
    try:
        faults = read_faults(settings.fault or (), topology.homes)
    except CallerFault as fault:
        raise CallerFault(f"reading {reading.where}: {fault.doing}", fault.hint) from None
    last = max(map(end_of, faults), default=0)
    if last > until_ms:
        raise reading.fault("run.until", "before all faults are over", f"the last one is at {spelled_duration(last)}")
    return faults
