"""Hold a whole ceremony with the program, as an administrator would."""

import contextlib
import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from i247_keys import contexts
from i247_keys.charter import Kind
from i247_keys.cli import main
from i247_keys.decision import Ballot, Decision, Vote, encode_decision
from i247_keys.documents import sign_document
from i247_keys.key_folder import IDENTITY_FILE, read_identity, read_link_secret
from i247_keys.keyfile import passphrase_from_file
from i247_keys.log import DecisionRecord
from i247_protocol import codec
from i247_protocol.names import DAY_MS, MemberCode


def run(*arguments: object, code: int = 0) -> Result:
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exit_code == code, f"i247-keys {' '.join(map(str, arguments))}\n{result.output}\n{result.exception!r}"
    return result


def asked(*arguments: object) -> dict[str, object]:
    value: dict[str, object] = json.loads(run(*arguments, "--json").stdout)
    return value


class Place:
    """A folder for everything, with a directory founded in it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.authority = path / "authority"
        self.network = self.authority / "network.i247"
        self.passphrase = path / "passphrase"
        self.passphrase.write_text("correct horse\n")
        self.passphrase.chmod(0o600)
        for code in ("AA", "BB", "XP"):
            self.member(code)
        run(
            "hub",
            "request",
            "hub-1",
            "--region",
            "Europe",
            "--endpoint",
            "tcp://127.0.0.1:7247",
            "--out",
            path / "hubs" / "hub-1",
            "--passphrase-file",
            self.passphrase,
            "--kdf",
            "min",
        )
        run("ceremony", "new", self.authority, "--keys", 3, "--threshold", 2, "--kdf", "min")

    def member(self, code: str) -> None:
        run(
            "member",
            "request",
            code,
            "--name",
            f"en=Land of {code}",
            "--home",
            "hub-1",
            "--out",
            self.path / "members" / code,
            "--passphrase-file",
            self.passphrase,
            "--kdf",
            "min",
        )

    def found(self) -> None:
        run("ceremony", "found", self.authority, "--members", self.path / "members", "--hubs", self.path / "hubs")

    def sign(self, number: int, folder: Path | None = None, code: int = 0) -> Result:
        key = self.authority / f"secretariat-{number}"
        return run(
            "ceremony",
            "sign",
            folder or self.authority,
            "--key",
            f"{key}.key",
            "--passphrase-file",
            f"{key}.passphrase",
            code=code,
        )

    def publish(self) -> None:
        self.sign(1)
        self.sign(3)
        run("ceremony", "publish", self.authority)
        run("ceremony", "pulse", self.authority)

    @property
    def pin(self) -> str:
        return (self.authority / "pin.txt").read_text().strip()

    def rows(self) -> dict[str, dict[str, object]]:
        rows: dict[str, dict[str, object]] = asked("roster", "show", self.network, "--pin", self.pin)["members"]  # type: ignore[assignment]
        return rows


@pytest.fixture
def place(tmp_path: Path) -> Place:
    place = Place(tmp_path)
    place.found()
    return place


def test_a_first_installation(place: Place) -> None:
    assert "1 lacking" in place.sign(2).output
    refused = run("ceremony", "publish", place.authority, code=1)
    assert "error:" in refused.stderr
    assert "hint:" in refused.stderr
    assert "enough" in place.sign(1).output
    assert place.sign(1).output.count("2 signed") == 2
    published = asked("ceremony", "publish", place.authority)
    assert published["pin"] == place.pin
    assert published["health"] == "degraded"
    assert asked("ceremony", "pulse", place.authority)["health"] == "fresh"
    assert asked("roster", "verify", place.network, "--pin", place.pin)["roster"] == 1
    assert list(place.rows()) == ["AA", "BB", "XP"]
    assert "Land of AA" in run("roster", "show", place.network, "--pin", place.pin).output
    assert "note: no --pin" in run("roster", "show", place.network).stderr


def test_every_secret_is_its_owners_alone(place: Place) -> None:
    kept = [path for path in place.path.rglob("*") if path.suffix in {".key", ".passphrase"}]
    assert len(kept) == 3 * 3 + 2 + 4 * 2
    assert all(path.stat().st_mode & 0o077 == 0 for path in kept)
    passphrase = passphrase_from_file(place.passphrase)
    assert len(read_link_secret(place.path / "members" / "AA" / "link.key", passphrase)) == 32


def test_keyholders_may_sign_copies_of_the_folder(place: Place) -> None:
    copy = place.path / "copy"
    shutil.copytree(place.authority, copy)
    place.sign(2, copy)
    place.sign(3)
    assert "enough" in run("ceremony", "merge", place.authority, copy).output
    run("ceremony", "publish", place.authority)


def test_the_wrong_pin_and_the_wrong_file(place: Place) -> None:
    place.publish()
    other = "00" * 32
    assert "does not belong to the pin" in run("roster", "verify", place.network, "--pin", other, code=1).stderr
    assert "64 hexadecimal" in run("roster", "verify", place.network, "--pin", "12", code=1).stderr
    assert (
        "not what it claims" in run("roster", "verify", place.authority / "terms.json", "--pin", other, code=1).stderr
    )
    assert "hint:" in run("roster", "verify", place.path / "nothing", "--pin", other, code=1).stderr
    run("roster", "verify", place.network, code=2)


def test_a_key_of_nobody_cannot_sign(place: Place) -> None:
    stranger = place.path / "stranger"
    run("ceremony", "new", stranger, "--keys", 2, "--threshold", 1, "--kdf", "min")
    result = run(
        "ceremony",
        "sign",
        place.authority,
        "--key",
        stranger / "secretariat-1.key",
        "--passphrase-file",
        stranger / "secretariat-1.passphrase",
        code=1,
    )
    assert "none of the charter's" in result.stderr


def test_a_member_rotates_its_key(place: Place) -> None:
    place.publish()
    old = place.path / "before.i247"
    shutil.copy(place.network, old)
    folder = place.path / "members" / "AA"
    request = asked(
        "member",
        "change",
        folder,
        "--code",
        "AA",
        "--network",
        place.network,
        "--pin",
        place.pin,
        "--rotate",
        "--new-link",
        "--passphrase-file",
        place.passphrase,
        "--kdf",
        "min",
    )["request"]
    assert "AA" in run("ceremony", "roster", place.authority, "--request", request).output
    place.publish()
    shown = asked("identity", "show", folder / "next-identity.key")
    assert shown["use"] == "identity"
    assert place.rows()["AA"]["identity"] == shown["public"]
    assert len(place.rows()["AA"]["retired"]) == 1  # type: ignore[arg-type]
    changed = asked("roster", "diff", old, place.network, "--pin", place.pin)
    assert set(changed["members"]["AA"]) == {"identity", "next_identity", "link", "retired"}  # type: ignore[index]
    assert "AA: link" in run("roster", "diff", old, place.network).output
    assert run("roster", "diff", old, old).stdout == "no difference\n"


def test_a_stolen_key_gets_no_grace(place: Place) -> None:
    place.publish()
    request = asked(
        "member",
        "change",
        place.path / "members" / "AA",
        "--code",
        "AA",
        "--network",
        place.network,
        "--pin",
        place.pin,
        "--stolen",
        "--passphrase-file",
        place.passphrase,
        "--kdf",
        "min",
    )["request"]
    run("ceremony", "roster", place.authority, "--request", request)
    place.publish()
    issued = asked("roster", "verify", place.network, "--pin", place.pin)["issued"]
    assert place.rows()["AA"]["retired"][0]["until"] == issued  # type: ignore[index]


def test_an_emergency_suspension_and_not_a_second(place: Place) -> None:
    place.publish()
    run("ceremony", "roster", place.authority, "--suspend", "AA")
    place.publish()
    assert place.rows()["AA"]["state_now"] == "suspended"
    again = run("ceremony", "roster", place.authority, "--suspend", "AA", code=1)
    assert "30 days" in again.stderr


def test_a_member_changes_names_and_homes(place: Place) -> None:
    place.publish()
    change = [
        "member",
        "change",
        place.path / "members" / "AA",
        "--network",
        place.network,
        "--pin",
        place.pin,
        "--name",
        "fr=Là",
        "--home",
        "hub-2",
        "--passphrase-file",
        place.passphrase,
        "--kdf",
        "min",
    ]
    run("ceremony", "roster", place.authority, "--request", asked(*change, "--code", "AA")["request"])
    place.publish()
    row = place.rows()["AA"]
    assert (row["names"], row["homes"]) == ({"fr": "Là"}, ["hub-2"])
    assert "does not list it" in run(*change, "--code", "QQ", code=1).stderr


def test_the_ceremony_is_held_in_order(place: Place) -> None:
    assert "there is one already" in run("ceremony", "new", place.authority, code=1).stderr
    stray = place.path / "stray"
    shutil.copytree(place.authority, stray)
    place.found()
    assert "another draft" in run("ceremony", "merge", place.authority, stray, code=1).stderr
    place.publish()
    assert (
        "published already"
        in run(
            "ceremony",
            "found",
            place.authority,
            "--members",
            place.path / "members",
            "--hubs",
            place.path / "hubs",
            code=1,
        ).stderr
    )
    assert "nothing waits" in place.sign(1, code=1).stderr
    run("ceremony", "roster", place.authority)
    stale = (place.authority / "step.draft").read_bytes()
    place.publish()
    (place.authority / "step.draft").write_bytes(stale)
    assert "another roster" in place.sign(1, code=1).stderr
    (place.authority / "step.draft").write_bytes(b"garbage")
    assert "damaged" in place.sign(1, code=1).stderr


def test_only_the_pulse_key_makes_a_pulse(place: Place) -> None:
    place.publish()
    other = place.path / "other"
    run("ceremony", "new", other, "--keys", 2, "--threshold", 1, "--kdf", "min")
    refused = run(
        "ceremony",
        "pulse",
        place.authority,
        "--key",
        other / "pulse.key",
        "--passphrase-file",
        other / "pulse.passphrase",
        code=1,
    )
    assert "not the pulse key" in refused.stderr


def test_part_of_a_log_is_no_network_file(place: Place) -> None:
    place.publish()
    file = codec.decode(place.network.read_bytes(), bytes_max=2**20)
    part = place.path / "part.i247"
    part.write_bytes(codec.encode({**file, "founding": None}))
    assert "does not follow the one before" in run("roster", "show", part, code=1).stderr


def test_hubs_come_and_go(place: Place) -> None:
    place.publish()
    request = asked(
        "hub",
        "request",
        "hub-2",
        "--region",
        "Asia",
        "--endpoint",
        "tcp://127.0.0.1:7248",
        "--out",
        place.path / "hub-2",
        "--passphrase-file",
        place.passphrase,
        "--kdf",
        "min",
    )["request"]
    run("ceremony", "roster", place.authority, "--hub", request, "--remove-hub", "hub-1")
    place.publish()
    assert list(asked("roster", "show", place.network)["hubs"]) == ["hub-2"]  # type: ignore[call-overload]
    run("ceremony", "roster", place.authority, "--remove-hub", "hub-9", code=1)


def test_the_assembly_admits(place: Place) -> None:
    place.publish()
    place.member("ZZ")
    request = place.path / "members" / "ZZ" / "ZZ.request"
    refused = run("ceremony", "roster", place.authority, "--request", request, code=1)
    assert "without a decision or signature" in refused.stderr
    assert "make a fresh request" in refused.stderr
    record = place.path / "admit.decision"
    record.write_bytes(codec.encode(_admitting(place, request)))
    run("ceremony", "roster", place.authority, "--request", request, "--decision", record)
    place.publish()
    assert place.rows()["ZZ"]["state_now"] == "active"


def _admitting(place: Place, request: Path) -> DecisionRecord:
    document = codec.decode(request.read_bytes(), bytes_max=2**20)["p"]
    wall = codec.decode(document, bytes_max=2**20)["iat"]
    fixes = sign_document(document, b"", ()).hash
    decision = encode_decision(Decision(Kind.ADMIT, MemberCode("ZZ"), fixes, 1, wall, wall + DAY_MS))
    proposal = sign_document(decision, contexts.DECISION, ())
    ballots = []
    for code in ("AA", "BB", "XP"):
        passphrase = passphrase_from_file(place.passphrase)
        signer = read_identity(place.path / "members" / code / IDENTITY_FILE, passphrase)
        ballot = codec.encode(Ballot(proposal.hash, MemberCode(code), Vote.YES))
        ballots.append(sign_document(ballot, contexts.BALLOT, [signer]).to_bytes())
    return DecisionRecord(proposal.to_bytes(), tuple(ballots))


@pytest.mark.parametrize(
    "arguments",
    [
        ["member", "request", "France", "--out", "x", "--passphrase-file", "passphrase", "--kdf", "min"],
        [
            "member",
            "request",
            "FR",
            "--name",
            "France",
            "--out",
            "x",
            "--passphrase-file",
            "passphrase",
            "--kdf",
            "min",
        ],
        ["member", "request", "FR", "--home", "Hub 1", "--out", "x", "--passphrase-file", "passphrase", "--kdf", "min"],
        ["member", "request", "FR", "--out", "x", "--passphrase-file", "nothing", "--kdf", "min"],
        ["hub", "request", "h", "--region", "", "--endpoint", "e", "--out", "x", "--passphrase-file", "passphrase"],
        ["ceremony", "new", "x", "--keys", "2", "--threshold", "2"],
        ["ceremony", "new", "x", "--keys", "1", "--threshold", "1", "--holder", "zz"],
        ["ceremony", "found", "x", "--members", "m", "--hubs", "h"],
        ["ceremony", "publish", "x"],
        ["ceremony", "pulse", "x"],
        ["ceremony", "roster", "x"],
        ["identity", "show", "passphrase"],
    ],
    ids=lambda arguments: " ".join(arguments[:4]),
)
def test_a_fault_tells_what_to_do(arguments: list[str], tmp_path: Path) -> None:
    with contextlib.chdir(tmp_path):
        Path("passphrase").write_text("correct horse\n")
        Path("passphrase").chmod(0o600)
        result = run(*arguments, code=1)
        told = [line for line in result.stderr.splitlines() if not line.startswith("note:")]
        assert [line.partition(":")[0] for line in told] == ["error", "hint"]
        assert result.stdout == ""
        assert not Path("x", "identity.key").exists()


def test_help_shows_examples_on_lines_of_their_own() -> None:
    for command in ([], ["ceremony", "roster"], ["member", "request"]):
        assert "\n    i247-keys " in run(*command, "--help").output.replace("\n  i247", "\n    i247")
    run("ceremony", "unknown", code=2)


def test_nothing_is_left_behind_when_a_folder_cannot_be_written(place: Place) -> None:
    before = sorted(place.authority.iterdir())
    run("ceremony", "found", place.authority, "--members", place.path / "hubs", "--hubs", place.path / "hubs", code=1)
    assert sorted(place.authority.iterdir()) == before
