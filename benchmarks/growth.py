"""Measure what grows with members, hubs and the size of a message: `make bench-growth`.

Processor time is what is compared: it says the most on a machine that others use too. Networks are founded for each
count, and hubs and nodes are the real programs. `--json FILE` keeps the figures, from which `growth_plot.py` draws.
docs/performance.md 12.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path
from typing import Any, Final

import structlog

from couple import MemberCouple
from i247_keys import contexts
from i247_keys.identity import Identity, verify
from i247_keys.keyring import Keyring
from i247_keys.opening import open_envelope
from i247_keys.sealing import seal_for_one
from i247_node.embed import EmbeddedNode
from i247_protocol.header import Envelope, parse_header
from i247_protocol.names import KeyId, MemberCode, WallMs, expiry_minutes
from i247_protocol.priority import Priority
from measures import cpu_s, in_turn, median, per_call_us, resident_mib
from member_lane import Membership
from network import ALL_CODES, ANSWERER, ASKER, World
from queries import IN_FLIGHT, Asker, question
from run import preamble

Row = Mapping[str, float]


def main() -> None:
    """Measure, print a table for each of the three, keep the figures."""
    words = argparse.ArgumentParser(description="Measure what grows, as docs/performance.md 12 tells.")
    words.add_argument("--quick", action="store_true", help="the least and the most of each only, in short rounds")
    words.add_argument("--json", type=Path, help="write the figures to this file")
    options = words.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    logging.getLogger("i247_node").setLevel(logging.ERROR)
    began = time.monotonic()
    tables: dict[str, dict[int, Row]] = {}
    with tempfile.TemporaryDirectory(prefix="i247-growth-") as folder:
        head = list(preamble(Path(folder)))
        print("\n".join(head))
        for name, (counts, measure) in SERIES.items():
            place = Path(folder) / name
            place.mkdir()
            chosen = (counts[0], counts[-1]) if options.quick else counts
            tables[name] = measure(place, chosen, QUICK_S if options.quick else BUDGET_S)
            print("\n".join(["", f"by {name}", *_lines(name, chosen, tables[name])]), flush=True)
    print(f"\n{time.monotonic() - began:.0f} s, load {os.getloadavg()[0]:.1f} at the end. Nothing is left running.")
    if options.json:
        kept: dict[str, Any] = {"head": head, "series": tables}
        options.json.write_text(json.dumps(kept, indent=1) + "\n")


def by_members(folder: Path, counts: Sequence[int], budget_s: float) -> dict[int, Row]:
    """Ask queries in directories of so many members."""
    hubs = ("lyon", "singapore")
    return _queries({n: (World(_made(folder, n), ALL_CODES[:n], hubs), hubs) for n in counts}, budget_s)


def by_hubs(folder: Path, counts: Sequence[int], budget_s: float) -> dict[int, Row]:
    """Ask queries from the first of so many hubs to the last, all of them connected."""
    names = {n: [f"hub-{number}" for number in range(1, n + 1)] for n in counts}
    worlds = {n: World(_made(folder, n), ALL_CODES[:MEMBERS], hubs) for n, hubs in names.items()}
    return _queries({n: (world, names[n]) for n, world in worlds.items()}, budget_s)


def by_size(folder: Path, counts: Sequence[int], budget_s: float) -> dict[int, Row]:
    """Carry messages of so many KiB through one hub, and seal and open them, in turn."""
    world = World(folder, ALL_CODES[:MEMBERS])
    pairs = [ALL_CODES[n : n + 2] for n in range(2, MEMBERS, 2)]
    with world.running("lyon") as pids, ExitStack() as stack:
        sizes = [
            Size(kib, stack.enter_context(closing(couple_at(world, pair[0], pair[1], kib * 1024))), pids["lyon"])
            for kib, pair in zip(counts, pairs, strict=False)
        ]
        everybody = [size.couple for size in sizes]
        in_turn(budget_s, *(partial(size.measure, everybody) for size in sizes))
    return {size.kib: size.row() for size in sizes}


class Network:
    """A network that is up, and the costs of a query in it, round by round."""

    def __init__(self, hubs: Sequence[str], pids: Mapping[str, int], node: EmbeddedNode) -> None:
        self.node = node
        self._hubs = hubs
        self._pids = {**pids, ASKER: os.getpid()}
        self._asker = Asker(node, question)
        self._asker.wait_until_ready()
        self._hubs_us: list[float] = []
        self._nodes_us: list[float] = []
        self._idle_us: list[float] = []

    def measure(self, everybody: Sequence[Network]) -> float:
        """Ask for one round, then let the nodes in this process attend to their links."""
        used, ended = self._used(), self._asker.ended
        self._asker.ask_for(ROUND_S, IN_FLIGHT)
        spent = {name: (now - used[name]) / (self._asker.ended - ended) * 1e6 for name, now in self._used().items()}
        self._hubs_us.append(sum(spent[name] for name in self._hubs))
        self._nodes_us.append(spent[ASKER] + spent[ANSWERER])
        _attend(everybody)
        return self._nodes_us[-1]

    def warm_up(self, everybody: Sequence[Network]) -> None:
        """Ask for one round that does not count."""
        self._asker.ask_for(ROUND_S, IN_FLIGHT)
        _attend(everybody)

    def idle(self, seconds: float) -> None:
        """Note what a hub uses while nothing is asked."""
        used = self._used()
        time.sleep(seconds)  # what is measured is just this: a hub that nobody asks
        now = self._used()
        self._idle_us = [(now[name] - used[name]) / seconds * 1e6 for name in self._hubs]

    def row(self) -> Row:
        """Return what it came to."""
        memory = {name: resident_mib(pid)[0] for name, pid in self._pids.items()}
        return {
            "query_us": median([hubs + nodes for hubs, nodes in zip(self._hubs_us, self._nodes_us, strict=True)]),
            "hubs_us": median(self._hubs_us),
            "nodes_us": median(self._nodes_us),
            "hub_idle_us_per_s": median(self._idle_us),
            "hub_mib": max(memory[name] for name in self._hubs),
            "node_mib": memory[ANSWERER],
        }

    def _used(self) -> dict[str, float]:
        return {name: cpu_s(pid) for name, pid in self._pids.items()}


class Size:
    """A size of message, and what one costs, round by round."""

    def __init__(self, kib: int, couple: MemberCouple, pid: int) -> None:
        self.kib = kib
        self.couple = couple
        self._pid = pid
        self._messages = max(MESSAGES_MIN, MESSAGES_KIB // kib)
        self._rates: list[float] = []
        self._hub_us: list[float] = []
        self._seal_us: list[float] = []
        self._open_us: list[float] = []
        couple.carry(self._messages)

    def measure(self, everybody: Sequence[MemberCouple]) -> float:
        """Carry one round, seal and open."""
        used = cpu_s(self._pid)
        self._rates.append(self._messages / self.couple.carry(self._messages))
        time.sleep(SETTLE_S)  # the hub frees the last rows a moment after both ends have what they wait for
        self._hub_us.append((cpu_s(self._pid) - used) / self._messages * 1e6)
        seal, opened = _seal_and_open_us(self.kib * 1024 - ROOM_BYTES)
        self._seal_us.append(seal)
        self._open_us.append(opened)
        for couple in everybody:
            couple.show_life()
        return self._rates[-1]

    def row(self) -> Row:
        """Return what it came to."""
        return {
            "hub_us": median(self._hub_us),
            "hub_per_s": median(self._rates),
            "seal_us": median(self._seal_us),
            "open_us": median(self._open_us),
        }


def couple_at(world: World, sender: str, receiver: str, body_bytes: int) -> MemberCouple:
    """Return two members at lyon."""
    one, other = (Membership.of(world, "lyon", *names) for names in ((sender, receiver), (receiver, sender)))
    return MemberCouple(one, other, body_bytes)


def _queries(worlds: Mapping[int, tuple[World, Sequence[str]]], budget_s: float) -> dict[int, Row]:
    """Have all networks up at once, so that their rounds can be taken in turn."""
    with ExitStack() as stack:
        networks = {}
        for count, (world, hubs) in worlds.items():
            pids = stack.enter_context(world.running(*hubs, ANSWERER))
            networks[count] = Network(hubs, pids, stack.enter_context(EmbeddedNode.open(world.config(ASKER))))
        everybody = list(networks.values())
        for network in everybody:
            network.idle(IDLE_S)
        for network in everybody:
            network.warm_up(everybody)
        in_turn(budget_s, *(partial(network.measure, everybody) for network in everybody))
        return {count: network.row() for count, network in networks.items()}


def _attend(networks: Sequence[Network]) -> None:
    """Let each node in this process do what its links want, so that no hub takes it for lost."""
    for network in networks:
        for _ in range(STEPS):
            network.node.step()


def _made(folder: Path, count: int) -> Path:
    place = folder / str(count)
    place.mkdir()
    return place


def _seal_and_open_us(statement_bytes: int) -> tuple[float, float]:
    statement = os.urandom(statement_bytes)
    wall = WallMs(time.time_ns() // 1_000_000)
    identity, ring = Identity(bytes(32)), Keyring().renewed(wall, os.urandom)

    def sealed() -> Envelope:
        return seal_for_one(
            statement,
            identity.sign(contexts.STATEMENT, statement),
            recipient=MemberCode(ANSWERER),
            epoch_kid=KeyId(ring.keys[0].kid),
            epoch_public=ring.keys[0].public,
            prio=Priority.ROUTINE,
            exp=expiry_minutes(WallMs(wall + 3_600_000)),
            entropy=os.urandom,
        )

    envelope = sealed()

    def opened() -> None:
        inner = open_envelope(envelope.header, parse_header(envelope.header), envelope.body, None, ring)
        verify(identity.public, contexts.STATEMENT, inner.statement, inner.signature)

    return per_call_us(sealed, CALLS), per_call_us(opened, CALLS)


def _lines(name: str, counts: Sequence[int], rows: Mapping[int, Row]) -> Iterator[str]:
    columns = list(rows[counts[0]])
    yield "  ".join(f"{column:>17}" for column in (name, *columns))
    for count in counts:
        values = [rows[count][column] for column in columns]
        yield "  ".join([f"{count:>17,}", *(f"{one:>17,.0f}" if one >= 100 else f"{one:>17,.1f}" for one in values)])


SERIES: Final = {
    "members": ((2, 10, 50, 100, 200), by_members),
    "hubs": ((1, 2, 4, 8), by_hubs),
    "kib": ((1, 4, 16, 64, 256, 1024), by_size),
}
MEMBERS: Final = 20
"""In the directory where hubs or sizes vary."""
BUDGET_S: Final = 60.0
QUICK_S: Final = 6.0
ROUND_S: Final = 1.0
IDLE_S: Final = 1.0
STEPS: Final = 20
SETTLE_S: Final = 0.05
CALLS: Final = 5
ROOM_BYTES: Final = 80
"""For a signature and the mark of the padding."""
MESSAGES_KIB: Final = 2_048
MESSAGES_MIN: Final = 16

if __name__ == "__main__":
    main()
