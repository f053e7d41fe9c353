"""At most one deadline a key, the earliest first."""

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from i247_protocol.names import MonoMs
from i247_protocol.timers import Timers


def due(timers: Timers[str], at: int) -> list[str]:
    return list(timers.due(MonoMs(at)))


def test_the_earliest_goes_first() -> None:
    timers: Timers[str] = Timers()
    for key, at in (("late", 30), ("early", 10), ("middle", 20)):
        timers.set(key, MonoMs(at))
    assert timers.next() == 10
    assert due(timers, 20) == ["early", "middle"]
    assert (timers.next(), len(timers)) == (30, 1)


def test_setting_again_moves() -> None:
    timers: Timers[str] = Timers()
    timers.set("one", MonoMs(10))
    timers.set("one", MonoMs(30))
    assert due(timers, 20) == []
    assert due(timers, 30) == ["one"]
    timers.set("one", MonoMs(50))
    timers.set("one", MonoMs(40))
    assert (timers.next(), len(timers)) == (40, 1)


def test_a_cancelled_one_is_gone_and_may_come_back() -> None:
    timers: Timers[str] = Timers()
    timers.set("one", MonoMs(10))
    timers.cancel("one")
    timers.cancel("one")
    assert ("one" in timers, timers.next()) == (False, None)
    timers.set("one", MonoMs(10))
    assert due(timers, 10) == ["one"]


def test_keys_need_no_order() -> None:
    timers: Timers[object] = Timers()
    keys = [object(), "text", 1, (None,)]
    for key in keys:
        timers.set(key, MonoMs(5))
    assert list(timers.due(MonoMs(5))) == keys


def test_a_key_set_while_others_are_due_is_due_in_its_turn() -> None:
    timers: Timers[str] = Timers()
    timers.set("one", MonoMs(1))
    timers.set("two", MonoMs(2))
    seen = []
    for key in timers.due(MonoMs(9)):
        seen.append(key)
        if key == "one":
            timers.set("three", MonoMs(3))
            timers.cancel("two")
    assert seen == ["one", "three"]
    assert len(timers) == 0


@given(st.dictionaries(st.integers(0, 20), st.integers(0, 100)), st.integers(0, 100))
def test_all_that_is_due_and_nothing_else(deadlines: dict[int, int], now: int) -> None:
    timers: Timers[int] = Timers()
    for key, at in deadlines.items():
        timers.set(key, MonoMs(at))
    assert sorted(timers.due(MonoMs(now))) == sorted(key for key, at in deadlines.items() if at <= now)


class Model(RuleBasedStateMachine):
    """Timers against a dict."""

    def __init__(self) -> None:
        super().__init__()
        self.timers: Timers[int] = Timers()
        self.model: dict[int, int] = {}

    @rule(key=st.integers(0, 5), at=st.integers(0, 50))
    def set(self, key: int, at: int) -> None:
        self.timers.set(key, MonoMs(at))
        self.model[key] = at

    @rule(key=st.integers(0, 5))
    def cancel(self, key: int) -> None:
        self.timers.cancel(key)
        self.model.pop(key, None)

    @rule(now=st.integers(0, 50))
    def pass_time(self, now: int) -> None:
        found = list(self.timers.due(MonoMs(now)))
        assert sorted(found) == sorted(key for key, at in self.model.items() if at <= now)
        deadlines = [self.model.pop(key) for key in found]
        assert deadlines == sorted(deadlines)

    @invariant()
    def agrees(self) -> None:
        assert len(self.timers) == len(self.model)
        assert self.timers.next() == min(self.model.values(), default=None)
        assert {key for key in range(6) if key in self.timers} == set(self.model)


TestTimersAgainstAModel = Model.TestCase
