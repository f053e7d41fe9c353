"""Build every disk that a power loss may leave behind a daemon under load, and see that what it had confirmed is there.

What counts as confirmed is what others have: a user's answer from the node, a hub's custody in a node's database, the
receipt by which a sender knows that its message was taken.
"""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import time
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from tests.chaos.daemons import Network
from tests.chaos.record import Moment, moments
from tests.chaos.run import Run
from tests.chaos.traffic import Ledger
from tests.faulty_vfs import Platter, Touch, any_part, everything, nothing, write_disk
from tests.processes.country import Countries

from i247_hub.store import HubStore
from i247_node.records import DeliveryState
from i247_node.store import NodeStore
from i247_node.tables import DELIVERY_NUMBER
from i247_protocol.names import EnvelopeId, MemberCode, MessageId

Store = HubStore | NodeStore
Holds = Callable[[Store], bool]


@dataclass(frozen=True)
class Confirmed:
    """What a store must hold from a moment on, in words, and whether it does."""

    since_ns: int
    what: str
    is_held: Holds


@dataclass(frozen=True)
class Loss:
    """A power loss: after how many touches, when, and what is left of what was not synced."""

    touches: int
    mono_ns: int
    left: str
    files: dict[str, bytes]

    def __str__(self) -> str:
        return f"power lost after touch {self.touches}, {self.left}"


def survey(run: Run, states: int, *, starts: int = 1) -> Survey:
    """Look at so many states of each store of a network that has stopped; start the real program on some of them."""
    network, found = run.network, Survey()
    stores = {code: network.store(code) for code in network.nodes}
    wall_to_mono_ns = time.monotonic_ns() - time.time_ns()
    confirmed = {hub: confirmed_by_hub(hub, stores, wall_to_mono_ns) for hub in network.hubs}
    confirmed |= {code: confirmed_by_node(code, run.ledger, stores, wall_to_mono_ns) for code in network.nodes}
    for name, what in confirmed.items():
        luck = Random(f"{run.seed}/{name}/power")
        open_store = HubStore if name in network.hubs else NodeStore
        found.confirmed += len(what)
        seen: list[Loss] = []
        for loss in losses(network.record(name), network.state(name), states, luck):
            seen.append(loss)
            found.breaches += (f"{name}: {one}" for one in missing(loss, network.root / "after", open_store, what))
        found.states += len(seen)
        for loss in luck.sample(seen, min(starts, len(seen))):
            found.starts += 1
            found.breaches += (f"{name}: {one}" for one in _start(network, name, loss))
    return found


@dataclass
class Survey:
    """What was looked at, and what was wrong."""

    states: int = 0
    starts: int = 0
    confirmed: int = 0
    breaches: list[str] = field(default_factory=list)


def _start(network: Network, name: str, loss: Loss) -> Iterator[str]:
    """Start the real program on what is left, in the same place, and yield what is wrong."""
    shutil.rmtree(network.state(name))
    write_disk(loss.files, network.state(name))
    network.state(name).chmod(0o700)
    path = network.root / f"{name}.again.log"
    with path.open("wb") as log:
        process = subprocess.Popen(Countries.command(network, name), stdout=log, stderr=log)
    until = time.monotonic() + START_S
    while not (is_up := " started " in path.read_text()) and process.poll() is None and time.monotonic() < until:
        time.sleep(0.1)
    process.terminate()
    code = process.wait(START_S)
    if code != 0 or not is_up:
        yield f"{loss}: it does not start ({code}): {path.read_text()[-300:]}"


def losses(record: Path, folder: Path, states: int, luck: Random) -> Iterator[Loss]:
    """Yield at most so many losses: right before and after syncs, and in between, by each way to lose the rest."""
    touches = [one for one in moments(record) if one.touch.path.startswith(f"{folder}/")]
    cuts = _cuts(touches, states, luck)
    platter = Platter()
    for n, moment in enumerate(touches, 1):
        platter.take(moment.touch)
        if n in cuts:
            for left, leave in _ways(luck):
                yield Loss(n, moment.mono_ns, left, platter.after_power_loss(leave))


def missing(
    loss: Loss, folder: Path, open_store: Callable[[str], Store], confirmed: Sequence[Confirmed]
) -> Iterator[str]:
    """Lay what is left into `folder`, open it as the daemon would, and yield what was confirmed and is not there.

    `confirmed` is in the order of time; what came after the loss is not asked for.
    """
    write_disk(loss.files, folder)
    path = next((folder / Path(path).name for path in loss.files if path.endswith(".db")), folder / "new.db")
    with closing(open_store(str(path))) as store:
        if store.damage():
            yield f"{loss}: the database is damaged: {store.damage()[0]}"
        for one in confirmed[: bisect_right(confirmed, loss.mono_ns, key=lambda one: one.since_ns)]:
            if not one.is_held(store):
                yield f"{loss}: {one.what} is not there"
    shutil.rmtree(folder)


def confirmed_by_node(name: str, ledger: Ledger, stores: Mapping[str, Path], wall_to_mono_ns: int) -> list[Confirmed]:
    """Return what a node has confirmed: messages to its users, entries by receipts that others have."""
    found = [
        Confirmed(one.told_ns, f"accepted message {one.id}", _has_message(bytes.fromhex(one.id)))
        for one in ledger.accepted
        if one.node == name
    ]
    for other, path in stores.items():
        if other == name:
            continue
        for sid, message, at in _ask(path, _DELIVERED, (name, DELIVERY_NUMBER[DeliveryState.DELIVERED])):
            what = f"message {message.hex()} of {other}, which has its receipt"
            found.append(Confirmed(_mono_ns(at, wall_to_mono_ns), what, _has_seen(other, message, sid)))
    return sorted(found, key=lambda one: one.since_ns)


def confirmed_by_hub(name: str, stores: Mapping[str, Path], wall_to_mono_ns: int) -> list[Confirmed]:
    """Return what a hub has confirmed: the custody that nodes have noted, and kept until the end."""
    found = []
    for path in stores.values():
        for envelope, recipient, at in _ask(path, _IN_CUSTODY, (DELIVERY_NUMBER[DeliveryState.IN_CUSTODY], name)):
            what = f"envelope {envelope.hex()} for {recipient}"
            found.append(
                Confirmed(
                    _mono_ns(at, wall_to_mono_ns), what, _has_envelope(EnvelopeId(envelope), MemberCode(recipient))
                )
            )
    return sorted(found, key=lambda one: one.since_ns)


def _cuts(touches: Sequence[Moment], states: int, luck: Random) -> frozenset[int]:
    syncs = [n for n, one in enumerate(touches, 1) if one.touch.kind == "sync"]
    around = sorted({cut for n in syncs for cut in (n - 1, n)})
    others = range(1, len(touches) + 1)
    wanted = max(1, states // len([*_ways(luck)]))
    chosen = luck.sample(around, min(len(around), wanted // 2))
    return frozenset([*chosen, *luck.sample(others, min(len(others), wanted - len(chosen)))])


def _ways(luck: Random) -> Iterator[tuple[str, Callable[[Touch], Touch | None]]]:
    yield "nothing of the rest", nothing
    yield "all of the rest", everything
    yield "any part of the rest", any_part(luck)
    yield "another part of the rest", any_part(luck)


def _has_message(id: bytes) -> Holds:
    def is_held(store: Store) -> bool:
        assert isinstance(store, NodeStore)
        trace = store.views().message(MessageId(id))
        return trace is not None and trace.sent is not None

    return is_held


def _has_seen(sender: str, id: bytes, sid: bytes) -> Holds:
    def is_held(store: Store) -> bool:
        assert isinstance(store, NodeStore)
        return store.seen(MemberCode(sender), MessageId(id)) == sid

    return is_held


def _has_envelope(envelope: EnvelopeId, recipient: MemberCode) -> Holds:
    def is_held(store: Store) -> bool:
        assert isinstance(store, HubStore)
        holds = any(recipient in row.recipients for row in store.held(envelope))
        return holds or store.handed_on(envelope, recipient) is not None

    return is_held


def _mono_ns(wall_ms: int, wall_to_mono_ns: int) -> int:
    return (wall_ms + 1) * NS_IN_MS + wall_to_mono_ns  # the end of the millisecond: certainly not too early


def _ask(path: Path, sql: str, bindings: tuple[object, ...]) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        return database.execute(sql, bindings).fetchall()


NS_IN_MS = 1_000_000
START_S = 30.0
_DELIVERED = """
    SELECT sid, id, at FROM deliveries JOIN outgoing USING (n) WHERE recipient = ? AND state = ?
"""
# Once only: sealed again, a message has another envelope.
_IN_CUSTODY = """
    SELECT envelope, recipient, min(delivery_history.at) FROM deliveries JOIN delivery_history USING (n, recipient)
    WHERE delivery_history.state = ? AND delivery_history.hub = ? AND envelope IS NOT NULL
    GROUP BY n, recipient HAVING count(*) = 1
"""
