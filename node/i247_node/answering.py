"""Answer what other members ask: policy first, then the register, and always something. docs/protocol.md 7.2."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from i247_node.commands import LookUp, LookupFinished
from i247_node.composing import Draft
from i247_node.policy import Policy
from i247_node.records import AnswerGiven, Entry, NodeMemory, OweAnswer
from i247_node.registers import Finding, Register, Registers
from i247_node.speaking import Speaker
from i247_node.trail import Trail
from i247_protocol.bodies import parse_body
from i247_protocol.counters import Counters
from i247_protocol.errors import WorldFault
from i247_protocol.handling import Purpose
from i247_protocol.limits import NOTICE_LIFETIME_MS
from i247_protocol.machine import Effect, Persist, Tell
from i247_protocol.names import MINUTE_MS, MemberCode, Now
from i247_protocol.queries import CAUTION, Query, Reply, Status
from i247_protocol.reasons import Reason
from i247_protocol.statement import Act, Statement, parse_statement


class Answering:
    """The queries of other members, from arrival to reply."""

    def __init__(
        self,
        registers: Registers,
        policy: Policy,
        memory: NodeMemory,
        speaker: Speaker,
        trail: Trail,
        counters: Counters,
    ) -> None:
        self.registers = registers
        self.policy = policy
        self._memory = memory
        self._speaker = speaker
        self._trail = trail
        self._counters = counters

    def query_came(self, entry: Entry, statement: Statement, query: Query, now: Now) -> Iterator[Effect]:
        """Answer a query that is saved: at once where the register allows that, else when it was looked up."""
        found = permitted(self.policy, self.registers, entry.sender, query, statement.basis)
        if isinstance(found, Reply):
            yield from self._reply(entry, statement, found, now)
        elif found.is_immediate:
            yield from self._reply(entry, statement, look_up_now(found, query), now)
        else:
            yield Persist(OweAnswer(entry.n))
            yield Tell(LookUp(entry.n, query.register, query.criteria))

    def _reply(self, entry: Entry, statement: Statement, reply: Reply, now: Now) -> Iterator[Effect]:
        """Send a reply; it names the query's evidence id and so is its receipt."""
        draft = Draft(
            act=Act.REPLY,
            to=(entry.sender,),
            body=reply,
            prio=entry.prio,
            lifetime_ms=min(NOTICE_LIFETIME_MS, max(REPLY_LIFETIME_MS_MIN, entry.exp * MINUTE_MS - now.wall)),
            basis=statement.basis,
            handling=statement.handling,
            conv=entry.conv,
            re=(entry.sid,),
        )
        detail = reply.status.value if reply.reason is None else f"{reply.status.value}:{reply.reason}"
        yield self._trail.of("answered", entry.sender, entry.sid, entry.conv, detail, now=now)
        yield from self._speaker.reply(draft, now)
        self._counters.add(f"answered.{reply.status.value}")

    def lookup_finished(self, event: LookupFinished, now: Now) -> Iterator[Effect]:
        """Answer a query that a slow register was asked for."""
        entry = next((owed for owed in self._memory.answers_owed() if owed.n == event.entry), None)
        if entry is None:
            return
        statement = parse_statement(entry.statement)
        query = parse_body(statement)
        if isinstance(query, Query):
            yield from self._reply(entry, statement, reply_with(query, event.finding), now)
        yield Persist(AnswerGiven(entry.n))

    def start(self, now: Now) -> Iterator[Effect]:
        """Look up again, after a restart, what was asked and not answered."""
        for entry in self._memory.answers_owed():
            query = parse_body(parse_statement(entry.statement))
            if isinstance(query, Query) and entry.exp * MINUTE_MS > now.wall:
                yield Tell(LookUp(entry.n, query.register, query.criteria))
            else:
                yield Persist(AnswerGiven(entry.n))


def permitted(
    policy: Policy, registers: Registers, asker: MemberCode, query: Query, purpose: Purpose
) -> Register | Reply:
    """Return the register to look in, or the refusal to send."""
    reason = policy.decide(asker, query.register, purpose)
    register = registers.get(query.register)
    if reason is None and register is None:
        reason = Reason.UNKNOWN_REGISTER
    if reason is not None or register is None:
        return refusal(query, reason or Reason.UNKNOWN_REGISTER)
    return register


def look_up_now(register: Register, query: Query) -> Reply:
    """Return the reply from a register that answers at once."""
    try:
        return reply_with(query, register.look_up(query.criteria))
    except WorldFault:
        return reply_with(query, Finding(Status.UNAVAILABLE, (), None, Reason.REGISTER_UNAVAILABLE))


def reply_with(query: Query, finding: Finding) -> Reply:
    """Return the reply that a finding makes."""
    return Reply(
        as_of=finding.as_of,
        candidates=finding.candidates,
        caution=CAUTION,
        reason=None if finding.reason is None else finding.reason.value,
        register=query.register,
        status=finding.status,
    )


def refusal(query: Query, reason: Reason) -> Reply:
    """Return the reply that refuses a query."""
    return reply_with(query, Finding(Status.REFUSED, (), None, reason))


REPLY_LIFETIME_MS_MIN: Final = 60_000
