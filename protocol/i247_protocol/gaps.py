"""Ask a sender for numbers that have not come, and account for them. docs/protocol.md 6.7 and 7.6.

A sender counts what it says to one member at one priority. The recipient names the numbers that it misses, by
spans; the sender says what became of each, or sends the message again. Both travel like receipts: with control, kept by
nobody who waits for them, and asked for again.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from i247_protocol.limits import SPANS_MAX
from i247_protocol.names import Ordinal
from i247_protocol.priority import Priority


class End(StrEnum):
    """Why a number will not come any more."""

    ACKNOWLEDGED = "acknowledged"
    REFUSED = "refused"
    EXPIRED = "expired"
    RECALLED = "recalled"
    UNKNOWN = "unknown"


class Span(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """The numbers from `first` to `last`, both included, of one incarnation at one priority."""

    prio: Priority
    incarnation: Ordinal
    first: Ordinal
    last: Ordinal


class Ended(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What became of the numbers of a span."""

    span: Span
    end: End


class Missing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The question: what of yours to me has not come."""

    spans: tuple[Span, ...]


class Account(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The answer: which of these numbers will not come, and why."""

    ended: tuple[Ended, ...]


def missing_is_sound(missing: Missing) -> bool:
    """Whether the question names spans, and not too many."""
    return 1 <= len(missing.spans) <= SPANS_MAX and all(map(span_is_sound, missing.spans))


def account_is_sound(account: Account) -> bool:
    """Whether the answer names spans, and not too many."""
    return 1 <= len(account.ended) <= SPANS_MAX and all(span_is_sound(one.span) for one in account.ended)


def span_is_sound(span: Span) -> bool:
    """Whether a span has numbers; they begin at one."""
    return 1 <= span.first <= span.last
