"""Keep the secrets of a member or a hub in a folder, and make the requests that they sign. Edge.

    identity.key        signs for the member or hub
    next-identity.key   a member's next identity, which the roster commits to; to be kept elsewhere
    link.key            the CURVE secret that it connects with
    new-*.key           what a change will put in place of the above, once the roster carries it out
    *.request           what is sent to the secretariat

A keyfile's form and its protection are left to `keyfile`, what a request holds to `ceremony`. docs/operations.md.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
from nacl import bindings

from i247_edges.clock import read_clocks
from i247_keys import contexts
from i247_keys.ceremony import hub_request, member_request
from i247_keys.documents import Document
from i247_keys.identity import SEED_BYTES, Identity
from i247_keys.keyfile import MODERATE, Cost, read_keyfile, write_keyfile
from i247_keys.request import Particulars, particulars_of
from i247_keys.roster import MemberRow
from i247_keys.whole_file import write_whole
from i247_protocol.digests import next_key_hash
from i247_protocol.errors import WorldFault
from i247_protocol.names import HubName, MemberCode


def make_member_keys(
    directory: Path,
    code: MemberCode,
    names: Mapping[str, str],
    homes: Sequence[HubName],
    passphrase: bytes,
    cost: Cost = MODERATE,
) -> Path:
    """Make a member's identity, next identity and link keys, and its request to join; return the request's path."""
    identity, following, link = fresh_seed(), fresh_seed(), fresh_seed()
    wanted = Particulars(
        dict(names),
        Identity(identity).public,
        next_key_hash(Identity(following).public),
        link_public(link),
        tuple(homes),
    )
    document = member_request(code, None, wanted, read_clocks().wall)
    make_folder(directory)
    write_identity(directory / IDENTITY_FILE, identity, IDENTITY, passphrase, cost)
    write_identity(directory / NEXT_IDENTITY_FILE, following, IDENTITY, passphrase, cost)
    write_link(directory / LINK_FILE, link, passphrase, cost)
    return _write_request(directory / f"{code}{REQUEST_SUFFIX}", document, [Identity(identity)])


def make_hub_keys(
    directory: Path, name: HubName, region: str, endpoints: Sequence[str], passphrase: bytes, cost: Cost = MODERATE
) -> Path:
    """Make a hub's identity and link keys, and its request to be listed; return the request's path."""
    identity, link = fresh_seed(), fresh_seed()
    document = hub_request(
        name,
        region=region,
        identity=Identity(identity).public,
        link=link_public(link),
        endpoints=tuple(endpoints),
        wall=read_clocks().wall,
    )
    make_folder(directory)
    write_identity(directory / IDENTITY_FILE, identity, IDENTITY, passphrase, cost)
    write_link(directory / LINK_FILE, link, passphrase, cost)
    return _write_request(directory / f"{name}{REQUEST_SUFFIX}", document, [Identity(identity)])


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a member wants changed; None leaves it as it is."""

    names: Mapping[str, str] | None = None
    homes: Sequence[HubName] | None = None
    rotates: bool = False
    renews_link: bool = False


def change_member(
    directory: Path, row: MemberRow, wanted: Wanted, passphrase: bytes, cost: Cost = MODERATE, *, stolen: bool = False
) -> Path:
    """Make a member's request to change its row, signed by its keys in `directory`; return the request's path.

    New secrets are written beside the old ones as `new-*.key`, to be renamed when the roster carries the request out.
    After a theft the committed key signs alone, so the stolen one gets no grace.
    """
    after = particulars_of(row)
    signers = [] if stolen else [read_identity(directory / IDENTITY_FILE, passphrase)]
    if wanted.names is not None:
        after = msgspec.structs.replace(after, names=dict(wanted.names))
    if wanted.homes is not None:
        after = msgspec.structs.replace(after, homes=tuple(wanted.homes))
    if wanted.rotates or stolen:
        following = read_identity(directory / NEXT_IDENTITY_FILE, passphrase)
        signers.append(following)
        seed = fresh_seed()
        write_identity(directory / f"new-{NEXT_IDENTITY_FILE}", seed, IDENTITY, passphrase, cost)
        after = msgspec.structs.replace(
            after, identity=following.public, next_identity=next_key_hash(Identity(seed).public)
        )
    if wanted.renews_link:
        link = fresh_seed()
        write_link(directory / f"new-{LINK_FILE}", link, passphrase, cost)
        after = msgspec.structs.replace(after, link=link_public(link))
    wall = read_clocks().wall
    return _write_request(
        directory / f"{row.code}-{wall}{REQUEST_SUFFIX}", member_request(row.code, row, after, wall), signers
    )


def read_identity(path: Path, passphrase: bytes, use: str = "identity") -> Identity:
    """Return the signing key in a keyfile."""
    return Identity(read_keyfile(path, use=use, passphrase=passphrase))


def read_link_secret(path: Path, passphrase: bytes) -> bytes:
    """Return the 32-byte CURVE secret in a keyfile."""
    return read_keyfile(path, use=LINK, passphrase=passphrase)


def write_identity(path: Path, seed: bytes, use: str, passphrase: bytes, cost: Cost) -> None:
    """Write the signing key of a seed."""
    write_keyfile(path, use=use, public=Identity(seed).public, secret=seed, passphrase=passphrase, cost=cost)


def write_link(path: Path, secret: bytes, passphrase: bytes, cost: Cost) -> None:
    """Write the link key of a CURVE secret."""
    write_keyfile(path, use=LINK, public=link_public(secret), secret=secret, passphrase=passphrase, cost=cost)


def fresh_seed() -> bytes:
    """Return 32 random bytes for a key."""
    return os.urandom(SEED_BYTES)


def link_public(secret: bytes) -> bytes:
    """Return the public half of a CURVE secret (X25519)."""
    return bindings.crypto_scalarmult_base(secret)


def make_folder(directory: Path) -> None:
    """Make a folder for secrets, readable by its owner only, unless it is there."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise WorldFault(f"making the folder {directory}", f"{error.strerror}: check the path") from None


def _write_request(path: Path, document: Document, signers: Iterable[Identity]) -> Path:
    for signer in signers:
        document = document.with_signature(contexts.REQUEST, signer)
    write_whole(path, document.to_bytes())
    return path


IDENTITY: Final = "identity"
LINK: Final = "link"

IDENTITY_FILE: Final = "identity.key"
NEXT_IDENTITY_FILE: Final = "next-identity.key"
LINK_FILE: Final = "link.key"
REQUEST_SUFFIX: Final = ".request"
