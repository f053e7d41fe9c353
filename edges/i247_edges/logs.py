"""Set up what a program logs: one event a line, for people or as JSON, to stderr or a file.

Decides: form, level, place, and what may not get through. Leaves to others: what is worth saying. A log holds names of
members, reasons and counts, never what a message says; should a caller slip, bytes, long texts and the words of
exceptions are withheld here. docs/operations.md.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Mapping, MutableMapping
from enum import StrEnum
from pathlib import Path, PurePath
from typing import Any, Final, TextIO

import structlog

from i247_protocol.errors import I247Error, PeerFault, WorldFault

Event = MutableMapping[str, Any]


class Form(StrEnum):
    """How an event is written."""

    JSON = "json"
    CONSOLE = "console"


class Level(StrEnum):
    """The least grave events that are written."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


def start_logs(
    program: str, *, form: Form, level: Level, file: Path | None = None
) -> structlog.typing.FilteringBoundLogger:
    """Send this process's log to `file` or stderr, and return a logger; raise WorldFault when that cannot be opened.

    What was set up before is stopped. A file is added to; rotation must copy and truncate it.
    """
    stop_logs()
    out = sys.stderr if file is None else _open(file)
    is_coloured = form is Form.CONSOLE and out.isatty()
    writers: Mapping[Form, structlog.typing.Processor] = {
        Form.JSON: structlog.processors.JSONRenderer(sort_keys=True, ensure_ascii=True),
        Form.CONSOLE: structlog.dev.ConsoleRenderer(colors=is_coloured),
    }
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            withhold,
            writers[form],
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level.value),
        logger_factory=structlog.WriteLoggerFactory(out),
        cache_logger_on_first_use=False,
    )
    logger: structlog.typing.FilteringBoundLogger = structlog.get_logger(program=program)
    return logger


def stop_logs() -> None:
    """Close the log file, if there is one, and forget the set-up."""
    structlog.reset_defaults()
    while OPEN_FILES:
        OPEN_FILES.pop().close()


def withhold(_: object, __: str, event: Event) -> Event:
    """Replace what a log may not hold; of an exception only its type, place and, when it is ours, reason remain."""
    fault = event.pop("exc_info", None)
    event.pop("stack_info", None)
    kept = {key: _kept(value) for key, value in event.items()}
    if fault:
        kept |= _told(sys.exception() if fault is True else fault)
    return kept


def _open(file: Path) -> TextIO:
    try:
        number = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        OPEN_FILES.append(os.fdopen(number, "a", buffering=1, encoding="utf-8"))
        return OPEN_FILES[-1]
    except OSError as fault:
        raise WorldFault(f"opening the log {file}: {fault.strerror}", "see who may write in its folder") from fault


def _kept(value: object, depth: int = 0) -> object:
    match value:
        case None | bool() | int() | float():
            return value
        case str():
            return _one_line(value) if len(value) <= TEXT_CHARS_MAX else f"<{len(value)} characters withheld>"
        case bytes() | bytearray() | memoryview():
            return f"<{len(value)} bytes withheld>"
        case BaseException():
            return type(value).__name__
        case PurePath():
            return str(value)
        case list() | tuple() if depth < DEPTH_MAX and len(value) <= ITEMS_MAX:
            return [_kept(item, depth + 1) for item in value]
        case dict() if depth < DEPTH_MAX and len(value) <= ITEMS_MAX:
            return {str(_kept(key)): _kept(item, depth + 1) for key, item in value.items()}
        case _:
            return f"<{type(value).__name__} withheld>"


def _one_line(text: str) -> str:
    return "".join(sign if sign.isprintable() else "\ufffd" for sign in text)


def _told(fault: object) -> dict[str, object]:
    if isinstance(fault, tuple):
        fault = fault[1]
    if not isinstance(fault, BaseException):
        return {}
    frames = traceback.extract_tb(fault.__traceback__)[-FRAMES_MAX:]
    told: dict[str, object] = {
        "fault": type(fault).__name__,
        "at": " > ".join(f"{PurePath(frame.filename).name}:{frame.lineno}" for frame in frames),
    }
    if isinstance(fault, PeerFault):
        told["reason"] = fault.reason.value
    elif isinstance(fault, I247Error):
        told["doing"] = _kept(str(fault))  # our own words: they repeat no value of a peer
    return told


OPEN_FILES: Final[list[TextIO]] = []
TEXT_CHARS_MAX: Final = 256
ITEMS_MAX: Final = 64
DEPTH_MAX: Final = 3
FRAMES_MAX: Final = 8
