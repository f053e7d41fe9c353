"""Notice which numbers of other members have not come, and when to ask for them.

A sender counts what it says to this member at one priority. Whatever is lost on the way its outbox repeats; this module
looks from the other end, so that what will not come any more (it expired, a hub refused it, its sender's disk is an
older one) is known here as well. Nothing is saved in the turn in which a number comes: what is behind by a second after
a crash costs a question too many, which the sender answers by this member's own receipt. docs/protocol.md 6.7.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from i247_node.records import Gap, KeepHeard
from i247_protocol.counters import Counters
from i247_protocol.gaps import Account, End, Missing, Span
from i247_protocol.limits import GAP_MS, GAP_NUMBERS_MAX, GAPS_MAX, LIFETIME_MS_MAX, RETRY_MS_MAX, SKEW_MS, SPANS_MAX
from i247_protocol.machine import Effect, Persist
from i247_protocol.names import MemberCode, MonoMs, Now, WallMs
from i247_protocol.priority import Priority
from i247_protocol.timers import Timers


@dataclass(slots=True)
class Heard:
    """What came from one member at one priority: all up to `last`, but what lies in the gaps."""

    incarnation: int
    last: int
    gaps: list[Gap]
    is_changed: bool = False


class Gaps:
    """The numbers of other members that are missing here."""

    def __init__(self, heard: Iterable[KeepHeard], entropy: Callable[[int], bytes], counters: Counters) -> None:
        self._heard = {(one.sender, one.prio): Heard(one.incarnation, one.last, list(one.gaps)) for one in heard}
        self._entropy = entropy
        self._counters = counters
        self._due: Timers[MemberCode] = Timers()
        self._tries: dict[MemberCode, int] = {}

    def start(self, now: Now) -> None:
        """Ask again, in a while, for what was missing when this node stopped."""
        for (sender, _), heard in self._heard.items():
            if heard.gaps and sender not in self._due:
                self._due.set(sender, MonoMs(now.mono + GAP_MS))

    def came(self, sender: MemberCode, prio: Priority, seq: tuple[int, int], now: Now) -> None:
        """Note that a statement with this number is saved here, or was before."""
        incarnation, n = seq
        heard = self._heard.get((sender, prio))
        if heard is not None and heard.incarnation == incarnation:
            if n == heard.last + 1:
                heard.last = n
                heard.is_changed = True
                return
        elif heard is None or heard.incarnation < incarnation:
            # Of what came before its first sight only the newest is asked for: this node may be the one that forgot.
            self._forget(heard)
            heard = Heard(incarnation, max(0, n - 1 - GAP_NUMBERS_MAX), [])
            self._heard[sender, prio] = heard
        else:
            return  # of a life that its sender has left behind
        if n > heard.last:
            self._skip_to(heard, n, now)
            if heard.gaps and sender not in self._due:
                self._due.set(sender, MonoMs(now.mono + GAP_MS))
        else:
            self._fill(heard, n, n)

    def accounted(self, sender: MemberCode, account: Account) -> Iterator[End]:
        """Take a sender's word on what will not come; yield why, for each run of numbers that was missing."""
        for span, end in ((one.span, one.end) for one in account.ended):
            heard = self._heard.get((sender, span.prio))
            if heard is None or heard.incarnation != span.incarnation:
                continue
            for first, last in self._fill(heard, span.first, span.last):
                if end is not End.ACKNOWLEDGED:
                    self._counters.add(f"missing.{end.value}", last - first + 1)
                    yield end

    def due(self, now: Now) -> Iterator[tuple[MemberCode, Missing]]:
        """Yield what to ask of whom; whoever is asked is asked again later, less and less often."""
        for sender in list(self._due.due(now.mono)):
            known = [(prio, heard) for prio in Priority if (heard := self._heard.get((sender, prio))) and heard.gaps]
            if not known:
                self._tries.pop(sender, None)
                continue
            spans = [
                Span(prio, heard.incarnation, gap.first, gap.last)
                for prio, heard in known
                for gap in heard.gaps
                if gap.since <= now.wall - GAP_MS
            ][:SPANS_MAX]
            tries = self._tries.get(sender, 0)
            self._due.set(sender, MonoMs(now.mono + self._pause_ms(tries)))
            if spans:
                self._tries[sender] = tries + 1
                self._counters.add("missing.asked", len(spans))
                yield sender, Missing(spans=tuple(spans))

    def next_deadline(self) -> MonoMs | None:
        """Return when something is to be asked next."""
        return self._due.next()

    def give_up(self, now: Now) -> None:
        """Let go what must have expired by now, though nobody has said so; not with a doubtful clock."""
        oldest = WallMs(now.wall - LIFETIME_MS_MAX - SKEW_MS)
        for heard in self._heard.values():
            kept = [gap for gap in heard.gaps if gap.since > oldest]
            if len(kept) < len(heard.gaps):
                self._forget(heard, kept)

    def changes(self) -> Iterator[Effect]:
        """Yield what saves whatever came since the last time."""
        for (sender, prio), heard in self._heard.items():
            if heard.is_changed:
                heard.is_changed = False
                yield Persist(KeepHeard(sender, prio, heard.incarnation, heard.last, tuple(heard.gaps)))

    @property
    def numbers(self) -> int:
        """How many numbers are missing."""
        return sum(gap.last - gap.first + 1 for heard in self._heard.values() for gap in heard.gaps)

    def _skip_to(self, heard: Heard, n: int, now: Now) -> None:
        if n > heard.last + 1:
            heard.gaps.append(Gap(heard.last + 1, n - 1, now.wall))
            if len(heard.gaps) > GAPS_MAX:
                _join_nearest(heard.gaps)
        heard.last = n
        heard.is_changed = True

    def _fill(self, heard: Heard, first: int, last: int) -> list[tuple[int, int]]:
        """Take numbers out of the gaps; return what was missing of them."""
        filled: list[tuple[int, int]] = []
        kept: list[Gap] = []
        for gap in heard.gaps:
            begin, end = max(first, gap.first), min(last, gap.last)
            if begin > end:
                kept.append(gap)
                continue
            filled.append((begin, end))
            if gap.first < begin:
                kept.append(Gap(gap.first, begin - 1, gap.since))
            if end < gap.last:
                kept.append(Gap(end + 1, gap.last, gap.since))
        if filled:
            if len(kept) > GAPS_MAX:
                _join_nearest(kept)
            heard.gaps = kept
            heard.is_changed = True
        return filled

    def _forget(self, heard: Heard | None, kept: Iterable[Gap] = ()) -> None:
        if heard is None:
            return
        before = heard.gaps
        heard.gaps = list(kept)
        heard.is_changed = True
        lost = sum(gap.last - gap.first + 1 for gap in before if gap not in heard.gaps)
        if lost:
            self._counters.add("missing.given-up", lost)

    def _pause_ms(self, tries: int) -> int:
        longest = min(RETRY_MS_MAX, GAP_MS << min(tries, DOUBLINGS_MAX))
        return GAP_MS + int.from_bytes(self._entropy(4)) * longest // 2**32


def _join_nearest(gaps: list[Gap]) -> None:
    """Make one gap of the two with the fewest numbers between them: better to ask for these again than to forget."""
    between = [later.first - earlier.last for earlier, later in pairwise(gaps)]
    at = between.index(min(between))
    earlier, later = gaps[at : at + 2]
    gaps[at : at + 2] = [Gap(earlier.first, later.last, min(earlier.since, later.since))]


DOUBLINGS_MAX: Final = 10
