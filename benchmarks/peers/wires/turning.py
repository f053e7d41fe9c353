"""Turn an asyncio loop until something holds, for clients that need one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine


class Turning:
    """A loop that runs only while somebody waits."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        asyncio.set_event_loop(self.loop)
        self._until: Callable[[], bool] = lambda: False

    def run(self, coroutine: Coroutine[object, object, None]) -> None:
        """Run one thing to its end."""
        self.loop.run_until_complete(coroutine)

    def until(self, condition: Callable[[], bool], seconds: float) -> None:
        """Run until the condition holds, which `check` looks at, or the time is over."""
        if condition():
            return
        self._until = condition
        limit = self.loop.call_later(seconds, self.loop.stop)
        self.loop.run_forever()
        limit.cancel()

    def check(self) -> None:
        """Stop the loop if what is waited for holds."""
        if self._until():
            self.loop.stop()
