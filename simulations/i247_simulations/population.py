"""Found the world's directory: keys of all from the seed, the first charter and roster, and what the authority does later.

The ceremony's own functions build every document, and everybody else judges them by the real rules.
docs/simulation.md 1.
"""

from __future__ import annotations

from collections import Counter

from i247_keys import contexts
from i247_keys.ceremony import (
    Changes,
    Terms,
    found,
    hub_request,
    member_request,
    next_pulse,
    next_roster,
    step_document,
    usual_rules,
    with_signatures,
)
from i247_keys.documents import Document, sign_document
from i247_keys.identity import Identity
from i247_keys.justification import may_suspend
from i247_keys.log import NetworkFile, RosterStep
from i247_keys.request import Particulars
from i247_keys.roster import State
from i247_keys.trust import Trust
from i247_protocol import codec
from i247_protocol.digests import evidence_id, next_key_hash
from i247_protocol.names import HubName, MemberCode, WallMs
from i247_simulations.crypto import identity_of
from i247_simulations.scenario import Scenario
from i247_simulations.streams import derived


class Authority:
    """The Secretariat's keyholders, and what they have published."""

    def __init__(self, seed: int, scenario: Scenario, wall: WallMs) -> None:
        self._seed = seed
        self._crypto = scenario.crypto
        self._rekeyed = Counter[str]()
        self._link_keys: dict[str, bytes] = {}
        self._holders = [self.identity(f"keyholder {n}") for n in range(3)]
        self._pulse = self.identity("pulse")
        terms = Terms(tuple(one.public for one in self._holders), 2, self._pulse.public, 0, usual_rules())
        members = [self._joining(code, scenario.homes[code], wall) for code in scenario.members]
        hubs = [self._listing(name, wall) for name in scenario.hubs]
        charter, roster = found(terms, members, hubs, wall)
        charter, roster = self._signed(charter, contexts.CHARTER), self._signed(roster, contexts.ROSTER)
        self.founded = self.trust = Trust.founded(charter.hash, charter, roster, wall)
        self.beat(wall)
        self.founded = self.trust

    def identity(self, name: str) -> Identity:
        """Return the signing key of a member, a hub or a keyholder."""
        return identity_of(self._crypto, derived(self._seed, f"identity/{name}"))

    def watched(self, name: str, signed: dict[bytes, str]) -> WatchedIdentity:
        """Return the signing key that a member or hub has now; it notes in `signed` what it signs."""
        seed = derived(self._seed, f"identity/{self._present(name)}")
        return WatchedIdentity(seed, name, signed, identity_of(self._crypto, seed))

    def link_key(self, name: str) -> bytes:
        """Return what stands for the public link key that a member or hub has now."""
        key = self._link_keys.get(name)
        if key is None:
            key = self._link_keys[name] = derived(self._seed, f"link key/{self._present(name)}")
        return key

    def beat(self, wall: WallMs) -> None:
        """Publish a fresh pulse."""
        pulse = sign_document(next_pulse(self.trust, wall).p, contexts.PULSE, [self._pulse])
        self.trust = self.trust.with_pulse(pulse, wall)

    def suspend(self, code: MemberCode, wall: WallMs) -> None:
        """Suspend a member in an emergency, if it is active and there is another one left."""
        row = self.trust.directory.member(code)
        active = [one for one in self.trust.directory.members if one.state_at(wall) is State.ACTIVE]
        if row not in active or len(active) <= 2:
            return
        self.trust = self.trust.with_roster(self._step(Changes(suspend=(code,)), wall, holders=3), wall)
        self.beat(wall)

    def rekey(self, code: MemberCode, wall: WallMs) -> None:
        """Give a member the keys that it had committed to; its former ones have no grace, for they were stolen."""
        row = self.trust.directory.member(code)
        if row is None:
            return
        self._rekeyed[code] += 1
        self._link_keys.pop(code, None)
        now = self._present(code)
        wanted = Particulars(
            row.names,
            self.identity(now).public,
            next_key_hash(self.identity(f"{now} next").public),
            self.link_key(code),
            row.homes,
        )
        request = member_request(code, row, wanted, wall).with_signature(contexts.REQUEST, self.identity(now))
        self.trust = self.trust.with_roster(self._step(Changes(requests=(request,)), wall, holders=3), wall)
        self.beat(wall)

    def forged(self, wall: WallMs, *, holders: int) -> bytes:
        """Return a network file with a next roster that so many keyholders sign, and that was never published.

        It suspends the first member that can be. With enough holders it is a fork of whatever is published next.
        """
        for row in self.trust.directory.members:
            if may_suspend(row, wall):
                step = self._step(Changes(suspend=(row.code,)), wall, holders=holders)
                return codec.encode(NetworkFile(1, None, (codec.encode(step),), None))
        return b""

    def _present(self, name: str) -> str:
        """Return under which name the keys of now are derived from the seed."""
        return name + " next" * self._rekeyed[name]

    def _step(self, changes: Changes, wall: WallMs, *, holders: int) -> RosterStep:
        step = next_roster(self.trust, changes, wall)
        document = step_document(self.trust, step)
        for one in self._holders[:holders]:
            document = document.with_signature(contexts.ROSTER, one)
        return with_signatures(step, document)

    def _joining(self, code: str, homes: tuple[str, ...], wall: WallMs) -> Document:
        wanted = Particulars(
            {"en": f"Member {code}"},
            self.identity(code).public,
            next_key_hash(self.identity(f"{code} next").public),
            self.link_key(code),
            tuple(map(HubName, homes)),
        )
        request = member_request(MemberCode(code), None, wanted, wall)
        return request.with_signature(contexts.REQUEST, self.identity(code))

    def _listing(self, name: str, wall: WallMs) -> Document:
        request = hub_request(
            HubName(name),
            region=name.title(),
            identity=self.identity(name).public,
            link=self.link_key(name),
            endpoints=(f"tcp://{name}.simulated:7247",),
            wall=wall,
        )
        return request.with_signature(contexts.REQUEST, self.identity(name))

    def _signed(self, document: Document, context: bytes) -> Document:
        for one in self._holders:
            document = document.with_signature(context, one)
        return document


class WatchedIdentity(Identity):
    """An identity that notes what it has signed, so that forged evidence can be told from true."""

    __slots__ = ("_inner", "_name", "_signed")

    def __init__(self, seed: bytes, name: str, signed: dict[bytes, str], inner: Identity) -> None:
        super().__init__(seed)
        self._inner = inner
        self._name = name
        self._signed = signed

    def sign(self, context: bytes, message: bytes) -> bytes:
        """Return the signature, and note it."""
        signature = self._inner.sign(context, message)
        self._signed[evidence_id(message, signature)] = self._name
        return signature
