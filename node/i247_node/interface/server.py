"""Listen on a Unix socket, and run the interface's loop in a thread of its own.

The socket appears under its name with its final mode, in one step, in place of what a killed daemon left behind; so
nobody reaches it with another mode. A daemon that is alive is never replaced: the store's lock comes first.
docs/interface.md.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Event, Thread
from typing import Final

import structlog
import uvicorn

from i247_node.interface.routes import application
from i247_node.interface.switchboard import Asked, Switchboard
from i247_node.views import Views
from i247_protocol.errors import CallerFault, WorldFault


class InterfaceThread:
    """The interface at work, from construction until `stop`."""

    def __init__(
        self,
        path: Path,
        mode: int,
        engine: Asked,
        open_views: Callable[[], Views],
        *,
        over: Callable[[], None] = lambda: None,
    ) -> None:
        """Serve at `path`; raise CallerFault or WorldFault when that cannot be.

        `open_views` is called in the new thread, where all reading is done; `over` when the thread ends.
        """
        self._path = path
        self._listener = listen(path, mode)
        self._engine = engine
        self._open_views = open_views
        self._over = over
        self._server: _Server | None = None
        self._begun = Event()
        self._thread = Thread(target=self._run, name="interface", daemon=True)
        self._thread.start()
        self._begun.wait()

    def stop(self) -> None:
        """End open requests, and take the socket away."""
        if self._server is not None:
            self._server.end()
        self._thread.join(STOP_S)
        with suppress(OSError):
            self._path.unlink()

    @property
    def is_alive(self) -> bool:
        """Whether it still serves."""
        return self._thread.is_alive()

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except Exception as fault:  # noqa: BLE001  the outermost loop of this thread
            _log.error("the local interface failed", exc_info=fault)
        finally:
            self._listener.close()
            self._begun.set()
            self._over()

    async def _serve(self) -> None:
        _follow_uvicorn()
        switchboard = Switchboard(self._engine)
        views = self._open_views()
        self._server = server = _Server(
            uvicorn.Config(
                application(switchboard, views),
                access_log=False,
                date_header=False,
                http="h11",
                lifespan="off",
                limit_concurrency=CONNECTIONS_MAX,
                log_config=None,
                loop="asyncio",
                proxy_headers=False,
                server_header=False,
                timeout_graceful_shutdown=1,
                timeout_keep_alive=KEEP_ALIVE_S,
                ws="none",
            )
        )
        self._begun.set()
        serving = asyncio.create_task(server.serve(sockets=[self._listener]))
        serving.add_done_callback(lambda _: server.over.set())  # also when it cannot begin
        await server.over.wait()
        switchboard.close()  # otherwise whoever waits for an answer would hold up the end
        await serving
        views.close()


class _Server(uvicorn.Server):
    """uvicorn's server; it waits until it is told to end, where the original looks ten times a second."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.over = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    def end(self) -> None:
        """Let it end; from any thread, at any time."""
        self.should_exit = True
        with suppress(RuntimeError):  # the loop is closed, so it has ended already
            self._loop.call_soon_threadsafe(self.over.set)

    async def main_loop(self) -> None:
        """Serve until the end."""
        await self.on_tick(0)
        await self.over.wait()


class _ToLog(logging.Handler):
    """What uvicorn has to say, in this program's log; its words hold nothing that a client sent."""

    def emit(self, record: logging.LogRecord) -> None:
        _log.warning("http", said=str(record.msg))


def _follow_uvicorn() -> None:
    logger = logging.getLogger("uvicorn")
    logger.setLevel(logging.WARNING)
    logger.propagate = False
    if not logger.handlers:
        logger.addHandler(_ToLog())


def listen(path: Path, mode: int) -> socket.socket:
    """Return a socket that listens at `path`; raise CallerFault or WorldFault when that cannot be."""
    require_socket_path(path)
    temporary = path.with_name(f"{path.name}~")
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with suppress(FileNotFoundError):
            temporary.unlink()
        listener.bind(str(temporary))
        temporary.chmod(mode)
        listener.listen(BACKLOG)
        temporary.rename(path)
    except OSError as fault:
        listener.close()
        raise WorldFault(
            f"listening at {path}: {os.strerror(fault.errno or 0)}", "see that its folder exists and may be written"
        ) from None
    return listener


def require_socket_path(path: Path) -> None:
    """Raise CallerFault when the path is too long for a socket, or something else lies there."""
    if len(os.fsencode(path)) > PATH_BYTES_MAX:
        raise CallerFault(
            "listening for local programs: the path of the socket is too long",
            f"choose one of at most {PATH_BYTES_MAX} bytes, such as /run/i247/node.sock",
        )
    if path.exists() and not path.is_socket():
        raise CallerFault(f"listening at {path}: something else lies there", "move it away, or name another path")


# Linux allows 108 with the final zero; one more is needed while the socket is being made.
PATH_BYTES_MAX: Final = 106
BACKLOG: Final = 128
CONNECTIONS_MAX: Final = 256
KEEP_ALIVE_S: Final = 60
STOP_S: Final = 5.0

_log = structlog.get_logger()
