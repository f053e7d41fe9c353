"""Decide who a connection belongs to and what it may do, from the newest roster alone.

The public key that the far end has proved to hold is the only identity; routing ids say nothing. The
question is asked again for every frame, so a key that leaves the roster stops working on live
connections too. docs/protocol.md 9.1.
"""

from __future__ import annotations

from typing import NamedTuple

from i247_keys.roster import Directory, State
from i247_protocol.frames import Role
from i247_protocol.names import HubName, WallMs


class Caller(NamedTuple):
    """Who speaks on a link: a member's code or a hub's name, and whether it may use more than directory frames."""

    role: Role
    name: str
    in_good_standing: bool


def caller_of(directory: Directory, key: bytes, wall: WallMs) -> Caller | None:
    """Return who holds the link key `key`, or None for a stranger."""
    member = directory.member_by_link(key)
    if member is not None:
        state = directory.state_of(member.code, wall)
        if state is State.LEFT:
            return None
        return Caller(Role.MEMBER, member.code, state is State.ACTIVE)
    hub = directory.hub_by_link(key)
    return None if hub is None else Caller(Role.HUB, hub.name, in_good_standing=True)


def admitted_keys(directory: Directory, me: HubName) -> frozenset[bytes]:
    """Return the link keys that may connect: all members that have not left, and the other hubs."""
    members = (row.link for row in directory.members if row.state is not State.LEFT)
    hubs = (row.link for row in directory.hubs if row.name != me)
    return frozenset((*members, *hubs))
