"""Show that a dialled connection is reported truly and comes back by itself, with real sockets."""

import socket
from collections.abc import Callable, Iterator

import pytest
import zmq
from tests.links import ANY_PORT, LINK, PATIENCE_S, Ear, Event, fresh_secret, wait_until

from i247_edges.dialler import Dialler
from i247_edges.link import Context, link_key
from i247_edges.poller import Poller, drain
from i247_hub.sockets import HubSockets
from i247_protocol.counters import Counters
from i247_protocol.errors import CallerFault
from i247_protocol.machine import LinkId, Peer

pytestmark = pytest.mark.slow


class Caller:
    """A dialler with all that it needs."""

    def __init__(self) -> None:
        self.context: Context = zmq.Context()
        self.poller = Poller()
        self.counters = Counters()
        self.secret = fresh_secret()
        self.dialler = Dialler(self.context, self.poller, self.secret, self.counters)

    def poll(self, timeout_ms: int, frames_max: int) -> list[Event]:
        ready = self.poller.wait(self.dialler.patience_ms(timeout_ms))
        return [*drain(self.dialler.sources(ready), frames_max), *self.dialler.attend(ready)]

    def close(self) -> None:
        self.dialler.close()
        self.poller.close()
        self.context.destroy(linger=0)


@pytest.fixture
def caller() -> Iterator[Caller]:
    one = Caller()
    yield one
    one.close()


@pytest.fixture
def start_hub(caller: Caller) -> Iterator[Callable[..., Ear]]:
    """Start hubs that admit the caller."""
    hubs: list[HubSockets] = []

    def start(secret: bytes | None = None, endpoint: str = ANY_PORT) -> Ear:
        hub = HubSockets(secret or fresh_secret(), [endpoint])
        hubs.append(hub)
        hub.admit(frozenset({link_key(caller.secret)}))
        return Ear(hub)

    yield start
    for hub in hubs:
        hub.close()


def hub_of(ear: Ear) -> HubSockets:
    assert isinstance(ear.end, HubSockets)
    return ear.end


def peer_of(ear: Ear, link: LinkId = LINK) -> Peer:
    hub = hub_of(ear)
    return Peer(link, hub.endpoints[0], hub.key)


StartHub = Callable[..., Ear]


def test_the_first_frame_leaves_as_soon_as_the_link_is_up(caller: Caller, start_hub: StartHub) -> None:
    hub, me = start_hub(), Ear(caller)
    caller.dialler.dial([peer_of(hub)])
    assert not caller.dialler.transmit(LINK, b"too early")
    wait_until(lambda: me.news == ["LinkUp"], me)
    assert caller.dialler.transmit(LINK, b"first")
    wait_until(lambda: bool(hub.frames), hub)
    assert [frame.data for frame in hub.frames] == [b"first"]


def test_a_hub_that_restarts_is_dialled_again_and_hears_nothing_of_the_old_session(
    caller: Caller, start_hub: StartHub
) -> None:
    secret = fresh_secret()
    hub, me = start_hub(secret), Ear(caller)
    caller.dialler.dial([peer_of(hub)])
    wait_until(lambda: me.news == ["LinkUp"], me)
    for _ in range(500):  # more than the network takes while the hub does not read
        assert caller.dialler.transmit(LINK, bytes(64 * 1024))
    hub_of(hub).close()
    wait_until(lambda: me.news == ["LinkUp", "LinkLost"], me)
    assert not caller.dialler.transmit(LINK, b"between")
    again = start_hub(secret, peer_of(hub).endpoint)
    wait_until(lambda: me.news == ["LinkUp", "LinkLost", "LinkUp"], me, again)
    assert caller.dialler.transmit(LINK, b"new")
    wait_until(lambda: bool(again.frames), again, me)
    assert [frame.data for frame in again.frames] == [b"new"]
    assert caller.counters.total("dial.lost") == 1


def test_a_hub_that_takes_nothing_loses_its_connection(caller: Caller, start_hub: StartHub) -> None:
    hub, me = start_hub(), Ear(caller)
    caller.dialler.dial([peer_of(hub)])
    wait_until(lambda: me.news == ["LinkUp"], me)
    sent = 0
    while caller.dialler.transmit(LINK, bytes(64 * 1024)):
        sent += 1
        assert sent < 10_000
    assert caller.counters.total("dial.full") == 1
    wait_until(lambda: me.news == ["LinkUp", "LinkLost", "LinkUp"], me)
    assert caller.dialler.transmit(LINK, b"there is room again")


def test_exactly_the_named_peers_are_dialled(caller: Caller, start_hub: StartHub) -> None:
    first, second, me = start_hub(), start_hub(), Ear(caller)
    stays, goes = peer_of(first, LinkId(b"hub:stays")), peer_of(first, LinkId(b"hub:goes"))
    caller.dialler.dial([stays, goes])
    wait_until(lambda: len(me.heard) == 2, me)
    me.heard.clear()

    comes = peer_of(second, LinkId(b"hub:comes"))
    caller.dialler.dial([stays, comes])
    wait_until(lambda: len(me.heard) == 2, me)
    assert [(type(one).__name__, one.link) for one in me.heard] == [("LinkLost", goes.link), ("LinkUp", comes.link)]
    assert caller.dialler.transmit(stays.link, b"undisturbed")
    assert not caller.dialler.transmit(goes.link, b"gone")
    me.heard.clear()

    moved = Peer(stays.link, comes.endpoint, comes.key)
    caller.dialler.dial([moved, comes])
    wait_until(lambda: me.news == ["LinkLost", "LinkUp"], me)
    assert {one.link for one in me.heard} == {stays.link}
    assert caller.dialler.transmit(moved.link, b"moved")
    wait_until(lambda: bool(second.frames), second)
    assert second.frames[0].data == b"moved"


def test_a_hub_without_the_right_key_is_not_spoken_to(caller: Caller, start_hub: StartHub) -> None:
    hub, me = start_hub(), Ear(caller)
    peer = peer_of(hub)
    caller.dialler.dial([Peer(peer.link, peer.endpoint, bytes(31) + b"\x09")])
    wait_until(lambda: caller.counters.total("dial.broken-off") > 1, me)
    assert me.heard == []


def test_nobody_listening_is_counted_and_tried_again(caller: Caller, start_hub: StartHub) -> None:
    hub, me = start_hub(), Ear(caller)
    hub_of(hub).close()
    caller.dialler.dial([peer_of(hub)])
    wait_until(lambda: caller.counters.total("dial.unreachable") > 1, me)
    assert me.heard == []


def test_a_peer_that_speaks_something_else_is_counted(caller: Caller) -> None:
    me = Ear(caller)
    with socket.create_server(("127.0.0.1", 0)) as server:
        caller.dialler.dial([Peer(LINK, f"tcp://127.0.0.1:{server.getsockname()[1]}", bytes(range(32)))])
        me.listen()
        server.settimeout(PATIENCE_S)
        connection, _ = server.accept()
        with connection:
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n" + bytes(64))
            wait_until(lambda: bool(failures(caller)), me)
    assert me.heard == []


@pytest.mark.parametrize(
    "endpoint",
    ["inproc://zeromq.zap.01", "ipc:///tmp/i247-test", "tcp://", "tcp://127.0.0.1", "", "hub"],
)
def test_an_endpoint_that_cannot_be_dialled_harms_nobody(caller: Caller, start_hub: StartHub, endpoint: str) -> None:
    hub, me = start_hub(), Ear(caller)
    bad = Peer(LinkId(b"hub:bad"), endpoint, bytes(range(32)))
    caller.dialler.dial([bad, peer_of(hub)])
    wait_until(lambda: me.news == ["LinkUp"] and caller.counters.total("dial.impossible") > 0, me)
    assert not caller.dialler.transmit(bad.link, b"x")


@pytest.mark.parametrize("endpoint", ["tcp://no-such-name.invalid:1", "tcp://127.0.0.1:70000"])
def test_an_endpoint_that_zeromq_tells_nothing_about_harms_nobody(
    caller: Caller, start_hub: StartHub, endpoint: str
) -> None:
    hub, me = start_hub(), Ear(caller)
    caller.dialler.dial([Peer(LinkId(b"hub:bad"), endpoint, bytes(range(32))), peer_of(hub)])
    wait_until(lambda: me.news == ["LinkUp"], me)


def test_a_message_of_many_parts_is_refused(caller: Caller) -> None:
    me, secret = Ear(caller), fresh_secret()
    router = caller.context.socket(zmq.ROUTER)
    router.set(zmq.CURVE_SERVER, 1)
    router.set(zmq.CURVE_SECRETKEY, secret)
    router.bind(ANY_PORT)
    caller.dialler.dial([Peer(LINK, router.get_string(zmq.LAST_ENDPOINT), link_key(secret))])
    wait_until(lambda: me.news == ["LinkUp"], me)
    assert caller.dialler.transmit(LINK, b"hello")
    assert router.poll(5_000)
    route, _ = router.recv_multipart()
    router.send_multipart([route, b"one", b"two", b"three"])
    router.send_multipart([route, b"whole"])
    wait_until(lambda: bool(me.frames), me)
    assert [frame.data for frame in me.frames] == [b"whole"]
    assert caller.counters.total("link.refused.malformed") == 1
    router.close(linger=0)


def test_many_calls_in_vain_do_not_block_the_end(caller: Caller, start_hub: StartHub) -> None:
    """Show that a socket's monitor is ended before it is closed: otherwise libzmq's thread waits for it for ever."""
    hub, me = start_hub(), Ear(caller)
    for turn in range(200):
        caller.dialler.dial([peer_of(hub, LinkId(b"hub:%d" % turn))])
        me.listen(turn % 3)
    caller.dialler.dial([peer_of(hub)])
    wait_until(lambda: caller.dialler.transmit(LINK, b"alive"), me, hub)


@pytest.mark.parametrize("secret", [b"", bytes(31), bytes(40)])
def test_a_secret_of_another_length_is_refused(caller: Caller, secret: bytes) -> None:
    with pytest.raises(CallerFault):
        Dialler(caller.context, caller.poller, secret, Counters())


def failures(caller: Caller) -> dict[str, int]:
    return {name: total for name, total in caller.counters.snapshot().items() if name != "dial.up"}
