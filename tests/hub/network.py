"""A small real network for tests of the hub's programs: a ceremony, hubs as processes, members on real sockets."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from click.testing import CliRunner, Result

from i247_edges.link import link_key
from i247_hub.cli import main
from i247_hub.status import Snapshot, ask
from i247_keys import ceremony_files as files
from i247_keys import key_folder
from i247_keys.ceremony import Changes
from i247_keys.identity import Identity
from i247_keys.keyfile import LEAST, passphrase_from_file
from i247_keys.trust import Trust
from i247_node.sockets import NodeSockets
from i247_protocol.errors import WorldFault
from i247_protocol.frames import Frame, Hello, Parcel, Put, Role, encode_frame, parse_frame
from i247_protocol.header import encode_header
from i247_protocol.limits import WINDOW_BYTES, WINDOW_MESSAGES
from i247_protocol.machine import FrameArrived, LinkId, LinkUp, Peer
from i247_protocol.names import HubName, KeyId, MemberCode, WallMs, expiry_minutes
from i247_protocol.priority import Lane, Priority, lane_of

F = TypeVar("F", bound=Frame)
PASSPHRASE = b"correct horse"
PATIENCE_S = 15.0
HOUR_MS = 3_600_000


def i247_hub(*words: str | Path) -> Result:
    """Run the program in this process."""
    return CliRunner().invoke(main, [str(word) for word in words])


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as one:
        return int(one.getsockname()[1])


def wait_until(condition: Callable[[], bool], what: Callable[[], object], seconds: float = PATIENCE_S) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, what()
        time.sleep(0.02)


class Network:
    """Members AA, BB and XP, all at home at the first hub; what the secretariat publishes."""

    def __init__(self, root: Path, *hubs: str) -> None:
        self.root = root
        self.authority = root / "authority"
        self.hubs = {name: HubFolder(root / name, name) for name in hubs}
        self.members = {code: root / code for code in ("AA", "BB", "XP")}
        for code, folder in self.members.items():
            key_folder.make_member_keys(
                folder, MemberCode(code), {"en": f"Land of {code}"}, [HubName(hubs[0])], PASSPHRASE, LEAST
            )
        files.new_ceremony(self.authority, 2, 1, [], LEAST)
        files.draft_founding(self.authority, self.members.values(), [hub.folder for hub in self.hubs.values()])
        self.publish()
        self.pin = (self.authority / files.PIN_FILE).read_text().strip()
        self.pulse()
        for hub in self.hubs.values():
            hub.edit('pin = ""', f'pin = "{self.pin}"')
            self.hand_out(hub)

    def publish(self) -> Trust:
        passphrase = passphrase_from_file(self.authority / "secretariat-1.passphrase")
        key = key_folder.read_identity(self.authority / "secretariat-1.key", passphrase, files.SECRETARIAT)
        files.sign_drafts(self.authority, key)
        return files.publish_drafts(self.authority)

    def pulse(self) -> Trust:
        passphrase = passphrase_from_file(self.authority / "pulse.passphrase")
        return files.publish_pulse(
            self.authority, key_folder.read_identity(self.authority / "pulse.key", passphrase, files.PULSE)
        )

    def next_roster(self, **changes: Any) -> Trust:
        files.draft_roster(self.authority, Changes(**changes))
        self.publish()
        return self.pulse()

    def hand_out(self, hub: HubFolder) -> None:
        """Lay the network file before a hub."""
        (hub.folder / files.NETWORK_FILE).write_bytes((self.authority / files.NETWORK_FILE).read_bytes())

    def member(self, code: str, hub: HubFolder, lane: Lane = Lane.BULK) -> Member:
        link = key_folder.read_link_secret(self.members[code] / key_folder.LINK_FILE, PASSPHRASE)
        identity = key_folder.read_identity(self.members[code] / key_folder.IDENTITY_FILE, PASSPHRASE)
        return Member(code, identity, link, hub, lane)


class HubFolder:
    """What `init` made for one hub, and the daemon that runs on it."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder = folder
        self.endpoint = f"tcp://127.0.0.1:{free_port()}"
        self.config = folder / "hub.toml"
        result = i247_hub(
            "init", name, "--region", "Here", "--endpoint", self.endpoint, "--dir", folder, "--kdf", "min"
        )
        assert result.exit_code == 0, result.output

    def edit(self, old: str, new: str) -> None:
        """Change hub.toml as an operator would."""
        text = self.config.read_text()
        assert text.count(old) == 1, old
        self.config.write_text(text.replace(old, new))

    def ask(self, *words: str) -> Result:
        return i247_hub(*words, "--config", self.config)

    @property
    def socket(self) -> Path:
        return self.folder / "state" / "hub.sock"

    @property
    def key(self) -> bytes:
        passphrase = passphrase_from_file(self.folder / "passphrase")
        return link_key(key_folder.read_link_secret(self.folder / key_folder.LINK_FILE, passphrase))


class Daemon:
    """`i247-hub run` as a process of its own."""

    def __init__(self, hub: HubFolder, **environment: str) -> None:
        self.hub = hub
        self._lines: list[bytes] = []
        # Through a pipe: a disk that fails in a test must not take the log with it.
        self.process = subprocess.Popen(
            [sys.executable, "-m", "i247_hub.cli", "run", "--config", str(hub.config)],
            stderr=subprocess.PIPE,
            env={**os.environ, **environment},
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def ready(self) -> Daemon:
        """Wait until it answers."""
        self.until(lambda snapshot: snapshot.pid == self.process.pid)
        return self

    def until(self, condition: Callable[[Snapshot], bool]) -> Snapshot:
        """Wait until what it tells meets `condition`."""
        seen: list[Snapshot] = []

        def met() -> bool:
            assert self.process.poll() is None, self.log
            try:
                seen.append(ask(self.hub.socket))
            except WorldFault:
                return False
            return condition(seen[-1])

        wait_until(met, lambda: (seen[-1:], self.log))
        return seen[-1]

    def send(self, number: int) -> None:
        self.process.send_signal(number)

    def stop(self, number: int = signal.SIGTERM) -> int:
        """End it, and return its exit code."""
        self.send(number)
        return self.wait()

    def wait(self) -> int:
        code = self.process.wait(PATIENCE_S)
        self._reader.join()
        return code

    @property
    def log(self) -> str:
        return b"".join(self._lines).decode()

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.wait()

    def _read(self) -> None:
        assert self.process.stderr is not None
        with self.process.stderr as log:
            self._lines.extend(log)


class Member:
    """One lane of a member's node, which does what the test says."""

    def __init__(self, code: str, identity: Identity, link_secret: bytes, hub: HubFolder, lane: Lane) -> None:
        self.code = code
        self.identity = identity
        self.lane = lane
        self.session = os.urandom(8)
        self._link = LinkId(f"hub:{hub.folder.name}:{lane}".encode())
        self._sockets = NodeSockets(link_secret, [Peer(self._link, hub.endpoint, hub.key)])
        self._frames: list[Frame] = []
        self._is_up = False

    def greet(self) -> Member:
        self._listen_until(lambda: self._is_up, "a connection")
        now = WallMs(time.time_ns() // 1_000_000)
        self.say(Hello(self.session, Role.MEMBER, self.lane, 0, b"", b"", now, WINDOW_MESSAGES, WINDOW_BYTES))
        self.hear(Hello)
        return self

    def put(self, body: bytes, *to: str, prio: Priority = Priority.ROUTINE) -> None:
        """Put an envelope whose content nobody will open."""
        assert lane_of(prio) is self.lane
        expires = expiry_minutes(WallMs(time.time_ns() // 1_000_000 + HOUR_MS))
        kid = KeyId(bytes(8)) if len(to) == 1 else None
        header = encode_header(tuple(map(MemberCode, to)), kid, prio, expires)
        wraps = () if kid is not None else tuple((code, bytes(8), bytes(80)) for code in to)
        self.say(Put(self.session, (Parcel(0, header, body, wraps),)))

    def say(self, frame: Frame) -> None:
        assert self._sockets.transmit(self._link, encode_frame(frame))

    def hear(self, kind: type[F]) -> F:
        """Return the next frame of a kind, passing over others."""

        def found() -> bool:
            return any(isinstance(frame, kind) for frame in self._frames)

        self._listen_until(found, kind.__name__)
        while not isinstance(frame := self._frames.pop(0), kind):
            pass
        return frame

    def hears_nothing_of(self, kind: type[Frame], seconds: float) -> bool:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self._listen()
        return not any(isinstance(frame, kind) for frame in self._frames)

    def close(self) -> None:
        self._sockets.close()

    def _listen_until(self, condition: Callable[[], bool], what: str) -> None:
        end = time.monotonic() + PATIENCE_S
        while not condition():
            assert time.monotonic() < end, f"waited for {what}, heard {[type(one).__name__ for one in self._frames]}"
            self._listen()

    def _listen(self) -> None:
        for event in self._sockets.poll(20, 64):
            if isinstance(event, FrameArrived):
                self._frames.append(parse_frame(event.data))
            else:
                self._is_up = isinstance(event, LinkUp)


def findings_of(result: Result) -> dict[str, str]:
    """Return the grades that `check --json` gave, by subject."""
    found: Sequence[dict[str, str]] = msgspec.json.decode(result.stdout)["findings"]
    return {one["subject"]: one["grade"] for one in found}
