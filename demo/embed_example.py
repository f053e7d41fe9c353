"""Ask another member from a program: the whole of it. README.md quotes this file, and a test runs it."""

import sys

from i247_node.client import Bureau, Outcome, Purpose, TravelDocument

ZONE = """
P<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<<<<<<<<<<
L898902C36UTO7408122F1204159ZE184226B<<<<<10
"""

with Bureau.connect(sys.argv[1]) as bureau:
    document = TravelDocument.from_mrz(ZONE)
    answer = bureau.query(document, to="SG", register="sltd", purpose=Purpose.BORDER_CONTROL, within="10s")
    print(answer.outcome, answer.reason or "")
    if answer.outcome is Outcome.HIT:
        for found in answer.candidates:
            print(found.record, found.fields["status"], found.action, f"(confirm with {found.owner})")
    print(answer.caution)
    if answer.state.entry is not None:
        bureau.confirm(answer.state.entry)  # this program has the reply now; otherwise the inbox offers it again
