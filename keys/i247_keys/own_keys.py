"""Open a daemon's own two keys, and compare them with what the roster lists. Edge. docs/operations.md."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

from i247_edges.link import link_key
from i247_keys.identity import Identity
from i247_keys.keyfile import passphrase_from_credential, passphrase_from_file, read_keyfile, read_public
from i247_keys.roster import HubRow, MemberRow
from i247_protocol.errors import CallerFault, WorldFault


class KeyFiles(Protocol):
    """Where a configuration says that the keys lie; of the two ways to a passphrase, one is set."""

    @property
    def identity(self) -> Path:
        """The identity's keyfile."""
        ...

    @property
    def link(self) -> Path:
        """The link key's keyfile."""
        ...

    @property
    def passphrase_file(self) -> Path | None:
        """A file of mode 0600."""
        ...

    @property
    def passphrase_credential(self) -> str | None:
        """The name that systemd's LoadCredential= gives it."""
        ...


@dataclass(frozen=True, slots=True)
class Publics:
    """The public keys by which the roster should list a member or a hub."""

    identity: bytes
    link: bytes

    def are_those_of(self, row: MemberRow | HubRow | None) -> bool:
        """Whether `row` lists these keys."""
        return row is not None and (row.identity, row.link) == (self.identity, self.link)

    def require_same(self, row: MemberRow | HubRow, doing: str) -> None:
        """Raise CallerFault unless `row` lists these keys."""
        for kind, mine, listed in (("identity", self.identity, row.identity), ("link", self.link, row.link)):
            if mine != listed:
                raise CallerFault(
                    doing, f"it lists another {kind} key: name the right keyfile, or have the present key published"
                )


@dataclass(frozen=True, slots=True)
class Secrets:
    """A member's or a hub's two keys; `link` is the raw CURVE secret."""

    identity: Identity
    link: bytes = field(repr=False)

    @property
    def publics(self) -> Publics:
        """The public halves."""
        return Publics(self.identity.public, link_key(self.link))


def unlock(files: KeyFiles) -> Secrets:
    """Open both keyfiles; takes a second, and the memory that the passphrase costs."""
    passphrase = _passphrase(files)
    return Secrets(
        Identity(read_keyfile(files.identity, use=IDENTITY, passphrase=passphrase)),
        read_keyfile(files.link, use=LINK, passphrase=passphrase),
    )


def claimed(files: KeyFiles) -> Publics:
    """Return the public keys that the keyfiles claim to hold; no passphrase is needed."""
    return Publics(read_public(files.identity, use=IDENTITY), read_public(files.link, use=LINK))


def examine_keys(files: KeyFiles) -> str:
    """Tell the public keys in short."""
    publics = claimed(files)
    return f"identity {publics.identity.hex()[:16]}…, link {publics.link.hex()[:16]}…"


def examine_passphrase(files: KeyFiles) -> str:
    """Tell whether the passphrase opens the keyfiles, and they hold what they claim."""
    if files.passphrase_credential is not None and CREDENTIALS not in os.environ:
        return f"systemd gives it to the daemon as {files.passphrase_credential}; not tried here"
    if unlock(files).publics != claimed(files):
        raise WorldFault("comparing the keyfiles with what they claim", "restore them from a backup")
    return "it opens both keyfiles"


def _passphrase(files: KeyFiles) -> bytes:
    if files.passphrase_file is not None:
        return passphrase_from_file(files.passphrase_file)
    name = files.passphrase_credential or ""
    directory = os.environ.get(CREDENTIALS)
    if directory is None:
        raise CallerFault(
            f"reading the credential {name}", f"start the daemon by systemd with LoadCredential={name}:FILE"
        )
    return passphrase_from_credential(name, Path(directory))


IDENTITY: Final = "identity"
LINK: Final = "link"
CREDENTIALS: Final = "CREDENTIALS_DIRECTORY"
