"""The hub's store against a model of plain dictionaries, and the shape of what it keeps."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from i247_hub.records import (
    Backlog,
    DropExpired,
    Forget,
    Given,
    HandedOn,
    Handing,
    Held,
    Hold,
    Hop,
    KeepCard,
    KeepDirectory,
    Owe,
    Passed,
    Settle,
    size_of,
)
from i247_hub.store import HubStore
from i247_protocol.errors import CallerFault
from i247_protocol.frames import Bounce
from i247_protocol.names import EnvelopeId, HubName, MemberCode, Minutes, WallMs
from i247_protocol.priority import Priority

DAY = 24 * 60
MEMBERS = tuple(map(MemberCode, ("AD", "FR", "XP")))
HOPS = (*(Hop(member, None) for member in MEMBERS), Hop(None, HubName("eu")), Hop(None, HubName("asia-2")))
# Some share their first eight bytes, by which they are indexed; some of those are negative as a signed number.
ENVELOPES = tuple(EnvelopeId(bytes([first]) * 8 + bytes([last]) * 24) for first in (1, 255) for last in (2, 254))


def held(seq: int, hop: Hop, envelope: EnvelopeId, to: tuple[MemberCode, ...], prio: Priority, size: int) -> Held:
    wraps = tuple((str(member), b"k" * 8, bytes(80)) for member in to) if len(to) > 1 else ()
    counts = size_of(envelope[-4:], bytes(size), wraps)
    source = ("eu", "FR")[seq % 2]
    return Held(seq, hop, envelope, to, prio, Minutes(DAY), 1, source, envelope[-4:], bytes(size), wraps, counts)


def one(seq: int, envelope: EnvelopeId = ENVELOPES[0], size: int = 10) -> Hold:
    return Hold((held(seq, HOPS[0], envelope, (MEMBERS[0],), Priority.ROUTINE, size),), WallMs(seq))


class Model:
    """What a hub's store means, in the fewest words."""

    def __init__(self) -> None:
        self.rows: dict[int, Held] = {}
        self.bodies: dict[int, int] = {}  # the first seq of the Hold, by seq
        self.handed: list[Handing] = []
        self.owed: dict[tuple[str, bytes, str], tuple[Bounce, Minutes]] = {}
        self.last = 0

    def copy(self) -> Model:
        other = Model()
        other.rows, other.bodies, other.handed = dict(self.rows), dict(self.bodies), list(self.handed)
        other.owed, other.last = dict(self.owed), self.last
        return other

    @property
    def used(self) -> int:
        bodies = {self.bodies[seq]: len(row.header) + len(row.body) for seq, row in self.rows.items()}
        return sum(bodies.values()) + sum(100 * len(row.wraps) for row in self.rows.values())


class AgainstTheModel(RuleBasedStateMachine):
    @initialize()
    def begin(self) -> None:
        self.folder = TemporaryDirectory()
        self.store = HubStore(self.path)
        self.model, self.saved = Model(), Model()

    @property
    def path(self) -> str:
        return str(Path(self.folder.name) / "hub.db")

    @rule(
        envelope=st.sampled_from(ENVELOPES),
        hops=st.lists(st.sampled_from(HOPS), min_size=1, max_size=3),
        to=st.lists(st.sampled_from(MEMBERS), min_size=1, unique=True).map(tuple),
        prio=st.sampled_from(Priority),
        size=st.integers(0, 9_000),
    )
    def hold(
        self, envelope: EnvelopeId, hops: list[Hop], to: tuple[MemberCode, ...], prio: Priority, size: int
    ) -> None:
        first = self.model.last + 1
        rows = tuple(held(first + k, hop, envelope, to, prio, size) for k, hop in enumerate(hops))
        self.store.persist(Hold(rows, WallMs(1)))
        for row in rows:
            self.model.rows[row.seq], self.model.bodies[row.seq] = row, first
            self.model.last = row.seq

    @precondition(lambda self: self.model.rows)
    @rule(data=st.data())
    def forget(self, data: st.DataObject) -> None:
        seqs = data.draw(st.lists(st.sampled_from(sorted(self.model.rows)), min_size=1, unique=True))
        self.store.persist(Forget(tuple(seqs)))
        for seq in seqs:
            del self.model.rows[seq]

    @rule(seq=st.integers(1_000_000, 1_000_009))
    def forget_what_is_not_there(self, seq: int) -> None:
        self.store.persist(Forget((seq,)))

    @rule(
        named=st.lists(st.tuples(st.sampled_from(ENVELOPES), st.sampled_from(MEMBERS)), min_size=1),
        hop=st.sampled_from(HOPS),
        at=st.integers(0, 2**42).map(WallMs),
    )
    def hand_on(self, named: list[tuple[EnvelopeId, MemberCode]], hop: Hop, at: WallMs) -> None:
        # One envelope has one expiry, as its header says so.
        passed = [Passed(envelope, to, Minutes(DAY * (ENVELOPES.index(envelope) // 2))) for envelope, to in named]
        vouched = f"{hop.text} at {at}".encode()
        self.store.persist(HandedOn(hop.text, at, vouched, tuple(passed)))
        for one in passed:
            self.model.handed.append(Handing(one.envelope, one.recipient, hop.text, at, one.exp, vouched))

    @rule(
        to=st.sampled_from(["FR", "eu"]),
        envelope=st.sampled_from(ENVELOPES),
        member=st.sampled_from(MEMBERS),
        at=st.integers(0, 9),
        exp=st.integers(0, 3 * DAY).map(Minutes),
    )
    def owe(self, to: str, envelope: EnvelopeId, member: MemberCode, at: int, exp: Minutes) -> None:
        bounce = Bounce(envelope, member, "dead-key", at, "eu", bytes(64))
        self.store.persist(Owe(to, bounce, exp))
        self.model.owed.pop((to, envelope, member), None)
        self.model.owed[to, envelope, member] = (bounce, exp)

    @rule(to=st.sampled_from(["FR", "eu"]), envelope=st.sampled_from(ENVELOPES), member=st.sampled_from(MEMBERS))
    def settle(self, to: str, envelope: EnvelopeId, member: MemberCode) -> None:
        self.store.persist(Settle(to, envelope, member))
        self.model.owed.pop((to, envelope, member), None)

    @rule(minute=st.integers(0, 34 * DAY).map(Minutes))
    def drop(self, minute: Minutes) -> None:
        self.store.persist(DropExpired(minute))
        first_kept = (minute - 30 * DAY + 1) // DAY
        self.model.handed = [row for row in self.model.handed if row.exp // DAY >= first_kept]
        self.model.owed = {key: row for key, row in self.model.owed.items() if row[1] > minute}

    @rule()
    def commit(self) -> None:
        self.store.commit()
        self.saved = self.model.copy()

    @rule()
    def die(self) -> None:
        self.store.close()
        self.store = HubStore(self.path)
        self.model = self.saved.copy()

    @invariant()
    def all_is_remembered(self) -> None:
        if not hasattr(self, "store"):
            return
        rows = sorted(self.model.rows.values())
        assert self.store.last_seq() == self.model.last
        assert self.store.used_bytes() == self.model.used
        for hop in HOPS:
            for prio in Priority:
                queue = [row for row in rows if (row.hop, row.prio) == (hop, prio)]
                assert self.store.page(hop, prio, 0, 1_000) == queue
                assert self.store.page(hop, prio, queue[0].seq if queue else 0, 2) == queue[1:3]
        for envelope in ENVELOPES:
            found = [row._replace(header=b"", body=b"") for row in rows if row.envelope == envelope]
            assert self.store.held(envelope) == found
            for member in MEMBERS:
                handed = [row for row in self.model.handed if (row.envelope, row.recipient) == (envelope, member)]
                assert self.store.handed_on(envelope, member) == (handed[-1] if handed else None)
        for to in ("FR", "eu"):
            owed = [bounce for (whom, _, _), (bounce, _) in self.model.owed.items() if whom == to]
            assert self.store.owed(to, 1_000) == owed
            assert self.store.owed(to, 1) == owed[:1]

    @invariant()
    def the_backlog_is_right(self) -> None:
        if not hasattr(self, "store"):
            return
        totals: dict[tuple[Hop, Priority], tuple[int, int]] = {}
        for row in self.model.rows.values():
            count, size = totals.get((row.hop, row.prio), (0, 0))
            totals[row.hop, row.prio] = (count + 1, size + row.size)
        expected = {Backlog(hop, prio, *total) for (hop, prio), total in totals.items()}
        assert set(self.store.backlog()) == expected
        sources = sorted({row.source for row in self.model.rows.values()})
        assert self.store.given() == [
            Given(source, sum(row.size for row in self.model.rows.values() if row.source == source))
            for source in sources
        ]

    def teardown(self) -> None:
        if hasattr(self, "store"):
            assert self.store.damage() == []
            self.store.close()
            self.folder.cleanup()


TestAgainstTheModel = AgainstTheModel.TestCase
TestAgainstTheModel.settings = settings(settings.default, stateful_step_count=30)


def test_a_body_is_stored_once_and_goes_with_its_last_row(tmp_path: Path) -> None:
    store = HubStore(str(tmp_path / "hub.db"))
    rows = tuple(held(seq, hop, ENVELOPES[0], MEMBERS[:2], Priority.BULK, 5_000) for seq, hop in enumerate(HOPS, 1))
    store.persist(Hold(rows, WallMs(1)))
    assert store.used_bytes() == 5_004 + 200 * len(HOPS)
    for row in rows[:-1]:
        store.persist(Forget((row.seq,)))
    assert store.page(rows[-1].hop, Priority.BULK, 0, 9) == [rows[-1]]
    assert store.used_bytes() == 5_204
    store.persist(Forget((rows[-1].seq,)))
    assert store.used_bytes() == 0
    store.close()


def test_the_highest_seq_is_remembered_when_its_row_is_gone(tmp_path: Path) -> None:
    path = str(tmp_path / "hub.db")
    store = HubStore(path)
    store.persist(one(7))
    store.persist(Forget((7,)))
    store.commit()
    store.close()
    store = HubStore(path)
    assert (store.last_seq(), store.used_bytes()) == (7, 0)
    store.close()


def test_the_newest_card_and_directory_are_kept() -> None:
    store = HubStore(":memory:")
    assert (store.cards(), store.directory()) == ([], None)
    for member, card in (("FR", b"1"), ("AD", b"2"), ("FR", b"3")):
        store.persist(KeepCard(MemberCode(member), card))
    store.persist(KeepDirectory(b"old"))
    store.persist(KeepDirectory(b"new"))
    assert (store.cards(), store.directory()) == ([b"2", b"3"], b"new")
    store.close()


def test_who_gave_an_envelope_is_not_found_in_the_files_afterwards(tmp_path: Path) -> None:
    path = tmp_path / "hub.db"
    store = HubStore(str(path))
    row = held(1, HOPS[0], ENVELOPES[0], (MEMBERS[0],), Priority.ROUTINE, 100)
    store.persist(Hold((row._replace(source="source-of-it"),), WallMs(1)))
    store.commit()
    store.persist(Forget((1,)))
    store.commit()
    store.close()
    assert b"source-of-it" not in path.read_bytes()


def test_one_hold_is_of_one_envelope() -> None:
    store = HubStore(":memory:")
    rows = (*one(1).rows, *one(2, ENVELOPES[1]).rows)
    with pytest.raises(CallerFault):
        store.persist(Hold(rows, WallMs(1)))
    store.close()


def test_what_is_no_record_is_refused() -> None:
    store = HubStore(":memory:")
    with pytest.raises(CallerFault):
        store.persist("a word")
    store.close()
