import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from i247_keys import keyfile
from i247_keys.keyfile import (
    KEYFILE_BYTES_MAX,
    LEAST,
    PASSPHRASE_BYTES_MAX,
    Cost,
    passphrase_from_credential,
    passphrase_from_file,
    read_keyfile,
    read_public,
    write_keyfile,
)
from i247_protocol import codec
from i247_protocol.errors import CallerFault, I247Error, WorldFault

SECRET, PUBLIC, PASSPHRASE = b"\xab" * 32, b"\xcd" * 32, b"correct horse"
IS_ROOT = os.geteuid() == 0


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "identity.key"
    written(path)
    return path


def written(path: Path) -> None:
    write_keyfile(path, use="identity", public=PUBLIC, secret=SECRET, passphrase=PASSPHRASE, cost=LEAST)


def read(path: Path) -> bytes:
    return read_keyfile(path, use="identity", passphrase=PASSPHRASE)


def rewritten(path: Path, **changes: object) -> None:
    fields = codec.decode(path.read_bytes(), bytes_max=KEYFILE_BYTES_MAX)
    path.write_bytes(codec.encode(fields | changes))


# --- what works ---


def test_a_secret_comes_back(path: Path) -> None:
    assert read(path) == SECRET
    assert read_public(path, use="identity") == PUBLIC


def test_the_file_is_its_owners_alone_and_nothing_lies_beside_it(path: Path) -> None:
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.stat().st_nlink == 1
    assert list(path.parent.iterdir()) == [path]


def test_the_umask_neither_opens_nor_closes_it(tmp_path: Path) -> None:
    for umask in (0o000, 0o777):
        path = tmp_path / f"{umask}.key"
        before = os.umask(umask)
        try:
            written(path)
        finally:
            os.umask(before)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_the_secret_stands_nowhere_in_the_file(path: Path) -> None:
    data = path.read_bytes()
    assert SECRET[:8] not in data
    assert PASSPHRASE not in data


def test_two_files_of_one_secret_share_no_salt(tmp_path: Path) -> None:
    fields = []
    for name in ("a", "b"):
        written(tmp_path / name)
        fields.append(codec.decode((tmp_path / name).read_bytes(), bytes_max=KEYFILE_BYTES_MAX))
    assert all(fields[0][name] != fields[1][name] for name in ("salt", "nonce", "box"))


def test_an_identity_is_guarded_well_unless_told_otherwise() -> None:
    assert write_keyfile.__kwdefaults__ == {"cost": keyfile.MODERATE}
    assert keyfile.MODERATE.mem >= 256 << 20


# --- writing ---


def test_an_existing_file_is_never_overwritten(path: Path) -> None:
    before = path.read_bytes()
    with pytest.raises(CallerFault) as fault:
        written(path)
    assert "exists" in fault.value.hint
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_a_link_that_leads_nowhere_counts_as_existing(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(CallerFault):
        written(tmp_path / "link")
    assert not (tmp_path / "elsewhere").exists()


def test_a_missing_directory_is_the_worlds_fault(tmp_path: Path) -> None:
    with pytest.raises(WorldFault) as fault:
        written(tmp_path / "missing" / "identity.key")
    assert "exists" in fault.value.hint


def test_a_secret_too_long_to_be_read_again_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(CallerFault):
        write_keyfile(tmp_path / "k", use="u", public=b"", secret=bytes(KEYFILE_BYTES_MAX), passphrase=b"p", cost=LEAST)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("passphrase", [b"", bytes(PASSPHRASE_BYTES_MAX + 1)])
def test_there_is_no_file_without_a_passphrase(path: Path, passphrase: bytes) -> None:
    with pytest.raises(CallerFault):
        write_keyfile(
            path.with_name("new"), use="identity", public=PUBLIC, secret=SECRET, passphrase=passphrase, cost=LEAST
        )
    with pytest.raises(CallerFault):
        read_keyfile(path, use="identity", passphrase=passphrase)


@pytest.mark.parametrize("cost", [Cost(ops=1, mem=1 << 40), Cost(ops=100, mem=8192), Cost(ops=0, mem=8192), Cost(1, 0)])
def test_a_file_that_would_be_refused_is_not_written(tmp_path: Path, cost: Cost) -> None:
    with pytest.raises(CallerFault):
        write_keyfile(tmp_path / "k", use="u", public=b"", secret=b"s", passphrase=b"p", cost=cost)
    assert list(tmp_path.iterdir()) == []


# --- reading what is not right ---


def test_a_wrong_passphrase_is_the_callers_fault(path: Path) -> None:
    with pytest.raises(CallerFault) as fault:
        read_keyfile(path, use="identity", passphrase=b"wrong")
    assert "passphrase" in fault.value.hint


def test_a_file_for_another_use_is_the_callers_fault(path: Path) -> None:
    with pytest.raises(CallerFault):
        read_keyfile(path, use="link", passphrase=PASSPHRASE)
    with pytest.raises(CallerFault):
        read_public(path, use="link")


def test_a_relabelled_file_is_refused(path: Path) -> None:
    rewritten(path, use="link")
    with pytest.raises(WorldFault):
        read_keyfile(path, use="link", passphrase=PASSPHRASE)


def test_a_file_with_another_public_key_is_refused(path: Path) -> None:
    rewritten(path, public=bytes(32))
    with pytest.raises(WorldFault):
        read(path)


def link_to_it(path: Path) -> None:
    path.rename(path.with_name("real"))
    path.symlink_to(path.with_name("real"))


def in_place_of_it(make: Callable[[Path], object]) -> Callable[[Path], object]:
    def replace(path: Path) -> None:
        path.unlink()
        make(path)

    return replace


SPOILT: dict[str, Callable[[Path], Any]] = {
    "missing": Path.unlink,
    "group may read": lambda path: path.chmod(0o640),
    "group may write": lambda path: path.chmod(0o620),
    "others may read": lambda path: path.chmod(0o604),
    "a symbolic link": link_to_it,
    "a directory": in_place_of_it(Path.mkdir),
    "a pipe": in_place_of_it(lambda path: os.mkfifo(path, 0o600)),
    "empty": lambda path: path.write_bytes(b""),
    "cut off": lambda path: path.write_bytes(path.read_bytes()[:-1]),
    "too large": lambda path: path.write_bytes(path.read_bytes().ljust(KEYFILE_BYTES_MAX + 1, b"\0")),
    "a newer version": lambda path: rewritten(path, v=2),
    "another derivation": lambda path: rewritten(path, kdf="scrypt"),
    "a short salt": lambda path: rewritten(path, salt=b"salt"),
    "a short nonce": lambda path: rewritten(path, nonce=b"nonce"),
    "no passes": lambda path: rewritten(path, ops=0),
    "an absurd number of passes": lambda path: rewritten(path, ops=2**32 - 1),
    "no memory": lambda path: rewritten(path, mem=0),
    "an absurd amount of memory": lambda path: rewritten(path, mem=2**40),
    "memory that is no whole KiB": lambda path: rewritten(path, mem=LEAST.mem + 1),  # would open all the same
    "an unknown field": lambda path: rewritten(path, more=1),
}


@pytest.mark.timeout(20)  # absurd costs must not be spent
@pytest.mark.parametrize("name", SPOILT)
def test_a_file_that_is_not_right_is_the_worlds_fault(path: Path, name: str) -> None:
    SPOILT[name](path)
    for attempt in (read, lambda path: read_public(path, use="identity")):
        with pytest.raises(WorldFault) as fault:
            attempt(path)
        assert fault.value.hint
        assert str(path) in fault.value.doing


@pytest.mark.skipif(not IS_ROOT, reason="only root can give a file away")
def test_a_file_that_another_user_owns_is_refused(path: Path) -> None:
    os.chown(path, 12345, -1)
    with pytest.raises(WorldFault) as fault:
        read(path)
    assert "own" in fault.value.hint


@given(st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
def test_one_flipped_bit_is_a_fault_of_somebody(path: Path, data: st.DataObject) -> None:
    right = path.read_bytes()
    changed = bytearray(right)
    changed[data.draw(st.integers(0, len(changed) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    path.write_bytes(changed)
    try:
        with pytest.raises(I247Error):
            read(path)
    finally:
        path.write_bytes(right)


@given(st.binary(max_size=400))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_are_the_worlds_fault(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    with pytest.raises(WorldFault):
        read(path)


# --- passphrases ---


@pytest.mark.parametrize(
    ("content", "passphrase"),
    [
        (b"word", b"word"),
        (b"word\n", b"word"),
        (b"word\r\n", b"word"),
        (b" word \n\n", b" word \n"),
        (b"\xff\n", b"\xff"),
    ],
)
def test_one_final_newline_is_not_part_of_a_passphrase(tmp_path: Path, content: bytes, passphrase: bytes) -> None:
    path = tmp_path / "passphrase"
    path.touch(0o600)
    path.write_bytes(content)
    assert passphrase_from_file(path) == passphrase
    assert passphrase_from_credential("passphrase", tmp_path) == passphrase


@pytest.mark.parametrize(
    ("mode", "file_is_good", "credential_is_good"),
    [
        (0o600, True, True),
        (0o400, True, True),
        (0o440, False, True),  # as systemd's access list shows
        (0o444, False, False),
        (0o420, False, False),
        (0o404, False, False),
        (0o640, False, True),
    ],
)
def test_a_passphrase_that_others_can_read_is_refused(
    tmp_path: Path, mode: int, file_is_good: bool, credential_is_good: bool
) -> None:
    path = tmp_path / "passphrase"
    path.write_bytes(b"word")
    path.chmod(mode)
    attempts: tuple[tuple[Callable[[], bytes], bool], ...] = (
        (lambda: passphrase_from_file(path), file_is_good),
        (lambda: passphrase_from_credential("passphrase", tmp_path), credential_is_good),
    )
    for attempt, is_good in attempts:
        if is_good:
            assert attempt() == b"word"
        else:
            with pytest.raises(WorldFault) as fault:
                attempt()
            assert "chmod" in fault.value.hint


@pytest.mark.parametrize("content", [b"", b"\n", bytes(PASSPHRASE_BYTES_MAX + 1)])
def test_an_empty_or_endless_passphrase_is_the_callers_fault(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "passphrase"
    path.touch(0o600)
    path.write_bytes(content)
    with pytest.raises(CallerFault):
        passphrase_from_file(path)


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "/etc/passwd", "a\0b"])
def test_a_credential_has_a_plain_name(tmp_path: Path, name: str) -> None:
    with pytest.raises(CallerFault):
        passphrase_from_credential(name, tmp_path)
