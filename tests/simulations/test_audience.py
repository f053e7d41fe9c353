"""Who is told of what: each observer of the kinds that it looks at, and no checker forgets one that it names."""

from __future__ import annotations

import inspect
from typing import ClassVar, get_args

import pytest

from i247_hub.records import Record as HubRecord
from i247_node import commands
from i247_node.records import Record as NodeRecord
from i247_protocol.frames import Frame
from i247_simulations.audience import Audience
from i247_simulations.checkers.watching import Checker
from i247_simulations.measures import Measures
from i247_simulations.world import CHECKERS

RECORDS = {*get_args(HubRecord), *get_args(NodeRecord)}
NEWS = {*get_args(commands.News)}
KINDS = {"effect": {*RECORDS, *get_args(Frame)}, "durable": RECORDS, "told": NEWS}


class Watcher:
    """Notes what it is told of."""

    looks_at: ClassVar[dict[str, frozenset[type]]] = {"durable": frozenset({int})}

    def __init__(self) -> None:
        self.told_of: list[object] = []

    def durable(self, record: object) -> None:
        self.told_of.append(record)

    def told(self, news: object) -> None:
        self.told_of.append(news)


def test_an_observer_is_told_of_the_kinds_that_it_looks_at() -> None:
    watcher = Watcher()
    durable, told = Audience([watcher], "durable"), Audience([watcher], "told")
    for one in (1, "text", 2, True):
        for see in durable[type(one)]:
            see(one)
        for see in told[type(one)]:
            see(one)
    assert watcher.told_of == [1, 1, "text", 2, 2, True]


def forgotten(checker: type[Checker]) -> set[str]:
    """Return the kinds that a checker's source names and that none of its tables lists."""
    named = set(inspect.getsource(checker).replace("(", " ").replace(")", " ").replace(",", " ").split())
    own = [method for method in KINDS if getattr(checker, method) is not getattr(Checker, method)]
    if any(method not in checker.looks_at for method in own):
        return set()  # one that is told of all cannot be told of too little
    listed = {kind.__name__ for method in own for kind in checker.looks_at[method]}
    return {kind.__name__ for method in own for kind in KINDS[method] if kind.__name__ in named} - listed


@pytest.mark.parametrize("checker", [*CHECKERS, Measures], ids=lambda one: one.__name__)
def test_a_checker_is_told_of_every_kind_that_it_names(checker: type[Checker]) -> None:
    assert forgotten(checker) == set()


class Forgetful(Checker):
    """Looks at a record that it does not list."""

    looks_at: ClassVar[dict[str, frozenset[type]]] = {"durable": frozenset()}

    def durable(self, program: object, record: object) -> None:
        match record:
            case commands.Accepted():
                self.broken("", "not a record")
            case KeepAudit():  # type: ignore[name-defined]  # noqa: F821  only its name is read
                self.broken("", "seen")
            case _:
                pass


def test_a_table_that_forgets_a_kind_is_noticed() -> None:
    assert forgotten(Forgetful) == {"KeepAudit"}
