"""Measure the floors: what disk, cryptography and a bare socket take, without anything of this project on top."""

from __future__ import annotations

import hmac
import os
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import apsw
from nacl import bindings

from measures import median, percentile


@dataclass(frozen=True, slots=True)
class DiskTimes:
    """How long this disk took just now, in µs, one entry a try."""

    syncs: list[float]
    commits: list[float]


def told(before: DiskTimes, after: DiskTimes) -> str:
    """Return what the disk took around a measurement."""
    pairs = (
        ("write + fsync of 4 KiB", before.syncs, after.syncs),
        ("SQLite FULL commit", before.commits, after.commits),
    )
    return "; ".join(
        f"{name} {median(one):,.0f} µs before, {median(other):,.0f} after (p99 {percentile([*one, *other], 0.99):,.0f})"
        for name, one, other in pairs
    )


def disk_times(folder: Path, times: int = 100) -> DiskTimes:
    """Return the times of a plain sync and of a commit, taken in turn."""
    syncs, commits = [], []
    with _plain_file(folder / "probe") as descriptor, closing(_database(folder / "probe.db")) as database:
        for _ in range(times):
            begin = time.perf_counter()
            os.write(descriptor, bytes(4096))
            os.fsync(descriptor)
            middle = time.perf_counter()
            database.execute("INSERT INTO probe VALUES (?)", (bytes(1024),))
            syncs.append((middle - begin) * 1e6)
            commits.append((time.perf_counter() - middle) * 1e6)
    for path in folder.glob("probe*"):
        path.unlink()
    return DiskTimes(syncs, commits)


def sealing_primitives() -> None:
    """Do what signing (RFC 8032) and sealing (RFC 9180) must do at the least, and nothing else."""
    bindings.crypto_sign(STATEMENT, SIGNING_SECRET)
    bindings.crypto_scalarmult_base(SECRET)
    bindings.crypto_scalarmult(SECRET, PUBLIC)
    key_schedule()
    bindings.crypto_aead_chacha20poly1305_ietf_encrypt(INNER, b"", NONCE, SECRET)


def opening_primitives() -> None:
    """Do what opening and verifying must do at the least, and nothing else."""
    bindings.crypto_scalarmult(SECRET, PUBLIC)
    key_schedule()
    bindings.crypto_aead_chacha20poly1305_ietf_decrypt(CIPHERTEXT, b"", NONCE, SECRET)
    bindings.crypto_sign_open(SIGNED, SIGNING_PUBLIC)


def wrapping_primitives(recipients: int) -> None:
    """Do what sealing a content key to many recipients must do at the least."""
    for _ in range(recipients):
        bindings.crypto_scalarmult_base(SECRET)
        bindings.crypto_scalarmult(SECRET, PUBLIC)
        key_schedule()
        bindings.crypto_aead_chacha20poly1305_ietf_encrypt(SECRET, b"", NONCE, SECRET)


def key_schedule() -> None:
    """Do HPKE's key schedule: three extracts and three expands, each an HMAC of a short text."""
    for _ in range(6):
        hmac.digest(SECRET, LABELLED, "sha256")


@contextmanager
def _plain_file(path: Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_CREAT | os.O_WRONLY, 0o600)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _database(path: Path) -> apsw.Connection:
    database = apsw.Connection(str(path))
    database.pragma("journal_mode", "wal")
    database.pragma("synchronous", "full")
    database.execute("CREATE TABLE probe (data BLOB)")
    return database


STATEMENT: Final = bytes(953)
"""With its signature it pads to 1 KiB."""
INNER: Final = bytes(1024)
LABELLED: Final = bytes(100)
NONCE: Final = bytes(12)
SECRET: Final = bytes(range(32))
PUBLIC: Final = bindings.crypto_scalarmult_base(bytes(range(32, 64)))
SIGNING_PUBLIC, SIGNING_SECRET = bindings.crypto_sign_seed_keypair(bytes(32))
SIGNED: Final = bindings.crypto_sign(STATEMENT, SIGNING_SECRET)
CIPHERTEXT: Final = bindings.crypto_aead_chacha20poly1305_ietf_encrypt(INNER, b"", NONCE, SECRET)
