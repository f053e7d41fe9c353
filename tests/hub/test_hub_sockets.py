"""Show who gets into a hub and under which name, with real sockets."""

import socket
import threading
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest
import zmq
from tests.links import ANY_PORT, LINK, Ear, Rogue, fresh_secret, wait_until

from i247_edges.door import VISITS_A_MINUTE_MAX, Door, Verdict
from i247_edges.link import Context, link_key
from i247_hub.sockets import HubSockets
from i247_node.sockets import NodeSockets
from i247_protocol.errors import CallerFault, WorldFault
from i247_protocol.limits import FRAME_BYTES_MAX
from i247_protocol.machine import LinkId, Peer

pytestmark = pytest.mark.slow


class World:
    """A hub, and whoever a test brings to it."""

    def __init__(self) -> None:
        self.hub = HubSockets(fresh_secret(), [ANY_PORT])
        self.ear = Ear(self.hub)
        self.peer = Peer(LINK, self.hub.endpoints[0], self.hub.key)
        self.nodes: list[NodeSockets] = []
        self.rogues: list[Rogue] = []
        self.context: Context = zmq.Context()

    def node(self, secret: bytes | None = None) -> Ear:
        one = NodeSockets(secret or fresh_secret(), [self.peer])
        self.nodes.append(one)
        return Ear(one)

    def member(self, secret: bytes | None = None) -> Ear:
        """Bring a node whose key is admitted, and wait until it is connected."""
        ear = self.node(secret)
        self.hub.admit(self.keys)
        wait_until(lambda: "LinkUp" in ear.news, ear, self.ear)
        return ear

    def rogue(self, secret: bytes | None, routing_id: bytes = b"") -> Rogue:
        self.rogues.append(Rogue(self.context, self.peer, secret, routing_id))
        return self.rogues[-1]

    def dismiss(self, rogue: Rogue) -> None:
        self.rogues.remove(rogue)
        rogue.close()

    @property
    def keys(self) -> frozenset[bytes]:
        return frozenset(node.key for node in self.nodes)

    def close(self) -> None:
        for node in self.nodes:
            node.close()
        for rogue in self.rogues:
            rogue.close()
        self.context.destroy(linger=0)
        self.hub.close()


@pytest.fixture
def world() -> Iterator[World]:
    one = World()
    yield one
    one.close()


def sockets_of(ear: Ear) -> NodeSockets:
    assert isinstance(ear.end, NodeSockets)
    return ear.end


def say(ear: Ear, data: bytes) -> None:
    assert sockets_of(ear).transmit(LINK, data)


# --- who gets in ---


def test_a_member_is_known_by_its_key_and_answered_on_its_link(world: World) -> None:
    node = world.member()
    say(node, b"hello")
    wait_until(lambda: bool(world.ear.frames), world.ear)
    frame = world.ear.frames[0]
    assert (frame.key, frame.data) == (sockets_of(node).key, b"hello")
    assert world.hub.transmit(frame.link, b"welcome")
    wait_until(lambda: bool(node.frames), node)
    assert (node.frames[0].link, node.frames[0].key, node.frames[0].data) == (LINK, world.hub.key, b"welcome")


def test_a_stranger_is_refused_and_let_in_once_admitted(world: World) -> None:
    node = world.node()
    wait_until(lambda: sockets_of(node).counters.total("dial.refused") > 0, node, world.ear)
    assert world.hub.counters.total("door.refused.stranger") > 0
    assert node.heard == world.ear.heard == []
    world.hub.admit(world.keys)
    wait_until(lambda: node.news == ["LinkUp"], node, world.ear)


def test_nobody_gets_in_without_curve(world: World) -> None:
    rogue = world.rogue(None)
    rogue.socket.send(b"let me in")
    assert not rogue.is_let_in()
    assert world.hub.poll(100, 10) == []


def test_a_revoked_key_cannot_connect_again_and_is_named_on_its_living_connection(world: World) -> None:
    secret = fresh_secret()
    living = world.member(secret)
    world.hub.admit(frozenset())
    say(living, b"still here")
    wait_until(lambda: bool(world.ear.frames), world.ear)
    assert world.ear.frames[0].key == link_key(secret)
    again = world.node(secret)
    wait_until(lambda: sockets_of(again).counters.total("dial.refused") > 0, again, world.ear)
    assert again.news == []


def test_a_key_that_comes_too_often_is_put_off(world: World) -> None:
    secret = fresh_secret()
    world.hub.admit(frozenset({link_key(secret)}))
    for visit in range(2 * VISITS_A_MINUTE_MAX + 1):  # a new minute may begin once meanwhile
        rogue = world.rogue(secret)
        is_in = rogue.is_let_in()
        world.dismiss(rogue)
        if not is_in:
            assert visit >= VISITS_A_MINUTE_MAX
            break
    assert world.hub.counters.total("door.refused.too-often") == 1
    world.member()  # others are not put off


# --- under which name ---


def test_a_chosen_routing_id_is_refused(world: World) -> None:
    secret = fresh_secret()
    world.hub.admit(frozenset({link_key(secret)}))
    world.rogue(secret, b"mallory").socket.send(b"x")
    wait_until(lambda: world.hub.counters.total("link.refused.chosen-routing-id") == 1, world.ear)
    assert world.ear.heard == []


def test_a_member_cannot_take_anothers_routing_id(world: World) -> None:
    victim = world.member()
    say(victim, b"mine")
    wait_until(lambda: bool(world.ear.frames), world.ear)
    link = world.ear.frames[0].link
    secret = fresh_secret()
    world.hub.admit(world.keys | {link_key(secret)})
    thief = world.rogue(secret, link)
    assert thief.is_let_in()
    thief.socket.send(b"mine as well")
    assert world.hub.poll(100, 10) == []
    assert world.hub.transmit(link, b"for the victim")
    wait_until(lambda: bool(victim.frames), victim, world.ear)
    assert thief.socket.poll(50) == 0


def test_a_chosen_routing_id_that_looks_given_names_nobody(world: World) -> None:
    secret = fresh_secret()
    world.hub.admit(frozenset({link_key(secret)}))
    world.rogue(secret, b"\0abcd").socket.send(b"x")
    wait_until(lambda: bool(world.ear.frames), world.ear)
    assert world.ear.frames[0].key == link_key(secret)


# --- what it may send ---


@pytest.mark.parametrize("count", [2, 3, 1_000])
def test_a_message_of_many_parts_is_refused_and_the_next_one_taken(world: World, count: int) -> None:
    secret = fresh_secret()
    world.hub.admit(frozenset({link_key(secret)}))
    rogue = world.rogue(secret)
    rogue.socket.send_multipart([b"part"] * count)
    rogue.socket.send(b"whole")
    wait_until(lambda: bool(world.ear.frames), world.ear)
    assert [frame.data for frame in world.ear.frames] == [b"whole"]
    assert world.hub.counters.total("link.refused.malformed") == 1


def test_the_largest_frame_passes(world: World) -> None:
    node = world.member()
    say(node, bytes(FRAME_BYTES_MAX))
    wait_until(lambda: bool(world.ear.frames), world.ear)
    assert len(world.ear.frames[0].data) == FRAME_BYTES_MAX


def test_too_large_a_frame_ends_its_own_connection_only(world: World) -> None:
    good, bad = world.member(), world.member()
    say(bad, bytes(FRAME_BYTES_MAX + 1))
    wait_until(lambda: bad.news == ["LinkUp", "LinkLost", "LinkUp"], bad, good, world.ear)
    say(good, b"fine")
    wait_until(lambda: bool(world.ear.frames), world.ear)
    assert [frame.data for frame in world.ear.frames] == [b"fine"]
    assert good.news == ["LinkUp"]


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"\xff\0\0\0\0\0\0\0\x01\x7f", id="half a greeting"),
        pytest.param(b"\x01\0\x05hello\x04\0hey", id="ZMTP 1.0"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: hub\r\n\r\n", id="HTTP"),
        pytest.param(b"\xff\0\0\0\0\0\0\0\x01\x7f\x03\x00NULL" + bytes(48), id="ZMTP 3 without CURVE"),
        pytest.param(b"\xff\0\0\0\0\0\0\0\x01\x7f\x03\x00CURVE" + bytes(47) + b"\x04\xff" + bytes(255), id="bad hello"),
    ],
)
def test_what_is_no_handshake_harms_nobody(world: World, data: bytes) -> None:
    port = int(world.peer.endpoint.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port)) as raw:
        raw.sendall(data)
        node = world.member()
        say(node, b"fine")
        wait_until(lambda: bool(world.ear.frames), world.ear)
    assert [frame.data for frame in world.ear.frames] == [b"fine"]


# --- what cannot be sent ---


def test_a_frame_for_somebody_who_left_is_not_taken(world: World) -> None:
    node = world.member()
    say(node, b"bye")
    wait_until(lambda: bool(world.ear.frames), world.ear)
    sockets_of(node).close()
    wait_until(lambda: not world.hub.transmit(world.ear.frames[0].link, b"too late"), world.ear)
    assert world.hub.counters.total("link.gone") == 1


@pytest.mark.parametrize("link", [b"\0abcd", b"", b"hub:nobody", b"long" * 80])
def test_a_frame_for_nobody_is_not_taken(world: World, link: bytes) -> None:
    assert not world.hub.transmit(LinkId(link), b"x")


def test_a_frame_for_somebody_who_does_not_read_is_not_taken(world: World) -> None:
    node = world.member()
    say(node, b"I shall not read")
    wait_until(lambda: bool(world.ear.frames), world.ear)
    data = bytes(64 * 1024)
    sent = 0
    while world.hub.transmit(world.ear.frames[0].link, data):
        sent += 1
        assert sent < 10_000
    assert world.hub.counters.total("link.full") == 1


# --- hubs among themselves ---


def test_hubs_connect_to_one_another(world: World) -> None:
    with_secret = fresh_secret()
    other = HubSockets(with_secret, [ANY_PORT])
    ear = Ear(other)
    try:
        world.hub.admit(frozenset({other.key}))
        other.dial([world.peer])
        wait_until(lambda: ear.news == ["LinkUp"], ear, world.ear)
        assert other.transmit(LINK, b"from hub to hub")
        wait_until(lambda: bool(world.ear.frames), ear, world.ear)
        assert world.ear.frames[0].key == other.key
        assert world.hub.transmit(world.ear.frames[0].link, b"and back")
        wait_until(lambda: bool(ear.frames), ear, world.ear)
        assert (ear.frames[0].link, ear.frames[0].key) == (LINK, world.hub.key)
    finally:
        other.close()


# --- the door ---


class AbsentDoor(Door):
    def open(self) -> None:
        pass


class OpenDoor(Door):
    def verdict(self, parts: list[bytes]) -> Verdict:
        return Verdict(b"200", b"welcome", parts[6].hex().encode(), "door.admitted")


class LockedDoor(Door):
    def verdict(self, parts: list[bytes]) -> Verdict:
        return Verdict(b"400", b"closed", b"", "door.refused.stranger")


class NamelessDoor(Door):
    def verdict(self, parts: list[bytes]) -> Verdict:
        return super().verdict(parts)._replace(user=b"00" * 32)


@pytest.mark.parametrize("door", [AbsentDoor, OpenDoor, LockedDoor, NamelessDoor])
def test_a_hub_does_not_listen_behind_a_broken_door(door: type[Door]) -> None:
    port = free_port()
    with pytest.raises(WorldFault):
        HubSockets(fresh_secret(), [f"tcp://127.0.0.1:{port}"], door=door)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))


class DyingDoor(Door):
    """Ends its thread as an error would, without the noise."""

    def die(self) -> None:
        super().close()

    def close(self) -> None:
        pass


def test_a_hub_stops_when_its_door_has_died() -> None:
    doors: list[DyingDoor] = []

    def build(context: Context) -> Door:
        doors.append(DyingDoor(context))
        return doors[0]

    hub = HubSockets(fresh_secret(), [ANY_PORT], door=build)
    try:
        assert hub.poll(0, 1) == []
        doors[0].die()
        with pytest.raises(WorldFault):
            hub.poll(0, 1)
    finally:
        hub.close()


def test_the_proof_of_the_door_is_not_counted(world: World) -> None:
    assert set(world.hub.counters.snapshot().values()) == {0}


# --- beginning and end ---


@pytest.mark.parametrize("secret", [b"", bytes(31), bytes(40)])
def test_a_secret_of_another_length_is_refused(secret: bytes) -> None:
    with pytest.raises(CallerFault):
        HubSockets(secret, [ANY_PORT])


def test_an_address_in_use_is_told(world: World) -> None:
    with pytest.raises(WorldFault, match="listen at"):
        HubSockets(fresh_secret(), [world.peer.endpoint])


def test_a_hub_listens_on_ipv6_as_well() -> None:
    if not has_ipv6():
        pytest.skip("no IPv6 here")
    hub = HubSockets(fresh_secret(), [ANY_PORT, "tcp://[::1]:*"])
    node = NodeSockets(fresh_secret(), [Peer(LINK, hub.endpoints[1], hub.key)])
    ear = Ear(node)
    try:
        hub.admit(frozenset({node.key}))
        wait_until(lambda: ear.news == ["LinkUp"], ear, Ear(hub))
    finally:
        node.close()
        hub.close()


def test_a_wake_from_another_thread_ends_the_wait(world: World) -> None:
    threading.Timer(0.05, world.hub.wake).start()
    began = time.monotonic()
    assert world.hub.poll(5_000, 10) == []
    assert time.monotonic() - began < 2


def test_nothing_is_left_after_close() -> None:
    World().close()  # libraries open what they keep
    threads, files = threading.active_count(), open_files()
    world = World()
    world.member()
    world.node()
    world.close()
    world.hub.wake()
    wait_until(lambda: threading.active_count() <= threads and open_files() <= files)


def test_connections_that_come_and_go_leave_nothing_in_memory(world: World) -> None:
    secrets = [fresh_secret() for _ in range(10)]
    world.hub.admit(frozenset(map(link_key, secrets)))
    visit(world, secrets, 3)
    files = open_files()
    tracemalloc.start()
    try:
        visit(world, secrets, 2)
        before = own_bytes()
        visit(world, secrets, 20)
        after = own_bytes()
    finally:
        tracemalloc.stop()
    assert after - before < 2_000
    wait_until(lambda: open_files() <= files)


def visit(world: World, secrets: list[bytes], rounds: int) -> None:
    for _ in range(rounds):
        rogues = [world.rogue(secret) for secret in secrets]
        for rogue in rogues:
            rogue.socket.send(b"hello")
        wait_until(lambda: len(world.ear.frames) == len(secrets), world.ear)
        for rogue in rogues:
            world.dismiss(rogue)
        world.ear.heard.clear()


def own_bytes() -> int:
    mine = [tracemalloc.Filter(inclusive=True, filename_pattern=f"*/{room}/*") for room in ("i247_hub", "i247_edges")]
    return sum(one.size for one in tracemalloc.take_snapshot().filter_traces(mine).statistics("filename"))


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as one:
        return int(one.getsockname()[1])


def has_ipv6() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True
