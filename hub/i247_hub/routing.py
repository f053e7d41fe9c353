"""Choose the next place of an envelope. docs/protocol.md 9.6.

A member that is home here has its mailbox here. Any other goes to the first of its homes that is reached. Where none
is, what a member has just put goes by a hub that reaches one; what came from a hub has had its detour. Otherwise it
waits for the first home.
"""

from __future__ import annotations

from i247_hub.neighbours import Ways
from i247_hub.records import Hop
from i247_keys.roster import Directory
from i247_protocol.names import HubName, MemberCode


def next_hop(directory: Directory, me: HubName, member: MemberCode, ways: Ways, hops: int) -> Hop | None:
    """Return where an envelope for `member`, that has passed `hops` hubs, goes; None when the roster gives no home."""
    row = directory.member(member)
    if row is None or not row.homes:
        return None
    if me in row.homes:
        return Hop(member=member, hub=None)
    homes = [HubName(home) for home in row.homes]
    near = (home for home in homes if home in ways.reached)
    round_about = (ways.around(home) for home in homes if hops == 0)
    hub = next(near, None) or next(filter(None, round_about), None) or homes[0]
    return Hop(member=None, hub=hub)
