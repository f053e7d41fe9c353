"""An MQTT client at QoS 1, with a session that stays; what came is acknowledged when the answer is."""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

from peers.ends import Heard


def connected(settings: Mapping[str, str], heard: Heard) -> MqttWire:
    """Connect, and subscribe."""
    wire = MqttWire(settings, heard)
    wire.connect()
    return wire


class MqttWire:
    """One topic that is listened to, one that is written to."""

    def __init__(self, settings: Mapping[str, str], heard: Heard) -> None:
        self._settings = settings
        self._heard = heard
        self._is_ready = False
        self._owed: dict[int, int] = {}
        self._client = client = Client(
            CallbackAPIVersion.VERSION2, client_id=settings["role"], clean_session=False, manual_ack=True
        )
        client.max_inflight_messages_set(IN_FLIGHT_MAX)
        client.on_connect = lambda *_: client.subscribe(settings["listen"], qos=1)
        client.on_subscribe = self._subscribed
        client.on_message = self._came
        client.on_publish = self._published

    def connect(self) -> None:
        """Connect, and wait until this end is subscribed."""
        self._client.connect("127.0.0.1", int(self._settings["port"]))
        self._socket().setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.work(lambda: self._is_ready, PATIENCE_S)
        if not self._is_ready:
            raise TimeoutError("waited for a broker")

    def send(self, messages: Sequence[bytes]) -> None:
        """Publish."""
        for message in messages:
            self._client.publish(self._settings["say"], message, qos=1)

    def work(self, until: Callable[[], bool], seconds: float) -> None:
        """Read and write; a client without a thread of its own costs no switching."""
        end = time.monotonic() + seconds
        one = self._socket()
        while not until() and (left := end - time.monotonic()) > 0:
            readable, writable, _ = select.select(
                [one], [one] if self._client.want_write() else [], [], min(left, MISC_S)
            )
            if readable:
                self._client.loop_read()
            if writable:
                self._client.loop_write()
            if not readable and not writable:
                self._client.loop_misc()

    def _socket(self) -> socket.socket:
        one = self._client.socket()
        if not isinstance(one, socket.socket):
            raise ConnectionError("not connected")
        return one

    def _subscribed(self, *_: object) -> None:
        self._is_ready = True

    def _came(self, client: Client, _: object, message: MQTTMessage) -> None:
        answers = self._heard(message.payload)
        for answer in answers:
            sent = client.publish(self._settings["say"], answer, qos=1)
            self._owed[sent.mid] = message.mid
        if not answers:
            client.ack(message.mid, 1)

    def _published(self, client: Client, _: object, mid: int, *__: object) -> None:
        if (owed := self._owed.pop(mid, None)) is not None:
            client.ack(owed, 1)


IN_FLIGHT_MAX: Final = 1_000
MISC_S: Final = 0.5
PATIENCE_S: Final = 30.0
