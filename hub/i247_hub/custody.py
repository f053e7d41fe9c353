"""Judge what is put: take it, return it with a reason, or ask the giver to keep it for now.

What is taken becomes rows, one for each next place; what cannot be delivered is said at once, in place of
custody. A hub decides by header, roster and keycards: it knows neither sender nor content.
docs/protocol.md 9.4.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from i247_hub.neighbours import Ways
from i247_hub.quotas import Giver, Lack, Shares
from i247_hub.records import Held, Hop, size_of
from i247_hub.room import Room
from i247_hub.routing import next_hop
from i247_keys.cardfile import CardFile
from i247_keys.roster import Directory, State
from i247_protocol.bundle import framefuls
from i247_protocol.digests import envelope_id
from i247_protocol.errors import PeerFault
from i247_protocol.frames import Busy, Pair, Parcel
from i247_protocol.header import KEY_ID_BYTES, Header, check_sizes, parse_header
from i247_protocol.limits import BUSY_RETRY_MS, CONTROL_BODY_BYTES_MAX, HOPS_MAX, LIFETIME_MS_MAX, SKEW_MS, WRAP_BYTES
from i247_protocol.names import EnvelopeId, HubName, KeyId, MemberCode, Now, WallMs, expiry_wall
from i247_protocol.priority import Priority
from i247_protocol.reasons import Reason

EVERYBODY = MemberCode("")
"""In a word of return: the envelope reaches none of its recipients."""


@dataclass(slots=True)
class Verdict:
    """What becomes of one parcel."""

    envelope: EnvelopeId
    rows: list[Held] = field(default_factory=list)
    returned: list[tuple[MemberCode, Reason]] = field(default_factory=list)
    busy: Lack | None = None
    """Why nothing of it is taken."""
    full: dict[MemberCode, Lack] = field(default_factory=dict)
    """Those whose mailboxes take nothing more, each with why."""
    targets: tuple[MemberCode, ...] = ()

    @property
    def is_wrong(self) -> bool:
        """Whether it could be for nobody, by what it is itself."""
        return bool(self.returned) and self.returned[0][0] == EVERYBODY

    @property
    def covered(self) -> tuple[MemberCode, ...]:
        """The recipients that are taken care of."""
        if len(self.rows) == 1:
            return self.rows[0].recipients
        return tuple(member for row in self.rows for member in row.recipients)


class Refused:
    """What of one frame finds no room, and why."""

    def __init__(self) -> None:
        self._pairs: dict[Reason, list[Pair]] = {}
        self._retry_ms: dict[Reason, int] = {}

    def add(self, envelope: EnvelopeId, members: tuple[MemberCode, ...], lack: Lack) -> None:
        """Note one envelope and those for whom it is not taken."""
        self._pairs.setdefault(lack.reason, []).append(Pair(envelope, members))
        self._retry_ms[lack.reason] = max(lack.retry_ms, self._retry_ms.get(lack.reason, 0))

    def frames(self, session: bytes) -> Iterator[Busy]:
        """Yield what to answer: each reason by itself, with the longest time that anything of it asks for."""
        for reason, pairs in self._pairs.items():
            for some in framefuls(pairs):
                yield Busy(session, some, reason.value, self._retry_ms[reason])


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a judgement depends on beside the parcel."""

    me: HubName
    directory: Directory
    cards: CardFile
    room: Room
    shares: Shares
    ways: Ways
    doubtful: bool
    """Whether this hub's own clock is in doubt: then it says of nothing that it has expired."""
    now: Now
    places: dict[tuple[MemberCode, KeyId, int], Hop | Reason] = field(default_factory=dict)
    """What was found out already, by recipient, key and hops: all that a place depends on beside these."""


def judge(parcel: Parcel, giver: Giver, around: Surroundings, next_seq: Callable[[], int]) -> Verdict:
    """Return the verdict on one parcel that `giver` put, and count it."""
    verdict = Verdict(envelope_id(parcel.header, parcel.body))
    try:
        header, targets = _read(parcel, around.now.wall)
    except PeerFault as fault:
        if around.doubtful and fault.reason in (Reason.EXPIRED, Reason.LIFETIME_TOO_LONG):
            verdict.busy = Lack(Reason.DOUBTFUL_CLOCK, BUSY_RETRY_MS)
            verdict.targets = _targets(parcel)
        else:
            verdict.returned.append((EVERYBODY, fault.reason))
        return verdict
    verdict.targets = tuple(targets)
    lack = around.room.lacks(header.prio, parcel.size)
    if lack is not None:
        verdict.busy = Lack(lack, BUSY_RETRY_MS)
    else:
        verdict.busy = giver.lacks(header.prio, parcel.size, len(targets), around.now.mono)
    if verdict.busy is not None:
        return verdict
    branches: dict[Hop, list[MemberCode]] = {}
    for member, kid in targets.items():
        asked = (member, kid, parcel.hops)
        place = around.places.get(asked)
        if place is None:
            place = around.places[asked] = _place(member, kid, parcel.hops, around)
        if isinstance(place, Reason):
            verdict.returned.append((member, place))
            continue
        full = around.shares.mailbox_lacks(place, member, header.prio, parcel.size, around.now.mono)
        if full is not None:
            verdict.full[member] = full
        else:
            branches.setdefault(place, []).append(member)
    verdict.rows = list(_rows(parcel, header, verdict.envelope, giver.name, branches, next_seq))
    return verdict


def _read(parcel: Parcel, wall: WallMs) -> tuple[Header, Mapping[MemberCode, KeyId]]:
    """Return the header, and whom this branch of the envelope is for with the key of each."""
    check_sizes(parcel.header, parcel.body, parcel.wraps)
    header = parse_header(parcel.header)
    expires = expiry_wall(header.expires)
    if expires <= wall:
        raise PeerFault(Reason.EXPIRED)
    if expires > wall + LIFETIME_MS_MAX + SKEW_MS:
        raise PeerFault(Reason.LIFETIME_TOO_LONG)
    if header.prio is Priority.CONTROL and len(parcel.body) > CONTROL_BODY_BYTES_MAX:
        raise PeerFault(Reason.TOO_LARGE)
    if header.kid is not None:
        if parcel.wraps:
            raise PeerFault(Reason.MALFORMED)
        return header, {MemberCode(header.to[0]): KeyId(header.kid)}
    targets = {MemberCode(member): KeyId(kid) for member, kid, sealed in parcel.wraps if is_wrap(kid, sealed)}
    if not targets or len(targets) != len(parcel.wraps) or not targets.keys() <= set(header.to):
        raise PeerFault(Reason.MALFORMED)
    return header, targets


def _targets(parcel: Parcel) -> tuple[MemberCode, ...]:
    """Return whom a parcel is for, whatever its header says of the time."""
    if parcel.wraps:
        return tuple(MemberCode(member) for member, _, _ in parcel.wraps)
    return parse_header(parcel.header).recipients


def is_wrap(kid: bytes, sealed: bytes) -> bool:
    """Whether a wrap has the lengths that it must have; credit and room count on them."""
    return len(kid) == KEY_ID_BYTES and len(sealed) == WRAP_BYTES


def _place(member: MemberCode, kid: KeyId, hops: int, around: Surroundings) -> Hop | Reason:
    state = around.directory.state_of(member, around.now.wall)
    if state is None or state is State.LEFT:
        return Reason.UNKNOWN_MEMBER
    if state is State.SUSPENDED:
        return Reason.SUSPENDED
    if around.cards.is_dead(member, kid):
        return Reason.DEAD_KEY
    hop = next_hop(around.directory, around.me, member, around.ways, hops)
    if hop is None:
        return Reason.UNKNOWN_MEMBER
    if hop.hub is not None and hops >= HOPS_MAX:
        return Reason.TOO_MANY_HOPS
    return hop


def _rows(
    parcel: Parcel,
    header: Header,
    envelope: EnvelopeId,
    source: str,
    branches: Mapping[Hop, list[MemberCode]],
    next_seq: Callable[[], int],
) -> Iterator[Held]:
    for hop, members in branches.items():
        wraps = tuple(wrap for wrap in parcel.wraps if wrap[0] in members) if parcel.wraps else ()
        yield Held(
            seq=next_seq(),
            hop=hop,
            envelope=envelope,
            recipients=tuple(members),
            prio=header.prio,
            exp=header.expires,
            hops=parcel.hops + 1,
            source=source,
            header=parcel.header,
            body=parcel.body,
            wraps=wraps,
            size=size_of(parcel.header, parcel.body, wraps),
        )
