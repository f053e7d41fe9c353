"""Hold what the documents name against what is there: files, links, commands and their options."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

import i247_hub.cli
import i247_keys.cli
import i247_node.cli

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = [ROOT / "README.md", ROOT / "docs" / "architecture.md", ROOT / "docs" / "operations.md"]
PROGRAMS: dict[str, click.Command] = {
    "i247-hub": i247_hub.cli.main,
    "i247-keys": i247_keys.cli.main,
    "i247-node": i247_node.cli.main,
}
OUR_FILES = {
    path.name for folder in ("protocol", "edges", "keys", "hub", "node") for path in (ROOT / folder).rglob("*.py")
}

each_document = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.name))


@each_document
def test_links_lead_somewhere(document: Path) -> None:
    targets = re.findall(r"\]\(([^)#]+)\)", document.read_text())
    assert [target for target in targets if "://" not in target and not (document.parent / target).exists()] == []


@each_document
def test_files_that_are_named_are_there(document: Path) -> None:
    named = set(re.findall(r"`([\w/….*-]+\.(?:py|md|csv|lock))`", document.read_text()))
    assert [name for name in sorted(named) if not is_there(name)] == []


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(command, id=f"{document.name}: {command[:60]}")
        for document in [*DOCUMENTS, ROOT / "deploy" / "README.md"]
        for command in dict.fromkeys(
            re.findall(r"\bi247-(?:hub|keys|node) [a-z-][^\n`]+", document.read_text().replace("\\\n", " "))
        )
    ],
)
def test_commands_and_options_exist(command: str) -> None:
    assert [*unknown_words(command)] == []


@pytest.mark.parametrize(
    "command", ["i247-node fetch", "i247-node query SG sltd --zone -", "i247-keys ceremony dissolve x"]
)
def test_what_does_not_exist_is_found(command: str) -> None:
    assert [*unknown_words(command)] != []


def is_there(name: str) -> bool:
    """Whether a file is there; a name alone may lie in any package, `…` stands for the package's folder."""
    if "/" not in name:
        return any(Path(ours).match(name) for ours in OUR_FILES) or any(
            (folder / name).exists() for folder in (ROOT, ROOT / "docs")
        )
    return any(any(base.glob(name.replace("…", "*"))) for base in (ROOT, ROOT / "node" / "i247_node"))


def unknown_words(command: str) -> Iterator[str]:
    """Yield the subcommands and options of a command line that its program does not have."""
    name, *words = shlex.split(command.partition(" #")[0].partition("|")[0])
    here = PROGRAMS[name]
    while isinstance(here, click.Group) and words and not words[0].startswith("-"):
        word = words.pop(0)
        found = here.commands.get(word)
        if found is None:
            yield word
            return
        here = found
    known = {option for parameter in here.params for option in (*parameter.opts, *parameter.secondary_opts)}
    known |= {"-h", "--help", "--version"}
    yield from (word for word in words if word.startswith("--") and word not in known)
