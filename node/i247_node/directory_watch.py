"""See that somebody has laid a newer network file before the node, and read it.

Asked every turn, it looks at the file every two seconds. A file that cannot be read now is looked at again.
Whether anything in it is believed is for the machine. docs/protocol.md 8.7.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from i247_keys.grounds import read_network_file
from i247_protocol.errors import WorldFault
from i247_protocol.names import MonoMs


class DirectoryWatch:
    """One network file, and which of its states was seen last."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, int, int] | None = None
        self._next = MonoMs(0)

    def look(self, mono: MonoMs) -> bytes | None:
        """Return the file's bytes when it has changed since the last look, and on the first; None otherwise."""
        if mono < self._next:
            return None
        self._next = MonoMs(mono + LOOK_MS)
        try:
            status = self._path.stat()
            stamp = (status.st_mtime_ns, status.st_size, status.st_ino)
            if stamp == self._seen:
                return None
            data = read_network_file(self._path)
        except (OSError, WorldFault):
            return None
        self._seen = stamp
        return data

    def look_again(self) -> None:
        """Let the next look read the file, whether it has changed or not."""
        self._seen, self._next = None, MonoMs(0)


LOOK_MS: Final = 2_000
