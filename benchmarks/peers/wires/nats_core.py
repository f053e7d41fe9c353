"""A NATS client without JetStream: publish and subscribe, nothing stored."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import nats
from nats.aio.msg import Msg

from peers.ends import Heard
from peers.wires.turning import Turning


def connected(settings: Mapping[str, str], heard: Heard) -> NatsWire:
    """Connect, and subscribe."""
    wire = NatsWire(settings, heard)
    wire.turning.run(wire.connect())
    return wire


class NatsWire:
    """One subject that is listened to, one that is written to."""

    def __init__(self, settings: Mapping[str, str], heard: Heard) -> None:
        self.turning = Turning()
        self._settings = settings
        self._heard = heard
        self._client = nats.NATS()

    async def connect(self) -> None:
        """Connect, and subscribe."""
        await self._client.connect(self._settings["endpoint"])
        await self._client.subscribe(self._settings["listen"], cb=self._came)
        await self._client.flush()

    def send(self, messages: Sequence[bytes]) -> None:
        """Publish."""
        self.turning.run(self._publish(messages))

    def work(self, until: Callable[[], bool], seconds: float) -> None:
        """Let the loop run."""
        self.turning.until(until, seconds)

    async def _came(self, message: Msg) -> None:
        await self._publish(self._heard(message.data))
        self.turning.check()

    async def _publish(self, messages: Sequence[bytes]) -> None:
        for message in messages:
            await self._client.publish(self._settings["say"], message)
