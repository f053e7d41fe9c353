"""Answer what other members ask: policy first, then the register, and always something. docs/protocol.md 7.2."""

from __future__ import annotations

from i247_node.policy import Policy
from i247_node.registers import Finding, Register, Registers
from i247_protocol.errors import WorldFault
from i247_protocol.handling import Purpose
from i247_protocol.names import MemberCode
from i247_protocol.queries import CAUTION, Query, Reply, Status
from i247_protocol.reasons import Reason


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
