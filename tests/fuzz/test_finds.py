"""Replay what the fuzzer has found, and show that it would find more: that seeds get through, and that faults show.

Needs no fuzzer. A file in `finds/` is named by its target; it failed once and must be judged well now.
"""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest
from tests.fuzz.mutation import Mutator
from tests.fuzz.run import FINDS
from tests.fuzz.target import Find, Target, judge, judge_memory
from tests.fuzz.targets import all_targets

from i247_protocol import codec
from i247_protocol.errors import PeerFault
from i247_protocol.reasons import Reason

KEPT = sorted(path for path in FINDS.iterdir() if path.suffix != ".md")


@pytest.mark.parametrize("path", KEPT, ids=lambda path: path.name)
def test_what_was_found_is_found_no_more(path: Path) -> None:
    judge_memory(all_targets()[path.name.partition(".")[0]], path.read_bytes())


@pytest.mark.parametrize("name", all_targets())
def test_seeds_get_through(name: str) -> None:
    target = all_targets()[name]
    assert any(judge(target, seed) for seed in target.seeds()), "nothing behind the first check is ever tried"


@pytest.mark.parametrize("name", all_targets())
def test_changed_seeds_are_taken_or_refused(name: str) -> None:
    target = all_targets()[name]
    seeds = target.seeds()
    change = Mutator(seeds)
    draw = Random(7)
    for n in range(60):
        data = change(seeds[n % len(seeds)], target.bytes_max, n, lambda data, _: flipped(data, draw))
        judge(target, data)


def flipped(data: bytes, draw: Random) -> bytes:
    changed = bytearray(data or b"\0")
    changed[draw.randrange(len(changed))] ^= 1 << draw.randrange(8)
    return bytes(changed)


# --- what must show ---


def reader(data: bytes) -> bytes:
    """Do what no reader may, by the first byte."""
    match data[:1]:
        case b"v":
            raise ValueError(data)
        case b"o":
            return data + b"\0"
        case b"m":
            return bytes(bytearray(64 * 1024 * 1024)[: len(data)])
        case b"r":
            raise PeerFault(Reason.MALFORMED)
        case _:
            return data


READER = Target("reader", reader, lambda: [b"x"])


def test_a_refusal_is_no_find() -> None:
    assert (judge(READER, b"x"), judge(READER, b"r")) == (True, False)


@pytest.mark.parametrize(("data", "kind"), [(b"v", ValueError), (b"o", Find), (b"m", Find)])
def test_what_no_reader_may_do_is_a_find(data: bytes, kind: type[Exception]) -> None:
    with pytest.raises(kind):
        judge_memory(READER, data)


# --- changes ---


def test_changes_reach_what_lies_in_bytes_within_bytes_and_stay_canonical() -> None:
    inner = {"a": 1, "b": [b"x", "y"]}
    seed = codec.encode({"p": codec.encode(inner), "s": []})
    change = Mutator([seed])
    seen = [change(seed, 4096, n, lambda data, _: data) for n in range(400)]
    values = [codec.decode(one, bytes_max=4096) for one in seen]
    deep = [one["p"] for one in values if isinstance(one, dict) and isinstance(one.get("p"), bytes)]
    assert sum(codec.encode(inner) != one and b"\xa1b" in one for one in deep) > 50
    assert len(set(seen)) > 100


def test_a_change_never_grows_beyond_what_may_be() -> None:
    seed = codec.encode([bytes(900)])
    change = Mutator([seed])
    assert all(len(change(seed, 1_000, n, lambda data, most: data[:most])) <= 1_000 for n in range(200))
