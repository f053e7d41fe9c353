"""Follow our own queries to their end: reply, refusal or expiry, at a stated time. docs/protocol.md 7.2."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from i247_node.commands import ConversationMoved
from i247_node.deliveries import conversation_may_move
from i247_node.records import ConversationState, KeepConversation, NodeMemory
from i247_protocol.machine import Effect, Persist, Tell
from i247_protocol.names import MemberCode, MonoMs, Now
from i247_protocol.queries import Reply, Status
from i247_protocol.timers import Timers


class Conversations:
    """The queries of ours that have not ended."""

    def __init__(self) -> None:
        self._open: dict[bytes, KeepConversation] = {}
        self._due: Timers[bytes] = Timers()

    def __len__(self) -> int:
        return len(self._open)

    def start(self, memory: NodeMemory, now: Now) -> None:
        """Take up what was open when this node stopped."""
        for saved in memory.open_conversations():
            self._follow(saved, now)

    def begin(self, conversation: KeepConversation, now: Now) -> Iterator[Effect]:
        """Follow a new query."""
        self._follow(conversation, now)
        yield Persist(conversation)

    def reply_came(self, conv: bytes, sender: MemberCode, reply: Reply, entry: int) -> Iterator[Effect]:
        """Move a conversation by a reply; the caller has asked `expects` before."""
        state = STATES[reply.status]
        before = self._open[conv]
        if not conversation_may_move(before.state, state):
            return
        after = replace(before, state=state, answer=entry)
        if state is ConversationState.PENDING:
            self._open[conv] = after
        else:
            self._forget(conv)
        yield Persist(after)
        yield Tell(ConversationMoved(conv, after.query, sender, state, reply, entry))

    def expects(self, conv: bytes, sender: MemberCode) -> bool:
        """Whether an open query of ours went to `sender` in this conversation."""
        held = self._open.get(conv)
        return held is not None and held.to == sender

    def refused(self, conv: bytes) -> Iterator[Effect]:
        """End a conversation whose query will not reach its recipient, or was refused by it."""
        yield from self._end(conv, ConversationState.REFUSED)

    def time_passed(self, now: Now) -> Iterator[Effect]:
        """End what nobody answered in time."""
        for conv in list(self._due.due(now.mono)):
            yield from self._end(conv, ConversationState.EXPIRED)

    def next_deadline(self) -> MonoMs | None:
        """Return when the next query's time is over."""
        return self._due.next()

    def _end(self, conv: bytes, state: ConversationState) -> Iterator[Effect]:
        before = self._open.get(conv)
        if before is None:
            return
        self._forget(conv)
        yield Persist(replace(before, state=state))
        yield Tell(ConversationMoved(conv, before.query, before.to, state, None, None))

    def _follow(self, conversation: KeepConversation, now: Now) -> None:
        self._open[conversation.conv] = conversation
        # Never longer than was promised: this may be a start by a clock that is behind, and is set right afterwards.
        left_ms = min(conversation.reply_by - now.wall, conversation.reply_by - conversation.asked)
        self._due.set(conversation.conv, MonoMs(now.mono + max(0, left_ms)))

    def _forget(self, conv: bytes) -> None:
        del self._open[conv]
        self._due.cancel(conv)


STATES: Final = {
    Status.HIT: ConversationState.ANSWERED,
    Status.POSSIBLE: ConversationState.ANSWERED,
    Status.NO_HIT: ConversationState.ANSWERED,
    Status.UNAVAILABLE: ConversationState.ANSWERED,
    Status.REFUSED: ConversationState.REFUSED,
    Status.PENDING: ConversationState.PENDING,
}
