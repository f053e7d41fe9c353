"""Numbers of others that have not come: noticed, asked for, filled, given up; and what a sender says of its own."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from tests.world import entropy

from i247_node.gaps import Gaps
from i247_node.records import Gap, KeepHeard
from i247_protocol.counters import Counters
from i247_protocol.gaps import Account, End, Ended, Missing, Span
from i247_protocol.limits import GAP_MS, GAP_NUMBERS_MAX, GAPS_MAX, LIFETIME_MS_MAX, SKEW_MS, SPANS_MAX
from i247_protocol.machine import Persist
from i247_protocol.names import MemberCode, MonoMs, Now, WallMs
from i247_protocol.priority import Priority

FR, SG = MemberCode("FR"), MemberCode("SG")
LIFE = 1_700_000_000
ROUTINE = Priority.ROUTINE


def at(ms: int) -> Now:
    return Now(MonoMs(ms), WallMs(1_700_000_000_000 + ms))


class Saved(Gaps):
    """Gaps together with what a store would hold of them."""

    def __init__(self, *heard: KeepHeard, counters: Counters | None = None) -> None:
        super().__init__(heard, entropy(1, "gaps"), counters or Counters())
        self.rows = {(one.sender, one.prio): one for one in heard}

    def save(self) -> list[KeepHeard]:
        """Save what has changed; return that."""
        effects = [effect for effect in self.changes() if isinstance(effect, Persist)]
        changed = [effect.record for effect in effects if isinstance(effect.record, KeepHeard)]
        self.rows |= {(one.sender, one.prio): one for one in changed}
        return changed

    def again(self) -> Saved:
        """Return what a new start makes of it."""
        self.save()
        return Saved(*self.rows.values())

    @property
    def missing(self) -> set[int]:
        self.save()
        return {n for one in self.rows.values() for gap in one.gaps for n in range(gap.first, gap.last + 1)}


def hear(found: Gaps, *numbers: int, prio: Priority = ROUTINE, life: int = LIFE, ms: int = 0) -> None:
    for n in numbers:
        found.came(FR, prio, (life, n), at(ms))


def account(span: Span, end: End) -> Account:
    return Account(ended=(Ended(span, end),))


def test_what_comes_in_order_leaves_no_gap_and_no_timer() -> None:
    found = Saved()
    hear(found, *range(1, 100))
    assert found.numbers == 0
    assert found.next_deadline() is None
    assert found.save() == [KeepHeard(FR, ROUTINE, LIFE, 99, ())]
    assert found.save() == []


def test_a_missing_number_is_asked_for_after_a_minute() -> None:
    found = Saved()
    hear(found, 1, 2, 5)
    assert found.numbers == 2
    assert found.next_deadline() == GAP_MS
    assert list(found.due(at(GAP_MS - 1))) == []
    assert list(found.due(at(GAP_MS))) == [(FR, Missing(spans=(Span(ROUTINE, LIFE, 3, 4),)))]


def test_what_came_late_is_not_asked_for() -> None:
    found = Saved()
    hear(found, 1, 4, 3, 2)
    assert found.numbers == 0
    assert list(found.due(at(GAP_MS))) == []
    assert found.next_deadline() is None


def test_a_young_gap_waits_for_its_own_minute() -> None:
    found = Saved()
    hear(found, 1, 3)
    hear(found, 5, ms=GAP_MS - 1)
    assert list(found.due(at(GAP_MS))) == [(FR, Missing(spans=(Span(ROUTINE, LIFE, 2, 2),)))]
    later = found.next_deadline()
    assert later is not None
    ((_, question),) = found.due(at(later))
    assert question.spans == (Span(ROUTINE, LIFE, 2, 2), Span(ROUTINE, LIFE, 4, 4))


def test_it_asks_less_and_less_often() -> None:
    found = Saved()
    hear(found, 2)
    pauses, ms = [], 0
    while ms < 6 * 3_600_000:
        due = found.next_deadline()
        assert due is not None
        pauses.append(due - ms)
        ms = due
        assert len(list(found.due(at(ms)))) == 1
    assert pauses[0] == GAP_MS
    assert all(pause >= GAP_MS for pause in pauses)
    assert max(pauses) <= 16 * GAP_MS
    assert len(pauses) < 60, "a quarter of an hour apart, in the mean half of it"


def test_each_priority_and_each_sender_is_counted_by_itself() -> None:
    found = Saved()
    hear(found, 1, 2, prio=Priority.URGENT)
    hear(found, 1, 3)
    found.came(SG, ROUTINE, (LIFE, 1), at(0))
    assert [(one.sender, one.prio, one.gaps != ()) for one in found.save()] == [
        (FR, Priority.URGENT, False),
        (FR, ROUTINE, True),
        (SG, ROUTINE, False),
    ]


def test_what_its_sender_says_has_ended_is_given_up_and_told() -> None:
    counters = Counters()
    found = Saved(counters=counters)
    hear(found, 1, 9)
    assert list(found.accounted(FR, account(Span(ROUTINE, LIFE, 3, 20), End.EXPIRED))) == [End.EXPIRED]
    assert found.missing == {2}
    assert counters.total("missing.expired") == 6
    assert list(found.accounted(FR, account(Span(ROUTINE, LIFE, 2, 2), End.ACKNOWLEDGED))) == [], "it was here before"
    assert found.missing == set()


def test_an_account_of_what_is_not_missing_changes_nothing() -> None:
    found = Saved()
    hear(found, 1, 3)
    for sender, span in (
        (SG, Span(ROUTINE, LIFE, 2, 2)),
        (FR, Span(Priority.URGENT, LIFE, 2, 2)),
        (FR, Span(ROUTINE, LIFE - 1, 2, 2)),
        (FR, Span(ROUTINE, LIFE, 3, 99)),
    ):
        assert list(found.accounted(sender, account(span, End.EXPIRED))) == []
    assert found.missing == {2}


def test_a_new_life_of_its_sender_begins_anew_and_an_old_one_is_ignored() -> None:
    counters = Counters()
    found = Saved(counters=counters)
    hear(found, 1, 4)
    hear(found, 1, 2, life=LIFE + 1)
    assert found.missing == set()
    assert counters.total("missing.given-up") == 2
    hear(found, 2, 9)
    assert found.missing == set()


def test_who_forgot_everything_asks_for_the_newest_only() -> None:
    found = Saved()
    hear(found, 100_000)
    assert found.missing == set(range(100_000 - GAP_NUMBERS_MAX, 100_000))


def test_a_gap_is_given_up_when_all_in_it_must_have_expired() -> None:
    counters = Counters()
    found = Saved(counters=counters)
    hear(found, 1, 4)
    found.give_up(at(LIFETIME_MS_MAX + SKEW_MS - 1))
    assert found.numbers == 2
    found.give_up(at(LIFETIME_MS_MAX + SKEW_MS))
    assert found.numbers == 0
    assert counters.total("missing.given-up") == 2
    assert found.save() == [KeepHeard(FR, ROUTINE, LIFE, 4, ())]


def test_after_a_restart_it_goes_on() -> None:
    first = Saved()
    hear(first, 1, 2, 7)
    again = first.again()
    again.start(at(1_000))
    assert again.next_deadline() == 1_000 + GAP_MS
    ((member, question),) = again.due(at(1_000 + GAP_MS))
    assert (member, question.spans) == (FR, (Span(ROUTINE, LIFE, 3, 6),))
    hear(again, 8, 3)
    assert again.missing == {4, 5, 6}


def test_a_liar_s_numbers_take_no_room() -> None:
    found = Saved()
    hear(found, *range(1, 2**20, 1_000), 2**53)
    assert len(found.save()[0].gaps) == GAPS_MAX
    ((_, question),) = found.due(at(GAP_MS))
    assert len(question.spans) == SPANS_MAX


@given(st.lists(st.integers(1, 90), min_size=1, max_size=200), st.data())
def test_against_a_set(numbers: list[int], data: st.DataObject) -> None:
    """While there are few gaps exactly what has not come is missing; with many, at least that."""
    found, came, begin = Saved(), set(), max(0, numbers[0] - 1 - GAP_NUMBERS_MAX)
    for n in numbers:
        if data.draw(st.integers(0, 9)) == 0:
            found = found.again()
        hear(found, n)
        came.add(n)
    lacking = set(range(begin + 1, max(came))) - came
    found.save()
    (one,) = found.rows.values()
    spans = [(gap.first, gap.last) for gap in one.gaps]
    assert spans == sorted(spans)
    assert all(later[0] > earlier[1] + 1 for earlier, later in pairwise(spans))
    assert len(spans) <= GAPS_MAX
    assert found.missing >= lacking
    if _runs(lacking) <= GAPS_MAX // 2:
        assert one.last == max(came)


@given(st.permutations(range(1, 31)))
def test_exactly_what_lacks(numbers: list[int]) -> None:
    """Thirty numbers make fifteen gaps at most, so nothing is joined."""
    found, came = Saved(), set()
    for n in numbers:
        hear(found, n)
        came.add(n)
        assert found.missing == set(range(1, max(came))) - came
    assert found.numbers == 0


def test_two_gaps_are_joined_where_least_is_asked_for_again() -> None:
    many = (*(Gap(10 * n, 10 * n, WallMs(0)) for n in range(1, GAPS_MAX)), Gap(315, 316, WallMs(0)))
    found = Saved(KeepHeard(FR, ROUTINE, LIFE, 400, many))
    hear(found, 402)
    assert found.missing == {10 * n for n in range(1, GAPS_MAX)} | {311, 312, 313, 314, 315, 316, 401}


def _runs(numbers: set[int]) -> int:
    return sum(n - 1 not in numbers for n in numbers)
