"""Choose the next place of an envelope. docs/protocol.md 9.6.

A member that is home here has its mailbox here. Any other goes to the first of its homes that can be
reached, or waits for the first one.
"""

from __future__ import annotations

from collections.abc import Container

from i247_hub.records import Hop
from i247_keys.roster import Directory
from i247_protocol.names import HubName, MemberCode


def next_hop(directory: Directory, me: HubName, member: MemberCode, reachable: Container[HubName]) -> Hop | None:
    """Return where an envelope for `member` goes from here; None when the roster gives it no home."""
    row = directory.member(member)
    if row is None or not row.homes:
        return None
    if me in row.homes:
        return Hop(member=member, hub=None)
    homes = [HubName(home) for home in row.homes]
    return Hop(member=None, hub=next((home for home in homes if home in reachable), homes[0]))
