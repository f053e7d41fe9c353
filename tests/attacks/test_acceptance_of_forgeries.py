"""P2, P4: what a lying hub or member lays before a node. Each case: one reason, custody, quarantine, no entry."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.attacks.forgery import DAY_MS, Pen, audit_of, check_house, entries_of, only_refused, refused
from tests.world import World

from i247_keys import contexts
from i247_keys.keyring import EpochSecret
from i247_protocol.frames import Parcel
from i247_protocol.limits import BODY_BYTES_MAX, LIFETIME_MS_MAX, SKEW_MS
from i247_protocol.priority import Priority
from i247_protocol.reasons import Reason

MINUTE_MS = 60_000


@pytest.fixture(scope="module")
def world() -> World:
    made = World()
    made.start_all()
    return made


def dead_key(pen: Pen, wall: int) -> Parcel:
    stranger = EpochSecret(b"\7" * 32, pen.key_of("SG").use_from, pen.key_of("SG").use_until)
    return pen.seal(pen.say("FR", "SG"), keys={"SG": stranger.listed})


def wrong_key(pen: Pen, wall: int) -> Parcel:
    """Sealed to another key than the header names."""
    mine, other = pen.key_of("SG"), pen.key_of("BR")
    listed = type(mine)(kid=mine.kid, public=other.public, use_from=mine.use_from, use_until=mine.use_until)
    return pen.seal(pen.say("FR", "SG"), keys={"SG": listed})


def spliced(pen: Pen, *parts: Parcel) -> Parcel:
    header, body, wraps = parts
    return Parcel(0, header.header, body.body, wraps.wraps)


def one(pen: Pen) -> Parcel:
    return pen.sealed("FR", "SG")


def many(pen: Pen) -> Parcel:
    return pen.sealed("FR", "BR", "SG")


def flipped(parcel: Parcel) -> Parcel:
    body = bytearray(parcel.body)
    body[len(body) // 2] ^= 1
    return parcel._replace(body=bytes(body))


Case = Callable[[Pen, int], Parcel]
FORGERIES: dict[str, tuple[Reason, Case]] = {
    # Bytes.
    "header of no shape": (Reason.MALFORMED, lambda pen, wall: one(pen)._replace(header=b"\x80")),
    "header that is no msgpack": (Reason.MALFORMED, lambda pen, wall: one(pen)._replace(header=b"\xc1")),
    "empty header": (Reason.MALFORMED, lambda pen, wall: one(pen)._replace(header=b"")),
    "header that goes on": (Reason.MALFORMED, lambda pen, wall: one(pen)._replace(header=one(pen).header + b"\0")),
    "header in a longer form": (Reason.NOT_CANONICAL, lambda pen, wall: longer(one(pen))),
    "header that is too long": (Reason.TOO_LARGE, lambda pen, wall: one(pen)._replace(header=bytes(2_000))),
    "body that is too long": (Reason.TOO_LARGE, lambda pen, wall: one(pen)._replace(body=bytes(BODY_BYTES_MAX + 1))),
    "body cut short": (Reason.CANNOT_OPEN, lambda pen, wall: one(pen)._replace(body=one(pen).body[:-1])),
    "empty body": (Reason.CANNOT_OPEN, lambda pen, wall: one(pen)._replace(body=b"")),
    "body with a bit flipped": (Reason.CANNOT_OPEN, lambda pen, wall: flipped(one(pen))),
    "body of many with a bit flipped": (Reason.CANNOT_OPEN, lambda pen, wall: flipped(many(pen))),
    # Splicing.
    "header of another envelope": (
        Reason.CANNOT_OPEN,
        lambda pen, wall: one(pen)._replace(header=pen.sealed("FR", "SG", prio=Priority.BULK).header),
    ),
    "body of another envelope": (
        Reason.CANNOT_OPEN,
        lambda pen, wall: pen.sealed("FR", "SG", prio=Priority.ROUTINE)._replace(body=one(pen).body),
    ),
    "wraps of another envelope": (Reason.CANNOT_OPEN, lambda pen, wall: many(pen)._replace(wraps=many(pen).wraps)),
    "wrap of another member": (Reason.DEAD_KEY, lambda pen, wall: renamed_wrap(many(pen))),
    "no wraps": (Reason.CANNOT_OPEN, lambda pen, wall: many(pen)._replace(wraps=())),
    "a wrap where none belongs": (Reason.CANNOT_OPEN, lambda pen, wall: one(pen)._replace(wraps=many(pen).wraps)),
    "a wrap cut short": (Reason.CANNOT_OPEN, lambda pen, wall: shorter_wrap(many(pen))),
    # Addressing.
    "for somebody else": (Reason.NOT_ADDRESSED, lambda pen, wall: pen.sealed("FR", "BR")),
    "for others, stripped of us": (Reason.NOT_ADDRESSED, lambda pen, wall: pen.sealed("FR", "BR", "XP")),
    "statement for somebody else": (
        Reason.HEADER_MISMATCH,
        lambda pen, wall: pen.seal(pen.say("FR", "BR"), to=["SG"]),
    ),
    "recipients added": (Reason.HEADER_MISMATCH, lambda pen, wall: pen.seal(pen.say("FR", "SG"), to=["BR", "SG"])),
    "addressed to its own author": (
        Reason.HEADER_MISMATCH,
        lambda pen, wall: pen.seal(pen.say("FR", "FR", "SG"), to=["SG"]),
    ),
    "forwarded as if it were for us": (  # BR opens what FR wrote to it and seals it to SG
        Reason.HEADER_MISMATCH,
        lambda pen, wall: pen.seal(pen.say("FR", "BR"), to=["SG"], prio=Priority.URGENT),
    ),
    "another priority outside than inside": (
        Reason.HEADER_MISMATCH,
        lambda pen, wall: pen.seal(pen.say("FR", "SG"), prio=Priority.ROUTINE),
    ),
    "lives longer outside than inside": (
        Reason.HEADER_MISMATCH,
        lambda pen, wall: pen.seal(pen.say("FR", "SG"), exp=pen.say("FR", "SG").statement.exp + 1),
    ),
    # Time.
    "expired": (Reason.EXPIRED, lambda pen, wall: pen.sealed("FR", "SG", exp=wall // MINUTE_MS)),
    "expired long ago": (Reason.EXPIRED, lambda pen, wall: pen.sealed("FR", "SG", exp=0)),
    "of the future": (Reason.FUTURE_DATED, lambda pen, wall: pen.sealed("FR", "SG", iat=wall + SKEW_MS + 1_000)),
    "expires too late": (
        Reason.LIFETIME_TOO_LONG,
        lambda pen, wall: pen.sealed("FR", "SG", exp=(wall + LIFETIME_MS_MAX + SKEW_MS) // MINUTE_MS + 2),
    ),
    "lives too long": (
        Reason.LIFETIME_TOO_LONG,
        lambda pen, wall: pen.sealed("FR", "SG", iat=wall - LIFETIME_MS_MAX, exp=wall // MINUTE_MS + 2),
    ),
    # Signatures.
    "signed by another member": (Reason.BAD_SIGNATURE, lambda pen, wall: pen.sealed("FR", "SG", signer="BR")),
    "signed by the coming key": (Reason.BAD_SIGNATURE, lambda pen, wall: pen.sealed("FR", "SG", signer="FR next")),
    "signed by a hub": (Reason.BAD_SIGNATURE, lambda pen, wall: pen.sealed("FR", "SG", signer="lyon")),
    "signed as a keycard": (
        Reason.BAD_SIGNATURE,
        lambda pen, wall: pen.sealed("FR", "SG", context=contexts.KEYCARD),
    ),
    "signed as a word of return": (
        Reason.BAD_SIGNATURE,
        lambda pen, wall: pen.sealed("FR", "SG", context=contexts.RETURNED),
    ),
    "signed under no context": (Reason.BAD_SIGNATURE, lambda pen, wall: pen.sealed("FR", "SG", context=b"")),
    "said by a stranger": (Reason.UNKNOWN_MEMBER, lambda pen, wall: pen.sealed("QX", "SG")),
    # Keys.
    "sealed to a dead key": (Reason.DEAD_KEY, dead_key),
    "sealed to another's key under our key's name": (Reason.CANNOT_OPEN, wrong_key),
    # Statements.
    "with attachments": (Reason.MALFORMED, lambda pen, wall: pen.sealed("FR", "SG", att=(bytes(32),))),
    "recipients out of order": (
        Reason.MALFORMED,
        lambda pen, wall: pen.seal(pen.say("FR", "SG", to=("SG", "BR")), to=["SG"]),
    ),
    "id too short": (Reason.MALFORMED, lambda pen, wall: pen.sealed("FR", "SG", id=bytes(15))),
    "conversation too long": (Reason.MALFORMED, lambda pen, wall: pen.sealed("FR", "SG", conv=bytes(17))),
    "roster 0": (Reason.MALFORMED, lambda pen, wall: pen.sealed("FR", "SG", dir=(0, b""))),
    "33 references": (Reason.MALFORMED, lambda pen, wall: pen.sealed("FR", "SG", re=(bytes(32),) * 33)),
    "an author that is no code": (Reason.MALFORMED, lambda pen, wall: pen.sealed("fr", "SG", signer="FR")),
    "dated before all time": (Reason.MALFORMED, lambda pen, wall: pen.sealed("FR", "SG", iat=-1)),
}


def longer(parcel: Parcel) -> Parcel:
    """Write the header's map length in two bytes more than it needs."""
    assert parcel.header[0] == 0x86
    return parcel._replace(header=b"\xde\x00\x06" + parcel.header[1:])


def renamed_wrap(parcel: Parcel) -> Parcel:
    (_, kid, sealed), (ours, _, _) = parcel.wraps
    return parcel._replace(wraps=((ours, kid, sealed),))


def shorter_wrap(parcel: Parcel) -> Parcel:
    return parcel._replace(wraps=tuple((member, kid, sealed[:-1]) for member, kid, sealed in parcel.wraps))


@pytest.mark.parametrize("case", FORGERIES)
def test_a_forgery_is_refused_for_one_reason(world: World, case: str) -> None:
    reason, forge = FORGERIES[case]
    pen = Pen(world)
    before, entries = refused(world, "SG"), len(entries_of(world, "SG"))
    quarantined = world.node_store("SG").views().counts().quarantined
    acts = len(audit_of(world, "SG"))
    parcel = forge(pen, world.now.wall)
    taken = pen.deliver("singapore", "SG", parcel)
    after = refused(world, "SG")
    counted = {name: n - before.get(name, 0) for name, n in after.items() if n != before.get(name, 0)}
    assert counted == {reason.value: 1}
    assert taken == 1, "a hub must be able to forget it"
    assert len(entries_of(world, "SG")) == entries
    assert len(audit_of(world, "SG")) == acts
    assert world.node_store("SG").views().counts().quarantined == quarantined + 1
    check_house(world)


def test_the_unforged_is_taken(world: World) -> None:
    pen = Pen(world)
    before = len(entries_of(world, "SG"))
    assert pen.deliver("singapore", "SG", one(pen), many(pen), pen.sealed("FR", "SG", dir=(1, bytes(32)))) == 3
    assert len(entries_of(world, "SG")) == before + 3
    # No lower bound on when it was said, and none of its recipients' business whether its seal was for fewer of them.
    old = pen.sealed("FR", "SG", iat=world.now.wall - 6 * DAY_MS)
    narrowed = pen.seal(pen.say("FR", "BR", "SG"), to=["SG"])
    assert pen.deliver("singapore", "SG", old, narrowed) == 2
    assert len(entries_of(world, "SG")) == before + 5


def test_a_reason_for_each_alone() -> None:
    """In a world of its own, nothing else is counted."""
    world = World(2)
    world.start_all()
    pen = Pen(world)
    pen.deliver("singapore", "SG", pen.sealed("FR", "SG", signer="BR"))
    world.run(5_000)
    only_refused(world, "SG", Reason.BAD_SIGNATURE)
    for name in ("BR", "FR", "XP", "lyon", "singapore"):
        assert refused(world, name) == {}, name
