"""What an operator is told of one envelope, and what not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from i247_edges.sqlite import open_database
from i247_hub.records import Ended, Forget, HandedOn, Held, Hold, Hop, Owe, Passed
from i247_hub.store import LAYOUT, HubStore
from i247_hub.tracing import Step, trace
from i247_protocol.errors import CallerFault
from i247_protocol.frames import Bounce
from i247_protocol.names import MINUTE_MS, EnvelopeId, HubName, MemberCode, Minutes, WallMs
from i247_protocol.priority import Priority

BR, SG, ZW = MemberCode("BR"), MemberCode("SG"), MemberCode("ZW")
GIVER = "XG"
EXP = Minutes(29_000_000)
# Two share the first twelve digits; of one the first eight bytes are negative as a signed number.
NEAR, FAR, OTHER = (EnvelopeId(bytes.fromhex(start).ljust(32, b"\7")) for start in ("ab" * 6, "ab" * 6 + "cd", "11"))


def row(seq: int, envelope: EnvelopeId, hop: Hop, *recipients: MemberCode) -> Held:
    return Held(seq, hop, envelope, recipients, Priority.URGENT, EXP, 1, GIVER, b"h", b"b", (), 2)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[HubStore]:
    made = HubStore(str(tmp_path / "hub.db"))
    rows = (row(1, OTHER, Hop(BR, None), BR), row(2, OTHER, Hop(None, HubName("singapore")), SG, ZW))
    made.persist(Hold(rows, WallMs(1_000)))
    made.persist(Hold((row(3, FAR, Hop(BR, None), BR),), WallMs(2_000)))
    made.commit()
    yield made
    made.close()


def test_its_life_is_told_as_it_goes(store: HubStore, tmp_path: Path) -> None:
    path, expires = tmp_path / "hub.db", EXP * MINUTE_MS
    held = Step(OTHER.hex(), "BR", "held", 1_000, expires, place="BR", priority="urgent")
    assert trace(path, OTHER.hex()) == [
        held,
        msgspec.structs.replace(held, recipient="SG", place="singapore"),
        msgspec.structs.replace(held, recipient="ZW", place="singapore"),
    ]
    store.persist(Forget((1,)))
    store.persist(HandedOn("BR", WallMs(3_000), b"vouched", (Passed(OTHER, BR, EXP),)))
    store.persist(Forget((2,)))
    store.persist(HandedOn("singapore", WallMs(4_000), b"vouched", (Passed(OTHER, SG, EXP),)))
    store.persist(Ended(OTHER, ZW, "dead-key", WallMs(5_000), EXP))
    assert [step.what for step in trace(path, OTHER.hex())] == ["held"] * 3, "what is not committed has not happened"
    store.commit()
    assert trace(path, OTHER.hex()) == [
        Step(OTHER.hex(), "BR", "handed-on", 3_000, expires, place="BR", has_proof=True),
        Step(OTHER.hex(), "SG", "handed-on", 4_000, expires, place="singapore", has_proof=True),
        Step(OTHER.hex(), "ZW", "ended", 5_000, expires, reason="dead-key"),
    ]


def test_who_gave_it_is_told_by_nothing(store: HubStore, tmp_path: Path) -> None:
    word = Bounce(OTHER, BR, "dead-key", 1, "lyon", bytes(64))
    store.persist(Owe(GIVER, word, EXP))
    store.commit()
    assert GIVER.encode() not in msgspec.json.encode(trace(tmp_path / "hub.db", OTHER.hex()))


@pytest.mark.parametrize("digits", [OTHER.hex(), OTHER.hex()[:8], OTHER.hex()[:9].upper(), OTHER.hex()[:63]])
def test_its_first_digits_are_enough(store: HubStore, tmp_path: Path, digits: str) -> None:
    assert {step.envelope for step in trace(tmp_path / "hub.db", digits)} == {OTHER.hex()}


def test_digits_that_fit_several_are_too_few(store: HubStore, tmp_path: Path) -> None:
    path = tmp_path / "hub.db"
    assert {step.envelope for step in trace(path, "ab" * 4)} == {FAR.hex()}
    store.persist(Ended(NEAR, BR, "expired", WallMs(1), EXP))
    store.commit()
    with pytest.raises(CallerFault, match="tracing"):
        trace(path, "ab" * 6)
    assert [step.reason for step in trace(path, NEAR.hex()[:13])] == ["expired"]


@pytest.mark.parametrize("digits", ["", "1111111", "11" * 33, "1111111g", "11 11 11 11", OTHER.hex()[:8] + "%"])
def test_what_is_no_id_is_refused(store: HubStore, tmp_path: Path, digits: str) -> None:
    with pytest.raises(CallerFault) as caught:
        trace(tmp_path / "hub.db", digits)
    assert "hexadecimal" in caught.value.hint


def test_what_is_not_known_is_said(store: HubStore, tmp_path: Path) -> None:
    with pytest.raises(CallerFault) as caught:
        trace(tmp_path / "hub.db", "22" * 32)
    assert "nothing is known" in caught.value.hint
    with pytest.raises(CallerFault) as caught:
        trace(tmp_path / "nowhere.db", "22" * 32)
    assert "there is none" in caught.value.hint


def test_a_store_of_the_version_before_is_brought_along(tmp_path: Path) -> None:
    """What it held is counted by giver; when it came was not noted then."""
    path = str(tmp_path / "hub.db")
    before = HubStore(path)
    before.persist(Hold((row(1, OTHER, Hop(BR, None), BR), row(2, OTHER, Hop(SG, None), SG)), WallMs(1_000)))
    before.commit()
    before.close()
    undo = open_database(path, LAYOUT)
    undo.write("ALTER TABLE held DROP COLUMN at")
    undo.write("DROP TABLE given")
    undo.write("PRAGMA user_version = 1")
    undo.commit()
    undo.close()
    after = HubStore(path)
    assert [(one.source, one.size) for one in after.given()] == [(GIVER, 4)]
    after.close()
    assert [step.at for step in trace(Path(path), OTHER.hex())] == [None, None]
