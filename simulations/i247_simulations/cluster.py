"""Run tasks on a Dask cluster. Edge; needs the extra `cluster`. docs/simulation.md 5.

A cluster speaks pickle to whoever reaches its ports: it belongs on machines and networks of one owner.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import version
from typing import Any, Final

from i247_protocol.errors import CallerFault, WorldFault
from i247_simulations.swarm import Workers

try:
    from distributed import Client
    from distributed.comm.addressing import get_address_host_port
    from distributed.scheduler import KilledWorker
except ImportError:
    HAS_CLUSTER = False
else:
    HAS_CLUSTER = True


@contextmanager
def cluster(address: str) -> Iterator[Workers]:
    """Yield the workers of the cluster whose scheduler is at `address`; raise when they cannot give the same results."""
    if not HAS_CLUSTER:
        raise CallerFault("running on a Dask cluster", "install the extra `cluster`: pip install 'i247[cluster]'")
    try:
        # A client that cannot connect leaves threads behind which complain at the end, so none is made then.
        socket.create_connection(get_address_host_port(address), PATIENCE_S).close()
        client: Any = Client(address, timeout=PATIENCE_S, set_as_default=False)  # type: ignore[no-untyped-call]
    except (OSError, ValueError):
        raise WorldFault(
            f"reaching a Dask scheduler at {address}", "start `dask scheduler`, give its address"
        ) from None
    with client:
        with suppress(TimeoutError):  # workers that were just started are worth a moment
            client.wait_for_workers(1, timeout=PATIENCE_S)
        threads: dict[str, int] = client.nthreads()
        _examine(client, threads)
        try:
            yield Workers(client.get_executor(pure=False), len(threads))
        except KilledWorker:
            raise WorldFault("running on a Dask cluster, whose worker ended again and again", LOST_HINT) from None


def _examine(client: Any, threads: dict[str, int]) -> None:  # noqa: ANN401 -- the library has no types for it
    """See that there are workers, that none runs two worlds in one process, and that all have this version."""
    if not threads:
        raise WorldFault(
            "running on a Dask cluster that has no workers", "start some: dask worker ADDRESS --nthreads 1"
        )
    if max(threads.values()) > 1:
        raise CallerFault("running on Dask workers of several threads", "start them with --nthreads 1, many a machine")
    here = version("i247")
    if any(there != here for there in client.run(version, "i247").values()):
        raise CallerFault("running on Dask workers of another version", f"install i247 {here} on each of them")


PATIENCE_S: Final = 10
LOST_HINT: Final = "see its log; memory may have run out"
