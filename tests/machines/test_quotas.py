"""What one giver and one mailbox may use: as tables, and as what holds for any order of arrivals."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from i247_hub.admission import Caller
from i247_hub.quotas import Bucket, Giver, Lack, Pace, Quotas, Shares
from i247_hub.records import Backlog, Given, Held, Hop
from i247_protocol.frames import Role
from i247_protocol.limits import (
    BODY_BYTES_MAX,
    BUSY_RETRY_MS,
    BUSY_RETRY_MS_MAX,
    CONTROL_BURST,
    CONTROL_PER_S,
    QUOTA_BURST_S,
    RECIPIENTS_MAX,
)
from i247_protocol.names import EnvelopeId, HubName, MemberCode, Minutes, MonoMs
from i247_protocol.priority import Priority
from i247_protocol.reasons import Reason

BR, FR = MemberCode("BR"), MemberCode("FR")
BR_HERE, SINGAPORE = Hop(BR, None), Hop(None, HubName("singapore"))
FEW = Quotas(messages_per_s=10)
STORE = 1_000_000
START = MonoMs(5_000)

arrivals = st.lists(st.tuples(st.integers(0, 3_000), st.integers(0, 40)), min_size=1, max_size=60)


# --- one bucket ---


@given(rate=st.integers(1, 50), burst=st.integers(1, 200), asked=arrivals)
def test_a_bucket_never_gives_more_than_burst_and_rate(rate: int, burst: int, asked: list[tuple[int, int]]) -> None:
    bucket = Bucket(rate, burst)
    now = 0
    took: list[tuple[int, int]] = []
    for pause, wanted in asked:
        now += pause
        amount = min(wanted, burst)
        if not bucket.wait_ms(amount, MonoMs(now)):
            bucket.spend(amount)
            took.append((now, amount))
    for first in range(len(took)):
        for last in range(first, len(took)):
            between = took[last][0] - took[first][0]
            assert sum(amount for _, amount in took[first : last + 1]) <= burst + rate * between / 1_000


@given(rate=st.integers(1, 50), burst=st.integers(1, 200), asked=arrivals)
def test_the_wait_ends_at_the_first_moment_at_which_it_is_there(
    rate: int, burst: int, asked: list[tuple[int, int]]
) -> None:
    def after(wait_ms: int, amount: int) -> int:
        """Return the wait that is left when the same was asked of a bucket, so many ms later than the last time."""
        bucket, now = Bucket(rate, burst), 0
        for pause, wanted in asked:
            now += pause
            if not bucket.wait_ms(min(wanted, burst), MonoMs(now)):
                bucket.spend(min(wanted, burst))
        return bucket.wait_ms(amount, MonoMs(now + wait_ms))

    wait = after(0, burst)
    assert after(wait, burst) == 0
    if wait:
        assert after(wait - 1, burst) == 1


def test_what_is_put_in_beyond_the_burst_is_lost() -> None:
    bucket = Bucket(1, 10)
    assert bucket.wait_ms(10, START) == 0
    bucket.spend(10)
    bucket.add(4)
    assert bucket.wait_ms(4, START) == 0
    bucket.add(400)
    assert bucket.wait_ms(10, START) == 0
    bucket.spend(10)
    assert bucket.wait_ms(1, START) == 1_000


# --- a pace ---


@pytest.mark.parametrize(
    ("quotas", "cost", "times"),
    [
        (Quotas(messages_per_s=10), (1, 1, 1), 10 * QUOTA_BURST_S),
        (Quotas(bytes_per_s=1_000_000), (1, 100_000, 1), 10 * QUOTA_BURST_S),
        (Quotas(recipients_per_s=500), (1, 1, 100), 5 * QUOTA_BURST_S),
        # A single envelope of the largest kind always passes a bucket that is full.
        (Quotas(bytes_per_s=1, recipients_per_s=1), (1, BODY_BYTES_MAX, RECIPIENTS_MAX), 1),
    ],
)
def test_each_of_the_three_ends_it(quotas: Quotas, cost: tuple[int, int, int], times: int) -> None:
    pace = Pace(quotas)
    for _ in range(times):
        assert pace.take(*cost, START) == 0
    assert pace.take(*cost, START) > 0


def test_after_a_refusal_nothing_overtakes_until_the_moment_that_was_told() -> None:
    pace = Pace(Quotas(bytes_per_s=1_000_000))
    assert pace.take(1, 1_000_000, 1, START) == 0
    assert pace.take(1, 1_000_000, 1, START) == 0
    assert pace.take(1, 1_200_000, 1, START) == 0
    wait = pace.take(1, 1_300_000, 1, START)
    assert wait == 1_200, "until half of the burst is there"
    assert pace.take(1, 1, 1, MonoMs(START + 1)) == wait - 1
    assert pace.take(1, 1, 1, MonoMs(START + wait - 1)) == 1
    assert pace.take(1, 1_300_000, 1, MonoMs(START + wait)) == 0


@given(asked=st.lists(st.tuples(st.integers(0, 900), st.integers(1, 60)), min_size=1, max_size=40))
def test_who_asks_again_when_it_was_told_to_is_taken(asked: list[tuple[int, int]]) -> None:
    pace, now = Pace(Quotas(messages_per_s=10, recipients_per_s=20)), 0
    for pause, recipients in asked:
        now += pause
        wait = pace.take(1, 1, recipients, MonoMs(now))
        if wait:
            now += wait
            assert pace.take(1, 1, recipients, MonoMs(now)) == 0


def test_who_keeps_asking_gets_its_rate() -> None:
    pace, now, taken = Pace(FEW), 0, 0
    while now < 600_000:
        wait = pace.take(1, 1, 1, MonoMs(now))
        taken += not wait
        now += wait
    assert abs(taken - 10 * 600) <= 2 * 10 * QUOTA_BURST_S


# --- a giver ---


def member(quotas: Quotas = FEW, code: str = "FR") -> Giver:
    return Giver(code, Role.MEMBER, quotas, STORE)


def flood(giver: Giver, prio: Priority, count: int = 1_000) -> int:
    """Let a giver give at one instant; return how many are taken."""
    return sum(giver.lacks(prio, 1, 1, START) is None for _ in range(count))


def test_urgent_and_control_have_their_own() -> None:
    giver = member()
    assert flood(giver, Priority.BULK) == 10 * QUOTA_BURST_S
    assert flood(giver, Priority.ROUTINE) == 0, "routine and bulk share one"
    assert flood(giver, Priority.URGENT) == 10 * QUOTA_BURST_S
    assert flood(giver, Priority.CONTROL, 2 * CONTROL_BURST) == CONTROL_BURST


def test_the_reason_and_the_wait_are_told() -> None:
    giver = member()
    flood(giver, Priority.ROUTINE)
    assert giver.lacks(Priority.ROUTINE, 1, 1, START) == Lack(Reason.QUOTA_FULL, QUOTA_BURST_S * 1_000 // 2)
    slow = Giver("FR", Role.MEMBER, Quotas(bytes_per_s=1), 10**9)
    assert slow.lacks(Priority.BULK, BODY_BYTES_MAX, 1, START) is None
    assert slow.lacks(Priority.BULK, BODY_BYTES_MAX, 1, START) == Lack(Reason.QUOTA_FULL, BUSY_RETRY_MS_MAX)


def test_receipts_have_room_for_all_that_was_delivered() -> None:
    giver = member()
    flood(giver, Priority.CONTROL, CONTROL_BURST)
    assert giver.lacks(Priority.CONTROL, 1, 1, START) == Lack(Reason.QUOTA_FULL, 1_000 // CONTROL_PER_S + 1)
    giver.was_given(5)
    assert flood(giver, Priority.CONTROL) == 5
    assert giver.lacks(Priority.CONTROL, 1, 1, MonoMs(START + 1_000)) is None, "and some more with time"


@pytest.mark.parametrize(
    ("percent", "kinds"),
    [
        (79, set(Priority)),
        (80, set(Priority) - {Priority.BULK}),
        (95, {Priority.CONTROL, Priority.URGENT}),
        (100, {Priority.CONTROL}),
    ],
)
def test_what_waits_of_a_member_is_a_share_of_the_store(percent: int, kinds: set[Priority]) -> None:
    for prio in Priority:
        giver = member(Quotas(member_percent=10))
        giver.room.taken(STORE // 10 * percent // 100)
        lack = giver.lacks(prio, 1, 1, START)
        assert lack == (None if prio in kinds else Lack(Reason.QUOTA_FULL, BUSY_RETRY_MS)), prio


def test_another_hub_has_a_share_and_no_pace() -> None:
    giver = Giver("singapore", Role.HUB, FEW, STORE)
    assert flood(giver, Priority.BULK) == 1_000
    giver.room.taken(STORE // 2)
    assert {prio: flood(giver, prio) for prio in Priority} == dict.fromkeys(Priority, 0)


def test_it_is_known_who_was_refused_lately() -> None:
    shares = Shares(FEW, STORE, [], [])
    for code in ("SG", "FR", "BR"):
        giver = shares.of(Caller(Role.MEMBER, code, in_good_standing=True))
        flood(giver, Priority.BULK, 10 if code == "BR" else 1_000)
    assert list(shares.over(START)) == ["FR", "SG"]
    assert list(shares.over(MonoMs(START + BUSY_RETRY_MS_MAX))) == []


# --- mailboxes ---


def row(source: str, hop: Hop, size: int, prio: Priority = Priority.ROUTINE) -> Held:
    return Held(1, hop, EnvelopeId(bytes(32)), (BR,), prio, Minutes(1), 1, source, b"h", b"", (), size)


def full(shares: Shares, hop: Hop, now: MonoMs = START) -> set[Priority]:
    return {prio for prio in Priority if shares.mailbox_lacks(hop, BR, prio, 1, now) is not None}


@pytest.mark.parametrize(
    ("size", "shut"),
    [
        (199_000, set()),
        (200_000, {Priority.BULK}),
        (238_000, {Priority.BULK, Priority.ROUTINE}),
        (250_000, set(Priority)),
    ],
)
def test_a_mailbox_fills_up_by_priority(size: int, shut: set[Priority]) -> None:
    shares = Shares(FEW, STORE, [], [])
    shares.held(row("FR", BR_HERE, size))
    assert full(shares, BR_HERE) == shut
    assert full(shares, Hop(FR, None)) == set(), "nobody else's"
    shares.freed(row("FR", BR_HERE, size))
    assert full(shares, BR_HERE) == set()


def test_rows_fill_a_member_s_mailbox_and_not_a_hub_s() -> None:
    shares = Shares(Quotas(mailbox_rows=10), STORE, [], [])
    for hop in (BR_HERE, SINGAPORE):
        for _ in range(10):
            shares.held(row("FR", hop, 1))
    assert full(shares, BR_HERE) == set(Priority)
    assert full(shares, SINGAPORE) == set()
    assert shares.waiting_for("BR") == (10, 100)
    assert shares.waiting_for("singapore") == (10, 0)
    assert shares.waiting_for("SG") == (0, 0)


def test_a_start_takes_up_what_was_held() -> None:
    given = [Given("FR", 100_000), Given("singapore", 450_000)]
    backlog = [Backlog(BR_HERE, Priority.BULK, 3, 150_000), Backlog(BR_HERE, Priority.URGENT, 2, 60_000)]
    shares = Shares(FEW, STORE, given, backlog)
    france = shares.of(Caller(Role.MEMBER, "FR", in_good_standing=True))
    singapore = shares.of(Caller(Role.HUB, "singapore", in_good_standing=True))
    assert flood(france, Priority.URGENT) == 0
    assert (flood(singapore, Priority.BULK), flood(singapore, Priority.ROUTINE)) == (0, 1_000)
    assert full(shares, BR_HERE) == {Priority.BULK}


def test_a_mailbox_that_is_full_elsewhere_is_full_here_until_then() -> None:
    shares = Shares(FEW, STORE, [], [])
    shares.full_elsewhere(["BR"], Priority.BULK, MonoMs(START + 700))
    lack = shares.mailbox_lacks(SINGAPORE, BR, Priority.BULK, 1, MonoMs(START + 100))
    assert lack == Lack(Reason.MAILBOX_FULL, 600)
    assert full(shares, SINGAPORE) == {Priority.BULK}
    assert shares.full_until([BR], Priority.BULK, START) == START + 700
    assert shares.full_until([BR, FR], Priority.BULK, START) is None, "one of them has room"
    assert full(shares, SINGAPORE, MonoMs(START + 700)) == set()
    assert shares.full_until([BR], Priority.BULK, MonoMs(START + 700)) is None
