"""Hold the directory: which members and hubs there are, by which keys, and in which standing.

A roster is the signed payload; a Directory is a roster with an index, so that no question about one
member or one key costs more where there are more members. Whether a roster may follow another is decided
in `justification` and `trust`. docs/protocol.md 8.3.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from i247_keys.bounds import (
    ENDPOINTS_MAX,
    EVIDENCE_MAX,
    RETIRED_KEYS_MAX,
    require,
    require_bytes32,
    require_increasing,
    require_lifetime,
    require_names,
    require_text,
)
from i247_protocol import codec
from i247_protocol.limits import DOCUMENT_BYTES_MAX, EMERGENCY_MS, HOMES_MAX, HUBS_MAX, MEMBERS_MAX, ROSTER_LIFETIME_MS
from i247_protocol.names import HubName, MemberCode, WallMs, parse_hub, parse_member


class State(StrEnum):
    """A member's standing."""

    ACTIVE = "active"
    SUSPENDED = "suspended"
    LEFT = "left"


class RetiredKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A former identity key; what it signed is accepted before `until` (ms), which is its end itself after a theft."""

    public: bytes
    until: int


class MemberRow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One member. `until` (ms) is where its latest emergency suspension lapses, and stays there afterwards."""

    code: MemberCode
    names: dict[str, str]
    identity: bytes
    next_identity: bytes
    link: bytes
    state: State
    since: int
    until: int | None
    homes: tuple[HubName, ...]
    retired: tuple[RetiredKey, ...]

    def state_at(self, wall: int) -> State:
        """Return the standing at an instant; an emergency suspension lapses by itself."""
        lapsed = self.state is State.SUSPENDED and self.is_emergency and self.until is not None and wall >= self.until
        return State.ACTIVE if lapsed else self.state

    @property
    def is_emergency(self) -> bool:
        """Whether the present state began as an emergency suspension: only then does `until` end it."""
        return self.until is not None and self.until == self.since + EMERGENCY_MS


class HubRow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One hub."""

    name: HubName
    region: str
    identity: bytes
    link: bytes
    endpoints: tuple[str, ...]
    retired: tuple[RetiredKey, ...]


class Roster(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The payload of a roster document; `previous` is nil in the first only, times are ms."""

    version: int
    previous: bytes | None
    charter: int
    iat: int
    exp: int
    members: tuple[MemberRow, ...]
    hubs: tuple[HubRow, ...]
    decisions: tuple[bytes, ...]
    requests: tuple[bytes, ...]


def encode_roster(roster: Roster) -> bytes:
    """Return the payload to sign; raise PeerFault when nobody would take it."""
    _check(roster)
    return codec.encode(roster)


def parse_roster(payload: bytes) -> Roster:
    """Return the roster in `payload`; raise PeerFault when it breaks a rule that holds for every roster."""
    roster: Roster = codec.decode_as(Roster, payload, bytes_max=DOCUMENT_BYTES_MAX)
    _check(roster)
    return roster


class Directory:
    """A roster with an index by member, by hub and by link key. Never changes."""

    __slots__ = ("_by_link", "_hubs", "_members", "roster")

    def __init__(self, roster: Roster) -> None:
        """Index `roster`."""
        self.roster = roster
        self._members = {row.code: row for row in roster.members}
        self._hubs = {row.name: row for row in roster.hubs}
        self._by_link = {row.link: row for row in _rows(roster)}

    @property
    def version(self) -> int:
        """The roster's version."""
        return self.roster.version

    @property
    def members(self) -> tuple[MemberRow, ...]:
        """All members, also those that left, by code."""
        return self.roster.members

    @property
    def hubs(self) -> tuple[HubRow, ...]:
        """All hubs, by name."""
        return self.roster.hubs

    def member(self, code: MemberCode) -> MemberRow | None:
        """Return a member's row."""
        return self._members.get(code)

    def hub(self, name: HubName) -> HubRow | None:
        """Return a hub's row."""
        return self._hubs.get(name)

    def state_of(self, code: MemberCode, wall: WallMs) -> State | None:
        """Return a member's standing at an instant; None when it was never a member."""
        row = self._members.get(code)
        return None if row is None else row.state_at(wall)

    def member_by_link(self, link: bytes) -> MemberRow | None:
        """Return the member that holds a link key."""
        row = self._by_link.get(link)
        return row if isinstance(row, MemberRow) else None

    def hub_by_link(self, link: bytes) -> HubRow | None:
        """Return the hub that holds a link key."""
        row = self._by_link.get(link)
        return row if isinstance(row, HubRow) else None

    def verifying_keys(self, code: MemberCode, wall: WallMs) -> tuple[bytes, ...]:
        """Return a member's identity key, then its former ones whose grace lasts; none for a stranger."""
        return _keys_of(self._members.get(code), self._not_before(wall))

    def hub_verifying_keys(self, name: HubName, wall: WallMs) -> tuple[bytes, ...]:
        """Return a hub's identity key, then its former ones whose grace lasts; none for a stranger."""
        return _keys_of(self._hubs.get(name), self._not_before(wall))

    def _not_before(self, wall: WallMs) -> int:
        # A clock that is behind this roster would give a stolen key back the time that the roster has taken from it.
        return max(wall, self.roster.iat)


def _keys_of(row: MemberRow | HubRow | None, wall: int) -> tuple[bytes, ...]:
    if row is None:
        return ()
    return (row.identity, *(old.public for old in row.retired if wall < old.until))


def _rows(roster: Roster) -> list[MemberRow | HubRow]:
    return [*roster.members, *roster.hubs]


def _check(roster: Roster) -> None:
    require(roster.version >= 1 and roster.charter >= 1)
    require((roster.previous is None) is (roster.version == 1))
    require_lifetime(roster.iat, roster.exp, ROSTER_LIFETIME_MS)
    require(len(roster.members) <= MEMBERS_MAX and len(roster.hubs) <= HUBS_MAX)
    require(len(roster.decisions) <= EVIDENCE_MAX and len(roster.requests) <= EVIDENCE_MAX)
    require_bytes32(roster.previous, *roster.decisions, *roster.requests)
    require_increasing(row.code for row in roster.members)
    require_increasing(row.name for row in roster.hubs)
    for member in roster.members:
        _check_member(member)
    for hub in roster.hubs:
        _check_hub(hub)
    _require_distinct_keys(roster)


def _check_member(row: MemberRow) -> None:
    parse_member(row.code)
    require_names(row.names)
    require_bytes32(row.identity, row.next_identity, row.link)
    require(row.since >= 0 and (row.until is None or row.until >= 0))
    require(len(row.homes) <= HOMES_MAX and len(set(row.homes)) == len(row.homes))
    for home in row.homes:
        parse_hub(home)
    _check_retired(row.retired)


def _check_hub(row: HubRow) -> None:
    parse_hub(row.name)
    require_text(row.region)
    require_bytes32(row.identity, row.link)
    require(1 <= len(row.endpoints) <= ENDPOINTS_MAX)
    for endpoint in row.endpoints:
        require_text(endpoint)
    _check_retired(row.retired)


def _check_retired(retired: tuple[RetiredKey, ...]) -> None:
    require(len(retired) <= RETIRED_KEYS_MAX)
    require_bytes32(*(old.public for old in retired))
    require(all(old.until >= 0 for old in retired))


def _require_distinct_keys(roster: Roster) -> None:
    # One key under two names would let one holder vote twice, or speak on another's link.
    rows = _rows(roster)
    links = [row.link for row in rows]
    signing = [key for row in rows for key in (row.identity, *(old.public for old in row.retired))]
    require(len(set(links)) == len(links) and len(set(signing)) == len(signing))
