"""Say what people and systems of the members say: queries, letters, diffusions and notices, by luck, on a date, or again.

Each kind has a stream of its own, and each burst; who speaks to whom is for `voices`. Every text that must stay secret
carries a mark, for which the checkers look everywhere. docs/simulation.md 4.
"""

from __future__ import annotations

from itertools import count
from random import Random
from typing import Final, Protocol

from i247_node.commands import AskQuestion, Command, PublishNotice, WriteLetter
from i247_node.policy import Opening, Policy
from i247_node.registers import Finding, MemoryRegister, Record, Register, Registers
from i247_protocol.handling import ROUTINE_HANDLING, Purpose
from i247_protocol.limits import RECIPIENTS_MAX
from i247_protocol.names import MemberCode
from i247_protocol.notices import Colour, Event, Notice
from i247_protocol.priority import Priority
from i247_protocol.queries import Criteria, TravelDocument
from i247_simulations.agenda import Agenda
from i247_simulations.scenario import Scenario
from i247_simulations.streams import luck
from i247_simulations.traffic import Burst, Kind, Line, Size
from i247_simulations.voices import Voices, bytes_of


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
        self._traffic = scenario.traffic
        self._tokens = count(1)
        self._numbers = count(1)
        self._is_on = True
        self._voices = Voices(scenario)
        self._replayed = iter(scenario.traffic.replayed)
        self._thinning = luck(seed, "workload/replay")
        self._bursts = [(one, luck(seed, f"workload/burst/{n}")) for n, one in enumerate(scenario.traffic.bursts)]
        self._streams = {
            kind: (luck(seed, f"workload/{kind.value}"), stream, 3.6e9 / (stream.per_hour * scenario.traffic.scale))
            for kind in Kind
            if (stream := scenario.traffic.streams.get(kind)) is not None and stream.per_hour
        }

    def begin(self) -> None:
        """Let the first of each kind come about."""
        for kind in self._streams:
            self._next(kind)
        for event in self._bursts:
            self._agenda.at(event[0].at_ms * 1_000, self._bursts_out, event)
        self._next_line()

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
            self._users.command(member, self._letter((others[n % len(others)],), Priority.BULK, 2_000))

    # By luck.

    def _next(self, kind: Kind) -> None:
        chance, stream, mean_us = self._streams[kind]
        # With day and night as many come about as at the best hour, and some of them are left out.
        most = 1 if stream.swing is None else 1 + stream.swing.share
        self._agenda.after(int(chance.expovariate(most / mean_us)) + 1, self._comes, kind)

    def _comes(self, kind: Kind) -> None:
        if not self._is_on:
            return
        chance, stream, _ = self._streams[kind]
        author, other = self._voices.pair(kind, chance)
        if stream.swing is None or self._voices.is_up(author, stream.swing, self._agenda.now_us, chance):
            self._say(kind, author, other, stream.size, chance)
        self._next(kind)

    def _say(self, kind: Kind, author: MemberCode, other: MemberCode, size: Size | None, chance: Random) -> None:
        match kind:
            case Kind.QUERY:
                self._users.command(author, self._any_query(author, other, chance))
            case Kind.LETTER:
                prio = Priority.ROUTINE if chance.random() < URGENT_SHARE else Priority.BULK
                self._users.command(author, self._letter((other,), prio, bytes_of(size, chance)))
            case Kind.DIFFUSION:
                most = min(len(self._members) - 1, 12)
                some = chance.sample([one for one in self._members if one != author], chance.randint(1, most))
                self._diffuse(author, tuple(sorted(some)), bytes_of(size, chance))
            case Kind.NOTICE:
                self._diffuse(author, None, bytes_of(size, chance))

    # On a date.

    def _bursts_out(self, event: tuple[Burst, Random]) -> None:
        burst, chance = event
        for _ in range(burst.count):
            self._agenda.after(int(burst.within_ms * 1_000 * chance.random()), self._one_of_burst, event)

    def _one_of_burst(self, event: tuple[Burst, Random]) -> None:
        burst, chance = event
        if not self._is_on:
            return
        author = MemberCode(burst.sender or self._voices.pair(burst.kind, chance)[0])
        if author in burst.to:
            author = chance.choice([one for one in self._members if one not in burst.to] or [author])
        to = tuple(one for one in self._members if one != author and (one in burst.to or not burst.to))
        if burst.to and burst.kind in {Kind.DIFFUSION, Kind.NOTICE}:
            self._diffuse(author, to, bytes_of(burst.size, chance))
        else:
            self._say(burst.kind, author, chance.choice(to), burst.size, chance)

    def _next_line(self) -> None:
        line = next(self._replayed, None)
        if line is not None:
            self._agenda.at(line.at_ms * 1_000, self._line_comes, line)

    def _line_comes(self, line: Line) -> None:
        if not self._is_on:
            return
        scale = self._traffic.scale
        for _ in range(int(scale) + (scale % 1 > 0 and self._thinning.random() < scale % 1)):
            author, to = MemberCode(line.sender), tuple(map(MemberCode, line.to))
            match line.kind:
                case Kind.QUERY:
                    self._users.command(author, self._any_query(author, to[0], self._thinning))
                case Kind.LETTER:
                    self._users.command(author, self._letter(to, Priority.ROUTINE, line.bytes))
                case Kind.DIFFUSION | Kind.NOTICE:
                    self._diffuse(author, to or None, line.bytes)
        self._next_line()

    # What it is.

    def _any_query(self, author: MemberCode, other: MemberCode, chance: Random) -> AskQuestion:
        prio = Priority.URGENT if chance.random() < URGENT_SHARE else Priority.ROUTINE
        within_ms = chance.choice((10_000, 30_000, 120_000))
        return self._query(author, other, within_ms, prio)

    def _diffuse(self, author: MemberCode, to: tuple[MemberCode, ...] | None, size: int) -> None:
        """Publish to some, or to all; to more than one message may name, in several."""
        if to is None and len(self._members) - 1 > RECIPIENTS_MAX:
            to = tuple(one for one in self._members if one != author)
        if to is None or len(to) <= RECIPIENTS_MAX:
            self._users.command(author, self._notice(to, size))
            return
        for begin in range(0, len(to), RECIPIENTS_MAX):
            self._users.command(author, self._notice(to[begin : begin + RECIPIENTS_MAX], size))

    def _query(self, author: str, to: MemberCode, within_ms: int, prio: Priority) -> AskQuestion:
        n = next(self._numbers)
        number = LOST if self._traffic.hit_every and n % self._traffic.hit_every == 0 else f"{MARK}{n}"
        criteria = TravelDocument(country="UTO", number=number, type="P")
        register = SLOW if n % 7 == 0 else FAST
        return AskQuestion(
            next(self._tokens), to, register, criteria, Purpose.BORDER_CONTROL, within_ms, prio, ROUTINE_HANDLING
        )

    def _letter(self, to: tuple[MemberCode, ...], prio: Priority, size: int) -> WriteLetter:
        text = f"{MARK} {next(self._numbers)} ".ljust(size, ".")
        return WriteLetter(
            next(self._tokens), to, f"{MARK} subject", text, None, Purpose.INVESTIGATION, prio, ROUTINE_HANDLING
        )

    def _notice(self, to: tuple[MemberCode, ...] | None, size: int) -> PublishNotice:
        notice = Notice(
            colour=Colour.ORANGE,
            event=Event.PUBLISHED,
            number=f"S/{next(self._numbers)}",
            text=f"{MARK} in the text".ljust(size, "."),
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
