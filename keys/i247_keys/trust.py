"""Hold what a node or hub believes about the directory, and decide what it may believe next.

No I/O is here: bytes come in, a new value comes out, and whoever drives it saves that before using it. A
document that came from a hub and one from a stick are judged alike. The rules, which the methods follow one
to one (docs/protocol.md 8.7):

 Founding
  F1  The hash of the first charter is the pin.
  F2  k of that charter's keys signed it.
  F3  The hash of the first roster is the one in that charter, which thereby admits its members.
  F4  k of the keys signed that roster.
  F5  Neither is of the future.

 Next charter
  C1  Its version is one more than the held one's. A held version: the same again is not newer; another one
      that the charter before could have brought forth is a fork.
  C2  It names the held one by hash, and was issued later, but not in the future.
  C3  k of the held one's keys signed it, and k of its own.
  C4  The Assembly decided on it under the held one's rule.
  C5  A pulse whose key it no longer names is forgotten.

 Next roster
  R1  Its version is one more than the held one's. A held version: as in C1.
  R2  It names the held one by hash, and the held charter by version.
  R3  It was issued later than the held one, not in the future, and within the charter's lifetime.
  R4  k of the charter's keys signed it.
  R5  Every member's row is justified (`justification`).

 Pulse
  P1  The roster and the log that it names are held; otherwise the steps must be fetched first.
  P2  The charter's pulse key signed it, or as many active members as the charter lets take its place.
  P3  It is newer than the held one, and not of the future.
  P4  Roster and log are those that are held; otherwise it is a fork.

An expired document is taken as history like any other: what is left of it when time passes is told by `health`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import NoReturn

from i247_keys import contexts
from i247_keys.charter import Charter, parse_charter
from i247_keys.documents import Document, parse_document, tally
from i247_keys.justification import justify, justify_charter
from i247_keys.log import (
    CharterStep,
    Founding,
    Log,
    NetworkFile,
    RosterStep,
    Step,
    applied,
    leaves_of,
    parse_network_file,
    parse_step,
)
from i247_keys.pulse import Pulse, log_root, parse_pulse
from i247_keys.roster import Directory, State, parse_roster
from i247_protocol import codec
from i247_protocol.digests import key_id
from i247_protocol.errors import PeerFault
from i247_protocol.limits import DIRECTORY_CHUNK_BYTES, NETWORK_FILE_BYTES_MAX, PULSE_GRACE_MS, SKEW_MS
from i247_protocol.names import WallMs
from i247_protocol.reasons import Reason


class Health(StrEnum):
    """What the directory that is held allows: all; all, with an alarm; or to receive and store only."""

    FRESH = "fresh"
    DEGRADED = "degraded"
    HOLD = "hold"


@dataclass(frozen=True, slots=True, eq=False)
class Trust:
    """What is believed, and the log that it follows from. Never changes; each rule returns a new one."""

    pin: bytes
    charter: Charter
    charter_hash: bytes
    directory: Directory
    roster_hash: bytes
    pulse: Pulse | None
    pulse_hash: bytes
    log: Log

    @classmethod
    def founded(cls, pin: bytes, charter_document: Document, roster_document: Document, wall: WallMs) -> Trust:
        """Believe the first charter and roster; raise PeerFault when F1 to F5 do not hold."""
        if charter_document.hash != pin:
            raise PeerFault(Reason.WRONG_PIN)
        charter = parse_charter(charter_document.p)
        if charter.version != 1:
            raise PeerFault(Reason.MALFORMED)
        tally(charter_document, contexts.CHARTER, charter.entitled, charter.threshold).require()
        if roster_document.hash != charter.roster:
            raise PeerFault(Reason.CHAIN_BROKEN)
        roster = parse_roster(roster_document.p)
        if roster.version != 1 or roster.charter != 1:
            raise PeerFault(Reason.MALFORMED)
        tally(roster_document, contexts.ROSTER, charter.entitled, charter.threshold).require()
        _require_past(max(charter.iat, roster.iat), wall)
        log = Log(
            founding=Founding(charter_document.to_bytes(), roster_document.to_bytes()),
            charters=(pin,),
            rosters=(roster_document.hash,),
            leaves=(pin, *leaves_of(roster, roster_document.hash)),
            entries=(),
            pulse=None,
        )
        return cls(pin, charter, pin, Directory(roster), roster_document.hash, None, NO_PULSE, log)

    def with_charter(self, step: CharterStep, wall: WallMs) -> Trust:
        """Believe the next charter; raise PeerFault when C1 to C4 do not hold."""
        document = parse_document(step.document)
        charter = parse_charter(document.p)
        if charter.version <= self.charter.version:
            self._refuse_held(step, charter.version)
        if charter.version != self.charter.version + 1 or charter.previous != self.charter_hash:
            raise PeerFault(Reason.CHAIN_BROKEN)
        if charter.iat <= self.charter.iat:
            raise PeerFault(Reason.NOT_NEWER)
        _require_past(charter.iat, wall)
        tally(document, contexts.CHARTER, self.charter.entitled, self.charter.threshold).require()
        tally(document, contexts.CHARTER, charter.entitled, charter.threshold).require()
        justify_charter(self.directory, self.charter, charter, document.hash, step.record)
        after = replace(
            self, charter=charter, charter_hash=document.hash, log=self.log.with_charter(step, document.hash)
        )
        return after if charter.pulse_key == self.charter.pulse_key else _without_pulse(after)

    def with_roster(self, step: RosterStep, wall: WallMs) -> Trust:
        """Believe the next roster; raise PeerFault when R1 to R5 do not hold."""
        if step.version <= self.directory.version:
            self._refuse_held(step, step.version)
        if (step.version, step.previous) != (self.directory.version + 1, self.roster_hash):
            raise PeerFault(Reason.CHAIN_BROKEN)
        if step.charter != self.charter.version:
            raise PeerFault(Reason.CHAIN_BROKEN)
        if step.iat <= self.directory.roster.iat:
            raise PeerFault(Reason.NOT_NEWER)
        _require_past(step.iat, wall)
        if step.iat > self.charter.exp:
            raise PeerFault(Reason.DIRECTORY_EXPIRED)
        roster, document = applied(self.directory, step)
        tally(document, contexts.ROSTER, self.charter.entitled, self.charter.threshold).require()
        justify(self.directory, roster, self.charter, step.records, step.requests)
        return replace(
            self,
            directory=Directory(roster),
            roster_hash=document.hash,
            log=self.log.with_roster(step, roster, document.hash),
        )

    def with_pulse(self, document: Document, wall: WallMs) -> Trust:
        """Believe a newer pulse; raise PeerFault when P1 to P4 do not hold."""
        pulse = parse_pulse(document.p)
        if pulse.roster_version > self.directory.version or pulse.log_size > len(self.log.leaves):
            raise PeerFault(Reason.NEWER_ROSTER)
        if document.hash == self.pulse_hash:
            raise PeerFault(Reason.NOT_NEWER)
        self._require_pulse_signers(document, pulse)
        _require_past(pulse.iat, wall)
        same_roster = pulse.roster_hash == self.log.rosters[pulse.roster_version - 1]
        if not same_roster or pulse.log_root != log_root(self.log.leaves[: pulse.log_size]):
            raise PeerFault(Reason.FORKED)
        if self.pulse is not None and (
            pulse.iat <= self.pulse.iat
            or pulse.roster_version < self.pulse.roster_version
            or pulse.log_size < self.pulse.log_size
        ):
            raise PeerFault(Reason.NOT_NEWER)
        log = replace(self.log, pulse=document.to_bytes())
        return replace(self, pulse=pulse, pulse_hash=document.hash, log=log)

    def with_step(self, step: Step, wall: WallMs) -> Trust:
        """Believe the next charter or roster."""
        return self.with_charter(step, wall) if isinstance(step, CharterStep) else self.with_roster(step, wall)

    def with_file(self, file: NetworkFile, wall: WallMs) -> Trust:
        """Believe what is newer in a file and pass over what is held; raise PeerFault at the first broken rule."""
        if file.founding is not None:
            self._require_same_founding(file.founding)
        held = {entry.data for entry in self.log.entries}
        trust = self
        for data in file.steps:
            if data not in held:
                trust = _unless_held(trust, parse_step(data), wall)
        if file.pulse is None:
            return trust
        try:
            return trust.with_pulse(parse_document(file.pulse), wall)
        except PeerFault as fault:
            if fault.reason is Reason.NOT_NEWER:
                return trust
            raise

    def health(self, wall: WallMs) -> Health:
        """Return what the directory allows at an instant. Without a pulse it is as old as its newest roster."""
        roster = self.directory.roster
        proven_until = roster.iat if self.pulse is None else self.pulse.exp
        fresh_until = min(proven_until, roster.exp, self.charter.exp)
        if wall <= fresh_until:
            return Health.FRESH
        return Health.DEGRADED if wall <= fresh_until + PULSE_GRACE_MS else Health.HOLD

    def steps_since(self, roster_version: int, bytes_max: int = DIRECTORY_CHUNK_BYTES) -> bytes:
        """Return a network file for somebody who holds that roster (0: none yet), with about so many bytes of steps.

        Fits one frame as it is. What does not fit is left for whoever then asks with the newer version.
        """
        return codec.encode(self.log.since(roster_version, bytes_max))

    def to_bytes(self) -> bytes:
        """Return the whole log, to be saved or handed on as a network file."""
        return self.steps_since(0, NETWORK_FILE_BYTES_MAX)

    @classmethod
    def from_bytes(cls, pin: bytes, data: bytes, wall: WallMs) -> Trust:
        """Return what `to_bytes` saved; raise PeerFault when it does not follow from the pin.

        The documents were not of the future when they were taken, so a clock that is wrong today changes nothing.
        A saved pulse whose signers have lost their keys since is forgotten.
        """
        file = parse_network_file(data)
        if file.founding is None:
            raise PeerFault(Reason.CHAIN_BROKEN)
        late = WallMs(max(wall, END_OF_TIME))
        founding = parse_document(file.founding.charter), parse_document(file.founding.roster)
        trust = cls.founded(pin, *founding, late)
        for step in file.steps:
            trust = trust.with_step(parse_step(step), late)
        try:
            return trust if file.pulse is None else trust.with_pulse(parse_document(file.pulse), late)
        except PeerFault as fault:
            if fault.reason is Reason.TOO_FEW_SIGNATURES:
                return trust
            raise

    def _require_pulse_signers(self, document: Document, pulse: Pulse) -> None:
        public = self.charter.pulse_key
        by_key = tally(document, contexts.PULSE, {key_id(public): public}, 1)
        if by_key.reached or self.charter.witnesses == 0:
            by_key.require()
            return
        active = (row.identity for row in self.directory.members if row.state_at(pulse.iat) is State.ACTIVE)
        witnesses = {key_id(identity): identity for identity in active}
        tally(document, contexts.PULSE, witnesses, self.charter.witnesses).require()

    def _require_same_founding(self, founding: Founding) -> None:
        same_charter = parse_document(founding.charter).hash == self.pin
        if not same_charter or parse_document(founding.roster).hash != self.log.rosters[0]:
            raise PeerFault(Reason.WRONG_PIN)

    def _refuse_held(self, step: Step, version: int) -> NoReturn:
        """Raise NOT_NEWER for what is held, FORKED for another one with enough signatures, else what is wrong with it.

        Costs a replay up to that version when the bytes are not those that are held.
        """
        at = self.log.position(step)
        if at is None:
            raise PeerFault(Reason.MALFORMED)  # a first charter is no step
        if codec.encode(step) == self.log.entries[at].data:
            raise PeerFault(Reason.NOT_NEWER)
        before = self._before(at)
        if isinstance(step, CharterStep):
            document, context, hashes = parse_document(step.document), contexts.CHARTER, self.log.charters
        else:
            if step.previous != before.roster_hash:
                raise PeerFault(Reason.CHAIN_BROKEN)
            document, context, hashes = applied(before.directory, step)[1], contexts.ROSTER, self.log.rosters
        if document.hash == hashes[version - 1]:
            raise PeerFault(Reason.NOT_NEWER)
        tally(document, context, before.charter.entitled, before.charter.threshold).require()
        raise PeerFault(Reason.FORKED)

    def _before(self, at: int) -> Trust:
        trust = Trust.founded(
            self.pin,
            parse_document(self.log.founding.charter),
            parse_document(self.log.founding.roster),
            END_OF_TIME,
        )
        for entry in self.log.entries[:at]:
            trust = trust.with_step(parse_step(entry.data), END_OF_TIME)
        return trust


def _unless_held(trust: Trust, step: Step, wall: WallMs) -> Trust:
    try:
        return trust.with_step(step, wall)
    except PeerFault as fault:
        # A next step can be not newer too, when it claims to be issued before the held one: that is no history.
        if fault.reason is Reason.NOT_NEWER and trust.log.position(step) is not None:
            return trust
        raise


def _without_pulse(trust: Trust) -> Trust:
    return replace(trust, pulse=None, pulse_hash=NO_PULSE, log=replace(trust.log, pulse=None))


def _require_past(iat: int, wall: WallMs) -> None:
    if iat > wall + SKEW_MS:
        raise PeerFault(Reason.FUTURE_DATED)


NO_PULSE = b""
END_OF_TIME = WallMs(2**62)
