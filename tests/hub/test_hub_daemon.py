"""Run real hubs as processes: what they take survives them, what is wrong ends them with one clear word."""

from __future__ import annotations

import http.client
import json
import re
import resource
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.hub.network import Daemon, HubFolder, Member, Network, findings_of, free_port

from i247_edges.sqlite import open_reading
from i247_hub.config import read_config
from i247_hub.status import QUESTION
from i247_hub.store import LAYOUT
from i247_keys import ceremony_files as files
from i247_keys.vouching import root_of, vouch
from i247_protocol.digests import envelope_id
from i247_protocol.frames import Custody, Put, Taken
from i247_protocol.names import MemberCode, WallMs
from i247_protocol.priority import Lane, Priority

pytestmark = pytest.mark.slow

MARK = b"a name that nobody may see"


class Place:
    """A network, and all that must be closed after a test."""

    def __init__(self, root: Path, *hubs: str) -> None:
        self.network = Network(root, *hubs)
        self.running: Daemon
        self._open: list[Daemon | Member] = []

    @property
    def hub(self) -> HubFolder:
        return self.network.hubs["lyon"]

    def start(self, hub: HubFolder | None = None, **environment: str) -> Daemon:
        self.running = Daemon(hub or self.hub, **environment)
        self._open.append(self.running)
        return self.running

    def member(self, code: str, hub: HubFolder | None = None, lane: Lane = Lane.BULK) -> Member:
        member = self.network.member(code, hub or self.hub, lane)
        self._open.append(member)
        member.greet()
        return member

    def close(self) -> None:
        for one in reversed(self._open):
            one.close()


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    one = Place(tmp_path, "lyon")
    yield one
    one.close()


def custody_of(put: Put, member: Member) -> Custody:
    parcel = put.parcels[0]
    taken = (Taken(envelope_id(parcel.header, parcel.body), parcel.hops, (member.code,)),)
    return Custody(put.session, taken, vouch(member.code, member.identity, WallMs(0), [root_of(taken)]))


# --- a life ---


def test_what_a_hub_took_survives_a_kill_and_is_delivered_once(place: Place) -> None:
    first = place.start().ready()
    sender = place.member("AA")
    sender.put(MARK, "BB")
    assert sender.hear(Custody).taken[0].recipients == ("BB",)
    box = first.until(lambda one: bool(one.mailboxes)).mailboxes[0]
    assert (box.place, box.express, box.bulk, box.is_connected) == ("BB", 0, 1, False)
    first.stop(signal.SIGKILL)

    second = place.start().ready()
    recipient = place.member("BB")
    put = recipient.hear(Put)
    assert put.parcels[0].body == MARK
    recipient.say(custody_of(put, recipient))
    after = second.until(lambda one: not one.mailboxes)
    assert (after.store_bytes, after.members_connected) == (0, ("BB",))
    assert after.counters["handed-on"] == 1
    assert second.stop() == 0
    assert MARK.decode() not in second.log
    assert not place.hub.socket.exists()


def test_two_hubs_find_each_other_and_pass_mail_on(tmp_path: Path) -> None:
    place = Place(tmp_path, "lyon", "quito")
    try:
        lyon, quito = (place.start(hub) for hub in place.network.hubs.values())
        for one, other in ((lyon, "quito"), (quito, "lyon")):
            assert one.until(lambda found: bool(found.hubs_connected)).hubs_connected == (other,)
        guest = place.member("AA", quito.hub)  # from away: its home is lyon
        guest.put(MARK, "BB", prio=Priority.ROUTINE)
        guest.hear(Custody)
        recipient = place.member("BB")
        assert recipient.hear(Put).parcels[0].body == MARK
        assert lyon.until(lambda found: not found.troubles).hubs_known == 1
        lyon.stop(signal.SIGKILL)
        assert "1 other hubs" in str(quito.until(lambda found: bool(found.troubles)).troubles)
    finally:
        place.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_promptly(place: Place, number: int) -> None:
    daemon = place.start().ready()
    began = time.monotonic()
    assert daemon.stop(number) == 0
    assert time.monotonic() - began < 3
    assert f"signal={signal.Signals(number).name}" in daemon.log


def test_systemd_is_told_when_it_is_ready(place: Place, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(15)
        daemon = place.start(NOTIFY_SOCKET=str(tmp_path / "notify"))
        assert {systemd.recv(100), systemd.recv(100)} == {b"READY=1", b"WATCHDOG=1"}
        assert daemon.stop() == 0


def test_systemd_gives_the_passphrase(place: Place, tmp_path: Path) -> None:
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    (place.hub.folder / "passphrase").rename(credentials / "hub-passphrase")
    place.hub.edit('passphrase_file = "passphrase"', "")
    place.hub.edit("# passphrase_credential", "passphrase_credential")
    daemon = place.start(CREDENTIALS_DIRECTORY=str(credentials)).ready()
    assert daemon.stop() == 0
    refused = place.start()
    assert refused.wait() == 1
    assert "hint: start the daemon by systemd with LoadCredential=hub-passphrase:FILE" in refused.log


# --- the directory ---


def test_a_newer_network_file_is_noticed_and_kept(place: Place) -> None:
    daemon = place.start().ready()
    place.network.next_roster()
    place.network.hand_out(place.hub)
    daemon.until(lambda one: one.roster == 2)
    assert "newer directory" in daemon.log
    assert daemon.stop() == 0
    (place.hub.folder / files.NETWORK_FILE).unlink()
    assert place.start().until(lambda one: one.roster == 2).health == "fresh"


def test_a_bad_network_file_changes_nothing_and_is_told(place: Place, tmp_path: Path) -> None:
    path = place.hub.folder / files.NETWORK_FILE
    daemon = place.start().ready()
    path.write_bytes(b"no network file")
    daemon.until(lambda one: one.counters.get("directory.malformed", 0) == 1)
    other = Network(tmp_path / "other", "lyon")
    path.write_bytes((other.authority / files.NETWORK_FILE).read_bytes())
    assert daemon.until(lambda one: one.counters.get("directory.wrong-pin", 0) == 1).roster == 1
    assert re.search(r"\[warning *\] directory refused .*reason=wrong-pin", daemon.log)
    daemon.send(signal.SIGHUP)  # the same file, once more
    daemon.until(lambda one: one.counters["directory.wrong-pin"] == 2)
    assert daemon.stop() == 0
    assert place.start().ready().stop() == 0  # the store's copy counts


def test_a_member_that_is_suspended_while_connected_is_not_served(place: Place) -> None:
    daemon = place.start().ready()
    sender = place.member("AA")
    place.network.next_roster(suspend=(MemberCode("AA"),))
    place.network.hand_out(place.hub)
    daemon.until(lambda one: one.roster == 2)
    sender.put(MARK, "BB")
    found = daemon.until(lambda one: one.counters.get("refused.suspended", 0) == 1)
    assert not found.mailboxes


# --- what ends it, and what does not ---


def test_a_disk_that_fails_ends_it_before_anything_is_said(place: Place) -> None:
    daemon = place.start().ready()
    sender = place.member("AA")
    sender.put(b"taken", "BB")
    sender.hear(Custody)
    # From now on no file can grow, as on a full disk.
    resource.prlimit(daemon.process.pid, resource.RLIMIT_FSIZE, (1, resource.RLIM_INFINITY))
    sender.put(bytes(20_000), "BB")
    assert daemon.wait() == 1
    assert daemon.log.splitlines()[-2] == "error: saving"
    assert daemon.log.splitlines()[-1].startswith("hint: the disk ")
    assert sender.hears_nothing_of(Custody, 0.3)
    again = place.start().ready()
    assert again.until(lambda one: bool(one.mailboxes)).mailboxes[0].bulk == 1


def test_a_second_daemon_is_refused(place: Place) -> None:
    first = place.start().ready()
    second = place.start()
    assert second.wait() == 1
    assert "hint: another daemon uses" in second.log
    assert first.ready().stop() == 0


def test_an_address_in_use_is_told(place: Place) -> None:
    host, port = place.hub.endpoint.removeprefix("tcp://").split(":")
    with socket.create_server((host, int(port))):
        daemon = place.start()
        assert daemon.wait() == 1
    assert f"error: listen at {place.hub.endpoint}" in daemon.log
    assert "hint: choose another address or port" in daemon.log


# --- what is asked of a hub that runs ---


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """Run a hub that holds one envelope for BB; asking it changes nothing."""
    one = Place(tmp_path_factory.mktemp("busy"), "lyon")
    one.hub.edit('# listen = "127.0.0.1:9247"', f'listen = "127.0.0.1:{free_port()}"')
    one.start().ready()
    sender = one.member("AA")
    sender.put(MARK, "BB")
    one.running.until(lambda found: bool(found.mailboxes and found.members_connected))
    yield one
    one.close()


def test_its_state_is_told(busy: Place) -> None:
    result = busy.hub.ask("status")
    assert result.exit_code == 0
    assert f"process {busy.running.process.pid}" in result.stdout
    assert "members    1 connected  AA" in result.stdout
    assert "roster 1, fresh" in result.stdout
    found = json.loads(busy.hub.ask("status", "--json").stdout)
    assert (found["name"], found["troubles"], found["counters"]["held"]) == ("lyon", [], 1)


def test_its_mailboxes_are_told_and_nothing_of_what_is_in_them(busy: Place) -> None:
    line = busy.hub.ask("mailboxes").stdout.splitlines()[1].split()
    assert (line[:3], line[-3:]) == (["BB", "0", "1"], ["0", "%", "no"])
    found = json.loads(busy.hub.ask("mailboxes", "--json").stdout)
    (box,) = found["mailboxes"]
    assert 0 < box.pop("bytes") < 2_000
    assert box == {"place": "BB", "express": 0, "bulk": 1, "fill_percent": 0, "is_connected": False}


def test_an_envelope_is_traced_beside_it_without_its_giver(busy: Place) -> None:
    (envelope,) = held_in(busy.hub)
    told = busy.hub.ask("trace", envelope[:8])
    assert told.exit_code == 0, told.output
    assert told.stdout.splitlines()[0] == f"envelope {envelope}"
    assert "AA" not in told.stdout
    (step,) = json.loads(busy.hub.ask("trace", envelope, "--json").stdout)["steps"]
    assert (step["recipient"], step["what"], step["place"]) == ("BB", "held", "BB")
    assert time.time() * 1_000 - step["at"] < 3_600_000
    for words, hint in ((("trace", "00" * 16), "nothing is known"), (("trace", "abc"), "8 hexadecimal digits")):
        failed = busy.hub.ask(*words)
        assert failed.exit_code == 1
        assert hint in failed.stderr


def held_in(hub: HubFolder) -> list[str]:
    with open_reading(str(hub.folder / "state" / "hub.db"), LAYOUT) as reading:
        return [envelope.hex() for (envelope,) in reading.rows("SELECT envelope FROM held")]


def test_check_knows_that_it_runs(busy: Place) -> None:
    result = busy.hub.ask("check", "--json")
    assert (result.exit_code, findings_of(result)["daemon"]) == (0, "ok")
    assert "store" not in findings_of(result)


def test_prometheus_is_answered(busy: Place) -> None:
    status, text = scraped("/metrics", busy)
    assert status == 200
    assert 'i247_hub_waiting{place="BB",lane="bulk"} 1' in text.splitlines()
    assert 'i247_hub_counted_total{what="held"} 1' in text.splitlines()
    assert scraped("/", busy)[0] == 404


def scraped(path: str, place: Place) -> tuple[int, str]:
    address = read_config(place.hub.config).metrics
    assert address is not None
    connection = http.client.HTTPConnection(*address, timeout=10)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def test_a_slow_or_rude_asker_does_not_stop_it(busy: Place) -> None:
    rude = [socket.socket(socket.AF_UNIX) for _ in range(3)]
    try:
        for one in rude:
            one.connect(str(busy.hub.socket))
        rude[1].sendall(b"nonsense\n")
        rude[2].sendall(QUESTION)
        rude[2].shutdown(socket.SHUT_RD)
        began = time.monotonic()
        busy.member("XP")
        assert time.monotonic() - began < 1.5
        rude[1].settimeout(10)
        assert rude[1].recv(100).startswith(b'{"error"')
    finally:
        for one in rude:
            one.close()


def test_it_needs_less_than_sixty_megabytes(busy: Place) -> None:
    lines = Path(f"/proc/{busy.running.process.pid}/status").read_text().splitlines()
    resident_kib = int(next(line.split()[1] for line in lines if line.startswith("VmRSS")))
    assert resident_kib < 60 * 1024
