"""Let a member, or a hub, say under its own signature what its row should hold.

A request is signed by the identity key that it asks for, so nobody can claim another's key; whether that
key may speak for the member is decided in `justification`. It names what it changes by hash and lives
30 days, so an old wish cannot be granted later. docs/protocol.md 8.5.
"""

from __future__ import annotations

import msgspec

from i247_keys import contexts
from i247_keys.bounds import (
    ENDPOINTS_MAX,
    REQUEST_LIFETIME_MS,
    require,
    require_bytes32,
    require_lifetime,
    require_names,
    require_text,
)
from i247_keys.documents import Document, tally
from i247_keys.roster import MemberRow
from i247_protocol import codec
from i247_protocol.digests import document_hash, key_id
from i247_protocol.limits import DOCUMENT_BYTES_MAX, HOMES_MAX
from i247_protocol.names import HubName, MemberCode, parse_hub, parse_member


class Particulars(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The part of a row that is the member's own affair."""

    names: dict[str, str]
    identity: bytes
    next_identity: bytes
    link: bytes
    homes: tuple[HubName, ...]


class Request(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The payload of a member's request; `previous` is the hash of its present particulars, nil to join; ms."""

    member: MemberCode
    previous: bytes | None
    wanted: Particulars
    iat: int
    exp: int


class HubRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The payload of a hub's request to be listed; times are ms."""

    hub: HubName
    region: str
    identity: bytes
    link: bytes
    endpoints: tuple[str, ...]
    iat: int
    exp: int


def particulars_of(row: MemberRow) -> Particulars:
    """Return what a row holds of the member's own affairs."""
    return Particulars(row.names, row.identity, row.next_identity, row.link, row.homes)


def particulars_hash(row: MemberRow) -> bytes:
    """Return the 32 bytes by which a request names what it changes."""
    return document_hash(codec.encode(particulars_of(row)))


def encode_request(request: Request | HubRequest) -> bytes:
    """Return the payload to sign; raise PeerFault when nobody would take it."""
    if isinstance(request, Request):
        _check(request)
    else:
        _check_hub(request)
    return codec.encode(request)


def parse_request(document: Document) -> Request:
    """Return a member's request; raise PeerFault unless it is signed by the identity key that it asks for."""
    request: Request = codec.decode_as(Request, document.p, bytes_max=DOCUMENT_BYTES_MAX)
    _check(request)
    _require_self_signed(document, request.wanted.identity)
    return request


def parse_hub_request(document: Document) -> HubRequest:
    """Return a hub's request; raise PeerFault unless it is signed by the identity key that it asks for."""
    request: HubRequest = codec.decode_as(HubRequest, document.p, bytes_max=DOCUMENT_BYTES_MAX)
    _check_hub(request)
    _require_self_signed(document, request.identity)
    return request


def is_signed_by(document: Document, public: bytes) -> bool:
    """Whether a request carries the signature of `public`."""
    return tally(document, contexts.REQUEST, {key_id(public): public}, 1).reached


def _require_self_signed(document: Document, public: bytes) -> None:
    tally(document, contexts.REQUEST, {key_id(public): public}, 1).require()


def _check(request: Request) -> None:
    parse_member(request.member)
    require_bytes32(request.previous, request.wanted.identity, request.wanted.next_identity, request.wanted.link)
    require_names(request.wanted.names)
    require(len(request.wanted.homes) <= HOMES_MAX and len(set(request.wanted.homes)) == len(request.wanted.homes))
    for home in request.wanted.homes:
        parse_hub(home)
    require_lifetime(request.iat, request.exp, REQUEST_LIFETIME_MS)


def _check_hub(request: HubRequest) -> None:
    parse_hub(request.hub)
    require_text(request.region)
    require_bytes32(request.identity, request.link)
    require(1 <= len(request.endpoints) <= ENDPOINTS_MAX)
    for endpoint in request.endpoints:
        require_text(endpoint)
    require_lifetime(request.iat, request.exp, REQUEST_LIFETIME_MS)
