"""Hold the rules that bind the authority itself: whose keys sign the directory, and what only the Assembly may do.

The hash of the first charter is the pin, the one thing that a node is given out of band. Whether a charter
may follow another is decided in `trust`. docs/protocol.md 8.2.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from i247_keys.bounds import CHARTER_KEYS_MAX, require, require_bytes32, require_lifetime
from i247_protocol import codec
from i247_protocol.digests import key_id
from i247_protocol.limits import CHARTER_LIFETIME_MS, DOCUMENT_BYTES_MAX, MEMBERS_MAX, SIGNATURES_MAX
from i247_protocol.names import KeyId


class Kind(StrEnum):
    """What the Assembly can decide."""

    ADMIT = "admit"
    EXPEL = "expel"
    SUSPEND = "suspend"
    REINSTATE = "reinstate"
    REKEY = "rekey"
    CHARTER = "charter"


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one kind of decision needs, as fractions (numerator, denominator).

    `yes` is the part of the yes and no ballots that must be yes; a tie never passes. `quorum` is the part
    of the active members that must have cast a ballot, abstentions among them.
    """

    yes: tuple[int, int]
    quorum: tuple[int, int]


class Charter(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The payload of a charter document; `previous` is nil and `roster` present in the first only, times are ms."""

    version: int
    previous: bytes | None
    roster: bytes | None
    keys: tuple[bytes, ...]
    threshold: int
    rules: dict[Kind, Rule]
    pulse_key: bytes
    witnesses: int
    suite_min: int
    iat: int
    exp: int

    @property
    def entitled(self) -> dict[KeyId, bytes]:
        """The secretariat's keys by their names."""
        return {key_id(public): public for public in self.keys}


def encode_charter(charter: Charter) -> bytes:
    """Return the payload to sign; raise PeerFault when nobody would take it."""
    _check(charter)
    return codec.encode(charter)


def parse_charter(payload: bytes) -> Charter:
    """Return the charter in `payload`; raise PeerFault when it breaks a rule that holds for every charter."""
    charter: Charter = codec.decode_as(Charter, payload, bytes_max=DOCUMENT_BYTES_MAX)
    _check(charter)
    return charter


def _check(charter: Charter) -> None:
    first = charter.version == 1
    require(charter.version >= 1 and (charter.previous is None) is first and (charter.roster is not None) is first)
    require_bytes32(charter.previous, charter.roster, charter.pulse_key, *charter.keys)
    require(len(charter.keys) <= CHARTER_KEYS_MAX)
    # Distinct by name: a key that counts by its name must not hide another.
    require(len(charter.entitled) == len(charter.keys))
    require(1 <= charter.threshold < len(charter.keys))
    # The pulse key lives on a machine that is always on; it must be worth nothing for the directory.
    require(key_id(charter.pulse_key) not in charter.entitled)
    require(charter.rules.keys() == set(Kind))
    for rule in charter.rules.values():
        _check_fraction(rule.yes)
        _check_fraction(rule.quorum)
    require(0 <= charter.witnesses <= SIGNATURES_MAX and charter.suite_min >= 1)
    require_lifetime(charter.iat, charter.exp, CHARTER_LIFETIME_MS)


def _check_fraction(fraction: tuple[int, int]) -> None:
    numerator, denominator = fraction
    require(0 < numerator <= denominator <= MEMBERS_MAX)
