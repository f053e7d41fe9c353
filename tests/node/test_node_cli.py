"""Use `i247-node` as people and scripts do: words, JSON, exit codes, `error:` and `hint:`."""

from __future__ import annotations

import json
import re
import stat
from collections.abc import Iterator
from contextlib import chdir
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from tests.node.network import DOCUMENTS, ZONE, Network, wait_until

from i247_node.cli import main
from i247_node.client import Bureau, Purpose
from i247_node.config import read_config

# httpcore leaves a Unix socket that it could not connect to the garbage collector.
pytestmark = pytest.mark.filterwarnings(
    "ignore:.*unclosed:ResourceWarning", "ignore:.*socket.socket:pytest.PytestUnraisableExceptionWarning"
)


def i247_node(*words: str | Path, stdin: str | None = None) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words], input=stdin)


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    network = Network(tmp_path_factory.mktemp("net"))
    with network.hub():
        yield network


@pytest.fixture(scope="module")
def nodes(network: Network) -> Iterator[tuple[Bureau, Bureau]]:
    """France and Singapore, at work and on line."""
    with network.node("FR") as paris, network.node("SG") as singapore:
        wait_until(lambda: all(link.open for one in (paris, singapore) for link in one.status().links))
        yield paris, singapore


class Desk:
    """The program with the configuration of one member."""

    def __init__(self, network: Network, code: str) -> None:
        self._config = network.config(code)

    def __call__(self, *words: str | Path, stdin: str | None = None) -> Result:
        return i247_node(*words, "--config", self._config, stdin=stdin)

    def json(self, *words: str | Path) -> Any:
        result = self(*words, "--json")
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)


@pytest.fixture
def paris(network: Network, nodes: tuple[Bureau, Bureau]) -> Desk:
    return Desk(network, "FR")


@pytest.fixture
def singapore(network: Network, nodes: tuple[Bureau, Bureau]) -> Desk:
    return Desk(network, "SG")


def failed(result: Result, code: int, error: str, hint: str = "") -> None:
    """Hold a failure against the manners of all programs."""
    assert result.exit_code == code, result.output
    lines = result.stderr.splitlines()
    assert [line.split(":")[0] for line in lines[-2:]] == ["error", "hint"], result.stderr
    assert error in lines[-2]
    assert hint in lines[-1]
    assert "Traceback" not in result.output


# --- init ---


def test_init_makes_all_and_says_what_comes_next(tmp_path: Path) -> None:
    folder = tmp_path / "fr"
    result = i247_node("init", "FR", "--name", "en=France", "--home", "lyon", "--dir", folder, "--kdf", "min")
    assert result.exit_code == 0, result.output
    assert sorted(path.name for path in folder.iterdir()) == [
        "FR.request",
        "identity.key",
        "link.key",
        "next-identity.key",
        "node.toml",
        "passphrase",
    ]
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    assert read_config(folder / "node.toml").member == "FR"
    for step in ("FR.request", "Secretariat", "pin", "i247-node check", "i247-node run"):
        assert step in result.stdout
    before = {path: path.read_bytes() for path in folder.iterdir()}
    again = i247_node("init", "FR", "--home", "lyon", "--dir", folder, "--kdf", "min")
    failed(again, 1, "node.toml", "never overwritten")
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("France", "--home", "lyon"), "member's code"),
        (("FR", "--home", "Lyon!"), "hub's name"),
        (("FR", "--home", "lyon", "--name", "France"), "a name"),
        (("FR", "--home", "lyon", "--pin", "abc"), "pin"),
    ],
)
def test_init_makes_nothing_when_something_is_wrong(tmp_path: Path, words: tuple[str, ...], told: str) -> None:
    failed(i247_node("init", *words, "--dir", tmp_path / "new", "--kdf", "min"), 1, told)
    left = list((tmp_path / "new").iterdir()) if (tmp_path / "new").exists() else []
    assert left == []


def test_init_with_a_passphrase_of_ones_own(tmp_path: Path) -> None:
    secret = tmp_path / "pass"
    secret.write_text("correct horse\n")
    secret.chmod(0o644)
    words = ("init", "FR", "--home", "lyon", "--dir", tmp_path / "fr", "--kdf", "min", "--passphrase-file", secret)
    failed(i247_node(*words), 1, "passphrase file", "chmod 600")
    assert list((tmp_path / "fr").iterdir()) == []
    secret.chmod(0o600)
    assert i247_node(*words).exit_code == 0
    assert read_config(tmp_path / "fr" / "node.toml").passphrase_file == secret


# --- check ---


def grades(result: Result) -> dict[str, str]:
    return {one["subject"]: one["grade"] for one in json.loads(result.stdout)["findings"]}


def test_check_finds_nothing_where_nothing_is_wrong(network: Network, paris: Desk) -> None:
    result = paris("check", "--json")
    assert result.exit_code == 0, result.output
    assert set(grades(result).values()) == {"ok"}
    assert grades(i247_node("check", "--json", "--config", network.config("XP")))["store"] == "ok"


@pytest.mark.parametrize(
    ("spoil", "subject", "code"),
    [
        (lambda f: (f / "passphrase").write_text("wrong"), "passphrase", 1),
        (lambda f: (f / "identity.key").chmod(0o644), "keys", 1),
        (lambda f: (f / "identity.key").unlink(), "keys", 1),
        (lambda f: (f / "next-identity.key").rename(f / "identity.key"), "roster", 1),
        (lambda f: (f / "network.i247").unlink(), "network file", 1),
        (lambda f: (f / "network.i247").write_bytes(b"damaged"), "network file", 1),
        (lambda f: edit(f, r'pin = "\w+"', f'pin = "{"00" * 32}"'), "network file", 1),
        (lambda f: edit(f, r'pin = "\w+"', 'pin = ""'), "network file", 1),
        (lambda f: edit(f, 'member = "XP"', 'member = "BR"'), "roster", 1),
        (lambda f: edit(f, "# socket = .*", f'socket = "{"x" * 120}/s"'), "socket", 1),
        (lambda f: edit(f, "# socket = .*", 'socket = "no/folder/s"'), "socket", 1),
        (lambda f: edit(f, 'mode = "0660"', 'mode = "0666"'), "socket", 3),
        (lambda f: edit(f, r"\[policy\]", REGISTER_R, "# sltd", "r"), "registers", 1),
        (lambda f: (f / "state").mkdir(mode=0o755), "store", 3),
        (lambda f: (f / "state").write_text("a file"), "store", 1),
    ],
)  # fmt: skip
def test_check_finds_what_is_wrong(tmp_path: Path, network: Network, spoil: Any, subject: str, code: int) -> None:
    for name in ("identity.key", "next-identity.key", "link.key", "passphrase", "network.i247", "node.toml"):
        path = tmp_path / name
        path.write_bytes((network.root / "XP" / name).read_bytes())
        path.chmod(0o600)
    spoil(tmp_path)
    result = i247_node("check", "--json", "--config", tmp_path / "node.toml")
    found = {one["subject"]: one for one in json.loads(result.stdout)["findings"]}
    assert result.exit_code == code, found
    assert found[subject]["grade"] == {1: "wrong", 3: "degraded"}[code]
    assert found[subject]["hint"]
    told = i247_node("check", "--config", tmp_path / "node.toml")
    assert told.exit_code == code
    assert "hint" in told.stdout


REGISTER_R = '[policy.registers.r]\nopen_to = "all"\n[policy]'


def edit(folder: Path, pattern: str, text: str, *more: str) -> None:
    path = folder / "node.toml"
    changed, count = re.subn(pattern, text, path.read_text(), count=1)
    assert count == 1
    if more:
        old, new = more
        changed = changed.replace(f"{old} =", f"{new} =")
    path.write_text(changed)


def test_a_config_that_is_wrong_is_told_by_every_command(tmp_path: Path) -> None:
    (tmp_path / "node.toml").write_text('member = "FR"\n')
    for words in (("check",), ("run",), ("status",), ("inbox",), ("register", "show"), ("audit", "verify")):
        failed(i247_node(*words, "--config", tmp_path / "node.toml"), 1, "node.toml", "add it")
    with chdir(tmp_path / ".."):
        failed(i247_node("status"), 1, "configuration", "i247-node init")


# --- speaking ---


def test_query_in_plain_words(paris: Desk) -> None:
    hit = paris("query", "SG", "sltd", "--mrz", "-", "--purpose", "border-control", stdin=f"{ZONE[:44]}\n{ZONE[44:]}\n")
    assert hit.exit_code == 0, hit.output
    assert hit.stdout.startswith("HIT in register sltd of SG\n")
    for word in ("Seize the document", "SG-1", "Confirm with the owner"):
        assert word in hit.stdout
    assert re.search(r"^message +[0-9a-f]{32}$", hit.stdout, re.MULTILINE)
    assert re.search(r"^receipt +[0-9a-f]{64}$", hit.stdout, re.MULTILINE)
    none = paris("query", "SG", "sltd", "--document", "UTO", "X1", "--purpose", "border-control")
    assert none.exit_code == 0
    assert none.stdout.startswith("no hit in register sltd of SG\n")
    assert "No hit does not mean" in none.stdout
    refused = paris("query", "SG", "closed", "--document", "UTO", "X1", "--purpose", "border-control")
    assert refused.exit_code == 1
    assert "refused: nothing was looked up" in refused.stdout
    assert "(policy)" in refused.stdout
    silent = paris("query", "XP", "any", "--family", "Doe", "--purpose", "wanted", "--within", "1s")
    assert silent.exit_code == 1
    assert "not answered in time" in silent.stdout
    # Answers that were shown are not offered again.
    shown = hit.stdout + none.stdout + refused.stdout
    assert [one["act"] for one in paris.json("inbox", "--limit", "200")["entries"] if one["sid"] in shown] == []
    everything = {one["sid"] for one in paris.json("inbox", "--all", "--limit", "200")["entries"]}
    assert len([sid for sid in everything if sid in shown]) == 3


def test_query_for_programs(paris: Desk) -> None:
    answer = paris.json("query", "SG", "sltd", "--document", "UTO", "L898902C3", "--purpose", "wanted")
    assert (answer["outcome"], answer["reply"]["candidates"][0]["record"]) == ("hit", "SG-1")
    asked = paris.json("query", "SG", "sltd", "--vin", "1M8GDM9AXKP042788", "--purpose", "wanted", "--no-wait")
    assert asked["outcome"] in {"open", "refused"}
    assert asked["reply_by"] > asked["asked"]


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("query", "SG", "sltd", "--mrz", "P<UTO", "--purpose", "wanted"), 1, "machine-readable zone"),
        (("query", "SG", "sltd", "--mrz", ZONE[:-1] + "9", "--purpose", "wanted"), 1, "check digit"),
        (("query", "SG", "sltd", "--purpose", "wanted"), 1, "what to look for"),
        (("query", "SG", "sltd", "--family", "A", "--vin", "B", "--purpose", "wanted"), 1, "what to look for"),
        (("query", "SG", "sltd", "--family", "A", "--purpose", "wanted", "--within", "soon"), 1, "span of time"),
        (("query", "ZZ", "sltd", "--family", "A", "--purpose", "wanted"), 1, "ZZ"),
        (("query", "SG", "sltd", "--family", "A"), 2, "--purpose"),
        (("query", "SG", "sltd", "--family", "A", "--purpose", "curiosity"), 2, "curiosity"),
        (("query", "SG"), 2, "REGISTER"),
        (("notice", "--colour", "pink"), 2, "pink"),
        (("notice", "--colour", "red", "--number", "1", "--title", "t", "--text", "t", "--purpose", "wanted"), 1,
         "notice to all"),
        (("trace", "00" * 16), 1, "nothing is known"),
        (("trace", "nonsense"), 1, "message"),
        (("inbox", "4711"), 1, "4711"),
        (("inbox", "--confirm", "4711"), 1, "confirming"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told(paris: Desk, words: tuple[str, ...], code: int, told: str) -> None:
    failed(paris(*words), code, told)


def test_notice_letter_and_what_becomes_of_them(paris: Desk, singapore: Desk) -> None:
    sent = paris.json(
        "notice", "--colour", "blue", "--number", "FR/9", "--title", "Witness\x1b[31m", "--text", "Where?",
        "--to", "SG", "--purpose", "investigation", "--urgency", "urgent", "--exercise",
    )  # fmt: skip
    letter = paris("write", "SG", "--subject", "Today", "--text", "-", "--purpose", "investigation", stdin="Dear\nall")
    assert letter.exit_code == 0, letter.output
    assert "accepted" in letter.stdout
    mine = {sent["id"], re.findall(r"[0-9a-f]{32}", letter.stdout)[0]}

    def offered() -> list[dict[str, Any]]:
        return [one for one in singapore.json("inbox", "--limit", "200")["entries"] if one["id"] in mine]

    wait_until(lambda: len(offered()) == 2)
    listed = singapore("inbox")
    assert "again, exercise" in listed.stdout
    assert "\x1b" not in listed.stdout  # what others write cannot play with the terminal
    first, second = (entry["n"] for entry in offered())
    shown = {singapore.json("inbox", str(n))["act"]: singapore("inbox", str(n)).stdout for n in (first, second)}
    assert "  Dear\n  all\n" in shown["correspondence"]
    assert "blue FR/9" in shown["diffusion"]
    assert "FR/9" in singapore("board").stdout
    assert singapore.json("board")["notices"][0]["publisher"] == "FR"
    assert singapore("inbox", "--confirm", str(first), "--confirm", str(second)).exit_code == 0
    assert offered() == []
    assert {one["id"] for one in singapore.json("inbox", "--all", "--limit", "200")["entries"]} >= mine
    wait_until(lambda: "delivered" in paris("trace", sent["id"]).stdout)
    trace = paris("trace", sent["id"])
    assert "in-custody" in trace.stdout
    assert "by lyon" in trace.stdout
    assert "diffusion" in paris("outbox").stdout
    wait_until(lambda: not set(recipients_waited_for(paris)) - {"XP"}, "all receipts")


def recipients_waited_for(desk: Desk) -> list[str]:
    messages = desk.json("outbox", "--open")["messages"]
    return [one["recipient"] for message in messages for one in message["deliveries"]]


def test_status(paris: Desk) -> None:
    told = paris("status")
    assert told.exit_code == 0, told.output
    assert "lyon" in told.stdout
    assert paris.json("status")["health"] == "fresh"


def test_audit(paris: Desk) -> None:
    paris("write", "SG", "--subject", "s", "--text", "t", "--purpose", "alert")
    verified = paris.json("audit", "verify")
    assert verified["sound"] is True
    assert len(verified["digest"]) == 64
    shown = paris.json("audit", "show", "--after", str(verified["records"] - 1))["records"]
    assert shown[0]["n"] == verified["records"]
    assert "sent" in paris("audit", "show").stdout


# --- when the node, or everybody else, is away ---


def test_a_node_that_does_not_run(network: Network) -> None:
    for words in (("status",), ("inbox",), ("board",), ("audit", "verify"), ("trace", "00" * 16)):
        failed(i247_node(*words, "--config", network.config("XP")), 1, "nobody answers", "i247-node run")


def test_hubs_that_are_not_reached(tmp_path: Path) -> None:
    alone = Network(tmp_path)
    with alone.node("FR") as bureau:
        result = i247_node("status", "--config", alone.config("FR"))
        failed(result, 3, "no hub is reached (lyon)", "firewall")
        assert "roster 1, fresh" in result.stdout
        taken = bureau.write(to=["SG"], subject="s", text="t", purpose=Purpose.ALERT)
        assert [one.id for one in bureau.outbox(0, only_open=True).messages] == [taken.id]


# --- registers ---


def test_register_import_and_show(network: Network, singapore: Desk, tmp_path: Path) -> None:
    csv = tmp_path / "documents.csv"
    csv.write_text(DOCUMENTS + "SG-2,SG,lost,Call,UTO,X7,P\nSG-3,SG,mislaid,Call,UTO,X8,P\n")
    bad = singapore("register", "import", "sltd", csv, "--kind", "documents")
    failed(bad, 1, "1 bad row", "--skip-bad-rows")
    assert "line 4, column status" in bad.stderr
    assert "mislaid" not in bad.output
    good = singapore("register", "import", "sltd", csv, "--kind", "documents", "--skip-bad-rows")
    assert (good.exit_code, good.stdout) == (0, "2 of 3 rows are in the register sltd\n")
    shown = {one["name"]: one for one in singapore.json("register", "show")["registers"]}
    assert (shown["sltd"]["records"], shown["sltd"]["open_to"], shown["closed"]["open_to"]) == (2, "all", ["XP"])
    assert "sltd" in singapore("register", "show").stdout
    failed(singapore("register", "import", "other", csv, "--kind", "documents"), 1, "no such register", "[registers]")
    # The running node answers from the new content.
    answer = Desk(network, "FR").json("query", "SG", "sltd", "--document", "UTO", "X7", "--purpose", "wanted")
    assert answer["reply"]["candidates"][0]["record"] == "SG-2"


# --- help ---


def commands(group: Any, *names: str) -> Iterator[tuple[str, ...]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, *names, name)
        else:
            yield (*names, name)


@pytest.mark.parametrize("names", list(commands(main)), ids=" ".join)
def test_every_command_explains_itself(names: tuple[str, ...]) -> None:
    result = i247_node(*names, "--help")
    assert result.exit_code == 0
    assert f"i247-node {' '.join(names)}" in result.stdout  # an example
    assert result.stdout.count("\n") > 5


def test_the_program_explains_itself() -> None:
    result = i247_node("--help")
    assert result.exit_code == 0
    assert "Examples:" in result.stdout
    assert i247_node().exit_code == 2
    failed(i247_node("enquire"), 2, "enquire", "--help")
