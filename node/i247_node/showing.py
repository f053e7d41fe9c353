"""Turn what the node saved into the forms of the local interface, and say it in words. Decides nothing.

Bodies are read from the saved statements, so what is shown is what was signed. docs/interface.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict

from i247_keys.evidence import VERSION as EVIDENCE_VERSION
from i247_keys.evidence import Evidence, encode_evidence, open_ends
from i247_keys.returned import parse_word
from i247_keys.vouching import parse_proof
from i247_node.commands import ConversationMoved, DeliveryMoved, EntryArrived, NodeStatus
from i247_node.forms import (
    AuditShown,
    ConversationNews,
    CountsShown,
    DeliveryNews,
    DeliveryShown,
    EntryNews,
    EntryShown,
    EvidenceShown,
    LinkShown,
    MessageShown,
    NewsShown,
    NoticeShown,
    QueryShown,
    StatusShown,
    StepShown,
)
from i247_node.forms import Trace as TraceShown
from i247_node.records import Delivery, DeliveryState, Entry, EntryState, KeepConversation, KeepNotice, Signed
from i247_node.views import Counts, Exchange, Proven, Sent, Trace
from i247_protocol import codec
from i247_protocol.audit import RECORD_BYTES_MAX, AuditRecord
from i247_protocol.bodies import parse_body
from i247_protocol.correspondence import Correspondence
from i247_protocol.frames import Bounce, Proof
from i247_protocol.names import expiry_wall
from i247_protocol.notices import Notice
from i247_protocol.queries import Query, Reply
from i247_protocol.statement import parse_statement


def show_query(query: KeepConversation, exchange: Exchange) -> QueryShown:
    """Return where a question of ours stands; raise PeerFault when the saved answer cannot be read."""
    answer = next((entry for entry in exchange.received if entry.n == query.answer), None)
    body = None if answer is None else parse_body(parse_statement(answer.statement))
    deliveries = [one for sent in exchange.sent if sent.message.id == query.query for one in sent.deliveries]
    delivery = deliveries[0] if deliveries else None
    receipt = None if delivery is None else delivery.receipt
    return QueryShown(
        id=query.query.hex(),
        conversation=query.conv.hex(),
        to=query.to,
        register=query.register,
        asked=query.asked,
        reply_by=query.reply_by,
        state=query.state.value,
        reply=body if isinstance(body, Reply) else None,
        entry=query.answer,
        receipt=None if receipt is None else receipt.hex(),
        reason=None if delivery is None else delivery.reason,
    )


def show_entry(entry: Entry) -> EntryShown:
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
        again=entry.state is EntryState.OFFERED,
        purpose=statement.basis,
        handling=statement.handling,
        query=body if isinstance(body, Query) else None,
        reply=body if isinstance(body, Reply) else None,
        notice=body if isinstance(body, Notice) else None,
        letter=body if isinstance(body, Correspondence) else None,
    )


def show_message(sent: Sent) -> MessageShown:
    """Return a message of ours and where it stands."""
    message = sent.message
    return MessageShown(
        n=message.n,
        id=message.id.hex(),
        sid=message.sid.hex(),
        act=message.act.value,
        conversation=message.conv.hex(),
        priority=message.prio.name.lower(),
        created=message.created,
        expires=expiry_wall(message.exp),
        deliveries=tuple(map(_delivery, sent.deliveries)),
    )


def show_trace(message: bytes, known: Trace) -> TraceShown:
    """Return what is known of a message, in order of time, and as it was found where times are equal."""
    steps = [
        *_steps_of_sent(known),
        *_steps_on_the_way(known),
        *map(_received, known.entries),
        *(_audited(one.data) for one in known.audit),
    ]
    return TraceShown(id=message.hex(), steps=tuple(sorted(steps, key=lambda step: step.at)))


def answerable(proven: Proven) -> tuple[str, ...]:
    """Return the hubs that signed for a message of ours, and behind which nobody has signed yet."""
    return tuple(sorted({proof.by for proof in open_ends(*_signed(proven.signed))}))


def show_evidence(proven: Proven) -> EvidenceShown:
    """Return the evidence of a message of ours as the file that anybody can judge."""
    proofs, words = _signed(proven.signed)
    evidence = Evidence(
        v=EVIDENCE_VERSION,
        network=proven.network,
        statement=proven.message.statement,
        signature=proven.message.signature,
        proofs=proofs,
        words=words,
        answers=tuple((one.statement, one.signature) for one in proven.answers),
    )
    return EvidenceShown(id=proven.message.id.hex(), file=encode_evidence(evidence), answerable=answerable(proven))


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


def show_status(status: NodeStatus, counts: Counts) -> StatusShown:
    """Return how the node stands."""
    return StatusShown(
        member=status.member,
        health=status.health,
        roster=status.roster,
        roster_expires=status.roster_expires,
        pulse_expires=status.pulse_expires,
        links=tuple(
            LinkShown(hub=one.hub, lane=one.lane, open=one.open, clock_offset_ms=one.clock_offset_ms)
            for one in status.links
        ),
        cards=status.cards,
        card_version=status.card_version,
        members=status.members,
        waiting=status.waiting,
        open_conversations=status.open_conversations,
        missing=status.missing,
        counts=CountsShown(**asdict(counts)),
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
            return DeliveryNews(id=news.id.hex(), recipient=news.recipient, state=news.state.value, reason=news.reason)


def _steps_of_sent(known: Trace) -> Iterator[StepShown]:
    if known.sent is None:
        return
    message = known.sent.message
    yield StepShown(at=message.created, what=DeliveryState.QUEUED, peer=" ".join(message.to), detail=message.act.value)
    for change in known.changes:
        detail = ", ".join(filter(None, (change.hub and f"by {change.hub}", change.reason)))
        yield StepShown(at=change.at, what=change.state.value, peer=change.recipient, detail=detail)
    for one in known.sent.deliveries:
        if one.receipt is not None:
            yield StepShown(at=one.at, what="receipt", peer=one.recipient, detail=one.receipt.hex())


def _signed(signed: Iterable[tuple[Signed, bytes]]) -> tuple[tuple[Proof, ...], tuple[Bounce, ...]]:
    proofs, words = [], []
    for kind, data in signed:
        if kind is Signed.CUSTODY:
            proofs.append(parse_proof(data))
        else:
            words.append(parse_word(data))
    return tuple(proofs), tuple(words)


def _steps_on_the_way(known: Trace) -> Iterator[StepShown]:
    """Show who signed for a message, and what hubs said of its return; by their clocks."""
    proofs, words = _signed(known.signed)
    for proof in proofs:
        yield StepShown(at=proof.voucher.at, what="custody", peer=proof.recipient, detail=_signed_by(proof))
    for word in words:
        yield StepShown(at=word.at, what="returned", peer=word.recipient, detail=_word_of(word))


def _signed_by(proof: Proof) -> str:
    return f"signed by {proof.by}, envelope {proof.envelope.hex()}"


def _word_of(word: Bounce) -> str:
    return f"{word.reason}, signed by {word.hub}, envelope {word.envelope.hex()}"


def _received(entry: Entry) -> StepShown:
    return StepShown(at=entry.received, what="received", peer=entry.sender, detail=f"{entry.act}, {entry.state}")


def _audited(data: bytes) -> StepShown:
    record = show_audit(data)
    return StepShown(at=record.at, what=f"audited: {record.what}", peer=record.peer, detail=record.detail)


def _delivery(delivery: Delivery) -> DeliveryShown:
    return DeliveryShown(
        recipient=delivery.recipient,
        state=delivery.state.value,
        at=delivery.at,
        hub=delivery.hub,
        reason=delivery.reason,
        receipt=None if delivery.receipt is None else delivery.receipt.hex(),
    )
