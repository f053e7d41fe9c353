"""Leave a tamper-evident trace of every act, without personal data. docs/protocol.md 10."""

from __future__ import annotations

from i247_node.records import KeepAudit
from i247_protocol.audit import chain_after
from i247_protocol.machine import Persist
from i247_protocol.names import Now


class Trail:
    """The end of this node's chain of audit records."""

    def __init__(self, last: bytes | None) -> None:
        self._chain = chain_after(last)

    def of(self, what: str, peer: str, sid: bytes, conv: bytes, detail: str, *, now: Now) -> Persist:
        """Return what saves one more record; `detail` is a reason code or an outcome, never a text of a case."""
        data = self._chain.append(what, at=now.wall, peer=peer, sid=sid, conv=conv, detail=detail)
        return Persist(KeepAudit(self._chain.n, now.wall, sid, data))
