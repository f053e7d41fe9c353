"""Write the directory's history as steps, and hold it so that anybody can be given what they lack.

A step is what the directory takes at once: a charter with the decision that carried it, or a roster as its
difference to the one before, with the decisions and requests that justify it. The receiver builds the whole
roster again, and the signatures are over that. Nothing here is believed; `trust` judges. docs/protocol.md 8.8.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated

import msgspec
from msgspec import Meta

from i247_keys.bounds import BALLOTS_MAX, EVIDENCE_MAX, STEPS_MAX, require
from i247_keys.charter import parse_charter
from i247_keys.documents import Document, parse_document
from i247_keys.roster import Directory, HubRow, MemberRow, Roster, encode_roster
from i247_protocol import codec
from i247_protocol.errors import PeerFault
from i247_protocol.limits import DOCUMENT_BYTES_MAX, HUBS_MAX, MEMBERS_MAX, NETWORK_FILE_BYTES_MAX, SIGNATURES_MAX
from i247_protocol.names import HubName
from i247_protocol.reasons import Reason


class DecisionRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A decision and the ballots cast on it, each a document."""

    decision: bytes
    ballots: tuple[bytes, ...]


class CharterStep(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="charter", tag_field="kind"):
    """A next charter's document, and the decision by which the Assembly took it."""

    document: bytes
    record: DecisionRecord


class RosterStep(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="roster", tag_field="kind"):
    """A next roster: the rows that are new or changed, the hubs that are gone, and what justifies it."""

    version: int
    previous: bytes
    charter: int
    iat: int
    exp: int
    members: tuple[MemberRow, ...]
    hubs: tuple[HubRow, ...]
    hubs_gone: tuple[HubName, ...]
    records: tuple[DecisionRecord, ...]
    requests: tuple[bytes, ...]
    signatures: tuple[tuple[bytes, bytes], ...]


class Founding(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The first charter and the first roster, each a document."""

    charter: bytes
    roster: bytes


class NetworkFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The log from its founding, or from some roster on: steps in order, and the newest pulse's document."""

    v: int
    founding: Founding | None
    steps: Annotated[tuple[bytes, ...], Meta(max_length=STEPS_MAX)]
    pulse: bytes | None


class _Versioned(msgspec.Struct, frozen=True):
    v: int | None = None


Step = CharterStep | RosterStep


def parse_network_file(data: bytes) -> NetworkFile:
    """Return the file in `data`, its steps unread; raise PeerFault when it is none."""
    if codec.glance(_Versioned, data, bytes_max=NETWORK_FILE_BYTES_MAX).v != VERSION:
        raise PeerFault(Reason.UNKNOWN_VERSION)
    return codec.decode_as(NetworkFile, data, bytes_max=NETWORK_FILE_BYTES_MAX)


def parse_step(data: bytes) -> Step:
    """Return the step in `data`; raise PeerFault when it is none."""
    step: Step = codec.decode_as_any(Step, data, bytes_max=DOCUMENT_BYTES_MAX)
    if isinstance(step, CharterStep):
        require(len(step.record.ballots) <= BALLOTS_MAX)
        return step
    require(step.version > 1)
    require(len(step.members) <= MEMBERS_MAX and len(step.hubs) <= HUBS_MAX and len(step.hubs_gone) <= HUBS_MAX)
    require(len(step.records) <= EVIDENCE_MAX and len(step.requests) <= EVIDENCE_MAX)
    require(len(step.signatures) <= SIGNATURES_MAX)
    require(all(len(record.ballots) <= BALLOTS_MAX for record in step.records))
    return step


def roster_step(
    before: Directory,
    after: Roster,
    document: Document,
    records: tuple[DecisionRecord, ...],
    requests: tuple[bytes, ...],
) -> RosterStep:
    """Return the step from `before` to `after`, whose payload `document` carries, with what justifies it."""
    kept = {row.name for row in after.hubs}
    return RosterStep(
        version=after.version,
        previous=after.previous or b"",
        charter=after.charter,
        iat=after.iat,
        exp=after.exp,
        members=tuple(row for row in after.members if before.member(row.code) != row),
        hubs=tuple(row for row in after.hubs if before.hub(row.name) != row),
        hubs_gone=tuple(row.name for row in before.hubs if row.name not in kept),
        records=records,
        requests=requests,
        signatures=tuple(document.s),
    )


def applied(before: Directory, step: RosterStep) -> tuple[Roster, Document]:
    """Return the roster that `step` leads to, and its document; raise PeerFault when it is no roster."""
    members = {row.code: row for row in before.members} | {row.code: row for row in step.members}
    hubs = {row.name: row for row in before.hubs} | {row.name: row for row in step.hubs}
    for name in step.hubs_gone:
        hubs.pop(name, None)
    roster = Roster(
        version=step.version,
        previous=step.previous,
        charter=step.charter,
        iat=step.iat,
        exp=step.exp,
        members=tuple(members[code] for code in sorted(members)),
        hubs=tuple(hubs[name] for name in sorted(hubs)),
        decisions=tuple(parse_document(record.decision).hash for record in step.records),
        requests=tuple(parse_document(request).hash for request in step.requests),
    )
    return roster, Document(encode_roster(roster), list(step.signatures))


def leaves_of(roster: Roster, roster_hash: bytes) -> tuple[bytes, ...]:
    """Return what a roster adds to the log: the decisions and requests it carries out, then itself."""
    return (*roster.decisions, *roster.requests, roster_hash)


@dataclass(frozen=True, slots=True)
class Entry:
    """A step that was taken, as its bytes."""

    kind: type[Step]
    version: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Log:
    """The history that was taken, enough to give it to others; hashes of charters and rosters are by version."""

    founding: Founding
    charters: tuple[bytes, ...]
    rosters: tuple[bytes, ...]
    leaves: tuple[bytes, ...]
    entries: tuple[Entry, ...]
    pulse: bytes | None

    def with_charter(self, step: CharterStep, charter_hash: bytes) -> Log:
        """Return this log with a charter's step appended."""
        entry = Entry(CharterStep, len(self.charters) + 1, codec.encode(step))
        return replace(
            self,
            charters=(*self.charters, charter_hash),
            leaves=(*self.leaves, charter_hash),
            entries=(*self.entries, entry),
        )

    def with_roster(self, step: RosterStep, roster: Roster, roster_hash: bytes) -> Log:
        """Return this log with a roster's step appended."""
        entry = Entry(RosterStep, step.version, codec.encode(step))
        return replace(
            self,
            rosters=(*self.rosters, roster_hash),
            leaves=(*self.leaves, *leaves_of(roster, roster_hash)),
            entries=(*self.entries, entry),
        )

    def position(self, step: Step) -> int | None:
        """Return where the held step of the same kind and version stands."""
        version = step.version if isinstance(step, RosterStep) else step_charter_version(step)
        for at, entry in enumerate(self.entries):
            if entry.kind is type(step) and entry.version == version:
                return at
        return None

    def since(self, roster_version: int, bytes_max: int) -> NetworkFile:
        """Return what somebody who holds that roster lacks: from the beginning, and as many steps as fit.

        The steps up to one next roster are always given, so whoever asks again has got on. The pulse is given only
        when no step is left over, since it is worth nothing before.
        """
        first = last = self._after(roster_version)
        size, gets_on = 0, False
        for entry in self.entries[first:]:
            size += len(entry.data)
            if gets_on and size > bytes_max:
                break
            gets_on = gets_on or entry.kind is RosterStep
            last += 1
        return NetworkFile(
            v=VERSION,
            founding=self.founding if roster_version < 1 else None,
            steps=tuple(entry.data for entry in self.entries[first:last]),
            pulse=self.pulse if last == len(self.entries) else None,
        )

    def _after(self, roster_version: int) -> int:
        if roster_version <= 1:
            return 0
        for at, entry in enumerate(self.entries):
            if entry.kind is RosterStep and entry.version == roster_version:
                return at + 1
        return len(self.entries)


def step_charter_version(step: CharterStep) -> int:
    """Return the version of the charter that a step brings."""
    return parse_charter(parse_document(step.document).p).version


VERSION = 1
