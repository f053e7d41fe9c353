"""Each rule by which the evidence is judged can fail: a sound book is spoiled in one place, and the breach is told."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import apsw
import pytest
from tests.chaos.evidence import Book, judge, leaks, read_book
from tests.store_cases import delivery, digest, entry, message, save

from i247_node.records import (
    ConversationState,
    DeliveryState,
    KeepConversation,
    KeepDelivery,
    KeepEntry,
    KeepOutgoing,
)
from i247_node.store import NodeStore
from i247_node.trail import Trail
from i247_protocol.digests import evidence_id
from i247_protocol.names import MemberCode, MonoMs, Now, WallMs
from i247_simulations.workload import MARK

FR, DE = MemberCode("FR"), MemberCode("DE")
END_AGAIN = """
    INSERT INTO delivery_history SELECT n, step + 1, recipient, 4, at, hub, reason FROM delivery_history
"""
ENTER_AGAIN = """
    INSERT INTO entries SELECT 2, short, sid, id, sender, act, conv, prio, exp, received, state, offered FROM entries;
    INSERT INTO entry_statements SELECT 2, statement, signature FROM entry_statements
"""


@pytest.fixture
def books(tmp_path: Path) -> Path:
    """Write down a query of FR that DE has, with everything that belongs to it."""
    sent = message(1, (DE,))
    sid = evidence_id(sent.statement, sent.signature)
    with closing(NodeStore(str(tmp_path / "FR.db"))) as store:
        store.persist(KeepOutgoing(replace(sent, sid=sid), (delivery(1, DE, DeliveryState.QUEUED),)))
        store.persist(KeepDelivery(delivery(1, DE, DeliveryState.DELIVERED, 1)))
        store.persist(
            KeepConversation(sent.conv, sent.id, DE, "sltd", WallMs(0), WallMs(9_000), ConversationState.ANSWERED, None)
        )
        trail = Trail(None)
        for n in range(3):
            store.persist(trail.of("sent", "DE", digest(n), bytes(16), "", now=Now(MonoMs(0), WallMs(n))).record)
        store.commit()
    with closing(NodeStore(str(tmp_path / "DE.db"))) as store:
        save(
            store,
            (
                KeepEntry(
                    replace(
                        entry(1), sid=sid, id=sent.id, sender=FR, statement=sent.statement, signature=sent.signature
                    )
                ),
            ),
        )
    return tmp_path


def test_a_sound_book_is_sound(books: Path) -> None:
    assert found(books) == []


@pytest.mark.parametrize(
    ("spoiled", "sql", "promise"),
    [
        ("FR", "DELETE FROM outgoing", "P3: FR accepted message"),
        ("FR", "UPDATE deliveries SET state = 1", "P3: FR's query"),
        ("FR", "UPDATE deliveries SET state = 3, reason = 'policy'", "P3: FR's query"),
        ("DE", "DELETE FROM entries", "P3: FR's query"),
        ("FR", END_AGAIN, "P3"),
        ("DE", ENTER_AGAIN, "P4"),
        ("FR", "UPDATE conversations SET state = 0", "P5"),
        ("DE", "UPDATE entry_statements SET statement = x'00'", "P2"),
        ("FR", "UPDATE outgoing SET sid = zeroblob(32)", "P2"),
        ("FR", "DELETE FROM audit WHERE n = 2", "P11"),
    ],
)
def test_each_breach_is_told(books: Path, spoiled: str, sql: str, promise: str) -> None:
    with closing(apsw.Connection(str(books / f"{spoiled}.db"))) as database:
        database.execute(sql)
    assert any(one.startswith(promise) for one in found(books)), found(books)


@pytest.mark.parametrize(
    "spell", [str.encode, lambda text: text.encode().hex().encode(), lambda text: b64encode(text.encode())]
)
def test_a_marked_text_is_found_however_it_is_spelled(spell: Callable[[str], bytes], tmp_path: Path) -> None:
    (tmp_path / "hub.db").write_bytes(b"--" + spell(f"a {MARK} b") + b"--")
    (tmp_path / "hub.log").write_bytes(b"nothing")
    assert len([*leaks(tmp_path.iterdir())]) == 1


def found(folder: Path) -> list[str]:
    books: dict[str, Book] = {name: read_book(folder / f"{name}.db") for name in ("FR", "DE")}
    return list(judge(books, [("FR", message(1).id.hex())]))
