"""Keep what each giver puts, and what waits for each place, within its share of a hub.

A member has paces at its first hub: messages, bytes and recipients a second, counted apart for urgent, so that its
bulk does not use them up. What it has waiting here, and what another hub has, is a share of the store, and so is each
mailbox; the thresholds of a share by priority are those of the store (`room`). Receipts have an allowance of their own,
which what is delivered to a member fills up. Time is passed in. docs/protocol.md 9.5 and 11.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from i247_hub.admission import Caller
from i247_hub.records import Backlog, Given, Held, Hop, hop_named
from i247_hub.room import Room
from i247_protocol.frames import Role
from i247_protocol.limits import (
    BODY_BYTES_MAX,
    BUSY_RETRY_MS,
    BUSY_RETRY_MS_MAX,
    CONTROL_BURST,
    CONTROL_PER_S,
    HEADER_BYTES_MAX,
    MAILBOX_PERCENT,
    MAILBOX_ROWS_MAX,
    QUOTA_BURST_S,
    QUOTA_BYTES_PER_S,
    QUOTA_HUB_PERCENT,
    QUOTA_MEMBER_PERCENT,
    QUOTA_MESSAGES_PER_S,
    QUOTA_RECIPIENTS_PER_S,
    RECIPIENTS_MAX,
    WRONG_BURST,
    WRONG_PER_S,
)
from i247_protocol.names import MemberCode, MonoMs
from i247_protocol.priority import Lane, Priority
from i247_protocol.reasons import Reason


@dataclass(frozen=True, slots=True)
class Quotas:
    """What one giver, and one mailbox, may use; percents are of the store."""

    messages_per_s: int = QUOTA_MESSAGES_PER_S
    bytes_per_s: int = QUOTA_BYTES_PER_S
    recipients_per_s: int = QUOTA_RECIPIENTS_PER_S
    member_percent: int = QUOTA_MEMBER_PERCENT
    hub_percent: int = QUOTA_HUB_PERCENT
    mailbox_percent: int = MAILBOX_PERCENT
    mailbox_rows: int = MAILBOX_ROWS_MAX


class Lack(NamedTuple):
    """Why there is no room, and after how many ms to try again."""

    reason: Reason
    retry_ms: int


class Shares:
    """What each giver and each mailbox has used of its share; rebuilt from what is held."""

    def __init__(
        self, quotas: Quotas, store_bytes_max: int, given: Iterable[Given], backlog: Iterable[Backlog]
    ) -> None:
        self._quotas = quotas
        self._store_bytes_max = store_bytes_max
        self._givers: dict[str, Giver] = {}
        self._boxes: dict[Hop, _Box] = {}
        self._full: dict[tuple[MemberCode, Priority], MonoMs] = {}
        for one in given:
            self._of(one.source).room.taken(one.size)
        for waiting in backlog:
            self._box(waiting.hop).taken(waiting.rows, waiting.size)

    def of(self, caller: Caller) -> Giver:
        """Return what a caller may still give."""
        return self._of(caller.name)

    def held(self, row: Held) -> None:
        """Count a row that was saved."""
        self._of(row.source).room.taken(row.size)
        self._box(row.hop).taken(1, row.size)

    def freed(self, row: Held) -> None:
        """Count a row that was forgotten."""
        self._of(row.source).room.freed(row.size)
        self._box(row.hop).freed(1, row.size)

    def mailbox_lacks(self, hop: Hop, member: MemberCode, prio: Priority, size: int, now: MonoMs) -> Lack | None:
        """Return why the mailbox of `member`, whose next place is `hop`, takes nothing more; None when it does."""
        until = self._full.get((member, prio), now)
        if until > now:
            return Lack(Reason.MAILBOX_FULL, until - now)
        return Lack(Reason.MAILBOX_FULL, BUSY_RETRY_MS_MAX) if self._box(hop).is_full(prio, size) else None

    def full_elsewhere(self, members: Iterable[str], prio: Priority, until: MonoMs) -> None:
        """Note that the next place has said `mailbox-full`: nobody needs to give this hub more of it meanwhile."""
        for member in members:
            self._full[MemberCode(member), prio] = until

    def full_until(self, members: Iterable[MemberCode], prio: Priority, now: MonoMs) -> MonoMs | None:
        """Return until when the next place takes nothing for any of them, None when it may."""
        if not self._full:
            return None
        until = min(self._full.get((member, prio), now) for member in members)
        return until if until > now else None

    def waiting_for(self, place: str) -> tuple[int, int]:
        """Return the bytes that wait for a place, and how many percent of its room are taken."""
        box = self._boxes.get(hop_named(place))
        return (0, 0) if box is None else (box.bytes.used, box.percent)

    def over(self, now: MonoMs) -> Iterator[str]:
        """Yield the names of those that were refused for their quota lately."""
        return (name for name, giver in sorted(self._givers.items()) if giver.was_refused(now))

    def _of(self, name: str) -> Giver:
        giver = self._givers.get(name)
        if giver is None:
            role = Role.HUB if hop_named(name).member is None else Role.MEMBER
            giver = self._givers[name] = Giver(name, role, self._quotas, self._store_bytes_max)
        return giver

    def _box(self, hop: Hop) -> _Box:
        box = self._boxes.get(hop)
        if box is None:
            quotas, is_member = self._quotas, hop.member is not None
            percent = quotas.mailbox_percent if is_member else quotas.hub_percent
            box = self._boxes[hop] = _Box(
                Room(0, max(1, self._store_bytes_max * percent // 100)),
                Room(0, quotas.mailbox_rows) if is_member else None,
            )
        return box


class Giver:
    """A member or hub that puts envelopes here."""

    __slots__ = ("_control", "_other", "_refused", "_urgent", "_wrong", "_wrong_until", "name", "role", "room")

    def __init__(self, name: str, role: Role, quotas: Quotas, store_bytes_max: int) -> None:
        self.name = name
        self.role = role
        is_member = role is Role.MEMBER
        percent = quotas.member_percent if is_member else quotas.hub_percent
        self.room = Room(0, max(1, store_bytes_max * percent // 100))
        self._control = Bucket(CONTROL_PER_S, CONTROL_BURST)
        self._urgent = Pace(quotas)
        self._other = Pace(quotas)
        self._wrong = Bucket(WRONG_PER_S, WRONG_BURST)
        self._wrong_until = MonoMs(0)
        self._refused: MonoMs | None = None

    def lacks(self, prio: Priority, size: int, recipients: int, now: MonoMs) -> Lack | None:
        """Count one envelope; or return why it finds no room."""
        is_member = self.role is Role.MEMBER
        if is_member and prio is Priority.CONTROL:
            wait = self._control.wait_ms(recipients, now)
            if not wait:
                self._control.spend(recipients)
        elif self.room.lacks(prio, size) is not None:
            wait = BUSY_RETRY_MS
        elif is_member:
            wait = (self._urgent if prio is Priority.URGENT else self._other).take(1, size, recipients, now)
        else:
            wait = 0  # what comes from hubs was counted where it came from its author
        if not wait:
            return None
        self._refused = now
        return Lack(Reason.QUOTA_FULL, min(wait, BUSY_RETRY_MS_MAX))

    def may_hear_what_was_wrong(self, now: MonoMs) -> bool:
        """Count an envelope that nobody could deliver; return whether its giver is told so once more."""
        if self.role is Role.HUB:
            return True
        if now < self._wrong_until:
            return False
        if self._wrong.wait_ms(1, now):
            self._wrong_until = MonoMs(now + self._wrong.wait_ms(WRONG_BURST // 2, now))
            return False
        self._wrong.spend(1)
        return True

    def gets_credit(self, lane: Lane, now: MonoMs) -> bool:
        """Whether it gets more credit on a lane, and not first the time that it was told to wait."""
        if self.role is Role.HUB:
            return True
        return now >= self._wrong_until and not (lane is Lane.BULK and self._other.is_shut(now))

    def was_given(self, envelopes: int) -> None:
        """Count what was delivered to this member: it may answer as many."""
        self._control.add(envelopes)

    def was_refused(self, now: MonoMs) -> bool:
        """Whether it was over its quota in the last minute."""
        return self._refused is not None and now - self._refused < BUSY_RETRY_MS_MAX


class Pace:
    """Messages, bytes and recipients a second. Once one lacks, nothing passes until half of it is there again.

    Otherwise what comes later and is smaller would overtake, and a giver would ask again for each single one.
    """

    __slots__ = ("_buckets", "_shut_until")

    def __init__(self, quotas: Quotas) -> None:
        self._buckets = (
            Bucket(quotas.messages_per_s, QUOTA_BURST_S * quotas.messages_per_s),
            Bucket(quotas.bytes_per_s, max(QUOTA_BURST_S * quotas.bytes_per_s, PARCEL_BYTES_MAX)),
            Bucket(quotas.recipients_per_s, max(QUOTA_BURST_S * quotas.recipients_per_s, RECIPIENTS_MAX)),
        )
        self._shut_until = MonoMs(0)

    def is_shut(self, now: MonoMs) -> bool:
        """Whether nothing passes yet, since one of the three has lacked."""
        return now < self._shut_until

    def take(self, messages: int, size: int, recipients: int, now: MonoMs) -> int:
        """Take all three and return 0; or take nothing and return the ms after which they can first be taken."""
        if now < self._shut_until:
            return self._shut_until - now
        one, two, three = self._buckets
        if one.wait_ms(messages, now) or two.wait_ms(size, now) or three.wait_ms(recipients, now):
            costs = zip(self._buckets, (messages, size, recipients), strict=True)
            lacking = [(bucket, cost) for bucket, cost in costs if bucket.wait_ms(cost, now)]
            wait = max(bucket.wait_ms(max(cost, bucket.burst // 2), now) for bucket, cost in lacking)
            self._shut_until = MonoMs(now + wait)
            return wait
        one.spend(messages)
        two.spend(size)
        three.spend(recipients)
        return 0


class Bucket:
    """So many a second, and as many at once as were not used before, up to `burst`; full at first."""

    __slots__ = ("_at", "_level", "_rate", "burst")

    def __init__(self, rate_per_s: int, burst: int) -> None:
        self.burst = burst
        self._rate = rate_per_s  # a second's worth is as many thousandths a millisecond
        self._level = burst * 1_000
        self._at = MonoMs(0)

    def wait_ms(self, amount: int, now: MonoMs) -> int:
        """Return the ms after which `amount` is there, 0 when it is; it must not be more than `burst`."""
        if now != self._at:
            self._level = min(self.burst * 1_000, self._level + self._rate * (now - self._at))
            self._at = now
        lack = amount * 1_000 - self._level
        return 0 if lack <= 0 else -(-lack // self._rate)

    def spend(self, amount: int) -> None:
        """Take out what is there."""
        self._level -= amount * 1_000

    def add(self, amount: int) -> None:
        """Put in more than time does."""
        self._level = min(self.burst * 1_000, self._level + amount * 1_000)


class _Box:
    """What waits for one place; rows are limited for members alone."""

    __slots__ = ("_rows", "bytes")

    def __init__(self, size: Room, rows: Room | None) -> None:
        self.bytes = size
        self._rows = rows

    @property
    def percent(self) -> int:
        return max(self.bytes.percent, 0 if self._rows is None else self._rows.percent)

    def is_full(self, prio: Priority, size: int) -> bool:
        return self.bytes.lacks(prio, size) is not None or (
            self._rows is not None and self._rows.lacks(prio, 1) is not None
        )

    def taken(self, rows: int, size: int) -> None:
        self.bytes.taken(size)
        if self._rows is not None:
            self._rows.taken(rows)

    def freed(self, rows: int, size: int) -> None:
        self.bytes.freed(size)
        if self._rows is not None:
            self._rows.freed(rows)


USUAL: Final = Quotas()
PARCEL_BYTES_MAX: Final = HEADER_BYTES_MAX + BODY_BYTES_MAX + 100 * RECIPIENTS_MAX
