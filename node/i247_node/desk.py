"""Hold the directory, everybody's keycards and this member's own epoch keys.

What is newer is judged by the rules in `keys`, saved before it is used, and handed on. Epoch keys are
renewed ahead of time and published; they are all dropped when this node may be a copy. docs/protocol.md 8.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from i247_keys.cardfile import CardFile
from i247_keys.identity import Identity
from i247_keys.keycard import VERSION_MAX, parse_keycard, verify_keycard
from i247_keys.keyring import Keyring
from i247_keys.petitions import Petitions
from i247_keys.roster import Directory
from i247_keys.trust import Trust
from i247_node.links import Link, Links
from i247_node.records import KeepCard, KeepKeyring, KeepTrust, NodeMemory
from i247_node.trail import Trail
from i247_protocol.counters import Counters
from i247_protocol.errors import PeerFault
from i247_protocol.frames import Cards, CardWant, DirHave, DirWant, Hello
from i247_protocol.machine import Claim, Effect, Persist
from i247_protocol.names import DAY_MS, MemberCode, Now, WallMs
from i247_protocol.priority import Lane
from i247_protocol.reasons import Reason


class Desk:
    """What this node believes of others, and what it lets them know of itself."""

    def __init__(
        self,
        me: MemberCode,
        identity: Identity,
        trust: Trust,
        memory: NodeMemory,
        links: Links,
        entropy: Callable[[int], bytes],
        counters: Counters,
        trail: Trail,
        cards: CardFile,
    ) -> None:
        self.me = me
        self.trust = trust
        self.cards = cards
        self._petitions = Petitions()
        self.keyring = Keyring()
        self.card_version = 0
        self._identity = identity
        self._memory = memory
        self._links = links
        self._entropy = entropy
        self._counters = counters
        self._trail = trail
        self._card = b""
        self._keys_change = WallMs(0)

    @property
    def directory(self) -> Directory:
        """The newest roster."""
        return self.trust.directory

    def start(self, now: Now, *, drop_epoch_secrets: bool) -> Iterator[Effect]:
        """Take up keycards and epoch keys; make new ones where there are none, or where these may be a copy's."""
        for data in self._memory.cards():
            self._offered(data, now)
        saved = self._memory.keyring()
        if saved is None or drop_epoch_secrets:
            self.card_version = 0 if saved is None else saved.card_version
            yield from self._renew(now, drop=True)
            return
        self.keyring = Keyring.from_bytes(saved.data)
        self.card_version, self._card = saved.card_version, saved.card
        if self._is_signed_by(saved.card, (self._identity.public,)):
            self._keys_change = self.keyring.next_change(now.wall)
            yield from self.time_passed(now)
        else:
            in_force = self.directory.verifying_keys(self.me, now.wall)
            yield from self._renew(now, drop=not self._is_signed_by(saved.card, in_force))

    def time_passed(self, now: Now) -> Iterator[Effect]:
        """Renew the epoch keys when it is time."""
        if self._keys_change <= now.wall:
            yield from self._renew(now, drop=False)

    def opened(self, link: Link, hello: Hello) -> Iterator[Effect]:
        """Give a hub that has greeted our keycard, and ask for what it seems to have more of."""
        version = self.directory.version
        if hello.roster > version or (hello.roster == version and hello.pulse != self.trust.pulse_hash):
            yield Claim(link.id, DirWant(hello.session, version, self.trust.pulse_hash))
        if link.lane is Lane.EXPRESS:
            yield Claim(link.id, Cards(hello.session, (self._card,)))
            if hello.cards != self.cards.digest:
                yield Claim(link.id, CardWant(hello.session, self.cards.versions()))

    def wanted(self, link: Link, want: DirWant) -> Claim:
        """Give the documents that a hub lacks."""
        return Claim(link.id, DirHave(want.session, self.trust.steps_since(want.roster)))

    def own_card_wanted(self, link: Link, want: CardWant) -> Iterator[Effect]:
        """Give our keycard to a hub that has an older one."""
        if dict(want.have).get(self.me, -1) < self.card_version:
            yield Claim(link.id, Cards(want.session, (self._card,)))

    def still_wanted(self, link: Link, before: int) -> Iterator[Effect]:
        """Ask for more where an answer brought this node forward, but not to where the hub is."""
        if link.session is not None and before < self.directory.version < link.hub_roster:
            yield Claim(link.id, DirWant(link.session.id, self.directory.version, self.trust.pulse_hash))

    def given(self, data: bytes, giver: bytes | None, now: Now) -> Iterator[Effect]:
        """Judge directory documents, whoever gives them (None: our own side); believe and hand on what is newer."""
        before = self.trust
        try:
            self.trust = self._petitions.extend(before, data, giver, now)
        except PeerFault as fault:
            self._counters.add(f"directory.{fault.reason}")
            if fault.reason is Reason.FORKED:
                yield self._trail.of("directory", "", b"", b"", fault.reason.value, now=now)
            return
        if self.trust is before:
            return
        self._counters.add("directory.newer")
        yield Persist(KeepTrust(self.trust.to_bytes()))
        self.cards.void_all_but(self.directory)
        for link in self._links.open_on(Lane.EXPRESS):
            if link.session is not None and link.hub_roster < self.directory.version:
                yield Claim(link.id, DirHave(link.session.id, self.trust.steps_since(link.hub_roster)))
                link.hub_roster = self.directory.version
        yield from self._identity_changed(before.directory, now)

    def cards_came(self, cards: Iterable[bytes], now: Now) -> tuple[list[MemberCode], list[Effect]]:
        """Return whose cards are newer, and what saves them."""
        fresh: list[MemberCode] = []
        effects: list[Effect] = []
        for data in cards:
            offered = self._offered(data, now)
            if offered is None:
                continue
            member, version = offered
            if member != self.me:
                fresh.append(member)
                effects.append(Persist(KeepCard(member, data)))
            elif version > self.card_version or (version == self.card_version and data != self._card):
                # Somebody published a card of ours that this node does not know: a clone, or we run from a copy.
                self._counters.add("card.foreign-own")
                self.card_version = version
                effects.append(self._trail.of("keycard", self.me, b"", b"", "foreign", now=now))
                effects += self._renew(now, drop=True)
        return fresh, effects

    def _renew(self, now: Now, *, drop: bool) -> Iterator[Effect]:
        if self.card_version >= VERSION_MAX:
            # Only a thief of the identity key can have counted so far. No card can follow; a rekey ends it.
            self._counters.add("alarm.card-version-exhausted")
            self._keys_change = WallMs(now.wall + DAY_MS)
            yield self._trail.of("keycard", self.me, b"", b"", "exhausted", now=now)
            return
        renewed = self.keyring.dropped if drop else self.keyring.renewed
        self.keyring = renewed(now.wall, self._entropy)
        # After a loss the last version is not known; seconds are ahead of any version that counted up from them.
        self.card_version = max(self.card_version + 1, now.wall // 1000 if drop else 0)
        self._card = self.keyring.card(self.me, self.card_version, now.wall, self._identity)
        self._keys_change = self.keyring.next_change(now.wall)
        yield Persist(KeepKeyring(self.keyring.to_bytes(), self.card_version, self._card))
        yield from self._give_card()

    def _identity_changed(self, before: Directory, now: Now) -> Iterator[Effect]:
        """Give our keycard once the directory has its signer; a thief of the former one may have the epoch keys too."""
        was, row = before.member(self.me), self.directory.member(self.me)
        if was is None or row is None or not was.identity != row.identity == self._identity.public:
            return
        if was.identity in self.directory.verifying_keys(self.me, now.wall):
            yield from self._give_card()
        else:
            yield from self._renew(now, drop=True)

    def _give_card(self) -> Iterator[Effect]:
        for link in self._links.open_on(Lane.EXPRESS):
            if link.session is not None:
                yield Claim(link.id, Cards(link.session.id, (self._card,)))

    @staticmethod
    def _is_signed_by(card: bytes, keys: Iterable[bytes]) -> bool:
        """Whether a saved card is of one of these identity keys."""
        document = parse_keycard(card)[1]
        for public in keys:
            try:
                verify_keycard(document, public)
            except PeerFault:
                continue
            return True
        return False

    def _offered(self, data: bytes, now: Now) -> tuple[MemberCode, int] | None:
        try:
            card = self.cards.offer(data, self.directory, now.wall)
        except PeerFault as fault:
            self._counters.add(f"card.{fault.reason}")
            return None
        return MemberCode(card.member), card.version
