"""Ask a register of another member, and answer. docs/protocol.md 7.1 and 7.2."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import msgspec

from i247_protocol.limits import CANDIDATES_MAX, FIELD_TEXT_BYTES_MAX, FIELDS_MAX
from i247_protocol.names import Instant
from i247_protocol.reasons import is_reason_word


class TravelDocument(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="travel-document"):
    """A passport or identity card by number, issuing country (ICAO 9303 three-letter code) and type."""

    country: str
    number: str
    type: str

    @classmethod
    def from_mrz(cls, text: str) -> TravelDocument:
        """Return the document whose machine-readable zone is `text` (ICAO 9303); raise CallerFault on a wrong digit."""
        from i247_protocol.mrz import parse_mrz, travel_document  # noqa: PLC0415  mrz builds on this module

        return travel_document(parse_mrz(text))


class Person(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="person"):
    """A person by name and date of birth (`YYYY-MM-DD`, `YYYY` or empty)."""

    born: str
    family: str
    given: str


class Vehicle(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="vehicle"):
    """A vehicle by identification number, or by plate and country; what is not known is empty."""

    country: str
    plate: str
    vin: str


Criteria = TravelDocument | Person | Vehicle


class Query(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A question to one register; `reply_by` is in ms of wall time."""

    criteria: Criteria
    register: str
    reply_by: Instant


class Status(StrEnum):
    """How a query was answered."""

    HIT = "hit"
    POSSIBLE = "possible"
    NO_HIT = "no-hit"
    REFUSED = "refused"
    PENDING = "pending"
    UNAVAILABLE = "unavailable"


class Candidate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One record that may be meant; `score` is 0 to 1000, `action` says what the owner asks for."""

    action: str
    fields: dict[str, str]
    owner: str
    record: str
    score: int


class Reply(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The answer to one query; `reason` is a code of docs/protocol.md 12 or nil, `as_of` ms of wall time or nil."""

    as_of: Instant | None
    candidates: tuple[Candidate, ...]
    caution: str
    reason: str | None
    register: str
    status: Status


def query_is_sound(query: Query) -> bool:
    """Whether every length is within its bound."""
    values = msgspec.structs.asdict(query.criteria).values()
    return 0 < len(query.register) <= REGISTER_NAME_MAX and all(map(_is_short, values))


def reply_is_sound(reply: Reply) -> bool:
    """Whether every count and length is within its bound."""
    named = len(reply.register) <= REGISTER_NAME_MAX and (reply.reason is None or is_reason_word(reply.reason))
    few = len(reply.candidates) <= CANDIDATES_MAX
    return named and few and _is_short(reply.caution) and all(_candidate_is_sound(one) for one in reply.candidates)


def _candidate_is_sound(candidate: Candidate) -> bool:
    texts = [candidate.action, candidate.owner, candidate.record, *candidate.fields, *candidate.fields.values()]
    return len(candidate.fields) <= FIELDS_MAX and 0 <= candidate.score <= SCORE_MAX and all(map(_is_short, texts))


def _is_short(text: str) -> bool:
    return len(text.encode()) <= FIELD_TEXT_BYTES_MAX


CAUTION: Final = (
    "Confirm with the owner before any action. No hit does not mean that a document is valid or a person unknown."
)
REGISTER_NAME_MAX: Final = 64
SCORE_MAX: Final = 1000
