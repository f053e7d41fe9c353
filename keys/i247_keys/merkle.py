"""Hash many things into one root, and show that one of them is in it: RFC 9162, section 2.1, with SHA-256.

Used for the directory's log and for custody, whose leaves are told apart by what signs the root.
docs/protocol.md 4.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

from i247_protocol.errors import PeerFault
from i247_protocol.reasons import Reason


class Tree:
    """The tree over some leaves."""

    __slots__ = ("_levels",)

    def __init__(self, leaves: Sequence[bytes]) -> None:
        self._levels = [[_leaf_hash(leaf) for leaf in leaves]]
        while len(self._levels[-1]) > 1:
            self._levels.append(_above(self._levels[-1]))

    @property
    def root(self) -> bytes:
        """The 32-byte tree hash (2.1.1); that of no leaf is the hash of nothing."""
        top = self._levels[-1]
        return top[0] if top else sha256().digest()

    def path(self, index: int) -> tuple[bytes, ...]:
        """Return the inclusion path of a leaf (2.1.3.1), from its neighbour up."""
        path = []
        for level in self._levels[:-1]:
            neighbour = index ^ 1
            if neighbour < len(level):
                path.append(level[neighbour])
            index >>= 1
        return tuple(path)


def root_by(leaf: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes:
    """Return the root that `path` leads to from leaf `index` of `size` (2.1.3.2); raise PeerFault if it fits none."""
    here, last, found = index, size - 1, _leaf_hash(leaf)
    if not 0 <= here <= last:
        raise PeerFault(Reason.MALFORMED)
    for neighbour in path:
        if last == 0:
            raise PeerFault(Reason.MALFORMED)
        if here & 1 or here == last:
            found = _node_hash(neighbour, found)
            while here and not here & 1:
                here, last = here >> 1, last >> 1
        else:
            found = _node_hash(found, neighbour)
        here, last = here >> 1, last >> 1
    if last:
        raise PeerFault(Reason.MALFORMED)
    return found


def _above(level: list[bytes]) -> list[bytes]:
    pairs = [_node_hash(level[at], level[at + 1]) for at in range(0, len(level) - 1, 2)]
    # A last one without a neighbour moves up as it is: the same tree as the recursive definition's.
    return pairs + level[len(level) & ~1 :]


def _leaf_hash(leaf: bytes) -> bytes:
    return sha256(b"\x00" + leaf).digest()


def _node_hash(left: bytes, right: bytes) -> bytes:
    return sha256(b"\x01" + left + right).digest()
