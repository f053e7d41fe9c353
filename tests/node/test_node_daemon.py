"""Run nodes as processes: what they accepted survives them, and what is wrong ends them with one clear word."""

from __future__ import annotations

import resource
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.node.network import PATIENCE_S, ZONE, Network, wait_until

from i247_node.client import Bureau, BureauError, Declined, NotRunning, Outcome, Purpose, TravelDocument
from i247_node.config import read_config
from i247_node.registers import Kind
from i247_node.registers_sqlite import import_csv

pytestmark = [
    pytest.mark.slow,
    # httpcore leaves a Unix socket that it could not connect to the garbage collector.
    pytest.mark.filterwarnings(
        "ignore:.*unclosed:ResourceWarning", "ignore:.*socket.socket:pytest.PytestUnraisableExceptionWarning"
    ),
]
DOCUMENT = TravelDocument.from_mrz(ZONE)


class Daemon:
    """`i247-node run` as a process of its own."""

    def __init__(self, config: Path, file_bytes_max: int | None = None) -> None:
        self.socket = read_config(config).socket
        self._lines: list[bytes] = []
        self.process = subprocess.Popen(
            [sys.executable, "-m", "i247_node.cli", "run", "--config", str(config)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,  # through a pipe: a disk that fails in a test must not take the log with it
        )
        if file_bytes_max is not None:
            resource.prlimit(self.process.pid, resource.RLIMIT_FSIZE, (file_bytes_max, file_bytes_max))
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def bureau(self) -> Bureau:
        """Wait until it answers."""

        def answers() -> bool:
            assert self.process.poll() is None, self.log
            try:
                with Bureau.connect(self.socket) as bureau:
                    bureau.status()
            except BureauError:
                return False
            return True

        wait_until(answers, self.log)
        return Bureau.connect(self.socket)

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.wait()

    def wait(self) -> int:
        code = self.process.wait(PATIENCE_S)
        self._reader.join()
        return code

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.wait()

    @property
    def log(self) -> str:
        return b"".join(self._lines).decode()

    def _read(self) -> None:
        assert self.process.stderr is not None
        with self.process.stderr as log:
            self._lines.extend(log)


@contextmanager
def daemon(config: Path, file_bytes_max: int | None = None) -> Iterator[Daemon]:
    one = Daemon(config, file_bytes_max)
    try:
        yield one
    finally:
        one.close()


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    network = Network(tmp_path_factory.mktemp("net"))
    with network.hub():
        yield network


def test_an_ordinary_life(network: Network) -> None:
    with daemon(network.config("SG")) as singapore, daemon(network.config("FR")) as paris:
        singapore.bureau().close()
        with paris.bureau() as bureau:
            answer = bureau.query(DOCUMENT, to="SG", register="sltd", purpose=Purpose.BORDER_CONTROL, within="10s")
        assert answer.outcome is Outcome.HIT
        assert paris.stop() == 0
        assert singapore.stop(signal.SIGINT) == 0
        assert not paris.socket.exists()
        for word in ("started", "member=FR", "hubs=lyon", "stopped", "signal=SIGTERM"):
            assert word in paris.log
        # Nothing of what was asked or answered is in a log.
        for said in ("L898902C3", "ERIKSSON", "SG-1", "Seize"):
            assert said not in paris.log + singapore.log


def test_what_was_accepted_survives_a_kill(network: Network) -> None:
    with daemon(network.config("FR")) as paris, paris.bureau() as bureau:
        sent = [bureau.write(to=["XP"], subject=f"letter {n}", text="...", purpose=Purpose.ALERT).id for n in range(20)]
        assert paris.stop(signal.SIGKILL) == -signal.SIGKILL
    with daemon(network.config("FR")) as paris, daemon(network.config("XP")) as secretariat:
        with secretariat.bureau() as bureau:
            wait_until(lambda: len(bureau.inbox(limit=200).entries) >= len(sent))
            assert [entry.id for entry in bureau.inbox(limit=200).entries if entry.id in sent] == sent
        with paris.bureau() as bureau:
            wait_until(lambda: not bureau.outbox(0, only_open=True).messages, "all receipts")
        # The database is the same, so the epoch keys are too.
        assert "new life" not in paris.log
        assert paris.stop() == 0
        assert secretariat.stop() == 0


def test_a_second_daemon_is_refused(network: Network) -> None:
    with daemon(network.config("FR")) as first, first.bureau() as bureau:
        with daemon(network.config("FR")) as second:
            assert second.wait() == 1
            assert "error: " in second.log
            assert "another daemon" in second.log
        assert bureau.status().member == "FR"
        assert first.stop() == 0


def test_policy_and_registers_are_read_again(network: Network) -> None:
    with daemon(network.config("SG")) as singapore, daemon(network.config("FR")) as paris:
        singapore.bureau().close()
        with paris.bureau() as bureau:

            def outcome(register: str) -> Outcome:
                return bureau.query(
                    DOCUMENT, to="SG", register=register, purpose=Purpose.BORDER_CONTROL, within="10s"
                ).outcome

            assert outcome("closed") is Outcome.REFUSED
            network.edit("SG", 'open_to = ["XP"]', 'open_to = ["FR"]')
            singapore.process.send_signal(signal.SIGHUP)
            wait_until(lambda: "read again" in singapore.log, singapore.log)
            assert outcome("closed") is Outcome.HIT
            # A register that is new, and one that is gone.
            folder = network.root / "SG"
            import_csv(folder / "more.db", "fresh", Kind.DOCUMENTS, folder / "documents.csv")
            network.edit("SG", 'closed = "registers.db"', 'fresh = "more.db"')
            network.edit("SG", "[policy.registers.closed]", "[policy.registers.fresh]")
            singapore.process.send_signal(signal.SIGHUP)
            wait_until(lambda: singapore.log.count("read again") == 2, singapore.log)
            assert outcome("fresh") is Outcome.HIT
            assert outcome("closed") is Outcome.REFUSED
            # What is wrong changes nothing.
            network.edit("SG", "refuse = []", "refuse = [5]")
            singapore.process.send_signal(signal.SIGHUP)
            wait_until(lambda: "not read again" in singapore.log, singapore.log)
            assert outcome("fresh") is Outcome.HIT
        network.edit("SG", "refuse = [5]", "refuse = []")
        assert singapore.stop() == 0


def test_a_disk_that_is_full_ends_it_and_the_next_start_goes_on(network: Network) -> None:
    """Writing beyond a limit fails as on a full disk; the store is still small, so this comes soon."""
    store = read_config(network.config("XP")).store
    with daemon(network.config("XP")) as one:
        one.bureau().close()
        assert one.stop() == 0
    taken: list[str] = []

    def write_until_it_fails(bureau: Bureau) -> None:
        while True:
            taken.append(bureau.write(to=["SG"], subject="s", text="x" * 30_000, purpose=Purpose.ALERT).id)

    with daemon(network.config("XP"), store.stat().st_size + 600_000) as one:
        with one.bureau() as bureau, pytest.raises(BureauError) as caught:
            write_until_it_fails(bureau)
        assert not isinstance(caught.value, Declined | NotRunning)
        assert not caught.value.retryable
        assert one.wait() == 1, one.log
        assert "stopped by a fault" in one.log
        assert "error: saving" in one.log
        assert "Traceback" not in one.log
    assert taken
    with daemon(network.config("XP")) as one, one.bureau() as bureau:
        saved: list[str] = []
        after: int | None = 0
        while after is not None:
            page = bureau.outbox(after, 200)
            saved += [message.id for message in page.messages]
            after = page.next
        assert [message for message in saved if message in taken] == taken
        assert one.stop() == 0


def test_a_database_that_was_put_back_gets_new_keys(network: Network) -> None:
    config = read_config(network.config("FR"))
    with network.node("FR"):
        pass
    copy = config.store.read_bytes()
    with network.node("FR") as bureau:
        before = bureau.status().card_version
        bureau.write(to=["SG"], subject="s", text="t", purpose=Purpose.ALERT)
    with network.node("FR") as bureau:
        assert bureau.status().card_version == before
    for path in config.state.glob("node.db*"):
        path.unlink()
    config.store.write_bytes(copy)
    config.store.chmod(0o600)
    with network.node("FR") as bureau:
        assert bureau.status().card_version > before


def test_systemd_is_told(network: Network, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.bind(str(tmp_path / "notify"))
        notify.settimeout(PATIENCE_S)
        process = subprocess.Popen(
            [sys.executable, "-m", "i247_node.cli", "run", "--config", str(network.config("FR"))],
            stderr=subprocess.DEVNULL,
            env={"NOTIFY_SOCKET": str(tmp_path / "notify"), "PATH": ""},
        )
        try:
            assert notify.recv(64) == b"READY=1"
            process.terminate()
            assert notify.recv(64) == b"STOPPING=1"
            assert process.wait(PATIENCE_S) == 0
        finally:
            process.kill()
            process.wait()
