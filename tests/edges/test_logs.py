"""What a log holds, and what it withholds."""

import json
from pathlib import Path
from typing import Any

import pytest

from i247_edges.logs import TEXT_CHARS_MAX, Form, Level, start_logs, stop_logs, withhold
from i247_protocol.errors import CallerFault, PeerFault, WorldFault
from i247_protocol.reasons import Reason


@pytest.fixture(autouse=True)
def _own_logs() -> Any:
    yield
    stop_logs()


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_events_are_json_lines_in_a_private_file(tmp_path: Path) -> None:
    path = tmp_path / "node.log"
    logger = start_logs("node", form=Form.JSON, level=Level.INFO, file=path)
    logger.debug("unseen")
    logger.info("link up", hub="lyon", count=2)
    (line,) = lines(path)
    assert line.pop("timestamp").endswith("Z")
    assert line == {"event": "link up", "level": "info", "program": "node", "hub": "lyon", "count": 2}
    assert path.stat().st_mode & 0o077 == 0


def test_events_are_added_to_a_log(tmp_path: Path) -> None:
    for _ in range(2):
        start_logs("node", form=Form.JSON, level=Level.DEBUG, file=tmp_path / "log").debug("started")
    assert len(lines(tmp_path / "log")) == 2


def test_the_console_reads_well(capsys: pytest.CaptureFixture[str]) -> None:
    start_logs("hub", form=Form.CONSOLE, level=Level.INFO).warning("link lost", hub="lyon")
    told = capsys.readouterr()
    assert told.out == ""
    assert "link lost" in told.err
    assert "hub=lyon" in told.err
    assert "\x1b" not in told.err


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (b"payload", "<7 bytes withheld>"),
        (bytearray(3), "<3 bytes withheld>"),
        ("x" * (TEXT_CHARS_MAX + 1), f"<{TEXT_CHARS_MAX + 1} characters withheld>"),
        ("a\nb\x1b", "a\ufffdb\ufffd"),
        ([1, b"xy"], [1, "<2 bytes withheld>"]),
        ({"k": {"deep": b"xy"}}, {"k": {"deep": "<2 bytes withheld>"}}),
        ([[[[["deep"]]]]], [[["<list withheld>"]]]),
        (list(range(1000)), "<list withheld>"),
        (object(), "<object withheld>"),
        (Reason.POLICY, "policy"),
        (ValueError("payload"), "ValueError"),
        (Path("/a/b"), "/a/b"),
        (None, None),
    ],
)
def test_no_payload_gets_through(value: object, kept: object) -> None:
    assert withhold(None, "info", {"event": "x", "value": value}) == {"event": "x", "value": kept}


@pytest.mark.parametrize(
    ("fault", "more"),
    [
        (ValueError("a passport number"), {}),
        (PeerFault(Reason.CANNOT_OPEN), {"reason": "cannot-open"}),
        (WorldFault("writing the store", "make room"), {"doing": "writing the store"}),
        (CallerFault("reading x", "y"), {"doing": "reading x"}),
    ],
)
def test_of_an_exception_type_and_place_remain(tmp_path: Path, fault: Exception, more: dict[str, str]) -> None:
    logger = start_logs("node", form=Form.JSON, level=Level.INFO, file=tmp_path / "log")
    try:
        raise fault
    except Exception:
        logger.exception("failed")
    (line,) = lines(tmp_path / "log")
    assert line["at"].startswith("test_logs.py:")
    told = {key: line[key] for key in line if key not in {"at", "timestamp"}}
    assert told == {"event": "failed", "level": "error", "program": "node", "fault": type(fault).__name__, **more}


def test_a_log_that_cannot_be_opened_is_told(tmp_path: Path) -> None:
    with pytest.raises(WorldFault, match="opening the log"):
        start_logs("node", form=Form.JSON, level=Level.INFO, file=tmp_path / "missing" / "log")
