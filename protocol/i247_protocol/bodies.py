"""Choose the type of a statement's body by its act, and check it. docs/protocol.md 7."""

from __future__ import annotations

from typing import Final

from i247_protocol import codec
from i247_protocol.correspondence import Correspondence, correspondence_is_sound
from i247_protocol.errors import PeerFault
from i247_protocol.gaps import Account, Missing, account_is_sound, missing_is_sound
from i247_protocol.limits import STATEMENT_BYTES_MAX
from i247_protocol.notices import Notice, notice_is_sound
from i247_protocol.queries import Query, Reply, query_is_sound, reply_is_sound
from i247_protocol.reasons import Reason
from i247_protocol.receipts import Receipt, receipt_is_sound
from i247_protocol.statement import Act, Statement

Body = Query | Reply | Notice | Correspondence | Receipt | Missing | Account


def parse_body(statement: Statement) -> Body:
    """Return the body of `statement`; raise PeerFault with UNKNOWN_BODY when it is not what its act says."""
    try:
        body = codec.decode_as(TYPES[statement.act], statement.body, bytes_max=STATEMENT_BYTES_MAX)
    except PeerFault:
        raise PeerFault(Reason.UNKNOWN_BODY) from None
    if not body_is_sound(body):
        raise PeerFault(Reason.UNKNOWN_BODY)
    return body


def body_is_sound(body: Body) -> bool:
    """Whether `body` keeps within its bounds."""
    match body:
        case Query():
            return query_is_sound(body)
        case Reply():
            return reply_is_sound(body)
        case Notice():
            return notice_is_sound(body)
        case Correspondence():
            return correspondence_is_sound(body)
        case Receipt():
            return receipt_is_sound(body)
        case Missing():
            return missing_is_sound(body)
        case Account():
            return account_is_sound(body)


TYPES: Final[dict[Act, type[Body]]] = {
    Act.QUERY: Query,
    Act.REPLY: Reply,
    Act.NOTICE: Notice,
    Act.DIFFUSION: Notice,
    Act.CORRESPONDENCE: Correspondence,
    Act.RECEIPT: Receipt,
    Act.MISSING: Missing,
    Act.ACCOUNT: Account,
}
