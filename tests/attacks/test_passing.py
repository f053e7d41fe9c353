"""P3: what a hub passes on before it has saved it was never promised, and is never lost."""

from __future__ import annotations

from itertools import pairwise

import pytest
from tests.attacks.forgery import Pen, entries_of
from tests.keys.repository import key
from tests.world import LATENCY_MS, Voice, World

from i247_hub.passing import Giver, Passing
from i247_hub.records import Held, hop_named
from i247_keys.vouching import Proofs, root_of, vouch
from i247_protocol.digests import envelope_id
from i247_protocol.frames import Custody, Parcel, Put, Taken
from i247_protocol.limits import (
    BATCH_PARCELS_MAX,
    CUSTODY_WITHIN_MS,
    DELIVERED_AT_ONCE_MAX,
    PASSING_BYTES_MAX,
    PASSING_ENVELOPES_MAX,
    PASSING_MS,
)
from i247_protocol.machine import LinkId
from i247_protocol.names import EnvelopeId, MemberCode, Minutes, MonoMs, Now, WallMs
from i247_protocol.priority import Lane, Priority
from i247_protocol.statement import Act

SOON_MS = 2 * LATENCY_MS + CUSTODY_WITHIN_MS
HOMES = {"BR": ("lyon",), "FR": ("lyon",), "SG": ("lyon",), "XP": ("lyon",)}


def given(voice: Voice) -> list[Taken]:
    """Return all for which the voice was given custody."""
    return [one for frame in voice.heard(Custody) if isinstance(frame, Custody) for one in frame.taken]


def saved(world: World, hub: str) -> int:
    """Return how many rows a hub has ever saved."""
    return world.hub_store(hub).last_seq()


def parcels(voice: Voice) -> list[Parcel]:
    return [parcel for frame in voice.heard(Put) if isinstance(frame, Put) for parcel in frame.parcels]


def take(world: World, voice: Voice, code: str, parcel: Parcel, signer: str) -> None:
    """Give custody as a recipient's node does, signed by `signer`."""
    taken = (Taken(envelope_id(parcel.header, parcel.body), parcel.hops, (code,)),)
    voucher = vouch(code, key(signer), world.now.wall, [root_of(taken)])
    voice.say(Custody(voice.session, taken, voucher))


@pytest.fixture
def put() -> tuple[World, Voice, Voice, Parcel]:
    """Return a world in which BR has just put a parcel for SG at lyon, and the voices of both."""
    world = World(91, homes=HOMES)
    world.start_all(but=["BR"])
    pen = Pen(world)
    world.stop("SG")
    world.run(100)
    recipient, author = world.member_voice("lyon", "SG"), world.member_voice("lyon", "BR")
    parcel = pen.sealed("BR", "SG")
    author.say(Put(author.session, (parcel,)))
    world.run(SOON_MS)
    return world, author, recipient, parcel


def test_custody_follows_that_of_the_next_place_and_nothing_was_written(
    put: tuple[World, Voice, Voice, Parcel],
) -> None:
    world, author, recipient, parcel = put
    (came,) = parcels(recipient)
    assert (given(author), saved(world, "lyon")) == ([], 0)
    take(world, recipient, "SG", came, "SG")
    world.run(SOON_MS + 2 * LATENCY_MS)
    envelope = envelope_id(parcel.header, parcel.body)
    assert given(author) == [Taken(envelope, 0, ("SG",))]
    assert saved(world, "lyon") == 0
    handed = world.hub_store("lyon").handed_on(envelope, MemberCode("SG"))
    assert handed is not None
    assert handed.hop == "SG"
    world.run(4 * PASSING_MS)
    assert (len(given(author)), saved(world, "lyon")) == (1, 0)


def test_what_its_next_place_does_not_take_in_time_is_saved_and_signed_for(
    put: tuple[World, Voice, Voice, Parcel],
) -> None:
    world, author, recipient, parcel = put
    world.run(PASSING_MS + SOON_MS)
    assert [one.envelope for one in given(author)] == [envelope_id(parcel.header, parcel.body)]
    assert saved(world, "lyon") == 1
    for frame in author.heard(Custody):
        assert isinstance(frame, Custody)
        Proofs(frame, "lyon", world.trust.directory, world.now.wall)
    world.stop("lyon")
    world.start_hub("lyon")
    again = world.member_voice("lyon", "SG")
    world.run(SOON_MS)
    assert [one.body for one in parcels(again)] == [parcel.body]
    assert len(parcels(recipient)) == 1


def test_a_hub_that_dies_meanwhile_had_promised_nothing(put: tuple[World, Voice, Voice, Parcel]) -> None:
    world, author, _, parcel = put
    world.stop("lyon")
    world.start_hub("lyon")
    assert (given(author), saved(world, "lyon")) == ([], 0)
    author, recipient = world.member_voice("lyon", "BR"), world.member_voice("lyon", "SG")
    author.say(Put(author.session, (parcel,)))
    world.run(SOON_MS)
    assert [one.body for one in parcels(recipient)] == [parcel.body]


def test_a_recipient_that_leaves_finds_it_when_it_is_back(put: tuple[World, Voice, Voice, Parcel]) -> None:
    world, author, _, parcel = put
    recipients = []
    for _ in range(2):  # it greets anew within the same moment, and takes nothing
        recipients.append(world.member_voice("lyon", "SG"))
        world.run(LATENCY_MS)
    assert [[one.body for one in parcels(voice)] for voice in recipients] == [[parcel.body]] * 2
    assert [one.envelope for one in given(author)] == [envelope_id(parcel.header, parcel.body)]
    take(world, recipients[-1], "SG", parcels(recipients[-1])[0], "SG")
    world.run(SOON_MS)
    assert list(world.hub_store("lyon").backlog()) == []
    assert len(given(author)) == 1


def test_custody_that_is_signed_by_another_counts_for_nothing(put: tuple[World, Voice, Voice, Parcel]) -> None:
    world, author, recipient, parcel = put
    take(world, recipient, "SG", parcels(recipient)[0], "BR")
    world.run(SOON_MS)
    assert (given(author), saved(world, "lyon")) == ([], 0)
    world.run(PASSING_MS)
    assert [one.envelope for one in given(author)] == [envelope_id(parcel.header, parcel.body)]
    assert saved(world, "lyon") == 1


def test_a_second_copy_is_saved_and_both_givers_have_custody(put: tuple[World, Voice, Voice, Parcel]) -> None:
    world, author, recipient, parcel = put
    other = world.member_voice("lyon", "BR")
    other.say(Put(other.session, (parcel,)))
    world.run(SOON_MS + 2 * LATENCY_MS)
    assert saved(world, "lyon") == 1
    assert given(other) == [Taken(envelope_id(parcel.header, parcel.body), 0, ("SG",))]
    assert len(parcels(recipient)) == 1
    assert len({one.envelope for one in given(author)}) <= 1


@pytest.mark.parametrize("seed", range(92, 98))
def test_a_hub_killed_at_any_moment_loses_nothing_between_two_nodes(seed: int) -> None:
    world = World(seed, homes=HOMES)
    world.start_all()
    for n in range(12):
        world.write("FR", "SG", "s", f"{n}")
        world.run(1 + (seed + n) % 7)
        if n % 3 == 0:
            world.stop("lyon")
            world.start_hub("lyon")
    world.run(60_000)
    assert len(entries_of(world, "SG", Act.CORRESPONDENCE)) == 12


def test_only_so_much_may_pass_at_once() -> None:
    giver, now = Giver(LinkId(b"link"), bytes(8), 0), Now(MonoMs(0), WallMs(0))
    passing = Passing()
    rows = [row(n, PASSING_BYTES_MAX // 4) for n in range(5)]
    assert [passing.begin((one,), giver, now) for one in rows] == [True] * 4 + [False]
    assert passing.over(rows[0])[0]
    assert not passing.over(rows[0])[0]
    assert passing.begin((rows[4],), giver, now)
    few = Passing()
    begun = [few.begin((row(n, 1),), giver, now) for n in range(PASSING_ENVELOPES_MAX + 1)]
    assert begun == [True] * PASSING_ENVELOPES_MAX + [False]


def test_what_passes_is_found_by_its_mailbox_until_it_is_over() -> None:
    passing = Passing()
    rows = (row(1, 10), row(1, 10)._replace(seq=2, hop=hop_named("singapore")))
    passing.begin(rows, Giver(LinkId(b"link"), bytes(8), 0), Now(MonoMs(0), WallMs(0)))
    passing.over(rows[0])
    assert not list(passing.at(rows[0].hop, Lane.BULK))
    assert not list(passing.at(rows[1].hop, Lane.EXPRESS))
    assert list(passing.at(rows[1].hop, Lane.BULK)) == [rows[1].envelope]
    passage = passing.take_out(rows[1].envelope)
    assert passage is not None
    assert passage.rows == rows
    assert not list(passing.at(rows[1].hop, Lane.BULK))
    assert passing.size == 0


def row(n: int, size: int) -> Held:
    envelope, to, prio = EnvelopeId(n.to_bytes(32)), (MemberCode("SG"),), Priority.ROUTINE
    return Held(n, hop_named("SG"), envelope, to, prio, Minutes(1), 1, "BR", b"", b"", (), size)


def test_a_backlog_leaves_in_parts_so_that_others_have_their_turns() -> None:
    world = World(94, homes=HOMES)
    world.start_all(but=["BR"])
    parcel = Pen(world).sealed("BR", "SG", prio=Priority.ROUTINE)
    world.stop("SG")
    world.run(100)
    author = world.member_voice("lyon", "BR", Lane.BULK)
    backlog = [parcel._replace(body=parcel.body + n.to_bytes(2)) for n in range(6 * BATCH_PARCELS_MAX)]
    for begin in range(0, len(backlog), BATCH_PARCELS_MAX):
        author.say(Put(author.session, tuple(backlog[begin : begin + BATCH_PARCELS_MAX])))
    world.run(SOON_MS)
    recipient = world.member_voice("lyon", "SG", Lane.BULK)
    came = [len(parcels(recipient))]
    for _ in range(10 * LATENCY_MS):
        world.run(1)
        came.append(len(parcels(recipient)))
    assert max(after - before for before, after in pairwise(came)) <= DELIVERED_AT_ONCE_MAX
    assert [one.body for one in parcels(recipient)] == [one.body for one in backlog], "all of it, in order"
