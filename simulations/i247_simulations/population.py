"""Found the world's directory: keys of all from the seed, the first charter and roster, and what the authority does later.

The ceremony's own functions build every document, and everybody else judges them by the real rules.
docs/simulation.md 1.
"""

from __future__ import annotations

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
from i247_keys.request import Particulars
from i247_keys.roster import State
from i247_keys.trust import Trust
from i247_protocol.digests import next_key_hash
from i247_protocol.names import HubName, MemberCode, WallMs
from i247_simulations.scenarios import Scenario
from i247_simulations.streams import derived


class Authority:
    """The Secretariat's keyholders, and what they have published."""

    def __init__(self, seed: int, scenario: Scenario, wall: WallMs) -> None:
        self._seed = seed
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
        return Identity(derived(self._seed, f"identity/{name}"))

    def link_key(self, name: str) -> bytes:
        """Return what stands for the public link key of a member or hub."""
        return derived(self._seed, f"link key/{name}")

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
        step = next_roster(self.trust, Changes(suspend=(code,)), wall)
        document = self._signed(step_document(self.trust, step), contexts.ROSTER)
        self.trust = self.trust.with_roster(with_signatures(step, document), wall)
        self.beat(wall)

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
