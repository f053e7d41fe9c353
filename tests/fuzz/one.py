"""Try one target under coverage guidance, in this process: `python -m tests.fuzz.one NAME FOLDER SECONDS INPUTS`.

FOLDER holds the corpus, which grows; a find is written there as `find-…`. Only the project's packages are observed, so
they must not have been imported before: everything of ours is imported inside `main`.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Final

import atheris


def main(name: str, folder: str, seconds: str, inputs: str) -> None:
    """Never returns: libFuzzer ends the process."""
    with atheris.instrument_imports(include=list(PACKAGES)):
        from tests.fuzz.targets import all_targets  # noqa: PLC0415  must be imported while it is observed
    from tests.fuzz.mutation import Mutator, repeated  # noqa: PLC0415  as above
    from tests.fuzz.target import CPU_S_MAX, Find, judge, judge_memory  # noqa: PLC0415  as above

    target = all_targets()[name]
    seeds = target.seeds()
    for n, seed in enumerate(seeds):
        (Path(folder) / f"seed-{n}").write_bytes(seed)
    change = Mutator(seeds)
    count = 0

    def try_one(data: bytes) -> None:
        nonlocal count
        count += 1
        if count % MEMORY_EVERY == 0:
            judge_memory(target, data)
            return
        began = time.process_time()
        judge(target, data)
        if time.process_time() - began > OBSERVED_TIMES * CPU_S_MAX:
            raise Find(f"{name}: slow")

    def changed(data: bytes, length_max: int, seed: int) -> bytes:
        return (repeated if target.is_text else change)(data, length_max, seed, atheris.Mutate)

    words = [
        "fuzz",
        folder,
        *((f"-runs={inputs}", "-seed=1") if inputs != "0" else (f"-max_total_time={seconds}",)),
        f"-max_len={target.bytes_max}",
        f"-artifact_prefix={folder}/find-",
        "-timeout=20",
        "-rss_limit_mb=2048",
        "-print_final_stats=1",
    ]
    atheris.Setup(words, try_one, custom_mutator=changed)
    atheris.Fuzz()


PACKAGES: Final = ("i247_protocol", "i247_edges", "i247_keys", "i247_hub", "i247_node")
MEMORY_EVERY: Final = 512
OBSERVED_TIMES: Final = 4  # observed code is slower; whoever started this process judges again without


if __name__ == "__main__":
    main(*sys.argv[1:])
