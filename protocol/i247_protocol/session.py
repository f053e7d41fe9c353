"""Live one connection's life, the same at both ends: greeting, credit both ways, silence.

A session is dialled by one side, which chooses its id, and answered by the other with the same id. A new
session resets the credit of both sides; whoever holds something without custody puts it again. Nothing of
a session is ever saved. Which frames mean what is for the machine that owns it. docs/protocol.md 9.3.
"""

from __future__ import annotations

from enum import Enum, auto

from i247_protocol.frames import Credit, Hello
from i247_protocol.limits import HELLO_RETRY_MS, LINK_IDLE_MS, LINK_SILENT_MS, WINDOW_BYTES, WINDOW_MESSAGES
from i247_protocol.names import MonoMs, Now, SessionId


class Stage(Enum):
    """Where a session stands."""

    GREETING = auto()
    OPEN = auto()


class Session:
    """One connection between two greetings."""

    __slots__ = (
        "_granted_bytes",
        "_granted_messages",
        "_heard",
        "_may_bytes",
        "_may_messages",
        "_said",
        "_spent_bytes",
        "_spent_messages",
        "_took_bytes",
        "_took_messages",
        "dialled",
        "id",
        "stage",
    )

    def __init__(self, session: SessionId, now: Now, *, dialled: bool) -> None:
        self.id = session
        self.dialled = dialled
        self.stage = Stage.GREETING
        self._heard = self._said = now.mono
        self._may_messages = self._may_bytes = 0
        self._spent_messages = self._spent_bytes = 0
        self._granted_messages, self._granted_bytes = WINDOW_MESSAGES, WINDOW_BYTES
        self._took_messages = self._took_bytes = 0

    def opened(self, hello: Hello) -> None:
        """Take the other side's hello: its windows are what this side may use."""
        if self.is_open:  # the same greeting again must not take back credit
            return
        self.stage = Stage.OPEN
        self._may_messages, self._may_bytes = hello.window_messages, hello.window_bytes

    @property
    def is_open(self) -> bool:
        """Whether both sides have greeted."""
        return self.stage is Stage.OPEN

    def may_put(self, size: int) -> bool:
        """Whether credit is left for one more envelope of `size` bytes."""
        return (
            self.stage is Stage.OPEN
            and self._spent_messages < self._may_messages
            and self._spent_bytes + size <= self._may_bytes
        )

    def spend(self, size: int) -> None:
        """Use credit for one envelope."""
        self._spent_messages += 1
        self._spent_bytes += size

    def allow(self, credit: Credit) -> None:
        """Take a new total from the other side; a total never shrinks."""
        self._may_messages = max(self._may_messages, credit.total_messages)
        self._may_bytes = max(self._may_bytes, credit.total_bytes)

    def take(self, size: int) -> bool:
        """Count one envelope that arrived; return whether the other side had credit for it."""
        self._took_messages += 1
        self._took_bytes += size
        return self._took_messages <= self._granted_messages and self._took_bytes <= self._granted_bytes

    def grant(self) -> Credit | None:
        """Return a new total for the other side once half of its window is used."""
        used_half = (
            self._granted_messages - self._took_messages < WINDOW_MESSAGES // 2
            or self._granted_bytes - self._took_bytes < WINDOW_BYTES // 2
        )
        if not used_half:
            return None
        self._granted_messages = self._took_messages + WINDOW_MESSAGES
        self._granted_bytes = self._took_bytes + WINDOW_BYTES
        return self.credit()

    def credit(self) -> Credit:
        """Return the present total, which also serves to break a silence."""
        return Credit(self.id, self._granted_messages, self._granted_bytes)

    def heard(self, now: Now) -> None:
        """Note that the other side is alive."""
        self._heard = now.mono

    def said(self, now: Now) -> None:
        """Note that this side has spoken."""
        self._said = now.mono

    def is_silent(self, now: Now) -> bool:
        """Whether the other side has said nothing for so long that the connection counts as lost."""
        return now.mono >= self._heard + LINK_SILENT_MS

    def is_idle(self, now: Now) -> bool:
        """Whether this side should say something to show that it is alive, or greet again."""
        return now.mono >= self._said + self._patience_ms

    def deadline(self) -> MonoMs:
        """Return when `is_silent` or `is_idle` next becomes true."""
        return MonoMs(min(self._heard + LINK_SILENT_MS, self._said + self._patience_ms))

    @property
    def _patience_ms(self) -> int:
        return LINK_IDLE_MS if self.stage is Stage.OPEN else HELLO_RETRY_MS
