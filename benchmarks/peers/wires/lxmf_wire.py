"""An LXMF router over Reticulum: messages by a direct link, each proved by its recipient."""

from __future__ import annotations

import hashlib
import queue
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

import LXMF
import RNS

from peers.ends import Heard


def connected(settings: Mapping[str, str], heard: Heard) -> LxmfWire:
    """Begin Reticulum with the configuration in the folder, and announce this end."""
    return LxmfWire(settings, heard)


class LxmfWire:
    """One router, one destination."""

    def __init__(self, settings: Mapping[str, str], heard: Heard) -> None:
        folder = Path(settings["folder"])
        self._heard = heard
        self._came: queue.Queue[bytes] = queue.Queue()
        self._reticulum = RNS.Reticulum(str(folder), loglevel=RNS.LOG_CRITICAL)
        self._router = LXMF.LXMRouter(storagepath=str(folder / "lxmf"), autopeer=False)
        me, other = ("asker", "answerer") if settings["role"] == "asker" else ("answerer", "asker")
        self._source = self._router.register_delivery_identity(_identity(settings["seed"], me))
        self._router.register_delivery_callback(lambda message: self._came.put(message.content))
        self._destination = RNS.Destination(
            _identity(settings["seed"], other), RNS.Destination.OUT, RNS.Destination.SINGLE, "lxmf", "delivery"
        )
        self._heard_any = False
        self._announced = 0.0

    def send(self, messages: Sequence[bytes]) -> None:
        """Hand messages to the router."""
        for message in messages:
            self._router.handle_outbound(
                LXMF.LXMessage(self._destination, self._source, message, desired_method=LXMF.LXMessage.DIRECT)
            )

    def work(self, until: Callable[[], bool], seconds: float) -> None:
        """Take what the router's threads have laid down."""
        end = time.monotonic() + seconds
        while not until() and (left := end - time.monotonic()) > 0:
            self._announce()
            try:
                data = self._came.get(timeout=min(left, ANNOUNCE_S))
            except queue.Empty:
                continue
            self._heard_any = True
            self.send(self._heard(data))

    def _announce(self) -> None:
        if not self._heard_any and time.monotonic() > self._announced + ANNOUNCE_S:
            self._announced = time.monotonic()
            self._router.announce(self._source.hash)


def _identity(seed: str, whose: str) -> RNS.Identity:
    return RNS.Identity.from_bytes(hashlib.sha512(f"{seed}/{whose}".encode()).digest())


ANNOUNCE_S: Final = 2.0
