"""What a hub decides about one parcel, as a table."""

from __future__ import annotations

from itertools import count

import pytest
from tests.keys.repository import Repository, key
from tests.world import entropy

from i247_hub.custody import EVERYBODY, Surroundings, Verdict, judge
from i247_hub.neighbours import Ways
from i247_hub.quotas import Giver, Quotas, Shares
from i247_hub.records import Hop
from i247_hub.room import Room
from i247_keys.cardfile import CardFile
from i247_keys.keyring import Keyring
from i247_protocol.digests import envelope_id
from i247_protocol.frames import Parcel, Role
from i247_protocol.header import encode_header
from i247_protocol.limits import HOPS_MAX, LIFETIME_MS_MAX, SKEW_MS, WRAP_BYTES
from i247_protocol.names import MINUTE_MS, HubName, KeyId, MemberCode, Minutes, MonoMs, Now, WallMs
from i247_protocol.priority import Priority
from i247_protocol.reasons import Reason

HOMES = {"AA": ("lyon",), "BB": ("singapore",), "CC": ("singapore",), "DD": ("lyon",), "EE": ("lyon",), "XP": ("lyon",)}
REPOSITORY = Repository(hubs=("lyon", "singapore"), homes=HOMES)
REPOSITORY.publish(suspend=("DD",))
WALL = WallMs(REPOSITORY.wall + 5_000)
KEYRING = Keyring().renewed(WALL, entropy(1, "keyring"))
WIDE = Quotas(member_percent=100, mailbox_percent=100)
LIVE = KEYRING.keys[0].kid
DEAD = KeyId(b"deadkey!")


def around(used: int = 0, reachable: tuple[str, ...] = ("singapore",), *, doubtful: bool = False) -> Surroundings:
    cards = CardFile()
    for code in ("AA", "BB"):
        cards.offer(KEYRING.card(MemberCode(code), 1, WALL, key(code)), REPOSITORY.trust.directory, WALL)
    ways = Ways(frozenset(map(HubName, reachable)), {})
    room, shares = Room(used, 100_000), Shares(WIDE, 100_000, [], [])
    now = Now(MonoMs(0), WALL)
    return Surroundings(HubName("lyon"), REPOSITORY.trust.directory, cards, room, shares, ways, doubtful, now)


def soon(minutes: int = 10) -> Minutes:
    return Minutes(WALL // MINUTE_MS + minutes)


def one(code: str, kid: bytes = LIVE, *, prio: Priority = Priority.URGENT, exp: Minutes | None = None) -> Parcel:
    header = encode_header((MemberCode(code),), KeyId(kid), prio, soon() if exp is None else exp)
    return Parcel(0, header, bytes(600), ())


def many(*codes: str, wraps: tuple[str, ...] | None = None, kid: bytes = LIVE) -> Parcel:
    header = encode_header(tuple(map(MemberCode, codes)), None, Priority.URGENT, soon())
    return Parcel(0, header, bytes(600), tuple((code, kid, bytes(WRAP_BYTES)) for code in wraps or codes))


def verdict(parcel: Parcel, surroundings: Surroundings | None = None) -> Verdict:
    seq = count(1)
    return judge(parcel, Giver("FR", Role.MEMBER, WIDE, 100_000), surroundings or around(), lambda: next(seq))


RETURNED: dict[str, tuple[Parcel, str, Reason]] = {
    "expired": (one("AA", exp=Minutes(WALL // MINUTE_MS)), EVERYBODY, Reason.EXPIRED),
    "too late": (
        one("AA", exp=Minutes((WALL + LIFETIME_MS_MAX + SKEW_MS) // MINUTE_MS + 1)),
        EVERYBODY,
        Reason.LIFETIME_TOO_LONG,
    ),
    "a stranger": (one("QX"), "QX", Reason.UNKNOWN_MEMBER),
    "suspended": (one("DD"), "DD", Reason.SUSPENDED),
    "a dead key": (one("AA", DEAD), "AA", Reason.DEAD_KEY),
    "a dead key elsewhere": (one("BB", DEAD), "BB", Reason.DEAD_KEY),
    "too many hubs": (one("BB")._replace(hops=HOPS_MAX), "BB", Reason.TOO_MANY_HOPS),
    "no wraps": (many("AA", "BB")._replace(wraps=()), EVERYBODY, Reason.MALFORMED),
    "a wrap for nobody named": (many("AA", "BB", wraps=("CC",)), EVERYBODY, Reason.MALFORMED),
    "wraps for one": (one("AA")._replace(wraps=many("AA", "BB").wraps), EVERYBODY, Reason.MALFORMED),
    "bad header": (one("AA")._replace(header=b""), EVERYBODY, Reason.MALFORMED),
}


@pytest.mark.parametrize("case", RETURNED)
def test_what_is_returned(case: str) -> None:
    parcel, member, reason = RETURNED[case]
    found = verdict(parcel)
    assert found.returned == [(MemberCode(member), reason)]
    assert (found.rows, found.busy) == ([], None)


def test_home_here() -> None:
    (row,) = verdict(one("AA")).rows
    assert (row.hop, row.recipients, row.hops, row.source) == (Hop(MemberCode("AA"), None), ("AA",), 1, "FR")


def test_home_elsewhere_and_the_last_hop_of_all() -> None:
    (row,) = verdict(one("BB")._replace(hops=HOPS_MAX - 1)).rows
    assert (row.hop, row.hops) == (Hop(None, HubName("singapore")), HOPS_MAX)
    (here,) = verdict(one("AA")._replace(hops=HOPS_MAX + 5)).rows
    assert here.hop.member == "AA", "at home it has arrived"


def test_a_key_of_which_nothing_is_known_passes() -> None:
    assert len(verdict(one("CC", DEAD)).rows) == 1


def test_many_are_split_by_home_with_their_own_wraps() -> None:
    parcel = many("AA", "BB", "CC", "EE")
    rows = verdict(parcel).rows
    assert [(row.hop.text, row.recipients) for row in rows] == [
        ("AA", ("AA",)),
        ("singapore", ("BB", "CC")),
        ("EE", ("EE",)),
    ]
    for row in rows:
        assert tuple(wrap[0] for wrap in row.wraps) == row.recipients
        assert (row.header, row.body, row.envelope) == (
            parcel.header,
            parcel.body,
            envelope_id(parcel.header, parcel.body),
        )
    assert len({row.seq for row in rows}) == 3


def test_a_branch_is_for_whom_it_has_wraps() -> None:
    assert [row.recipients for row in verdict(many("AA", "BB", "EE", wraps=("EE",))).rows] == [("EE",)]


def test_some_of_many_may_be_returned() -> None:
    found = verdict(many("AA", "DD", "QX"))
    assert [row.recipients for row in found.rows] == [("AA",)]
    assert found.returned == [("DD", Reason.SUSPENDED), ("QX", Reason.UNKNOWN_MEMBER)]


@pytest.mark.parametrize(
    ("prio", "used", "busy"),
    [
        (Priority.BULK, 70_000, None),
        (Priority.BULK, 80_000, Reason.STORE_FULL),
        (Priority.ROUTINE, 80_000, None),
        (Priority.ROUTINE, 95_000, Reason.STORE_FULL),
        (Priority.CONTROL, 95_000, None),
        (Priority.CONTROL, 99_900, Reason.STORE_FULL),
    ],
)
def test_busy_says_nothing_else(prio: Priority, used: int, busy: Reason | None) -> None:
    found = verdict(one("AA", prio=prio), around(used))
    assert (found.busy and found.busy.reason) is busy
    assert bool(found.rows) is (busy is None)
    assert found.targets == ("AA",)
