"""Show that a node's sockets work as one: dialling, frames both ways, waking, ending."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.links import ANY_PORT, Ear, fresh_secret, wait_until

from i247_edges.link import link_key
from i247_hub.sockets import HubSockets
from i247_node.sockets import NodeSockets
from i247_protocol.errors import CallerFault
from i247_protocol.machine import LinkId, Peer

pytestmark = pytest.mark.slow

EXPRESS, BULK = LinkId(b"hub:a:express"), LinkId(b"hub:a:bulk")


@pytest.fixture
def hub() -> Iterator[HubSockets]:
    one = HubSockets(fresh_secret(), [ANY_PORT])
    yield one
    one.close()


@pytest.fixture
def node() -> Iterator[NodeSockets]:
    one = NodeSockets(fresh_secret())
    yield one
    one.close()


def lanes(hub: HubSockets) -> list[Peer]:
    return [Peer(link, hub.endpoints[0], hub.key) for link in (EXPRESS, BULK)]


def test_two_connections_to_one_hub_are_two_links(hub: HubSockets, node: NodeSockets) -> None:
    here, there = Ear(node), Ear(hub)
    hub.admit(frozenset({node.key}))
    node.dial(lanes(hub))
    wait_until(lambda: here.news == ["LinkUp", "LinkUp"], here, there)
    assert node.transmit(EXPRESS, b"express")
    assert node.transmit(BULK, b"bulk")
    wait_until(lambda: len(there.frames) == 2, there)
    assert {frame.key for frame in there.frames} == {node.key}
    routes = {frame.data: frame.link for frame in there.frames}
    assert hub.transmit(routes[b"bulk"], b"back")
    wait_until(lambda: bool(here.frames), here)
    assert (here.frames[0].link, here.frames[0].key, here.frames[0].data) == (BULK, hub.key, b"back")


def test_a_flood_on_one_link_leaves_room_for_the_other(hub: HubSockets, node: NodeSockets) -> None:
    here, there = Ear(node), Ear(hub)
    hub.admit(frozenset({node.key}))
    node.dial(lanes(hub))
    wait_until(lambda: here.news == ["LinkUp", "LinkUp"], here, there)
    node.transmit(EXPRESS, b"express")
    node.transmit(BULK, b"bulk")
    wait_until(lambda: len(there.frames) == 2, there)
    routes = {frame.data: frame.link for frame in there.frames}
    for _ in range(1_000):
        assert hub.transmit(routes[b"bulk"], bytes(1_024))
    assert hub.transmit(routes[b"express"], b"urgent")
    time.sleep(0.05)
    seen: list[LinkId] = []
    while EXPRESS not in seen:
        seen += [event.link for event in node.poll(1_000, 16)]
    assert len(seen) <= 32


@pytest.mark.parametrize("link", [EXPRESS, LinkId(b""), LinkId(b"\0abcd")])
def test_a_frame_for_nobody_is_not_taken(node: NodeSockets, link: LinkId) -> None:
    assert not node.transmit(link, b"x")


def test_a_node_without_hubs_waits_until_it_is_woken(node: NodeSockets) -> None:
    began = time.monotonic()
    assert node.poll(20, 10) == []
    threading.Timer(0.02, node.wake).start()
    assert node.poll(5_000, 10) == []
    assert 0.02 <= time.monotonic() - began < 2


@pytest.mark.parametrize("secret", [b"", bytes(31), bytes(40)])
def test_a_secret_of_another_length_is_refused(secret: bytes) -> None:
    with pytest.raises(CallerFault):
        NodeSockets(secret)


def test_its_key_is_that_of_its_secret() -> None:
    secret = fresh_secret()
    node = NodeSockets(secret)
    node.close()
    assert node.key == link_key(secret)


def test_nothing_is_left_after_close(hub: HubSockets) -> None:
    NodeSockets(fresh_secret()).close()  # libraries open what they keep
    threads, files = threading.active_count(), open_files()
    node = NodeSockets(fresh_secret(), lanes(hub))
    hub.admit(frozenset({node.key}))
    here = Ear(node)
    wait_until(lambda: here.news == ["LinkUp", "LinkUp"], here)
    node.close()
    node.wake()
    wait_until(lambda: threading.active_count() <= threads and open_files() <= files, Ear(hub))


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))
