"""Custody: one signature for a commit, one proof for each envelope and recipient, and nothing passes for either."""

from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.keys.repository import Repository, key

from i247_keys import contexts
from i247_keys.custodian import Custodian
from i247_keys.merkle import Tree, root_by
from i247_keys.vouching import Proofs, encode_proof, parse_proof, root_of, verify_proof, vouch
from i247_protocol import codec
from i247_protocol.errors import PeerFault
from i247_protocol.frames import Custody, Taken
from i247_protocol.limits import PAIRS_MAX, ROOTS_MAX
from i247_protocol.machine import LinkId
from i247_protocol.names import MonoMs, Now, WallMs

REPOSITORY = Repository(("FR", "SG", "XP"), hubs=("lyon", "singapore"))
DIRECTORY = REPOSITORY.trust.directory
NOW = Now(MonoMs(0), REPOSITORY.wall)
SESSION = b"session!"
LEAVES = st.lists(st.binary(max_size=40), min_size=1, max_size=40)


def envelope(n: int) -> bytes:
    return sha256(n.to_bytes(4)).digest()


def taken(count: int, begin: int = 0) -> list[Taken]:
    return [Taken(envelope(begin + n), n % 4, ("FR", "SG") if n % 3 else ("SG",)) for n in range(count)]


def custody_of(*one: Taken, by: str = "lyon") -> Custody:
    return Custody(SESSION, one, vouch(by, key(by), NOW.wall, [root_of(one)]))


@given(LEAVES, st.data())
def test_a_path_leads_to_the_root_from_its_own_leaf_alone(leaves: list[bytes], data: st.DataObject) -> None:
    tree = Tree(leaves)
    at = data.draw(st.integers(0, len(leaves) - 1))
    path = tree.path(at)
    assert root_by(leaves[at], at, len(leaves), path) == tree.root
    other = data.draw(st.binary(max_size=40).filter(lambda leaf: leaf != leaves[at]))
    assert root_by(other, at, len(leaves), path) != tree.root
    for wrong in ((at, len(leaves), (*path, bytes(32))), (at, len(leaves), path[1:]), (-1, len(leaves), path)):
        if path or wrong[2]:
            with pytest.raises(PeerFault):
                root_by(leaves[at], *wrong)


def test_a_path_is_that_of_the_rfc() -> None:
    """RFC 9162, section 2.1.5: the tree of seven leaves."""

    def node(left: bytes, right: bytes) -> bytes:
        return sha256(b"\x01" + left + right).digest()

    d = [b"d%d" % n for n in range(7)]
    a, b, c, e, f, g, j = (sha256(b"\x00" + leaf).digest() for leaf in d)
    h, i, k = node(a, b), node(c, e), node(f, g)
    left, right = node(h, i), node(k, j)
    tree = Tree(d)
    assert tree.root == node(left, right)
    assert tree.path(0) == (b, i, right)
    assert tree.path(3) == (c, h, right)
    assert tree.path(4) == (g, j, left)
    assert tree.path(6) == (k, left)


@pytest.mark.parametrize("count", [1, 2, 3, 63, 64, 65])
def test_each_envelope_and_recipient_has_a_proof_that_stands_alone(count: int) -> None:
    custody = custody_of(*taken(count))
    proofs = Proofs(custody, "lyon", DIRECTORY, NOW.wall)
    for one in custody.taken:
        for member in one.recipients:
            proof = parse_proof(encode_proof(proofs.of(one.envelope, member)))
            assert (proof.envelope, proof.hops, proof.recipient, proof.by) == (one.envelope, one.hops, member, "lyon")
            verify_proof(proof, DIRECTORY)


def test_a_member_signs_custody_as_a_hub_does() -> None:
    proofs = Proofs(custody_of(*taken(2), by="SG"), "SG", DIRECTORY, NOW.wall)
    verify_proof(proofs.of(envelope(0), "SG"), DIRECTORY)


@pytest.mark.parametrize(
    ("name", "custody"),
    [
        ("another's key", Custody(SESSION, (), vouch("lyon", key("singapore"), NOW.wall, [root_of(taken(1))]))),
        ("another's name", Custody(SESSION, (), vouch("singapore", key("lyon"), NOW.wall, [root_of(taken(1))]))),
        ("another envelope", Custody(SESSION, (), vouch("lyon", key("lyon"), NOW.wall, [root_of(taken(1, 1))]))),
        ("no root", Custody(SESSION, (), vouch("lyon", key("lyon"), NOW.wall, []))),
    ],
)
def test_what_was_not_signed_is_no_custody(name: str, custody: Custody) -> None:
    frame = Custody(SESSION, tuple(taken(1)), custody.voucher)
    with pytest.raises(PeerFault) as fault:
        Proofs(frame, "lyon", DIRECTORY, NOW.wall)
    assert str(fault.value) == "bad-signature", name


def test_a_signature_made_for_another_purpose_is_no_custody() -> None:
    one = tuple(taken(1))
    root = root_of(one)
    payload = codec.encode(["lyon", NOW.wall, [root]])
    for context in (contexts.RETURNED, contexts.STATEMENT, contexts.REQUEST):
        signature = key("lyon").sign(context, payload)
        voucher = vouch("lyon", key("lyon"), NOW.wall, [root])._replace(signature=signature)
        with pytest.raises(PeerFault):
            Proofs(Custody(SESSION, one, voucher), "lyon", DIRECTORY, NOW.wall)


def test_one_signature_is_made_for_many_links() -> None:
    made = Custodian("lyon", key("lyon"))
    links = [LinkId(b"link %d" % n) for n in range(ROOTS_MAX + 4)]
    for n, link in enumerate(links):
        made.took(link, SESSION, taken(2, 10 * n), NOW.mono)
        made.took(link, SESSION, taken(1, 10 * n + 5), NOW.mono)
    claims = list(made.finish(NOW))
    assert [claim.link for claim in claims] == links
    frames: list[Any] = [claim.frame for claim in claims]
    assert [len(frame.taken) for frame in frames] == [3] * len(links)
    assert len({frame.voucher.signature for frame in frames}) == 2
    for frame in frames:
        Proofs(frame, "lyon", DIRECTORY, WallMs(NOW.wall))
    assert list(made.finish(NOW)) == []


def test_custody_leaves_when_the_first_of_its_session_is_due() -> None:
    made = Custodian("lyon", key("lyon"))
    bulk, express = LinkId(b"bulk"), LinkId(b"express")
    made.took(bulk, SESSION, taken(1, 1), MonoMs(NOW.mono + 25))
    assert (list(made.finish(NOW)), made.next_deadline()) == ([], NOW.mono + 25)
    made.took(express, SESSION, taken(1, 2), MonoMs(NOW.mono + 5))
    assert made.next_deadline() == NOW.mono + 5
    made.took(express, SESSION, taken(1, 3), MonoMs(NOW.mono + 30))
    claims = list(made.finish(NOW._replace(mono=MonoMs(NOW.mono + 5))))
    frames: list[Any] = [claim.frame for claim in claims]
    assert [(claim.link, len(frame.taken)) for claim, frame in zip(claims, frames, strict=True)] == [(express, 2)]
    assert made.next_deadline() == NOW.mono + 25
    assert [claim.link for claim in made.finish(NOW._replace(mono=MonoMs(NOW.mono + 25)))] == [bulk]
    assert made.next_deadline() is None


def test_a_long_turn_says_custody_in_frames_within_their_bounds() -> None:
    made = Custodian("lyon", key("lyon"))
    made.took(LinkId(b"link"), SESSION, [Taken(envelope(n), 0, ("SG",)) for n in range(PAIRS_MAX * 2 + 1)], NOW.mono)
    frames: list[Any] = [claim.frame for claim in made.finish(NOW)]
    assert [len(frame.taken) for frame in frames] == [PAIRS_MAX, PAIRS_MAX, 1]
