"""Run a node inside a host program: no thread, no HTTP, no loop of its own.

    from i247_node.commands import Accepted, ConversationMoved
    from i247_node.embed import EmbeddedNode

    with EmbeddedNode.open("/etc/i247/node.toml") as node:
        node.follow(lambda news: print([type(one).__name__ for one in news]))
        node.ask(question, lambda answer: print(answer))
        while True:
            select.select([node], [], [], node.patience_ms(1_000) / 1_000)
            node.step()

`node` has a file descriptor that is readable when there may be something to do, so it fits into any loop: add it as a
reader, and call `step` then and whenever `patience_ms` is over. A step takes what has arrived, commits once and speaks;
it waits only for the disk. What `ask` and `follow` are given is called within a step and must not wait. All of it
belongs to one thread. Everything is saved exactly as by the daemon, on the same files. What there is to log goes to
the standard library's logger `i247_node`, unless `open` is given another. Edge. docs/architecture.md 5.
"""

from __future__ import annotations

import logging
import select
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Self

import structlog
import zmq

from i247_edges.logs import withhold
from i247_keys.own_keys import unlock
from i247_node.assembly import Assembly, assembled
from i247_node.caretaker import Log
from i247_node.commands import Command, LookUp, LookupFinished, NodeStatus, ReportStatus
from i247_node.config import NodeConfig, read_config
from i247_node.engine import Answer, Subscriber
from i247_node.registers import Finding, Registers
from i247_node.sockets import NodeSockets
from i247_node.views import Views
from i247_protocol.machine import DirectoryGiven


class EmbeddedNode:
    """A node that works when it is told to."""

    def __init__(self, node: Assembly, stack: ExitStack, ready: _Ready) -> None:
        """Take over what `open` has put together, and perform the machine's first effects."""
        self.views: Views = node.store.views()
        self._node = node
        self._stack = stack
        self._ready = ready
        node.engine.start()
        ready.renew(node.sockets)

    @classmethod
    def open(
        cls,
        config: NodeConfig | Path | str,
        *,
        registers: Registers | None = None,
        look_up: Callable[[LookUp], None] | None = None,
        log: Log | None = None,
    ) -> EmbeddedNode:
        """Open a node from its configuration; raise CallerFault or WorldFault when something is not in order.

        `registers` take the place of those in the configuration. A slow one is asked by `look_up`, which returns at
        once; the host hands its finding to `found`.
        """
        settings = config if isinstance(config, NodeConfig) else read_config(Path(config))
        with ExitStack() as stack:
            ready = stack.enter_context(_Ready())
            node = stack.enter_context(
                assembled(
                    settings,
                    unlock(settings),
                    look_up=look_up,
                    registers=registers,
                    sockets=_Sockets,
                    log=log or _host_log(),
                )
            )
            return cls(node, stack.pop_all(), ready)

    def fileno(self) -> int:
        """Return what is readable when a step may have something to do."""
        return self._ready.fileno()

    def patience_ms(self, timeout_ms: int) -> int:
        """Return how long the host may wait until the next step is due, `timeout_ms` at most."""
        return self._node.engine.patience_ms(min(timeout_ms, LONGEST_MS))

    def step(self, timeout_ms: int = 0) -> None:
        """Do one turn, waiting `timeout_ms` at most for something to do; raise WorldFault when the disk fails."""
        self._node.engine.step(timeout_ms)
        self._ready.renew(self._node.sockets)

    def ask(self, command: Command, answered: Callable[[Answer], None]) -> None:
        """Hand a command to the node; its token does not matter. `answered` is called in one of the next steps."""
        self._node.engine.ask(command, answered)

    def status(self) -> NodeStatus:
        """Return how the node stands, by one step."""
        found: list[Answer] = []
        self.ask(ReportStatus(0), found.append)
        while not found:
            self.step()
        (status,) = found
        if not isinstance(status, NodeStatus):
            raise TypeError("a question for the status is answered by it")
        return status

    def follow(self, subscriber: Subscriber) -> Callable[[], None]:
        """Tell `subscriber` the news of each step; return what ends that."""
        return self._node.engine.follow(subscriber)

    def found(self, entry: int, finding: Finding) -> None:
        """Hand over what a slow register found."""
        self._node.engine.give(LookupFinished(entry, finding))

    def give_directory(self, network_file: bytes) -> None:
        """Lay directory documents before the node; it believes what follows from what it holds."""
        self._node.engine.give(DirectoryGiven(network_file))

    def wake(self) -> None:
        """Make `fileno` readable; the only method that another thread or a signal's handler may call."""
        self._node.sockets.wake()

    def close(self) -> None:
        """Stop, and let go of files and sockets; what was accepted is saved."""
        self._node.engine.end()
        self._stack.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _host_log() -> Log:
    """Return a log that the host's own settings of `logging` govern; structlog alone would print to stdout."""
    log: Log = structlog.wrap_logger(
        logging.getLogger("i247_node"),
        processors=[withhold, structlog.processors.KeyValueRenderer(key_order=["event"])],
        wrapper_class=structlog.make_filtering_bound_logger("debug"),
    )
    return log


class _Sockets(NodeSockets):
    """Sockets that tell by which descriptors they are waited for."""

    def descriptors(self) -> frozenset[int]:
        watched = self._poller._sockets.sockets  # noqa: SLF001  until the poller tells them
        return frozenset(one.FD if isinstance(one, zmq.Socket) else one.fileno() for one, _ in watched)


class _Ready:
    """One descriptor that stands for all on which the node waits."""

    def __init__(self) -> None:
        self._epoll = select.epoll()

    def fileno(self) -> int:
        return self._epoll.fileno()

    def renew(self, sockets: NodeSockets) -> None:
        """Wait for exactly the sockets that there are now."""
        # A closed descriptor has left by itself, and another socket may have its number by now.
        for descriptor in sockets.descriptors() if isinstance(sockets, _Sockets) else ():
            with suppress(FileExistsError):
                self._epoll.register(descriptor, select.EPOLLIN)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._epoll.close()


# A descriptor of ZeroMQ tells of a change once; should it be missed, this is how late the node is.
LONGEST_MS = 100
