"""A JetStream client: a message counts as sent when its stream has confirmed it, and what came is let go of then."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence

import nats
from nats.aio.msg import Msg
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from peers.ends import Heard
from peers.wires.turning import Turning


def connected(settings: Mapping[str, str], heard: Heard) -> StreamWire:
    """Connect, and make a durable consumer of the stream that is mirrored here."""
    wire = StreamWire(settings, heard)
    wire.turning.run(wire.connect())
    return wire


class StreamWire:
    """One stream that is listened to, one that is written to."""

    def __init__(self, settings: Mapping[str, str], heard: Heard) -> None:
        self.turning = Turning()
        self._settings = settings
        self._heard = heard
        self._client = nats.NATS()
        self._stream = self._client.jetstream()
        self._acks: set[asyncio.Task[None]] = set()

    async def connect(self) -> None:
        """Connect, and subscribe."""
        await self._client.connect(self._settings["endpoint"])
        await self._stream.subscribe(
            self._settings["listen"],
            stream=self._settings["listen_stream"],
            durable="end",
            cb=self._came,
            manual_ack=True,
            config=ConsumerConfig(ack_policy=AckPolicy.EXPLICIT, deliver_policy=DeliverPolicy.ALL),
        )

    def send(self, messages: Sequence[bytes]) -> None:
        """Publish."""
        self.turning.run(self._send(messages))

    def work(self, until: Callable[[], bool], seconds: float) -> None:
        """Let the loop run."""
        self.turning.until(until, seconds)

    async def _send(self, messages: Sequence[bytes]) -> None:
        for message in messages:
            await self._stream.publish_async(self._settings["say"], message)

    async def _came(self, message: Msg) -> None:
        for answer in (answers := self._heard(message.data)):
            confirmed = await self._stream.publish_async(self._settings["say"], answer)
            confirmed.add_done_callback(lambda future: self._confirmed(future, message))
        if not answers:
            await message.ack()
        self.turning.check()

    def _confirmed(self, future: asyncio.Future[object], message: Msg) -> None:
        future.result()
        task = self.turning.loop.create_task(message.ack())
        self._acks.add(task)
        task.add_done_callback(self._acks.discard)
