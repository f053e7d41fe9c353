"""The way between two processes can be spoiled, and is whole again afterwards."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

import pytest
from tests.chaos.proxy import Proxy, Way
from tests.processes.country import free_port

Story = Callable[[Proxy, "Caller"], Awaitable[None]]


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await reader.read(1_000):
            writer.write(data)
            await writer.drain()
    writer.transport.abort()


class Caller:
    """Somebody who dials, says something, and hears it back."""

    def __init__(self) -> None:
        self._writers: list[asyncio.StreamWriter] = []

    async def dial(self, proxy: Proxy) -> asyncio.StreamReader:
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.front)
        self._writers.append(writer)
        return reader

    async def say(self, text: bytes) -> None:
        self._writers[-1].write(text)
        await self._writers[-1].drain()

    async def hang_up(self) -> None:
        for writer in self._writers:
            writer.transport.abort()
        await asyncio.sleep(0)


async def open_way(proxy: Proxy, caller: Caller) -> None:
    reader = await caller.dial(proxy)
    await caller.say(b"one")
    assert await reader.readexactly(3) == b"one"


async def stalled_way(proxy: Proxy, caller: Caller) -> None:
    reader = await caller.dial(proxy)
    await proxy.go(Way.STALLED)
    await caller.say(b"two")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(reader.read(3), 0.2)
    await proxy.heal()
    assert await reader.readexactly(3) == b"two"


async def hole(proxy: Proxy, caller: Caller) -> None:
    reader = await caller.dial(proxy)
    await proxy.go(Way.HOLE)
    await caller.say(b"lost")
    await proxy.heal()
    assert await ended(reader)
    await open_way(proxy, caller)


async def closed_way(proxy: Proxy, caller: Caller) -> None:
    reader = await caller.dial(proxy)
    await caller.say(b"x")
    await reader.readexactly(1)
    await proxy.go(Way.CLOSED)
    assert await ended(reader)
    with pytest.raises(OSError, match=r"."):
        await caller.dial(proxy)
    await proxy.heal()
    await open_way(proxy, caller)


async def narrow_way(proxy: Proxy, caller: Caller) -> None:
    reader = await caller.dial(proxy)
    proxy.bytes_a_second = 10
    await caller.say(b"four")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(reader.readexactly(4), 0.2)
    assert await reader.readexactly(4) == b"four"


async def cut_way(proxy: Proxy, caller: Caller) -> None:
    reader = await caller.dial(proxy)
    await caller.say(b"x")
    await reader.readexactly(1)
    assert proxy.cut(lambda: False) == 0
    assert proxy.cut() == 1
    assert await ended(reader)


async def ended(reader: asyncio.StreamReader) -> bool:
    try:
        return not await reader.read(100)
    except ConnectionError:
        return True


@pytest.mark.parametrize("story", [open_way, stalled_way, hole, closed_way, narrow_way, cut_way])
def test_a_way(story: Story) -> None:
    async def told() -> None:
        back = free_port()
        server = await asyncio.start_server(echo, "127.0.0.1", back)
        proxy = Proxy(free_port(), back)
        await proxy.open()
        caller = Caller()
        try:
            await story(proxy, caller)
        finally:
            await caller.hang_up()
            await proxy.close()
            server.close()

    asyncio.run(told())
