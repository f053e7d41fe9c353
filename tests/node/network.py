"""A small real network in this process: one hub and its members on real sockets, from a real ceremony."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import structlog

from i247_edges.clock import read_clocks
from i247_hub.machine import HubMachine
from i247_hub.sockets import HubSockets
from i247_hub.store import HubStore
from i247_keys import ceremony_files as files
from i247_keys import key_folder
from i247_keys.identity import Identity
from i247_keys.keyfile import LEAST, passphrase_from_file, read_keyfile
from i247_keys.own_keys import unlock
from i247_node.assembly import Assembly, assembled
from i247_node.caretaker import Log
from i247_node.client import Bureau
from i247_node.config import NodeConfig, first_config, read_config
from i247_node.interface.server import InterfaceThread
from i247_node.registers import Kind
from i247_node.registers_sqlite import import_csv
from i247_node.views import open_views
from i247_protocol.limits import EVENTS_IN_TURN_MAX
from i247_protocol.machine import Admit, Dial, FrameArrived, LinkLost, LinkUp
from i247_protocol.names import HubName, MemberCode
from i247_protocol.pump import Pump

SILENT: Log = structlog.wrap_logger(
    structlog.ReturnLogger(), wrapper_class=structlog.make_filtering_bound_logger("critical")
)
PASSPHRASE = b"correct horse"
PATIENCE_S = 10.0
MEMBERS = ("FR", "SG", "XP")
HUB = HubName("lyon")
# The specimen of ICAO 9303-4.
ZONE = "P<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<<<<<<<<<<L898902C36UTO7408122F1204159ZE184226B<<<<<10"
DOCUMENTS = """\
record,owner,status,action,country,number,type
SG-1,SG,stolen,Seize the document and call NCB Singapore,UTO,L898902C3,P
"""
OPENINGS = """
[policy.registers.sltd]
open_to = "all"
[policy.registers.closed]
open_to = ["XP"]
"""


def wait_until(condition: Callable[[], bool], what: str = "", seconds: float = PATIENCE_S) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.01)


class Network:
    """What the ceremony made; `hub`, `node` run parts of it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        with socket.create_server(("127.0.0.1", 0)) as one:
            self.endpoint = f"tcp://127.0.0.1:{one.getsockname()[1]}"
        for code in MEMBERS:
            key_folder.make_member_keys(root / code, MemberCode(code), {"en": code}, [HUB], PASSPHRASE, LEAST)
        key_folder.make_hub_keys(root / HUB, HUB, "Europe", [self.endpoint], PASSPHRASE, LEAST)
        authority = root / "authority"
        files.new_ceremony(authority, 2, 1, [], LEAST)
        files.draft_founding(authority, [root / code for code in MEMBERS], [root / HUB])
        files.sign_drafts(authority, self._signer("secretariat-1", files.SECRETARIAT))
        files.publish_drafts(authority)
        self.trust = files.publish_pulse(authority, self._signer("pulse", files.PULSE))
        for code in MEMBERS:
            self._configure(root / code, code)

    def config(self, code: str) -> Path:
        return self.root / code / "node.toml"

    def edit(self, code: str, old: str, new: str) -> None:
        """Change a node.toml as an administrator would."""
        text = self.config(code).read_text()
        assert text.count(old) == 1, (old, text.count(old))
        self.config(code).write_text(text.replace(old, new))

    @contextmanager
    def hub(self) -> Iterator[None]:
        stop = threading.Event()
        thread = threading.Thread(target=self._run_hub, args=(stop,))
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join(PATIENCE_S)

    @contextmanager
    def node(self, code: str) -> Iterator[Bureau]:
        """Run a member's node with its interface; give a connection to it."""
        running = Running(read_config(self.config(code)))
        try:
            with Bureau.connect(running.config.socket) as bureau:
                yield bureau
        finally:
            running.stop()

    def _configure(self, folder: Path, code: str) -> None:
        text = first_config(MemberCode(code), passphrase_file="passphrase", pin=self.trust.pin.hex())
        if code == "SG":
            database = folder / "registers.db"
            (folder / "documents.csv").write_text(DOCUMENTS)
            for name in ("sltd", "closed"):
                import_csv(database, name, Kind.DOCUMENTS, folder / "documents.csv")
            text = text.replace("[registers]", '[registers]\nsltd = "registers.db"\nclosed = "registers.db"') + OPENINGS
        (folder / "node.toml").write_text(text)
        (folder / "passphrase").write_bytes(PASSPHRASE)
        (folder / "passphrase").chmod(0o600)
        (folder / "network.i247").write_bytes(self.trust.to_bytes())

    def _signer(self, name: str, use: str) -> Identity:
        authority = self.root / "authority"
        return key_folder.read_identity(
            authority / f"{name}.key", passphrase_from_file(authority / f"{name}.passphrase"), use
        )

    def _run_hub(self, stop: threading.Event) -> None:
        folder = self.root / HUB
        link = read_keyfile(folder / key_folder.LINK_FILE, use=key_folder.LINK, passphrase=PASSPHRASE)
        identity = key_folder.read_identity(folder / key_folder.IDENTITY_FILE, PASSPHRASE)
        with closing(HubStore(str(folder / "hub.db"))) as store, closing(HubSockets(link, [self.endpoint])) as sockets:
            machine = HubMachine(HUB, identity, self.trust, store, os.urandom)

            def tell(news: object) -> None:
                match news:
                    case Admit(keys):
                        sockets.admit(keys)
                    case Dial(peers):
                        sockets.dial(peers)
                    case _:
                        raise AssertionError(news)

            pump: Pump[FrameArrived | LinkUp | LinkLost] = Pump(machine, store, sockets, tell)
            pump.perform(machine.start(read_clocks()))
            while not stop.is_set():
                pump.turn(sockets.poll(20, EVENTS_IN_TURN_MAX), read_clocks())


class Running:
    """A node at work in a thread of this process."""

    def __init__(self, config: NodeConfig) -> None:
        self.config = config
        self.node: Assembly | None = None
        self._stack = ExitStack()
        self._begun = threading.Event()
        self._fault: BaseException | None = None
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        assert self._begun.wait(PATIENCE_S)
        if self._fault is not None:
            raise self._fault

    def stop(self) -> None:
        if self.node is not None:
            self.node.engine.stop()
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive()

    def _run(self) -> None:
        config = self.config
        try:
            with assembled(config, unlock(config), log=SILENT) as self.node:
                interface = InterfaceThread(
                    config.socket, config.socket_mode, self.node.engine, lambda: open_views(str(config.store))
                )
                try:
                    self.node.engine.run(begins=self._begun.set)
                finally:
                    interface.stop()
        except BaseException as fault:  # noqa: BLE001  told to the test
            self._fault = fault
            self._begun.set()
