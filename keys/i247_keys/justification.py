"""Decide, row by row, whether a roster may follow the one before: k of n keys are not enough for a member's row.

For each member the row that its own request and the Assembly's decision lead to is computed, and the new row must
equal it in every field. Without either the row must be as it was, with one exception: an emergency suspension, for
72 hours and at most once for a member in 30 days. Hubs, version and times are left to the k of n. Rows do not
vanish. docs/protocol.md 8.5.

All is judged at the instant at which the roster was issued, so everybody comes to the same result at any time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, NoReturn

import msgspec

from i247_keys.bounds import ROTATION_GRACE_MS
from i247_keys.charter import Charter, Kind
from i247_keys.decision import Decision, parse_decision, tally_ballots
from i247_keys.documents import Document, parse_document
from i247_keys.log import DecisionRecord
from i247_keys.request import Particulars, Request, is_signed_by, parse_request, particulars_hash
from i247_keys.roster import Directory, MemberRow, RetiredKey, Roster, State
from i247_protocol.digests import next_key_hash
from i247_protocol.errors import PeerFault
from i247_protocol.limits import EMERGENCY_MS, EMERGENCY_PAUSE_MS, SKEW_MS
from i247_protocol.names import MemberCode, WallMs
from i247_protocol.reasons import Reason


def justify(
    before: Directory, after: Roster, charter: Charter, records: Sequence[DecisionRecord], requests: Sequence[bytes]
) -> None:
    """Raise PeerFault NOT_JUSTIFIED unless every member's row in `after` follows from `before` and the evidence."""
    evidence = _Evidence(
        {wish.request.member: wish for wish in (_wish(data, after.iat) for data in requests)},
        {made.subject: made for made in (_carried(record, before, charter, after.iat) for record in records)},
    )
    if len(evidence.wishes) != len(requests) or len(evidence.decisions) != len(records):
        _refuse()  # two for one member: in which order is not said
    rows = {row.code: row for row in after.members}
    if {*(row.code for row in before.members), *evidence.wishes, *evidence.decisions} != rows.keys():
        _refuse()
    for code, row in rows.items():
        old = before.member(code)
        expected = expected_row(old, evidence.wishes.get(code), evidence.decisions.get(code), after.iat)
        if row != expected and not (may_suspend(expected, after.iat) and row == suspended(expected, after.iat)):
            _refuse()


def justify_charter(
    before: Directory, held: Charter, after: Charter, after_hash: bytes, record: DecisionRecord
) -> None:
    """Raise PeerFault NOT_JUSTIFIED unless the Assembly decided on this very charter under the rule of the held one."""
    decision = _carried(record, before, held, after.iat)
    if decision.kind is not Kind.CHARTER or decision.fixes != after_hash:
        _refuse()


class Wish(NamedTuple):
    """A member's request, together with its document."""

    request: Request
    document: Document


def expected_row(old: MemberRow | None, wish: Wish | None, decision: Decision | None, iat: int) -> MemberRow:
    """Return the row that follows at `iat`; raise PeerFault NOT_JUSTIFIED when the evidence does not support one."""
    fixed = decision is not None and decision.kind in (Kind.ADMIT, Kind.REKEY)
    row = old
    if wish is not None and not fixed:
        row = _requested(row, wish, iat)
    if decision is not None:
        row = _decided(row, decision, wish if fixed else None, iat)
    return row if row is not None else _refuse()


def may_suspend(row: MemberRow, iat: int) -> bool:
    """Whether the k of n may suspend a member at `iat` in an emergency."""
    rested = row.until is None or iat >= row.until - EMERGENCY_MS + EMERGENCY_PAUSE_MS
    return rested and row.state_at(iat) is State.ACTIVE


def suspended(row: MemberRow, iat: int) -> MemberRow:
    """Return the row of a member that was suspended at `iat` in an emergency."""
    return msgspec.structs.replace(row, state=State.SUSPENDED, since=iat, until=iat + EMERGENCY_MS)


def admitted_row(request: Request, iat: int) -> MemberRow:
    """Return the row of a member that joins at `iat`."""
    wanted = request.wanted
    return MemberRow(
        code=request.member,
        names=wanted.names,
        identity=wanted.identity,
        next_identity=wanted.next_identity,
        link=wanted.link,
        state=State.ACTIVE,
        since=iat,
        until=None,
        homes=wanted.homes,
        retired=(),
    )


class _Evidence(NamedTuple):
    wishes: dict[MemberCode, Wish]
    decisions: dict[MemberCode | None, Decision]


def _wish(data: bytes, iat: int) -> Wish:
    try:
        document = parse_document(data)
        request = parse_request(document)
    except PeerFault:
        _refuse()
    if not request.iat - SKEW_MS <= iat <= request.exp:
        _refuse()
    return Wish(request, document)


def _carried(record: DecisionRecord, directory: Directory, charter: Charter, iat: int) -> Decision:
    try:
        document = parse_document(record.decision)
        decision = parse_decision(document.p)
        ballots = [parse_document(ballot) for ballot in record.ballots]
    except PeerFault:
        _refuse()
    if decision.charter != charter.version or not decision.iat - SKEW_MS <= iat <= decision.exp:
        _refuse()
    tally_ballots(document, ballots, directory, charter.rules[decision.kind], WallMs(iat)).require()
    return decision


def _requested(row: MemberRow | None, wish: Wish, iat: int) -> MemberRow:
    wanted = wish.request.wanted
    if row is None or row.state is State.LEFT or wish.request.previous != particulars_hash(row):
        _refuse()
    # A request is signed by the key that it asks for; if that is the one committed to before, it needs no other.
    by_current = is_signed_by(wish.document, row.identity)
    rotates = next_key_hash(wanted.identity) == row.next_identity
    keys_stay = (wanted.identity, wanted.next_identity) == (row.identity, row.next_identity)
    # Were the current key enough for these two, its thief could lock the owner out for good.
    if not rotates and not (by_current and keys_stay):
        _refuse()
    return _with_particulars(row, wanted, iat, iat + ROTATION_GRACE_MS if by_current else iat)


def _decided(row: MemberRow | None, decision: Decision, wish: Wish | None, iat: int) -> MemberRow:
    if row is not None and decision.iat <= row.since:
        _refuse()  # older than the present state, so perhaps carried out before
    match decision.kind:
        case Kind.ADMIT:
            return _admitted(row, _fixed(decision, wish), iat)
        case Kind.REKEY:
            request = _fixed(decision, wish)
            if row is None or row.state is State.LEFT or request.previous != particulars_hash(row):
                _refuse()
            return _with_particulars(row, request.wanted, iat, iat)
        case Kind.EXPEL if row is not None and row.state is not State.LEFT:
            return msgspec.structs.replace(row, state=State.LEFT, since=iat)
        case Kind.SUSPEND if row is not None and (row.state is State.ACTIVE or row.is_emergency):
            return msgspec.structs.replace(row, state=State.SUSPENDED, since=iat)
        case Kind.REINSTATE if row is not None and row.state is State.SUSPENDED:
            return msgspec.structs.replace(row, state=State.ACTIVE, since=iat)
        case _:
            return _refuse()


def _fixed(decision: Decision, wish: Wish | None) -> Request:
    if wish is None or wish.document.hash != decision.fixes:
        _refuse()
    return wish.request


def _admitted(row: MemberRow | None, request: Request, iat: int) -> MemberRow:
    if request.previous is not None or (row is not None and row.state is not State.LEFT):
        _refuse()
    if row is not None:
        again = _with_particulars(row, request.wanted, iat, iat)
        return msgspec.structs.replace(again, state=State.ACTIVE, since=iat)
    return admitted_row(request, iat)


def _with_particulars(row: MemberRow, wanted: Particulars, iat: int, old_key_until: int) -> MemberRow:
    retired = row.retired
    if wanted.identity != row.identity:
        still_of_use = (old for old in row.retired if iat < old.until)
        retired = (*still_of_use, RetiredKey(row.identity, old_key_until))
    return msgspec.structs.replace(
        row,
        names=wanted.names,
        identity=wanted.identity,
        next_identity=wanted.next_identity,
        link=wanted.link,
        homes=wanted.homes,
        retired=retired,
    )


def _refuse() -> NoReturn:
    raise PeerFault(Reason.NOT_JUSTIFIED)
