"""NATS: two servers, the second a leaf node of the first; without JetStream, or with a stream and a mirror each way."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from peers.processes import PATIENCE_S, Place, Running, Stage, both_ends, free_port


@contextmanager
def core(place: Place) -> Iterator[Running]:
    """Run a pair that stores nothing."""
    with Stage(place) as stage:
        near, far = _servers(stage, None)
        asker, answerer = (
            {"endpoint": endpoint, "say": say, "listen": listen}
            for endpoint, say, listen in ((near, "queries", "replies"), (far, "replies", "queries"))
        )
        with both_ends(stage, "nats_core", asker, answerer, BROKERS) as running:
            yield running


@contextmanager
def streams_synced(place: Place) -> Iterator[Running]:
    """Run a pair that syncs each message."""
    with _streams(place, {"sync_interval": "always"}) as running:
        yield running


@contextmanager
def streams_as_shipped(place: Place) -> Iterator[Running]:
    """Run a pair that syncs when it does by default."""
    with _streams(place, {}) as running:
        yield running


@contextmanager
def _streams(place: Place, jetstream: dict[str, str]) -> Iterator[Running]:
    with Stage(place) as stage:
        near, far = _servers(stage, jetstream)
        made = stage.module("streams", "wires.nats_streams", near, far)
        made.wait(PATIENCE_S)
        del stage.children["streams"]
        asker, answerer = (
            {"endpoint": endpoint, "say": say, "listen": listen, "listen_stream": f"{listen.upper()}-MIRROR"}
            for endpoint, say, listen in ((near, "queries", "replies"), (far, "replies", "queries"))
        )
        with both_ends(stage, "nats_stream", asker, answerer, BROKERS) as running:
            yield running


def _servers(stage: Stage, jetstream: dict[str, str] | None) -> tuple[str, str]:
    """Start both; return where clients connect."""
    leafs = free_port()
    ports = []
    for name, domain in zip(BROKERS, ("a", "b"), strict=True):
        port = free_port()
        config: dict[str, Any] = {"listen": f"127.0.0.1:{port}", "server_name": name}
        if domain == "a":
            config["leafnodes"] = {"listen": f"127.0.0.1:{leafs}"}
        else:
            config["leafnodes"] = {"remotes": [{"url": f"nats://127.0.0.1:{leafs}"}]}
        if jetstream is not None:
            folder = stage.place.folder / f"{name}-data"
            config["jetstream"] = {"store_dir": str(folder), "domain": domain, **jetstream}
        path = stage.place.folder / f"{name}.conf"
        path.write_text(json.dumps(config))  # its configuration language takes JSON
        stage.broker(name, [server(stage.place.python), "--config", path], port)
        ports.append(port)
    return f"nats://127.0.0.1:{ports[0]}", f"nats://127.0.0.1:{ports[1]}"


def server(python: Path) -> Path:
    """Return where the server's program lies: beside the interpreter that has its package."""
    return python.with_name("nats-server")


BROKERS = ("nats-a", "nats-b")
