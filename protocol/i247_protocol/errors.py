"""Say whose fault a failure is, and by which stable code.

Three kinds of fault, told apart by type so that no caller has to read a message:
the caller's (this program was used wrongly), the peer's (bytes from outside broke a rule; the
reason is also the wire and audit code) and the world's (disk, network, clock).
Texts never contain a value that a peer sent. docs/protocol.md 12 lists the reasons.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from i247_protocol.reasons import Reason


class I247Error(Exception):
    """Root of every error that this project raises on purpose."""


class CallerFault(I247Error):
    """The caller asked for something that cannot be; `hint` says what to do instead."""

    def __init__(self, doing: str, hint: str) -> None:
        super().__init__(doing)
        self.doing = doing
        self.hint = hint


class PeerFault(I247Error):
    """Bytes from outside broke a rule; `reason` is the stable code of the rule."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.value)
        self.reason = reason


class WorldFault(I247Error):
    """Disk, network or machine failed; `hint` says what an administrator can do."""

    def __init__(self, doing: str, hint: str) -> None:
        super().__init__(doing)
        self.doing = doing
        self.hint = hint
