"""LXMF over Reticulum: two transport nodes joined by TCP, a router at each."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from peers.processes import Place, Running, Stage, both_ends, free_port


@contextmanager
def running(place: Place) -> Iterator[Running]:
    """Run two transport nodes and both ends."""
    with Stage(place) as stage:
        near, far = free_port(), free_port()
        for name, port, others in ((BROKERS[1], far, ()), (BROKERS[0], near, (far,))):
            folder = _laid(place.folder / name, others, port)
            stage.broker(name, [place.lxmf_python.with_name("rnsd"), "--config", folder], port)
        asker, answerer = (
            {"folder": str(_laid(place.folder / role, (port,), None))}
            for role, port in (("asker", near), ("answerer", far))
        )
        with both_ends(stage, "lxmf_wire", asker, answerer, BROKERS, place.lxmf_python) as up:
            yield up


def _laid(folder: Path, others: tuple[int, ...], listen: int | None) -> Path:
    folder.mkdir()
    text = CONFIG.format(transport="No" if listen is None else "Yes")
    if listen is not None:
        text += SERVER.format(port=listen)
    (folder / "config").write_text(text + "".join(CLIENT.format(port=port) for port in others))
    return folder


BROKERS: Final = ("rnsd-a", "rnsd-b")
CONFIG: Final = """\
[reticulum]
enable_transport = {transport}
share_instance = No
panic_on_interface_error = Yes

[logging]
loglevel = 1

[interfaces]
"""
SERVER: Final = """\
[[listening]]
type = TCPServerInterface
enabled = Yes
listen_ip = 127.0.0.1
listen_port = {port}
"""
CLIENT: Final = """\
[[dialled]]
type = TCPClientInterface
enabled = Yes
target_host = 127.0.0.1
target_port = {port}
"""
