"""Found a network of the world's size on loopback: two hubs, 196 members, by the ceremony's own functions.

The daemons are the real programs as processes of their own, with real keys, real links and real files. Only what a
passphrase costs is the least, since nobody measures how long a start takes.
"""

from __future__ import annotations

import shutil
import socket
import string
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from i247_hub import config as hub_config
from i247_hub import status
from i247_keys import ceremony_files as files
from i247_keys import key_folder
from i247_keys.identity import Identity
from i247_keys.keyfile import LEAST, passphrase_from_file
from i247_keys.roster import HubRow
from i247_keys.trust import Trust
from i247_node import config as node_config
from i247_node.registers import Kind
from i247_node.registers_sqlite import import_csv
from i247_protocol.errors import WorldFault
from i247_protocol.names import HubName, MemberCode
from measures import wait_until


class World:
    """A founded network in a folder; nothing of it runs yet."""

    def __init__(
        self,
        folder: Path,
        members: Sequence[str] = (),
        hubs: Sequence[str] = (),
        *,
        homes: Mapping[str, Sequence[str]] | None = None,
        run: Sequence[str] = (),
        answer: Sequence[str] = (),
    ) -> None:
        """Found it, with `MEMBERS` and `HUBS` unless others are named.

        `homes` are those of each member, the first one of `home_of` unless given; `run` names the members that get all
        that a daemon needs, `answer` those that also have a register; `RUNNING` and `ANSWERER` unless given.
        """
        self.folder = folder
        self._hubs = hubs = hubs or HUBS
        members = members or MEMBERS
        for name in hubs:
            endpoint = f"tcp://127.0.0.1:{_free_port()}"
            key_folder.make_hub_keys(folder / name, HubName(name), "Test", [endpoint], PASSPHRASE, LEAST)
        for code in members:
            at = [home_of(code, hubs)] if homes is None else homes[code]
            home = [HubName(hub) for hub in at]
            key_folder.make_member_keys(folder / code, MemberCode(code), {"en": code}, home, PASSPHRASE, LEAST)
        authority = folder / "authority"
        files.new_ceremony(authority, 3, 2, [], LEAST)
        files.draft_founding(authority, [folder / code for code in members], [folder / name for name in hubs])
        for n in (1, 2):
            files.sign_drafts(authority, _signer(authority, f"secretariat-{n}", files.SECRETARIAT))
        files.publish_drafts(authority)
        self.trust: Trust = files.publish_pulse(authority, _signer(authority, "pulse", files.PULSE))
        for name in hubs:
            text = hub_config.first_config(
                HubName(name),
                listen=self.hub(name).endpoints,
                passphrase_file=WORDS_FILE,
                pin=self.trust.pin.hex(),
            )
            self._lay(name, "hub.toml", text.replace("[quotas]\n", NO_QUOTAS))
        for code in (code for code in run or RUNNING if code in members):
            text = node_config.first_config(MemberCode(code), passphrase_file=WORDS_FILE, pin=self.trust.pin.hex())
            self._lay(code, "node.toml", self._with_register(code, text) if code in (answer or (ANSWERER,)) else text)

    def hub(self, name: str) -> HubRow:
        """Return a hub's row in the roster."""
        row = self.trust.directory.hub(HubName(name))
        if row is None:
            raise LookupError(name)
        return row

    def config(self, name: str) -> Path:
        """Return the configuration of a hub or a member."""
        return self.folder / name / ("hub.toml" if name in self._hubs else "node.toml")

    def identity(self, code: str) -> Identity:
        """Return a member's signing key."""
        return key_folder.read_identity(self.folder / code / key_folder.IDENTITY_FILE, PASSPHRASE)

    def link_secret(self, code: str) -> bytes:
        """Return a member's link key."""
        return key_folder.read_link_secret(self.folder / code / key_folder.LINK_FILE, PASSPHRASE)

    @contextmanager
    def running(self, *names: str, again: bool = False) -> Iterator[dict[str, int]]:
        """Run hubs and nodes, with empty stores unless `again`; give their process ids. They end with the block."""
        processes: dict[str, subprocess.Popen[bytes]] = {}
        try:
            for name in names:
                if not again:
                    shutil.rmtree(self.folder / name / "state", ignore_errors=True)
                processes[name] = self._start(name)
            for name in names:
                if name in self._hubs:
                    self.wait_for_hub(name, sum(other in self._hubs for other in names) - 1)
            yield {name: process.pid for name, process in processes.items()}
        finally:
            for process in processes.values():
                process.terminate()
            for process in processes.values():
                with suppress(subprocess.TimeoutExpired):
                    process.wait(10)
                process.kill()
                process.wait()

    def wait_for_hub(self, name: str, others: int) -> None:
        """Return when a hub is up and reaches so many others."""
        wait_until(partial(self._is_up, name, others), f"hub {name}")

    def _start(self, name: str) -> subprocess.Popen[bytes]:
        program = Path(sys.executable).with_name("i247-hub" if name in self._hubs else "i247-node")
        with (self.folder / f"{name}.log").open("ab") as log:
            return subprocess.Popen([program, "run", "--config", self.config(name)], stdout=log, stderr=log)

    def _is_up(self, name: str, others: int) -> bool:
        try:
            snapshot = status.ask(self.folder / name / "state" / "hub.sock")
        except WorldFault:
            return False
        return len(snapshot.hubs_connected) >= others

    def _lay(self, name: str, config: str, text: str) -> None:
        folder = self.folder / name
        (folder / config).write_text(text)
        (folder / "network.i247").write_bytes(self.trust.to_bytes())
        (folder / WORDS_FILE).write_bytes(PASSPHRASE)
        (folder / WORDS_FILE).chmod(0o600)

    def _with_register(self, code: str, text: str) -> str:
        folder = self.folder / code
        (folder / "documents.csv").write_text(DOCUMENTS)
        import_csv(folder / "registers.db", REGISTER, Kind.DOCUMENTS, folder / "documents.csv")
        opened = text.replace("[registers]", f'[registers]\n{REGISTER} = "registers.db"', 1)
        return f'{opened}\n[policy.registers.{REGISTER}]\nopen_to = "all"\n'


@dataclass(frozen=True, slots=True)
class Bare:
    """The process of `bare_hub.py`: where it listens, its key, and its process id."""

    endpoint: str
    key: bytes
    pid: int


@contextmanager
def bare_hub(folder: Path) -> Iterator[Bare]:
    """Run a hub without rules on a database of its own in `folder`; it ends with the block."""
    script = Path(__file__).with_name("bare_hub.py")
    with tempfile.TemporaryDirectory(dir=folder) as state:
        process = subprocess.Popen([sys.executable, script, Path(state) / "bare.db"], stdout=subprocess.PIPE)
        with process:
            try:
                line = b"" if process.stdout is None else process.stdout.readline()
                endpoint, key = line.decode().split()
                yield Bare(endpoint, bytes.fromhex(key), process.pid)
            finally:
                process.terminate()


def home_of(code: str, hubs: Sequence[str] = ()) -> str:
    """Return the hub at which a member is at home: the answerer at the last, all others at the first."""
    return (hubs or HUBS)[-1 if code == ANSWERER else 0]


def _signer(authority: Path, name: str, use: str) -> Identity:
    passphrase = passphrase_from_file(authority / f"{name}.passphrase")
    return key_folder.read_identity(authority / f"{name}.key", passphrase, use)


def _free_port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as one:
        return int(one.getsockname()[1])


HUBS: Final = ("lyon", "singapore")
ASKER: Final = "FR"
ANSWERER: Final = "SG"
NEIGHBOUR: Final = "DE"
PUBLISHER: Final = "XP"
RUNNING: Final = (ASKER, ANSWERER, NEIGHBOUR, PUBLISHER)
MEMBERS_COUNT: Final = 196
_OTHERS: Final = [a + b for a in "ABCDEFGHIJ" for b in string.ascii_uppercase if a + b not in RUNNING]
ALL_CODES: Final = (ASKER, ANSWERER, NEIGHBOUR, PUBLISHER, *_OTHERS)
MEMBERS: Final = ALL_CODES[:MEMBERS_COUNT]
PASSPHRASE: Final = b"correct horse"
WORDS_FILE: Final = "passphrase"
REGISTER: Final = "sltd"
DOCUMENTS: Final = """\
record,owner,status,action,country,number,type
SG-1,SG,stolen,Seize the document and call NCB Singapore,UTO,L898902C3,P
"""
NO_QUOTAS: Final = """\
[quotas]
messages_per_s = 1_000_000
mib_per_s = 10_000
recipients_per_s = 10_000_000
mailbox_rows = 10_000_000
"""
"""One member gives all that a hub can carry, to one that is away."""
