"""Be one end of a peer: a process of its own, told what to do on its standard input.

The first line is the settings as JSON: which wire, which role, and what the wire wants to know. It answers `ready` when
the first query came back, or, as the answerer, when it listens. Then each line `SECONDS IN_FLIGHT` is a round, answered
by one line of JSON. The end of the input ends it.
"""

from __future__ import annotations

import json
import os
import select
import sys
from importlib import import_module
from typing import Any

from peers.ends import Answerer, Asker, Wire
from peers.sealed import Correspondent


def main() -> None:
    """Connect, and ask or answer until there is no more to do."""
    settings: dict[str, Any] = json.loads(sys.stdin.readline())
    me, other = ("FR", "SG") if settings["role"] == "asker" else ("SG", "FR")
    correspondent = Correspondent(me, other, bytes.fromhex(settings["seed"]))
    end = Asker(correspondent) if settings["role"] == "asker" else Answerer(correspondent)
    wire: Wire = import_module(f"peers.wires.{settings['wire']}").connected(settings, end.heard)
    if isinstance(end, Asker):
        end.begin(wire)
        _say("ready")
        for line in sys.stdin:
            seconds, in_flight = line.split()
            _say(json.dumps(end.round(wire, float(seconds), int(in_flight))._asdict()))
    else:
        _say("ready")
        while not _has_ended():
            wire.work(lambda: False, WORK_S)
    sys.stdout.flush()
    os._exit(0)  # clients' threads have nothing left to do, and some would wait for a broker that is gone


def _has_ended() -> bool:
    return bool(select.select([sys.stdin], [], [], 0)[0])


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


WORK_S = 1.0

if __name__ == "__main__":
    main()
