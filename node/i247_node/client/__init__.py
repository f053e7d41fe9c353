"""Talk to the node of this machine from a program: ask, publish, write, read what came.

    from i247_node.client import Bureau, Outcome, Purpose, TravelDocument

    with Bureau.connect("/run/i247/node.sock") as bureau:
        document = TravelDocument.from_mrz(zone)
        answer = bureau.query(document, to="SG", register="sltd", purpose=Purpose.BORDER_CONTROL, within="10s")
        if answer.outcome is Outcome.HIT:
            print(answer.candidates[0].action, answer.caution)

`AsyncBureau` has the same words for programs with a loop. No call waits for longer than its `within` or `wait` and the
timeout of the connection. Nothing is tried again here: each error says whether that is safe. Edge. docs/interface.md.
"""

from __future__ import annotations

from i247_node.calls import (
    Answer,
    BureauError,
    Busy,
    Declined,
    Incomprehensible,
    Malformed,
    NotFound,
    NotPermitted,
    NotRunning,
    Outcome,
    Unsure,
)
from i247_node.client.blocking import Bureau
from i247_node.client.looped import AsyncBureau
from i247_node.forms import Urgency
from i247_protocol.handling import Classification, Handling, Onward, Purpose
from i247_protocol.notices import Colour, Event, Notice
from i247_protocol.queries import Candidate, Criteria, Person, TravelDocument, Vehicle

__all__ = [
    "Answer",
    "AsyncBureau",
    "Bureau",
    "BureauError",
    "Busy",
    "Candidate",
    "Classification",
    "Colour",
    "Criteria",
    "Declined",
    "Event",
    "Handling",
    "Incomprehensible",
    "Malformed",
    "NotFound",
    "NotPermitted",
    "NotRunning",
    "Notice",
    "Onward",
    "Outcome",
    "Person",
    "Purpose",
    "TravelDocument",
    "Unsure",
    "Urgency",
    "Vehicle",
]
