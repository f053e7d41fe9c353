"""Be a broker without rules, the floor: `zmq.proxy` between two sockets under CURVE.

Arguments, for the first of two: endpoint and key of the second. It prints the endpoint for who asks, the one for who
answers and its key, and ends by a signal.
"""

from __future__ import annotations

import sys

import zmq
from zmq.utils import z85


def main() -> None:
    """Listen, say where, and carry."""
    onward = sys.argv[1:]
    context = zmq.Context()
    public, secret = zmq.curve_keypair()
    front, where = _listening(context, zmq.ROUTER, public, secret)
    if onward:
        endpoint, key = onward
        back: zmq.Socket[bytes] = context.socket(zmq.DEALER)
        back.set(zmq.CURVE_PUBLICKEY, public)
        back.set(zmq.CURVE_SECRETKEY, secret)
        back.set(zmq.CURVE_SERVERKEY, z85.encode(bytes.fromhex(key)))
        back.connect(endpoint)
        beyond = endpoint
    else:
        back, beyond = _listening(context, zmq.DEALER, public, secret)
    sys.stdout.write(f"{where} {beyond} {z85.decode(public).hex()}\n")
    sys.stdout.flush()
    zmq.proxy(front, back)


def _listening(
    context: zmq.Context[zmq.Socket[bytes]], kind: int, public: bytes, secret: bytes
) -> tuple[zmq.Socket[bytes], str]:
    one = context.socket(kind)
    one.set(zmq.CURVE_SERVER, 1)
    one.set(zmq.CURVE_PUBLICKEY, public)
    one.set(zmq.CURVE_SECRETKEY, secret)
    port = one.bind_to_random_port("tcp://127.0.0.1")
    return one, f"tcp://127.0.0.1:{port}"


if __name__ == "__main__":
    main()
