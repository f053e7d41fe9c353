"""Stand between those who dial a hub and the hub, and spoil the way: late, slow, stalled, cut, a hole, closed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from enum import StrEnum


class Way(StrEnum):
    """How the way to a hub is."""

    OPEN = "open"
    STALLED = "stalled"
    """Nothing moves, and all goes on afterwards."""
    HOLE = "hole"
    """Nothing moves, and what was on the way never arrives."""
    CLOSED = "closed"
    """Who dials is refused."""


class Proxy:
    """The way to one hub: listens where the roster says, and forwards to where the hub listens."""

    def __init__(self, front: int, back: int) -> None:
        self.front = front
        self.back = back
        self.delay_s = 0.0
        self.bytes_a_second = 0
        self.carried = 0
        self._way = Way.OPEN
        self._may_move = asyncio.Event()
        self._may_move.set()
        self._lines: set[_Line] = set()
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        """Begin to listen."""
        if self._server is None:
            self._server = await asyncio.start_server(self._dialled, "127.0.0.1", self.front, limit=PIECE_BYTES)

    async def go(self, way: Way) -> None:
        """Change how the way is."""
        before, self._way = self._way, way
        if before is Way.HOLE:
            self.cut()
        if way is Way.CLOSED:
            await self._shut()
        else:
            await self.open()
        if way in (Way.STALLED, Way.HOLE):
            self._may_move.clear()
        else:
            self._may_move.set()

    def cut(self, chosen: Callable[[], bool] = lambda: True) -> int:
        """End connections without a farewell; return how many."""
        lines = [line for line in self._lines if chosen()]
        for line in lines:
            line.cut()
        return len(lines)

    async def heal(self) -> None:
        """Let the way be open, quick and wide."""
        self.delay_s, self.bytes_a_second = 0.0, 0
        await self.go(Way.OPEN)

    async def close(self) -> None:
        """End all."""
        await self._shut()

    async def _shut(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.close()
        self.cut()
        await asyncio.gather(*(line.over.wait() for line in self._lines))

    async def _dialled(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = _Line(writer)
        self._lines.add(line)
        try:
            with suppress(OSError):
                there_reader, there_writer = await asyncio.open_connection("127.0.0.1", self.back, limit=PIECE_BYTES)
                line.writers.append(there_writer)
                await line.run(self._carry(reader, there_writer), self._carry(there_reader, writer))
        finally:
            line.cut()
            self._lines.discard(line)
            line.over.set()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(PIECE_BYTES):
                await self._may_move.wait()
                await asyncio.sleep(self.delay_s + (len(data) / self.bytes_a_second if self.bytes_a_second else 0))
                await self._may_move.wait()
                writer.write(data)
                await writer.drain()
                self.carried += len(data)


class _Line:
    """One connection through."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self.writers = [writer]
        self.over = asyncio.Event()
        self._both: list[asyncio.Task[None]] = []

    async def run(self, *both: Coroutine[None, None, None]) -> None:
        """Carry both ways until one of them ends."""
        self._both = [asyncio.create_task(one) for one in both]
        await asyncio.wait(self._both, return_when=asyncio.FIRST_COMPLETED)
        self.cut()
        await asyncio.gather(*self._both, return_exceptions=True)

    def cut(self) -> None:
        """End it at once."""
        for task in self._both:
            task.cancel()
        for writer in self.writers:
            writer.transport.abort()


PIECE_BYTES = 64 * 1024
