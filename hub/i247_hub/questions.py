"""Answer what is known of envelopes, and ask the hub that has them where this one has handed them on.

A hub that only knows "passed on" would make the author of a message to an absent member send it again and
again. So a member's question goes one hub further, and the answer comes back the same way. A hub's question is
answered from what is known here, so no question goes in circles. docs/protocol.md 9.8.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from i247_hub.connections import Connection, Connections
from i247_hub.records import HubMemory
from i247_protocol.frames import Ask, Fate, Known, Pair, Role, Told
from i247_protocol.limits import QUESTIONS_MAX
from i247_protocol.machine import Claim, Effect
from i247_protocol.names import EnvelopeId, MemberCode
from i247_protocol.priority import Lane


class Questions:
    """The questions of members that another hub has to answer."""

    def __init__(self, connections: Connections, memory: HubMemory) -> None:
        self._connections = connections
        self._memory = memory
        self._open: dict[tuple[bytes, str], _Asked] = {}

    def ask(self, connection: Connection, ask: Ask) -> Iterator[Effect]:
        """Answer what can be answered here, and pass the rest on."""
        told: list[Known] = []
        onward: dict[str, list[Pair]] = {}
        may_pass_on = connection.caller.role is Role.MEMBER
        for pair in ask.pairs:
            for member, known in self._known(EnvelopeId(pair.envelope), pair.recipients):
                place = known.hop if may_pass_on and known.fate is Fate.PASSED and known.hop != member else ""
                if place and self._connections.outward(place, Lane.EXPRESS) is not None:
                    self._remember(pair.envelope, member, _Asked(connection.caller.name, place))
                    onward.setdefault(place, []).append(Pair(pair.envelope, (member,)))
                else:
                    told.append(known)
        if told:
            yield Claim(connection.link, Told(ask.session, tuple(told)))
        for place, pairs in onward.items():
            further = self._connections.outward(place, Lane.EXPRESS)
            if further is not None:
                yield Claim(further.link, Ask(further.session.id, tuple(pairs)))

    def told(self, connection: Connection, told: Told) -> Iterator[Effect]:
        """Hand another hub's answers to who had asked; what nobody asked it for is passed over."""
        answers: dict[str, list[Known]] = {}
        for known in told.known:
            asked = self._open.get((known.envelope, known.recipient))
            if asked is not None and asked.place == connection.caller.name:
                del self._open[known.envelope, known.recipient]
                answers.setdefault(asked.by, []).append(known)
        for asker, known_to_it in answers.items():
            back = self._connections.outward(asker, Lane.EXPRESS)
            if back is not None and back.caller.in_good_standing:
                yield Claim(back.link, Told(back.session.id, tuple(known_to_it)))

    def _remember(self, envelope: bytes, member: str, asked: _Asked) -> None:
        self._open.pop((envelope, member), None)
        if len(self._open) >= QUESTIONS_MAX:
            del self._open[next(iter(self._open))]  # the oldest; who asked will ask again
        self._open[envelope, member] = asked

    def _known(self, envelope: EnvelopeId, members: tuple[str, ...]) -> Iterator[tuple[MemberCode, Known]]:
        held = {member: row.hop.text for row in self._memory.held(envelope) for member in row.recipients}
        for member in map(MemberCode, members):
            handed = None if member in held else self._memory.handed_on(envelope, member)
            if member in held:
                yield member, Known(envelope, member, Fate.HELD, held[member], 0)
            elif handed is not None:
                yield member, Known(envelope, member, Fate.PASSED, handed.hop, handed.at)
            else:
                yield member, Known(envelope, member, Fate.UNKNOWN, "", 0)


class _Asked(NamedTuple):
    """Who asked, and which hub has to answer."""

    by: str
    place: str
