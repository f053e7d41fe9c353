"""Ask one question after another of what a daemon needs, and tell all answers instead of stopping at the first.

What is asked is for each program to say. docs/operations.md.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from i247_protocol.errors import CallerFault, WorldFault


class Grade(StrEnum):
    """How much a finding matters: nothing, an alarm while the daemon runs all the same, or that it will not start."""

    OK = "ok"
    DEGRADED = "degraded"
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class Finding:
    """The answer to one question; `hint` is empty when nothing is to be done."""

    subject: str
    grade: Grade
    text: str
    hint: str = ""


class Degraded(CallerFault):
    """What is wrong does not keep the daemon from running."""


def answered(subject: str, question: Callable[[], str]) -> Finding:
    """Return what a question finds: its answer, or the fault that it raises."""
    try:
        return Finding(subject, Grade.OK, question())
    except Degraded as fault:
        return Finding(subject, Grade.DEGRADED, fault.doing, fault.hint)
    except (CallerFault, WorldFault) as fault:
        return Finding(subject, Grade.WRONG, fault.doing, fault.hint)
