"""Sign custody, check it, and turn it into a proof that stands alone.

What one commit took is a tree for each frame, and one signature over the roots of up to 16 of them; so a hub
that speaks to many signs a few times, and nobody sees another's envelopes. The place before keeps, for each
envelope and recipient, the path to its root: that accuses a custodian that can show nothing onward, and clears
whoever handed on. docs/protocol.md 9.4.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from i247_keys import contexts
from i247_keys.identity import Identity, Verify, verify
from i247_keys.merkle import Tree, root_by
from i247_keys.roster import Directory
from i247_protocol import codec
from i247_protocol.errors import PeerFault
from i247_protocol.frames import Custody, Proof, Taken, Voucher, proof_is_sound
from i247_protocol.limits import FRAME_BYTES_MAX
from i247_protocol.names import HubName, MemberCode, WallMs
from i247_protocol.reasons import Reason


def root_of(taken: Sequence[Taken]) -> bytes:
    """Return the root over what one frame says was taken."""
    return Tree(_leaves(taken)).root


def vouch(by: str, identity: Identity, at: WallMs, roots: Sequence[bytes]) -> Voucher:
    """Sign the roots of up to 16 frames of one commit, as the hub or member `by`."""
    return Voucher(at, tuple(roots), identity.sign(contexts.CUSTODY, _payload(by, at, roots)))


def verify_custody(custody: Custody, by: str, directory: Directory, wall: WallMs, verify: Verify = verify) -> Tree:
    """Return the tree of what one frame says was taken; raise PeerFault unless `by` has signed for just this."""
    tree = Tree(_leaves(custody.taken))
    if tree.root not in custody.voucher.roots:
        raise PeerFault(Reason.BAD_SIGNATURE)
    _require_signed(by, custody.voucher, directory, wall, verify)
    return tree


class Proofs:
    """The proofs in one frame of custody, after its signature was checked."""

    __slots__ = ("_by", "_places", "_size", "_tree", "_voucher")

    def __init__(self, custody: Custody, by: str, directory: Directory, wall: WallMs, verify: Verify = verify) -> None:
        """Check the frame; raise PeerFault unless `by` has signed for just this."""
        self._tree = verify_custody(custody, by, directory, wall, verify)
        self._by = by
        self._voucher = custody.voucher
        self._size = sum(len(one.recipients) for one in custody.taken)
        places = ((one, member) for one in custody.taken for member in one.recipients)
        self._places = {(one.envelope, member): (at, one.hops) for at, (one, member) in enumerate(places)}

    def of(self, envelope: bytes, recipient: str) -> Proof:
        """Return the proof for one envelope and recipient; raise KeyError when the frame does not name them."""
        index, hops = self._places[envelope, recipient]
        path = self._tree.path(index)
        return Proof(envelope, hops, recipient, self._by, index, self._size, path, self._voucher)


def verify_proof(proof: Proof, directory: Directory) -> None:
    """Raise PeerFault unless the custodian named in `proof` signed for it with a key that was good at that time."""
    if not proof_is_sound(proof):
        raise PeerFault(Reason.MALFORMED)
    leaf = _leaf(proof.envelope, proof.hops, proof.recipient)
    if root_by(leaf, proof.leaf, proof.leaves, proof.path) not in proof.voucher.roots:
        raise PeerFault(Reason.BAD_SIGNATURE)
    _require_signed(proof.by, proof.voucher, directory, WallMs(proof.voucher.at), verify)


class Vouched(NamedTuple):
    """What one frame of custody says, as it is kept by who got it: the proof of each envelope in it follows."""

    taken: tuple[Taken, ...]
    voucher: Voucher


def encode_vouched(custody: Custody) -> bytes:
    """Return the bytes under which a frame of custody is kept."""
    return codec.encode(Vouched(custody.taken, custody.voucher))


def proof_in(vouched: bytes, by: str, envelope: bytes, recipient: str) -> Proof:
    """Return the proof for one envelope and recipient that what `by` signed holds.

    Raises KeyError when it does not name them, PeerFault when it is nothing that `encode_vouched` has made.
    """
    kept = codec.decode_as(Vouched, vouched, bytes_max=FRAME_BYTES_MAX)
    leaves = _leaves(kept.taken)
    places = [(one.envelope, member, one.hops) for one in kept.taken for member in one.recipients]
    for index, (named, member, hops) in enumerate(places):
        if (named, member) == (envelope, recipient):
            return Proof(envelope, hops, recipient, by, index, len(leaves), Tree(leaves).path(index), kept.voucher)
    raise KeyError(envelope)


def encode_proof(proof: Proof) -> bytes:
    """Return the bytes under which a proof is kept."""
    return codec.encode(proof)


def parse_proof(data: bytes) -> Proof:
    """Return the proof in `data`; raise PeerFault when it is none."""
    return codec.decode_as(Proof, data, bytes_max=FRAME_BYTES_MAX)


def _require_signed(by: str, voucher: Voucher, directory: Directory, wall: WallMs, verify: Verify) -> None:
    payload = _payload(by, voucher.at, voucher.roots)
    for public in _keys_of(by, directory, wall):
        try:
            verify(public, contexts.CUSTODY, payload, voucher.signature)
        except PeerFault:
            continue
        return
    raise PeerFault(Reason.BAD_SIGNATURE)


def _keys_of(by: str, directory: Directory, wall: WallMs) -> tuple[bytes, ...]:
    # Members are capital letters, hubs begin with a small one.
    if by.isupper():
        return directory.verifying_keys(MemberCode(by), wall)
    return directory.hub_verifying_keys(HubName(by), wall)


def _payload(by: str, at: int, roots: Sequence[bytes]) -> bytes:
    return codec.encode([by, at, list(roots)])


def _leaves(taken: Iterable[Taken]) -> list[bytes]:
    return [_leaf(one.envelope, one.hops, member) for one in taken for member in one.recipients]


def _leaf(envelope: bytes, hops: int, recipient: str) -> bytes:
    return envelope + bytes([hops]) + recipient.encode()
