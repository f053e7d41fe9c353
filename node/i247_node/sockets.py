"""Own the node's network sockets: connections to hubs, and a wake-up for everybody else's threads.

A node listens to nobody. docs/protocol.md 9.1.
"""

from __future__ import annotations

from collections.abc import Iterable

import zmq

from i247_edges.dialler import Dialler
from i247_edges.link import Context, link_key
from i247_edges.poller import Poller, drain
from i247_protocol.counters import Counters
from i247_protocol.machine import FrameArrived, LinkId, LinkLost, LinkUp, Peer


class NodeSockets:
    """Everything through which frames come and go; only `wake` may be called from another thread."""

    def __init__(self, link_secret: bytes, peers: Iterable[Peer] = ()) -> None:
        """Begin to dial `peers`; raise CallerFault when `link_secret` is not a raw 32-byte curve secret."""
        self.key = link_key(link_secret)
        self.counters = Counters()
        self._context: Context = zmq.Context()
        self._poller = Poller()
        self._dialler = Dialler(self._context, self._poller, link_secret, self.counters, peers)

    def dial(self, peers: Iterable[Peer]) -> None:
        """Keep connections to exactly `peers`."""
        self._dialler.dial(peers)

    def transmit(self, link: LinkId, data: bytes) -> bool:
        """Send one frame; return False when it cannot leave at once."""
        return self._dialler.transmit(link, data)

    def poll(self, timeout_ms: int, frames_max: int) -> list[FrameArrived | LinkUp | LinkLost]:
        """Wait until something arrives, `wake` is called or time is up; return what arrived, in order."""
        ready = self._poller.wait(self._dialler.patience_ms(timeout_ms))
        frames = drain(self._dialler.sources(ready), frames_max)
        return [*frames, *self._dialler.attend(ready)]

    def wake(self) -> None:
        """End the present wait, or the next one; safe from any thread and from a signal's handler."""
        self._poller.wake()

    def close(self) -> None:
        """End all connections and leave nothing running."""
        self._dialler.close()
        self._poller.close()
        self._context.destroy(linger=0)
