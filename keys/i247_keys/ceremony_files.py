"""Make keys and requests as files, and keep a ceremony in a folder until enough keyholders have signed. Edge.

A ceremony's folder holds public things only, but for keys that `new_ceremony` makes there so that each holder can
take theirs away:

    terms.json          the keyholders' public keys, the pulse key, the threshold
    charter.draft       the first charter, unsigned or partly signed; gone once published
    roster.draft        the first roster, likewise
    step.draft          the next roster as a step, likewise
    network.i247        what has been published: the whole log
    pin.txt             the pin in hexadecimal

What a draft may hold is decided in `ceremony`, what is believed in `trust`. docs/operations.md.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

import msgspec
from nacl import bindings

from i247_keys import contexts
from i247_keys.ceremony import (
    Changes,
    Terms,
    found,
    hub_request,
    member_request,
    next_pulse,
    next_roster,
    step_document,
    usual_rules,
    with_signatures,
)
from i247_keys.charter import parse_charter
from i247_keys.documents import Document, Verdict, parse_document, tally
from i247_keys.identity import SEED_BYTES, Identity
from i247_keys.keyfile import MODERATE, Cost, passphrase_from_file, read_keyfile, write_keyfile
from i247_keys.log import DecisionRecord, RosterStep, parse_network_file, parse_step
from i247_keys.network_file import replay
from i247_keys.request import Particulars, particulars_of
from i247_keys.roster import MemberRow
from i247_keys.trust import Trust
from i247_protocol import codec
from i247_protocol.digests import next_key_hash
from i247_protocol.errors import CallerFault, PeerFault, WorldFault
from i247_protocol.limits import DOCUMENT_BYTES_MAX, NETWORK_FILE_BYTES_MAX
from i247_protocol.names import HubName, KeyId, MemberCode, WallMs
from i247_protocol.reasons import Reason

T = TypeVar("T")

# --- keys and requests of members and hubs ---


def make_member_keys(  # noqa: PLR0917  in the order of the row
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
    document = member_request(code, None, wanted, wall_now())
    make_folder(directory)
    write_identity(directory / IDENTITY_FILE, identity, IDENTITY, passphrase, cost)
    write_identity(directory / NEXT_IDENTITY_FILE, following, IDENTITY, passphrase, cost)
    write_link(directory / LINK_FILE, link, passphrase, cost)
    return _write_request(directory / f"{code}{REQUEST_SUFFIX}", document, [Identity(identity)])


def make_hub_keys(  # noqa: PLR0917  in the order of the row
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
        wall=wall_now(),
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
    wall = wall_now()
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


def wall_now() -> WallMs:
    """Return the wall clock."""
    return WallMs(time.time_ns() // 1_000_000)


# --- the ceremony ---


def new_ceremony(
    directory: Path, keys: int, threshold: int, holders: Sequence[bytes], cost: Cost = MODERATE
) -> list[Path]:
    """Make `keys` secretariat keys and the pulse key, each with a passphrase file of its own; return the keyfiles.

    `holders` are the public keys of those who have made theirs elsewhere.
    """
    doing = f"preparing a ceremony in {directory}"
    total = keys + len(holders)
    if not 1 <= threshold < total:
        raise CallerFault(doing, f"of {total} keys let 1 to {total - 1} be enough, so that one may be lost")
    if (directory / TERMS_FILE).exists():
        raise CallerFault(doing, "there is one already: choose another folder")
    make_folder(directory)
    made = [_make_key(directory, f"secretariat-{number}", SECRETARIAT, cost) for number in range(1, keys + 1)]
    pulse_path, pulse_key = _make_key(directory, "pulse", PULSE, cost)
    publics = [*(public for _, public in made), *holders]
    terms = _Terms(keys=[public.hex() for public in publics], threshold=threshold, pulse_key=pulse_key.hex())
    _write(directory / TERMS_FILE, msgspec.json.format(msgspec.json.encode(terms)) + b"\n")
    return [*(path for path, _ in made), pulse_path]


def draft_founding(directory: Path, members: Iterable[Path], hubs: Iterable[Path], witnesses: int = 0) -> bytes:
    """Write the first charter and roster, unsigned; return the pin that they will have."""
    doing = "founding the directory"
    if (directory / NETWORK_FILE).exists():
        raise CallerFault(doing, f"{directory} is published already: use `ceremony roster` for what comes next")
    terms = _read_terms(directory, witnesses)
    charter, roster = found(terms, _read_requests(members), _read_requests(hubs), wall_now())
    _write(directory / CHARTER_DRAFT, charter.to_bytes())
    _write(directory / ROSTER_DRAFT, roster.to_bytes())
    return charter.hash


def draft_roster(directory: Path, changes: Changes) -> RosterStep:
    """Write the step to the next roster, unsigned; a draft that was there before is replaced."""
    step = next_roster(published(directory), changes, wall_now())
    _write(directory / STEP_DRAFT, codec.encode(step))
    return step


def sign_drafts(directory: Path, signer: Identity) -> list[tuple[str, Verdict]]:
    """Sign what waits in the folder; return what was signed, and who has signed it and how many lack."""
    doing = f"signing in {directory}"
    drafts = _drafts(directory)
    if not drafts:
        raise CallerFault(doing, "nothing waits for signatures: `ceremony found` or `ceremony roster` makes a draft")
    if all(signer.key_id not in draft.entitled for draft in drafts):
        raise CallerFault(doing, "this key is none of the charter's: name another keyfile")
    for draft in drafts:
        draft.save(draft.document.with_signature(draft.context, signer))
    return signatures(directory)


def merge_drafts(directory: Path, other: Path) -> list[tuple[str, Verdict]]:
    """Take over the signatures that were made in another copy of the folder."""
    theirs = {draft.name: draft for draft in _drafts(other)}
    for draft in _drafts(directory):
        if draft.name in theirs:
            try:
                draft.save(draft.document.merged(theirs[draft.name].document))
            except PeerFault:
                raise CallerFault(
                    f"merging {other}", "it is a copy of another draft: sign a copy of this one"
                ) from None
    return signatures(directory)


def signatures(directory: Path) -> list[tuple[str, Verdict]]:
    """Return who has signed each draft, and how many lack."""
    return [
        (draft.name, tally(draft.document, draft.context, draft.entitled, draft.threshold))
        for draft in _drafts(directory)
    ]


def publish_drafts(directory: Path) -> Trust:
    """Check the drafts as everybody else will, and write them into the network file."""
    doing = f"publishing {directory}"
    drafts = {draft.name: draft for draft in _drafts(directory)}
    if not drafts:
        raise CallerFault(doing, "there is no draft: `ceremony found` or `ceremony roster` makes one")
    for name, verdict in signatures(directory):
        if not verdict.reached:
            raise CallerFault(doing, f"{verdict.lacking} more signatures are needed on the {name}: `ceremony sign`")
    if STEP in drafts:
        step = parse_step(_read(directory / STEP_DRAFT, DOCUMENT_BYTES_MAX))
        trust = published(directory).with_step(step, wall_now())
    else:
        charter = drafts[CHARTER].document
        trust = Trust.founded(charter.hash, charter, drafts[ROSTER].document, wall_now())
        _write(directory / PIN_FILE, trust.pin.hex().encode() + b"\n")
    _write(directory / NETWORK_FILE, trust.to_bytes())
    for name in (CHARTER_DRAFT, ROSTER_DRAFT, STEP_DRAFT):
        with suppress(FileNotFoundError):
            (directory / name).unlink()
    return trust


def publish_pulse(directory: Path, signer: Identity) -> Trust:
    """Sign a fresh pulse, and write it into the network file."""
    trust = published(directory)
    if signer.public != trust.charter.pulse_key:
        raise CallerFault("signing a pulse", "this is not the pulse key of the charter: name another keyfile")
    document = next_pulse(trust, wall_now()).with_signature(contexts.PULSE, signer)
    trust = trust.with_pulse(document, wall_now())
    _write(directory / NETWORK_FILE, trust.to_bytes())
    return trust


def published(directory: Path) -> Trust:
    """Return what the folder has published, judged from its pin."""
    pin = parse_pin(_read(directory / PIN_FILE, 200).decode(errors="replace"))
    return read_network(directory / NETWORK_FILE, pin)


def read_network(path: Path, pin: bytes | None) -> Trust:
    """Return what a network file leads to. Without a pin it is taken at its own word, which proves nothing."""
    data = _read(path, NETWORK_FILE_BYTES_MAX)
    return replay(data, own_pin(data) if pin is None else pin, wall_now())


def read_request(path: Path) -> Document:
    """Return the document in a request file."""
    return _parsed(f"reading the request {path}", lambda: parse_document(_read(path, DOCUMENT_BYTES_MAX)))


def read_record(path: Path) -> DecisionRecord:
    """Return the decision and its ballots in a file."""
    return _parsed(
        f"reading the decision {path}",
        lambda: codec.decode_as(DecisionRecord, _read(path, DOCUMENT_BYTES_MAX), bytes_max=DOCUMENT_BYTES_MAX),
    )


def parse_pin(text: str) -> bytes:
    """Return the pin that somebody typed."""
    try:
        pin = bytes.fromhex(text.strip())
    except ValueError:
        pin = b""
    if len(pin) != PIN_BYTES:
        raise CallerFault("reading the pin", f"it has {2 * PIN_BYTES} hexadecimal digits")
    return pin


def own_pin(data: bytes) -> bytes:
    """Return the pin that a network file would have; it proves nothing, only another channel does."""
    founding = parse_network_file(data).founding
    if founding is None:
        raise PeerFault(Reason.CHAIN_BROKEN)
    return parse_document(founding.charter).hash


def make_folder(directory: Path) -> None:
    """Make a folder for secrets, readable by its owner only, unless it is there."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise WorldFault(f"making the folder {directory}", f"{error.strerror}: check the path") from None


class _Terms(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What `terms.json` holds, keys in hexadecimal."""

    keys: list[str]
    threshold: int
    pulse_key: str


@dataclass(frozen=True, slots=True)
class _Draft:
    """A document that waits for signatures, who is entitled to sign it, and how to save it again."""

    name: str
    document: Document
    context: bytes
    entitled: Mapping[KeyId, bytes]
    threshold: int
    save: Callable[[Document], None]


def _drafts(directory: Path) -> list[_Draft]:
    if (directory / STEP_DRAFT).exists():
        return [_step_draft(directory)]
    if not (directory / CHARTER_DRAFT).exists():
        return []
    return [
        _founding_draft(directory, CHARTER, CHARTER_DRAFT, contexts.CHARTER),
        _founding_draft(directory, ROSTER, ROSTER_DRAFT, contexts.ROSTER),
    ]


def _step_draft(directory: Path) -> _Draft:
    trust = published(directory)
    path = directory / STEP_DRAFT
    step = _parsed(f"reading {path}", lambda: parse_step(_read(path, DOCUMENT_BYTES_MAX)))
    if not isinstance(step, RosterStep) or step.previous != trust.roster_hash:
        raise CallerFault(f"reading {path}", "it follows another roster than the published one: draft it again")
    return _Draft(
        STEP,
        step_document(trust, step),
        contexts.ROSTER,
        trust.charter.entitled,
        trust.charter.threshold,
        lambda document: _write(path, codec.encode(with_signatures(step, document))),
    )


def _founding_draft(directory: Path, name: str, file: str, context: bytes) -> _Draft:
    charter = parse_charter(read_request(directory / CHARTER_DRAFT).p)
    return _Draft(
        name,
        read_request(directory / file),
        context,
        charter.entitled,
        charter.threshold,
        lambda document: _write(directory / file, document.to_bytes()),
    )


def _make_key(directory: Path, name: str, use: str, cost: Cost) -> tuple[Path, bytes]:
    path, passphrase_path, seed = directory / f"{name}.key", directory / f"{name}.passphrase", fresh_seed()
    _write(passphrase_path, os.urandom(PASSPHRASE_RANDOM_BYTES).hex().encode() + b"\n")
    write_identity(path, seed, use, passphrase_from_file(passphrase_path), cost)
    return path, Identity(seed).public


def _read_terms(directory: Path, witnesses: int) -> Terms:
    path = directory / TERMS_FILE
    try:
        terms = msgspec.json.decode(_read(path, DOCUMENT_BYTES_MAX), type=_Terms)
        keys = tuple(bytes.fromhex(public) for public in terms.keys)
        return Terms(keys, terms.threshold, bytes.fromhex(terms.pulse_key), witnesses, usual_rules())
    except (msgspec.MsgspecError, ValueError):
        raise CallerFault(f"reading {path}", "it is damaged: `ceremony new` writes it") from None


def _read_requests(paths: Iterable[Path]) -> list[Document]:
    files: list[Path] = []
    for path in paths:
        files += sorted(path.rglob(f"*{REQUEST_SUFFIX}")) if path.is_dir() else [path]
    return [read_request(file) for file in files]


def _write_request(path: Path, document: Document, signers: Iterable[Identity]) -> Path:
    for signer in signers:
        document = document.with_signature(contexts.REQUEST, signer)
    _write(path, document.to_bytes())
    return path


def _parsed(doing: str, parse: Callable[[], T]) -> T:
    try:
        return parse()
    except PeerFault:
        raise CallerFault(doing, "it is damaged, or another kind of file: name the right one") from None


def _read(path: Path, bytes_max: int) -> bytes:
    doing = f"reading {path}"
    try:
        with path.open("rb") as file:
            data = file.read(bytes_max + 1)
    except OSError as error:
        raise WorldFault(doing, f"{error.strerror}: check the path") from None
    if len(data) > bytes_max:
        raise WorldFault(doing, f"it is larger than {bytes_max} bytes: name the right file")
    return data


def _write(path: Path, data: bytes) -> None:
    """Put a whole file in its place, or leave what was there; readable by its owner only."""
    temporary = path.with_name(f".{path.name}.{os.urandom(8).hex()}")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with open(descriptor, "wb") as file:  # noqa: PTH123  a descriptor has no path
            file.write(data)
            file.flush()
            os.fsync(descriptor)
        temporary.replace(path)
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        os.fsync(folder)
        os.close(folder)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise WorldFault(f"writing {path}", f"{error.strerror}: check that the folder may be written") from None


IDENTITY: Final = "identity"
LINK: Final = "link"
SECRETARIAT: Final = "secretariat"
PULSE: Final = "pulse"
USES: Final = (IDENTITY, LINK, SECRETARIAT, PULSE)

IDENTITY_FILE: Final = "identity.key"
NEXT_IDENTITY_FILE: Final = "next-identity.key"
LINK_FILE: Final = "link.key"
REQUEST_SUFFIX: Final = ".request"

TERMS_FILE: Final = "terms.json"
CHARTER_DRAFT: Final = "charter.draft"
ROSTER_DRAFT: Final = "roster.draft"
STEP_DRAFT: Final = "step.draft"
NETWORK_FILE: Final = "network.i247"
PIN_FILE: Final = "pin.txt"
CHARTER: Final = "charter"
ROSTER: Final = "roster"
STEP: Final = "next roster"

PIN_BYTES: Final = 32
PASSPHRASE_RANDOM_BYTES: Final = 16
