"""A directory in memory with all its secrets, to be edited one way or the other and then judged by the real rules."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from hashlib import blake2b
from typing import Any

import msgspec

from i247_keys import contexts
from i247_keys.ceremony import (
    Changes,
    Terms,
    found,
    hub_request,
    member_request,
    next_charter,
    next_pulse,
    next_roster,
    step_document,
    usual_rules,
    with_signatures,
)
from i247_keys.charter import Charter, Kind, encode_charter, parse_charter
from i247_keys.decision import Ballot, Decision, Vote, encode_decision
from i247_keys.documents import Document, sign_document
from i247_keys.identity import Identity
from i247_keys.log import CharterStep, DecisionRecord, Founding, NetworkFile, RosterStep, Step, roster_step
from i247_keys.pulse import Pulse, encode_pulse, parse_pulse
from i247_keys.request import Particulars, particulars_of
from i247_keys.roster import MemberRow, Roster, encode_roster
from i247_keys.trust import Trust
from i247_keys.vouching import root_of, vouch
from i247_protocol import codec
from i247_protocol.digests import next_key_hash
from i247_protocol.frames import Custody, Taken
from i247_protocol.names import DAY_MS, HubName, MemberCode, WallMs

START = WallMs(1_800_000_000_000)
CODES = ("AA", "BB", "CC", "DD", "EE", "XP")


def key(name: str) -> Identity:
    """Return the key that a name in a test stands for."""
    return Identity(blake2b(name.encode(), digest_size=32).digest())


def link(name: str) -> bytes:
    return blake2b(f"link {name}".encode(), digest_size=32).digest()


def custody_by(name: str, session: bytes, *taken: Taken, at: int = 0, signer: Identity | None = None) -> Custody:
    """Return the custody that the hub or member `name` signs, or `signer` in its name."""
    return Custody(session, taken, vouch(name, signer or key(name), WallMs(at), [root_of(taken)]))


def particulars(code: str, identity: str, next_identity: str, /, **changed: Any) -> Particulars:
    usual = Particulars(
        {"en": f"Land of {code}"},
        key(identity).public,
        next_key_hash(key(next_identity).public),
        link(code),
        (HubName("hub-1"),),
    )
    return msgspec.structs.replace(usual, **changed)


class Repository:
    """The authority, its members and what has been published; `wall` is the only clock."""

    def __init__(
        self,
        codes: Sequence[str] = CODES,
        keys: int = 3,
        threshold: int = 2,
        witnesses: int = 0,
        *,
        hubs: Sequence[str] = ("hub-1", "hub-2"),
        homes: Mapping[str, tuple[str, ...]] | None = None,
    ) -> None:
        self.wall = START
        self.secretariat = [key(f"secretariat {n}") for n in range(keys)]
        self.pulse_key = key("pulse")
        self.terms = Terms(
            tuple(one.public for one in self.secretariat), threshold, self.pulse_key.public, witnesses, usual_rules()
        )
        self.charter, self.roster = found(
            self.terms,
            [self.join(code, homes=tuple(map(HubName, (homes or {}).get(code, hubs[:1])))) for code in codes],
            [self.hub(name) for name in hubs],
            self.wall,
        )
        self.charter = self.sign(self.charter, contexts.CHARTER)
        self.roster = self.sign(self.roster, contexts.ROSTER)
        self.trust = self.founded()

    # --- founding ---

    @property
    def pin(self) -> bytes:
        return self.charter.hash

    def founded(self) -> Trust:
        return Trust.founded(self.pin, self.charter, self.roster, self.wall)

    def refound(self, **changed: Any) -> None:
        """Edit the first charter, and sign it again."""
        charter = msgspec.structs.replace(parse_charter(self.charter.p), **changed)
        self.charter = self.sign(Document(encode_charter(charter), []), contexts.CHARTER)

    # --- requests ---

    def join(self, code: str, signer: str | None = None, **changed: Any) -> Document:
        wanted = particulars(code, code, f"{code} next", **changed)
        document = member_request(MemberCode(code), None, wanted, self.wall)
        return document.with_signature(contexts.REQUEST, key(signer or code))

    def hub(self, name: str, **changed: Any) -> Document:
        fields: dict[str, Any] = {
            "region": "Everywhere",
            "identity": key(name).public,
            "link": link(name),
            "endpoints": (f"tcp://{name}.example:7247",),
        }
        document = hub_request(HubName(name), **{**fields, **changed}, wall=self.wall)
        return document.with_signature(contexts.REQUEST, key(name))

    def change(self, code: str, *signers: str, **changed: Any) -> Document:
        row = self.row(code)
        wanted = msgspec.structs.replace(particulars_of(row), **changed)
        document = member_request(MemberCode(code), row, wanted, self.wall)
        for signer in signers or (code,):
            document = document.with_signature(contexts.REQUEST, key(signer))
        return document

    def rotation(self, code: str, *signers: str) -> Document:
        """Return a change from the key named `code` to the one it committed to."""
        following = key(f"{code} next")
        return self.change(
            code, *signers, identity=following.public, next_identity=next_key_hash(key(f"{code} third").public)
        )

    def row(self, code: str) -> MemberRow:
        row = self.trust.directory.member(MemberCode(code))
        assert row is not None
        return row

    # --- decisions ---

    def decided(
        self,
        kind: Kind,
        subject: str | None,
        fixes: bytes | None = None,
        yes: Iterable[str] = CODES,
        no: Iterable[str] = (),
        **changed: Any,
    ) -> DecisionRecord:
        decision = Decision(
            kind=kind,
            subject=None if subject is None else MemberCode(subject),
            fixes=fixes,
            charter=self.trust.charter.version,
            iat=self.wall,
            exp=self.wall + 30 * DAY_MS,
        )
        payload = encode_decision(msgspec.structs.replace(decision, **changed))
        document = sign_document(payload, contexts.DECISION, [key("XP")])
        ballots = [self.ballot(document, code, Vote.YES) for code in yes]
        ballots += [self.ballot(document, code, Vote.NO) for code in no]
        return DecisionRecord(document.to_bytes(), tuple(ballots))

    @staticmethod
    def ballot(decision: Document, code: str, vote: Vote, signer: str | None = None) -> bytes:
        payload = codec.encode(Ballot(decision.hash, MemberCode(code), vote))
        return sign_document(payload, contexts.BALLOT, [key(signer or code)]).to_bytes()

    # --- steps ---

    def draft(self, **changes: Any) -> RosterStep:
        return next_roster(self.trust, Changes(**changes), self.wall)

    def signed(self, step: RosterStep, signers: Iterable[Identity] | None = None) -> RosterStep:
        document = self.sign(step_document(self.trust, step), contexts.ROSTER, signers)
        return with_signatures(step, document)

    def edited(self, edit: Callable[[Roster], Roster], **changes: Any) -> RosterStep:
        """Return a step whose roster `edit` has changed behind the rules' back, signed by all keyholders."""
        drafted = self.draft(**changes)
        roster = edit(codec.decode_as(Roster, step_document(self.trust, drafted).p, bytes_max=2**20))
        document = self.sign(Document(encode_roster(roster), []), contexts.ROSTER)
        return roster_step(self.trust.directory, roster, document, drafted.records, drafted.requests)

    def with_row(self, code: str, **changed: Any) -> RosterStep:
        """Return a step in which the keyholders change a member's row on their own."""

        def edit(roster: Roster) -> Roster:
            rows = tuple(msgspec.structs.replace(row, **changed) if row.code == code else row for row in roster.members)
            return msgspec.structs.replace(roster, members=rows)

        return self.edited(edit)

    def publish(self, after_ms: int = 1_000, **changes: Any) -> RosterStep:
        """Let time pass, then publish the next roster and believe it."""
        self.wall = WallMs(self.wall + after_ms)
        step = self.signed(self.draft(**changes))
        self.trust = self.trust.with_roster(step, self.wall)
        return step

    def charter_step(
        self, terms: Terms, signers: Iterable[Identity], record: DecisionRecord | None = None, **changed: Any
    ) -> CharterStep:
        charter: Charter = msgspec.structs.replace(
            parse_charter(next_charter(self.trust, terms, self.wall).p), **changed
        )
        document = sign_document(encode_charter(charter), contexts.CHARTER, signers)
        record = record or self.decided(Kind.CHARTER, None, document.hash)
        return CharterStep(document.to_bytes(), record)

    # --- pulse ---

    def pulse(self, signer: Identity | None = None, **changed: Any) -> Document:
        pulse: Pulse = msgspec.structs.replace(parse_pulse(next_pulse(self.trust, self.wall).p), **changed)
        return sign_document(encode_pulse(pulse), contexts.PULSE, [signer or self.pulse_key])

    def file(self, *steps: Step, pulse: Document | None = None, **changed: Any) -> bytes:
        """Return a network file of the founding and `steps`, whatever the rules say."""
        whole = NetworkFile(
            v=1,
            founding=Founding(self.charter.to_bytes(), self.roster.to_bytes()),
            steps=tuple(codec.encode(step) for step in steps),
            pulse=None if pulse is None else pulse.to_bytes(),
        )
        return codec.encode(msgspec.structs.replace(whole, **changed))

    def beat(self) -> None:
        self.trust = self.trust.with_pulse(self.pulse(), self.wall)

    def sign(self, document: Document, context: bytes, signers: Iterable[Identity] | None = None) -> Document:
        for one in self.secretariat if signers is None else signers:
            document = document.with_signature(context, one)
        return document
