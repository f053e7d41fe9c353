"""Say how a message may be used: classification, permitted use, onward sharing. docs/protocol.md 6.3."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class Classification(StrEnum):
    """The source's classification, lowest first."""

    OFFICIAL = "official-use-only"
    RESTRICTED = "restricted"
    CONFIDENTIAL = "confidential"


class Onward(StrEnum):
    """To whom the recipient may pass the content on."""

    NATIONAL = "national"
    BUREAU_ONLY = "bureau-only"
    ASK_SOURCE = "ask-source"


class Purpose(StrEnum):
    """Why data is asked for or given (INTERPOL RPD article 10)."""

    WANTED = "wanted"
    IDENTIFICATION = "identification"
    INVESTIGATION = "investigation"
    ALERT = "alert"
    MISSING = "missing"
    BODIES = "bodies"
    FORENSICS = "forensics"
    SECURITY_CHECK = "security-check"
    BORDER_CONTROL = "border-control"
    THREAT_ANALYSIS = "threat-analysis"
    ADMINISTRATION = "administration"


class Handling(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The conditions under which the sender gives a message."""

    classification: Classification
    exercise: bool
    onward: Onward


ROUTINE_HANDLING = Handling(classification=Classification.OFFICIAL, exercise=False, onward=Onward.NATIONAL)
