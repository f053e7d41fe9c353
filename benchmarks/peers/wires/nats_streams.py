"""Make the streams of a JetStream pair, once: each end's own, and a mirror of it at the other server.

Arguments: the endpoints of the asker's and of the answerer's server.
"""

from __future__ import annotations

import asyncio
import sys
import time
from typing import Final

import nats
from nats.errors import Error
from nats.js.api import ExternalStream, RetentionPolicy, StorageType, StreamConfig, StreamSource


async def make(*endpoints: str) -> None:
    """Make two streams and two mirrors, and wait until the mirrors see their origins."""
    clients = [await nats.connect(endpoint) for endpoint in endpoints]
    streams = [client.jetstream() for client in clients]
    for stream, name in zip(streams, NAMES, strict=True):
        await stream.add_stream(_config(name, subjects=[name.lower()]))
    for stream, name, domain in zip(reversed(streams), NAMES, DOMAINS, strict=True):
        origin = StreamSource(name=name, external=ExternalStream(api=f"$JS.{domain}.API"))
        await stream.add_stream(_config(f"{name}-MIRROR", mirror=origin))
    end = time.monotonic() + PATIENCE_S
    for stream, name in zip(streams, NAMES, strict=True):
        await stream.publish(name.lower(), b"")
    for stream, name in zip(reversed(streams), NAMES, strict=True):
        while (await stream.stream_info(f"{name}-MIRROR")).state.messages < 1:
            if time.monotonic() > end:
                raise TimeoutError("waited for a mirror")
            await asyncio.sleep(0.1)
    for stream, name in zip(streams, NAMES, strict=True):
        await stream.purge_stream(name)
    for stream, name in zip(reversed(streams), NAMES, strict=True):
        await stream.purge_stream(f"{name}-MIRROR")
    for client in clients:
        await client.close()


def _config(name: str, *, subjects: list[str] | None = None, mirror: StreamSource | None = None) -> StreamConfig:
    return StreamConfig(
        name=name,
        subjects=subjects,
        mirror=mirror,
        storage=StorageType.FILE,
        retention=RetentionPolicy.LIMITS,
        max_msgs=MESSAGES_KEPT,
    )


NAMES: Final = ("QUERIES", "REPLIES")
DOMAINS: Final = ("a", "b")
MESSAGES_KEPT: Final = 100_000
PATIENCE_S: Final = 30.0

if __name__ == "__main__":
    try:
        asyncio.run(make(*sys.argv[1:]))
    except (Error, TimeoutError) as fault:
        sys.exit(f"error: {fault}")
