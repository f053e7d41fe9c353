"""Read a file whole, and write it whole or not at all. Edge.

Secrets are left to `keyfile`, which looks at who else could read them, and never overwrites. docs/operations.md.
"""

from __future__ import annotations

import os
from pathlib import Path

from i247_protocol.errors import WorldFault


def read_whole(path: Path, bytes_max: int) -> bytes:
    """Return what a file holds; raise WorldFault when it cannot be read or is larger than `bytes_max`."""
    doing = f"reading {path}"
    try:
        with path.open("rb") as file:
            data = file.read(bytes_max + 1)
    except OSError as error:
        raise WorldFault(doing, f"{error.strerror}: check the path") from None
    if len(data) > bytes_max:
        raise WorldFault(doing, f"it is larger than {bytes_max} bytes: name the right file")
    return data


def write_whole(path: Path, data: bytes) -> None:
    """Put a whole file in its place, or leave what was there; readable by its owner only."""
    temporary = path.with_name(f".{path.name}.{os.urandom(8).hex()}")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with open(descriptor, "wb") as file:  # noqa: PTH123  a descriptor has no path
            file.write(data)
            file.flush()
            os.fsync(descriptor)
        temporary.replace(path)
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        os.fsync(folder)
        os.close(folder)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise WorldFault(f"writing {path}", f"{error.strerror}: check that the folder may be written") from None
