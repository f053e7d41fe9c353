"""Keep what places have signed about our messages: custody, hop by hop, and words of return or expiry.

The first hub's custody comes by itself; what lies behind it is asked for, when somebody wants the evidence, and
kept as well. Nothing is kept that was not verified, or that nobody asked for. docs/protocol.md 9.9.
"""

from __future__ import annotations

from collections.abc import Iterator

from i247_keys.returned import encode_word, verify_bounce
from i247_keys.roster import Directory
from i247_keys.vouching import encode_proof, parse_proof, verify_proof
from i247_node.links import Links
from i247_node.records import KeepSigned, NodeMemory, Outgoing, Signed
from i247_protocol.counters import Counters
from i247_protocol.errors import PeerFault
from i247_protocol.frames import Bounce, Pair, Proof, Show, Shown
from i247_protocol.limits import QUESTIONS_MAX, SHOW_PAIRS_MAX
from i247_protocol.machine import Claim, Effect, Persist
from i247_protocol.names import HubName, Now, WallMs
from i247_protocol.priority import Lane


class Evidence:
    """What others have signed about messages of ours."""

    def __init__(self, memory: NodeMemory, links: Links, counters: Counters) -> None:
        self._memory = memory
        self._links = links
        self._counters = counters
        self._asked: dict[tuple[bytes, str], Outgoing] = {}

    def ask(self, message: Outgoing) -> Iterator[Effect]:
        """Ask the hubs that took `message` how it has left them."""
        by_hub: dict[HubName, dict[tuple[bytes, str], None]] = {}
        for kind, data in self._memory.signed(message.n):
            if kind is Signed.CUSTODY:
                proof = parse_proof(data)
                if proof.hops == 0:
                    by_hub.setdefault(HubName(proof.by), {})[proof.envelope, proof.recipient] = None
        for hub, wanted in by_hub.items():
            link = self._links.to_hub(hub, Lane.EXPRESS)
            if link is None or link.session is None:
                continue
            pairs = [Pair(envelope, (recipient,)) for envelope, recipient in wanted]
            for begin in range(0, len(pairs), SHOW_PAIRS_MAX):
                yield Claim(link.id, Show(link.session.id, tuple(pairs[begin : begin + SHOW_PAIRS_MAX])))
            for asked in wanted:
                self._remember(asked, message)

    def shown(self, shown: Shown, directory: Directory, now: Now) -> Iterator[Effect]:
        """Keep what was asked for and is truly signed."""
        kept: dict[int, set[tuple[Signed, bytes]]] = {}
        for proof in shown.proofs:
            message = self._asked.get((proof.envelope, proof.recipient))
            if message is not None and self._is_signed(proof, directory):
                yield from self._keep(message, Signed.CUSTODY, encode_proof(proof), kept)
        for word in shown.words:
            message = self._asked.get((word.envelope, word.recipient))
            if message is not None and self._is_said(word, directory, now.wall):
                yield from self._keep(message, Signed.RETURN, encode_word(word), kept)

    def _keep(
        self, message: Outgoing, kind: Signed, data: bytes, kept: dict[int, set[tuple[Signed, bytes]]]
    ) -> Iterator[Effect]:
        """Save what is not saved yet; `kept` is read once for each message of a frame."""
        known = kept.get(message.n)
        if known is None:
            known = kept[message.n] = set(self._memory.signed(message.n))
        if (kind, data) not in known:
            known.add((kind, data))
            yield Persist(KeepSigned(message.n, message.exp, kind, data))

    def _is_signed(self, proof: Proof, directory: Directory) -> bool:
        try:
            verify_proof(proof, directory)
        except PeerFault as fault:
            self._counters.add(f"refused.{fault.reason.value}")
            return False
        return True

    def _is_said(self, word: Bounce, directory: Directory, wall: WallMs) -> bool:
        try:
            verify_bounce(word, directory, wall)
        except PeerFault as fault:
            self._counters.add(f"refused.{fault.reason.value}")
            return False
        return True

    def _remember(self, asked: tuple[bytes, str], message: Outgoing) -> None:
        self._asked.pop(asked, None)
        if len(self._asked) >= QUESTIONS_MAX:
            del self._asked[next(iter(self._asked))]  # the oldest; whoever wants it asks again
        self._asked[asked] = message
