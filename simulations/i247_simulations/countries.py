"""Read our table of members and hubs: who there is, at which bureau, and where on the globe.

The table lies in `data/` and says where its facts are from; a planner's starting point, no statement about any country's
real connections. Reading the file is for `scenarios`. docs/simulation.md 4.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass

from i247_simulations.latency import Place


@dataclass(frozen=True, slots=True)
class Atlas:
    """What the tables tell."""

    bureaus: dict[str, tuple[str, ...]]
    """Hub, and the codes of the members at home there, both in order."""
    places: dict[str, Place]
    """Of members and hubs."""


def read_atlas(members: str, hubs: str) -> Atlas:
    """Return what two tables say."""
    bureaus: dict[str, list[str]] = {}
    places = {row["name"]: _place(row) for row in csv.DictReader(hubs.splitlines())}
    for row in csv.DictReader(members.splitlines()):
        bureaus.setdefault(row["bureau"], []).append(row["code"])
        places[row["code"]] = _place(row)
    return Atlas({hub: tuple(sorted(codes)) for hub, codes in sorted(bureaus.items())}, places)


def _place(row: dict[str, str]) -> Place:
    return Place(float(row["latitude"]), float(row["longitude"]), int(row["utc_offset_min"]))
