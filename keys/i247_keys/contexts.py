"""Name the purpose of every signature, so that none can be taken for another. docs/protocol.md 4."""

from __future__ import annotations

from typing import Final

STATEMENT: Final = b"i247/statement/1\0"
KEYCARD: Final = b"i247/keycard/1\0"
CHARTER: Final = b"i247/charter/1\0"
ROSTER: Final = b"i247/roster/1\0"
PULSE: Final = b"i247/pulse/1\0"
DECISION: Final = b"i247/decision/1\0"
BALLOT: Final = b"i247/ballot/1\0"
REQUEST: Final = b"i247/request/1\0"
RETURNED: Final = b"i247/returned/1\0"
CUSTODY: Final = b"i247/custody/1\0"
