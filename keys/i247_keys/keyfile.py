"""Keep one secret in one file, readable with a passphrase by the user who owns it.

The file is the canonical msgpack

    v       1
    kdf     "argon2id"
    ops     Argon2id's passes
    mem     Argon2id's memory, bytes, whole KiB
    salt    16 random bytes
    nonce   24 random bytes
    box     secretbox (XSalsa20-Poly1305) of the canonical {public, secret, use}
    use     what the secret is for, as "identity" or "link"
    public  its public key, readable without the passphrase

`use` and `public` stand inside the box too, so a file cannot be relabelled. A file is written once with mode 0600
and never over another; it is read only when nobody else could have written or read it. There is no form
without a passphrase. A passphrase comes from a file or from systemd's credentials, never from a command line or
an environment variable, which other processes can see. Edge: touches the disk. docs/operations.md.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
from nacl import bindings, exceptions

from i247_protocol import codec
from i247_protocol.errors import CallerFault, PeerFault, WorldFault


@dataclass(frozen=True, slots=True)
class Cost:
    """What one guess at a passphrase costs: passes, and bytes of memory."""

    ops: int
    mem: int


MODERATE: Final = Cost(
    bindings.crypto_pwhash_argon2id_OPSLIMIT_MODERATE, bindings.crypto_pwhash_argon2id_MEMLIMIT_MODERATE
)
"""For identities: 256 MiB, under a second."""
INTERACTIVE: Final = Cost(
    bindings.crypto_pwhash_argon2id_OPSLIMIT_INTERACTIVE, bindings.crypto_pwhash_argon2id_MEMLIMIT_INTERACTIVE
)
"""For machines with little memory: 64 MiB."""
LEAST: Final = Cost(bindings.crypto_pwhash_argon2id_OPSLIMIT_MIN, bindings.crypto_pwhash_argon2id_MEMLIMIT_MIN)
"""For tests and demonstrations: protects nothing."""


def write_keyfile(
    path: Path, *, use: str, public: bytes, secret: bytes, passphrase: bytes, cost: Cost = MODERATE
) -> None:
    """Write a new keyfile, all of it or nothing; raise CallerFault when `path` exists already."""
    doing = f"writing the keyfile {path}"
    _require_passphrase(passphrase, doing)
    if not _is_sane(cost):
        raise CallerFault(doing, "choose one of the costs that this module names")
    # Asked before the passphrase is stretched, which takes a second; the link below is what decides.
    if os.path.lexists(path):
        raise CallerFault(doing, _EXISTS)
    salt, nonce = os.urandom(_SALT_BYTES), os.urandom(_NONCE_BYTES)
    inside = codec.encode(_Inside(public=public, secret=secret, use=use))
    box = bindings.crypto_secretbox(inside, nonce, _stretched(passphrase, salt, cost, doing))
    data = codec.encode(
        _Keyfile(
            v=_VERSION, kdf=_KDF, ops=cost.ops, mem=cost.mem, salt=salt, nonce=nonce, box=box, use=use, public=public
        )
    )
    if len(data) > KEYFILE_BYTES_MAX:
        raise CallerFault(doing, f"keep secret, public key and use to less than {KEYFILE_BYTES_MAX} bytes together")
    _write_new(path, data, doing)


def read_keyfile(path: Path, *, use: str, passphrase: bytes) -> bytes:
    """Return the secret in a keyfile for `use`.

    Raise CallerFault for a wrong passphrase or a file for another use, WorldFault for one that cannot be read,
    is damaged, or is open to others.
    """
    doing = f"reading the keyfile {path}"
    _require_passphrase(passphrase, doing)
    keyfile = _parsed(path, use, doing)
    key = _stretched(passphrase, keyfile.salt, Cost(keyfile.ops, keyfile.mem), doing)
    try:
        inside = bindings.crypto_secretbox_open(keyfile.box, keyfile.nonce, key)
    except exceptions.CryptoError:
        raise CallerFault(doing, "check the passphrase; if it is right, the file is damaged: restore it") from None
    try:
        opened = codec.decode_as(_Inside, inside, bytes_max=KEYFILE_BYTES_MAX)
    except PeerFault:
        raise WorldFault(doing, _DAMAGED) from None
    if (opened.use, opened.public) != (keyfile.use, keyfile.public):
        raise WorldFault(doing, "the file was relabelled: restore it from a backup, and find out who changed it")
    return opened.secret


def read_public(path: Path, *, use: str) -> bytes:
    """Return the public key that a keyfile claims, without its passphrase; only opening the file proves it."""
    return _parsed(path, use, f"reading the keyfile {path}").public


def passphrase_from_file(path: Path) -> bytes:
    """Return the passphrase in a file of mode 0600 or less, owned by this user; one final newline is not part of it."""
    doing = f"reading the passphrase file {path}"
    return _passphrase(_read_private(path, PASSPHRASE_BYTES_MAX + 2, doing, is_credential=False), doing)


def passphrase_from_credential(name: str, directory: Path) -> bytes:
    """Return the passphrase that systemd laid into the service's credentials directory under `name`.

    systemd gives the file to root and lets the service in by an access list, which shows as mode 0440.
    """
    doing = f"reading the credential {name} in {directory}"
    if name in {"", ".", ".."} or "/" in name or "\0" in name:
        raise CallerFault(doing, "give a credential's plain name, as in LoadCredential=name:path")
    return _passphrase(_read_private(directory / name, PASSPHRASE_BYTES_MAX + 2, doing, is_credential=True), doing)


class _Keyfile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    v: int
    kdf: str
    ops: int
    mem: int
    salt: bytes
    nonce: bytes
    box: bytes
    use: str
    public: bytes


class _Inside(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    public: bytes
    secret: bytes
    use: str

    def __repr__(self) -> str:
        """Show nothing."""
        return "_Inside(…)"


def _parsed(path: Path, use: str, doing: str) -> _Keyfile:
    data = _read_private(path, KEYFILE_BYTES_MAX, doing, is_credential=False)
    try:
        keyfile = codec.decode_as(_Keyfile, data, bytes_max=KEYFILE_BYTES_MAX)
    except PeerFault:
        raise WorldFault(doing, _DAMAGED) from None
    if keyfile.v != _VERSION or keyfile.kdf != _KDF:
        raise WorldFault(doing, "it was written by a newer version of this program: update this one")
    if len(keyfile.salt) != _SALT_BYTES or len(keyfile.nonce) != _NONCE_BYTES:
        raise WorldFault(doing, _DAMAGED)
    # Before any of it is spent: a planted file must not take all memory or an hour.
    if not _is_sane(Cost(keyfile.ops, keyfile.mem)):
        raise WorldFault(doing, f"its Argon2 costs are absurd: {_DAMAGED}")
    if keyfile.use != use:
        raise CallerFault(doing, f"name the file that holds the {use} key; this one holds another")
    return keyfile


def _stretched(passphrase: bytes, salt: bytes, cost: Cost, doing: str) -> bytes:
    try:
        return bindings.crypto_pwhash_alg(
            bindings.crypto_secretbox_KEYBYTES,
            passphrase,
            salt,
            cost.ops,
            cost.mem,
            bindings.crypto_pwhash_ALG_ARGON2ID13,
        )
    except exceptions.RuntimeError:
        raise WorldFault(doing, f"free {cost.mem >> 20} MiB of memory, which the passphrase needs") from None


def _is_sane(cost: Cost) -> bool:
    # Argon2 counts memory in KiB, so bytes beyond a whole one would change the file and not the key.
    return LEAST.ops <= cost.ops <= _MOST.ops and LEAST.mem <= cost.mem <= _MOST.mem and cost.mem % 1024 == 0


def _require_passphrase(passphrase: bytes, doing: str) -> None:
    if not 0 < len(passphrase) <= PASSPHRASE_BYTES_MAX:
        raise CallerFault(doing, f"give a passphrase of 1 to {PASSPHRASE_BYTES_MAX} bytes")


def _passphrase(data: bytes, doing: str) -> bytes:
    passphrase = data.removesuffix(b"\n").removesuffix(b"\r")
    _require_passphrase(passphrase, doing)
    return passphrase


def _read_private(path: Path, bytes_max: int, doing: str, *, is_credential: bool) -> bytes:
    try:
        # Neither through a link nor waiting for a pipe's other end. What was opened is what is judged.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            _require_private(os.fstat(descriptor), path, doing, is_credential=is_credential)
            data = os.read(descriptor, bytes_max + 1)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise WorldFault(doing, f"{error.strerror}: check the path; it may not be a symbolic link") from None
    if len(data) > bytes_max:
        raise WorldFault(doing, f"it is larger than {bytes_max} bytes: name the right file")
    return data


def _require_private(status: os.stat_result, path: Path, doing: str, *, is_credential: bool) -> None:
    owners = {os.geteuid(), 0} if is_credential else {os.geteuid()}
    forbidden = 0o137 if is_credential else 0o077
    if not stat.S_ISREG(status.st_mode):
        raise WorldFault(doing, "name a regular file")
    if status.st_uid not in owners:
        raise WorldFault(doing, f"others own it: chown it to the user who runs this program, as in chown $USER {path}")
    if stat.S_IMODE(status.st_mode) & forbidden:
        raise WorldFault(doing, f"others may read or write it: chmod 600 {path}, and think about who has read it")


def _write_new(path: Path, data: bytes, doing: str) -> None:
    temporary = path.with_name(f".{path.name}.{os.urandom(8).hex()}")
    try:
        try:
            _write_durably(temporary, data)
            # Unlike a rename, a link never replaces what is there.
            os.link(temporary, path)
        finally:
            with suppress(FileNotFoundError):
                temporary.unlink()
        _sync_directory(path.parent)
    except FileExistsError:
        raise CallerFault(doing, _EXISTS) from None
    except OSError as error:
        raise WorldFault(doing, f"{error.strerror}: check that {path.parent} exists and may be written") from None


def _write_durably(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with open(descriptor, "wb") as file:  # noqa: PTH123  a descriptor has no path
        os.fchmod(descriptor, 0o600)  # whatever the umask took away
        file.write(data)
        file.flush()
        os.fsync(descriptor)


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


KEYFILE_BYTES_MAX: Final = 4096
PASSPHRASE_BYTES_MAX: Final = 1024
_VERSION: Final = 1
_KDF: Final = "argon2id"
_SALT_BYTES: Final = bindings.crypto_pwhash_SALTBYTES
_NONCE_BYTES: Final = bindings.crypto_secretbox_NONCEBYTES
_MOST: Final = Cost(
    bindings.crypto_pwhash_argon2id_OPSLIMIT_SENSITIVE, bindings.crypto_pwhash_argon2id_MEMLIMIT_SENSITIVE
)
_EXISTS: Final = "it exists already and is never overwritten: move it away first, or choose another name"
_DAMAGED: Final = "it is not a keyfile, or damaged: restore it from a backup"
