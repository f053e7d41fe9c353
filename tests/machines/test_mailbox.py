"""The mailbox against a plain list: order, bounds, nothing lost and nothing twice, whatever is done to it."""

from __future__ import annotations

from collections.abc import Iterator

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from i247_hub.mailbox import SHARE, Mailbox
from i247_hub.records import Held, Hop
from i247_protocol.frames import Hello, Role
from i247_protocol.limits import MAILBOX_PAGE_ROWS, MAILBOX_READY_MAX, ON_THE_WAY_BYTES_MAX, ON_THE_WAY_MAX
from i247_protocol.names import EnvelopeId, MemberCode, Minutes, MonoMs, Now, SessionId, WallMs
from i247_protocol.priority import Lane, Priority
from i247_protocol.session import Session

BR = MemberCode("BR")
HOP = Hop(BR, None)
NOW = Now(MonoMs(0), WallMs(0))


def row(seq: int, prio: Priority = Priority.URGENT, size: int = 10) -> Held:
    envelope = EnvelopeId(seq.to_bytes(32))
    return Held(seq, HOP, envelope, (BR,), prio, Minutes(1), 0, "FR", b"h", bytes(size - 1), (), size)


def session(messages: int = 10_000, size: int = 2**40) -> Session:
    made = Session(SessionId(bytes(8)), NOW, dialled=True)
    made.opened(Hello(bytes(8), Role.HUB, Lane.EXPRESS, 1, b"", b"", 0, messages, size))
    return made


def taken(mailbox: Mailbox, credit: Session) -> list[int]:
    """Take as a hub does: what is put is paid for."""
    found = []
    for one in mailbox.take(credit):
        credit.spend(one.size)
        found.append(one.seq)
    return found


def test_first_in_first_out_within_a_priority() -> None:
    mailbox = Mailbox(HOP, Lane.EXPRESS)
    for seq in (1, 2, 3):
        mailbox.add(row(seq), connected=True)
    assert taken(mailbox, session()) == [1, 2, 3]
    assert taken(mailbox, session()) == [], "they are on the way"


def test_who_gives_credit_and_no_custody_gets_only_so_much() -> None:
    mailbox = Mailbox(HOP, Lane.EXPRESS)
    mailbox.behind(Priority.URGENT, 10 * ON_THE_WAY_MAX)
    put: list[int] = []
    while True:
        mailbox.page_in(Priority.URGENT, [row(len(put) + n) for n in range(1, 257)], 256)
        more = taken(mailbox, session())
        if not more:
            break
        put += more
    assert len(put) == ON_THE_WAY_MAX
    mailbox.settle(row(1).envelope, (BR,))
    assert len(taken(mailbox, session())) == 1, "custody for one makes room for one"
    mailbox.put_back()
    assert len(taken(mailbox, session())) == ON_THE_WAY_MAX, "a new session begins anew"


def test_large_envelopes_on_the_way_are_bounded_by_their_bytes() -> None:
    mailbox = Mailbox(HOP, Lane.EXPRESS)
    for seq in range(1, 41):
        mailbox.add(row(seq, size=2**20), connected=True)
        taken(mailbox, session())
    most = ON_THE_WAY_BYTES_MAX // 2**20
    assert mailbox.rows == 40
    assert [bool(mailbox.on_the_way(row(seq).envelope)) for seq in range(1, 41)] == [True] * most + [False] * (
        40 - most
    )
    mailbox.put_aside(row(1).envelope, MonoMs(1))
    mailbox.drop(row(2, size=2**20))
    assert taken(mailbox, session()) == [most + 1, most + 2]


def test_control_goes_first_and_urgent_is_not_starved() -> None:
    mailbox = Mailbox(HOP, Lane.EXPRESS)
    for seq in range(1, 31):
        mailbox.add(row(seq, Priority.CONTROL), connected=True)
    mailbox.add(row(31, Priority.URGENT), connected=True)
    order = taken(mailbox, session())
    assert order.index(31) == SHARE
    assert [seq for seq in order if seq != 31] == list(range(1, 31))


def test_credit_is_kept_to() -> None:
    mailbox = Mailbox(HOP, Lane.EXPRESS)
    for seq in range(1, 11):
        mailbox.add(row(seq), connected=True)
    few = session(messages=3)
    assert taken(mailbox, few) == [1, 2, 3]
    assert taken(mailbox, few) == []
    assert taken(mailbox, session(size=25)) == [4, 5]


def test_what_is_not_put_after_all_costs_no_credit() -> None:
    mailbox = Mailbox(HOP, Lane.EXPRESS)
    for seq in range(1, 101):
        mailbox.add(row(seq), connected=True)
    one = session(messages=1)
    assert len(list(mailbox.take(one))) == 100, "nobody spends"


def test_for_who_is_not_connected_memory_stays_empty() -> None:
    mailbox = Mailbox(HOP, Lane.EXPRESS)
    for seq in range(1, 1_001):
        mailbox.add(row(seq), connected=False)
    assert (mailbox.rows, mailbox.rows_on_disk) == (1_000, 1_000)
    assert taken(mailbox, session()) == []
    assert mailbox.wanted_page() == (Priority.URGENT, 0)


def test_a_busy_place_gets_the_same_again_in_order() -> None:
    mailbox = Mailbox(HOP, Lane.EXPRESS)
    for seq in (1, 2, 3):
        mailbox.add(row(seq), connected=True)
    assert taken(mailbox, session(messages=2)) == [1, 2]
    mailbox.pause(row(1).envelope, MonoMs(500))
    assert taken(mailbox, session()) == []
    assert not mailbox.resumes(MonoMs(499))
    assert mailbox.resumes(MonoMs(500))
    assert taken(mailbox, session()) == [1, 3]


def test_a_busy_priority_lets_the_other_pass() -> None:
    mailbox = Mailbox(HOP, Lane.EXPRESS)
    for seq, prio in enumerate([Priority.URGENT, Priority.CONTROL, Priority.URGENT], 1):
        mailbox.add(row(seq, prio), connected=True)
    assert taken(mailbox, session(messages=2)) == [2, 1]
    mailbox.pause(row(1).envelope, MonoMs(500))
    mailbox.add(row(4, Priority.CONTROL), connected=True)
    mailbox.behind(Priority.URGENT, 1)
    assert taken(mailbox, session()) == [4]
    assert mailbox.wanted_page() is None, "what must wait is not read"
    assert mailbox.resumes(MonoMs(500))
    assert taken(mailbox, session()) == [1, 3]


def test_what_is_put_aside_lets_others_pass_and_comes_again() -> None:
    mailbox = Mailbox(HOP, Lane.EXPRESS)
    for seq in (1, 2):
        mailbox.add(row(seq), connected=True)
    assert taken(mailbox, session(messages=1)) == [1]
    mailbox.put_aside(row(1).envelope, MonoMs(500))
    assert taken(mailbox, session()) == [2]
    assert not mailbox.resumes(MonoMs(499))
    assert mailbox.resumes(MonoMs(500))
    assert taken(mailbox, session()) == [1]


def test_a_row_for_many_is_done_when_all_have_it() -> None:
    mailbox = Mailbox(Hop(None, None), Lane.EXPRESS)
    codes = tuple(map(MemberCode, ("AA", "BB", "CC")))
    mailbox.add(row(1)._replace(recipients=codes), connected=True)
    assert taken(mailbox, session()) == [1]
    envelope = row(1).envelope
    assert [(part.recipients, done) for part, done in mailbox.settle(envelope, ("AA", "QX"))] == [(codes[:1], False)]
    assert [(part.recipients, done) for part, done in mailbox.settle(envelope, ("AA",))] == []
    assert [(part.recipients, done) for part, done in mailbox.settle(envelope, ("BB", "CC"))] == [(codes[1:], True)]
    assert mailbox.rows == 0


def test_what_is_passed_over_is_out_of_memory_and_looked_at_again_in_its_time() -> None:
    mailbox = Mailbox(HOP, Lane.EXPRESS)
    for seq in (1, 2, 3):
        mailbox.add(row(seq), connected=True)
    assert taken(mailbox, session()) == [1, 2, 3]
    mailbox.pass_over(row(2), MonoMs(500))
    mailbox.pass_over(row(1), MonoMs(900))
    assert (mailbox.rows, mailbox.rows_on_disk) == (3, 2)
    assert mailbox.wanted_page() is None
    assert not mailbox.resumes(MonoMs(499))
    assert mailbox.resumes(MonoMs(500))
    assert mailbox.wanted_page() == (Priority.URGENT, 0)
    mailbox.page_in(Priority.URGENT, [row(1), row(2), row(3)], MAILBOX_PAGE_ROWS)
    assert taken(mailbox, session()) == [1, 2], "3 is on the way already"
    assert not mailbox.resumes(MonoMs(2_000))


def test_a_look_that_was_cut_short_goes_on_before_another_begins() -> None:
    mailbox = Mailbox(HOP, Lane.EXPRESS)
    mailbox.add(row(1), connected=True)
    mailbox.add(row(2), connected=False)
    assert taken(mailbox, session()) == [1]
    mailbox.pass_over(row(1), MonoMs(500))
    mailbox.is_cut_short = True
    assert mailbox.resumes(MonoMs(900))
    assert mailbox.wanted_page() == (Priority.URGENT, 1), "2 comes before 1 is looked at again"
    mailbox.page_in(Priority.URGENT, [row(2)], MAILBOX_PAGE_ROWS)
    assert mailbox.resumes(MonoMs(901))
    assert mailbox.wanted_page() == (Priority.URGENT, 0)


class MailboxAgainstAList(RuleBasedStateMachine):
    """A store and a mailbox as a hub drives them; the model is the list of rows that nobody has settled."""

    def __init__(self) -> None:
        super().__init__()
        self.mailbox = Mailbox(HOP, Lane.EXPRESS)
        self.store: dict[int, Held] = {}
        self.seq = 0
        self.connected = False
        self.session = session()
        self.on_the_way: list[int] = []
        self.now = 1

    @rule(many=st.integers(1, 700), prio=st.sampled_from([Priority.CONTROL, Priority.URGENT]))
    def add(self, many: int, prio: Priority) -> None:
        for _ in range(many):
            self.seq += 1
            self.store[self.seq] = row(self.seq, prio)
            self.mailbox.add(self.store[self.seq], connected=self.connected)

    @precondition(lambda self: not self.connected)
    @rule(credit=st.integers(0, 2_000))
    def connect(self, credit: int) -> None:
        self.connected = True
        self.session = session(messages=credit)

    @precondition(lambda self: self.connected)
    @rule()
    def disconnect(self) -> None:
        self.connected = False
        self.mailbox.let_go()
        self.on_the_way.clear()

    @precondition(lambda self: self.connected)
    @rule()
    def deliver(self) -> None:
        while True:
            got = taken(self.mailbox, self.session)
            assert set(got).isdisjoint(self.on_the_way), "put twice"
            assert set(got) <= self.store.keys(), "put what is settled"
            self.on_the_way += got
            wanted = self.mailbox.wanted_page()
            if wanted is None:
                return
            prio, after = wanted
            page = list(self._page(prio, after))
            self.mailbox.page_in(prio, page, MAILBOX_PAGE_ROWS)
            if not page:
                return

    def _page(self, prio: Priority, after: int) -> Iterator[Held]:
        rows = [one for seq, one in self.store.items() if one.prio is prio and seq > after]
        yield from rows[:MAILBOX_PAGE_ROWS]

    @precondition(lambda self: self.on_the_way)
    @rule(data=st.data())
    def settle(self, data: st.DataObject) -> None:
        seq = data.draw(st.sampled_from(self.on_the_way))
        self.on_the_way.remove(seq)
        ((part, done),) = self.mailbox.settle(row(seq).envelope, ("BR",))
        assert (part.seq, done) == (seq, True)
        del self.store[seq]

    @precondition(lambda self: self.on_the_way)
    @rule(data=st.data())
    def busy(self, data: st.DataObject) -> None:
        seq = data.draw(st.sampled_from(self.on_the_way))
        self.on_the_way.remove(seq)
        self.mailbox.pause(row(seq).envelope, MonoMs(self.now + 10))

    @precondition(lambda self: self.on_the_way)
    @rule(data=st.data(), many=st.integers(1, 300))
    def pass_over(self, data: st.DataObject, many: int) -> None:
        first = data.draw(st.integers(0, len(self.on_the_way) - 1))
        for seq in self.on_the_way[first : first + many]:
            self.mailbox.pass_over(self.store[seq], MonoMs(self.now + 10))
        del self.on_the_way[first : first + many]

    @rule(ms=st.integers(1, 20))
    def time_passes(self, ms: int) -> None:
        self.now += ms
        self.mailbox.resumes(MonoMs(self.now))

    @precondition(lambda self: self.store)
    @rule(data=st.data())
    def expire(self, data: st.DataObject) -> None:
        seq = data.draw(st.sampled_from(sorted(self.store)))
        self.mailbox.drop(self.store.pop(seq))
        if seq in self.on_the_way:
            self.on_the_way.remove(seq)

    @invariant()
    def memory_is_bounded(self) -> None:
        in_memory = self.mailbox.rows - self.mailbox.rows_on_disk
        assert in_memory - len(self.on_the_way) <= 2 * (MAILBOX_READY_MAX + MAILBOX_PAGE_ROWS)
        if not self.connected:
            assert in_memory == 0

    @invariant()
    def all_are_counted(self) -> None:
        assert self.mailbox.rows == len(self.store)

    def teardown(self) -> None:
        """Whatever was done: in the end each row is put once more, in order."""
        self.mailbox.let_go()
        self.mailbox.resumes(MonoMs(self.now + 10_000))
        self.on_the_way.clear()
        self.connected = True
        self.session = session(messages=10**6)
        put: list[int] = []
        while True:
            self.deliver()
            if not self.on_the_way:
                break
            put += self.on_the_way
            for seq in self.on_the_way:
                self.mailbox.settle(row(seq).envelope, (BR,))
            self.on_the_way.clear()
        for prio in (Priority.CONTROL, Priority.URGENT):
            got = [seq for seq in put if self.store[seq].prio is prio]
            assert got == [seq for seq, one in self.store.items() if one.prio is prio]


MailboxAgainstAList.TestCase.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
test_a_mailbox_and_a_list = MailboxAgainstAList.TestCase
