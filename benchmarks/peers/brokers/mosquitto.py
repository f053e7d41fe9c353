"""Mosquitto: two brokers, the first bridged to the second, QoS 1 and persistence all the way."""

from __future__ import annotations

import getpass
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from peers.processes import Place, Running, Stage, both_ends, free_port


@contextmanager
def running(place: Place) -> Iterator[Running]:
    """Run two brokers and both ends."""
    with Stage(place) as stage:
        near, far = free_port(), free_port()
        for name, port, bridge in ((BROKERS[1], far, ""), (BROKERS[0], near, BRIDGE.format(port=far))):
            folder = stage.place.folder / name
            folder.mkdir()
            config = folder / "mosquitto.conf"
            config.write_text(CONFIG.format(port=port, folder=folder, user=getpass.getuser()) + bridge)
            stage.broker(name, [program(), "-c", config], port)
        asker, answerer = (
            {"port": str(port), "say": say, "listen": listen}
            for port, say, listen in ((near, "queries", "replies"), (far, "replies", "queries"))
        )
        with both_ends(stage, "mqtt", asker, answerer, BROKERS) as up:
            yield up


def program() -> str:
    """Return where the broker lies, or its bare name; it is not on everybody's path."""
    return shutil.which("mosquitto", path=PATH) or "mosquitto"


BROKERS: Final = ("mosquitto-a", "mosquitto-b")
PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin"
CONFIG: Final = """\
listener {port} 127.0.0.1
user {user}
allow_anonymous true
persistence true
persistence_location {folder}/
set_tcp_nodelay true
max_inflight_messages 0
max_queued_messages 0
"""
BRIDGE: Final = """\
connection far
address 127.0.0.1:{port}
topic queries out 1
topic replies in 1
cleansession false
bridge_protocol_version mqttv311
restart_timeout 1
"""
