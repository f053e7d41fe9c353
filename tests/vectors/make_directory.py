"""Make directory.json: network files to follow, good and bad, with what must come of each.

Run it as `python -m tests.vectors.make_directory` from the project's root. Every key is fixed, so it writes the same
bytes each time; tests/keys/test_network_file.py holds the file against it. The file is for any implementation of
docs/protocol.md 8; all bytes are in hexadecimal, all times in ms.

    cases     name; pin; wall: the time at which it is judged; holds: the network file that is believed already, or
              null; file: the network file that comes; then either
              leads_to: {charter_hash, roster_hash, roster, log_size, log_root, pulse_hash or null, health,
              states: member -> state at `wall`, keys: member -> [identity keys that are accepted at `wall`]},
              or reason: why the file must be refused
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import msgspec
from tests.keys.repository import Repository, key

from i247_keys import contexts
from i247_keys.charter import Kind
from i247_keys.documents import Document
from i247_keys.network_file import extend, replay
from i247_keys.pulse import log_root
from i247_keys.roster import State
from i247_keys.trust import Trust
from i247_protocol.errors import PeerFault
from i247_protocol.limits import EMERGENCY_MS, EMERGENCY_PAUSE_MS
from i247_protocol.names import DAY_MS, WallMs
from i247_protocol.reasons import Reason

PATH: Final = Path(__file__).with_name("directory.json")
CODES: Final = ("AA", "BB", "XP")


def text() -> str:
    """Return what directory.json must hold."""
    cases = [*_good(), *_bad()]
    about = (__doc__ or "").partition("\n")[0]
    return json.dumps({"about": about, "cases": cases}, indent=1, sort_keys=True) + "\n"


def outcome(trust: Trust, wall: WallMs) -> dict[str, Any]:
    """Return what a case says of the trust that it leads to."""
    rows = trust.directory.members
    return {
        "charter_hash": trust.charter_hash.hex(),
        "roster_hash": trust.roster_hash.hex(),
        "roster": trust.directory.version,
        "log_size": len(trust.log.leaves),
        "log_root": log_root(trust.log.leaves).hex(),
        "pulse_hash": trust.pulse_hash.hex() or None,
        "health": trust.health(wall).value,
        "states": {row.code: row.state_at(wall).value for row in rows},
        "keys": {row.code: [one.hex() for one in trust.directory.verifying_keys(row.code, wall)] for row in rows},
    }


def followed(pin: bytes, holds: bytes | None, file: bytes, wall: WallMs) -> Trust:
    """Return what comes of a case; raise PeerFault where it must be refused."""
    if holds is None:
        return replay(file, pin, wall)
    return extend(replay(holds, pin, wall), file, wall)


def _good() -> Iterator[dict[str, Any]]:
    for make in (_founding, _pulse, _rotation, _theft, _emergency, _lapse, _assembly, _next_charter, _hubs):
        repo = Repository(CODES)
        repo.wall = WallMs(repo.wall + 1_000)
        make(repo)
        yield _taken(make.__name__.strip("_").replace("_", "-"), repo, None, repo.trust.to_bytes())
    repo = Repository(CODES)
    founded = repo.trust.to_bytes()
    repo.publish(hubs_gone=("hub-2",))
    repo.beat()
    yield _taken("what-is-newer", repo, founded, repo.trust.steps_since(1))
    yield _taken("what-is-held-already", repo, repo.trust.to_bytes(), founded)
    yield _taken("the-same-again", repo, repo.trust.to_bytes(), repo.trust.to_bytes())


def _founding(_: Repository) -> None:
    pass


def _pulse(repo: Repository) -> None:
    repo.beat()


def _rotation(repo: Repository) -> None:
    repo.publish(requests=(repo.rotation("AA", "AA", "AA next"),))


def _theft(repo: Repository) -> None:
    repo.publish(requests=(repo.rotation("AA", "AA next"),))


def _emergency(repo: Repository) -> None:
    repo.publish(suspend=("AA",))
    repo.beat()


def _lapse(repo: Repository) -> None:
    repo.publish(suspend=("AA",))
    repo.wall = WallMs(repo.wall + EMERGENCY_MS)
    repo.beat()


def _assembly(repo: Repository) -> None:
    request = repo.join("ZZ")
    expel = repo.decided(Kind.EXPEL, "BB", yes=("AA", "XP"), no=("BB",))
    admit = repo.decided(Kind.ADMIT, "ZZ", request.hash, yes=CODES)
    repo.publish(requests=(request,), records=(expel, admit))


def _next_charter(repo: Repository) -> None:
    fresh = [key(f"fresh {n}") for n in range(3)]
    terms = replace(repo.terms, keys=tuple(one.public for one in fresh))
    repo.trust = repo.trust.with_charter(repo.charter_step(terms, [*repo.secretariat, *fresh]), repo.wall)
    repo.secretariat = fresh
    repo.publish(hubs_gone=("hub-2",))


def _hubs(repo: Repository) -> None:
    repo.publish(hubs=(repo.hub("hub-3"), repo.hub("hub-1", region="Elsewhere")), hubs_gone=("hub-2",))


def _bad() -> Iterator[dict[str, Any]]:
    repo = Repository(CODES)
    repo.publish(suspend=("BB",))
    held = repo.trust.to_bytes()
    for name, reason, file in _bad_foundings():
        yield _refused(name, reason, Repository(CODES), None, file)
    for name, reason, make in STEPS:
        repo = Repository(CODES)
        repo.wall = WallMs(repo.wall + 1_000)
        yield _refused(name, reason, repo, None, make(repo))
    repo = Repository(CODES)
    repo.wall = WallMs(repo.wall + 1_000)
    other = repo.signed(repo.draft(hubs_gone=("hub-2",)))
    yield _refused("fork", Reason.FORKED, repo, held, repo.file(other))
    lonely = msgspec.structs.replace(other, signatures=other.signatures[:1])
    yield _refused("no-fork-without-signatures", Reason.TOO_FEW_SIGNATURES, repo, held, repo.file(lonely))
    yield _refused("another-founding", Reason.WRONG_PIN, repo, held, Repository(("AA", "BB")).trust.to_bytes())


def _bad_foundings() -> Iterator[tuple[str, Reason, bytes]]:
    repo = Repository(CODES)
    yield "trailing-byte", Reason.MALFORMED, repo.file() + b"\0"
    yield "file-of-version-2", Reason.UNKNOWN_VERSION, repo.file(v=2)
    yield "no-founding", Reason.CHAIN_BROKEN, repo.file(founding=None)
    yield "wrong-pin", Reason.WRONG_PIN, Repository(CODES, witnesses=1).file()
    repo.charter = Document(repo.charter.p, repo.charter.s[:1] * 2)
    yield "one-key-signs-the-charter-twice", Reason.TOO_FEW_SIGNATURES, repo.file()
    repo = Repository(CODES)
    repo.roster = repo.sign(Document(repo.roster.p, []), contexts.CHARTER)
    yield "roster-signed-as-a-charter", Reason.TOO_FEW_SIGNATURES, repo.file()


def _stolen_row(repo: Repository) -> bytes:
    return repo.file(repo.with_row("AA", identity=key("thief").public))


def _second_emergency(repo: Repository) -> bytes:
    first = repo.publish(suspend=("AA",))
    repo.wall = WallMs(repo.wall + EMERGENCY_PAUSE_MS - 1)
    return repo.file(first, repo.with_row("AA", state=State.SUSPENDED, since=repo.wall, until=repo.wall + EMERGENCY_MS))


def _emergency_of_four_days(repo: Repository) -> bytes:
    return repo.file(repo.with_row("AA", state=State.SUSPENDED, since=repo.wall, until=repo.wall + 4 * DAY_MS))


def _too_few_ballots(repo: Repository) -> bytes:
    drafted = repo.draft(records=(repo.decided(Kind.EXPEL, "BB", yes=("AA", "XP")),))
    one_ballot = repo.decided(Kind.EXPEL, "BB", yes=("AA",))
    return repo.file(repo.signed(msgspec.structs.replace(drafted, records=(one_ballot,))))


def _gap(repo: Repository) -> bytes:
    repo.publish()
    return repo.file(repo.publish())


def _one_signature(repo: Repository) -> bytes:
    return repo.file(repo.signed(repo.draft(), repo.secretariat[:1]))


def _of_tomorrow(repo: Repository) -> bytes:
    late = repo.wall + DAY_MS
    step = repo.edited(lambda roster: msgspec.structs.replace(roster, iat=late, exp=late + DAY_MS))
    return repo.file(step)


def _of_the_former_charter(repo: Repository) -> bytes:
    before = repo.signed(repo.draft())
    charter = repo.charter_step(repo.terms, repo.secretariat)
    return repo.file(charter, before)


def _charter_without_the_assembly(repo: Repository) -> bytes:
    return repo.file(repo.charter_step(repo.terms, repo.secretariat, repo.decided(Kind.EXPEL, "BB")))


def _pulse_of_another_log(repo: Repository) -> bytes:
    return repo.file(pulse=repo.pulse(log_root=b"\0" * 32))


def _pulse_of_a_stranger(repo: Repository) -> bytes:
    return repo.file(pulse=repo.pulse(signer=key("stranger")))


def _pulse_of_a_newer_roster(repo: Repository) -> bytes:
    repo.publish()
    return repo.file(pulse=repo.pulse())


STEPS: Final[tuple[tuple[str, Reason, Callable[[Repository], bytes]], ...]] = (
    ("row-changed-by-keyholders-alone", Reason.NOT_JUSTIFIED, _stolen_row),
    ("second-emergency-within-30-days", Reason.NOT_JUSTIFIED, _second_emergency),
    ("emergency-of-four-days", Reason.NOT_JUSTIFIED, _emergency_of_four_days),
    ("too-few-ballots", Reason.NOT_JUSTIFIED, _too_few_ballots),
    ("gap", Reason.CHAIN_BROKEN, _gap),
    ("one-signature-of-two", Reason.TOO_FEW_SIGNATURES, _one_signature),
    ("roster-of-tomorrow", Reason.FUTURE_DATED, _of_tomorrow),
    ("roster-of-the-former-charter", Reason.CHAIN_BROKEN, _of_the_former_charter),
    ("charter-without-the-assembly", Reason.NOT_JUSTIFIED, _charter_without_the_assembly),
    ("pulse-of-another-log", Reason.FORKED, _pulse_of_another_log),
    ("pulse-of-a-stranger", Reason.TOO_FEW_SIGNATURES, _pulse_of_a_stranger),
    ("pulse-of-a-newer-roster", Reason.NEWER_ROSTER, _pulse_of_a_newer_roster),
)


def _taken(name: str, repo: Repository, holds: bytes | None, file: bytes) -> dict[str, Any]:
    trust = followed(repo.pin, holds, file, repo.wall)
    return {**_case(name, repo, holds, file), "leads_to": outcome(trust, repo.wall)}


def _refused(name: str, reason: Reason, repo: Repository, holds: bytes | None, file: bytes) -> dict[str, Any]:
    try:
        followed(repo.pin, holds, file, repo.wall)
    except PeerFault as fault:
        if fault.reason is reason:
            return {**_case(name, repo, holds, file), "reason": reason.value}
        raise
    raise AssertionError(name)


def _case(name: str, repo: Repository, holds: bytes | None, file: bytes) -> dict[str, Any]:
    return {
        "name": name,
        "pin": repo.pin.hex(),
        "wall": repo.wall,
        "holds": None if holds is None else holds.hex(),
        "file": file.hex(),
    }


if __name__ == "__main__":
    PATH.write_text(text(), encoding="utf-8")
