"""Carry envelopes: take them into custody, put them to their next place, free what is not ours any more.

What is taken is decided in `custody`, in which order it leaves in `mailbox`; this module moves rows between
the two and the store, and says for each of them, exactly once, what became of it. docs/protocol.md 9.4 to 9.8.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from i247_hub.admission import Caller
from i247_hub.connections import Connection, Connections
from i247_hub.custody import EVERYBODY, Refused, Surroundings, Verdict, judge
from i247_hub.desk import Desk
from i247_hub.holdings import Holdings, Touch
from i247_hub.mailbox import LANES, Mailbox
from i247_hub.neighbours import Neighbours
from i247_hub.passing import Giver
from i247_hub.quotas import Quotas, Shares
from i247_hub.records import Ended, HandedOn, Held, Hop, HubMemory, Owe, Passed, Settle, size_of
from i247_hub.returns import Returns
from i247_hub.routing import next_hop
from i247_keys.custodian import Custodian
from i247_keys.identity import Verify
from i247_keys.returned import known_reason, verify_bounce
from i247_keys.vouching import encode_vouched, verify_custody
from i247_protocol.bundle import batches
from i247_protocol.counters import Counters
from i247_protocol.errors import PeerFault
from i247_protocol.frames import Bounce, Busy, Custody, Noted, Pair, Parcel, Put, Returned, Role, Taken
from i247_protocol.header import parse_header
from i247_protocol.limits import (
    BUSY_RETRY_MS,
    BUSY_RETRY_MS_MAX,
    DELIVERED_AT_ONCE_MAX,
    EXPIRED_ROWS_IN_TURN_MAX,
    MAILBOX_PAGE_ROWS,
    PAIRS_MAX,
    REROUTE_MS,
    REROUTE_ROWS,
    TICK_MS,
)
from i247_protocol.machine import Claim, Effect, Forward, Persist
from i247_protocol.names import (
    MINUTE_MS,
    EnvelopeId,
    HubName,
    KeyId,
    MemberCode,
    Minutes,
    MonoMs,
    Now,
    WallMs,
    expiry_wall,
)
from i247_protocol.priority import Lane, Priority
from i247_protocol.reasons import Reason


class Carriage:
    """Everything that this hub holds for others."""

    def __init__(
        self,
        desk: Desk,
        connections: Connections,
        memory: HubMemory,
        counters: Counters,
        returns: Returns,
        custodian: Custodian,
        neighbours: Neighbours,
        store_bytes_max: int,
        quotas: Quotas,
        verify: Verify,
    ) -> None:
        self._me = returns.me
        self._desk = desk
        self._connections = connections
        self._memory = memory
        self._counters = counters
        self._returns = returns
        self._custodian = custodian
        self._neighbours = neighbours
        self._verify = verify
        self._holdings = Holdings(connections, memory, custodian, store_bytes_max, quotas)
        self._goes_on: dict[tuple[Hop, Lane], Mailbox] = {}  # where more could be put than one turn does
        self._goes_on_at = MonoMs(0)
        self._around: Surroundings | None = None
        self._judged_from: dict[MemberCode, int] = {}  # rows after this `seq` were judged by the member's present card

    @property
    def shares(self) -> Shares:
        """What each giver and each mailbox may take up."""
        return self._holdings.shares

    # What the machine tells.

    def opened(self, connection: Connection, now: Now) -> Iterator[Effect]:
        """Put what has waited for a side that has greeted, and tell it the words of return that it is owed."""
        if not connection.carries_mail_out:
            return
        if connection.lane is Lane.EXPRESS:
            owed = tuple(self._memory.owed(connection.caller.name, PAIRS_MAX))
            if owed:
                yield Claim(connection.link, Returned(connection.session.id, owed))
        yield from self.deliver(connection, now)

    def closed(self, connection: Connection) -> None:
        """Let what was on the way on a lost connection wait in the store again."""
        if connection.carries_mail_out:
            self._holdings.mailbox(_hop_to(connection.caller), connection.lane).let_go()

    def deliver(self, connection: Connection, now: Now) -> Iterator[Effect]:
        """Put what waits for a connected place, as far as its credit reaches."""
        if connection.carries_mail_out:
            yield from self._deliver(self._holdings.mailbox(_hop_to(connection.caller), connection.lane), now)

    def cards_changed(self, members: Iterable[MemberCode]) -> None:
        """Look again, before it leaves, at the key of what was taken for `members` so far."""
        for member in members:
            self._judged_from[member] = self._holdings.last_seq

    def clock_is_doubtful(self, now: Now) -> bool:
        """Return whether this hub's clock is not to be trusted: then nothing counts as expired."""
        pulse = self._desk.trust.pulse
        return self._neighbours.doubt(now, None if pulse is None else WallMs(pulse.iat))

    def surroundings_changed(self) -> None:
        """Judge by the newest roster, and by who is reached now, from here on."""
        self._around = None

    def time_passed(self, now: Now) -> Iterator[Effect]:
        """Try again where a place was busy, and look for another way where a hub has not been reached for a while."""
        for mailbox in self._holdings:
            if mailbox.resumes(now.mono):
                yield from self._deliver(mailbox, now)
            since = None if mailbox.hop.hub is None else self._neighbours.unreached_since(mailbox.hop.hub)
            if since is not None and mailbox.rows and now.mono - since >= REROUTE_MS:
                yield from self._reroute(mailbox, now)

    def _reroute(self, mailbox: Mailbox, now: Now) -> Iterator[Effect]:
        """Look through some rows that wait for a hub that is not reached; give those a new place that have another."""
        touched: Touch = {}
        yield from self._holdings.save_mailbox(mailbox)
        for prio in LANES[mailbox.lane]:
            rows = self._memory.page(mailbox.hop, prio, mailbox.looked_through[prio], REROUTE_ROWS)
            mailbox.looked_through[prio] = rows[-1].seq if len(rows) == REROUTE_ROWS else 0
            for row in rows:
                branches: dict[Hop, list[MemberCode]] = {}
                for member in row.recipients:
                    branches.setdefault(self._place_of(member, row), []).append(member)
                if set(branches) == {row.hop}:
                    continue
                self._counters.add("rerouted")
                yield from self._holdings.take_anew(row, branches.items(), touched, now)
        for one in touched.values():
            yield from self._deliver(one.mailbox, now)

    def _place_of(self, member: MemberCode, row: Held) -> Hop:
        return next_hop(self._desk.directory, self._me, member, self._neighbours.ways, row.hops - 1) or row.hop

    def expire(self, now: Now) -> Iterator[Effect]:
        """Forget what has expired, wherever it waits."""
        if self.clock_is_doubtful(now):
            return
        for row in self._memory.expired(Minutes(now.wall // MINUTE_MS), EXPIRED_ROWS_IN_TURN_MAX):
            self._refuse(Reason.EXPIRED)
            yield from self._holdings.expire(row)
            for member in row.recipients:
                yield Persist(Ended(row.envelope, member, Reason.EXPIRED.value, now.wall, row.exp))

    def waiting(self) -> Iterator[tuple[str, Lane, int, bool]]:
        """Yield for each next place and lane how many rows wait and whether it is connected."""
        for mailbox in self._holdings:
            if mailbox.rows:
                place, lane = mailbox.hop.text, mailbox.lane
                yield place, lane, mailbox.rows, self._connections.outward(place, lane) is not None

    def catch_up(self, now: Now) -> Iterator[Effect]:
        """Save what its next place has not signed for in time, and put more where there was too much for one turn."""
        yield from self._holdings.save_what_is_slow(now)
        if self._goes_on and self._goes_on_at <= now.mono:
            self._goes_on_at = MonoMs(now.mono + 1)
            yield from self._deliver(self._goes_on.pop(next(iter(self._goes_on))), now)

    def next_deadline(self) -> MonoMs | None:
        """Return when something has to be saved or put."""
        slow = self._holdings.next_deadline()
        if not self._goes_on:
            return slow
        return self._goes_on_at if slow is None else min(slow, self._goes_on_at)

    # What other places say.

    def put(self, connection: Connection, put: Put, now: Now) -> Iterator[Effect]:
        """Take what can be taken, and say for each envelope what becomes of it."""
        touched: Touch = {}
        refused = Refused()
        giver = self.shares.of(connection.caller)
        around = self._surroundings(now)
        for parcel in put.parcels:
            if not connection.session.take(parcel.size):
                self._refuse(Reason.CREDIT_EXCEEDED)
                continue
            verdict = judge(parcel, giver, around, self._holdings.next_seq)
            if verdict.busy is not None:
                self._refuse(verdict.busy.reason)
                refused.add(verdict.envelope, verdict.targets, verdict.busy)
                continue
            for member, lack in verdict.full.items():
                self._refuse(lack.reason)
                refused.add(verdict.envelope, (member,), lack)
            if verdict.rows:
                yield from self._hold(verdict, Giver(connection.link, put.session, parcel.hops), touched, now)
            if verdict.is_wrong and not giver.may_hear_what_was_wrong(now.mono):
                for _, reason in verdict.returned:
                    self._refuse(reason)
                self._counters.add("dropped.wrong")
            elif verdict.returned:
                bounces = tuple(self._bounce(verdict.envelope, *one, now.wall) for one in verdict.returned)
                yield Claim(connection.link, Returned(put.session, bounces))
        for busy in refused.frames(put.session):
            yield Forward(connection.link, busy)
        yield from self.grant(connection, now)
        for one in touched.values():
            yield from self._deliver(one.mailbox, now)

    def grant(self, connection: Connection, now: Now) -> Iterator[Effect]:
        """Give new credit where half of it is used; whoever is over its quota gets none before it may put again."""
        if self.shares.of(connection.caller).gets_credit(connection.lane, now.mono):
            credit = connection.session.grant()
            if credit is not None:
                yield Forward(connection.link, credit)

    def _hold(self, verdict: Verdict, giver: Giver, touched: Touch, now: Now) -> Iterator[Effect]:
        held = self._holdings.held(verdict.envelope)
        if not held:
            yield from self._holdings.take(tuple(verdict.rows), giver, touched, now)
            self._counters.add("held")
            return
        yield from self._holdings.save(verdict.envelope)
        rows = self._not_held_yet(verdict, held)
        if rows:
            yield from self._holdings.take(rows, None, touched, now)
            self._counters.add("held")
        self._holdings.owe(verdict.envelope, verdict.covered, giver, now.mono)

    def _not_held_yet(self, verdict: Verdict, held: Sequence[Held]) -> tuple[Held, ...]:
        """Return the rows of a verdict less what is held already: a second copy gets the same custody."""
        already = {member for row in held for member in row.recipients}
        fresh = []
        for row in verdict.rows:
            left = tuple(member for member in row.recipients if member not in already)
            if left:
                wraps = tuple(wrap for wrap in row.wraps if wrap[0] in left)
                size = size_of(row.header, row.body, wraps)
                fresh.append(row._replace(recipients=left, wraps=wraps, size=size))
        if len(fresh) < len(verdict.rows):
            self._counters.add("held-again")
        return tuple(fresh)

    def _deliver(self, mailbox: Mailbox, now: Now) -> Iterator[Effect]:
        """Put what waits for a place, as far as its credit reaches."""
        connection = self._connections.outward(mailbox.hop.text, mailbox.lane)
        if connection is None or not connection.caller.in_good_standing:
            return
        looked_at = 0
        while True:
            parcels: list[Parcel] = []
            passed_over = 0
            for row in islice(mailbox.take(connection.session), DELIVERED_AT_ONCE_MAX - looked_at):
                looked_at += 1
                until = self.shares.full_until(row.recipients, row.prio, now.mono)
                if until is not None:
                    yield from self._holdings.save(row.envelope)
                    mailbox.pass_over(row, until)
                    passed_over += 1
                    continue
                reason = self._undeliverable(row, now)
                if reason is None:
                    connection.session.spend(row.size)
                    parcels.append(Parcel(row.hops, row.header, row.body, row.wraps))
                else:
                    yield from self._give_up(mailbox, row, reason, now)
            for batch in batches(parcels):
                yield Forward(connection.link, Put(connection.session.id, batch))
            if looked_at == DELIVERED_AT_ONCE_MAX:  # others have their turn before the rest
                self._goes_on[mailbox.hop, mailbox.lane] = mailbox
                self._goes_on_at = MonoMs(now.mono + 1)
                return
            wanted = mailbox.wanted_page()
            mailbox.is_cut_short = wanted is not None and passed_over >= MAILBOX_PAGE_ROWS // 2
            if wanted is None or mailbox.is_cut_short:
                return
            prio, after = wanted
            yield from self._holdings.save_mailbox(mailbox)
            page = self._memory.page(mailbox.hop, prio, after, MAILBOX_PAGE_ROWS)
            mailbox.page_in(prio, page, MAILBOX_PAGE_ROWS)
            if not page:
                return

    def _undeliverable(self, row: Held, now: Now) -> Reason | None:
        if expiry_wall(row.exp) <= now.wall and not self.clock_is_doubtful(now):
            return Reason.EXPIRED
        member = row.hop.member
        if member is None or row.seq > self._judged_from.get(member, 0):
            return None
        kid = row.wraps[0][1] if row.wraps else parse_header(row.header).kid
        return Reason.DEAD_KEY if kid is not None and self._desk.cards.is_dead(member, KeyId(kid)) else None

    def _give_up(self, mailbox: Mailbox, row: Held, reason: Reason, now: Now) -> Iterator[Effect]:
        """Free a row that will not be delivered; its source is told, except of an expiry, which its clock knows."""
        self._refuse(reason)
        for part, done in mailbox.settle(row.envelope, row.recipients):
            if done:
                yield from self._holdings.forget((part,))
            for member in part.recipients:
                if reason is Reason.EXPIRED:
                    yield Persist(Ended(part.envelope, member, reason.value, now.wall, part.exp))
                else:
                    yield from self._owe(part, self._bounce(part.envelope, member, reason, now.wall))

    def _owe(self, row: Held, word: Bounce) -> Iterator[Effect]:
        yield Persist(Owe(row.source, word, row.exp))
        yield Persist(Ended(row.envelope, MemberCode(word.recipient), word.reason, WallMs(word.at), row.exp))
        connection = self._connections.outward(row.source, Lane.EXPRESS)
        if connection is not None:
            yield Claim(connection.link, Returned(connection.session.id, (word,)))

    def custody(self, connection: Connection, custody: Custody, now: Now) -> Iterator[Effect]:
        """Free what the next place has signed for, and keep its proof."""
        place = connection.caller.name
        mailbox = self._holdings.mailbox(_hop_to(connection.caller), connection.lane)
        try:
            verify_custody(custody, place, self._desk.directory, now.wall, self._verify)
        except PeerFault as fault:
            self._refuse(fault.reason)
            for taken in custody.taken:  # put again a little later: its key may be newer than the roster held here
                mailbox.put_aside(EnvelopeId(taken.envelope), MonoMs(now.mono + BUSY_RETRY_MS))
            return
        passed: list[Passed] = []
        over: list[Held] = []
        freed = 0
        for taken in custody.taken:
            envelope = EnvelopeId(taken.envelope)
            if any(row.hops != taken.hops for row in mailbox.on_the_way(envelope)):
                # Its proof would not stand behind this hub's in the chain.
                self._refuse(Reason.MALFORMED)
                continue
            settled = mailbox.settle(envelope, taken.recipients)
            if not settled:  # rows that a mailbox has let go; what is over already must not be found once more
                yield from self._holdings.forget(over[freed:])
                freed = len(over)
                settled = self._settle_let_go(place, envelope, taken)
            for row, done in settled:
                passed += [Passed(envelope, member, row.exp) for member in row.recipients]
                if done:
                    over.append(row)
        yield from self._holdings.forget(over[freed:])
        if passed:
            yield Persist(HandedOn(place, now.wall, encode_vouched(custody), tuple(passed)))
        if over:
            self._counters.add("handed-on", len(over))
        self.shares.of(connection.caller).was_given(sum(row.prio is not Priority.CONTROL for row in over))
        yield from self._deliver(mailbox, now)

    def noted(self, connection: Connection, noted: Noted) -> Iterator[Effect]:
        """Forget the words of return that the place before has saved."""
        for pair in noted.pairs:
            for member in pair.recipients:
                yield Persist(Settle(connection.caller.name, EnvelopeId(pair.envelope), MemberCode(member)))

    def _settle_let_go(self, place: str, envelope: EnvelopeId, taken: Taken) -> list[tuple[Held, bool]]:
        named = set(taken.recipients)
        rows = self._holdings.held(envelope)
        settled = [
            row for row in rows if row.hop.text == place and row.hops == taken.hops and named.issuperset(row.recipients)
        ]
        for row in settled:
            # It may wait in the other lane, and would be freed once more there.
            self._holdings.mailbox_of(row).drop(row)
        return [(row, True) for row in settled]

    def returned(self, connection: Connection, returned: Returned, now: Now) -> Iterator[Effect]:
        """Take words of return from the next place: free the rows, and owe the words to their source."""
        told: list[Pair] = []
        for word in returned.bounces:
            try:
                verify_bounce(word, self._desk.directory, now.wall)
            except PeerFault as fault:
                self._refuse(fault.reason)
                continue
            envelope = EnvelopeId(word.envelope)
            rows = [row for row in self._holdings.held(envelope) if row.hop.text == connection.caller.name]
            for row in rows:
                members = row.recipients if word.recipient == EVERYBODY else (MemberCode(word.recipient),)
                mailbox = self._holdings.mailbox_of(row)
                settled = mailbox.settle(envelope, members)
                if not settled:  # it waits to be put again, since its place has greeted anew
                    settled = [(row, set(row.recipients) <= set(members))]
                    if settled[0][1]:
                        mailbox.drop(row)
                for part, done in settled:
                    if done:
                        yield from self._holdings.forget((part,))
                    for one in self._for_each(part, word, now):
                        yield from self._owe(part, one)
            if word.recipient != EVERYBODY:
                told.append(Pair(word.envelope, (word.recipient,)))
        if told:
            yield Claim(connection.link, Noted(returned.session, tuple(told)))

    def _for_each(self, row: Held, word: Bounce, now: Now) -> Iterator[Bounce]:
        """Return the word, or this hub's own for each recipient when it speaks of all: only those can be settled."""
        if word.recipient != EVERYBODY:
            yield word
            return
        for member in row.recipients:
            yield self._bounce(row.envelope, member, known_reason(word.reason), now.wall)

    def busy(self, connection: Connection, busy: Busy, now: Now) -> Iterator[Effect]:
        """Keep what a place has no room for; leave the place alone where it has room for nothing else either."""
        self._counters.add("busy-heard")
        mailbox = self._holdings.mailbox(_hop_to(connection.caller), connection.lane)
        until = MonoMs(now.mono + min(max(busy.retry_after, TICK_MS), BUSY_RETRY_MS_MAX))
        if busy.reason == Reason.MAILBOX_FULL.value:
            for pair in busy.pairs:
                yield from self._keep_back(mailbox, pair, until, now)
            return
        one_by_one = busy.reason == Reason.PARKED_FULL.value
        for pair in busy.pairs:
            if one_by_one:
                mailbox.put_aside(EnvelopeId(pair.envelope), until)
            else:
                mailbox.pause(EnvelopeId(pair.envelope), until)

    def _keep_back(self, mailbox: Mailbox, pair: Pair, until: MonoMs, now: Now) -> Iterator[Effect]:
        """Let what is for a full mailbox wait in the store; what else is in its row becomes a row of its own."""
        named = set(pair.recipients)
        for row in list(mailbox.on_the_way(EnvelopeId(pair.envelope))):
            full = tuple(member for member in row.recipients if member in named)
            if not full:
                continue
            self.shares.full_elsewhere(full, row.prio, until)
            yield from self._holdings.save(row.envelope)
            if len(full) == max(1, len(row.wraps)):
                mailbox.pass_over(row, until)
                continue
            left = tuple(member for member in row.recipients if member not in named)
            yield from self._holdings.take_anew(row, [(row.hop, part) for part in (left, full) if part], {}, now)

    def _bounce(self, envelope: EnvelopeId, member: MemberCode, reason: Reason, wall: WallMs) -> Bounce:
        self._refuse(reason)
        return self._returns.word(envelope, member, reason, wall)

    # Parts.

    def _surroundings(self, now: Now) -> Surroundings:
        if self._around is None or self._around.now != now:
            desk, ways = self._desk, self._neighbours.ways
            self._around = Surroundings(
                self._me,
                desk.directory,
                desk.cards,
                self._holdings.room,
                self.shares,
                ways,
                self.clock_is_doubtful(now),
                now,
            )
        return self._around

    def _refuse(self, reason: Reason) -> None:
        self._counters.add(f"refused.{reason.value}")


def _hop_to(caller: Caller) -> Hop:
    if caller.role is Role.MEMBER:
        return Hop(MemberCode(caller.name), None)
    return Hop(None, HubName(caller.name))
