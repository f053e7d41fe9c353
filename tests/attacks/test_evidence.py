"""What becomes of a message can be proven to a third party: the hub that lost it is convicted, and nobody else."""

from collections.abc import Callable

import msgspec
import pytest
from tests.keys.repository import custody_by, key
from tests.world import Voice, World

from i247_hub.returns import Returns
from i247_keys.evidence import End, Evidence, Judgement, judge, parse_evidence
from i247_keys.vouching import parse_proof
from i247_node.commands import Accepted, DeliveryMoved, GatherEvidence
from i247_node.records import KeepTrust, Signed
from i247_node.showing import show_evidence
from i247_node.store import NodeStore
from i247_protocol.digests import envelope_id
from i247_protocol.errors import PeerFault
from i247_protocol.frames import Ask, Fate, Frame, Known, Put, Show, Shown, Taken, Told
from i247_protocol.names import EnvelopeId, HubName, MemberCode, MessageId
from i247_protocol.priority import Lane, Priority
from i247_protocol.reasons import Reason

HOMES = {"FR": ("lyon",), "SG": ("singapore",), "BR": ("lyon",), "XP": ("lyon",)}
MINUTES_2 = 2 * 60_000


def world_of(seed: int, *, hubs: tuple[str, ...] = ("lyon", "singapore")) -> World:
    world = World(seed, homes=HOMES, hubs=hubs)
    world.start_all()
    world.run(2_000)
    store_of(world).persist(KeepTrust(world.trust.to_bytes()))  # as a node's preparation does
    return world


def store_of(world: World) -> NodeStore:
    store = world.stores["FR"]
    assert isinstance(store, NodeStore)
    return store


def asked(world: World) -> MessageId:
    """Let FR ask SG, and return the query's id."""
    world.ask("FR", "SG", "sltd", "L898902C3", within_ms=10_000)
    return world.news("FR", Accepted)[-1].id


def evidence_of(world: World, message: MessageId) -> Evidence:
    world.command("FR", GatherEvidence(9_999, message))
    world.run(1_000)
    proven = store_of(world).views().proven(message)
    assert proven is not None
    return parse_evidence(show_evidence(proven).file)


def judged(world: World, evidence: Evidence) -> Judgement:
    return judge(evidence, world.trust.pin, world.now.wall)


def swallowing(hub: str, to: str) -> Callable[[Voice, str, Frame], None]:
    """Sign for everything and keep nothing; when asked, claim to hold it, and show nothing."""

    def swallow(voice: Voice, owner: str, frame: Frame) -> None:
        if isinstance(frame, Put):
            taken = [Taken(envelope_id(one.header, one.body), one.hops, (to,)) for one in frame.parcels]
            voice.say(custody_by(hub, voice.session, *taken))
        elif isinstance(frame, Ask):
            voice.say(Told(voice.session, tuple(Known(one.envelope, to, Fate.HELD, to, 0) for one in frame.pairs)))
        elif isinstance(frame, Show):
            voice.say(Shown(voice.session, (), ()))

    return swallow


def test_a_message_that_arrived_accuses_nobody() -> None:
    world = world_of(1)
    message = asked(world)
    world.run(5_000)
    evidence = evidence_of(world, message)
    (course,) = judged(world, evidence).courses
    assert (course.end, course.by) == (End.ACKNOWLEDGED, "SG")
    assert [(step.hops, step.by) for step in course.steps] == [(0, "lyon"), (1, "singapore"), (2, "SG")]
    assert judged(world, evidence).accused == ()


def test_without_its_receipt_the_recipients_own_custody_clears_the_hubs() -> None:
    world = world_of(2)
    message = asked(world)
    world.run(5_000)
    evidence = msgspec.structs.replace(evidence_of(world, message), answers=())
    world.run(MINUTES_2)
    (course,) = judged(world, evidence).courses
    assert (course.end, course.by) == (End.TAKEN, "SG")
    assert judged(world, evidence).accused == ()


@pytest.mark.parametrize(("thief", "way"), [("singapore", [(0, "lyon"), (1, "singapore")]), ("lyon", [(0, "lyon")])])
def test_a_hub_that_swallowed_it_is_convicted_and_nobody_else(thief: str, way: list[tuple[int, str]]) -> None:
    world = world_of(3)
    world.stop(thief)
    world.pretend(thief, swallowing(thief, "SG"))
    world.run(5_000)
    message = asked(world)
    world.run(1_000)
    (course,) = judged(world, evidence_of(world, message)).courses
    assert (course.end, course.answerable) == (End.HELD, (thief,)), "until it expires, it may still deliver"
    world.run(MINUTES_2)
    judgement = judged(world, evidence_of(world, message))
    (course,) = judgement.courses
    assert course.end is End.LOST
    assert [(step.hops, step.by) for step in course.steps] == way
    assert judgement.accused == (thief,)


def test_a_hub_clears_itself_of_what_expired_there() -> None:
    world = world_of(4)
    world.stop("SG")
    message = asked(world)
    world.run(MINUTES_2)
    judgement = judged(world, evidence_of(world, message))
    (course,) = judgement.courses
    assert (course.end, course.by, course.reason) == (End.RETURNED, "singapore", Reason.EXPIRED.value)
    assert judgement.accused == ()


def test_a_hub_whose_disk_was_lost_answers_for_what_it_had_signed() -> None:
    world = world_of(5)
    world.stop("SG")
    message = asked(world)
    world.run(1_000)
    world.stop("singapore")
    world.lose_disk("singapore")
    world.run(MINUTES_2)
    world.start_hub("singapore")
    world.run(5_000)
    assert judged(world, evidence_of(world, message)).accused == ("singapore",)


def test_a_word_of_a_hub_off_the_way_clears_nobody() -> None:
    world = world_of(6, hubs=("lyon", "quito", "singapore"))
    world.stop("singapore")
    world.pretend("singapore", swallowing("singapore", "SG"))
    world.run(5_000)
    message = asked(world)
    world.run(MINUTES_2)
    evidence = evidence_of(world, message)
    last = evidence.proofs[-1]
    for accomplice, accused in (("quito", ("singapore",)), ("singapore", ())):
        word = Returns(HubName(accomplice), key(accomplice)).word(
            EnvelopeId(last.envelope), MemberCode("SG"), Reason.EXPIRED, world.now.wall
        )
        assert judged(world, msgspec.structs.replace(evidence, words=(word,))).accused == accused


@pytest.mark.parametrize("part", ["statement", "signature", "network"])
def test_evidence_with_a_changed_part_proves_nothing(part: str) -> None:
    world = world_of(7)
    message = asked(world)
    world.run(5_000)
    evidence = evidence_of(world, message)
    data = bytearray(getattr(evidence, part))
    data[len(data) // 2] ^= 1
    with pytest.raises(PeerFault):
        judged(world, msgspec.structs.replace(evidence, **{part: bytes(data)}))


def test_a_proof_cannot_be_bent() -> None:
    """Another envelope, recipient, place, number of hops, leaf, path or time: nobody has signed for that."""
    world = world_of(8)
    message = asked(world)
    world.run(5_000)
    evidence = evidence_of(world, message)
    proof = evidence.proofs[1]
    bent = (
        proof._replace(envelope=bytes(32)),
        proof._replace(recipient="BR"),
        proof._replace(by="lyon"),
        proof._replace(by="FR"),
        proof._replace(hops=proof.hops + 1),
        proof._replace(leaf=proof.leaf + 1),
        proof._replace(leaves=proof.leaves + 1),
        proof._replace(path=(*proof.path, bytes(32))),
        proof._replace(voucher=proof.voucher._replace(at=proof.voucher.at + 1)),
        proof._replace(voucher=proof.voucher._replace(roots=(*proof.voucher.roots, bytes(32)))),
    )
    for one in bent:
        with pytest.raises(PeerFault):
            judged(world, msgspec.structs.replace(evidence, proofs=(*evidence.proofs, one)))


def test_what_nobody_asked_for_is_not_kept() -> None:
    world = world_of(9)
    message = asked(world)
    world.run(5_000)
    views = store_of(world).views()
    before = views.proven(message)
    assert before is not None
    proof = parse_proof(next(data for kind, data in before.signed if kind is Signed.CUSTODY))
    word = Returns(HubName("lyon"), key("lyon")).word(
        EnvelopeId(proof.envelope), MemberCode("SG"), Reason.EXPIRED, world.now.wall
    )
    world.inject("lyon", "FR", Lane.EXPRESS, lambda session: Shown(session, (proof,), (word,)))
    world.run(200)
    assert views.proven(message) == before


def test_custody_that_its_hub_has_not_signed_frees_nothing() -> None:
    """Somebody holds a hub's link, but not its identity key."""
    world = world_of(10)
    world.stop("lyon")
    puts: list[int] = []

    def sign_for_another(voice: Voice, owner: str, frame: Frame) -> None:
        if isinstance(frame, Put) and owner == "FR":
            puts.append(world.mono)
            taken = [Taken(envelope_id(one.header, one.body), one.hops, ("SG",)) for one in frame.parcels]
            voice.say(custody_by("lyon", voice.session, *taken, signer=key("singapore")))

    world.pretend("lyon", sign_for_another)
    world.run(3_000)
    message = asked(world)
    world.run(15_000)
    assert 2 <= len(puts) <= 5, "it is put again after a while, not at the pace of the wire"
    assert store_of(world).signed(1) == []
    assert world.news("FR", DeliveryMoved) == []
    world.stop("lyon")
    world.start_hub("lyon")
    world.run(20_000)
    assert judged(world, evidence_of(world, message)).courses[0].end is End.ACKNOWLEDGED


@pytest.mark.parametrize(
    ("hops", "signer"), [(1, "SG"), (3, "SG"), (2, "BR")], ids=["fewer hops", "more hops", "another's key"]
)
def test_custody_that_would_break_the_chain_frees_nothing(hops: int, signer: str) -> None:
    """A recipient's node that steps out of the order of places could make a hub answer for what it has handed on."""
    homes = {"FR": ("lyon",), "SG": ("singapore",), "BR": ("lyon",), "XP": ("lyon",)}
    world = World(11, homes=homes)
    world.start_all()
    world.run(2_000)
    world.stop("SG")
    world.write("FR", "SG", "s", "t", Priority.URGENT)
    world.run(500)
    voice = world.member_voice("singapore", "SG")
    (put,) = [frame for frame in voice.heard(Put) if isinstance(frame, Put)]
    (parcel,) = put.parcels
    name = EnvelopeId(envelope_id(parcel.header, parcel.body))
    assert parcel.hops == 2
    voice.say(custody_by("SG", voice.session, Taken(name, hops, ("SG",)), signer=key(signer)))
    world.run(200)
    assert world.hub_store("singapore").held(name) != []
    voice.say(custody_by("SG", voice.session, Taken(name, parcel.hops, ("SG",))))
    world.run(20_000)
    assert world.hub_store("singapore").held(name) == []
