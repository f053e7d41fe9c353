"""Say what people and systems of the members say: queries, letters, diffusions and notices, as independent arrivals.

Each kind has a stream of its own. Every text that must stay secret carries a mark, for which the checkers look
everywhere. docs/simulation.md 4.
"""

from __future__ import annotations

from itertools import count
from typing import Final, Protocol

from i247_node.commands import AskQuestion, Command, PublishNotice, WriteLetter
from i247_node.policy import Opening, Policy
from i247_node.registers import Finding, MemoryRegister, Record, Register, Registers
from i247_protocol.handling import ROUTINE_HANDLING, Purpose
from i247_protocol.names import SECRETARIAT, MemberCode
from i247_protocol.notices import Colour, Event, Notice
from i247_protocol.priority import Priority
from i247_protocol.queries import Criteria, TravelDocument
from i247_simulations.agenda import Agenda
from i247_simulations.scenarios import Scenario
from i247_simulations.streams import luck


class Users(Protocol):
    """Where commands go."""

    def command(self, member: str, command: Command) -> bool:
        """Give a member's node a command; return whether it runs and took it."""
        ...


class Workload:
    """All that is said while `stop` has not been called."""

    def __init__(self, seed: int, scenario: Scenario, agenda: Agenda, users: Users) -> None:
        self._members = [MemberCode(code) for code in scenario.members]
        self._agenda = agenda
        self._users = users
        self._traffic = traffic = scenario.traffic
        self._tokens = count(1)
        self._numbers = count(1)
        self._is_on = True
        self._streams = {
            kind: (luck(seed, f"workload/{kind}"), 3.6e9 / per_hour)
            for kind, per_hour in (
                ("query", traffic.queries),
                ("letter", traffic.letters),
                ("diffusion", traffic.diffusions),
                ("notice", traffic.notices),
            )
            if per_hour
        }

    def begin(self) -> None:
        """Let the first of each kind come about."""
        for kind in self._streams:
            self._next(kind)

    def stop(self) -> None:
        """Say nothing more."""
        self._is_on = False

    def probe(self) -> list[tuple[int, str]]:
        """Let each member ask another one; return the tokens and who asked."""
        asked = []
        turn = len(self._members)
        for n, member in enumerate(self._members):
            command = self._query(member, self._members[(n + 1) % turn], within_ms=60_000, prio=Priority.URGENT)
            if self._users.command(member, command):
                asked.append((command.token, str(member)))
        return asked

    def flood(self, member: str, letters: int) -> None:
        """Let a member write many letters at once."""
        others = [one for one in self._members if one != member]
        for n in range(letters):
            self._users.command(member, self._letter(others[n % len(others)], Priority.BULK, 2_000))

    def _next(self, kind: str) -> None:
        chance, mean_us = self._streams[kind]
        self._agenda.after(int(chance.expovariate(1 / mean_us)) + 1, self._comes, kind)

    def _comes(self, kind: str) -> None:
        if not self._is_on:
            return
        chance, _ = self._streams[kind]
        author, other = chance.sample(self._members, 2)
        match kind:
            case "query":
                prio = Priority.URGENT if chance.random() < URGENT_SHARE else Priority.ROUTINE
                within_ms = chance.choice((10_000, 30_000, 120_000))
                self._users.command(author, self._query(author, other, within_ms, prio))
            case "letter":
                prio = Priority.ROUTINE if chance.random() < URGENT_SHARE else Priority.BULK
                size = min(LETTER_BYTES_MAX, int(chance.expovariate(1 / self._traffic.letter_bytes)) + 1)
                self._users.command(author, self._letter(other, prio, size))
            case "diffusion":
                most = min(len(self._members) - 1, 12)
                some = chance.sample([one for one in self._members if one != author], chance.randint(1, most))
                self._users.command(author, self._notice(tuple(sorted(some))))
            case _:
                self._users.command(SECRETARIAT, self._notice(None))
        self._next(kind)

    def _query(self, author: str, to: MemberCode, within_ms: int, prio: Priority) -> AskQuestion:
        n = next(self._numbers)
        number = LOST if n % 10 == 0 else f"{MARK}{n}"
        criteria = TravelDocument(country="UTO", number=number, type="P")
        register = SLOW if n % 7 == 0 else FAST
        return AskQuestion(
            next(self._tokens), to, register, criteria, Purpose.BORDER_CONTROL, within_ms, prio, ROUTINE_HANDLING
        )

    def _letter(self, to: MemberCode, prio: Priority, size: int) -> WriteLetter:
        text = f"{MARK} {next(self._numbers)} ".ljust(size, ".")
        return WriteLetter(
            next(self._tokens), (to,), f"{MARK} subject", text, None, Purpose.INVESTIGATION, prio, ROUTINE_HANDLING
        )

    def _notice(self, to: tuple[MemberCode, ...] | None) -> PublishNotice:
        notice = Notice(
            colour=Colour.ORANGE,
            event=Event.PUBLISHED,
            number=f"S/{next(self._numbers)}",
            text=f"{MARK} in the text",
            title=f"{MARK} in the title",
            valid_until=2**41,
            version=1,
        )
        return PublishNotice(next(self._tokens), notice, to, Purpose.ALERT, Priority.ROUTINE, ROUTINE_HANDLING)


class SlowRegister:
    """A register that is asked off the loop, and answers with what a fast one holds."""

    is_immediate = False

    def __init__(self, inner: Register) -> None:
        self.name = SLOW
        self._inner = inner

    def look_up(self, criteria: Criteria) -> Finding:
        """Return what is found."""
        return self._inner.look_up(criteria)


def registers_of(member: str) -> Registers:
    """Return what each member keeps: a few lost documents, in a fast and in a slow register."""
    lost = Record(
        record=f"{member}-1",
        subject=TravelDocument(country="UTO", number=LOST, type="P"),
        owner=member,
        action=f"{MARK}: seize and report.",
        fields={"status": "lost"},
    )
    fast = MemoryRegister(FAST, [lost])
    return Registers([fast, SlowRegister(fast)])


def open_policy() -> Policy:
    """Return the policy that answers everybody."""
    everybody = Opening(open_to=None, closed_to=frozenset(), purposes=None)
    return Policy(frozenset(), {FAST: everybody, SLOW: everybody})


MARK: Final = "QZ7MARK9WX"
"""Stands in every text that nobody but the two ends may see, and nowhere else."""
LOST: Final = f"{MARK}LOST"
FAST: Final = "sltd"
SLOW: Final = "archive"
URGENT_SHARE: Final = 0.5
LETTER_BYTES_MAX: Final = 30_000
