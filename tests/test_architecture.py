"""The rules of the house, read from the source: who may import whom, what touches the world, who can open mail.

A rule here is a function from parsed source to findings (`module:line: what`). Each is run on the project, and on
snippets that break it, so that a rule which has stopped working shows.
"""

import ast
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

# An edge module may touch the world: sockets, disks, clocks, randomness, terminals. Every other module is pure.
# This is the only list. A module inside a listed package is an edge as well.
EDGES = frozenset(
    {
        "i247_edges",
        "i247_hub.cli",
        "i247_hub.config",
        "i247_hub.daemon",
        "i247_hub.guests",
        "i247_hub.metrics",
        "i247_hub.preparation",
        "i247_hub.sockets",
        "i247_hub.status",
        "i247_hub.store",
        "i247_hub.tracing",
        "i247_keys.ceremony_files",
        "i247_keys.cli",
        "i247_keys.key_folder",
        "i247_keys.grounds",
        "i247_keys.keyfile",
        "i247_keys.own_keys",
        "i247_keys.whole_file",
        "i247_node.assembly",
        "i247_node.caretaker",
        "i247_node.checkup",
        "i247_node.cli",
        "i247_node.client",
        "i247_node.config",
        "i247_node.daemon",
        "i247_node.directory_watch",
        "i247_node.embed",
        "i247_node.engine",
        "i247_node.incarnation",
        "i247_node.interface",
        "i247_node.lookups",
        "i247_node.metrics",
        "i247_node.preparation",
        "i247_node.registers_sqlite",
        "i247_node.showing",
        "i247_node.sockets",
        "i247_node.store",
        "i247_node.views",
        "i247_simulations.choosing",
        "i247_simulations.cli",
        "i247_simulations.cluster",
        "i247_simulations.scenarios",
        "i247_simulations.swarm",
    }
)

# The modules that open envelopes. Nothing in the hub may reach them, by whatever way round.
OPENERS = frozenset({"i247_keys.hpke", "i247_keys.opening"})

FOLDERS = {
    "i247_protocol": "protocol",
    "i247_edges": "edges",
    "i247_keys": "keys",
    "i247_hub": "hub",
    "i247_node": "node",
    "i247_simulations": "simulations",
}

MAY_IMPORT: dict[str, frozenset[str]] = {
    "i247_protocol": frozenset(),
    "i247_edges": frozenset({"i247_protocol"}),
    "i247_keys": frozenset({"i247_protocol", "i247_edges"}),
    "i247_hub": frozenset({"i247_protocol", "i247_edges", "i247_keys"}),
    "i247_node": frozenset({"i247_protocol", "i247_edges", "i247_keys"}),
    "i247_simulations": frozenset({"i247_protocol", "i247_edges", "i247_keys", "i247_hub", "i247_node"}),
}

# Holds in edge modules too. cryptography and msgpack are the tests' oracles, so no package may lean on them.
ONLY_IN: dict[str, frozenset[str]] = {
    "cryptography": frozenset(),
    "hashlib": frozenset({"i247_protocol", "i247_keys", "i247_simulations"}),
    "hmac": frozenset({"i247_keys"}),
    "msgpack": frozenset(),
    "nacl": frozenset({"i247_keys"}),
}

# Libraries that compute and do nothing else. Beside these a pure module may import what ONLY_IN gives it.
PURE_LIBRARIES = frozenset({"anyascii", "iso3166", "msgspec", "networkx", "rapidfuzz", "vininfo"})

# What a pure module may neither import nor use; a name forbids all that lies under it.
DOORS = {
    "clocks": "datetime.date.today datetime.datetime.now datetime.datetime.today datetime.datetime.utcnow sched time",
    "randomness": "random secrets uuid nacl.utils.random nacl.bindings.randombytes",
    "keys drawn at random": "nacl.bindings.crypto_box_keypair nacl.bindings.crypto_kx_keypair nacl.public.SealedBox "
    "nacl.bindings.crypto_sign_keypair nacl.bindings.crypto_box_seal nacl.public.PrivateKey.generate "
    "nacl.signing.SigningKey.generate",
    "files": "codecs.open dbm fcntl fileinput glob io linecache mmap os pathlib pickle shelve shutil sqlite3 tempfile "
    "zipfile zoneinfo",
    "networks": "ftplib http.client http.server imaplib poplib select selectors smtplib socket socketserver ssl "
    "urllib.request webbrowser",
    "turns": "asyncio concurrent multiprocessing queue signal subprocess threading",
    "surroundings": "atexit ctypes faulthandler getpass locale logging platform pty resource site sys syslog termios "
    "tty",
    "imports that no checker sees": "builtins importlib pkgutil runpy",
}
WORLD = frozenset(name for names in DOORS.values() for name in names.split())
WORLD_BUILTINS = frozenset({"__import__", "breakpoint", "eval", "exec", "input", "open", "print"})

# A seeded generator is no door to the world. The functions of the module `random` share a hidden one, which is.
SEEDED = {"i247_simulations": frozenset({"random.Random"})}


@dataclass(frozen=True)
class Module:
    """One source file, parsed."""

    name: str
    tree: ast.Module
    is_package: bool = False

    @property
    def room(self) -> str:
        return self.name.partition(".")[0]

    @property
    def is_edge(self) -> bool:
        return any(_is_under(self.name, edge) for edge in EDGES)

    def at(self, line: int, what: str) -> str:
        return f"{self.name}:{line}: {what}"


# --- the rules ---


def imports_against_the_arrows(module: Module) -> list[str]:
    allowed = MAY_IMPORT[module.room] | {module.room}
    return [
        module.at(line, name)
        for name, line in imports(module)
        if _top(name).startswith("i247_") and _top(name) not in allowed
    ]


def libraries_out_of_place(module: Module) -> list[str]:
    return [
        module.at(line, name)
        for name, line in imports(module)
        if _top(name) in ONLY_IN and module.room not in ONLY_IN[_top(name)]
    ]


def touches_of_the_world(module: Module) -> list[str]:
    """Find what makes a module impure; an edge module has no such findings."""
    if module.is_edge:
        return []
    seeded = SEEDED.get(module.room, frozenset())
    found = {(line, what) for name, line in imports(module) if (what := _impure_import(name, module.room))}
    found |= {(line, what) for name, line in uses(module) if name not in seeded and (what := _in_world(name))}
    for node in ast.walk(module.tree):
        match node:
            case ast.AsyncFunctionDef() | ast.AsyncFor() | ast.AsyncWith() | ast.Await():
                found.add((node.lineno, "async"))
            case ast.Call(func=ast.Name(id=name)) if name in WORLD_BUILTINS:
                found.add((node.lineno, f"{name}()"))
            case _:
                pass
    return [module.at(line, what) for line, what in sorted(found)]


def ways_to_openers(modules: Mapping[str, Module], room: str = "i247_hub") -> list[str]:
    """Find the chains of imports by which a module of `room` reaches one that opens envelopes."""
    found = []
    for start in sorted(name for name, module in modules.items() if module.room == room):
        chains = {start: start}
        waiting = [start]
        while waiting:
            here = waiting.pop()
            for there in sorted(modules_loaded_by(modules[here], modules) - chains.keys()):
                chains[there] = f"{chains[here]} -> {there}"
                if there in OPENERS:
                    found.append(chains[there])
                elif there in modules:
                    waiting.append(there)
    return found


# --- reading the source ---


def imports(module: Module) -> Iterator[tuple[str, int]]:
    """Yield the full name of everything imported, at any depth, and its line; `from a import b` gives `a.b`."""
    for node in ast.walk(module.tree):
        match node:
            case ast.Import():
                for alias in node.names:
                    yield alias.name, node.lineno
            case ast.ImportFrom():
                source = _source_of(node, module)
                for alias in node.names:
                    yield (source if alias.name == "*" else f"{source}.{alias.name}"), node.lineno
            case _:
                pass


def uses(module: Module) -> Iterator[tuple[str, int]]:
    """Yield the full names that expressions spell out, seen through the module's imports and their aliases."""
    bound = dict(_bindings(module))
    inner = {id(node.value) for node in ast.walk(module.tree) if isinstance(node, ast.Attribute)}
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Name | ast.Attribute) and id(node) not in inner:
            head, *rest = ast.unparse(node).split(".")
            if head in bound:
                yield ".".join([bound[head], *rest]), node.lineno


def modules_loaded_by(module: Module, modules: Mapping[str, Module]) -> set[str]:
    """Name the project's modules that importing this one loads: those it names, and the packages they lie in."""
    loaded = set()
    for name, _ in imports(module):
        parts = name.split(".")
        loaded |= {".".join(parts[:length]) for length in range(1, len(parts) + 1)}
    loaded |= {module.name[:place] for place, sign in enumerate(module.name) if sign == "."}
    return loaded & (modules.keys() | OPENERS)


def parse(name: str, source: str, *, is_package: bool = False) -> Module:
    return Module(name, ast.parse(source), is_package)


def project_modules() -> dict[str, Module]:
    root = Path(__file__).resolve().parents[1]
    found = {}
    for folder in FOLDERS.values():
        for path in sorted((root / folder).rglob("*.py")):
            *parents, last = path.relative_to(root / folder).with_suffix("").parts
            is_package = last == "__init__"
            name = ".".join(parents if is_package else [*parents, last])
            found[name] = parse(name, path.read_text(encoding="utf-8"), is_package=is_package)
    return found


def _source_of(node: ast.ImportFrom, module: Module) -> str:
    if not node.level:
        return node.module or ""
    parts = module.name.split(".")
    package = parts[: len(parts) - node.level + module.is_package]
    return ".".join([*package, node.module] if node.module else package)


def _bindings(module: Module) -> Iterator[tuple[str, str]]:
    for node in ast.walk(module.tree):
        match node:
            case ast.Import():
                for alias in node.names:
                    yield (alias.asname, alias.name) if alias.asname else (_top(alias.name), _top(alias.name))
            case ast.ImportFrom():
                for alias in node.names:
                    yield alias.asname or alias.name, f"{_source_of(node, module)}.{alias.name}"
            case _:
                pass


def _impure_import(name: str, room: str) -> str | None:
    top = _top(name)
    if top.startswith("i247_"):
        return name if any(_is_under(name, edge) for edge in EDGES) else None
    if top in sys.stdlib_module_names:
        is_seeded = any(_is_under(seeded, name) for seeded in SEEDED.get(room, ()))
        return None if is_seeded else _in_world(name)
    return None if top in PURE_LIBRARIES or room in ONLY_IN.get(top, ()) else name


def _in_world(name: str) -> str | None:
    return next((door for door in sorted(WORLD) if _is_under(name, door)), None)


def _is_under(name: str, ancestor: str) -> bool:
    return name == ancestor or name.startswith(f"{ancestor}.")


def _top(name: str) -> str:
    return name.partition(".")[0]


# --- the project keeps the rules ---

PROJECT = project_modules()
each_module = pytest.mark.parametrize("module", [pytest.param(module, id=name) for name, module in PROJECT.items()])


def test_every_package_is_read() -> None:
    assert FOLDERS.keys() <= PROJECT.keys()


@each_module
def test_imports_follow_the_arrows(module: Module) -> None:
    assert imports_against_the_arrows(module) == []


@each_module
def test_libraries_are_where_they_belong(module: Module) -> None:
    assert libraries_out_of_place(module) == []


@each_module
def test_only_edges_touch_the_world(module: Module) -> None:
    assert touches_of_the_world(module) == []


def test_no_way_leads_from_the_hub_to_an_opener() -> None:
    assert ways_to_openers(PROJECT) == []


def test_keys_package_imports_nothing() -> None:
    # Importing any module of a package runs its __init__ first: an import there would reach the hub too.
    assert list(imports(PROJECT["i247_keys"])) == []


def test_a_running_hub_has_loaded_no_opener() -> None:
    hub = [name for name, module in PROJECT.items() if module.room == "i247_hub" and not name.endswith("__main__")]
    assert loaded_when_run(hub) & OPENERS == set()


# Fails until every module that the tables name is written: a table that names what is not there checks nothing.
@pytest.mark.parametrize("name", sorted(EDGES | OPENERS))
def test_every_listed_module_exists(name: str) -> None:
    assert name in PROJECT, "write it, or strike it from the table"


def loaded_when_run(names: list[str]) -> set[str]:
    program = "import sys, importlib\nfor name in sys.argv[1:]: importlib.import_module(name)\nprint(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", program, *names], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return set(run.stdout.split())


# --- each rule can fail ---


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("i247_protocol.codec", "import i247_keys.identity"),
        ("i247_protocol.codec", "from i247_keys import identity"),
        ("i247_protocol.codec", "def late():\n    from i247_keys.identity import Identity"),
        ("i247_keys.trust", "import i247_hub"),
        ("i247_keys.trust", "import i247_node.machine as machine"),
        ("i247_hub.machine", "from i247_node import machine"),
        ("i247_node.machine", "from i247_hub.machine import Hub"),
        ("i247_node.cli", "import i247_simulations"),
        ("i247_hub.machine", "import i247_unheard_of"),
    ],
)
def test_an_import_against_the_arrows_is_found(name: str, source: str) -> None:
    assert len(imports_against_the_arrows(parse(name, source))) == 1


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("i247_protocol.codec", "from i247_protocol import names"),
        ("i247_keys.trust", "from . import identity"),
        ("i247_hub.machine", "from i247_keys.roster import Roster\nfrom i247_protocol.header import Header"),
        ("i247_simulations.world", "import i247_hub.machine, i247_node.machine"),
    ],
)
def test_an_import_along_the_arrows_is_let_be(name: str, source: str) -> None:
    assert imports_against_the_arrows(parse(name, source)) == []


@pytest.mark.parametrize(
    ("name", "source", "count"),
    [
        ("i247_node.machine", "from nacl.signing import SigningKey", 1),
        ("i247_hub.sockets", "import nacl.bindings", 1),  # an edge has no leave either
        ("i247_protocol.codec", "import hmac", 1),
        ("i247_keys.hpke", "from cryptography.hazmat.primitives import hpke", 1),
        ("i247_hub.store", "from hashlib import blake2b", 1),
        ("i247_node.outbox", "import msgpack", 1),
        ("i247_keys.hpke", "import hashlib, hmac, nacl.bindings", 0),
        ("i247_protocol.codec", "import hashlib, msgspec", 0),
    ],
)
def test_a_library_out_of_place_is_found(name: str, source: str, count: int) -> None:
    assert len(libraries_out_of_place(parse(name, source))) == count


@pytest.mark.parametrize(
    "source",
    [
        "import zmq",
        "import asyncio",
        "import apsw",
        "import click",
        "import structlog",
        "import starlette.routing",
        "from uvicorn import run",
        "import httpx",
        "import socket",
        "import threading",
        "import os",
        "from os import urandom",
        "import os.path",
        "import pathlib",
        "import io",
        "import time",
        "from time import monotonic as now",
        "import random",
        "from random import Random",
        "import secrets",
        "import logging",
        "import subprocess",
        "import tempfile",
        "import sqlite3",
        "import sys",
        "import importlib",
        "import some_library_nobody_judged",
        "from i247_hub.store import Store",  # what imports an edge is no longer pure
        "from i247_hub import sockets",
        "from . import sockets",
        "from .store import Store",
        "def late():\n    import time",
        "async def handle(): ...",
        "open('file')",
        "print('word')",
        "input()",
        "__import__('time')",
        "import datetime\ndatetime.datetime.now(datetime.UTC)",
        "from datetime import datetime as moment\nmoment.now()",
        "from datetime import date\nclock = date.today",
        "from nacl.utils import random",
        "import nacl.utils\nnacl.utils.random(32)",
        "from nacl.signing import SigningKey\nSigningKey.generate()",
        "from nacl import bindings\nbindings.crypto_sign_keypair()",
    ],
)
def test_a_touch_of_the_world_is_found(source: str) -> None:
    assert touches_of_the_world(parse("i247_hub.routing", source)) != []


def test_an_edge_may_touch_the_world() -> None:
    source = "import zmq, time\nasync def run(): print(open('file'))"
    assert touches_of_the_world(parse("i247_hub.sockets", source)) == []
    assert touches_of_the_world(parse("i247_node.interface.routes", source)) == []


@pytest.mark.parametrize(
    "source",
    [
        "from datetime import UTC, datetime\nmoment = datetime.fromtimestamp(0, UTC)",
        "import msgspec\nfrom dataclasses import dataclass",
        "def routes(time, door):\n    return door.open(time.now())",
        "from i247_hub import storeroom",
    ],
)
def test_a_pure_module_is_let_be(source: str) -> None:
    assert touches_of_the_world(parse("i247_hub.routing", source)) == []


def test_nacl_is_pure_in_keys_alone() -> None:
    source = "from nacl.signing import SigningKey\nSigningKey(seed)"
    assert touches_of_the_world(parse("i247_keys.identity", source)) == []
    assert touches_of_the_world(parse("i247_node.machine", source)) != []


@pytest.mark.parametrize(
    ("source", "is_pure"),
    [
        ("import random\nstream = random.Random(seed)", True),
        ("from random import Random\nstream = Random(seed)", True),
        ("import random\nrandom.random()", False),
        ("from random import randint", False),
    ],
)
def test_simulations_may_seed_a_generator_of_their_own(source: str, is_pure: bool) -> None:
    assert (touches_of_the_world(parse("i247_simulations.world", source)) == []) is is_pure


@pytest.mark.parametrize(
    "sources",
    [
        {"i247_hub.mailbox": "import i247_keys.opening"},
        {"i247_hub.mailbox": "from i247_keys import opening"},
        {"i247_hub.mailbox": "from i247_keys.hpke import unseal"},
        {"i247_hub.mailbox": "from i247_keys import sealing", "i247_keys.sealing": "from . import hpke"},
        {
            "i247_hub.mailbox": "import i247_keys.roster",
            "i247_keys.roster": "import i247_keys.trust",
            "i247_keys.trust": "def late():\n    from i247_keys.opening import accept",
        },
    ],
)
def test_a_way_from_the_hub_to_an_opener_is_found(sources: dict[str, str]) -> None:
    modules = {name: parse(name, source) for name, source in sources.items()}
    assert len(ways_to_openers(modules)) == 1


def test_a_way_through_a_package_is_found() -> None:
    modules = {
        "i247_keys": parse("i247_keys", "from .opening import accept", is_package=True),
        "i247_keys.roster": parse("i247_keys.roster", ""),
        "i247_hub.routing": parse("i247_hub.routing", "from i247_keys.roster import Roster"),
    }
    assert ways_to_openers(modules) == ["i247_hub.routing -> i247_keys -> i247_keys.opening"]


def test_going_in_circles_ends() -> None:
    modules = {
        "i247_hub.routing": parse("i247_hub.routing", "import i247_hub.mailbox"),
        "i247_hub.mailbox": parse("i247_hub.mailbox", "import i247_hub.routing"),
    }
    assert ways_to_openers(modules) == []


def test_what_runs_is_seen() -> None:
    assert "json.decoder" in loaded_when_run(["json"])
