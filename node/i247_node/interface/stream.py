"""Stream the news to one client as server-sent events, and cut it off when it does not keep up.

A client that has been cut off connects anew and reads inbox and queries for what it missed: news is a hint, the
store is the truth. docs/interface.md.
"""

from __future__ import annotations

import asyncio
from typing import Final

import msgspec
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from i247_node.interface.switchboard import Follower, Switchboard
from i247_node.showing import show_news


class NewsStream(Response):
    """All news from now on, until the client leaves, is cut off, or the node stops."""

    media_type = "text/event-stream"

    def __init__(self, switchboard: Switchboard) -> None:
        super().__init__(headers={"cache-control": "no-store"})
        del self.headers["content-length"]
        self._switchboard = switchboard

    async def __call__(self, _: Scope, receive: Receive, send: Send) -> None:
        """Send until it is over."""
        with self._switchboard.following() as follower:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            feeding = asyncio.create_task(_feed(follower, send))
            leaving = asyncio.create_task(_gone(receive))
            cut = asyncio.create_task(follower.cut.wait())
            tasks = (feeding, leaving, cut)
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def _feed(follower: Follower, send: Send) -> None:
    await _say(send, b": news from here on\n\n")
    while True:
        try:
            async with asyncio.timeout(SILENCE_S):
                news = show_news(await follower.next())
        except TimeoutError:
            await _say(send, b":\n\n")  # shows both sides that the other is there
            continue
        kind = type(news).__struct_config__.tag
        await _say(send, b"event: %b\ndata: %b\n\n" % (str(kind).encode(), msgspec.json.encode(news)))


async def _say(send: Send, data: bytes) -> None:
    await send({"type": "http.response.body", "body": data, "more_body": True})


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


SILENCE_S: Final = 15.0
