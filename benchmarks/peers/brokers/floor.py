"""The floor: two `zmq.proxy` under CURVE, and the cryptography at both ends."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from peers.processes import PATIENCE_S, Place, Running, Stage, both_ends


@contextmanager
def running(place: Place) -> Iterator[Running]:
    """Run two proxies and both ends."""
    with Stage(place) as stage:
        far = stage.module("proxy-b", "proxy").lines(1, PATIENCE_S)[0].split()
        near = stage.module("proxy-a", "proxy", far[0], far[2]).lines(1, PATIENCE_S)[0].split()
        asker, answerer = {"endpoint": near[0], "key": near[2]}, {"endpoint": far[1], "key": far[2]}
        with both_ends(stage, "zmq_wire", asker, answerer, ("proxy-a", "proxy-b")) as running_:
            yield running_
