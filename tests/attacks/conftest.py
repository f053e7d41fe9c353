"""What tests that attack a world share."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

MEMORY_DISK = Path("/dev/shm")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """Return a folder for stores that a kill leaves behind; in memory where that can be, since it syncs often."""
    if not MEMORY_DISK.is_dir():
        yield tmp_path
        return
    with TemporaryDirectory(dir=MEMORY_DISK) as folder:
        yield Path(folder)
