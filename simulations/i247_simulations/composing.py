"""Make a scenario of what a file says, or say which setting does not do.

Decides: what is taken when a setting is left out, which settings need which others, and that all names exist. Leaves to
others: reading files and unknown keys (`scenarios`), words for faults (`fault_words`), who is where (`topologies`).
docs/simulation.md 4.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from typing import Final, TypeVar

import msgspec

from i247_protocol.errors import CallerFault, PeerFault
from i247_protocol.limits import HOMES_MAX, HUBS_MAX, MEMBERS_MAX
from i247_protocol.names import SECRETARIAT, parse_hub, parse_member
from i247_simulations.countries import Atlas
from i247_simulations.fault_words import read_faults
from i247_simulations.faults import Fault, end_of
from i247_simulations.latency import Constant, Distance, Latency, Matrix, Place, Uniform
from i247_simulations.measured import read_log, read_matrix
from i247_simulations.quantities import duration_ms, duration_us, rate_per_hour, scale, size_bytes, spelled_duration
from i247_simulations.resizing import with_hubs, with_members
from i247_simulations.scenario import Scenario
from i247_simulations.settings import (
    LatencyTable,
    MachinesTable,
    RunTable,
    Settings,
    SizeTable,
    StreamTable,
    TopologyTable,
    TrafficTable,
)
from i247_simulations.topologies import Topology, at_nearest, in_ring, of_bureaus, on_globe
from i247_simulations.traffic import (
    TEXT_BYTES_MAX,
    Burst,
    Exponential,
    Fixed,
    HeavyTailed,
    Kind,
    Size,
    Stream,
    Swing,
    Traffic,
)

T = TypeVar("T")
N = TypeVar("N", int, float)


def composed(settings: Settings, *, name: str, where: str, atlas: Atlas, read: Callable[[str], str]) -> Scenario:
    """Return the scenario of a file; `read` gives the text of another file that it names."""
    return _Composer(settings, name, where, atlas, read).scenario()


class _Composer:
    """One file being read."""

    def __init__(self, settings: Settings, name: str, where: str, atlas: Atlas, read: Callable[[str], str]) -> None:
        self._settings = settings
        self._name = name
        self._where = where
        self._atlas = atlas
        self._read = read

    def scenario(self) -> Scenario:
        settings = self._settings
        run, machines = settings.run or RunTable(), settings.machines or MachinesTable()
        topology = self._topology(settings.topology or TopologyTable())
        warm_ms = self._of("run.warm_up", duration_ms, run.warm_up)
        until_ms = self._of("run.until", duration_ms, run.until)
        if until_ms <= warm_ms:
            raise self._fault("run.until", "before the warm-up is over", f"it is over at {spelled_duration(warm_ms)}")
        here = {*topology.homes, *(hub for homes in topology.homes.values() for hub in homes)}
        latency = self._latency(settings.latency or LatencyTable(), topology.places.keys(), here)
        whole = Scenario(
            name=self._name,
            what=self._needed("what", settings.what),
            homes=topology.homes,
            traffic=self._traffic(settings.traffic or TrafficTable(), topology, warm_ms, until_ms),
            warm_ms=warm_ms,
            chaos_ms=until_ms - warm_ms,
            calm_ms_max=self._of("run.calm_at_most", duration_ms, run.calm_at_most or "45m"),
            latency=latency,
            commit_us=self._of("machines.commit", duration_us, machines.commit or "2ms"),
            store_bytes_max=self._of("machines.store", size_bytes, machines.store or "16GiB"),
            sample_ms=self._of("run.sample_every", duration_ms, run.sample_every or "5s"),
            places={name: place for name, place in sorted(topology.places.items()) if name in here},
            faults=self._faults(topology, until_ms),
        )
        if whole.sample_ms == 0:
            raise self._fault("run.sample_every", "never", "let it be longer, such as 5s")
        return self._resized(whole)

    def _resized(self, whole: Scenario) -> Scenario:
        table = self._settings.topology
        if table is None or table.kind in {"ring", "globe"}:
            return whole
        try:
            return with_members(with_hubs(whole, table.hubs), table.members)
        except CallerFault as fault:
            raise self._fault("topology", fault.doing, fault.hint) from None

    # Who is there.

    def _topology(self, table: TopologyTable) -> Topology:
        each = self._between("topology.homes_each", table.homes_each or 2, 1, HOMES_MAX)
        at = "topology"
        match self._needed("topology.kind", table.kind):
            case "bureaus":
                self._only(at, table, {"members", "hubs", "homes_each", "places"})
                found = of_bureaus(self._atlas, self._between("topology.homes_each", each, 1, 2))
            case "nearest":
                self._only(at, table, {"members", "hubs", "homes_each", "places", "nearest_of"})
                hubs = self._needed("topology.nearest_of", table.nearest_of)
                places = {**self._atlas.places, **self._places(table)}
                for hub in hubs:
                    if hub not in places or hub in self._members_known():
                        near = _near(hub, [one for one in places if one not in self._members_known()])
                        raise self._fault("topology.nearest_of", f"no place of a hub {hub} is known", near)
                found = at_nearest(self._members_known(), hubs, places, each)
            case "listed":
                self._only(at, table, {"members", "hubs", "homes", "places"})
                found = self._listed(self._needed("topology.homes", table.homes))
            case kind:
                self._only(at, table, {"members", "hubs", "homes_each"})
                members = self._between(
                    "topology.members", self._needed("topology.members", table.members), 2, MEMBERS_MAX
                )
                hubs_made = self._between("topology.hubs", self._needed("topology.hubs", table.hubs), 1, HUBS_MAX)
                found = (in_ring if kind == "ring" else on_globe)(members, hubs_made, each)
        return Topology(found.homes, {**found.places, **self._places(table)})

    def _members_known(self) -> list[str]:
        return [code for codes in self._atlas.bureaus.values() for code in codes]

    def _listed(self, homes: Mapping[str, list[str]]) -> Topology:
        self._between("topology.homes", len(homes), 2, MEMBERS_MAX)
        for code, hubs in homes.items():
            at = f"topology.homes.{code}"
            if _is_refused(parse_member, code):
                raise self._fault(at, "no code of a member", "it is two capital letters")
            if not 1 <= len(hubs) <= HOMES_MAX or len(set(hubs)) != len(hubs):
                raise self._fault(at, "none, too many or one twice", f"name 1 to {HOMES_MAX} hubs")
            if any(_is_refused(parse_hub, hub) for hub in hubs):
                raise self._fault(
                    at, "no name of a hub", "it has small letters, digits and hyphens, and a letter first"
                )
        self._between("topology.homes", len({hub for hubs in homes.values() for hub in hubs}), 1, HUBS_MAX, "hubs")
        return Topology({code: tuple(hubs) for code, hubs in sorted(homes.items())}, dict(self._atlas.places))

    def _places(self, table: TopologyTable) -> dict[str, Place]:
        for name, place in (table.places or {}).items():
            at = f"topology.places.{name}"
            self._between(f"{at}.latitude", place.latitude, -90, 90)
            self._between(f"{at}.longitude", place.longitude, -180, 180)
            self._between(f"{at}.utc_offset_hours", place.utc_offset_hours, -14, 14)
        return {
            name: Place(place.latitude, place.longitude, round(60 * place.utc_offset_hours))
            for name, place in (table.places or {}).items()
        }

    # How far it is.

    def _latency(self, table: LatencyTable, placed: Iterable[str], here: Iterable[str]) -> Latency:
        jitter = self._between("latency.jitter", 1.0 if table.jitter is None else table.jitter, 0, 10)
        at = "latency"
        match self._needed("latency.kind", table.kind):
            case "uniform":
                self._only(at, table, {"least", "most", "jitter"})
                low, high = (self._ms(f"latency.{one}", getattr(table, one)) for one in ("least", "most"))
                if low > high:
                    raise self._fault("latency.most", "less than `least`", "exchange them")
                return Uniform(jitter, low, high)
            case "constant":
                self._only(at, table, {"rtt", "jitter"})
                return Constant(jitter, self._ms("latency.rtt", table.rtt))
            case "matrix":
                self._only(at, table, {"file", "otherwise", "jitter"})
                file = self._needed("latency.file", table.file)
                matrix = read_matrix(self._read(file), file)
                for name in (*matrix, *(name for row in matrix.values() for name in row)):
                    self._require_known("latency.file", name, here)
                otherwise = None if table.otherwise is None else self._ms("latency.otherwise", table.otherwise)
                return Matrix(jitter, matrix, otherwise)
            case _:
                self._only(at, table, {"rtt", "ms_per_km", "stretch", "spread", "jitter"})
                self._require_places("latency.kind", set(here) - set(placed))
                return Distance(
                    jitter,
                    self._ms("latency.rtt", table.rtt or "5ms"),
                    self._between("latency.ms_per_km", _or(table.ms_per_km, 0.0098), 0, 1),
                    self._between("latency.stretch", _or(table.stretch, 2.3), 1, 100),
                    self._between("latency.spread", _or(table.spread, 0.3), 0, 2),
                )

    def _ms(self, at: str, text: str | None) -> float:
        us = self._of(at, duration_us, text)
        return self._between(at, us / 1_000, 0, 60_000)

    # What is said.

    def _traffic(self, table: TrafficTable, topology: Topology, warm_ms: int, until_ms: int) -> Traffic:
        streams = {}
        for kind in Kind:
            stream = getattr(table, kind.value)
            if stream is not None:
                streams[kind] = self._stream(f"traffic.{kind.value}", stream, topology)
        bursts = self._bursts(topology, warm_ms, until_ms)
        replayed = () if table.replay is None else read_log(self._read(table.replay), table.replay, begin_ms=warm_ms)
        for line in replayed:
            for name in (line.sender, *line.to):
                self._require_known("traffic.replay", name, topology.homes)
        if SECRETARIAT not in topology.homes and Kind.NOTICE in streams:
            raise self._fault("traffic.notice", "nobody is there to publish them", f"add {SECRETARIAT} to the members")
        hit_rate = self._between("traffic.hit_rate", _or(table.hit_rate, 0.1), 0, 1)
        return Traffic(
            streams=streams,
            scale=self._of("traffic.scale", scale, str(_or(table.scale, 1))),
            hit_every=round(1 / hit_rate) if hit_rate else 0,
            shares=self._shares("traffic.shares", table.shares or {}, topology),
            asked=self._shares("traffic.asked", table.asked or {}, topology),
            bursts=bursts,
            replayed=replayed,
        )

    def _stream(self, at: str, table: StreamTable, topology: Topology) -> Stream:
        swing = None
        if table.rhythm == "day and night":
            self._require_places(f"{at}.rhythm", set(topology.homes) - set(topology.places))
            swing = Swing(
                self._between(f"{at}.swing", _or(table.swing, 0.7), 0, 1),
                self._between(f"{at}.peak_hour", _or(table.peak_hour, 14), 0, 24),
            )
        elif table.swing is not None or table.peak_hour is not None:
            raise self._fault(f"{at}.rhythm", "steady", 'with `swing` and `peak_hour` it is "day and night"')
        return Stream(self._of(f"{at}.rate", rate_per_hour, table.rate), self._size(f"{at}.size", table.size), swing)

    def _size(self, at: str, table: SizeTable | None) -> Size | None:
        if table is None:
            return None
        match self._needed(f"{at}.kind", table.kind):
            case "fixed":
                self._only(at, table, {"bytes"})
                return Fixed(self._bytes(f"{at}.bytes", table.bytes))
            case "exponential":
                self._only(at, table, {"mean"})
                return Exponential(self._bytes(f"{at}.mean", table.mean))
            case _:
                self._only(at, table, {"median", "spread"})
                spread = self._between(f"{at}.spread", _or(table.spread, 1.5), 0, 5)
                return HeavyTailed(self._bytes(f"{at}.median", table.median), spread)

    def _bytes(self, at: str, text: str | None) -> int:
        return self._between(at, self._of(at, size_bytes, text), 1, TEXT_BYTES_MAX)

    def _shares(self, at: str, shares: Mapping[str, float], topology: Topology) -> dict[str, float]:
        for code, share in shares.items():
            self._require_known(at, code, topology.homes)
            self._between(f"{at}.{code}", share, 0, 1)
        if sum(shares.values()) > 1 + 1e-9:
            raise self._fault(at, "more than all", "together they are 1 at most; the others share the rest alike")
        return dict(sorted(shares.items()))

    def _bursts(self, topology: Topology, warm_ms: int, until_ms: int) -> tuple[Burst, ...]:
        bursts = []
        for place, table in enumerate(self._settings.burst or ()):
            at = f"burst[{place}]"
            kind = Kind(table.what)
            to = tuple(table.to or ())
            names = [*to, *([] if table.sender is None else [table.sender])]
            for name in [*names, *([SECRETARIAT] if kind is Kind.NOTICE and table.sender is None else [])]:
                self._require_known(f"{at}.to" if name in to else f"{at}.sender", name, topology.homes)
            if len(set(names)) != len(names):
                raise self._fault(f"{at}.to", "the sender, or somebody twice", "name others, each once")
            within_ms = self._of(f"{at}.within", duration_ms, table.within or "0s")
            at_ms = self._of(f"{at}.at", duration_ms, table.at)
            if not warm_ms <= at_ms <= at_ms + within_ms <= until_ms:
                span = f"from {spelled_duration(warm_ms)} to {spelled_duration(until_ms)}"
                raise self._fault(f"{at}.at", "not while people speak", f"they do {span}")
            count = self._between(f"{at}.count", _or(table.count, 1), 1, BURST_MAX)
            size = self._size(f"{at}.size", table.size)
            bursts.append(Burst(at_ms, kind, count, within_ms, table.sender, to, size))
        return tuple(sorted(bursts, key=lambda burst: burst.at_ms))

    def _faults(self, topology: Topology, until_ms: int) -> tuple[Fault, ...]:
        try:
            faults = read_faults(self._settings.fault or (), topology.homes)
        except CallerFault as fault:
            raise CallerFault(f"reading {self._where}: {fault.doing}", fault.hint) from None
        last = max(map(end_of, faults), default=0)
        if last > until_ms:
            raise self._fault("run.until", "before all faults are over", f"the last one is at {spelled_duration(last)}")
        return faults

    # How settings are read.

    def _of(self, at: str, reading: Callable[[str], T], text: str | None) -> T:
        try:
            return reading(self._needed(at, text))
        except ValueError as fault:
            raise self._fault(at, "cannot be read", str(fault)) from None

    def _needed(self, at: str, value: T | None) -> T:
        if value is None:
            raise self._fault(at, "missing", "add it, or extend a scenario that has it")
        return value

    def _between(self, at: str, value: N, low: float, high: float, of_what: str = "") -> N:
        if not low <= value <= high:
            raise self._fault(at, f"too few or too many {of_what}".rstrip(), f"it is from {low:g} to {high:g}")
        return value

    def _only(self, at: str, table: msgspec.Struct, keys: Iterable[str]) -> None:
        for key in msgspec.to_builtins(table):
            if key not in {"kind", *keys}:
                kind = getattr(table, "kind", "")
                raise self._fault(f"{at}.{key}", f"of no use with kind `{kind}`", f"there: {', '.join(sorted(keys))}")

    def _require_known(self, at: str, name: str, known: Iterable[str]) -> None:
        if name not in known:
            raise self._fault(at, f"nobody is called {name}", _near(name, list(known)))

    def _require_places(self, at: str, unplaced: Iterable[str]) -> None:
        lacking = sorted(unplaced)
        if lacking:
            raise self._fault(at, f"nobody knows where {lacking[0]} is", f"add [topology.places.{lacking[0]}]")

    def _fault(self, at: str, what: str, hint: str) -> CallerFault:
        return CallerFault(f"reading {self._where}: {at}: {what}", hint)


def _or(value: T | None, otherwise: T) -> T:
    return otherwise if value is None else value


def _near(word: str, known: list[str]) -> str:
    near = get_close_matches(word, known, 1)
    return f"did you mean `{near[0]}`?" if near else f"there are {', '.join(sorted(known)[:12])}"


def _is_refused(parse: Callable[[str], object], text: str) -> bool:
    try:
        parse(text)
    except PeerFault:
        return True
    return False


BURST_MAX: Final = 100_000
