"""Acknowledge statements by signature. docs/protocol.md 7.5.

A receipt names up to 32 evidence ids of one member in its statement's `re`; its body says what became of them.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from i247_protocol.reasons import is_reason_word


class Outcome(StrEnum):
    """What became of the statements that a receipt names."""

    DELIVERED = "delivered"
    READ = "read"
    HANDLED = "handled"
    REFUSED = "refused"


class Receipt(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One outcome for all the statements named; `reason` is a code of docs/protocol.md 12 when refused, else nil."""

    outcome: Outcome
    reason: str | None


def receipt_is_sound(receipt: Receipt) -> bool:
    """Whether the reason is a word."""
    return receipt.reason is None or is_reason_word(receipt.reason)
