"""Say and seal what no honest node would: for tests that attack a world."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import msgspec
from tests.keys.repository import key
from tests.world import World, entropy

from i247_keys import contexts
from i247_keys.keycard import EpochKey, Keycard, parse_keycard
from i247_keys.sealing import seal_for_many, seal_for_one
from i247_node.records import Entry
from i247_protocol import codec
from i247_protocol.audit import AuditRecord, verify_chain
from i247_protocol.bodies import Body
from i247_protocol.bundle import batches
from i247_protocol.correspondence import Correspondence
from i247_protocol.digests import evidence_id
from i247_protocol.frames import Custody, Parcel, Put
from i247_protocol.handling import ROUTINE_HANDLING, Purpose
from i247_protocol.names import EvidenceId, HubName, KeyId, MemberCode, Minutes, WallMs, expiry_minutes
from i247_protocol.priority import Lane, Priority, lane_of
from i247_protocol.queries import Query, TravelDocument
from i247_protocol.reasons import Reason
from i247_protocol.receipts import Outcome, Receipt
from i247_protocol.statement import Act, Statement

MARK: Final = "Marked-Name-7f3a"
LETTER: Final = Correspondence(subject=MARK, text=MARK)
RECEIPT: Final = Receipt(outcome=Outcome.DELIVERED, reason=None)
HOUR_MS: Final = 3_600_000
DAY_MS: Final = 86_400_000


@dataclass(frozen=True)
class Said:
    """A statement, the bytes that were signed, and the signature."""

    statement: Statement
    data: bytes
    signature: bytes

    @property
    def sid(self) -> EvidenceId:
        return evidence_id(self.data, self.signature)


class Pen:
    """Writes statements and envelopes of anybody to anybody in one world."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._draw = entropy(world.seed, "pen")

    def say(
        self,
        author: str,
        *to: str,
        act: Act = Act.CORRESPONDENCE,
        body: Body | bytes = LETTER,
        prio: Priority = Priority.URGENT,
        lifetime_ms: int = HOUR_MS,
        signer: str | None = None,
        context: bytes = contexts.STATEMENT,
        **changed: Any,
    ) -> Said:
        """Return what `author` would say; `changed` fields take the place of true ones."""
        wall = self._world.now.wall
        statement = Statement(
            act=act,
            att=(),
            basis=Purpose.INVESTIGATION,
            body=body if isinstance(body, bytes) else codec.encode(body),
            conv=self._draw(16),
            dir=(1, b""),
            exp=expiry_minutes(WallMs(wall + lifetime_ms)),
            sender=author,
            handling=ROUTINE_HANDLING,
            iat=wall,
            id=self._draw(16),
            prio=prio,
            re=(),
            seq=None,
            to=tuple(sorted(to)),
        )
        return self.sign(msgspec.structs.replace(statement, **changed), signer or author, context)

    @staticmethod
    def sign(statement: Statement, signer: str, context: bytes = contexts.STATEMENT) -> Said:
        data = codec.encode(statement)
        return Said(statement, data, key(signer).sign(context, data))

    def query(self, author: str, to: str, register: str = "sltd", **changed: Any) -> Said:
        document = TravelDocument(country="UTO", number="L898902C3", type="P")
        body = Query(criteria=document, register=register, reply_by=self._world.now.wall + 60_000)
        return self.say(author, to, act=Act.QUERY, body=body, **changed)

    def card(self, code: str) -> Keycard:
        """Return the newest keycard that a node has made."""
        kept = self._world.node_store(code).keyring()
        assert kept is not None
        return parse_keycard(kept.card)[0]

    def key_of(self, code: str) -> EpochKey:
        sealing = self.card(code).sealing_key(self._world.now.wall)
        assert sealing is not None
        return sealing

    def seal(
        self,
        said: Said,
        to: Sequence[str] | None = None,
        *,
        prio: Priority | None = None,
        exp: int | None = None,
        keys: dict[str, EpochKey] | None = None,
    ) -> Parcel:
        """Return the envelope in which `said` travels, with the header's fields as given."""
        statement = said.statement
        members = statement.to if to is None else to
        sealing = {code: (keys or {}).get(code) or self.key_of(code) for code in members}
        header_prio = statement.prio if prio is None else prio
        header_exp = Minutes(statement.exp if exp is None else exp)
        if len(members) == 1:
            held = sealing[members[0]]
            envelope = seal_for_one(
                said.data,
                said.signature,
                recipient=MemberCode(members[0]),
                epoch_kid=KeyId(held.kid),
                epoch_public=held.public,
                prio=header_prio,
                exp=header_exp,
                entropy=self._draw,
            )
        else:
            envelope = seal_for_many(
                said.data,
                said.signature,
                recipients=[(MemberCode(code), KeyId(held.kid), held.public) for code, held in sealing.items()],
                prio=header_prio,
                exp=header_exp,
                entropy=self._draw,
            )
        return Parcel(0, envelope.header, envelope.body, envelope.wraps)

    def sealed(self, author: str, *to: str, **changed: Any) -> Parcel:
        return self.seal(self.say(author, *to, **changed))

    def deliver(self, hub: str, code: str, *parcels: Parcel, lane: Lane = Lane.EXPRESS) -> int:
        """Let a hub put envelopes to a node; return for how many the node gives custody."""
        before = len(self._world.frames)
        for some in batches(parcels):
            self._world.inject(hub, code, lane, partial(Put, parcels=some))
        self._world.run(200)
        answers = self._world.sent(code, hub, Custody, since=before)
        return sum(len(frame.taken) for frame in answers if isinstance(frame, Custody))


def home(world: World, code: str) -> HubName:
    row = world.trust.directory.member(MemberCode(code))
    assert row is not None
    return row.homes[0]


def refused(world: World, name: str) -> dict[str, int]:
    """Return what a program has refused, by reason."""
    snapshot = world.programs[name].machine.counters.snapshot()
    return {counter.removeprefix("refused."): n for counter, n in snapshot.items() if counter.startswith("refused.")}


def only_refused(world: World, name: str, reason: Reason, times: int = 1) -> None:
    """Check that exactly one reason was counted."""
    assert refused(world, name) == {reason.value: times}


def entries_of(world: World, code: str, *acts: Act) -> list[Entry]:
    return [entry for entry in world.entries(code) if not acts or entry.act in acts]


def audit_of(world: World, code: str) -> list[AuditRecord]:
    rows = [record.data for record in world.node_store(code).views().audit(0, 100_000)]
    verify_chain(rows)
    return [codec.decode_as(AuditRecord, data, bytes_max=4096) for data in rows]


def check_house(world: World) -> None:
    """Check what must hold whatever was done: once only, sound trails, and no peer's word in what people see."""
    for name, program in world.programs.items():
        for counter in program.machine.counters.snapshot():
            assert COUNTER.fullmatch(counter), counter
        if name.isupper():
            entries = entries_of(world, name)
            assert len({(entry.sender, entry.id) for entry in entries}) == len(entries), "an entry came twice"
            for record in audit_of(world, name):
                assert DETAIL.fullmatch(record.detail), record
                assert WHAT.fullmatch(record.what), record
                assert PEER.fullmatch(record.peer), record


def parcels_in(frames: Iterable[object]) -> list[Parcel]:
    return [parcel for frame in frames if isinstance(frame, Put) for parcel in frame.parcels]


def lane(parcel_prio: Priority) -> Lane:
    return lane_of(parcel_prio)


COUNTER: Final = re.compile(r"[a-z]+([.-][a-z]+)*")
DETAIL: Final = re.compile(r"[a-z]+(-[a-z]+)*(:[a-z]+(-[a-z]+)*)?|")
WHAT: Final = re.compile(r"[a-z]+(-[a-z]+)*")
PEER: Final = re.compile(r"[A-Z0-9]{2}|\*|")
