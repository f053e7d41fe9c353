"""Show a directory to people, as lines and as plain values for JSON. Decides nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from i247_keys.roster import Directory, HubRow, MemberRow
from i247_keys.trust import Trust
from i247_protocol.digests import key_id
from i247_protocol.names import WallMs


def summary(trust: Trust, wall: WallMs) -> dict[str, Any]:
    """Return what is believed, keys and hashes in hexadecimal, times in ms."""
    newest = trust.directory.roster
    return {
        "pin": trust.pin.hex(),
        "charter": trust.charter.version,
        "roster": newest.version,
        "roster_hash": trust.roster_hash.hex(),
        "issued": newest.iat,
        "expires": newest.exp,
        "pulse_expires": None if trust.pulse is None else trust.pulse.exp,
        "health": trust.health(wall).value,
        "documents": len(trust.log.leaves),
    }


def summary_lines(trust: Trust, wall: WallMs) -> list[str]:
    """Return the same for reading."""
    newest = trust.directory.roster
    sizes = f"{len(newest.members)} members, {len(newest.hubs)} hubs"
    return [
        f"pin     {trust.pin.hex()}",
        f"roster  {newest.version} under charter {trust.charter.version}, {sizes}",
        f"health  {trust.health(wall)}" + ("" if trust.pulse else " (no pulse yet: `i247-keys ceremony pulse`)"),
    ]


def rows(directory: Directory, wall: WallMs) -> dict[str, dict[str, Any]]:
    """Return members and hubs by name, as plain values."""
    return {
        "members": {row.code: {**_plain(row), "state_now": row.state_at(wall).value} for row in directory.members},
        "hubs": {row.name: _plain(row) for row in directory.hubs},
    }


def member_cells(directory: Directory, wall: WallMs) -> list[tuple[object, ...]]:
    """Return of each member code, state, key id, homes and name."""
    return [(row.code, row.state_at(wall), key_id(row.identity), row.homes, _name(row)) for row in directory.members]


def hub_cells(directory: Directory) -> list[tuple[object, ...]]:
    """Return of each hub name, key id, region and endpoints."""
    return [(row.name, key_id(row.identity), row.region, row.endpoints) for row in directory.hubs]


def changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, dict[str, tuple[Any, Any]]]:
    """Return, for each row that differs, what each of its differing fields was and is."""
    found = {}
    for name in sorted({*old, *new}):
        was, now = old.get(name, {}), new.get(name, {})
        fields = [field for field in {**was, **now} if was.get(field) != now.get(field)]
        if fields:
            found[name] = {field: (was.get(field), now.get(field)) for field in fields}
    return found


def _name(row: MemberRow) -> str:
    return row.names.get("en") or next(iter(row.names.values()))


def _plain(row: MemberRow | HubRow) -> dict[str, Any]:
    plain: dict[str, Any] = _readable(msgspec.to_builtins(row, builtin_types=(bytes,)))
    return plain


def _readable(value: Any) -> Any:  # noqa: ANN401  whatever a row holds
    match value:
        case bytes():
            return value.hex()
        case list() | tuple():
            return [_readable(one) for one in value]
        case dict():
            return {name: _readable(one) for name, one in value.items()}
        case _:
            return value
