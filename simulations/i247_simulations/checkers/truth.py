"""Watch P1, P2, P7 and P8: secret stays secret, true stays true, who must not be heard is not, trust never goes back."""

from __future__ import annotations

from base64 import b64encode
from typing import ClassVar, Final, get_args

import msgspec

from i247_hub.records import Hold, KeepDirectory
from i247_hub.records import Record as HubRecord
from i247_keys.roster import State
from i247_keys.trust import Trust
from i247_node.records import EntryState, KeepAudit, KeepEntry, KeepEntryState, KeepTrust, Quarantine
from i247_protocol.digests import evidence_id
from i247_protocol.errors import PeerFault
from i247_protocol.frames import Put
from i247_protocol.header import parse_header
from i247_protocol.limits import PASSING_MS
from i247_protocol.machine import Claim, Effect, Persist
from i247_protocol.names import MINUTE_MS, MemberCode
from i247_protocol.statement import parse_statement
from i247_simulations.checkers.watching import Checker, Sight
from i247_simulations.disk import Memory
from i247_simulations.node_memory import PlainNodeMemory
from i247_simulations.programs import Program
from i247_simulations.workload import MARK


class NothingLeaks(Checker):
    """No marked text is in a frame, on a hub's disk, in an audit record or in quarantine; also in base64 or hex."""

    promise = "P1"
    looks_at: ClassVar[dict[str, frozenset[type]]] = {
        "effect": frozenset({Put}),
        "durable": frozenset({*get_args(HubRecord), KeepAudit, Quarantine}),
    }

    def effect(self, program: Program, effect: Effect) -> None:
        """Look whether a node seals to a key that a hub has in hand."""
        if program.is_hub or not self.sight.hostile_keys or not isinstance(effect, Claim):
            return
        if isinstance(effect.frame, Put):
            for parcel in effect.frame.parcels:
                kids = {parse_header(parcel.header).kid, *(kid for _, kid, _ in parcel.wraps)}
                if not self.sight.hostile_keys.isdisjoint(kid for kid in kids if kid is not None):
                    self.broken(program.name, "an envelope was sealed to a key that a hub has in hand")

    def frame(self, sender: str, receiver: str, data: bytes) -> None:
        """Search a frame."""
        if _leaks(data):
            self.broken(sender, f"a secret text left for {receiver} in the clear")

    def durable(self, program: Program, record: object) -> None:
        """Search what must not hold anything secret."""
        match record:
            case KeepAudit(data=data):
                leaks = _leaks(data)
            case Quarantine(header=header):
                leaks = _leaks(header)
            case _:  # as msgpack, in which every text and every byte lies open
                leaks = program.is_hub and _leaks(msgspec.msgpack.encode(record))
        if leaks:
            self.broken(program.name, f"a secret text was saved in a {type(record).__name__}")


class TrueWords(Checker):
    """An entry is what its author has signed, to this recipient."""

    promise = "P2"
    looks_at: ClassVar[dict[str, frozenset[type]]] = {"durable": frozenset({KeepEntry})}

    def durable(self, program: Program, record: object) -> None:
        """Compare an entry with what was truly signed."""
        if not isinstance(record, KeepEntry):
            return
        entry = record.entry
        if evidence_id(entry.statement, entry.signature) != entry.sid:
            self.broken(program.name, "an entry has other bytes than its evidence id names", entry.sid)
        elif self.sight.signed.get(entry.sid) != entry.sender:
            self.broken(program.name, f"an entry is not what {entry.sender} has signed", entry.sid)
        elif not self._is_for(program.name, entry.sid, entry.statement):
            self.broken(program.name, "an entry was written to somebody else", entry.sid)

    def _is_for(self, name: str, sid: bytes, statement: bytes) -> bool:
        sent = self.sight.sent.get(sid)
        if sent is not None:
            return name in sent[2]
        try:
            return name in parse_statement(statement).to
        except PeerFault:
            return False


class GoodStanding(Checker):
    """Nothing is taken after its expiry, nor from who is suspended, nor by a stolen key, in the roster that is held."""

    promise = "P8"
    looks_at: ClassVar[dict[str, frozenset[type]]] = {"effect": frozenset({Hold, KeepEntry, KeepEntryState})}

    def __init__(self, sight: Sight) -> None:
        super().__init__(sight)
        self._believed: dict[str, tuple[int, int]] = {}

    def booted(self, program: Program) -> None:
        """Note what a program begins with: nothing that it had let pass is there any more."""
        self._believed[program.name] = program.machine.trust.directory.version, program.now.mono - LET_PASS_MS_MAX

    def turned(self, program: Program) -> None:
        """Note since when a program believes its roster."""
        version = program.machine.trust.directory.version
        if self._believed.get(program.name, (0, 0))[0] != version:
            self._believed[program.name] = version, program.now.mono

    def effect(self, program: Program, effect: Effect) -> None:
        """Look at who speaks, and when, while the machine still believes what it judged by."""
        if not isinstance(effect, Persist):
            return
        record, memory = effect.record, program.disk.memory
        if isinstance(record, Hold):
            row = record.rows[0]
            key = self.sight.stolen_bodies.get(row.body[:32])
            # What came a moment before, and was passed on, may be saved now.
            _, since = self._believed.get(program.name, (0, 0))
            if (
                row.source.isupper()
                and self._is_known_as_stolen(program, key)
                and program.now.mono >= since + LET_PASS_MS_MAX
            ):
                self.broken(program.name, f"an envelope was taken on a link that a stolen key of {row.source} opened")
        elif isinstance(record, KeepEntry):
            entry = record.entry
            if self._is_known_as_stolen(program, self.sight.stolen.get(entry.sid)):
                self.broken(program.name, f"a message was taken that a stolen key of {entry.sender} has signed")
            if entry.exp * MINUTE_MS <= program.now.wall:
                self.broken(program.name, "a message was taken after its expiry", entry.sid)
            if entry.state is not EntryState.WITHHELD:
                self._look_at(program, entry.sender, entry.sid)
        elif isinstance(record, KeepEntryState) and record.state is EntryState.NEW:
            held = memory.entry(record.n) if isinstance(memory, PlainNodeMemory) else None
            if held is not None:
                self._look_at(program, held.sender, held.sid)

    def _is_known_as_stolen(self, program: Program, key: bytes | None) -> bool:
        since = None if key is None else self.sight.rekeyed.get(key)
        return since is not None and program.machine.trust.directory.version >= since

    def _look_at(self, program: Program, sender: MemberCode, sid: bytes) -> None:
        since = self.sight.suspended.get(sender)
        directory = program.machine.trust.directory
        if since is None or directory.version < since:
            return
        if directory.state_of(sender, program.now.wall) is not State.ACTIVE:
            self.broken(program.name, f"a message of {sender} was handed over, which is suspended", sid)


class TrustGrows(Checker):
    """No program believes an older charter, roster or pulse than one that it had saved, nor another of one version."""

    promise = "P7"
    looks_at: ClassVar[dict[str, frozenset[type]]] = {"durable": frozenset({KeepTrust, KeepDirectory})}

    def __init__(self, sight: Sight) -> None:
        super().__init__(sight)
        self._saved: dict[str, tuple[int, int, int]] = {}
        self._seen: dict[str, Trust] = {}
        self._rosters: dict[tuple[str, int], bytes] = {}

    def durable(self, program: Program, record: object) -> None:
        """Note what was saved."""
        if isinstance(record, KeepTrust | KeepDirectory):
            self._saved[program.name] = max(self._saved.get(program.name, (0, 0, 0)), _age(program.machine.trust))

    def booted(self, program: Program) -> None:
        """Look at what a program begins with."""
        self.turned(program)

    def turned(self, program: Program) -> None:
        """Look at what a program believes."""
        trust = program.machine.trust
        if self._seen.get(program.name) is trust:
            return
        self._seen[program.name] = trust
        place = program.name, trust.directory.version
        if self._rosters.setdefault(place, trust.roster_hash) != trust.roster_hash:
            self.broken(program.name, f"another roster of version {place[1]} is believed than before")
        if _age(trust) < self._saved.get(program.name, (0, 0, 0)):
            self.broken(program.name, "an older directory is believed than was saved")

    def restored(self, name: str, before: Memory, after: Memory) -> None:
        """Let a disk that is older, or empty, know less."""
        self._saved.pop(name, None)
        self._rosters = {place: held for place, held in self._rosters.items() if place[0] != name}


def _age(trust: Trust) -> tuple[int, int, int]:
    return trust.charter.version, trust.directory.version, 0 if trust.pulse is None else trust.pulse.iat


def _leaks(data: bytes) -> bool:
    for needle in NEEDLES:  # noqa: SIM110  a generator would cost more than the search
        if needle in data:
            return True
    return False


def _in_base64(mark: bytes) -> list[bytes]:
    """Return the middle of the mark's three possible spellings."""
    return [b64encode(bytes(shift) + mark)[4 if shift else 0 : 4 * ((shift + len(mark)) // 3)] for shift in range(3)]


LET_PASS_MS_MAX: Final = 2 * PASSING_MS
"""How long after it came an envelope may be saved that was passed on at once."""
_MARK: Final = MARK.encode()
NEEDLES: Final = (_MARK, *_in_base64(_MARK), _MARK.hex().encode(), _MARK.hex().upper().encode())
