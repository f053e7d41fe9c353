"""Ask, publish, write and read through the client, over real nodes and a real hub."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from tests.node.network import ZONE, Network, wait_until

from i247_node import calls
from i247_node.client import (
    AsyncBureau,
    Bureau,
    BureauError,
    Busy,
    Colour,
    Declined,
    Event,
    Incomprehensible,
    Malformed,
    NotFound,
    Notice,
    NotPermitted,
    NotRunning,
    Outcome,
    Person,
    Purpose,
    TravelDocument,
    Unsure,
    Urgency,
)
from i247_node.client.transport import told
from i247_node.forms import ConversationNews, DeliveryNews, EntryNews, EntryShown
from i247_protocol.audit import verify_chain

# httpcore leaves a Unix socket that it could not connect to the garbage collector.
pytestmark = pytest.mark.filterwarnings(
    "ignore:.*unclosed:ResourceWarning", "ignore:.*socket.socket:pytest.PytestUnraisableExceptionWarning"
)

DOCUMENT = TravelDocument.from_mrz(ZONE)
UNKNOWN = TravelDocument(country="UTO", number="X123", type="P")
WITNESS = Notice(
    colour=Colour.BLUE,
    event=Event.PUBLISHED,
    number="FR/1",
    text="Where is she?",
    title="Witness",
    valid_until=1_900_000_000_000,
    version=1,
)


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    network = Network(tmp_path_factory.mktemp("net"))
    with network.hub():
        yield network


@pytest.fixture(scope="module")
def paris(network: Network) -> Iterator[Bureau]:
    with network.node("FR") as bureau:
        yield bureau


@pytest.fixture(scope="module")
def singapore(network: Network, paris: Bureau) -> Iterator[Bureau]:
    with network.node("SG") as bureau:
        wait_until(lambda: all(link.open for one in (paris, bureau) for link in one.status().links))
        yield bureau


# --- queries ---


def test_hit_no_hit_refused_and_expired(paris: Bureau, singapore: Bureau) -> None:
    hit = paris.query(DOCUMENT, to="SG", register="sltd", purpose=Purpose.BORDER_CONTROL, within="10s")
    assert hit.outcome is Outcome.HIT
    assert hit.candidates[0].record == "SG-1"
    assert "Confirm" in hit.caution
    assert hit.reason is None
    assert len(bytes.fromhex(hit.state.receipt or "")) == 32
    no_hit = paris.query(UNKNOWN, to="SG", register="sltd", purpose=Purpose.BORDER_CONTROL, within="10s")
    assert (no_hit.outcome, no_hit.candidates) == (Outcome.NO_HIT, ())
    refused = paris.query(DOCUMENT, to="SG", register="closed", purpose=Purpose.BORDER_CONTROL, within="10s")
    assert (refused.outcome, refused.reason) == (Outcome.REFUSED, "policy")
    # XP is in the directory, but its node is off.
    silent = paris.query(DOCUMENT, to="XP", register="sltd", purpose=Purpose.BORDER_CONTROL, within="1s")
    assert (silent.outcome, silent.candidates, silent.caution) == (Outcome.EXPIRED, (), "")


def test_an_answer_may_be_fetched_later(paris: Bureau, singapore: Bureau) -> None:
    asked = paris.ask(DOCUMENT, to="SG", register="sltd", purpose=Purpose.WANTED, within="10s", urgency=Urgency.URGENT)
    assert paris.answer(asked.state.id, wait="10s").outcome is Outcome.HIT
    # It has ended, so there is nothing to wait for.
    assert paris.answer(asked.state.id, wait="1h").outcome is Outcome.HIT
    with pytest.raises(NotFound):
        paris.answer("00" * 16)


def test_many_ask_at_once(network: Network, paris: Bureau, singapore: Bureau) -> None:
    async def all_of_them() -> list[Outcome]:
        async with AsyncBureau.connect(network.root / "FR" / "state" / "node.sock") as bureau:
            asking = [
                bureau.query(DOCUMENT, to="SG", register="sltd", purpose=Purpose.BORDER_CONTROL, within="20s")
                for _ in range(40)
            ]
            return [answer.outcome for answer in await asyncio.gather(*asking)]

    assert asyncio.run(all_of_them()) == [Outcome.HIT] * 40


# --- notices, letters, inbox ---


def test_what_is_published_and_written_is_offered_until_it_is_confirmed(paris: Bureau, singapore: Bureau) -> None:
    notice = paris.publish(WITNESS, purpose=Purpose.INVESTIGATION, to=["SG"], urgency=Urgency.URGENT)
    letter = paris.write(to=["SG"], subject="Today", text="Dear colleagues", purpose=Purpose.INVESTIGATION)
    mine = {notice.id, letter.id}

    def offered() -> dict[str, EntryShown]:
        return {entry.id: entry for entry in singapore.inbox(limit=200).entries if entry.id in mine}

    wait_until(lambda: len(offered()) == 2, "two entries")
    entries = offered()
    assert entries[notice.id].notice == WITNESS
    text = entries[letter.id].letter
    assert text is not None
    assert text.text == "Dear colleagues"
    assert all(entry.again for entry in entries.values())
    assert "Witness" in [one.title for one in singapore.board().notices]
    for entry in entries.values():
        singapore.confirm(entry.n)
    assert offered() == {}
    assert {entry.id for entry in singapore.inbox(limit=200, confirmed=True).entries} >= mine

    def standing() -> set[str]:
        sent = paris.outbox(limit=200).messages
        return {delivery.state for one in sent if one.id == letter.id for delivery in one.deliveries}

    wait_until(lambda: standing() == {"delivered"}, "the receipt")
    steps = [step.what for step in paris.trace(letter.id).steps]
    assert steps[0] in {"queued", "audited: sent"}
    assert {"in-custody", "delivered", "receipt"} <= set(steps)
    answered = singapore.write(
        to=["FR"], subject="Re: Today", text="Thank you", purpose=Purpose.INVESTIGATION, thread=letter.conversation
    )
    assert answered.conversation == letter.conversation


def test_an_entry_is_marked_again_once_it_was_offered(paris: Bureau, singapore: Bureau) -> None:
    letter = paris.write(to=["SG"], subject="Twice", text="...", purpose=Purpose.INVESTIGATION)
    marks: list[bool] = []

    def has_come() -> bool:
        marks.extend(entry.again for entry in singapore.inbox(limit=200).entries if entry.id == letter.id)
        return len(marks) >= 2

    wait_until(has_come, "the letter")
    assert marks[:2] == [False, True]


def write_some(bureau: Bureau, count: int = 7) -> None:
    for n in range(count):
        bureau.write(to=["SG"], subject=f"letter {n}", text="...", purpose=Purpose.ALERT)


def test_pages_join_without_gap(paris: Bureau, singapore: Bureau) -> None:
    write_some(paris)
    whole = [message.n for message in paris.outbox(0, 200).messages]
    assert len(whole) > 5
    paged: list[int] = []
    after: int | None = 0
    while after is not None:
        page = paris.outbox(after, 3)
        paged += [message.n for message in page.messages]
        after = page.next
    assert paged == whole
    assert [message.n for message in paris.outbox(limit=3).messages] == whole[-3:]


def test_the_audit_trail_can_be_verified_from_outside(paris: Bureau, singapore: Bureau) -> None:
    write_some(paris)
    records: list[bytes] = []
    after: int | None = 0
    while after is not None:
        page = paris.audit(after, 3)
        records += [bytes.fromhex(record.data) for record in page.records]
        after = page.next
    assert verify_chain(records).n == len(records) > 5


def test_news_is_streamed(network: Network, paris: Bureau, singapore: Bureau) -> None:
    heard: list[object] = []
    has_begun = threading.Event()

    def listen() -> None:
        with Bureau.connect(network.root / "FR" / "state" / "node.sock") as bureau:
            events = bureau.events()
            has_begun.set()
            for news in events:
                heard.append(news)
                if {ConversationNews, EntryNews, DeliveryNews} <= {type(one) for one in heard}:
                    return

    listening = threading.Thread(target=listen)
    listening.start()
    assert has_begun.wait(5)
    for _ in range(20):
        paris.query(DOCUMENT, to="SG", register="sltd", purpose=Purpose.BORDER_CONTROL, within="10s")
        listening.join(0.1)
        if not listening.is_alive():
            break
    assert not listening.is_alive(), heard


# --- errors ---


@pytest.mark.parametrize(
    ("do", "kind"),
    [
        (lambda b: b.ask(DOCUMENT, to="ZZ", register="r", purpose=Purpose.WANTED, within="5s"), Declined),
        (lambda b: b.ask(DOCUMENT, to="FR", register="r", purpose=Purpose.WANTED, within="5s"), Declined),
        (lambda b: b.ask(DOCUMENT, to="France", register="r", purpose=Purpose.WANTED, within="5s"), Malformed),
        (lambda b: b.ask(DOCUMENT, to="SG", register="r", purpose=Purpose.WANTED, within="8d"), Declined),
        (lambda b: b.ask(Person(born="", family="x" * 300_000, given=""), to="SG", register="r",
                         purpose=Purpose.WANTED, within="5s"), Malformed),
        (lambda b: b.publish(WITNESS, purpose=Purpose.ALERT), Declined),  # only the Secretariat writes to all
        (lambda b: b.confirm(4_711), Declined),
        (lambda b: b.trace("00" * 16), NotFound),
        (lambda b: b.trace("../status"), Malformed),
        (lambda b: b.trace("abc"), Malformed),
    ],
)  # fmt: skip
def test_a_wrong_call_is_told(
    paris: Bureau, singapore: Bureau, do: Callable[[Bureau], object], kind: type[BureauError]
) -> None:
    with pytest.raises(kind) as caught:
        do(paris)
    assert caught.value.hint
    assert not caught.value.retryable


def test_nobody_there(tmp_path: Path) -> None:
    with Bureau.connect(tmp_path / "node.sock") as bureau, pytest.raises(NotRunning) as caught:
        bureau.status()
    assert caught.value.retryable
    assert "i247-node run" in caught.value.hint


def test_left_behind_by_a_killed_daemon(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(tmp_path / "node.sock"))
    with Bureau.connect(tmp_path / "node.sock") as bureau, pytest.raises(NotRunning):
        bureau.status()


def test_no_leave_to_open_the_socket() -> None:
    fault = httpx.ConnectError("...")
    fault.__cause__ = PermissionError(13, "Permission denied")
    error = told(fault, calls.status(), Path("/run/i247/node.sock"))
    assert isinstance(error, NotPermitted)
    assert "group" in error.hint


@contextmanager
def answering(path: Path, answer: bytes) -> Iterator[Bureau]:
    """Answer one request with these bytes, whatever it says, and hang up."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        def serve() -> None:
            one, _ = listener.accept()
            with one:
                one.recv(65_536)
                one.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        with Bureau.connect(path, timeout="200ms") as bureau:
            yield bureau
        thread.join(5)


def response(status: int, body: bytes) -> bytes:
    return b"HTTP/1.1 %d X\r\ncontent-length: %d\r\n\r\n%b" % (status, len(body), body)


PROBLEM = b'{"code":"%b","doing":"x","hint":"y","retryable":%b,"more":1}'


@pytest.mark.parametrize(
    ("answer", "kind", "retryable"),
    [
        (b"", Unsure, False),  # it may have been taken
        (response(503, PROBLEM % (b"busy", b"true")), Busy, True),
        (response(503, PROBLEM % (b"stopping", b"false")), Unsure, False),
        (response(504, PROBLEM % (b"silent", b"false")), Unsure, False),
        (response(500, PROBLEM % (b"of-tomorrow", b"false")), BureauError, False),
        (response(500, b"<html>"), Incomprehensible, False),
        (response(503, b"Service Unavailable"), Busy, True),
        (response(201, b'{"id":1}'), Incomprehensible, False),
    ],
)
def test_what_may_have_been_done_is_not_called_safe(
    tmp_path: Path, answer: bytes, kind: type[BureauError], retryable: bool
) -> None:
    with answering(tmp_path / "s", answer) as bureau, pytest.raises(kind) as caught:
        bureau.write(to=["SG"], subject="s", text="t", purpose=Purpose.ALERT)
    assert type(caught.value) is kind
    assert caught.value.retryable is retryable


def test_a_question_that_changes_nothing_may_be_asked_again(tmp_path: Path) -> None:
    with answering(tmp_path / "s", b"") as bureau, pytest.raises(NotRunning) as caught:
        bureau.status()
    assert caught.value.retryable


def test_an_answer_that_does_not_come(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s"))
        listener.listen()
        with Bureau.connect(tmp_path / "s", timeout="100ms") as bureau:
            with pytest.raises(Busy) as caught:
                bureau.status()
            assert caught.value.code == "timed-out"
            with pytest.raises(Unsure):
                bureau.write(to=["SG"], subject="s", text="t", purpose=Purpose.ALERT)


def test_a_newer_node_may_tell_more(tmp_path: Path) -> None:
    with answering(tmp_path / "s", response(201, b'{"id":"a","sid":"b","conversation":"c","new":1}')) as bureau:
        assert bureau.write(to=["SG"], subject="s", text="t", purpose=Purpose.ALERT).id == "a"


def test_the_loop_has_the_same_words() -> None:
    words = {name for name in vars(Bureau) if not name.startswith("_")}
    assert words == {name for name in vars(AsyncBureau) if not name.startswith("_")}
