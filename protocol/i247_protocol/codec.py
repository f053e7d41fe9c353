"""Turn values into bytes and back so that each value has one encoding and each encoding one value.

Canonical msgpack: string keys only, sorted by their UTF-8 bytes and unique; integers, strings and lengths
in their shortest form; no floats, no extension types; at most `DEPTH_MAX` levels. Whatever does not
re-encode to the very same bytes is refused, so a signature or a hash covers one meaning. Sizes are
checked before the first byte is read. Two decoders share the work: a typed one for what is right, and a
plain one that finds out what is wrong with the rest. docs/protocol.md 3.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Final, TypeVar, cast

import msgspec

from i247_protocol.errors import PeerFault
from i247_protocol.limits import DEPTH_MAX, EXPLAINED_BYTES_MAX
from i247_protocol.reasons import Reason

T = TypeVar("T")


def encode(value: object) -> bytes:
    """Return the canonical bytes of a struct, or of a value made of dict, list, str, bytes, int, bool and None."""
    return _ENCODER.encode(value)


def decode(data: bytes, *, bytes_max: int) -> Any:  # noqa: ANN401  the shape is the caller's next question
    """Return the value that `data` encodes; raise PeerFault for anything but its one canonical form."""
    if len(data) > bytes_max:
        raise PeerFault(Reason.TOO_LARGE)
    try:
        value = _PLAIN.decode(data)
        _require_canonical(value, DEPTH_MAX)
        same = _ENCODER.encode(value) == data
    except PeerFault:
        raise
    except _DECODER_ERRORS:
        raise PeerFault(Reason.MALFORMED) from None
    if not same:
        raise PeerFault(Reason.NOT_CANONICAL)
    return value


def decode_as(kind: type[T], data: bytes, *, bytes_max: int) -> T:
    """Return `data` as a `kind`; raise PeerFault when it is not canonical or not of that shape."""
    value: T = decode_as_any(kind, data, bytes_max=bytes_max)
    return value


def decode_as_any(kind: Any, data: bytes, *, bytes_max: int) -> Any:  # noqa: ANN401  unions are no `type`
    """Return `data` as one of the kinds of a union; raise PeerFault as `decode_as` does."""
    if len(data) > bytes_max:
        raise PeerFault(Reason.TOO_LARGE)
    try:
        value = _decoder(kind).decode(data)
        # A typed value has no room for what is not canonical, so its own bytes are the one right form.
        if _ENCODER.encode(value) == data:
            return value
    except (*_DECODER_ERRORS, PeerFault):
        pass
    # A plain value may take a hundred times its bytes, so a large one that is wrong is not looked into.
    if len(data) > EXPLAINED_BYTES_MAX:
        raise PeerFault(Reason.MALFORMED)
    return shape(kind, decode(data, bytes_max=bytes_max))


def glance(kind: type[T], data: bytes, *, bytes_max: int) -> T:
    """Return some fields of what is not read yet, passing over all others; raise PeerFault when they are not there."""
    if len(data) > bytes_max:
        raise PeerFault(Reason.TOO_LARGE)
    try:
        value: T = msgspec.msgpack.decode(data, type=kind)
    except (*_DECODER_ERRORS, PeerFault):
        raise PeerFault(Reason.MALFORMED) from None
    return value


def shape(kind: Any, value: object) -> Any:  # noqa: ANN401  unions are no `type`, so the callers annotate
    """Return a decoded value as a `kind`; raise PeerFault when it does not have that shape."""
    try:
        # Without `builtin_types` a base64 text would pass for the bytes that it spells: a second encoding.
        return msgspec.convert(value, kind, builtin_types=(bytes,))
    except (msgspec.ValidationError, PeerFault):
        raise PeerFault(Reason.MALFORMED) from None


@cache
def _decoder(kind: Any) -> msgspec.msgpack.Decoder[Any]:  # noqa: ANN401
    return msgspec.msgpack.Decoder(kind)


def _require_canonical(value: object, depth: int) -> None:
    kind = type(value)
    if kind in _LEAVES:
        return
    if depth == 0:
        raise PeerFault(Reason.MALFORMED)
    if kind is list:
        for item in cast("list[object]", value):
            if type(item) not in _LEAVES:
                _require_canonical(item, depth - 1)
        return
    if kind is not dict:  # a float, a timestamp or another extension type
        raise PeerFault(Reason.MALFORMED)
    before: str | None = None
    for key, item in cast("dict[object, object]", value).items():
        if type(key) is not str:
            raise PeerFault(Reason.MALFORMED)
        # Python orders text by code point, which is the order of its UTF-8 bytes.
        if before is not None and key <= before:
            raise PeerFault(Reason.NOT_CANONICAL)
        before = key
        if type(item) not in _LEAVES:
            _require_canonical(item, depth - 1)


# It neither believes a length that is announced nor goes deeper than the stack, unlike msgpack's own library, in which
# 8 kB of announced lists cost 55 ms.
_PLAIN: Final = msgspec.msgpack.Decoder()
_ENCODER: Final = msgspec.msgpack.Encoder(order="sorted")
_LEAVES: Final = frozenset({int, str, bytes, bool, type(None)})
_DECODER_ERRORS: Final = (ValueError, TypeError, OverflowError, RecursionError, msgspec.DecodeError)
