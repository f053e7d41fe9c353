"""Make calls to many nodes from one loop with next to no work, so that a benchmark measures nodes and not its client.

Requests and answers are those of `i247_node.calls`; HTTP is just what the interface of this very version says back.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Final, TypeVar
from urllib.parse import urlencode

from i247_node.calls import Call, read_answer

T = TypeVar("T")
Line = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class LocalCalls:
    """Connections to one node's interface, as many as there are calls at the same time; they are kept."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket
        self._free: list[tuple[Line, float]] = []

    async def make(self, call: Call[T]) -> T:
        """Return the node's answer; raise BureauError when it declines, OSError or EOFError when it is gone."""
        reader, writer = await self._line()
        writer.write(_request(call))
        head = (await reader.readuntil(END)).decode().lower().split("\r\n")
        status = int(head[0].split()[1])
        length = next(int(line.partition(":")[2]) for line in head if line.startswith("content-length:"))
        content = await reader.readexactly(length)
        self._free.append(((reader, writer), time.monotonic()))
        return read_answer(call, status, content)

    def close(self) -> None:
        """End all connections."""
        for (_, writer), _ in self._free:
            writer.close()

    async def _line(self) -> Line:
        """Return the connection used last, or a new one where the node may have closed that for being idle."""
        if self._free:
            line, used = self._free.pop()
            if time.monotonic() < used + IDLE_S:
                return line
            line[1].close()
            self.close()  # the others are older
            self._free.clear()
        return await asyncio.open_unix_connection(self._socket)


def _request(call: Call[T]) -> bytes:
    body = call.body or b""
    path = f"{call.path}?{urlencode(call.parameters)}" if call.parameters else call.path
    head = (
        f"{call.method} {path} HTTP/1.1\r\nhost: node\r\ncontent-type: application/json\r\ncontent-length: {len(body)}"
    )
    return head.encode() + END + body


IDLE_S: Final = 30.0
"""A node closes what was idle for a minute."""
END: Final = b"\r\n\r\n"
