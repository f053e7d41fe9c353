"""Be a relay without rules or store: a ROUTER under CURVE in a poll loop, one ZeroMQ message for each message.

It prints endpoint and public key, and ends by a signal. `take` names who gets what others `put`; `done` goes back to
who put last. The floor of a hub that saves. docs/performance.md 10.
"""

from __future__ import annotations

import sys

import zmq
from zmq.utils import z85

from bare_hub import arrived


def main() -> None:
    """Listen, say where, and carry until a signal ends this process."""
    public, secret = zmq.curve_keypair()
    listener: zmq.Socket[bytes] = zmq.Context().socket(zmq.ROUTER)
    listener.set(zmq.CURVE_SERVER, 1)
    listener.set(zmq.CURVE_SECRETKEY, secret)
    port = listener.bind_to_random_port("tcp://127.0.0.1")
    sys.stdout.write(f"tcp://127.0.0.1:{port} {z85.decode(public).hex()}\n")
    sys.stdout.flush()
    taker = giver = b""
    while True:
        for whose, what, data in arrived(listener):
            match what:
                case b"put":
                    giver = whose
                    listener.send_multipart([taker, data])
                case b"take":
                    taker = whose
                case _:
                    listener.send_multipart([giver, data])


if __name__ == "__main__":
    main()
