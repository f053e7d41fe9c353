"""Answer what is known of envelopes, and ask the hub that has them where this one has handed them on.

`ask` is for the author that waits for a receipt: where is it? `show` is for the author that wants evidence: who
has signed for it, or why did it end here? A hub that only knows "passed on" would make the author of a message to
an absent member send it again and again. So a member's question goes one hub further, and the answer comes back
the same way. A hub's question is answered from what is known here, so no question goes in circles.
docs/protocol.md 9.8 and 9.9.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from i247_hub.connections import Connection, Connections
from i247_hub.records import HubMemory
from i247_hub.returns import Returns
from i247_keys.vouching import proof_in
from i247_protocol.frames import Ask, Bounce, Fate, Known, Pair, Proof, Role, Show, Shown, Told
from i247_protocol.limits import QUESTIONS_MAX
from i247_protocol.machine import Claim, Effect
from i247_protocol.names import EnvelopeId, MemberCode, WallMs
from i247_protocol.priority import Lane
from i247_protocol.reasons import Reason


class Questions:
    """The questions of members, and which of them another hub has to answer."""

    def __init__(self, connections: Connections, memory: HubMemory, returns: Returns) -> None:
        self._connections = connections
        self._memory = memory
        self._returns = returns
        self._to_tell = _Onward(connections)
        self._to_show = _Onward(connections)

    def asked(self, connection: Connection, question: Ask | Show) -> Iterator[Effect]:
        """Answer what can be answered here, and pass the rest on."""
        return self._ask(connection, question) if isinstance(question, Ask) else self._show(connection, question)

    def answered(self, connection: Connection, answer: Told | Shown) -> Iterator[Effect]:
        """Hand another hub's answers to who had asked; what nobody asked it for is passed over."""
        return self._told(connection, answer) if isinstance(answer, Told) else self._shown(connection, answer)

    def _ask(self, connection: Connection, ask: Ask) -> Iterator[Effect]:
        told: list[Known] = []
        onward: dict[str, list[Pair]] = {}
        may_pass_on = connection.caller.role is Role.MEMBER
        for pair in ask.pairs:
            for member, known in self._known(EnvelopeId(pair.envelope), pair.recipients):
                place = known.hop if may_pass_on and known.fate is Fate.PASSED and known.hop != member else ""
                if place and self._to_tell.remember(pair.envelope, member, connection.caller.name, place):
                    onward.setdefault(place, []).append(Pair(pair.envelope, (member,)))
                else:
                    told.append(known)
        if told:
            yield Claim(connection.link, Told(ask.session, tuple(told)))
        for place, pairs in onward.items():
            further = self._connections.outward(place, Lane.EXPRESS)
            if further is not None:
                yield Claim(further.link, Ask(further.session.id, tuple(pairs)))

    def _told(self, connection: Connection, told: Told) -> Iterator[Effect]:
        answers: dict[str, list[Known]] = {}
        for known in told.known:
            asker = self._to_tell.answered(known.envelope, known.recipient, connection.caller.name)
            if asker is not None:
                answers.setdefault(asker, []).append(known)
        for asker, known_to_it in answers.items():
            back = self._connections.outward(asker, Lane.EXPRESS)
            if back is not None and back.caller.in_good_standing:
                yield Claim(back.link, Told(back.session.id, tuple(known_to_it)))

    def _show(self, connection: Connection, show: Show) -> Iterator[Effect]:
        """Show how envelopes have left this hub, and let the hub that took them show the rest."""
        proofs: list[Proof] = []
        words: list[Bounce] = []
        onward: dict[str, list[Pair]] = {}
        may_pass_on = connection.caller.role is Role.MEMBER
        for envelope, member in _each(show.pairs):
            handed = self._memory.handed_on(envelope, member)
            if handed is not None:
                proofs.append(proof_in(handed.vouched, handed.hop, envelope, member))
                onto = handed.hop if may_pass_on and handed.hop != member else ""
                if onto and self._to_show.remember(envelope, member, connection.caller.name, onto):
                    onward.setdefault(onto, []).append(Pair(envelope, (member,)))
            else:
                words += self._last_word(envelope, member)
        yield Claim(connection.link, Shown(show.session, tuple(proofs), tuple(words)))
        for place, pairs in onward.items():
            further = self._connections.outward(place, Lane.EXPRESS)
            if further is not None:
                yield Claim(further.link, Show(further.session.id, tuple(pairs)))

    def _shown(self, connection: Connection, shown: Shown) -> Iterator[Effect]:
        answers: dict[str, _Answer] = {}
        for proof in shown.proofs:
            asker = self._to_show.answered(proof.envelope, proof.recipient, connection.caller.name)
            if asker is not None:
                answers.setdefault(asker, _Answer([], [])).proofs.append(proof)
        for word in shown.words:
            asker = self._to_show.answered(word.envelope, word.recipient, connection.caller.name)
            if asker is not None:
                answers.setdefault(asker, _Answer([], [])).words.append(word)
        for asker, answer in answers.items():
            back = self._connections.outward(asker, Lane.EXPRESS)
            if back is not None and back.caller.in_good_standing:
                yield Claim(back.link, Shown(back.session.id, tuple(answer.proofs), tuple(answer.words)))

    def _last_word(self, envelope: EnvelopeId, member: MemberCode) -> Iterator[Bounce]:
        ended = self._memory.ended(envelope, member)
        if ended is not None:
            yield self._returns.word(envelope, member, Reason(ended.reason), WallMs(ended.at))

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


class _Onward:
    """The questions that another hub has to answer: who asked, and which hub."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._open: dict[tuple[bytes, str], _Asked] = {}

    def remember(self, envelope: bytes, member: str, asker: str, place: str) -> bool:
        """Note a question for the hub `place`; return False when that cannot be asked now."""
        if self._connections.outward(place, Lane.EXPRESS) is None:
            return False
        self._open.pop((envelope, member), None)
        if len(self._open) >= QUESTIONS_MAX:
            del self._open[next(iter(self._open))]  # the oldest; who asked will ask again
        self._open[envelope, member] = _Asked(asker, place)
        return True

    def answered(self, envelope: bytes, member: str, place: str) -> str | None:
        """Return who had asked `place` this, and forget it; None when nobody had."""
        asked = self._open.get((envelope, member))
        if asked is None or asked.place != place:
            return None
        del self._open[envelope, member]
        return asked.by


class _Asked(NamedTuple):
    """Who asked, and which hub has to answer."""

    by: str
    place: str


class _Answer(NamedTuple):
    """What was shown for one that had asked."""

    proofs: list[Proof]
    words: list[Bounce]


def _each(pairs: tuple[Pair, ...]) -> Iterator[tuple[EnvelopeId, MemberCode]]:
    for pair in pairs:
        for member in pair.recipients:
            yield EnvelopeId(pair.envelope), MemberCode(member)
