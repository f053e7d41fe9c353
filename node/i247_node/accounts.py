"""Account to a recipient for numbers that it misses: send again what may still come, say what will not.

Each number is looked up here, so an answer covers at most `ACCOUNTED_NUMBERS_MAX` of them, the lowest first, and one
member is answered once in `ACCOUNT_PAUSE_MS`; whoever misses more asks again. docs/protocol.md 6.7.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, islice

from i247_node.outbox import Outbox
from i247_node.records import DeliveryState, NodeMemory
from i247_node.speaking import Speaker
from i247_protocol.counters import Counters
from i247_protocol.gaps import Account, End, Ended, Missing, Span
from i247_protocol.limits import ACCOUNT_PAUSE_MS, ACCOUNTED_NUMBERS_MAX, SPANS_MAX
from i247_protocol.machine import Effect
from i247_protocol.names import MemberCode, MonoMs, Now
from i247_protocol.priority import Priority
from i247_protocol.reasons import Reason

Number = tuple[Priority, int, int]


class Accounts:
    """What this node answers to members that miss something of it."""

    def __init__(self, memory: NodeMemory, outbox: Outbox, speaker: Speaker, counters: Counters) -> None:
        self._memory = memory
        self._outbox = outbox
        self._speaker = speaker
        self._counters = counters
        self._not_before: dict[MemberCode, MonoMs] = {}

    def asked(self, by: MemberCode, missing: Missing, now: Now) -> Iterator[Effect]:
        """Answer a member's question."""
        if now.mono < self._not_before.get(by, 0):
            self._counters.add(f"refused.{Reason.TOO_OFTEN.value}")
            return
        self._not_before[by] = MonoMs(now.mono + ACCOUNT_PAUSE_MS)
        numbers = chain.from_iterable(map(_numbers, missing.spans))
        ended: list[Ended] = []
        for number in islice(numbers, ACCOUNTED_NUMBERS_MAX):
            end, effects = self._look(by, number, now)
            yield from effects
            if end is not None and not _joined(ended, number, end):
                if len(ended) == SPANS_MAX:
                    break
                ended.append(Ended(_span(number), end))
        if ended:
            yield from self._speaker.account_to(by, Account(ended=tuple(ended)), now)

    def _look(self, by: MemberCode, number: Number, now: Now) -> tuple[End | None, Iterator[Effect]]:
        """Return what became of one number, or None and what sends it on."""
        n = self._memory.outgoing_by_number(by, *number)
        delivery = None if n is None else self._memory.delivery(n, by)
        if delivery is None:
            return End.UNKNOWN, iter(())
        if delivery.state is DeliveryState.IN_CUSTODY:
            return None, self._outbox.send_again(delivery.n, by, now)
        return ENDS.get(delivery.state), iter(())


def _numbers(span: Span) -> Iterator[Number]:
    return ((span.prio, span.incarnation, n) for n in range(span.first, span.last + 1))


def _span(number: Number) -> Span:
    prio, incarnation, n = number
    return Span(prio, incarnation, n, n)


def _joined(ended: list[Ended], number: Number, end: End) -> bool:
    """Whether the number could be added to the last span."""
    if not ended:
        return False
    prio, incarnation, n = number
    span, before = ended[-1].span, ended[-1].end
    if before is not end or (span.prio, span.incarnation, span.last + 1) != (prio, incarnation, n):
        return False
    ended[-1] = Ended(Span(prio, incarnation, span.first, n), end)
    return True


ENDS = {
    DeliveryState.DELIVERED: End.ACKNOWLEDGED,
    DeliveryState.REFUSED: End.REFUSED,
    DeliveryState.EXPIRED: End.EXPIRED,
}
