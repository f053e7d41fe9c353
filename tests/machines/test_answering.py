"""Whether a query is looked up, as a table."""

from __future__ import annotations

import pytest

from i247_node.answering import look_up_now, permitted
from i247_node.policy import Policy, parse_policy
from i247_node.registers import Finding, MemoryRegister, Record, Registers
from i247_protocol.errors import WorldFault
from i247_protocol.handling import Purpose
from i247_protocol.names import MemberCode
from i247_protocol.queries import CAUTION, Criteria, Query, Reply, Status, TravelDocument, Vehicle
from i247_protocol.reasons import Reason

LOST = TravelDocument(country="UTO", number="L898902C3", type="P")
RECORD = Record(record="1", subject=LOST, owner="UT", action="Seize.", fields={})
REGISTERS = Registers([MemoryRegister("sltd", [RECORD]), MemoryRegister("unopened", [])])
POLICY = parse_policy(
    {
        "refuse": ["BR"],
        "registers": {"sltd": {"open_to": "all", "purposes": ["border-control"]}, "absent": {"open_to": "all"}},
    }
)


def query(register: str, criteria: Criteria = LOST) -> Query:
    return Query(criteria=criteria, register=register, reply_by=0)


@pytest.mark.parametrize(
    ("asker", "register", "purpose", "reason"),
    [
        ("FR", "sltd", Purpose.BORDER_CONTROL, None),
        ("FR", "sltd", Purpose.WANTED, Reason.POLICY),
        ("BR", "sltd", Purpose.BORDER_CONTROL, Reason.POLICY),
        ("BR", "nowhere", Purpose.BORDER_CONTROL, Reason.POLICY),  # nor does it learn which registers there are
        ("FR", "nowhere", Purpose.BORDER_CONTROL, Reason.UNKNOWN_REGISTER),
        ("FR", "unopened", Purpose.BORDER_CONTROL, Reason.UNKNOWN_REGISTER),
        ("FR", "absent", Purpose.BORDER_CONTROL, Reason.UNKNOWN_REGISTER),
    ],
)
def test_who_may_ask_what(asker: str, register: str, purpose: Purpose, reason: Reason | None) -> None:
    found = permitted(POLICY, REGISTERS, MemberCode(asker), query(register), purpose)
    if reason is None:
        assert found is REGISTERS["sltd"]
    else:
        assert isinstance(found, Reply)
        assert (found.status, found.reason, found.candidates) == (Status.REFUSED, reason.value, ())
        assert found.register == register


def test_a_policy_that_names_nothing_opens_nothing() -> None:
    found = permitted(Policy(frozenset(), {}), REGISTERS, MemberCode("FR"), query("sltd"), Purpose.BORDER_CONTROL)
    assert isinstance(found, Reply)


@pytest.mark.parametrize(
    ("criteria", "status"),
    [
        (LOST, Status.HIT),
        (TravelDocument(country="UTO", number="OTHER", type="P"), Status.NO_HIT),
        (TravelDocument(country="", number="", type=""), Status.REFUSED),
        (Vehicle(country="", plate="", vin="1"), Status.REFUSED),
    ],
)
def test_every_look_up_ends_in_a_reply_with_its_caution(criteria: Criteria, status: Status) -> None:
    reply = look_up_now(REGISTERS["sltd"], query("sltd", criteria))
    assert (reply.status, reply.caution) == (status, CAUTION)


def test_a_register_that_cannot_be_reached_is_unavailable() -> None:
    class Broken:
        name = "sltd"
        is_immediate = True

        def look_up(self, criteria: Criteria) -> Finding:
            raise WorldFault("looking up", "wait")

    reply = look_up_now(Broken(), query("sltd"))
    assert (reply.status, reply.reason) == (Status.UNAVAILABLE, Reason.REGISTER_UNAVAILABLE.value)
