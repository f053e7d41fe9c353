"""RabbitMQ: two brokers, durable queues, and a shovel each way that confirms before it acknowledges."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from peers.processes import Place, Running, Stage, both_ends, free_port


@contextmanager
def running(place: Place) -> Iterator[Running]:
    """Run two brokers and both ends."""
    with Stage(place) as stage:
        mapper = free_port()
        stage.broker("epmd", ["epmd", "-address", "127.0.0.1", "-port", str(mapper)], mapper)
        ports = {name: free_port() for name in BROKERS}
        urls = [f"amqp://guest:guest@127.0.0.1:{port}" for port in ports.values()]
        for name in BROKERS:
            shovels = SHOVELS.format(near=urls[0], far=urls[1]) if name == BROKERS[0] else ""
            environment = _environment(place.folder / name, name, ports[name], mapper, shovels)
            stage.broker(name, [PROGRAM], environment=environment)
        for name, port in ports.items():
            stage.listening(name, port)
        asker, answerer = (
            {"endpoint": url, "say": say, "listen": listen}
            for url, say, listen in ((urls[0], "queries", "replies"), (urls[1], "replies", "queries"))
        )
        with both_ends(stage, "rabbit", asker, answerer, BROKERS) as up:
            yield up


def _environment(folder: Path, name: str, port: int, mapper: int, shovels: str) -> dict[str, str]:
    folder.mkdir()
    (folder / "rabbitmq.conf").write_text(f"listeners.tcp.1 = 127.0.0.1:{port}\n")
    (folder / "advanced.config").write_text(f"[{shovels}].\n")
    (folder / "plugins").write_text("[rabbitmq_shovel].\n")
    return {
        "HOME": str(folder),
        "ERL_EPMD_PORT": str(mapper),
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "RABBITMQ_NODENAME": f"{name}@localhost",
        "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
        "RABBITMQ_ADVANCED_CONFIG_FILE": str(folder / "advanced.config"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
        "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
        "RABBITMQ_LOG_BASE": str(folder / "log"),
        "RABBITMQ_PID_FILE": str(folder / "pid"),
        "RABBITMQ_DIST_PORT": str(free_port()),
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
        "RUNNING_UNDER_SYSTEMD": "true",  # no shell in between, which would end it by another program
        "PATH": os.environ["PATH"],
    }


BROKERS: Final = ("rabbit-a", "rabbit-b")
PROGRAM: Final = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
SHOVELS: Final = """
 {{rabbitmq_shovel, [{{shovels, [
  {{queries, [
   {{source, [{{protocol, amqp091}}, {{uris, ["{near}"]}}, {{queue, <<"queries">>}}, {{prefetch_count, 256}},
     {{declarations, [{{'queue.declare', [{{queue, <<"queries">>}}, durable]}}]}}]}},
   {{destination, [{{protocol, amqp091}}, {{uris, ["{far}"]}}, {{publish_properties, [{{delivery_mode, 2}}]}},
     {{publish_fields, [{{exchange, <<"">>}}, {{routing_key, <<"queries">>}}]}},
     {{declarations, [{{'queue.declare', [{{queue, <<"queries">>}}, durable]}}]}}]}},
   {{ack_mode, on_confirm}}, {{reconnect_delay, 1}}]}},
  {{replies, [
   {{source, [{{protocol, amqp091}}, {{uris, ["{far}"]}}, {{queue, <<"replies">>}}, {{prefetch_count, 256}},
     {{declarations, [{{'queue.declare', [{{queue, <<"replies">>}}, durable]}}]}}]}},
   {{destination, [{{protocol, amqp091}}, {{uris, ["{near}"]}}, {{publish_properties, [{{delivery_mode, 2}}]}},
     {{publish_fields, [{{exchange, <<"">>}}, {{routing_key, <<"replies">>}}]}},
     {{declarations, [{{'queue.declare', [{{queue, <<"replies">>}}, durable]}}]}}]}},
   {{ack_mode, on_confirm}}, {{reconnect_delay, 1}}]}}
 ]}}]}}"""
