"""Turn what the node saved into the forms of the local interface, and say it in words. Decides nothing.

Bodies are read from the saved statements, so what is shown is what was signed. docs/interface.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from i247_node.commands import ConversationMoved, DeliveryMoved, EntryArrived, NodeStatus
from i247_node.forms import (
    AuditShown,
    ConversationNews,
    DeliveryNews,
    DeliveryShown,
    EntryNews,
    EntryShown,
    LinkShown,
    MessageShown,
    NewsShown,
    NoticeShown,
    QueryShown,
    StatusShown,
)
from i247_node.records import Delivery, Entry, KeepConversation, KeepNotice, Outgoing
from i247_protocol import codec
from i247_protocol.audit import RECORD_BYTES_MAX, AuditRecord
from i247_protocol.bodies import parse_body
from i247_protocol.correspondence import Correspondence
from i247_protocol.names import expiry_wall
from i247_protocol.notices import Notice
from i247_protocol.queries import Query, Reply
from i247_protocol.statement import parse_statement


def show_query(conversation: KeepConversation, delivery: Delivery | None, answer: Entry | None) -> QueryShown:
    """Return where a question of ours stands; raise PeerFault when the saved answer cannot be read."""
    body = None if answer is None else parse_body(parse_statement(answer.statement))
    receipt = None if delivery is None else delivery.receipt
    return QueryShown(
        id=conversation.query.hex(),
        conversation=conversation.conv.hex(),
        to=conversation.to,
        register=conversation.register,
        asked=conversation.asked,
        reply_by=conversation.reply_by,
        state=conversation.state.value,
        reply=body if isinstance(body, Reply) else None,
        entry=conversation.answer,
        receipt=None if receipt is None else receipt.hex(),
        reason=None if delivery is None else delivery.reason,
    )


def show_entry(entry: Entry, *, again: bool) -> EntryShown:
    """Return what came from another member; raise PeerFault when what was saved cannot be read."""
    statement = parse_statement(entry.statement)
    body = parse_body(statement)
    return EntryShown(
        n=entry.n,
        id=entry.id.hex(),
        sid=entry.sid.hex(),
        sender=entry.sender,
        act=entry.act.value,
        conversation=entry.conv.hex(),
        priority=entry.prio.name.lower(),
        received=entry.received,
        expires=expiry_wall(entry.exp),
        state=entry.state.value,
        again=again,
        purpose=statement.basis,
        handling=statement.handling,
        query=body if isinstance(body, Query) else None,
        reply=body if isinstance(body, Reply) else None,
        notice=body if isinstance(body, Notice) else None,
        letter=body if isinstance(body, Correspondence) else None,
    )


def show_message(message: Outgoing, deliveries: Iterable[Delivery]) -> MessageShown:
    """Return a message of ours and where it stands."""
    return MessageShown(
        n=message.n,
        id=message.id.hex(),
        sid=message.sid.hex(),
        act=message.act.value,
        conversation=message.conv.hex(),
        priority=message.prio.name.lower(),
        created=message.created,
        expires=expiry_wall(message.exp),
        deliveries=tuple(map(_delivery, deliveries)),
    )


def show_notice(notice: KeepNotice) -> NoticeShown:
    """Return the newest version of a notice."""
    return NoticeShown(
        publisher=notice.publisher,
        number=notice.number,
        version=notice.version,
        colour=notice.colour,
        event=notice.event,
        title=notice.title,
        valid_until=notice.valid_until,
        entry=notice.entry,
    )


def show_audit(data: bytes) -> AuditShown:
    """Return one audit record; raise PeerFault when it cannot be read."""
    record = codec.decode_as(AuditRecord, data, bytes_max=RECORD_BYTES_MAX)
    return AuditShown(
        n=record.n,
        at=record.at,
        what=record.what,
        peer=record.peer,
        detail=record.detail,
        sid=record.sid.hex(),
        conversation=record.conv.hex(),
        data=data.hex(),
    )


def show_status(status: NodeStatus) -> StatusShown:
    """Return how the node stands."""
    return StatusShown(
        member=status.member,
        health=status.health,
        roster=status.roster,
        roster_expires=status.roster_expires,
        pulse_expires=status.pulse_expires,
        links=tuple(LinkShown(hub=l.hub, lane=l.lane, open=l.open, clock_offset_ms=l.clock_offset_ms) for l in status.links),
        cards=status.cards,
        card_version=status.card_version,
        members=status.members,
        waiting=status.waiting,
        open_conversations=status.open_conversations,
        counters=status.counters,
    )


def show_news(news: ConversationMoved | EntryArrived | DeliveryMoved) -> NewsShown:
    """Return one piece of news."""
    match news:
        case ConversationMoved():
            return ConversationNews(
                id=news.query.hex(),
                conversation=news.conv.hex(),
                to=news.to,
                state=news.state.value,
                entry=news.entry,
            )
        case EntryArrived():
            return EntryNews(
                n=news.entry,
                act=news.act.value,
                sender=news.sender,
                priority=news.prio.name.lower(),
                exercise=news.exercise,
            )
        case DeliveryMoved():
            return DeliveryNews(
                id=news.id.hex(), recipient=news.recipient, state=news.state.value, reason=news.reason
            )


def _delivery(delivery: Delivery) -> DeliveryShown:
    return DeliveryShown(
        recipient=delivery.recipient,
        state=delivery.state.value,
        at=delivery.at,
        hub=delivery.hub,
        reason=delivery.reason,
        receipt=None if delivery.receipt is None else delivery.receipt.hex(),
    )
