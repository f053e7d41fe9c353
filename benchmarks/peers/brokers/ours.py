"""i247 itself: two nodes and two hubs, the real programs, everything saved at all four."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from i247_node.registers import Kind
from i247_node.registers_sqlite import import_csv
from network import ANSWERER, ASKER, REGISTER, World
from peers.asking import NUMBER
from peers.processes import PATIENCE_S, Place, Running, Stage


@contextmanager
def running(place: Place) -> Iterator[Running]:
    """Found a network, run hubs and both nodes; the asker is a node within a program, by the driver for that."""
    world = World(place.folder)
    table = place.folder / "documents.csv"
    table.write_text(DOCUMENTS)
    import_csv(world.folder / ANSWERER / "registers.db", REGISTER, Kind.DOCUMENTS, table)
    with world.running("lyon", "singapore", ANSWERER) as pids, Stage(place) as stage:
        asker = stage.module("asker", "asking", str(world.config(ASKER)), python=Path(sys.executable))
        asker.lines(1, PATIENCE_S)
        names = {"lyon": "hub lyon", "singapore": "hub singapore", ANSWERER: "node SG"}
        all_pids = {names[name]: pid for name, pid in pids.items()} | {"node FR, in the asker": asker.pid}
        yield Running(asker, all_pids, tuple(names.values()))


DOCUMENTS: Final = f"""\
record,owner,status,action,country,number,type
SG-1,SG,stolen,Seize it,UTO,{NUMBER},P
"""
