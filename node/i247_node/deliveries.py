"""Fix how one message may move towards one recipient. docs/protocol.md 6.6."""

from __future__ import annotations

from typing import Final

from i247_node.records import ConversationState, DeliveryState

MOVES: Final[dict[DeliveryState, frozenset[DeliveryState]]] = {
    DeliveryState.QUEUED: frozenset(
        {DeliveryState.IN_CUSTODY, DeliveryState.DELIVERED, DeliveryState.REFUSED, DeliveryState.EXPIRED}
    ),
    DeliveryState.IN_CUSTODY: frozenset(
        {DeliveryState.QUEUED, DeliveryState.DELIVERED, DeliveryState.REFUSED, DeliveryState.EXPIRED}
    ),
    DeliveryState.DELIVERED: frozenset(),
    DeliveryState.REFUSED: frozenset({DeliveryState.DELIVERED}),
    # A receipt that comes after all proves more than a clock.
    DeliveryState.EXPIRED: frozenset({DeliveryState.DELIVERED}),
}

CONVERSATION_MOVES: Final[dict[ConversationState, frozenset[ConversationState]]] = {
    ConversationState.OPEN: frozenset(
        {
            ConversationState.PENDING,
            ConversationState.ANSWERED,
            ConversationState.REFUSED,
            ConversationState.EXPIRED,
        }
    ),
    ConversationState.PENDING: frozenset(
        {ConversationState.PENDING, ConversationState.ANSWERED, ConversationState.REFUSED, ConversationState.EXPIRED}
    ),
    ConversationState.ANSWERED: frozenset(),
    ConversationState.REFUSED: frozenset(),
    ConversationState.EXPIRED: frozenset(),
}


def may_move(before: DeliveryState, after: DeliveryState) -> bool:
    """Whether a delivery may go from one state to another."""
    return after in MOVES[before]


def conversation_may_move(before: ConversationState, after: ConversationState) -> bool:
    """Whether a conversation may go from one state to another."""
    return after in CONVERSATION_MOVES[before]
