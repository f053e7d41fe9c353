"""Build what the secretariat's keyholders sign: the founding, the next roster, the next charter, the pulse.

Whatever is built here is built by the rules that everybody else judges by, so a draft that nobody would take is
refused before anybody signs it. Files are left to `ceremony_files`, keys to `key_folder`. docs/operations.md tells the
ceremony as a story; docs/protocol.md 8 has the rules.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

import msgspec

from i247_keys.bounds import REQUEST_LIFETIME_MS, ROTATION_GRACE_MS
from i247_keys.charter import Charter, Kind, Rule, encode_charter
from i247_keys.decision import Decision, parse_decision
from i247_keys.documents import Document, parse_document
from i247_keys.justification import Wish, admitted_row, expected_row, justify, may_suspend, suspended
from i247_keys.log import DecisionRecord, RosterStep, applied, roster_step
from i247_keys.pulse import Pulse, encode_pulse, log_root
from i247_keys.request import (
    HubRequest,
    Particulars,
    Request,
    encode_request,
    parse_hub_request,
    parse_request,
    particulars_hash,
)
from i247_keys.roster import HubRow, MemberRow, RetiredKey, Roster, State, encode_roster
from i247_keys.trust import Trust
from i247_protocol import codec
from i247_protocol.errors import CallerFault, PeerFault
from i247_protocol.limits import (
    CHARTER_LIFETIME_MS,
    DOCUMENT_BYTES_MAX,
    PULSE_LIFETIME_MS,
    ROSTER_LIFETIME_MS,
    SKEW_MS,
)
from i247_protocol.names import HubName, MemberCode, WallMs

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Terms:
    """What a charter fixes: public keys, how many must sign, and what the Assembly needs to decide."""

    keys: tuple[bytes, ...]
    threshold: int
    pulse_key: bytes
    witnesses: int
    rules: Mapping[Kind, Rule]


@dataclass(frozen=True, slots=True)
class Changes:
    """What the next roster is to carry out: members' requests, decisions, hubs, emergency suspensions."""

    requests: tuple[Document, ...] = ()
    records: tuple[DecisionRecord, ...] = ()
    hubs: tuple[Document, ...] = ()
    hubs_gone: tuple[HubName, ...] = ()
    suspend: tuple[MemberCode, ...] = ()


def found(
    terms: Terms, members: Iterable[Document], hubs: Iterable[Document], wall: WallMs
) -> tuple[Document, Document]:
    """Return the first charter and the first roster, unsigned; raise CallerFault when a request cannot be taken."""
    documents = sorted(members, key=lambda document: _member_request(document, wall).member)
    roster = Roster(
        version=1,
        previous=None,
        charter=1,
        iat=wall,
        exp=wall + ROSTER_LIFETIME_MS,
        members=tuple(admitted_row(_joining(document, wall), wall) for document in documents),
        hubs=tuple(sorted((_hub_row(document, None, wall) for document in hubs), key=lambda row: row.name)),
        decisions=(),
        requests=tuple(document.hash for document in documents),
    )
    _require_homes(roster.members, roster.hubs)
    payload = _taken("building the first roster", lambda: encode_roster(roster), _ROSTER_HINT)
    roster_document = Document(payload, [])
    charter = _charter(terms, 1, None, roster_document.hash, wall)
    return Document(charter, []), roster_document


def next_roster(trust: Trust, changes: Changes, wall: WallMs) -> RosterStep:
    """Return the step to the next roster, unsigned.

    Raise CallerFault for a change that is not in the keyholders' power, PeerFault NOT_JUSTIFIED for a request or a
    decision that does not support its row.
    """
    before = trust.directory
    iat = WallMs(max(wall, before.roster.iat + 1))
    members = _members_after(trust, changes, iat)
    hubs = {row.name: row for row in before.hubs}
    for document in changes.hubs:
        row = _hub_row(document, hubs.get(_hub_request(document, wall).hub), iat)
        hubs[row.name] = row
    for name in changes.hubs_gone:
        if hubs.pop(name, None) is None:
            raise CallerFault(f"removing the hub {name}", "see `i247-keys roster show` for the hubs that there are")
    roster = Roster(
        version=before.version + 1,
        previous=trust.roster_hash,
        charter=trust.charter.version,
        iat=iat,
        exp=iat + ROSTER_LIFETIME_MS,
        members=tuple(members[code] for code in sorted(members)),
        hubs=tuple(hubs[name] for name in sorted(hubs)),
        decisions=tuple(parse_document(record.decision).hash for record in changes.records),
        requests=tuple(document.hash for document in changes.requests),
    )
    payload = _taken("building the next roster", lambda: encode_roster(roster), _ROSTER_HINT)
    requests = tuple(document.to_bytes() for document in changes.requests)
    justify(before, roster, trust.charter, changes.records, requests)
    step = roster_step(before, roster, Document(payload, []), changes.records, requests)
    if len(codec.encode(step)) > DOCUMENT_BYTES_MAX // 2:
        raise CallerFault(
            "building the next roster", "carry out fewer decisions at once: the step is too large to send"
        )
    return step


def step_document(trust: Trust, step: RosterStep) -> Document:
    """Return what the keyholders sign: the whole roster that `step` leads to, with the signatures so far."""
    return applied(trust.directory, step)[1]


def with_signatures(step: RosterStep, document: Document) -> RosterStep:
    """Return `step` with the signatures of `document`."""
    return msgspec.structs.replace(step, signatures=tuple(document.s))


def next_charter(trust: Trust, terms: Terms, wall: WallMs) -> Document:
    """Return the next charter, unsigned; it needs k of the old keys, k of the new ones, and a decision for it."""
    iat = WallMs(max(wall, trust.charter.iat + 1))
    return Document(_charter(terms, trust.charter.version + 1, trust.charter_hash, None, iat), [])


def next_pulse(trust: Trust, wall: WallMs) -> Document:
    """Return a fresh pulse, unsigned."""
    iat = max(wall, 0 if trust.pulse is None else trust.pulse.iat + 1)
    leaves = trust.log.leaves
    pulse = Pulse(
        roster_version=trust.directory.version,
        roster_hash=trust.roster_hash,
        log_size=len(leaves),
        log_root=log_root(leaves),
        iat=iat,
        exp=iat + PULSE_LIFETIME_MS,
    )
    return Document(encode_pulse(pulse), [])


def member_request(code: MemberCode, row: MemberRow | None, wanted: Particulars, wall: WallMs) -> Document:
    """Return a member's request, unsigned: to join, or to change its `row`. Its keys sign it with contexts.REQUEST."""
    previous = None if row is None or row.state is State.LEFT else particulars_hash(row)
    request = Request(code, previous, wanted, wall, wall + REQUEST_LIFETIME_MS)
    return Document(_taken(f"requesting for {code}", lambda: encode_request(request), _REQUEST_HINT), [])


def hub_request(
    name: HubName, *, region: str, identity: bytes, link: bytes, endpoints: tuple[str, ...], wall: WallMs
) -> Document:
    """Return a hub's request to be listed, unsigned."""
    request = HubRequest(name, region, identity, link, endpoints, wall, wall + REQUEST_LIFETIME_MS)
    return Document(_taken(f"requesting for the hub {name}", lambda: encode_request(request), _HUB_HINT), [])


def usual_rules() -> dict[Kind, Rule]:
    """Return two thirds for what is lasting, more than half for the rest; half of the members must vote."""
    lasting = Rule(yes=(2, 3), quorum=(1, 2))
    rest = Rule(yes=(1, 2), quorum=(1, 2))
    return {kind: lasting if kind in (Kind.ADMIT, Kind.EXPEL, Kind.CHARTER) else rest for kind in Kind}


def _charter(terms: Terms, version: int, previous: bytes | None, roster: bytes | None, wall: WallMs) -> bytes:
    charter = Charter(
        version=version,
        previous=previous,
        roster=roster,
        keys=terms.keys,
        threshold=terms.threshold,
        rules=dict(terms.rules),
        pulse_key=terms.pulse_key,
        witnesses=terms.witnesses,
        suite_min=1,
        iat=wall,
        exp=wall + CHARTER_LIFETIME_MS,
    )
    return _taken("building the charter", lambda: encode_charter(charter), _CHARTER_HINT)


def _members_after(trust: Trust, changes: Changes, iat: WallMs) -> dict[MemberCode, MemberRow]:
    before = trust.directory
    members = {row.code: row for row in before.members}
    wishes: dict[MemberCode, Wish] = {}
    for document in changes.requests:
        request = _member_request(document, iat)
        wishes[request.member] = Wish(request, document)
    decisions: dict[MemberCode, Decision] = {}
    for record in changes.records:
        decision = parse_decision(parse_document(record.decision).p)
        if decision.subject is None:
            raise CallerFault("carrying out a decision", "a decision on a charter is carried out by the next charter")
        decisions[decision.subject] = decision
    for code in sorted({*wishes, *decisions}):
        members[code] = expected_row(before.member(code), wishes.get(code), decisions.get(code), iat)
    for code in changes.suspend:
        members[code] = _suspended(code, members.get(code), iat)
    return members


def _suspended(code: MemberCode, row: MemberRow | None, iat: WallMs) -> MemberRow:
    doing = f"suspending {code} in an emergency"
    if row is None:
        raise CallerFault(doing, "no such member: see `i247-keys roster show`")
    if not may_suspend(row, iat):
        raise CallerFault(
            doing, "it is not active, or was suspended so less than 30 days ago; more needs a decision of the Assembly"
        )
    return suspended(row, iat)


def _joining(document: Document, wall: WallMs) -> Request:
    request = _member_request(document, wall)
    if request.previous is not None:
        raise CallerFault(f"admitting {request.member}", "this request changes a row; make one to join")
    return request


def _member_request(document: Document, wall: int) -> Request:
    doing = "reading a member's request"
    request = _taken(
        doing, lambda: parse_request(document), "it is damaged, or not signed by its own key: ask for it again"
    )
    _require_alive(doing, request, wall)
    return request


def _hub_request(document: Document, wall: int) -> HubRequest:
    doing = "reading a hub's request"
    request = _taken(
        doing, lambda: parse_hub_request(document), "it is damaged, or not signed by its own key: ask for it again"
    )
    _require_alive(doing, request, wall)
    return request


def _require_alive(doing: str, request: Request | HubRequest, wall: int) -> None:
    if not request.iat - SKEW_MS <= wall <= request.exp:
        raise CallerFault(doing, "it is older than 30 days, or a clock is wrong: ask for a new one")


def _hub_row(document: Document, old: HubRow | None, wall: WallMs) -> HubRow:
    request = _hub_request(document, wall)
    retired = () if old is None else tuple(key for key in old.retired if wall < key.until)
    if old is not None and old.identity != request.identity:
        retired = (*retired, RetiredKey(old.identity, wall + ROTATION_GRACE_MS))
    return HubRow(request.hub, request.region, request.identity, request.link, request.endpoints, retired)


def _require_homes(members: Iterable[MemberRow], hubs: Iterable[HubRow]) -> None:
    names = {hub.name for hub in hubs}
    for row in members:
        missing = [home for home in row.homes if home not in names]
        if missing:
            raise CallerFault(
                f"giving {row.code} its homes",
                f"there is no hub {missing[0]}: add its request, or ask {row.code} for another",
            )


def _taken(doing: str, build: Callable[[], T], hint: str) -> T:
    try:
        return build()
    except PeerFault:
        raise CallerFault(doing, hint) from None


_CHARTER_HINT = "give 2 keys or more, each once, a threshold below their number, and a pulse key that is none of them"
_ROSTER_HINT = "each member, hub and key may be there once; names and texts are short and printable"
_REQUEST_HINT = "a code is two capital letters, a name short and printable, each home a hub's name, at most 8 of them"
_HUB_HINT = "a hub's name is lower case, its region and its 1 to 8 endpoints are short and printable"
