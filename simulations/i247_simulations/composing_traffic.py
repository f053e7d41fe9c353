"""Make of a file's settings what is said in a scenario: streams, bursts, and the lines of a log. docs/simulation.md 4."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from i247_protocol.names import SECRETARIAT
from i247_simulations.measured import read_log
from i247_simulations.quantities import duration_ms, rate_per_hour, scale, size_bytes, spelled_duration
from i247_simulations.reading import Reading, given
from i247_simulations.settings import BurstTable, SizeTable, StreamTable, TrafficTable
from i247_simulations.topologies import Topology
from i247_simulations.traffic import (
    TEXT_BYTES_MAX,
    Burst,
    Exponential,
    Fixed,
    HeavyTailed,
    Kind,
    Line,
    Size,
    Stream,
    Swing,
    Traffic,
)


class TrafficComposer:
    """The traffic of one file, among those who are there and while people speak."""

    def __init__(self, reading: Reading, topology: Topology, warm_ms: int, until_ms: int) -> None:
        self._reading = reading
        self._topology = topology
        self._warm_ms = warm_ms
        self._until_ms = until_ms

    def traffic(self, table: TrafficTable, bursts: Sequence[BurstTable], text_of: Callable[[str], str]) -> Traffic:
        """Return all that is said; `text_of` gives the text of a log."""
        reading = self._reading
        streams = {
            kind: self._stream(f"traffic.{kind.value}", stream)
            for kind in Kind
            if (stream := getattr(table, kind.value)) is not None
        }
        if SECRETARIAT not in self._topology.homes and Kind.NOTICE in streams:
            raise reading.fault(
                "traffic.notice", "nobody is there to publish them", f"add {SECRETARIAT} to the members"
            )
        hit_rate = reading.between("traffic.hit_rate", given(table.hit_rate, 0.1), 0, 1)
        return Traffic(
            streams=streams,
            scale=reading.read("traffic.scale", scale, str(given(table.scale, 1))),
            hit_every=round(1 / hit_rate) if hit_rate else 0,
            shares=self._shares("traffic.shares", table.shares or {}),
            asked=self._shares("traffic.asked", table.asked or {}),
            bursts=self._bursts(bursts),
            replayed=() if table.replay is None else self._log(table.replay, text_of(table.replay)),
        )

    def _stream(self, at: str, table: StreamTable) -> Stream:
        reading = self._reading
        swing = None
        if table.rhythm == "day and night":
            reading.require_places(f"{at}.rhythm", set(self._topology.homes) - set(self._topology.places))
            swing = Swing(
                reading.between(f"{at}.swing", given(table.swing, 0.7), 0, 1),
                reading.between(f"{at}.peak_hour", given(table.peak_hour, 14.0), 0, 24),
            )
        elif table.swing is not None or table.peak_hour is not None:
            raise reading.fault(f"{at}.rhythm", "steady", 'with `swing` and `peak_hour` it is "day and night"')
        return Stream(
            reading.read(f"{at}.rate", rate_per_hour, table.rate), self._size(f"{at}.size", table.size), swing
        )

    def _size(self, at: str, table: SizeTable | None) -> Size | None:
        if table is None:
            return None
        reading = self._reading
        match reading.needed(f"{at}.kind", table.kind):
            case "fixed":
                reading.only(at, table, {"bytes"})
                return Fixed(self._bytes(f"{at}.bytes", table.bytes))
            case "exponential":
                reading.only(at, table, {"mean"})
                return Exponential(self._bytes(f"{at}.mean", table.mean))
            case _:
                reading.only(at, table, {"median", "spread"})
                spread = reading.between(f"{at}.spread", given(table.spread, 1.5), 0, 5)
                return HeavyTailed(self._bytes(f"{at}.median", table.median), spread)

    def _bytes(self, at: str, text: str | None) -> int:
        return self._reading.between(at, self._reading.read(at, size_bytes, text), 1, TEXT_BYTES_MAX)

    def _shares(self, at: str, shares: Mapping[str, float]) -> dict[str, float]:
        for code, share in shares.items():
            self._reading.require_known(at, code, self._topology.homes)
            self._reading.between(f"{at}.{code}", share, 0, 1)
        if sum(shares.values()) > 1 + 1e-9:
            raise self._reading.fault(
                at, "more than all", "together they are 1 at most; the others share the rest alike"
            )
        return dict(sorted(shares.items()))

    def _log(self, name: str, text: str) -> tuple[Line, ...]:
        lines = read_log(text, name, begin_ms=self._warm_ms)
        for line in lines:
            for code in (line.sender, *line.to):
                self._reading.require_known("traffic.replay", code, self._topology.homes)
        return lines

    def _bursts(self, tables: Sequence[BurstTable]) -> tuple[Burst, ...]:
        found = [self._burst(f"burst[{place}]", table) for place, table in enumerate(tables)]
        return tuple(sorted(found, key=lambda burst: burst.at_ms))

    def _burst(self, at: str, table: BurstTable) -> Burst:
        reading = self._reading
        kind, to = Kind(table.what), tuple(table.to or ())
        sender = table.sender or (SECRETARIAT if kind is Kind.NOTICE else None)
        for name in to:
            reading.require_known(f"{at}.to", name, self._topology.homes)
        if sender is not None:
            reading.require_known(f"{at}.sender", sender, self._topology.homes)
        if sender in to or len(set(to)) != len(to):
            raise reading.fault(f"{at}.to", "the sender, or somebody twice", "name others, each once")
        at_ms = reading.read(f"{at}.at", duration_ms, table.at)
        within_ms = reading.read(f"{at}.within", duration_ms, table.within or "0s")
        if not self._warm_ms <= at_ms <= at_ms + within_ms <= self._until_ms:
            span = f"from {spelled_duration(self._warm_ms)} to {spelled_duration(self._until_ms)}"
            raise reading.fault(f"{at}.at", "not while people speak", f"they do {span}")
        count = reading.between(f"{at}.count", given(table.count, 1), 1, BURST_MAX)
        return Burst(at_ms, kind, count, within_ms, sender, to, self._size(f"{at}.size", table.size))


BURST_MAX: Final = 100_000
