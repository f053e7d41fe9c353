"""Change bytes so that they stay what a reader looks into: canonical values, with canonical values inside them.

A flipped bit in canonical msgpack is refused at the first check nine times in ten, and in a signed document always. So
a value is decoded, changed in one place, and encoded again, through every level of bytes in bytes. Signing and sealing
again is the target's part (`targets`): its input is what lies under the signature.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import Any, Final

from i247_protocol import codec
from i247_protocol.errors import PeerFault


class Mutator:
    """Changes of canonical values; other values come from the seeds."""

    def __init__(self, seeds: Sequence[bytes]) -> None:
        self._parts = [part for seed in seeds for part in _parts(_opened(seed))][:PARTS_MAX] or [None]

    def __call__(self, data: bytes, length_max: int, seed: int, raw: Callable[[bytes, int], bytes]) -> bytes:
        """Return `data` changed in a few places, `length_max` bytes at most; `raw` changes bytes blindly."""
        draw = Random(seed)
        value = _opened(data)
        if value is data or draw.random() < RAW_SHARE:
            return raw(data, length_max)
        for _ in range(draw.choice(CHANGES)):
            value = self._changed(value, draw)
        try:
            changed = codec.encode(_closed(value))
        except (OverflowError, TypeError, ValueError, RecursionError):
            return raw(data, length_max)
        return changed if len(changed) <= length_max else raw(data, length_max)

    def _changed(self, value: Any, draw: Random) -> Any:
        if isinstance(value, _Inside):
            return _Inside(self._changed(value.value, draw))
        if isinstance(value, dict) and value and draw.random() < DESCEND:
            name = draw.choice(list(value))
            return {**value, name: self._changed(value[name], draw)}
        if isinstance(value, list) and value and draw.random() < DESCEND:
            at = draw.randrange(len(value))
            return [*value[:at], self._changed(value[at], draw), *value[at + 1 :]]
        return self._replaced(value, draw)

    def _replaced(self, value: Any, draw: Random) -> Any:
        match value:
            case dict() if value and draw.random() < STRUCTURAL:
                name = draw.choice(list(value))
                rest = {key: one for key, one in value.items() if key != name}
                return draw.choice([rest, {**rest, f"{name}x": value[name]}, {**value, "": draw.choice(self._parts)}])
            case list() if draw.random() < STRUCTURAL:
                at = draw.randrange(len(value) + 1)
                return draw.choice(
                    [
                        value[:at] + value[at + 1 :],
                        [*value[:at], draw.choice([*value, *self._parts]), *value[at:]],
                        [*value[at:], *value[:at]],
                        (value * 5)[:40],
                    ]
                )
            case bool() | None:
                return draw.choice([True, False, None, 0])
            case int() if draw.random() < STRUCTURAL:
                return draw.choice([value + 1, value - 1, -value, value * 2, draw.choice(INTEGERS)])
            case str() if draw.random() < STRUCTURAL:
                return draw.choice([value[:-1], value + value, value.lower(), value.upper(), draw.choice(TEXTS)])
            case bytes() if draw.random() < STRUCTURAL:
                return draw.choice([value[:-1], value + b"\0", bytes(len(value)), _flipped(value, draw), b""])
            case _:
                return draw.choice(
                    [draw.choice(INTEGERS), draw.choice(TEXTS), bytes(draw.choice(LENGTHS)), draw.choice(self._parts)]
                )


def repeated(data: bytes, length_max: int, seed: int, raw: Callable[[bytes, int], bytes]) -> bytes:
    """Return text of which a short piece is repeated, as deep nesting and long names are; or change it blindly."""
    draw = Random(seed)
    if not data or draw.random() > REPEATED_SHARE:
        return raw(data, length_max)
    at = draw.randrange(len(data))
    piece = data[at : at + draw.choice((1, 1, 2, 3, 8))]
    times = min(draw.choice((2, 20, 300, 5_000)), max(1, (length_max - len(data)) // len(piece)))
    return (data[:at] + piece * times + data[at:])[:length_max]


class _Inside:
    """A value that travels as bytes within another one."""

    def __init__(self, value: object) -> None:
        self.value = value


def _opened(data: bytes) -> Any:
    """Return the value in `data`, and in all bytes within it; `data` itself when it is none."""
    try:
        return _unfolded(codec.decode(data, bytes_max=OPENED_BYTES_MAX))
    except PeerFault:
        return data


def _unfolded(value: Any) -> Any:
    match value:
        case dict():
            return {name: _unfolded(one) for name, one in value.items()}
        case list():
            return [_unfolded(one) for one in value]
        case bytes() if len(value) > 1 and isinstance(inside := _opened(value), (dict, list)):
            return _Inside(inside)
        case _:
            return value


def _closed(value: Any) -> Any:
    match value:
        case dict():
            return {name: _closed(one) for name, one in value.items()}
        case list():
            return [_closed(one) for one in value]
        case _Inside():
            return codec.encode(_closed(value.value))
        case _:
            return value


def _parts(value: Any) -> list[Any]:
    match value:
        case dict():
            return [value, *(part for one in value.values() for part in _parts(one))]
        case list():
            return [value, *(part for one in value for part in _parts(one))]
        case _Inside():
            return [value, *_parts(value.value)]
        case _:
            return [value]


def _flipped(value: bytes, draw: Random) -> bytes:
    if not value:
        return b"\0"
    at = draw.randrange(len(value))
    return value[:at] + bytes([value[at] ^ 1 << draw.randrange(8)]) + value[at + 1 :]


RAW_SHARE: Final = 0.2
REPEATED_SHARE: Final = 0.1
DESCEND: Final = 0.9
STRUCTURAL: Final = 0.8
CHANGES: Final = (1, 1, 1, 2, 4)
PARTS_MAX: Final = 2_000
OPENED_BYTES_MAX: Final = 1 << 20
INTEGERS: Final = (0, 1, -1, 2, 127, 128, 250, 65_536, 2**31, 2**53, 2**62, 2**63 - 1, 2**63, 2**64 - 1, -(2**63))
TEXTS: Final = ("", "FR", "fr", "XP", "\0", "é", "\U0001f694", "\u202e", "hub-1", "x" * 300, "member", "urgent")
LENGTHS: Final = (0, 1, 7, 8, 9, 15, 16, 31, 32, 33, 63, 64, 65, 80)
