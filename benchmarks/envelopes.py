"""Measure sealing and opening one envelope against the sum of their primitives. docs/performance.md 2."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from typing import Final

from i247_keys import contexts
from i247_keys.identity import Identity, verify
from i247_keys.keyring import Keyring
from i247_keys.opening import open_envelope
from i247_keys.sealing import seal_for_one
from i247_protocol.header import Envelope, parse_header
from i247_protocol.names import KeyId, MemberCode, Minutes, WallMs
from i247_protocol.priority import Priority
from measures import in_turn, median, per_call_us, ratios, spread
from network import World
from probes import STATEMENT, key_schedule, opening_primitives, sealing_primitives
from table import Figure

NAMES: Final = ("seal + sign, 1 KiB", "open + verify, 1 KiB")
BUDGET_S: Final = 12.0


def measure(_: World, budget_s: float) -> Iterator[Figure]:
    """Yield what one envelope costs at its two ends."""
    wall = WallMs(1_800_000_000_000)
    exp = Minutes(wall // 60_000 + 600)
    identity = Identity(bytes(32))
    ring = Keyring().renewed(wall, os.urandom)
    kid, public = KeyId(ring.keys[0].kid), ring.keys[0].public

    def sealed() -> Envelope:
        signature = identity.sign(contexts.STATEMENT, STATEMENT)
        return seal_for_one(
            STATEMENT,
            signature,
            recipient=MemberCode("SG"),
            epoch_kid=kid,
            epoch_public=public,
            prio=Priority.ROUTINE,
            exp=exp,
            entropy=os.urandom,
        )

    envelope = sealed()

    def opened() -> None:
        inner = open_envelope(envelope.header, parse_header(envelope.header), envelope.body, None, ring)
        verify(identity.public, contexts.STATEMENT, inner.statement, inner.signature)

    calls = (sealed, sealing_primitives, opened, opening_primitives, key_schedule)
    seals, seal_floors, opens, open_floors, schedules = in_turn(
        budget_s, *(partial(per_call_us, call, CALLS) for call in calls)
    )
    for what, series, floor in zip(NAMES, (seals, opens), (seal_floors, open_floors), strict=True):
        ratio = ratios(series, floor)
        without = median(ratios(series, [one - part for one, part in zip(floor, schedules, strict=True)]))
        yield Figure(
            what,
            f"{median(series):.0f} µs",
            spread(series),
            "≤ 1.3 ×",
            median(ratio) <= RATIO_MAX,
            f"{median(ratio):.2f}",
            note=(
                f"floor: its primitives, {median(floor):.0f} µs; the ratio was {spread(ratio, '.2f')} in "
                f"{len(ratio)} rounds. HPKE's key schedule not counted as a primitive: {without:.2f}"
            ),
        )


CALLS: Final = 20
"""Few, so that a round and its floor share their moment."""
RATIO_MAX: Final = 1.3
