"""Carry each message of ours until its recipient has signed for it, or it is refused, or it expires.

The outbox alone repeats end to end, and it asks before it sends a body again: timers run for each
recipient, not for each message, grow exponentially with jitter, and start over at any sign of life. Memory
holds what is near the head; the rest is in the store. docs/protocol.md 6.6 and 9.8.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from i247_keys.cardfile import CardFile
from i247_keys.cipher import Cipher
from i247_keys.keycard import EpochKey
from i247_keys.returned import encode_word
from i247_keys.vouching import Proofs, encode_proof
from i247_node.addressees import Addressees
from i247_node.commands import DeliveryMoved
from i247_node.composing import seal
from i247_node.deliveries import may_move
from i247_node.links import Links
from i247_node.records import (
    Delivery,
    DeliveryState,
    KeepDelivery,
    KeepOutgoing,
    KeepSigned,
    NodeMemory,
    Outgoing,
    Signed,
)
from i247_protocol.counters import Counters
from i247_protocol.digests import envelope_id
from i247_protocol.frames import Ask, Bounce, Fate, Known, Pair, Parcel, Put, Taken
from i247_protocol.header import parse_header
from i247_protocol.limits import (
    ASK_PAIRS_MAX,
    BUSY_RETRY_MS_MAX,
    EXPIRED_ROWS_IN_TURN_MAX,
    OUTBOX_READY_MAX,
    OUTBOX_SEALED_BYTES_MAX,
    PATIENCE_MS,
    RESEND_MS,
    RETRY_MS_MAX,
    TICK_MS,
)
from i247_protocol.machine import Claim, Effect, LinkId, Persist, Tell
from i247_protocol.names import EnvelopeId, EvidenceId, HubName, MemberCode, MonoMs, Now, expiry_wall
from i247_protocol.priority import Lane, Priority, lane_of
from i247_protocol.reasons import Reason
from i247_protocol.statement import Act
from i247_protocol.timers import Timers


@dataclass(slots=True)
class Job:
    """A message on its way to the recipients for which no hub has taken custody yet."""

    message: Outgoing
    recipients: tuple[MemberCode, ...]
    parcel: Parcel | None = None
    envelope: EnvelopeId | None = None

    @property
    def size(self) -> int:
        """Bytes of sealed envelope that it keeps in memory."""
        return 0 if self.parcel is None else self.parcel.size

    @property
    def is_saved(self) -> bool:
        """Whether the store knows it; receipts are not saved, since they are given again when asked for."""
        return self.message.n > 0


class Outbox:
    """All messages of ours that somebody still has to sign for."""

    def __init__(
        self,
        memory: NodeMemory,
        cards: CardFile,
        links: Links,
        entropy: Callable[[int], bytes],
        cipher: Cipher,
        counters: Counters,
        query_refused: Callable[[bytes], Iterator[Effect]],
    ) -> None:
        self._memory = memory
        self._addressees = Addressees(cards)
        self._links = links
        self._entropy = entropy
        self._cipher = cipher
        self._counters = counters
        self._query_refused = query_refused
        self._ready: dict[Priority, deque[Job]] = {prio: deque() for prio in Priority}
        self._tail = dict.fromkeys(Priority, 0)
        self._behind = dict.fromkeys(Priority, True)
        self._on_the_way: dict[EnvelopeId, tuple[Job, LinkId]] = {}
        self._active: set[tuple[int, MemberCode]] = set()
        self._sealed_bytes = 0
        self._paused = dict.fromkeys(Priority, 0)
        self._patience: Timers[MemberCode] = Timers()
        self._tries: dict[MemberCode, int] = {}

    # Taking messages.

    def start(self, now: Now) -> None:
        """Take up what was left when this node stopped."""
        for member in self._memory.recipients_waiting(DeliveryState.IN_CUSTODY):
            self._patience.set(member, MonoMs(now.mono + PATIENCE_MS))

    def accept(self, message: Outgoing, now: Now) -> Iterator[Effect]:
        """Save a new message and send it as soon as a link can take it."""
        queue = self._ready[message.prio]
        near = not self._behind[message.prio] and len(queue) < OUTBOX_READY_MAX and self._has_room()
        jobs = list(self._sealed(message, message.to, now)) if near else []
        sealed = {member: job.envelope for job in jobs for member in job.recipients}
        deliveries = tuple(
            Delivery(message.n, member, DeliveryState.QUEUED, sealed.get(member), None, now.wall, None, None)
            for member in message.to
        )
        yield Persist(KeepOutgoing(message, deliveries))
        if near:
            self._tail[message.prio] = message.n
            for job in jobs:
                self._queue(job)
        else:
            self._behind[message.prio] = True
        yield from self.push(now, lane_of(message.prio))

    def accept_unsaved(self, message: Outgoing, now: Now) -> Iterator[Effect]:
        """Send a message that nobody has to sign for (a receipt); it is lost with this process."""
        for job in self._sealed(message, message.to, now):
            self._ready[message.prio].append(job)
        yield from self.push(now, lane_of(message.prio))

    def push(self, now: Now, lane: Lane) -> Iterator[Effect]:
        """Put what is ready on a lane, as far as links and credit reach."""
        waiting = [
            prio
            for prio in PRIORITIES[lane]
            if (self._ready[prio] or self._behind[prio]) and now.mono >= self._paused[prio]
        ]
        if waiting and any(self._links.open_on(lane)):
            for prio in waiting:
                yield from self._push_one(prio, now)

    def _push_one(self, prio: Priority, now: Now) -> Iterator[Effect]:
        queue = self._ready[prio]
        while True:
            if not queue and not (yield from self._refill(prio, now)):
                return
            while queue:
                job = queue[0]
                if expiry_wall(job.message.exp) <= now.wall and not self._links.clock_is_doubtful:
                    queue.popleft()
                    members, job.recipients = job.recipients, ()
                    self._inactive(job, members)
                    continue
                parcel, envelope = job.parcel, job.envelope
                if parcel is None or envelope is None:
                    queue.popleft()
                    continue
                link = self._links.with_credit(lane_of(prio), parcel.size)
                if link is None or link.session is None:
                    return
                queue.popleft()
                link.session.spend(parcel.size)
                self._on_the_way[envelope] = (job, link.id)
                yield Claim(link.id, Put(link.session.id, (parcel,)))

    def _refill(self, prio: Priority, now: Now) -> Generator[Effect, None, bool]:
        """Page in messages that wait in the store; return whether there were any."""
        if not self._behind[prio] or not self._has_room():
            return False
        rows = self._memory.deliveries(DeliveryState.QUEUED, prio, self._tail[prio], OUTBOX_READY_MAX)
        if len(rows) < OUTBOX_READY_MAX:
            self._behind[prio] = False
        elif rows[0].n != rows[-1].n:
            # The last message may have more recipients than this page shows; it comes whole with the next.
            rows = [row for row in rows if row.n != rows[-1].n]
        if not rows:
            return False
        self._tail[prio] = rows[-1].n
        waiting: dict[int, list[MemberCode]] = {}
        for row in rows:
            if (row.n, row.recipient) not in self._active:
                waiting.setdefault(row.n, []).append(row.recipient)
        for n, members in waiting.items():
            yield from self._take_up(n, tuple(members), now)
            if not self._has_room():
                self._behind[prio] = True
                self._tail[prio] = n
                break
        return True

    def _take_up(self, n: int, members: tuple[MemberCode, ...], now: Now) -> Iterator[Effect]:
        """Seal a saved message again for some of its recipients, and queue it."""
        message = self._memory.outgoing(n)
        if message is None:
            return
        for job in self._sealed(message, members, now):
            for member in job.recipients:
                yield Persist(
                    KeepDelivery(Delivery(n, member, DeliveryState.QUEUED, job.envelope, None, now.wall, None, None))
                )
            self._queue(job)

    def _sealed(self, message: Outgoing, members: Sequence[MemberCode], now: Now) -> Iterator[Job]:
        """Seal to the members whose keycard is held; the others wait for theirs. No other key is ever used."""
        keys: list[tuple[MemberCode, EpochKey]] = []
        for member in members:
            if self._addressees.is_full(member, message.prio):
                continue
            key = self._addressees.key_of(member, now)
            if key is None:
                self._addressees.wait_for_card(member)
                self._counters.add(f"waiting.{Reason.NO_KEYCARD.value}")
            else:
                keys.append((member, key))
        if keys:
            parcel = seal(message, keys, self._entropy, self._cipher)
            yield Job(message, tuple(member for member, _ in keys), parcel, envelope_id(parcel.header, parcel.body))

    def _has_room(self) -> bool:
        """Whether memory may hold more sealed envelopes; what finds no room waits in the store."""
        return self._sealed_bytes < OUTBOX_SEALED_BYTES_MAX

    def _queue(self, job: Job) -> None:
        self._ready[job.message.prio].append(job)
        self._sealed_bytes += job.size
        for member in job.recipients:
            self._active.add((job.message.n, member))

    def _inactive(self, job: Job, members: Iterable[MemberCode]) -> None:
        for member in members:
            self._active.discard((job.message.n, member))
        if job.is_saved and not job.recipients:
            self._sealed_bytes -= job.size
            job.parcel = None

    # What hubs say.

    def custody(self, hub: HubName, taken: Iterable[Taken], proofs: Proofs, now: Now) -> Iterator[Effect]:
        """Note that a hub holds envelopes now: it answers for them, and this node waits for the receipt."""
        for one in taken:
            for job, members in self._off_the_way(EnvelopeId(one.envelope), one.recipients):
                if not job.is_saved:
                    continue
                for member in members:
                    proof = encode_proof(proofs.of(one.envelope, member))
                    yield Persist(KeepSigned(job.message.n, job.message.exp, Signed.CUSTODY, proof))
                    yield from self._move(job.message.n, member, DeliveryState.IN_CUSTODY, now, hub=hub)
                    if member not in self._patience:
                        self._patience.set(member, MonoMs(now.mono + PATIENCE_MS))

    def returned(self, bounce: Bounce, reason: Reason, now: Now) -> Iterator[Effect]:
        """Take a hub's verified word that an envelope will not reach a recipient."""
        envelope = EnvelopeId(bounce.envelope)
        job, _ = self._on_the_way.get(envelope, (None, None))
        if bounce.recipient:
            members: tuple[MemberCode, ...] = (MemberCode(bounce.recipient),)
        else:
            members = job.recipients if job is not None else ()
        # Looked at first: a job without recipients lets its parcel go.
        dead = {} if job is None or job.parcel is None else {member: _kid(job.parcel, member) for member in members}
        for _ in self._off_the_way(envelope, members):
            pass
        for member in members:
            delivery = self._memory.delivery_by_envelope(envelope, member)
            if delivery is None:
                continue
            yield from self._keep_word(delivery.n, bounce)
            if reason in SEAL_AGAIN:
                self._addressees.call_dead(member, dead.get(member), now)
                yield from self._move(delivery.n, member, DeliveryState.QUEUED, now)
                self._look_again()
            else:
                yield from self._move(delivery.n, member, DeliveryState.REFUSED, now, reason=reason.value)
        for lane in Lane:
            yield from self.push(now, lane)

    def _keep_word(self, n: int, word: Bounce) -> Iterator[Effect]:
        message = self._memory.outgoing(n)
        if message is not None:
            yield Persist(KeepSigned(n, message.exp, Signed.RETURN, encode_word(word)))

    def busy(self, pairs: Iterable[Pair], reason: str, retry_after_ms: int, now: Now) -> None:
        """Put back what a hub had no room for; leave its priority alone, or full mailboxes, for as long as it says."""
        until = MonoMs(now.mono + min(max(retry_after_ms, TICK_MS), BUSY_RETRY_MS_MAX))
        self._counters.add(f"busy.{reason if reason in KNOWN else OTHER}")
        if reason == Reason.MAILBOX_FULL.value:
            self._hold_back(pairs, until)
            return
        jobs: dict[Priority, list[Job]] = {}
        for pair in pairs:
            found = self._on_the_way.pop(EnvelopeId(pair.envelope), None)
            if found is not None:
                jobs.setdefault(found[0].message.prio, []).append(found[0])
        for prio, back in jobs.items():
            self._paused[prio] = until
            # In order again, whatever the frames were in which they came back.
            self._ready[prio] = deque(sorted([*back, *self._ready[prio]], key=lambda job: job.message.n))

    def _hold_back(self, pairs: Iterable[Pair], until: MonoMs) -> None:
        """Leave in the store what is for full mailboxes, so that it stands in nobody's way."""
        for pair in pairs:
            for job, members in self._off_the_way(EnvelopeId(pair.envelope), pair.recipients):
                if not job.is_saved:  # a receipt, which is given again when it is asked for
                    self._counters.add(f"dropped.{Reason.MAILBOX_FULL.value}", len(members))
                    continue
                for member in members:
                    self._addressees.hold_back(member, job.message.prio, until)

    def lost(self, link: LinkId) -> None:
        """Queue again, at the head and in order, what was on the way on a link without custody."""
        back = [(envelope, job) for envelope, (job, on) in self._on_the_way.items() if on == link]
        for envelope, job in reversed(back):
            del self._on_the_way[envelope]
            self._ready[job.message.prio].appendleft(job)

    def told(self, known: Iterable[Known], now: Now) -> Iterator[Effect]:
        """Take a hub's answers: send a body again only where nobody answers for it any more."""
        for one in known:
            member = MemberCode(one.recipient)
            delivery = self._memory.delivery_by_envelope(EnvelopeId(one.envelope), member)
            if delivery is None or delivery.state is not DeliveryState.IN_CUSTODY:
                continue
            if one.fate is Fate.HELD or (one.fate is Fate.PASSED and now.wall - one.at < RESEND_MS):
                continue
            yield from self._again(delivery.n, member, now)
        for lane in Lane:
            yield from self.push(now, lane)

    def _again(self, n: int, member: MemberCode, now: Now) -> Iterator[Effect]:
        self._counters.add("sent-again")
        yield from self._move(n, member, DeliveryState.QUEUED, now)
        yield from self._take_up(n, (member,), now)

    def card_came(self, member: MemberCode, now: Now) -> Iterator[Effect]:
        """Seal what waited for a member's keycard: it says anew which keys live, whatever a hub has said of them."""
        if not self._addressees.card_came(member):
            return
        self._look_again()
        for lane in Lane:
            yield from self.push(now, lane)

    def look_for_waiting(self, now: Now) -> None:
        """Let go on what waited for a key that a held card now lists, or for room in a mailbox."""
        if self._addressees.come_back(now):
            self._look_again()

    def _look_again(self) -> None:
        """Page in again, from the beginning, whatever is queued in the store and not near the head already."""
        for prio in Priority:
            self._behind[prio] = True
            self._tail[prio] = 0

    # What recipients say.

    def settle(
        self, sid: EvidenceId, by: MemberCode, proof: EvidenceId, state: DeliveryState, reason: str | None, now: Now
    ) -> Iterator[Effect]:
        """Take a recipient's signed word on one statement of ours."""
        message = self._memory.outgoing_by_sid(sid)
        if message is None or by not in message.to:
            self._counters.add("receipt.unknown")
            return
        yield from self._move(message.n, by, state, now, reason=reason, receipt=proof, message=message)
        self._inactive(Job(message, (by,)), (by,))
        if self._tries.pop(by, 0):
            self._patience.set(by, MonoMs(now.mono + PATIENCE_MS))

    def send_again(self, n: int, member: MemberCode, now: Now) -> Iterator[Effect]:
        """Put once more what a hub has custody of and its recipient misses."""
        yield from self._again(n, member, now)
        for lane in Lane:
            yield from self.push(now, lane)

    @property
    def waiting(self) -> int:
        """How many messages in memory wait for a hub to take custody."""
        return len(self._on_the_way) + sum(len(queue) for queue in self._ready.values())

    # Time.

    def next_deadline(self) -> MonoMs | None:
        """Return when `time_passed` is wanted next."""
        return self._patience.next()

    def time_passed(self, now: Now) -> Iterator[Effect]:
        """Ask for what has waited too long for its receipt."""
        for member in list(self._patience.due(now.mono)):
            waiting = self._memory.waiting_for(member, DeliveryState.IN_CUSTODY, ASK_PAIRS_MAX)
            if not waiting:
                self._tries.pop(member, None)
                continue
            tries = self._tries.get(member, 0)
            by_hub: dict[HubName | None, list[Pair]] = {}
            for one in waiting:
                if one.envelope is not None and one.at <= now.wall - PATIENCE_MS:
                    by_hub.setdefault(one.hub, []).append(Pair(one.envelope, (member,)))
            for hub, pairs in by_hub.items():
                link = self._links.to_hub(hub, Lane.EXPRESS)
                if link is not None and link.session is not None:
                    self._counters.add("asked", len(pairs))
                    yield Claim(link.id, Ask(link.session.id, tuple(pairs)))
            if by_hub:
                self._tries[member] = tries + 1
            self._patience.set(member, MonoMs(now.mono + self._pause_ms(tries)))

    def expire(self, now: Now) -> Iterator[Effect]:
        """End the deliveries whose time is over."""
        minute = now.wall // 60_000
        earliest = self._memory.next_delivery_expiry()
        if earliest is None or earliest > minute:
            return
        for delivery in self._memory.expired_deliveries(type(earliest)(minute), EXPIRED_ROWS_IN_TURN_MAX):
            yield from self._move(
                delivery.n, delivery.recipient, DeliveryState.EXPIRED, now, reason=Reason.EXPIRED.value
            )

    # Parts.

    def _move(
        self,
        n: int,
        member: MemberCode,
        state: DeliveryState,
        now: Now,
        *,
        hub: HubName | None = None,
        reason: str | None = None,
        receipt: EvidenceId | None = None,
        message: Outgoing | None = None,
    ) -> Iterator[Effect]:
        """Write the new state of one delivery; what the table does not allow changes nothing."""
        before = self._memory.delivery(n, member)
        if before is None or not may_move(before.state, state):
            return
        envelope = None if state is DeliveryState.QUEUED else before.envelope
        moved = Delivery(n, member, state, envelope, hub or before.hub, now.wall, reason, receipt)
        yield Persist(KeepDelivery(moved))
        if state in ENDED:
            self._counters.add(f"delivery.{state.value}")
            message = message or self._memory.outgoing(n)
            if message is not None:
                if state is DeliveryState.REFUSED and message.act is Act.QUERY:
                    yield from self._query_refused(message.conv)
                yield Tell(DeliveryMoved(message.id, member, state, reason))

    def _off_the_way(self, envelope: EnvelopeId, named: Iterable[str]) -> Iterator[tuple[Job, tuple[MemberCode, ...]]]:
        found = self._on_the_way.get(envelope)
        if found is None:
            return
        job, _ = found
        names = set(named)
        members = tuple(member for member in job.recipients if member in names)
        job.recipients = tuple(member for member in job.recipients if member not in names)
        self._inactive(job, members)
        if not job.recipients:
            del self._on_the_way[envelope]
        yield job, members

    def _pause_ms(self, tries: int) -> int:
        """Return an exponential pause with full jitter."""
        longest = min(RETRY_MS_MAX, PATIENCE_MS << min(tries, 10))
        return PATIENCE_MS // 2 + int.from_bytes(self._entropy(4)) * longest // 2**32


def _kid(parcel: Parcel, member: MemberCode) -> bytes:
    return parse_header(parcel.header).kid or next((kid for code, kid, _ in parcel.wraps if code == member), b"")


PRIORITIES: Final = {lane: tuple(prio for prio in Priority if lane_of(prio) is lane) for lane in Lane}
ENDED: Final = frozenset({DeliveryState.DELIVERED, DeliveryState.REFUSED, DeliveryState.EXPIRED})
KNOWN: Final = frozenset(reason.value for reason in Reason)
OTHER: Final = "other"
SEAL_AGAIN: Final = frozenset({Reason.DEAD_KEY, Reason.NO_KEYCARD})
