"""Measure the resident memory of a hub and a node that are connected and have nothing to do. docs/performance.md 6."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Final

from i247_node.client import Bureau, BureauError
from i247_protocol.errors import WorldFault
from measures import resident_mib, wait_until
from network import ANSWERER, MEMBERS, World
from table import Figure

BUDGET_S: Final = 5.0


def measure(world: World, budget_s: float) -> Iterator[Figure]:
    """Yield what each program keeps resident."""
    with world.running("lyon", "singapore", ANSWERER) as pids:
        wait_until(lambda: _is_connected(world), "a node")
        time.sleep(budget_s)  # until what the start needed is given back: the figure is that of an idle program
        for what, name, module in (("hub", "singapore", "i247_hub.daemon"), ("node", ANSWERER, "i247_node.daemon")):
            rss, pss = resident_mib(pids[name])
            imports = _imported_mib(module)
            yield Figure(
                f"resident memory, idle {what}",
                f"{rss:.0f} MiB",
                "",
                f"≤ {MIB_MAX} MiB",
                rss <= MIB_MAX,
                f"{rss / imports:.1f}",
                note=(
                    f"RSS (PSS {pss:.0f} MiB), {len(MEMBERS)} members in the directory; floor: Python and the imports, "
                    f"{imports:.0f} MiB"
                ),
            )


def _is_connected(world: World) -> bool:
    try:
        with Bureau.connect(world.folder / ANSWERER / "state" / "node.sock") as bureau:
            return all(link.open for link in bureau.status().links)
    except (BureauError, WorldFault):
        return False


def _imported_mib(module: str) -> float:
    """Return the resident memory of an interpreter that has imported `module` and waits."""
    script = f"import sys, {module}; print(flush=True); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        if process.stdin is None or process.stdout is None:
            raise TypeError("it was begun with pipes")
        process.stdout.readline()
        rss, _ = resident_mib(process.pid)
        process.stdin.close()
    return rss


MIB_MAX: Final = 60
