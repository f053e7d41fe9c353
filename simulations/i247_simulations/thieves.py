"""Write what members say falsely: in another's name, or with another's stolen keys.

A thief has what lay on a member's machine: its signing key and its link key. It reads the keycards that its accomplice
holds, seals properly, and says what it likes. docs/simulation.md 3.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from random import Random
from typing import Final, NamedTuple

from i247_keys.cipher import Cipher
from i247_keys.identity import Identity
from i247_keys.keycard import VERSION_MAX, Keycard, parse_keycard
from i247_keys.keyring import Keyring
from i247_node.composing import Draft, seal, sign
from i247_protocol.correspondence import Correspondence
from i247_protocol.errors import PeerFault
from i247_protocol.frames import Frame, Hello, Parcel, Put, Role, parse_frame
from i247_protocol.handling import ROUTINE_HANDLING, Purpose
from i247_protocol.limits import WINDOW_BYTES, WINDOW_MESSAGES
from i247_protocol.names import EvidenceId, MemberCode, WallMs
from i247_protocol.priority import Lane, Priority
from i247_protocol.statement import Act
from i247_simulations.workload import MARK


class Letter(NamedTuple):
    """One sealed letter, and the evidence id under which it would be taken."""

    sid: EvidenceId
    parcel: Parcel


class Thief:
    """Who has a member's signing key and link key."""

    def __init__(
        self, victim: str, identity: Identity, link_key: bytes, entropy: Callable[[int], bytes], cipher: Cipher
    ) -> None:
        self.link_key = link_key
        self._victim = victim
        self._identity = identity
        self._entropy = entropy
        self._cipher = cipher
        self._said = 0

    def letter(self, cards: Iterable[bytes], wall: WallMs) -> Letter | None:
        """Return a letter of the victim to one of those whose keycards are known, each in turn."""
        others = [card for card in _cards(cards) if card.member != self._victim]
        if not others:
            return None
        self._said += 1
        to = others[self._said % len(others)]
        return _letter(self._victim, self._identity, to, wall, self._entropy, self._cipher)

    def card(self, cards: Iterable[bytes], wall: WallMs, *, is_last: bool) -> bytes | None:
        """Return a keycard of the victim with keys of the thief's, newer than the true one; `is_last` has no successor."""
        held = next((card for card in _cards(cards) if card.member == self._victim), None)
        if held is None:
            return None
        version = VERSION_MAX if is_last else min(held.version + 1, VERSION_MAX)
        return Keyring().renewed(wall, self._entropy).card(held.member, version, wall, self._identity)

    def frames(self, letter: Letter, wall: WallMs) -> tuple[Frame, Frame]:
        """Return a greeting with the stolen link key, and the letter put in that session."""
        session = self._entropy(8)
        greeting = Hello(session, Role.MEMBER, Lane.EXPRESS, 1, b"", bytes(32), wall, WINDOW_MESSAGES, WINDOW_BYTES)
        return greeting, Put(session, (letter.parcel,))


def impersonated(
    me: str,
    identity: Identity,
    cards: Iterable[bytes],
    *,
    wall: WallMs,
    chance: Random,
    entropy: Callable[[int], bytes],
    cipher: Cipher,
) -> Parcel | None:
    """Return a letter signed by `me`: it names another as its author, or another priority than its envelope."""
    known = [card for card in _cards(cards) if card.member != me]
    if len(known) < 2:
        return None
    to, other = chance.sample(known, 2)
    if chance.random() < 0.5:
        letter = _letter(other.member, identity, to, wall, entropy, cipher)
    else:
        letter = _letter(me, identity, to, wall, entropy, cipher, outside=Priority.CONTROL)
    return None if letter is None else letter.parcel


def session_heard(heard: Sequence[tuple[str, bytes]], there: str) -> bytes | None:
    """Return the session in which somebody last spoke to `there`."""
    for receiver, data in reversed(heard):
        if receiver == there:
            try:
                return parse_frame(data).session
            except PeerFault:
                continue
    return None


def _letter(
    author: str,
    identity: Identity,
    to: Keycard,
    wall: WallMs,
    entropy: Callable[[int], bytes],
    cipher: Cipher,
    outside: Priority = Priority.URGENT,
) -> Letter | None:
    key = to.sealing_key(wall)
    if key is None:
        return None
    draft = Draft(
        act=Act.CORRESPONDENCE,
        to=(to.member,),
        body=Correspondence(subject=f"{MARK} stolen", text=f"{MARK} stolen"),
        prio=Priority.URGENT,
        lifetime_ms=LIFETIME_MS,
        basis=Purpose.INVESTIGATION,
        handling=ROUTINE_HANDLING,
    )
    message = sign(draft, n=0, me=MemberCode(author), identity=identity, directory=(1, b""), wall=wall, entropy=entropy)
    return Letter(message.sid, seal(replace(message, prio=outside), [(to.member, key)], entropy, cipher))


def _cards(cards: Iterable[bytes]) -> list[Keycard]:
    return [parse_keycard(data)[0] for data in cards]


LIFETIME_MS: Final = 600_000
