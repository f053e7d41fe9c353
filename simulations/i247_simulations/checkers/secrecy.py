"""Watch that only the first hub knows who wrote an envelope, and tells nobody (P1).

Who wrote it is known to the observer alone: from the node that put it. docs/simulation.md 6.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import ClassVar

from i247_hub.records import HandedOn, Held, Hold, Owe
from i247_protocol.digests import envelope_id
from i247_protocol.frames import Ask, Busy, Custody, Frame, Noted, Parcel, Put, Returned, Show, Shown, Told
from i247_protocol.machine import Claim, Effect, Forward, Persist
from i247_simulations.checkers.watching import Checker, Sight
from i247_simulations.programs import Program


class SenderUnknown(Checker):
    """No hub but the first has an envelope's author in its records, and no hub names it to anybody."""

    promise = "P1"
    looks_at: ClassVar[dict[str, frozenset[type]]] = {
        "effect": frozenset({Put, Custody, Noted, Busy, Ask, Show, Shown, Told, Returned, Hold, HandedOn, Owe})
    }

    def __init__(self, sight: Sight) -> None:
        super().__init__(sight)
        self._authors: dict[bytes, str] = {}
        """By header and first bytes of the body, which are fresh for each envelope, and by the envelope's id."""
        self._firsts: set[tuple[str, bytes]] = set()

    def effect(self, program: Program, effect: Effect) -> None:
        """Note what a node puts where; look what a hub writes down, and whom it names in what it says."""
        match effect:
            case Claim(link, Put(parcels=parcels)) if not program.is_hub:
                hub = link.split(b":")[1].decode()
                for parcel in parcels:
                    for key in (_mark(parcel), envelope_id(parcel.header, parcel.body)):
                        self._authors[key] = program.name
                        self._firsts.add((hub, key))
            case Claim(_, frame) | Forward(_, frame) if program.is_hub:
                for key, named in _named(frame):
                    author = self._authors.get(key)
                    if author is not None and author in named:
                        self.broken(program.name, f"a hub has named an author in a {type(frame).__name__}")
            case Persist(record) if program.is_hub:
                self._written(program, record)
            case _:
                pass

    def _written(self, program: Program, record: object) -> None:
        match record:
            case Hold(rows):
                mark = _mark(rows[0])
                author = self._authors.get(mark)
                if author is None:
                    return
                self._authors[rows[0].envelope] = author
                if (program.name, mark) in self._firsts:
                    self._firsts.add((program.name, rows[0].envelope))
                elif any(author in (row.source, row.hop.text) for row in rows):
                    self.broken(program.name, "a hub that is not the first writes down who wrote an envelope")
            case HandedOn(hop, _, _, passed):
                if any(hop == self._authors.get(one.envelope) for one in passed):
                    self.broken(program.name, "a hub remembers who wrote an envelope that it has handed on")
            case Owe(to, bounce):
                is_first = (program.name, bounce.envelope) in self._firsts
                if to == self._authors.get(bounce.envelope) and not is_first:
                    self.broken(program.name, "a hub that is not the first owes an author a word")
            case _:
                pass


def _mark(sealed: Parcel | Held) -> bytes:
    """Return what tells an envelope from all others, also from those that a hub has spliced together."""
    return sealed.header + sealed.body[:SEEN_BYTES]


def _named(frame: Frame) -> Iterator[tuple[bytes, Collection[str]]]:
    """Yield each envelope of which a frame speaks, and the places that it names with it."""
    match frame:
        case Put(parcels=parcels):
            for parcel in parcels:
                yield _mark(parcel), {member for member, _, _ in parcel.wraps}
        case Custody(taken=taken):
            for held in taken:
                yield held.envelope, held.recipients
        case Noted(pairs=pairs) | Busy(pairs=pairs) | Ask(pairs=pairs) | Show(pairs=pairs):
            yield from pairs
        case Shown(proofs=proofs, words=words):
            for proof in proofs:
                yield proof.envelope, (proof.recipient, proof.by)
            for word in words:
                yield word.envelope, (word.recipient, word.hub)
        case Told(known=known):
            for one in known:
                yield one.envelope, (one.recipient, one.hop)
        case Returned(bounces=bounces):
            for word in bounces:
                yield word.envelope, (word.recipient, word.hub)
        case _:
            pass


SEEN_BYTES = 32
