"""Give every target good input to begin with: from the stored vectors, and from a directory that is made in memory."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Final

from tests.keys.repository import Repository, key
from tests.vectors.make_envelopes import epoch_secret

from i247_keys.charter import Kind
from i247_keys.keycard import EpochKey, sign_keycard
from i247_keys.keyring import Keyring
from i247_protocol import codec
from i247_protocol.bodies import parse_body
from i247_protocol.errors import PeerFault
from i247_protocol.names import MemberCode, WallMs
from i247_protocol.statement import Act, parse_statement

VECTORS: Final = Path(__file__).parents[1] / "vectors"


@cache
def vectors(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((VECTORS / f"{name}.json").read_text(encoding="utf-8"))
    return found


def codec_seeds() -> list[bytes]:
    return [bytes.fromhex(case["data"]) for case in vectors("codec")["cases"]]


def frame_seeds() -> list[bytes]:
    return [bytes.fromhex(case["data"]) for case in vectors("frames")["cases"]]


def statement_seeds() -> list[bytes]:
    return [bytes.fromhex(case["statement"]) for case in vectors("statements")["statements"]]


def body_seeds(*acts: Act) -> list[bytes]:
    found = map(parse_statement, statement_seeds())
    return [one.body for one in found if one.act in acts and _has_body(one)]


def header_seeds() -> list[bytes]:
    return [bytes.fromhex(case["header"]) for case in vectors("envelopes")["cases"]]


def audit_seeds() -> list[bytes]:
    records = [bytes.fromhex(record) for record in vectors("statements")["audit"]["records"]]
    return [codec.encode(records[:count]) for count in range(1, len(records) + 1)]


def network_file_seeds() -> list[bytes]:
    return [bytes.fromhex(case["file"]) for case in vectors("directory")["cases"]] + history().files


def _has_body(statement: Any) -> bool:
    try:
        parse_body(statement)
    except PeerFault:
        return False
    return True


class History:
    """A directory, what was published in it, and the trust of one who has followed so far."""

    def __init__(self) -> None:
        self.repository = made = Repository()
        self.founded = made.trust
        self.files: list[bytes] = [made.file()]
        self.requests = [made.change("AA", homes=()), made.rotation("BB", "BB", "BB next"), made.join("GG")]
        self.hub_requests = [made.hub("hub-3")]
        self.decisions = [made.decided(Kind.SUSPEND, "CC"), made.decided(Kind.ADMIT, "GG", self.requests[2].hash)]
        steps = [made.publish(requests=(self.requests[0],))]
        steps.append(made.publish(records=(made.decided(Kind.SUSPEND, "CC"),)))
        self.files.append(made.file(*steps))
        made.wall = WallMs(made.wall + 1_000)
        made.beat()
        self.files.append(made.trust.to_bytes())
        self.files.append(made.trust.steps_since(2))
        self.next_steps = [*self._next_steps()]

    def _next_steps(self) -> Iterator[bytes]:
        made = self.repository
        yield codec.encode(made.signed(made.draft()))
        yield codec.encode(made.signed(made.draft(suspend=(MemberCode("DD"),))))
        yield codec.encode(made.signed(made.draft(requests=(made.rotation("BB", "BB", "BB next"),))))
        yield codec.encode(made.signed(made.draft(hubs=(made.hub("hub-3"),))))
        yield codec.encode(made.charter_step(made.terms, made.secretariat))


@cache
def history() -> History:
    return History()


@cache
def cards() -> list[bytes]:
    wall = history().repository.wall
    held = [epoch_secret(code).listed for code in ("FR", "XP")]
    keys = [EpochKey(one.kid, one.public, wall, WallMs(wall + 1_000_000)) for one in held]
    return [sign_keycard(MemberCode("AA"), n, wall, keys[:n], key("AA")) for n in (1, 2)]


def keyring() -> Keyring:
    return Keyring([epoch_secret("FR")])
