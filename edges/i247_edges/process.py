"""Behave as a daemon should: hear signals, tell systemd, leave no core dump, know one's version. docs/operations.md."""

from __future__ import annotations

import gc
import importlib.metadata
import os
import resource
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final


@contextmanager
def signals_to(stop: Callable[[int], None], reread: Callable[[], None]) -> Iterator[None]:
    """Let SIGTERM and SIGINT call `stop` with their number and SIGHUP call `reread`, until the end of the block."""
    wanted: dict[int, Any] = {
        signal.SIGTERM: lambda number, _: stop(number),
        signal.SIGINT: lambda number, _: stop(number),
        signal.SIGHUP: lambda *_: reread(),
    }
    before = {number: signal.signal(number, act) for number, act in wanted.items()}
    try:
        yield
    finally:
        for number, act in before.items():
            signal.signal(number, act)


def forbid_core_dumps() -> None:
    """See to it that no dump of this process, which would hold its keys, is written."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))


def open_as_many_files_as_allowed() -> None:
    """Raise the bound on open files, which many systems set to 1024 for no reason of today, to the hard one."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def collect_garbage_seldom() -> None:
    """Let the collector pass over all that lives by now, and look at the rest seldom: turns leave no cycles behind.

    By its usual settings it looks at everything new a few times a message, which took a tenth of a daemon's time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS_MAX)


def tell_systemd(word: str) -> None:
    """Tell systemd how far the daemon is (sd_notify), where systemd asked for it."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as one:
        one.setblocking(False)  # noqa: FBT003  the standard library's own signature
        one.sendto(word.encode(), f"\0{address[1:]}" if address.startswith("@") else address)


def _version() -> str:
    try:
        return importlib.metadata.version("i247")
    except importlib.metadata.PackageNotFoundError:
        return "unknown"


VERSION: Final = _version()
YOUNG_OBJECTS_MAX: Final = 20_000
