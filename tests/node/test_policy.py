"""Who may ask what: decisions in one table, wrong tables in another."""

import tomllib

import pytest

from i247_node.policy import OPEN_TO_NOBODY, Policy, parse_policy
from i247_protocol.errors import CallerFault
from i247_protocol.handling import Purpose
from i247_protocol.names import MemberCode
from i247_protocol.reasons import Reason

TABLE = """
refuse = ["QX"]

[registers.sltd]
open_to = "all"
closed_to = ["QY"]

[registers.persons]
open_to = ["FR", "DE", "QX"]
purposes = ["wanted", "missing"]

[registers.shut]
open_to = []
"""


def policy(text: str = TABLE, members: set[MemberCode] | None = None) -> Policy:
    return parse_policy(tomllib.loads(text), members=members)


@pytest.mark.parametrize(
    ("asker", "register", "purpose", "reason"),
    [
        ("FR", "sltd", Purpose.BORDER_CONTROL, None),
        ("XP", "sltd", Purpose.ADMINISTRATION, None),
        ("QY", "sltd", Purpose.BORDER_CONTROL, Reason.POLICY),
        ("QX", "sltd", Purpose.BORDER_CONTROL, Reason.POLICY),
        ("FR", "persons", Purpose.WANTED, None),
        ("FR", "persons", Purpose.BORDER_CONTROL, Reason.POLICY),
        ("IT", "persons", Purpose.WANTED, Reason.POLICY),
        ("QX", "persons", Purpose.WANTED, Reason.POLICY),
        ("FR", "shut", Purpose.WANTED, Reason.POLICY),
        ("FR", "firearms", Purpose.WANTED, Reason.UNKNOWN_REGISTER),
        ("FR", "", Purpose.WANTED, Reason.UNKNOWN_REGISTER),
        ("QX", "firearms", Purpose.WANTED, Reason.POLICY),
    ],
)
def test_decision(asker: str, register: str, purpose: Purpose, reason: Reason | None) -> None:
    assert policy().decide(MemberCode(asker), register, purpose) == reason


def test_nothing_told_is_open_to_nobody() -> None:
    assert policy("") == OPEN_TO_NOBODY
    assert OPEN_TO_NOBODY.decide(MemberCode("FR"), "sltd", Purpose.WANTED) is Reason.UNKNOWN_REGISTER


@pytest.mark.parametrize(
    ("text", "path", "hint"),
    [
        ("refused = []", "policy.refused: unknown key", "did you mean `refuse`?"),
        ("zzz = 1", "policy.zzz: unknown key", "known here: refuse, registers"),
        ('refuse = "QX"', "policy.refuse: not a list", ""),
        ('refuse = ["FR", "qx"]', r"policy.refuse\[1\]: not a member code", "two capital letters"),
        ("refuse = [7]", r"policy.refuse\[0\]: not a text", ""),
        ('refuse = ["ZZ"]', r"policy.refuse\[0\]: no such member", "roster"),
        ("registers = 1", "policy.registers: not a table", ""),
        ("registers.sltd = 1", "policy.registers.sltd: not a table", ""),
        ("[registers.sltd]", "policy.registers.sltd.open_to: missing", ""),
        ('[registers.sltd]\nopen = "all"', "policy.registers.sltd.open: unknown key", "did you mean `open_to`?"),
        ('[registers.sltd]\nopen_to = "FR"', "policy.registers.sltd.open_to: not a list", ""),
        ('[registers.sltd]\nopen_to = "all"\nclosed_to = "all"', "policy.registers.sltd.closed_to: not a list", ""),
        (
            '[registers.sltd]\nopen_to = "all"\npurposes = ["border-controls"]',
            r"policy.registers.sltd.purposes\[0\]: no such purpose",
            "did you mean `border-control`?",
        ),
        ('[registers.""]\nopen_to = "all"', "policy.registers: a name of the wrong length", "1 to 64"),
    ],
)
def test_a_wrong_table_is_told_by_path(text: str, path: str, hint: str) -> None:
    with pytest.raises(CallerFault, match=path) as caught:
        policy(text, {MemberCode("FR")})
    assert hint in caught.value.hint
    assert caught.value.hint


def test_the_path_says_where_the_table_stands() -> None:
    with pytest.raises(CallerFault, match=r"node\.policy\.x"):
        parse_policy({"x": 1}, path="node.policy")
