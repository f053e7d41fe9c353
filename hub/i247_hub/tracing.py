"""Tell an operator what this hub may know of one envelope: held for whom, handed on to whom, or why it ended here.

Reads the store beside the daemon that writes it, and says nothing that a hub need not know: neither who gave the
envelope, though that is written in its row while it is held, nor how large it is. Edge. docs/operations.md 8.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from i247_edges.sqlite import Reading, Row, open_reading
from i247_hub.store import LAYOUT
from i247_hub.tables import QUEUES
from i247_protocol.errors import CallerFault, WorldFault
from i247_protocol.frames import ENVELOPE_ID_BYTES
from i247_protocol.names import Minutes, expiry_wall
from i247_protocol.priority import Priority


class Step(msgspec.Struct, frozen=True):
    """What is known of one envelope for one recipient; times are ms, `at` is None where it was not noted.

    `what` is `held` (for the next `place`), `handed-on` (to `place`; its proof is kept) or `ended` (why: `reason`).
    """

    envelope: str
    recipient: str
    what: str
    at: int | None
    expires: int
    place: str = ""
    priority: str = ""
    reason: str = ""
    has_proof: bool = False


def trace(store: Path, digits: str) -> list[Step]:
    """Return what is known of the envelope whose id begins with `digits`, in order of time.

    Raises CallerFault when they are too few or no digits, fit several envelopes, or none.
    """
    doing = "tracing an envelope"
    if not DIGITS_MIN <= len(digits) <= 2 * ENVELOPE_ID_BYTES or set(digits.lower()) - set("0123456789abcdef"):
        raise CallerFault(doing, f"give {DIGITS_MIN} hexadecimal digits of its id at least; its sender's node tells it")
    try:
        reading = open_reading(str(store), LAYOUT)
    except OSError as error:
        raise WorldFault(doing, f"{error.strerror}: ask as the user that runs the hub") from None
    with reading, reading.snapshot():
        found = sorted(_steps(reading, _range(digits)), key=lambda step: (step.at or 0, step.recipient))
    if not found:
        raise CallerFault(doing, "nothing is known of it here: it was never held, or it is over since 30 days")
    if len({step.envelope for step in found}) > 1:
        raise CallerFault(doing, "several begin with these digits: give more of them")
    return found


Range = tuple[int, int, bytes, bytes]


def _range(digits: str) -> Range:
    length = 2 * ENVELOPE_ID_BYTES
    first, last = (bytes.fromhex(digits.ljust(length, filling)) for filling in ("0", "f"))
    shorts = (int.from_bytes(one[:8], "big", signed=True) for one in (first, last))
    return next(shorts), next(shorts), first, last


def _steps(reading: Reading, within: Range) -> Iterator[Step]:
    for row in reading.rows(_HELD, within):
        yield from _held(row)
    for envelope, recipient, hop, at, exp, proof in _of_days(reading, "passed", _PASSED, within):
        yield Step(
            envelope.hex(), recipient, "handed-on", at, expiry_wall(Minutes(exp)), place=hop, has_proof=bool(proof)
        )
    for envelope, recipient, reason, at, exp in _of_days(reading, "ended", _ENDED, within):
        yield Step(envelope.hex(), recipient, "ended", at, expiry_wall(Minutes(exp)), reason=reason)


def _held(row: Row) -> Iterator[Step]:
    envelope, recipients, place, queue, at, exp = row
    priority = Priority(queue % QUEUES).name.lower()
    for recipient in recipients.split(" "):
        yield Step(
            envelope.hex(), recipient, "held", at or None, expiry_wall(Minutes(exp)), place=place, priority=priority
        )


def _of_days(reading: Reading, kind: str, sql: str, within: Range) -> Iterator[Row]:
    for (table,) in reading.rows(_TABLES, (f"{kind}_[0-9]*",)):
        yield from reading.rows(sql.replace("{table}", table), within)


DIGITS_MIN: Final = 8
_HELD: Final = """
    SELECT envelope, recipients, name, queue, at, exp FROM held CROSS JOIN places ON places.n = queue / 4
    WHERE short BETWEEN ? AND ? AND envelope BETWEEN ? AND ?
"""
_PASSED: Final = """
    SELECT one.envelope, one.recipient, one.hop, one.at, one.exp, length(coalesce(one.vouched, head.vouched))
    FROM {table} AS one LEFT JOIN {table} AS head ON head.n = one.first
    WHERE one.short BETWEEN ? AND ? AND one.envelope BETWEEN ? AND ?
"""
_ENDED: Final = """
    SELECT envelope, recipient, reason, at, exp FROM {table}
    WHERE short BETWEEN ? AND ? AND envelope BETWEEN ? AND ?
"""
_TABLES: Final = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name GLOB ? ORDER BY name"
