"""Targets: what people lay before a program. Configurations, key files, registers, machine-readable zones, requests."""

from __future__ import annotations

import asyncio
import io
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Any, Final

from nacl import bindings
from tests.fuzz.target import Find, Target
from tests.node.scripted import accepted, status_of

from i247_hub import config as hub_config
from i247_hub.metrics import http_answer
from i247_hub.status import QUESTION, answer_to
from i247_keys.keyfile import LEAST, read_keyfile, read_public, write_keyfile
from i247_node import config as node_config
from i247_node.commands import Command, ReportStatus
from i247_node.engine import Answer, Subscriber
from i247_node.interface.routes import application
from i247_node.interface.switchboard import Switchboard
from i247_node.register_csv import MAY, MUST, read_rows
from i247_node.registers import Kind, Record
from i247_node.store import NodeStore
from i247_node.views import open_views
from i247_protocol import codec
from i247_protocol.errors import CallerFault, PeerFault, WorldFault
from i247_protocol.mrz import expiry_date, parse_mrz, person, travel_document
from i247_protocol.names import HubName, MemberCode, WallMs


def targets() -> Iterator[Target]:
    """Yield them all."""
    usual = (CallerFault, WorldFault)
    yield Target("hub-config", _reader(hub_config.read_config), _hub_configs, usual, is_text=True)
    yield Target("node-config", _reader(node_config.read_config), _node_configs, usual, is_text=True)
    yield Target("keyfile", _keyfile, _keyfiles, usual, bytes_max=4096)
    yield Target("keyfile-inside", _keyfile_inside, _keyfiles_inside, (*usual, PeerFault), bytes_max=2048)
    yield Target("mrz", _mrz, lambda: [zone.encode() for zone in ZONES], (CallerFault,), is_text=True, bytes_max=400)
    for kind in Kind:
        yield Target(f"csv-{kind}", _reader_of_rows(kind), _rows_of(kind), (CallerFault,), is_text=True)
    yield Target("hub-window", _hub_window, lambda: [QUESTION, b"GET /metrics HTTP/1.1\r\n\r\n"], (), is_text=True)
    yield Target("http", _http, lambda: [one.encode() for one in REQUESTS], (), is_text=True)


@cache
def _folder() -> Path:
    folder = tempfile.TemporaryDirectory(prefix="i247-fuzz-")
    _FOLDERS.append(folder)  # until the process ends
    return Path(folder.name)


def _laid(name: str, data: bytes) -> Path:
    path = _folder() / name
    path.touch(0o600)
    path.write_bytes(data)
    return path


def _reader(read: Callable[[Path], object]) -> Callable[[bytes], None]:
    return lambda data: void(read(_laid("config.toml", data)))


def void(_: object) -> None:
    """Nothing is compared."""


def _hub_configs() -> list[bytes]:
    text = hub_config.first_config(
        HubName("lyon"), listen=["tcp://0.0.0.0:7247"], passphrase_file="passphrase", pin="00" * 32
    )
    return [text.encode(), text.replace("# ", "").encode()]


def _node_configs() -> list[bytes]:
    text = node_config.first_config(MemberCode("FR"), passphrase_file="passphrase", pin="00" * 32)
    policy = '\n[policy.registers.sltd]\nopen_to = ["SG"]\nclosed_to = []\npurposes = ["wanted"]\n'
    return [text.encode(), text.replace("# ", "").encode(), (text + policy).encode()]


def _keyfile(data: bytes) -> None:
    read_public(_laid("key", data), use="identity")


@cache
def _good_keyfile() -> bytes:
    path = _folder() / "good.key"
    write_keyfile(path, use="identity", public=bytes(32), secret=bytes(32), passphrase=b"p", cost=LEAST)
    return path.read_bytes()


def _keyfiles() -> list[bytes]:
    return [_good_keyfile()]


def _keyfile_inside(data: bytes) -> None:
    """Read a file whose box was truly made, whatever it holds."""
    outside = codec.decode(_good_keyfile(), bytes_max=4096)
    stretched = bindings.crypto_pwhash_alg(
        32, b"p", outside["salt"], LEAST.ops, LEAST.mem, bindings.crypto_pwhash_ALG_ARGON2ID13
    )
    box = bindings.crypto_secretbox(data, outside["nonce"], stretched)
    read_keyfile(_laid("key", codec.encode({**outside, "box": box})), use="identity", passphrase=b"p")


def _keyfiles_inside() -> list[bytes]:
    return [codec.encode({"public": bytes(32), "secret": bytes(32), "use": "identity"})]


def _mrz(data: bytes) -> None:
    mrz = parse_mrz(data.decode(errors="replace"))
    wall = WallMs(1_800_000_000_000)
    person(mrz, wall)
    expiry_date(mrz, wall)
    travel_document(mrz)


def _reader_of_rows(kind: Kind) -> Callable[[bytes], None]:
    def read(data: bytes) -> None:
        lines = io.StringIO(data.decode(errors="replace"), newline="")
        for row in read_rows(kind, lines):
            if isinstance(row, Record):
                codec.encode(row.fields)

    return read


def _rows_of(kind: Kind) -> Callable[[], Sequence[bytes]]:
    def rows() -> list[bytes]:
        columns = [*MUST[kind], *MAY[kind]]
        row = ",".join(ROW.get(column, "") for column in columns)
        table = ",".join(columns) + "\n" + row + "\n" + row.replace("R1", "R2") + "\n"
        quoted = table.replace("Seize", '"Seize, ""now"""')
        return [table.encode(), quoted.encode(), ("\ufeff" + table.replace("\n", "\r\n")).encode()]

    return rows


def _hub_window(data: bytes) -> None:
    """Ask a hub for its status and its metrics; what is asked wrongly is answered too."""
    if not (answer_to(data, None) and http_answer(data, None)):
        raise Find("no answer")


# --- the local interface ---


class _Desk:
    """An engine that accepts every command at once."""

    def ask(self, command: Command, answered: Callable[[Answer], None]) -> None:
        answered(status_of(0) if isinstance(command, ReportStatus) else accepted(0))

    def follow(self, subscriber: Subscriber) -> Callable[[], None]:
        return lambda: None


@cache
def _interface() -> tuple[asyncio.AbstractEventLoop, Any]:
    path = str(_folder() / "node.db")
    with closing(NodeStore(path)):
        pass
    loop = asyncio.new_event_loop()

    async def built() -> Any:
        return application(Switchboard(_Desk()), open_views(path))

    return loop, loop.run_until_complete(built())


def _http(data: bytes) -> None:
    """Send a request: its first line is method and target, the second a content type, the rest its body."""
    loop, interface = _interface()
    first, _, rest = data.partition(b"\n")
    content_type, _, body = rest.partition(b"\n")
    method, _, target = first.partition(b" ")
    path, _, query = target.partition(b"?")
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method.decode("ascii", "replace").upper(),
        "scheme": "http",
        "path": path.decode(errors="replace"),
        "raw_path": path,
        "query_string": query,
        "root_path": "",
        "headers": [(b"host", b"node"), (b"content-type", content_type)],
        "client": None,
        "server": None,
    }
    incoming = [{"type": "http.request", "body": body, "more_body": False}]
    statuses: list[int] = []

    async def receive() -> dict[str, Any]:
        return incoming.pop(0) if incoming else {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    loop.run_until_complete(interface(scope, receive, send))
    if len(statuses) != 1 or statuses[0] >= 500:
        raise Find(f"a request is answered by {statuses}")


_FOLDERS: list[tempfile.TemporaryDirectory[str]] = []

ZONES: Final = (
    "P<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<<<<<<<<<<\nL898902C36UTO7408122F1204159ZE184226B<<<<<10",
    "I<UTOD231458907<<<<<<<<<<<<<<<\n7408122F1204159UTO<<<<<<<<<<<6\nERIKSSON<<ANNA<MARIA<<<<<<<<<<",
    "I<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<<\nD231458907UTO7408122F1204159<<<<<<<6",
    "V<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<<<<<<<<<<\nL8988901C4XXX4009078F96121096ZE184226B<<<<<<",
    "V<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<<\nL8988901C4XXX4009078F9612109<<<<<<<<",
)
ROW: Final = {
    "country": "UTO",
    "number": "L898902C3",
    "type": "P",
    "owner": "FR",
    "record": "R1",
    "action": "Seize",
    "status": "stolen",
    "vin": "WVWZZZ1JZXW000001",
    "plate": "AB123",
    "family": "Eriksson",
    "given": "Anna",
    "born": "1974-08-12",
    "issued": "2020-01-01",
    "expires": "2030-01-01",
    "reported": "2024-02-29",
}
_QUERY: Final = (
    '{"to":"SG","register":"sltd","criteria":{"kind":"travel-document","country":"UTO","number":"L898902C3","type":"P"},'
    '"purpose":"border-control","within_ms":10000}'
)
_NOTICE: Final = (
    '{"notice":{"colour":"orange","event":"published","number":"1","text":"t","title":"t","valid_until":1,"version":1},'
    '"purpose":"alert","to":["SG"]}'
)
JSON: Final = "application/json"
REQUESTS: Final = (
    f"POST /v1/queries\n{JSON}\n{_QUERY}",
    f"POST /v1/notices\n{JSON}\n{_NOTICE}",
    f'POST /v1/letters\n{JSON}\n{{"to":["SG"],"subject":"s","text":"t","purpose":"alert","thread":"{"ab" * 16}"}}',
    f"GET /v1/queries/{'ab' * 16}?wait=0s\n\n",
    "GET /v1/inbox?after=0&limit=5&all=yes\n\n",
    "POST /v1/inbox/1/confirm\n\n",
    "GET /v1/outbox?open=yes&limit=200\n\n",
    "GET /v1/board\n\n",
    f"GET /v1/messages/{'ab' * 16}\n\n",
    "GET /v1/audit?after=7\n\n",
    "GET /v1/status\n\n",
    "GET /metrics\n\n",
    "GET /v1/events\n\n",
)
