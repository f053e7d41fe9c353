"""Read what was measured or logged elsewhere, from CSV: latencies between programs, and a log of messages.

Decides: which columns there are, and that a line that cannot be read is refused with its number. Leaves to others:
reading the file, and whether the names in it exist. docs/simulation.md 4.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Final

from i247_protocol.errors import CallerFault
from i247_protocol.limits import RECIPIENTS_MAX
from i247_simulations.quantities import duration_ms
from i247_simulations.traffic import TEXT_BYTES_MAX, Kind, Line


def read_matrix(text: str, name: str) -> dict[str, dict[str, int]]:
    """Return the one-way latencies in microseconds of a table with `from`, `to` and `rtt_ms` or `one_way_ms`."""
    found: dict[str, dict[str, int]] = {}
    us_in_one = {"rtt_ms": 500, "one_way_ms": 1_000}
    for line, row in _rows(text, name, [["from", "to", unit] for unit in us_in_one]):
        sender, receiver = row["from"], row["to"]
        unit = next(unit for unit in us_in_one if unit in row)
        if receiver in found.setdefault(sender, {}):
            raise _fault(name, line, "this way stands in the table already", "leave one of them out")
        try:
            us = int(us_in_one[unit] * float(row[unit]))
        except (ValueError, OverflowError):
            us = 0
        if not 0 < us <= LATENCY_US_MAX:
            raise _fault(name, line, f"{unit}: no latency", "a number of milliseconds is wanted, a minute at most")
        found[sender][receiver] = us
    return found


def read_log(text: str, name: str, *, begin_ms: int) -> tuple[Line, ...]:
    """Return the messages of a log with the columns instant, from, to, kind and bytes, in order of time.

    An instant is a duration since the run began, or a date and time; of these the first is at `begin_ms`.
    """
    lines = []
    for number, row in _rows(text, name, [LOG_COLUMNS]):
        to = tuple(row["to"].split())
        kind = _kind(row["kind"], name, number)
        if (not to and kind is not Kind.NOTICE) or row["from"] in to or len(set(to)) != len(to):
            raise _fault(name, number, "to: nobody, the sender, or somebody twice", "name others, with spaces between")
        if len(to) > RECIPIENTS_MAX:
            raise _fault(name, number, "to: too many", f"one message goes to {RECIPIENTS_MAX}; write several lines")
        if kind is Kind.QUERY and len(to) > 1:
            raise _fault(name, number, "to: more than one", "a query goes to one member; write a line for each")
        lines.append((number, row["instant"], Line(0, row["from"], to, kind, _bytes(row["bytes"], name, number))))
    instants = _instants([(number, instant) for number, instant, _ in lines], name, begin_ms)
    timed = [
        Line(at_ms, line.sender, line.to, line.kind, line.bytes)
        for at_ms, (_, _, line) in zip(instants, lines, strict=True)
    ]
    return tuple(sorted(timed, key=lambda line: line.at_ms))


def _instants(texts: Sequence[tuple[int, str]], name: str, begin_ms: int) -> Iterator[int]:
    dates = {number: _date(text) for number, text in texts}
    first = min((date for date in dates.values() if date is not None), default=None)
    for number, text in texts:
        date = dates[number]
        if date is not None and first is not None:
            yield begin_ms + round((date - first).total_seconds() * 1_000)
            continue
        try:
            at_ms = duration_ms(text)
        except ValueError:
            hint = "write a duration since the run began, such as 12.5s, or a date such as 2026-03-01T08:15:30Z"
            raise _fault(name, number, "instant: neither", hint) from None
        if at_ms < begin_ms:
            raise _fault(name, number, "instant: before the warm-up is over", f"begin at {begin_ms}ms or later")
        yield at_ms


def _date(text: str) -> datetime | None:
    try:
        date = datetime.fromisoformat(text)
    except ValueError:
        return None
    return date if date.tzinfo is not None else date.replace(tzinfo=UTC)


def _kind(text: str, name: str, line: int) -> Kind:
    try:
        return Kind(text)
    except ValueError:
        raise _fault(name, line, "kind: no kind of message", f"one of {', '.join(Kind)}") from None


def _bytes(text: str, name: str, line: int) -> int:
    if not text:
        return 0
    if not text.isascii() or not text.isdigit() or int(text) > TEXT_BYTES_MAX:
        raise _fault(name, line, "bytes: no size of a text", f"a whole number is wanted, {TEXT_BYTES_MAX} at most")
    return int(text)


def _rows(text: str, name: str, wanted: Sequence[Sequence[str]]) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield each line that is not empty with its number; refuse a table with other columns than wanted."""
    reader = csv.reader(text.splitlines())
    header = [column.strip() for column in next(reader, [])]
    if sorted(header) not in [sorted(columns) for columns in wanted]:
        spelled = ", or ".join(",".join(columns) for columns in wanted)
        raise _fault(name, 1, "other columns than wanted", f"the first line is {spelled}")
    for row in reader:
        if not row:
            continue
        if len(row) != len(header):
            raise _fault(name, reader.line_num, f"{len(row)} columns", f"there are {len(header)}")
        yield reader.line_num, dict(zip(header, (cell.strip() for cell in row), strict=True))


def _fault(name: str, line: int, what: str, hint: str) -> CallerFault:
    return CallerFault(f"reading {name}, line {line}: {what}", hint)


LOG_COLUMNS: Final = ["instant", "from", "to", "kind", "bytes"]
LATENCY_US_MAX: Final = 60_000_000
