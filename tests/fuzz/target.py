"""Say what every reader of bytes must do, whatever the bytes are: take them or refuse them, and nothing else.

A target takes bytes, or raises the fault that its reader documents; what it takes it must write again as the same
bytes. Anything else is a find: another exception, other bytes, more time or memory than a reader may need.
"""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from i247_protocol.errors import PeerFault


@dataclass(frozen=True)
class Target:
    """One reader. `read` returns what it writes again, None where there is nothing to compare."""

    name: str
    read: Callable[[bytes], bytes | None]
    seeds: Callable[[], Sequence[bytes]]
    faults: tuple[type[Exception], ...] = (PeerFault,)
    is_text: bool = False
    bytes_max: int = 8192


class Find(AssertionError):
    """A reader did what none may do; the text says what, and never shows the bytes."""


def judge(target: Target, data: bytes) -> bool:
    """Return whether `target` takes `data`; raise Find, or whatever else the reader lets out."""
    try:
        again = target.read(data)
    except target.faults:
        return False
    if again is not None and again != data:
        raise Find(f"{target.name}: what was taken is written again as other bytes")
    return True


def judge_cost(target: Target, data: bytes) -> bool:
    """Judge, and raise Find also when it costs too much CPU, three times in a row: a busy machine is no find."""
    for _ in range(TRIES):
        began = time.process_time()
        taken = judge(target, data)
        if time.process_time() - began < CPU_S_MAX:
            return taken
    raise Find(f"{target.name}: {len(data)} bytes take more than {CPU_S_MAX} s of CPU")


def judge_memory(target: Target, data: bytes) -> bool:
    """Judge, and raise Find also when Python's memory grows beyond all proportion on the way."""
    tracemalloc.start()
    try:
        taken = judge(target, data)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    if peak > MEMORY_BYTES_MAX + MEMORY_TIMES_MAX * len(data):
        raise Find(f"{target.name}: {len(data)} bytes take {peak} bytes of memory")
    return taken


TRIES: Final = 3
CPU_S_MAX: Final = 0.2
MEMORY_BYTES_MAX: Final = 16 * 1024 * 1024
MEMORY_TIMES_MAX: Final = 128
