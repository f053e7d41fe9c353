"""Tell what a running hub does: a snapshot, taken by its loop, and a window at which it can be had.

Decides what may be told: numbers, names of members and hubs, states of the directory; of envelopes only how many
wait for whom, which a hub cannot help knowing. The window answers in a thread of its own from the last snapshot, so
whoever asks slowly delays only the next who asks. Edge. docs/operations.md.
"""

from __future__ import annotations

import select
import socket
import stat
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

from i247_protocol.errors import CallerFault, WorldFault


class Mailbox(msgspec.Struct, frozen=True):
    """How many rows wait for one member or hub on each lane, their bytes, and whether it is connected there.

    `fill_percent` is of the room that one place may take.
    """

    place: str
    express: int
    bulk: int
    bytes: int
    fill_percent: int
    is_connected: bool


class Snapshot(msgspec.Struct, frozen=True):
    """A hub at one instant; times are ms, `pulse_expires` is None before the first pulse."""

    name: str
    version: str
    pid: int
    started: int
    taken: int
    endpoints: tuple[str, ...]
    is_listed: bool
    roster: int
    roster_expires: int
    pulse_expires: int | None
    health: str
    members_connected: tuple[str, ...]
    hubs_connected: tuple[str, ...]
    hubs_known: int
    store_bytes: int
    store_bytes_max: int
    mailboxes: tuple[Mailbox, ...]
    over_quota: tuple[str, ...]
    counters: dict[str, int]

    @property
    def troubles(self) -> list[str]:
        """What an operator should look into, worst first."""
        found = []
        if not self.is_listed:
            found.append("the roster does not list this hub with these keys: nobody will dial it")
        if self.health != "fresh":
            found.append(f"the directory is {self.health}: lay a newer network file before this hub")
        if len(self.hubs_connected) < self.hubs_known:
            found.append(f"{len(self.hubs_connected)} of {self.hubs_known} other hubs are connected")
        if 100 * self.store_bytes >= FULL_PERCENT * self.store_bytes_max:
            found.append("the store is nearly full: bulk is refused; see `i247-hub mailboxes`")
        full = [box.place for box in self.mailboxes if box.fill_percent >= FULL_PERCENT]
        if full:
            found.append(f"mailboxes are nearly full, and their bulk is refused: {' '.join(full)}")
        if self.over_quota:
            found.append(f"over their quota, and kept waiting: {' '.join(self.over_quota)}")
        return found


class Window:
    """Answer one short question for each connection to `listener`, which this takes over."""

    def __init__(self, listener: socket.socket, end: bytes, answer: Callable[[bytes], bytes]) -> None:
        """Begin; a question is complete at `end`."""
        self._listener = listener
        self._end = end
        self._answer = answer
        self._ear, self._bell = socket.socketpair()
        self._thread = threading.Thread(target=self._serve, name="i247-window", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread, and the file of a Unix socket."""
        self._bell.close()
        self._thread.join()
        self._ear.close()
        name = self._listener.getsockname()
        self._listener.close()
        if isinstance(name, str):
            Path(name).unlink(missing_ok=True)

    def _serve(self) -> None:
        self._listener.settimeout(PATIENCE_S)
        while not select.select([self._ear], [], [], 0)[0]:
            ready, _, _ = select.select([self._listener, self._ear], [], [])
            if self._listener not in ready:
                continue
            try:
                connection, _ = self._listener.accept()
            except OSError:
                # Gone again, or no file left to open: not to be asked in a circle.
                select.select([self._ear], [], [], PAUSE_S)
                continue
            with connection, suppress(OSError):
                self._attend(connection)

    def _attend(self, connection: socket.socket) -> None:
        until = time.monotonic() + PATIENCE_S
        question = b""
        while self._end not in question and len(question) < QUESTION_BYTES_MAX:
            connection.settimeout(max(until - time.monotonic(), PAUSE_S / 10))
            part = connection.recv(QUESTION_BYTES_MAX)
            if not part or time.monotonic() > until:
                return
            question += part
        connection.settimeout(PATIENCE_S)
        connection.sendall(self._answer(question))


def open_window(path: Path) -> socket.socket:
    """Listen at a Unix socket for this user and its group; raise CallerFault when another daemon answers there."""
    doing = f"opening the status socket {path}"
    one = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _clear(path, doing)
        one.bind(str(path))
        path.chmod(0o660)
        one.listen(BACKLOG)
    except OSError as error:
        one.close()
        raise WorldFault(doing, f"{error.strerror}: check that {path.parent} exists and may be written") from None
    except BaseException:
        one.close()
        raise
    return one


def answer_to(question: bytes, snapshot: Snapshot | None) -> bytes:
    """Answer what came in at the status socket: one line of JSON for one line of JSON."""
    try:
        msgspec.json.decode(question, type=_Question)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return b'{"error":"ask {\\"want\\":\\"status\\"}"}\n'
    return msgspec.json.encode(snapshot) + b"\n"


def ask(path: Path) -> Snapshot:
    """Return the newest snapshot of the hub that answers at `path`; raise WorldFault when none does."""
    doing = f"asking the hub at {path}"
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as one:
            one.settimeout(ASK_S)
            one.connect(str(path))
            one.sendall(QUESTION)
            answer = _all_of(one)
        return msgspec.json.decode(answer, type=Snapshot)
    except OSError as error:
        raise WorldFault(doing, hint_for(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise WorldFault(doing, "it is starting, or of another version than this program: ask again") from None


def hint_for(error: OSError) -> str:
    """Return what to do when a hub cannot be asked."""
    match error:
        case FileNotFoundError() | ConnectionRefusedError():
            return "the daemon is not running: start it by `i247-hub run`, and see its log when it stops"
        case PermissionError():
            return "it answers its own user and group only: use `sudo -u` with the daemon's user"
        case TimeoutError():
            return "the daemon does not answer in time: see its log, or ask again"
        case _:
            return f"{error.strerror}: check the path of the socket"


class _Question(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    want: str


def _clear(path: Path, doing: str) -> None:
    """Remove the socket that a killed daemon left behind, and nothing else."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise CallerFault(doing, "there is another file: choose another path, or move it away")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as one:
        one.settimeout(PATIENCE_S)
        try:
            one.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
    raise CallerFault(doing, "another daemon answers there: stop it, or choose another path")


def _all_of(one: socket.socket) -> bytes:
    answer = b""
    while len(answer) < ANSWER_BYTES_MAX:
        part = one.recv(65_536)
        if not part:
            break
        answer += part
    return answer


QUESTION: Final = b'{"want":"status"}\n'
QUESTION_BYTES_MAX: Final = 4096
ANSWER_BYTES_MAX: Final = 4 * 1024 * 1024
BACKLOG: Final = 8
PATIENCE_S: Final = 1.0
PAUSE_S: Final = 0.1
ASK_S: Final = 5.0
FULL_PERCENT: Final = 80
