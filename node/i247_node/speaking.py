"""Say what the application asks to be said, and the receipts that this node owes.

Everything said is signed here, once, under the directory held now; sealing and carrying are the outbox's.
Nothing is signed with a doubtful clock, under a stale directory, or to members that are not there.
docs/protocol.md 6.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Final

from i247_keys.identity import Identity
from i247_keys.roster import State
from i247_keys.trust import Health
from i247_node.commands import Accepted, AskQuestion, ConfirmEntry, Declined, OfferEntries, PublishNotice, WriteLetter
from i247_node.composing import Draft, sign
from i247_node.conversations import Conversations
from i247_node.desk import Desk
from i247_node.inbox import Inbox
from i247_node.links import Links
from i247_node.outbox import Outbox
from i247_node.receipts import Kind
from i247_node.records import ConversationState, KeepConversation, NodeMemory, Outgoing
from i247_node.trail import Trail
from i247_protocol.bodies import Body, body_is_sound
from i247_protocol.correspondence import Correspondence
from i247_protocol.counters import Counters
from i247_protocol.errors import CallerFault
from i247_protocol.gaps import Account, Missing
from i247_protocol.handling import ROUTINE_HANDLING, Purpose
from i247_protocol.limits import NOTICE_LIFETIME_MS, RECEIPT_LIFETIME_MS, RECIPIENTS_MAX, REPLY_TIME_MS_MAX
from i247_protocol.machine import Effect, Tell
from i247_protocol.names import SECRETARIAT, EvidenceId, MemberCode, MessageId, Now, WallMs
from i247_protocol.priority import Priority
from i247_protocol.queries import Query
from i247_protocol.receipts import Receipt
from i247_protocol.statement import Act

Saying = AskQuestion | PublishNotice | WriteLetter | OfferEntries | ConfirmEntry


class Speaker:
    """This member's voice."""

    def __init__(
        self,
        identity: Identity,
        memory: NodeMemory,
        entropy: Callable[[int], bytes],
        incarnation: int,
        *,
        desk: Desk,
        links: Links,
        outbox: Outbox,
        inbox: Inbox,
        conversations: Conversations,
        trail: Trail,
        counters: Counters,
    ) -> None:
        self._me = desk.me
        self._identity = identity
        self._entropy = entropy
        self._incarnation = incarnation
        self._desk = desk
        self._links = links
        self._outbox = outbox
        self._inbox = inbox
        self._conversations = conversations
        self._trail = trail
        self._counters = counters
        self._last_outgoing, _, _ = memory.last_numbers()
        self._memory = memory
        self._last_numbers: dict[tuple[MemberCode, Priority], int] = {}

    def command(self, command: Saying, now: Now) -> Iterator[Effect]:
        """Carry out what the application asks, or decline it and change nothing."""
        try:
            match command:
                case OfferEntries(token, entries):
                    for entry in entries:
                        yield from self._inbox.offer(entry)
                    yield Tell(Accepted(token, MessageId(b""), EvidenceId(b""), b""))
                case ConfirmEntry(token, entry):
                    yield self._inbox.confirm(entry)
                    yield Tell(Accepted(token, MessageId(b""), EvidenceId(b""), b""))
                case AskQuestion():
                    yield from self._ask(command, now)
                case PublishNotice():
                    yield from self._publish(command, now)
                case WriteLetter():
                    letter = Correspondence(subject=command.subject, text=command.text)
                    draft = Draft(
                        Act.CORRESPONDENCE,
                        command.to,
                        letter,
                        command.prio,
                        NOTICE_LIFETIME_MS,
                        command.purpose,
                        command.handling,
                        conv=command.thread,
                    )
                    yield from self._submit(draft, command.token, now)
        except CallerFault as fault:
            yield Tell(Declined(command.token, fault))

    def reply(self, draft: Draft, now: Now) -> Iterator[Effect]:
        """Send an answer: it is owed whatever the state of this node, so nothing is asked first."""
        self._last_outgoing += 1
        yield from self._outbox.accept(self._sign(draft, self._last_outgoing, now), now)

    def _ask(self, command: AskQuestion, now: Now) -> Iterator[Effect]:
        if not SECOND <= command.within_ms <= REPLY_TIME_MS_MAX:
            raise CallerFault("asking", "give a time for the answer between one second and 24 hours")
        reply_by = WallMs(now.wall + command.within_ms)
        query = Query(criteria=command.criteria, register=command.register, reply_by=reply_by)
        draft = Draft(
            Act.QUERY, (command.to,), query, command.prio, command.within_ms, command.purpose, command.handling
        )
        message = self._signed(draft, now)
        yield from self._conversations.begin(
            KeepConversation(
                conv=message.conv,
                query=message.id,
                to=command.to,
                register=command.register,
                asked=now.wall,
                reply_by=reply_by,
                state=ConversationState.OPEN,
                answer=None,
            ),
            now,
        )
        yield from self._send(message, command.token, now)

    def _publish(self, command: PublishNotice, now: Now) -> Iterator[Effect]:
        act = Act.NOTICE if command.to is None else Act.DIFFUSION
        if act is Act.NOTICE and self._me != SECRETARIAT:
            raise CallerFault(
                "publishing a notice to all", "only the Secretariat does that; send a diffusion to members"
            )
        everybody = (
            row.code
            for row in self._desk.directory.members
            if row.code != self._me and row.state_at(now.wall) is State.ACTIVE
        )
        to = tuple(everybody) if command.to is None else command.to
        draft = Draft(act, to, command.notice, command.prio, NOTICE_LIFETIME_MS, command.purpose, command.handling)
        yield from self._submit(draft, command.token, now)

    def _submit(self, draft: Draft, token: int, now: Now) -> Iterator[Effect]:
        yield from self._send(self._signed(draft, now), token, now)

    def _send(self, message: Outgoing, token: int, now: Now) -> Iterator[Effect]:
        yield self._trail.of(
            "sent",
            message.to[0] if len(message.to) == 1 else "*",
            message.sid,
            message.conv,
            message.act.value,
            now=now,
        )
        yield from self._outbox.accept(message, now)
        yield Tell(Accepted(token, message.id, message.sid, message.conv))
        self._counters.add(f"sent.{message.act.value}")

    def _signed(self, draft: Draft, now: Now) -> Outgoing:
        self._require_fit_to_speak(draft.to, now)
        if not body_is_sound(draft.body):
            raise CallerFault("sending a message", "shorten its texts; docs/protocol.md 11 has the limits")
        if len(draft.to) == 1:
            draft = replace(draft, seq=(self._incarnation, self._next_number(draft.to[0], draft.prio)))
        self._last_outgoing += 1
        return self._sign(draft, self._last_outgoing, now)

    def _next_number(self, to: MemberCode, prio: Priority) -> int:
        last = self._last_numbers.get((to, prio))
        if last is None:
            last = self._memory.last_number(to, prio, self._incarnation)
        self._last_numbers[to, prio] = last + 1
        return last + 1

    def _sign(self, draft: Draft, n: int, now: Now) -> Outgoing:
        directory = (self._desk.directory.version, self._desk.trust.pulse_hash)
        return sign(
            draft, n=n, me=self._me, identity=self._identity, directory=directory, wall=now.wall, entropy=self._entropy
        )

    def _require_fit_to_speak(self, to: Iterable[MemberCode], now: Now) -> None:
        """Refuse to sign with a doubtful clock or a stale directory, and for members that are not there."""
        if self._links.clock_is_doubtful:
            raise CallerFault(
                "sending a message", "set this machine's clock: the hubs' clocks differ by over 5 minutes"
            )
        if self._desk.trust.health(now.wall) is Health.HOLD:
            raise CallerFault("sending a message", "the directory is out of date; fetch a fresh pulse or network file")
        members = tuple(to)
        if not members or self._me in members or len(set(members)) != len(members):
            raise CallerFault("sending a message", "name one or more other members, each once")
        if len(members) > RECIPIENTS_MAX:
            raise CallerFault("sending a message", f"send it to {RECIPIENTS_MAX} members at a time")
        for member in members:
            state = self._desk.directory.state_of(member, now.wall)
            if state is not State.ACTIVE:
                known = "is suspended" if state is State.SUSPENDED else "is not in the directory"
                raise CallerFault(f"sending a message to {member}", f"{member} {known}; see i247-node status")
        if self._desk.directory.state_of(self._me, now.wall) is not State.ACTIVE:
            raise CallerFault("sending a message", "this member is not in good standing, so hubs take nothing from it")

    def give_receipt(self, kind: Kind, sids: tuple[EvidenceId, ...], now: Now) -> Iterator[Effect]:
        """Acknowledge statements of one member; the receipt itself is not saved."""
        yield from self._say_unsaved(
            Act.RECEIPT, kind.member, Receipt(outcome=kind.outcome, reason=kind.reason), now, re=sids
        )
        self._counters.add("receipts.given", len(sids))

    def ask_for(self, member: MemberCode, missing: Missing, now: Now) -> Iterator[Effect]:
        """Ask a member for numbers of it that have not come."""
        if self._may_talk_of_numbers_with(member, now):
            yield from self._say_unsaved(Act.MISSING, member, missing, now)

    def account_to(self, member: MemberCode, account: Account, now: Now) -> Iterator[Effect]:
        """Tell a member what will not come of what it misses."""
        if self._may_talk_of_numbers_with(member, now):
            yield from self._say_unsaved(Act.ACCOUNT, member, account, now)

    def _may_talk_of_numbers_with(self, member: MemberCode, now: Now) -> bool:
        return (
            not self._links.clock_is_doubtful
            and self._desk.trust.health(now.wall) is not Health.HOLD
            and self._desk.directory.state_of(member, now.wall) is State.ACTIVE
        )

    def _say_unsaved(
        self, act: Act, member: MemberCode, body: Body, now: Now, *, re: tuple[EvidenceId, ...] = ()
    ) -> Iterator[Effect]:
        draft = Draft(
            act=act,
            to=(member,),
            body=body,
            prio=Priority.CONTROL,
            lifetime_ms=RECEIPT_LIFETIME_MS,
            basis=Purpose.ADMINISTRATION,
            handling=ROUTINE_HANDLING,
            re=re,
        )
        yield from self._outbox.accept_unsaved(self._sign(draft, 0, now), now)


SECOND: Final = 1_000
