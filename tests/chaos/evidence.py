"""Read what lies on the disks when all has stopped, and say which promise is broken. Reads tables by SQL alone.

The rules are those of the simulator's checkers (docs/simulation.md 6), which look into machines at work and so cannot
look at files: NothingLost, OnlyOnce, EveryQuestionEnds, ComesToRest, NothingLeaks, TrueWords, TrailHolds. Marks and
bounds are taken from there.
"""

from __future__ import annotations

import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from i247_node.records import ConversationState, DeliveryState
from i247_node.tables import CONVERSATION_NUMBER, CONVERSATION_STATES, DELIVERY_STATES
from i247_protocol.audit import verify_chain
from i247_protocol.digests import evidence_id
from i247_protocol.errors import PeerFault
from i247_protocol.names import EvidenceId
from i247_protocol.reasons import Reason
from i247_protocol.statement import Act
from i247_simulations.checkers.truth import NEEDLES


@dataclass(frozen=True)
class Said:
    """A message in an outbox, by recipient: how it stands, and each end that it ever came to."""

    sid: bytes
    id: bytes
    act: str
    states: dict[str, DeliveryState]
    reasons: dict[str, str]
    ends: dict[str, list[DeliveryState]]


@dataclass(frozen=True)
class Heard:
    """A message in an inbox."""

    sid: bytes
    id: bytes
    sender: str
    act: str
    is_genuine: bool


@dataclass(frozen=True)
class Book:
    """All that a node's database says."""

    said: dict[bytes, Said]
    """By message id."""
    heard: list[Heard]
    questions: Counter[ConversationState]
    audit: list[bytes]


def read_book(path: Path) -> Book:
    """Read a node's database."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        ask = database.execute
        states: dict[int, dict[str, DeliveryState]] = defaultdict(dict)
        reasons: dict[int, dict[str, str]] = defaultdict(dict)
        for n, recipient, state, reason in ask("SELECT n, recipient, state, reason FROM deliveries"):
            states[n][recipient] = DELIVERY_STATES[state]
            reasons[n][recipient] = reason or ""
        ends: dict[int, dict[str, list[DeliveryState]]] = defaultdict(lambda: defaultdict(list))
        for n, recipient, state in ask("SELECT n, recipient, state FROM delivery_history ORDER BY n, step"):
            if DELIVERY_STATES[state] in ENDED:
                ends[n][recipient].append(DELIVERY_STATES[state])
        return Book(
            said={
                message: Said(sid, message, act, states[n], reasons[n], ends[n])
                for n, sid, message, act in ask("SELECT n, sid, id, act FROM outgoing")
            },
            heard=[
                Heard(sid, message, sender, act, evidence_id(statement, signature) == EvidenceId(sid))
                for sid, message, sender, act, statement, signature in ask(ENTRIES)
            ],
            questions=Counter(CONVERSATION_STATES[state] for (state,) in ask("SELECT state FROM conversations")),
            audit=[data for (data,) in ask("SELECT data FROM audit ORDER BY n")],
        )


def judge(books: Mapping[str, Book], accepted: Iterable[tuple[str, str]]) -> Iterator[str]:
    """Yield what is wrong with what the nodes hold; `accepted` is what their users were told, by node and id."""
    for name, message in accepted:
        if bytes.fromhex(message) not in books[name].said:
            yield f"P3: {name} accepted message {message}, and does not have it any more"
    has = {name: {one.sid for one in book.heard} for name, book in books.items()}
    signed = {name: {one.sid for one in book.said.values()} for name, book in books.items()}
    for name, book in books.items():
        yield from _judge_said(name, book, has)
        yield from _judge_heard(name, book, signed)
        for state, number in book.questions.items():
            if CONVERSATION_NUMBER[state] < FIRST_END:
                yield f"P5: {name} has {number} questions that are {state.value}"
        try:
            verify_chain(book.audit)
        except PeerFault:
            yield f"P11: the audit trail of {name} is broken"


def leaks(files: Iterable[Path]) -> Iterator[str]:
    """Yield the files in which a marked text stands, in the clear, in base64 or in hexadecimal."""
    for path in files:
        data = path.read_bytes()
        if any(needle in data for needle in NEEDLES):
            yield f"P1: a secret text is in {path.name} of {path.parent.name}"


def _judge_said(name: str, book: Book, has: Mapping[str, set[bytes]]) -> Iterator[str]:
    for one in book.said.values():
        for recipient, state in one.states.items():
            what = f"{name}'s {one.act} {one.id.hex()} to {recipient}"
            if state not in ENDED:
                yield f"P3: {what} is still {state.value}"
            elif state is DeliveryState.DELIVERED and recipient in has and one.sid not in has[recipient]:
                yield f"P3: {what} counts as delivered, and is not there"
            elif state is DeliveryState.REFUSED and one.reasons[recipient] not in REFUSALS:
                yield f"P3: {what} was refused: {one.reasons[recipient]}"
            ends = one.ends[recipient]
            # A receipt that comes after all proves more than a clock or a hub.
            if len(ends) > 1 and (ends[-1] is not DeliveryState.DELIVERED or ends.count(DeliveryState.DELIVERED) > 1):
                yield f"P3: {what} ended as {', then '.join(end.value for end in ends)}"


def _judge_heard(name: str, book: Book, signed: Mapping[str, set[bytes]]) -> Iterator[str]:
    for key, times in Counter((one.sender, one.id) for one in book.heard).items():
        if times > 1:
            yield f"P4: message {key[1].hex()} of {key[0]} is {times} entries at {name}"
    for one in book.heard:
        # Receipts are not kept by who gives them: they are given again when asked for.
        if not one.is_genuine or (one.sid not in signed.get(one.sender, ()) and one.act != Act.RECEIPT):
            yield f"P2: {name} holds a message that {one.sender} did not write: {one.sid.hex()}"


ENDED = frozenset({DeliveryState.DELIVERED, DeliveryState.REFUSED, DeliveryState.EXPIRED})
# What a hub alone, with a wrong clock, says of good mail: docs/chaos.md 5. Nothing else is refused here.
REFUSALS = frozenset({Reason.EXPIRED.value, Reason.LIFETIME_TOO_LONG.value})
FIRST_END = CONVERSATION_NUMBER[ConversationState.ANSWERED]
ENTRIES = """
    SELECT sid, id, sender, act, statement, signature FROM entries JOIN entry_statements USING (n) ORDER BY n
"""
