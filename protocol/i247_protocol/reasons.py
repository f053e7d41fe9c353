"""List every reason for which something is refused, dropped or returned.

A reason is one stable word: the wire carries it, counters are named by it, audit records hold it.
Words are never reused for another meaning. docs/protocol.md 12.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Final

from i247_protocol.limits import REASON_BYTES_MAX


class Reason(StrEnum):
    """Why something was not taken; the value is the code on the wire."""

    # Bytes that are not what they claim to be.
    MALFORMED = "malformed"
    NOT_CANONICAL = "not-canonical"
    TOO_LARGE = "too-large"
    UNKNOWN_VERSION = "unknown-version"
    UNKNOWN_SUITE = "unknown-suite"

    # Time.
    EXPIRED = "expired"
    FUTURE_DATED = "future-dated"
    LIFETIME_TOO_LONG = "lifetime-too-long"

    DOUBTFUL_CLOCK = "doubtful-clock"

    # Cryptography: one word for each kind of check, and no detail.
    CANNOT_OPEN = "cannot-open"
    BAD_SIGNATURE = "bad-signature"
    DEAD_KEY = "dead-key"
    NO_KEYCARD = "no-keycard"

    # Who and for whom.
    UNKNOWN_MEMBER = "unknown-member"
    SUSPENDED = "suspended"
    UNKNOWN_HUB = "unknown-hub"
    NOT_ADDRESSED = "not-addressed"
    HEADER_MISMATCH = "header-mismatch"
    DUPLICATE = "duplicate"
    EVIDENCE_CONFLICT = "evidence-conflict"

    # The directory.
    NOT_NEWER = "not-newer"
    FORKED = "forked"
    CHAIN_BROKEN = "chain-broken"
    TOO_FEW_SIGNATURES = "too-few-signatures"
    NOT_JUSTIFIED = "not-justified"
    WRONG_PIN = "wrong-pin"
    DIRECTORY_EXPIRED = "directory-expired"
    NEWER_ROSTER = "newer-roster"

    # The link.
    STRANGER = "stranger"
    CHOSEN_ROUTING_ID = "chosen-routing-id"
    UNKNOWN_SESSION = "unknown-session"
    OUT_OF_TURN = "out-of-turn"
    CREDIT_EXCEEDED = "credit-exceeded"
    TOO_MANY_HOPS = "too-many-hops"
    REPLACED = "replaced"
    TOO_OFTEN = "too-often"

    # Room.
    MAILBOX_FULL = "mailbox-full"
    STORE_FULL = "store-full"
    QUOTA_FULL = "quota-full"
    PARKED_FULL = "parked-full"
    SEEN_FULL = "seen-full"

    # The recipient's own decision.
    POLICY = "policy"
    UNKNOWN_REGISTER = "unknown-register"
    UNKNOWN_BODY = "unknown-body"
    REGISTER_UNAVAILABLE = "register-unavailable"


def is_reason_word(text: str) -> bool:
    """Whether `text` may be a reason, of this version or of a later one: it is kept and shown as it is."""
    return len(text) <= REASON_BYTES_MAX and _WORD.fullmatch(text) is not None


_WORD: Final = re.compile(r"[a-z]+(-[a-z]+)*")
