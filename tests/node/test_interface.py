"""Hold the local interface against what clients may send, and against an engine that does what the test says."""

from __future__ import annotations

import json
import re
import socket
import stat
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.node.scripted import Journal, QuietSockets, ScriptedNode, status_of

from i247_node.commands import AskQuestion, Declined, DeliveryMoved, PublishNotice, ReportStatus, WriteLetter
from i247_node.engine import Engine
from i247_node.forms import BODY_BYTES_MAX
from i247_node.interface.server import PATH_BYTES_MAX, InterfaceThread
from i247_node.interface.switchboard import NEWS_WAITING_MAX
from i247_node.metrics import exposition
from i247_node.records import DeliveryState
from i247_node.store import NodeStore
from i247_node.views import open_views
from i247_protocol.errors import CallerFault, WorldFault
from i247_protocol.machine import Effect, FrameArrived, LinkId, Tell
from i247_protocol.names import MemberCode, MessageId
from i247_protocol.priority import Priority

QUERY = {
    "to": "SG",
    "register": "sltd",
    "criteria": {"kind": "travel-document", "country": "UTO", "number": "L898902C3", "type": "P"},
    "purpose": "border-control",
    "within_ms": 10_000,
}
NOTICE = {
    "colour": "orange",
    "event": "published",
    "number": "2026/7",
    "text": "Parcels",
    "title": "Bombs",
    "valid_until": 1_900_000_000_000,
    "version": 1,
}
LETTER = {"to": ["SG", "BR"], "subject": "s", "text": "t", "purpose": "alert"}
MOVED = DeliveryMoved(MessageId(bytes(16)), MemberCode("SG"), DeliveryState.DELIVERED, None)


class Served:
    """An interface before an engine in a thread of this process."""

    def __init__(self, root: Path, stack: ExitStack) -> None:
        store = root / "node.db"
        with closing(NodeStore(str(store))):
            pass
        self.path = root / "node.sock"
        self.script: Callable[[object], list[Effect] | None] = lambda event: None
        self.machine = ScriptedNode(self._scripted)
        self.sockets = QuietSockets()
        self.engine = Engine(self.machine, Journal(), self.sockets)
        self.interface = InterfaceThread(self.path, 0o660, self.engine, lambda: open_views(str(store)))
        self.thread = threading.Thread(target=self.engine.run)
        self.thread.start()
        self.http = stack.enter_context(self.client())
        stack.callback(self.stop)

    def _scripted(self, event: object) -> list[Effect] | None:
        return self.script(event)

    def client(self) -> httpx.Client:
        return httpx.Client(transport=httpx.HTTPTransport(uds=str(self.path)), base_url="http://node", timeout=10)

    def post(self, path: str, body: object) -> httpx.Response:
        return self.http.post(path, json=body)

    def stop(self) -> None:
        self.engine.stop()
        self.thread.join(5)
        self.interface.stop()

    def commands(self, kind: type) -> list[Any]:
        return [event for event in self.machine.heard if isinstance(event, kind)]


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with ExitStack() as stack:
        yield Served(tmp_path, stack)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One for all tests that leave it as it was."""
    with ExitStack() as stack:
        yield Served(tmp_path_factory.mktemp("shared"), stack)


def problem(response: httpx.Response, status: int, code: str) -> dict[str, Any]:
    told: dict[str, Any] = response.json()
    assert (response.status_code, told["code"]) == (status, code), told
    assert response.headers["content-type"] == "application/problem+json"
    assert set(told) == {"code", "doing", "hint", "retryable"}
    assert told["doing"]
    assert told["hint"]
    return told


# --- commands ---


def test_forms_become_commands(served: Served) -> None:
    answer = served.post("/v1/letters", {**LETTER, "urgency": "urgent", "thread": "ab" * 16})
    assert answer.status_code == 201
    assert answer.json() == {"id": "07" * 16, "sid": "07" * 32, "conversation": "08" * 16}
    (letter,) = served.commands(WriteLetter)
    assert (letter.to, letter.prio, letter.thread) == (("SG", "BR"), Priority.URGENT, b"\xab" * 16)
    assert served.post("/v1/notices", {"notice": NOTICE, "purpose": "alert"}).status_code == 201
    (notice,) = served.commands(PublishNotice)
    assert (notice.to, notice.notice.number, notice.prio) == (None, "2026/7", Priority.ROUTINE)
    served.post("/v1/queries", QUERY)
    (query,) = served.commands(AskQuestion)
    assert (query.to, query.within_ms, query.handling.exercise) == ("SG", 10_000, False)
    assert served.http.post("/v1/inbox/7/confirm").json() == {"entry": 7}


def without(body: dict[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in body.items() if name != key}


@pytest.mark.parametrize(
    ("path", "body", "told"),
    [
        ("/v1/queries", {**QUERY, "Register": "x"}, "Register"),
        ("/v1/queries", {**QUERY, "criteria": {**QUERY["criteria"], "sex": "F"}}, "criteria"),  # type: ignore[dict-item]
        ("/v1/queries", {**QUERY, "criteria": {"kind": "house"}}, "criteria"),
        ("/v1/queries", without(QUERY, "purpose"), "purpose"),
        ("/v1/queries", {**QUERY, "purpose": "curiosity"}, "purpose"),
        ("/v1/queries", {**QUERY, "within_ms": "10s"}, "within_ms"),
        ("/v1/queries", {**QUERY, "within_ms": 1.5}, "within_ms"),
        ("/v1/queries", {**QUERY, "urgency": "control"}, "urgency"),
        ("/v1/queries", {**QUERY, "to": "Singapore"}, "recipient"),
        ("/v1/queries", {**QUERY, "handling": {"exercise": True}}, "handling"),
        ("/v1/queries", [QUERY], "expected"),
        ("/v1/queries", "SG", "expected"),
        ("/v1/notices", {"notice": without(NOTICE, "title"), "purpose": "alert"}, "notice"),
        ("/v1/notices", {"notice": NOTICE, "purpose": "alert", "to": "SG"}, "to"),
        ("/v1/letters", {**LETTER, "thread": "xyz"}, "thread"),
        ("/v1/letters", {**LETTER, "to": ["SG", "br"]}, "recipient"),
    ],
)
def test_a_form_that_is_wrong_is_refused_with_its_place(shared: Served, path: str, body: object, told: str) -> None:
    assert told in problem(shared.post(path, body), 400, "malformed")["doing"]
    assert shared.machine.heard == []


def test_a_refusal_repeats_no_value(shared: Served) -> None:
    for body in ({**QUERY, "purpose": "MARKED"}, {**QUERY, "to": "MARKED"}, {**QUERY, "within_ms": "MARKED"}):
        assert "MARKED" not in shared.post("/v1/queries", body).text


@pytest.mark.parametrize(
    ("content", "headers", "status", "code"),
    [
        (b"{", {"content-type": "application/json"}, 400, "malformed"),
        (b"\xff\xfe", {"content-type": "application/json"}, 400, "malformed"),
        (b"", {"content-type": "application/json"}, 400, "malformed"),
        (b"[" * 100_000, {"content-type": "application/json"}, 400, "malformed"),
        (json.dumps(QUERY).encode(), {"content-type": "text/plain"}, 415, "not-json"),
        (json.dumps(QUERY).encode(), {}, 415, "not-json"),
        (b" " * (BODY_BYTES_MAX + 1), {"content-type": "application/json"}, 413, "too-large"),
    ],
)
def test_a_body_that_is_none_is_refused(
    shared: Served, content: bytes, headers: dict[str, str], status: int, code: str
) -> None:
    problem(shared.http.post("/v1/queries", content=content, headers=headers), status, code)
    assert shared.machine.heard == []


def test_a_body_without_end_is_cut(shared: Served) -> None:
    def endless() -> Iterator[bytes]:
        for _ in range(1_000):
            yield b" " * 65_536

    try:
        response = shared.http.post("/v1/queries", content=endless(), headers={"content-type": "application/json"})
    except httpx.TransportError:
        return  # it was cut off while it still sent
    problem(response, 413, "too-large")


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/v1/nothing", 404, "not-found"),
        ("GET", "/", 404, "not-found"),
        ("DELETE", "/v1/status", 405, "method-not-allowed"),
        ("GET", "/v1/status?verbose=1", 400, "malformed"),
        ("GET", "/v1/inbox?after=-1", 400, "malformed"),
        ("GET", "/v1/inbox?limit=201", 400, "malformed"),
        ("GET", "/v1/inbox?limit=²", 400, "malformed"),
        ("GET", "/v1/inbox?all=maybe", 400, "malformed"),
        ("GET", "/v1/inbox?after=" + "9" * 5_000, 400, "malformed"),
        ("GET", "/v1/outbox?before=3", 400, "malformed"),
        ("POST", "/v1/inbox/x/confirm", 404, "not-found"),
        ("POST", "/v1/inbox/99999999999999999999/confirm", 400, "malformed"),
        ("GET", "/v1/messages/abc", 400, "malformed"),
        ("GET", f"/v1/messages/{'00' * 16}", 404, "not-found"),
        ("GET", f"/v1/queries/{'00' * 16}", 404, "not-found"),
        ("GET", f"/v1/queries/{'00' * 16}?wait=soon", 400, "malformed"),
    ],
)
def test_a_path_that_is_none_is_refused(shared: Served, method: str, path: str, status: int, code: str) -> None:
    problem(shared.http.request(method, path), status, code)


def test_pages_of_nothing(shared: Served) -> None:
    assert shared.http.get("/v1/inbox").json() == {"entries": [], "next": None}
    assert shared.http.get("/v1/outbox").json() == {"messages": [], "next": None}
    assert shared.http.get("/v1/board").json() == {"notices": []}
    assert shared.http.get("/v1/audit").json() == {"records": [], "next": None}


# --- what the engine says ---


def test_a_decline_is_told(served: Served) -> None:
    fault = CallerFault("sending a message", "name one or more other members")
    served.script = lambda event: [Tell(Declined(event.token, fault))] if isinstance(event, WriteLetter) else None
    told = problem(served.post("/v1/letters", LETTER), 422, "declined")
    assert (told["doing"], told["hint"], told["retryable"]) == (fault.doing, fault.hint, False)


def test_a_defect_is_told_without_what_it_says(served: Served) -> None:
    # A status where an acceptance belongs: something that no client can bring about.
    served.script = lambda event: [Tell(status_of(event.token))] if isinstance(event, WriteLetter) else None
    problem(served.post("/v1/letters", LETTER), 500, "defect")
    assert served.http.get("/v1/status").status_code == 200


def test_what_waits_at_the_end_is_told_that_nothing_is_known(served: Served) -> None:
    served.script = lambda event: [] if isinstance(event, WriteLetter) else None
    answers: list[httpx.Response] = []
    with served.client() as other:
        asking = threading.Thread(target=lambda: answers.append(other.post("/v1/letters", json=LETTER)))
        asking.start()
        while not served.commands(WriteLetter):
            time.sleep(0.01)
        served.engine.stop()
        asking.join(5)
    problem(answers[0], 503, "stopping")
    problem(served.post("/v1/letters", LETTER), 503, "stopping")


def test_status_and_metrics(served: Served) -> None:
    served.script = lambda event: (
        [Tell(status_of(event.token, **{"refused.expired": 3}))] if isinstance(event, ReportStatus) else None
    )
    status = served.http.get("/v1/status").json()
    assert (status["member"], status["health"], status["counts"]["sent"]) == ("FR", "fresh", 0)
    text = served.http.get("/metrics").text
    assert 'i247_node_events_total{event="refused.expired"} 3' in text.splitlines()
    assert 'i247_node_health{health="fresh"} 1' in text.splitlines()
    sample = re.compile(r'(# (HELP|TYPE) i247_node_\w+ .+|i247_node_\w+(\{(\w+="[^"]*",?)+\})? -?[\d.e+]+)')
    assert [line for line in text.splitlines() if not sample.fullmatch(line)] == []


def test_a_label_cannot_break_its_line(tmp_path: Path) -> None:
    with closing(NodeStore(str(tmp_path / "node.db"))) as store:
        text = exposition(status_of(0, **{'a"b\\c\nd': 1}), store.views().counts())
    assert 'i247_node_events_total{event="a\\"b\\\\c\\nd"} 1' in text.splitlines()


# --- news ---


def test_a_client_that_does_not_keep_up_is_cut_off_and_nobody_else(served: Served) -> None:
    served.script = lambda event: [Tell(MOVED)] * 200 if isinstance(event, FrameArrived) else None
    with socket.socket(socket.AF_UNIX) as deaf, served.client() as attentive:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        deaf.connect(str(served.path))
        deaf.sendall(b"GET /v1/events HTTP/1.1\r\nhost: node\r\n\r\n")
        heard = 0
        with attentive.stream("GET", "/v1/events") as stream:
            lines = stream.iter_lines()
            assert next(lines) == ": news from here on"
            time.sleep(0.1)  # until the other one follows as well
            for turn in range(1, 40):
                served.sockets.arrive(FrameArrived(LinkId(b"l"), b"k", b""))
                while heard < turn * 200:
                    heard += next(lines).startswith("data: ")
        assert heard == 39 * 200 > NEWS_WAITING_MAX
        assert served.http.get("/v1/status").status_code == 200
        # What was in the pipe can still be read, and then it ends.
        deaf.settimeout(5)
        read = 0
        while data := deaf.recv(65_536):
            read += data.count(b"data: ")
        assert read < heard


def test_the_stream_ends_with_the_node(served: Served) -> None:
    ended = threading.Event()
    begun = threading.Event()

    def follow() -> None:
        with served.client() as other, other.stream("GET", "/v1/events") as stream:
            try:
                for _ in stream.iter_lines():
                    begun.set()
            except httpx.TransportError:
                pass
            ended.set()

    thread = threading.Thread(target=follow)
    thread.start()
    assert begun.wait(5)
    served.stop()
    assert ended.wait(5)
    thread.join(5)


# --- the socket ---


def test_the_socket_has_its_mode_and_goes_away(served: Served) -> None:
    found = served.path.lstat().st_mode
    assert stat.S_ISSOCK(found)
    assert stat.S_IMODE(found) == 0o660
    served.stop()
    assert not served.path.exists()


def quiet(path: Path) -> InterfaceThread:
    engine = Engine(ScriptedNode(), Journal(), QuietSockets())
    return InterfaceThread(path, 0o600, engine, lambda: open_views(":nowhere:"))


def test_what_a_killed_daemon_left_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "node.sock"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    with ExitStack() as stack:
        served = Served(tmp_path, stack)
        assert served.http.get("/v1/status").status_code == 200


def test_what_is_no_socket_is_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "node.sock"
    path.write_text("precious")
    with pytest.raises(CallerFault, match="something else"):
        quiet(path)
    assert path.read_text() == "precious"


def test_a_path_that_is_too_long_is_told(tmp_path: Path) -> None:
    with pytest.raises(CallerFault, match="too long"):
        quiet(tmp_path / ("x" * PATH_BYTES_MAX))


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(WorldFault, match="listening at"):
        quiet(tmp_path / "no" / "node.sock")


def test_an_interface_that_cannot_read_the_store_says_that_it_is_over(tmp_path: Path) -> None:
    over = threading.Event()
    engine = Engine(ScriptedNode(), Journal(), QuietSockets())
    interface = InterfaceThread(
        tmp_path / "node.sock", 0o600, engine, lambda: open_views(str(tmp_path / "nowhere.db")), over=over.set
    )
    assert over.wait(5)
    interface.stop()
