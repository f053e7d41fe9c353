"""Keep the newest keycard of each member, and believe none that the roster does not support.

A card replaces an older one only with a strictly greater version and the signature of the member's
current identity key. A key that the newest card does not list is dead. docs/protocol.md 8.6.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from hashlib import blake2b

from i247_keys.documents import Document
from i247_keys.keycard import Keycard, parse_keycard, verify_keycard
from i247_keys.roster import Directory, State
from i247_protocol.errors import PeerFault
from i247_protocol.names import KeyId, MemberCode, WallMs
from i247_protocol.reasons import Reason


class CardFile:
    """The newest verified keycard of each member; `verify` is for whoever remembers what it has verified before."""

    __slots__ = ("_cards", "_digest", "_parse", "_verify")

    def __init__(
        self,
        parse: Callable[[bytes], tuple[Keycard, Document]] = parse_keycard,
        verify: Callable[[Document, bytes], Keycard] = verify_keycard,
    ) -> None:
        self._parse = parse
        self._verify = verify
        self._cards: dict[MemberCode, tuple[Keycard, bytes]] = {}
        self._digest: bytes | None = None

    def offer(self, data: bytes, directory: Directory, wall: WallMs) -> Keycard:
        """Take a card; raise PeerFault when it is not newer or not the member's own."""
        claimed, document = self._parse(data)
        member = MemberCode(claimed.member)
        row = directory.member(member)
        if row is None or directory.state_of(member, wall) is State.LEFT:
            raise PeerFault(Reason.UNKNOWN_MEMBER)
        held = self._cards.get(member)
        if held is not None and held[0].version > claimed.version:
            raise PeerFault(Reason.NOT_NEWER)
        if held is not None and held[0].version == claimed.version:
            raise PeerFault(Reason.NOT_NEWER if held[1] == data else Reason.FORKED)
        card = self._verify(document, row.identity)
        self._cards[member] = (card, data)
        self._digest = None
        return card

    def void_all_but(self, directory: Directory) -> None:
        """Drop the cards that a member's present identity key did not sign."""
        for member, (_, data) in list(self._cards.items()):
            row = directory.member(member)
            try:
                if row is not None:
                    self._verify(self._parse(data)[1], row.identity)
                    continue
            except PeerFault:
                pass
            del self._cards[member]
            self._digest = None

    def of(self, member: MemberCode) -> Keycard | None:
        """Return a member's newest card."""
        held = self._cards.get(member)
        return None if held is None else held[0]

    def is_dead(self, member: MemberCode, kid: KeyId) -> bool:
        """Whether a card is held that does not list `kid`; without a card nothing is known to be dead."""
        card = self.of(member)
        return card is not None and not card.lists(kid)

    def versions(self) -> tuple[tuple[str, int], ...]:
        """Return member and version of every card, in order."""
        return tuple((member, self._cards[member][0].version) for member in sorted(self._cards))

    def newer_than(self, have: Iterable[tuple[str, int]]) -> Iterator[bytes]:
        """Yield the cards that somebody with the versions `have` lacks, in order of members."""
        theirs = dict(have)
        for member in sorted(self._cards):
            card, data = self._cards[member]
            if card.version > theirs.get(member, -1):
                yield data

    @property
    def digest(self) -> bytes:
        """32 bytes that two sides with the same cards share."""
        if self._digest is None:
            lines = "".join(f"{member}{version};" for member, version in self.versions())
            self._digest = blake2b(lines.encode(), digest_size=32, person=b"i247/cards/1").digest()
        return self._digest
