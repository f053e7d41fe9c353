"""Be the asker of i247 itself: a node in this process, told what to do on its standard input like the peers' ends."""

from __future__ import annotations

import json
import sys
import time

from i247_node.commands import AskQuestion
from i247_node.embed import EmbeddedNode
from i247_protocol.handling import ROUTINE_HANDLING, Purpose
from i247_protocol.names import MemberCode
from i247_protocol.priority import Priority
from i247_protocol.queries import TravelDocument
from network import ANSWERER, REGISTER
from peers.ends import Round
from queries import Asker


def main() -> None:
    """Wait for links and keys, then ask in rounds."""
    with EmbeddedNode.open(sys.argv[1]) as node:
        asker = Asker(node, lambda _: QUESTION)
        asker.wait_until_ready()
        asker.ask_for(WARM_UP_S, 1)
        _say("ready")
        for line in sys.stdin:
            seconds, in_flight = line.split()
            asker.alone.clear()
            ended, began = asker.ended, time.monotonic()
            asker.ask_for(float(seconds), int(in_flight))
            done = Round(asker.ended - ended, time.monotonic() - began, asker.alone, 0)
            _say(json.dumps(done._asdict()))


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


NUMBER = "L8" + "9" * 468
"""As long as it must be for query and reply, padded, to be 2 KiB together: 896 and 1,152 bytes."""
QUESTION = AskQuestion(
    0,
    MemberCode(ANSWERER),
    REGISTER,
    TravelDocument(country="UTO", number=NUMBER, type="P"),
    Purpose.BORDER_CONTROL,
    100_000,
    Priority.ROUTINE,
    ROUTINE_HANDLING,
)
WARM_UP_S = 0.5

if __name__ == "__main__":
    main()
