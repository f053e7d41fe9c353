"""Know who is who and where they are: two hubs and four bureaus, each with a folder of its own.

Sets them up, starts and stops them, and asks them how they stand, by the windows that they have for that.
"""

from __future__ import annotations

import shutil
import socket
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

from i247_hub.config import read_config as read_hub_config
from i247_hub.status import ask
from i247_node.client import Bureau, BureauError
from i247_node.config import read_config as read_node_config
from i247_node.forms import DeliveryShown
from i247_protocol.errors import WorldFault
from programs import Daemon, DemoFailed, Programs
from telling import Teller

T = TypeVar("T")


class Member(NamedTuple):
    """A member and its home."""

    code: str
    name: str
    home: str


class Stage:
    """Everybody in the folder of `programs`."""

    def __init__(self, programs: Programs, teller: Teller) -> None:
        self.programs = programs
        self.folder = programs.folder
        self.tell = teller
        self.running: dict[str, Daemon] = {}

    def config(self, name: str) -> Path:
        """Return the configuration of a hub or member."""
        return self.folder / name / ("hub.toml" if name in HUBS else "node.toml")

    def settings(self, name: str) -> list[str]:
        """Return what is configured, without comments and empty lines."""
        bare = (line.split("  # ")[0].rstrip() for line in self.config(name).read_text().splitlines())
        return [line for line in bare if line and not line.startswith("#")]

    def change(self, name: str, old: str, new: str) -> None:
        """Change a configuration as its administrator would."""
        path = self.config(name)
        text = path.read_text()
        if text.count(old) != 1:
            raise DemoFailed(f"{path} has not one line `{old}`", "the demonstration is older than the program: mend it")
        path.write_text(text.replace(old, new))

    def lay(self, pin: str) -> None:
        """Give everybody the network file, and the pin by another channel."""
        for name in (*HUBS, *MEMBERS):
            shutil.copy(self.folder / "authority" / "network.i247", self.folder / name)
            self.change(name, 'pin = ""', f'pin = "{pin}"')

    def launch(self, *names: str) -> None:
        """Start hubs and nodes."""
        for name in names:
            kind = "i247-hub" if name in HUBS else "i247-node"
            self.running[name] = self.programs.start(name, kind, "run", "--config", self.config(name))

    def wait_for(self, *names: str) -> None:
        """Wait until hubs and nodes that were launched stand as they should."""
        for name in names:
            is_ready = self._hub_is_ready if name in HUBS else self._node_is_ready
            self.programs.wait_until(f"for {name} to be connected", partial(is_ready, name), self.running[name])

    def stop(self, name: str) -> None:
        """Stop one of them."""
        self.programs.stop(self.running.pop(name))

    def with_bureau(self, code: str, question: Callable[[Bureau], T]) -> T:
        """Return what a running node answers."""
        with Bureau.connect(read_node_config(self.config(code)).socket) as bureau:
            return question(bureau)

    def deliveries(self, code: str, message: str) -> dict[str, DeliveryShown]:
        """Return where a message of `code` stands, by recipient."""
        page = self.with_bureau(code, Bureau.outbox)
        return {one.recipient: one for sent in page.messages if sent.id == message for one in sent.deliveries}

    def wait_for_receipts(self, code: str, message: str, recipients: Iterable[str]) -> dict[str, DeliveryShown]:
        """Wait until `recipients` have signed for a message, and return where it stands."""
        wanted = set(recipients)

        def are_there() -> bool:
            return {name for name, one in self.deliveries(code, message).items() if one.receipt} >= wanted

        self.programs.wait_until(f"for receipts of {', '.join(sorted(wanted))}", are_there, *self.running.values())
        return self.deliveries(code, message)

    def store(self, hub: str) -> Path:
        """Return the database of a hub."""
        return read_hub_config(self.config(hub)).store

    def log(self, name: str) -> Path:
        """Return the log of one of them."""
        return self.programs.logs / f"{name}.log"

    def _hub_is_ready(self, name: str) -> bool:
        try:
            found = ask(read_hub_config(self.config(name)).status_socket)
        except WorldFault:
            return False
        return len(found.hubs_connected) == found.hubs_known

    def _node_is_ready(self, code: str) -> bool:
        try:
            found = self.with_bureau(code, Bureau.status)
        except BureauError:
            return False
        return bool(found.links) and all(link.open for link in found.links) and found.cards >= len(MEMBERS) - 1


def free_endpoints(count: int) -> Iterator[str]:
    """Yield endpoints on this machine that nobody uses."""
    listening = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    for one in listening:
        yield f"tcp://127.0.0.1:{one.getsockname()[1]}"
    for one in listening:
        one.close()


HUBS: Final = {"lyon": "Europe", "singapore": "Asia"}
MEMBERS: Final = {
    one.code: one
    for one in (
        Member("FR", "France", "lyon"),
        Member("SG", "Singapore", "singapore"),
        Member("BR", "Brazil", "lyon"),
        Member("XP", "Secretariat", "lyon"),
    )
}
