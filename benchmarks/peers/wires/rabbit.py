"""An AMQP client: persistent messages into durable queues, confirmed; what came is let go of when the answer is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from pika import BasicProperties, URLParameters
from pika.adapters.asyncio_connection import AsyncioConnection
from pika.channel import Channel
from pika.frame import Method
from pika.spec import Basic

from peers.ends import Heard
from peers.wires.turning import Turning


def connected(settings: Mapping[str, str], heard: Heard) -> RabbitWire:
    """Connect, declare, and consume."""
    wire = RabbitWire(settings, heard)
    wire.connect()
    return wire


class RabbitWire:
    """One queue that is listened to, one that is written to."""

    def __init__(self, settings: Mapping[str, str], heard: Heard) -> None:
        self._turning = Turning()
        self._settings = settings
        self._heard = heard
        self._channel: Channel | None = None
        self._is_ready = False
        self._published = 0
        self._owed: dict[int, int] = {}

    def connect(self) -> None:
        """Connect, and wait until this end consumes."""
        AsyncioConnection(
            URLParameters(self._settings["endpoint"]),
            on_open_callback=lambda connection: connection.channel(on_open_callback=self._opened),
            on_open_error_callback=self._failed,
            on_close_callback=self._failed,
            custom_ioloop=self._turning.loop,
        )
        self._turning.until(lambda: self._is_ready, PATIENCE_S)
        if not self._is_ready:
            raise TimeoutError("waited for a broker")

    def send(self, messages: Sequence[bytes]) -> None:
        """Publish."""
        for message in messages:
            self._publish(message)

    def work(self, until: Callable[[], bool], seconds: float) -> None:
        """Let the loop run."""
        self._turning.until(until, seconds)

    def _opened(self, channel: Channel) -> None:
        self._channel = channel
        channel.confirm_delivery(self._confirmed)
        channel.basic_qos(prefetch_count=PREFETCH)
        for queue in (self._settings["say"], self._settings["listen"]):
            channel.queue_declare(queue, durable=True)
        channel.basic_consume(self._settings["listen"], self._came, callback=self._consuming)

    def _consuming(self, _: object) -> None:
        self._is_ready = True
        self._turning.check()

    def _came(self, channel: Channel, deliver: Basic.Deliver, _: BasicProperties, data: bytes) -> None:
        tag = deliver.delivery_tag
        answers = self._heard(data)
        for answer in answers:
            self._publish(answer)
            self._owed[self._published] = tag
        if not answers:
            channel.basic_ack(tag)
        self._turning.check()

    def _publish(self, message: bytes) -> None:
        if self._channel is None:
            raise ConnectionError("no channel is open")
        self._channel.basic_publish("", self._settings["say"], message, PERSISTENT)
        self._published += 1

    def _confirmed(self, frame: Method) -> None:
        confirm = frame.method
        if not isinstance(confirm, Basic.Ack) or self._channel is None:
            raise ConnectionError("a message was not taken")
        first = min(self._owed, default=confirm.delivery_tag) if confirm.multiple else confirm.delivery_tag
        for number in range(first, confirm.delivery_tag + 1):
            if (tag := self._owed.pop(number, None)) is not None:
                self._channel.basic_ack(tag)

    def _failed(self, *_: object) -> None:
        self._turning.loop.stop()


PERSISTENT: Final = BasicProperties(delivery_mode=2)
PREFETCH: Final = 256
PATIENCE_S: Final = 30.0
