"""Show which connections a hub ends: too many of one key, the silent, a crowd of strangers, messages without end."""

from __future__ import annotations

import resource
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest
import zmq
from tests.abuse.zmtp import Caller
from tests.hub.test_hub_sockets import World, say
from tests.links import fresh_secret, wait_until

from i247_edges.link import Context, link_key
from i247_hub.guests import LOOK_MS, LOOKS, Guests
from i247_protocol.counters import Counters
from i247_protocol.limits import (
    CONNECTIONS_PER_KEY_MAX,
    CONNECTIONS_UNKNOWN_MAX,
    FRAME_BYTES_MAX,
    UNFINISHED_BYTES_MAX,
    UNKNOWN_MS_MAX,
)

pytestmark = pytest.mark.slow


@pytest.fixture
def world() -> Iterator[World]:
    one = World()
    yield one
    one.close()


def admitted(world: World) -> bytes:
    secret = fresh_secret()
    world.hub.admit(world.keys | {link_key(secret)})
    return secret


def meanwhile(world: World, act: Callable[[], None]) -> None:
    """Do something with a bare socket while the hub works."""
    faults: list[Exception] = []

    def safely() -> None:
        try:
            act()
        except Exception as fault:  # noqa: BLE001  told in the thread of the test
            faults.append(fault)

    thread = threading.Thread(target=safely)
    thread.start()
    wait_until(lambda: not thread.is_alive(), world.ear, seconds=30)
    assert not faults, faults


def ended(world: World, why: str) -> int:
    return world.hub.counters.total(f"link.ended.{why}")


# --- routing ids ---


def test_two_hubs_give_ids_that_have_nothing_in_common(world: World) -> None:
    """ZeroMQ begins at the same id in every process, and aborts where a guest has chosen one that is given later."""
    other = World()
    try:
        links = []
        for one in (world, other):
            say(one.member(), b"x")
            wait_until(lambda one=one: bool(one.ear.frames), one.ear)  # type: ignore[misc]
            links.append(int.from_bytes(one.ear.frames[0].link, "big"))
        assert abs(links[0] - links[1]) > 1_000
    finally:
        other.close()


def test_who_chooses_a_routing_id_is_cut_off(world: World) -> None:
    with closing(Caller(world.peer.endpoint, world.hub.key, admitted(world))) as caller:

        def choose() -> None:
            caller.come_in(b"mallory").part(b"x", more=False)
            assert caller.is_cut()

        meanwhile(world, choose)
    assert (ended(world, "chosen-routing-id"), world.ear.heard) == (1, [])


# --- how many ---


def test_of_one_keys_connections_the_newest_stay(world: World) -> None:
    good = world.member()
    secret = admitted(world)
    rogues = []
    for n in range(3 * CONNECTIONS_PER_KEY_MAX):
        rogues.append(world.rogue(secret))
        rogues[-1].socket.send(b"%d" % n)
        wait_until(lambda n=n: len(world.ear.frames) == n + 1, world.ear)  # type: ignore[misc]
    wait_until(lambda: ended(world, "too-many") == 2 * CONNECTIONS_PER_KEY_MAX, world.ear)
    world.ear.heard.clear()
    for rogue in rogues[-CONNECTIONS_PER_KEY_MAX:]:
        rogue.socket.send(b"again")
    say(good, b"not disturbed")
    wait_until(lambda: len(world.ear.frames) == CONNECTIONS_PER_KEY_MAX + 1, world.ear)
    assert good.news == ["LinkUp"]


# --- how long, with a clock of the test's own ---


class Hall:
    """A listening socket without any rule, and its guests."""

    def __init__(self) -> None:
        self.context: Context = zmq.Context()
        self.socket = self.context.socket(zmq.ROUTER)
        self.socket.set(zmq.LINGER, 0)
        self.port = self.socket.bind_to_random_port("tcp://127.0.0.1")
        self.counters = Counters()
        self.guests = Guests(self.context, self.socket, self.counters)
        self.came: list[socket.socket] = []
        self.now_ms = 0

    def come(self, count: int) -> None:
        for _ in range(count):
            self.came.append(socket.create_connection(("127.0.0.1", self.port), timeout=5))
            self.follow()

    def follow(self, later_ms: int = 0) -> None:
        self.now_ms += later_ms
        self.guests.follow(self.now_ms)

    def look(self) -> None:
        """Let everybody be looked at once."""
        for _ in range(LOOKS):
            self.follow(LOOK_MS)

    def present(self) -> int:
        self.follow()
        return len(self.guests)

    def cut(self) -> int:
        """Return how many of those who came were shut out, once each of them that was knows it."""
        count = sum(n for name, n in self.counters.snapshot().items() if name.startswith("link.ended."))

        def known() -> bool:
            self.follow()
            return sum(map(_is_over, self.came)) == count

        wait_until(known)
        return count

    def close(self) -> None:
        for one in self.came:
            one.close()
        self.guests.close()
        self.context.destroy(linger=0)


def _is_over(one: socket.socket) -> bool:
    one.setblocking(False)
    try:
        while one.recv(4096):
            pass
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


@pytest.fixture
def hall() -> Iterator[Hall]:
    one = Hall()
    yield one
    one.close()


def test_who_says_nothing_is_shut_out_in_time(hall: Hall) -> None:
    hall.come(3)
    wait_until(lambda: hall.present() == 3)
    hall.follow(UNKNOWN_MS_MAX - 1 - LOOKS * LOOK_MS)
    hall.look()
    assert hall.cut() == 0
    hall.look()
    assert hall.cut() == 3
    assert hall.counters.total("link.ended.silent") == 3


def test_of_a_crowd_that_says_nothing_the_oldest_are_shut_out(hall: Hall) -> None:
    if not _may_open(2 * CONNECTIONS_UNKNOWN_MAX + 200):
        pytest.skip("this system allows too few open files")
    hall.come(CONNECTIONS_UNKNOWN_MAX + 5)
    wait_until(lambda: hall.present() == CONNECTIONS_UNKNOWN_MAX + 5)
    hall.look()
    assert hall.cut() == hall.counters.total("link.ended.crowd") == 5
    assert all(map(_is_over, hall.came[:5]))


def test_a_hub_looks_again_soon_while_it_does_not_know_who_came(hall: Hall) -> None:
    assert hall.guests.patience_ms(1_000) == 1_000
    hall.come(2)
    wait_until(lambda: hall.present() == 2)
    assert hall.guests.patience_ms(1_000) == LOOK_MS
    assert hall.guests.patience_ms(LOOK_MS - 1) == LOOK_MS - 1
    for one in hall.came:
        one.close()
    wait_until(lambda: hall.present() == 0)
    assert hall.guests.patience_ms(1_000) == 1_000
    hall.came.clear()


def test_after_a_long_wait_everybody_is_looked_at(hall: Hall) -> None:
    hall.come(LOOKS + 1)
    wait_until(lambda: hall.present() == LOOKS + 1)
    hall.follow(UNKNOWN_MS_MAX)
    assert hall.cut() == LOOKS + 1


def test_nobody_is_remembered_who_has_gone(hall: Hall) -> None:
    hall.come(20)
    wait_until(lambda: hall.present() == 20)
    for one in hall.came:
        one.close()
    wait_until(lambda: hall.present() == 0)
    hall.came.clear()


# --- how much ---


@pytest.mark.parametrize("has_spoken", [False, True])
def test_a_message_without_end_is_broken_off(world: World, has_spoken: bool) -> None:
    good = world.member()
    with closing(Caller(world.peer.endpoint, world.hub.key, admitted(world))) as caller:

        def flood() -> None:
            caller.come_in()
            if has_spoken:
                caller.part(b"a good beginning", more=False)
            with pytest.raises(OSError, match=r"Broken pipe|reset"):
                caller.endless_parts(512 * 1024, at_most=16 * UNFINISHED_BYTES_MAX)

        meanwhile(world, flood)
    wait_until(lambda: ended(world, "unfinished") == 1, world.ear)
    say(good, b"not disturbed")
    wait_until(lambda: any(frame.data == b"not disturbed" for frame in world.ear.frames), world.ear)
    assert good.news == ["LinkUp"]


def test_much_in_whole_messages_is_not_broken_off(world: World) -> None:
    node = world.member()
    count = 3 * UNFINISHED_BYTES_MAX // FRAME_BYTES_MAX
    for sent in range(1, count + 1):
        say(node, bytes(FRAME_BYTES_MAX))
        wait_until(lambda sent=sent: len(world.ear.frames) == sent, world.ear)  # type: ignore[misc]
        world.ear.listen()
    assert sum(world.hub.counters.total(name) for name in world.hub.counters.snapshot() if "ended" in name) == 0
    assert node.news == ["LinkUp"]


def _may_open(count: int) -> bool:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < count <= hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0] >= count
