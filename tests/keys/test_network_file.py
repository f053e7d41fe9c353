"""Follow network files: the stored vectors, what one side gives to another, and how long it takes."""

import json
from time import perf_counter
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.keys.repository import Repository
from tests.vectors import make_directory as vectors

from i247_keys.charter import Kind
from i247_keys.log import parse_network_file
from i247_keys.network_file import extend, replay
from i247_keys.trust import Trust
from i247_protocol import codec
from i247_protocol.errors import PeerFault
from i247_protocol.names import WallMs
from i247_protocol.reasons import Reason

STORED = json.loads(vectors.PATH.read_text(encoding="utf-8"))
CASES = {case["name"]: case for case in STORED["cases"]}


# --- the stored vectors ---


def test_the_stored_vectors_are_what_the_script_makes() -> None:
    assert vectors.PATH.read_text(encoding="utf-8") == vectors.text(), "run python -m tests.vectors.make_directory"


def test_every_stored_case_has_a_name_of_its_own() -> None:
    assert len(CASES) == len(STORED["cases"]) > 30


@pytest.mark.parametrize("name", CASES)
def test_a_stored_case_comes_out_as_stated(name: str) -> None:
    case = CASES[name]
    if "reason" in case:
        with pytest.raises(PeerFault) as fault:
            _followed(case)
        assert fault.value.reason == case["reason"]
    else:
        assert vectors.outcome(_followed(case), WallMs(case["wall"])) == case["leads_to"]


def _followed(case: dict[str, Any]) -> Trust:
    holds = None if case["holds"] is None else bytes.fromhex(case["holds"])
    return vectors.followed(bytes.fromhex(case["pin"]), holds, bytes.fromhex(case["file"]), WallMs(case["wall"]))


# --- giving and taking ---


def long_history() -> Repository:
    repo = Repository()
    repo.publish(suspend=("AA",))
    repo.publish(requests=(repo.rotation("BB", "BB", "BB next"),))
    repo.wall = WallMs(repo.wall + 1)
    repo.trust = repo.trust.with_charter(repo.charter_step(repo.terms, repo.secretariat), repo.wall)
    request = repo.join("ZZ")
    repo.publish(requests=(request,), records=(repo.decided(Kind.ADMIT, "ZZ", request.hash),))
    repo.publish(hubs_gone=("hub-2",))
    repo.beat()
    return repo


HISTORY = long_history()


@pytest.mark.parametrize("version", [0, 1, 2, 3, 4, 5])
def test_whoever_holds_any_roster_is_given_what_is_missing(version: int) -> None:
    whole = parse_network_file(HISTORY.trust.to_bytes())
    held = HISTORY.founded()
    for data in whole.steps:
        if held.directory.version >= version:
            break
        held = extend(
            held, codec.encode(msgspec.structs.replace(whole, founding=None, steps=(data,), pulse=None)), HISTORY.wall
        )
    assert held.directory.version == max(version, 1)
    caught_up = extend(held, HISTORY.trust.steps_since(version), HISTORY.wall)
    assert caught_up.to_bytes() == HISTORY.trust.to_bytes()


def test_a_long_history_is_given_in_parts_that_fit() -> None:
    held, parts = HISTORY.founded(), 0
    while held.pulse is None:
        part = HISTORY.trust.steps_since(held.directory.version, bytes_max=1)
        assert len(parse_network_file(part).steps) <= 2
        held = extend(held, part, HISTORY.wall)
        parts += 1
        assert parts < 10, "it does not end"
    assert held.to_bytes() == HISTORY.trust.to_bytes()


def test_nothing_is_given_to_whoever_is_ahead() -> None:
    file = parse_network_file(HISTORY.trust.steps_since(99))
    assert file.founding is None
    assert file.steps == ()


def test_a_next_step_that_was_issued_too_early_is_not_passed_over() -> None:
    repo = Repository()
    early = repo.edited(lambda roster: msgspec.structs.replace(roster, iat=1_000, exp=2_000))
    with pytest.raises(PeerFault, match=Reason.NOT_NEWER):
        extend(repo.trust, repo.file(early), repo.wall)


def test_a_broken_step_leaves_what_was_believed() -> None:
    whole = parse_network_file(HISTORY.trust.to_bytes())
    gap = codec.encode(msgspec.structs.replace(whole, steps=whole.steps[1:]))
    held = HISTORY.founded()
    with pytest.raises(PeerFault, match=Reason.CHAIN_BROKEN):
        extend(held, gap, HISTORY.wall)
    assert held.directory.version == 1


@given(st.integers(0, len(HISTORY.trust.to_bytes()) - 1), st.integers(1, 255))
def test_one_changed_byte_never_leads_elsewhere(at: int, by: int) -> None:
    data = bytearray(HISTORY.trust.to_bytes())
    data[at] ^= by
    try:
        trust = replay(bytes(data), HISTORY.pin, HISTORY.wall)
    except PeerFault:
        return
    # A spare signature or ballot may be spoilt, and a pulse: nothing that is believed has changed.
    assert trust.directory.roster == HISTORY.trust.directory.roster
    assert trust.charter == HISTORY.trust.charter


def test_196_members_are_read_in_a_tenth_of_a_second() -> None:
    letters = "ABCDEFGHIJKLMN"
    repo = Repository([first + second for first in letters for second in letters])
    repo.beat()
    data = repo.trust.to_bytes()
    assert len(repo.trust.directory.members) == 196
    seconds = []
    for _ in range(5):
        start = perf_counter()
        replay(data, repo.pin, repo.wall)
        seconds.append(perf_counter() - start)
    assert min(seconds) < 0.1
