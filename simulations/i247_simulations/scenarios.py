"""Find a scenario: one of ours by its name, or a file of the user's by its path. Edge.

Decides: where files are looked for, what `extends` leads to, and how much is read. Leaves to others: what may stand in
a file (`settings`, `i247_edges.config`) and what it means (`composing`). A run needs no file any more once it has its
scenario, and a failure carries its scenario whole. docs/simulation.md 4.
"""

from __future__ import annotations

from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Final

import msgspec

from i247_edges.config import read_config
from i247_protocol.errors import CallerFault
from i247_simulations.composing import composed
from i247_simulations.countries import Atlas, read_atlas
from i247_simulations.resizing import with_hubs, with_members
from i247_simulations.scenario import Scenario, with_load, with_until
from i247_simulations.settings import Settings, laid_over

__all__ = [
    "TINY",
    "WORLD",
    "Scenario",
    "find_scenario",
    "our_names",
    "text_of",
    "with_hubs",
    "with_load",
    "with_members",
    "with_until",
]


def find_scenario(name: str) -> Scenario:
    """Return a scenario of ours by its name, or that of a file by its path, which ends in `.toml`."""
    path = _path(name, Path())
    return composed(_settings(path, ()), name=path.stem, where=path.name, atlas=_atlas(), text_of=_read)


def text_of(name: str) -> str:
    """Return a scenario's file as it stands, with what it says about itself."""
    return _read(str(_path(name, Path())))


def our_names() -> list[str]:
    """Return the names of ours."""
    return sorted(path.stem for path in OURS.glob("*.toml"))


def _settings(path: Path, above: tuple[Path, ...]) -> Settings:
    """Return what a file says, laid over what it extends."""
    if not path.is_file():
        raise CallerFault(f"reading {path}: there is no such file", "give the path of a scenario's file")
    if path.resolve() in above:
        raise CallerFault(
            f"reading {path.name}: extends: it extends itself, by way of {above[-1].name}", "break the circle"
        )
    upper = _with_paths(read_config(path, Settings), path.parent)
    if upper.extends is None:
        return upper
    return laid_over(upper, _settings(_path(upper.extends, path.parent), (*above, path.resolve())))


def _with_paths(settings: Settings, folder: Path) -> Settings:
    """Return settings in which other files are named from where the program runs, not from the file's folder."""
    latency, traffic = settings.latency, settings.traffic
    if latency is not None and latency.file is not None:
        latency = msgspec.structs.replace(latency, file=str(folder / latency.file))
    if traffic is not None and traffic.replay is not None:
        traffic = msgspec.structs.replace(traffic, replay=str(folder / traffic.replay))
    return msgspec.structs.replace(settings, latency=latency, traffic=traffic)


def _path(name: str, folder: Path) -> Path:
    if name.endswith(".toml"):
        return folder / name
    ours = our_names()
    if name not in ours:
        near = get_close_matches(name, ours, 1)
        hint = f"did you mean `{near[0]}`?" if near else f"there are {', '.join(ours)}, and any file that ends in .toml"
        raise CallerFault(f"finding the scenario {name}", hint)
    return OURS / f"{name}.toml"


def _read(name: str) -> str:
    path = Path(name)
    try:
        with path.open("rb") as file:
            data = file.read(FILE_BYTES_MAX + 1)
        if len(data) > FILE_BYTES_MAX:
            raise CallerFault(f"reading {name}: more than {FILE_BYTES_MAX} bytes", "take a part of it")
        return data.decode("utf-8-sig")
    except OSError as fault:
        raise CallerFault(f"reading {name}: {fault.strerror}", "give the path of a file, from the scenario's") from None
    except UnicodeDecodeError:
        raise CallerFault(f"reading {name}: not UTF-8", "save it as UTF-8") from None


@cache
def _atlas() -> Atlas:
    return read_atlas(_read(str(DATA / "members.csv")), _read(str(DATA / "hubs.csv")))


DATA: Final = Path(__file__).parent / "data"
OURS: Final = DATA / "scenarios"
FILE_BYTES_MAX: Final = 64 * 1024 * 1024
TINY: Final = find_scenario("tiny-4")
WORLD: Final = find_scenario("world-196")
