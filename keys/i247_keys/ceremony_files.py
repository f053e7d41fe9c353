"""Keep a ceremony in a folder until enough keyholders have signed, and read what it published. Edge.

The folder holds public things only, but for keys that `new_ceremony` makes there so that each holder can take
theirs away:

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
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from i247_edges.clock import read_clocks
from i247_keys import contexts
from i247_keys.ceremony import (
    Changes,
    Terms,
    found,
    next_pulse,
    next_roster,
    step_document,
    usual_rules,
    with_signatures,
)
from i247_keys.charter import parse_charter
from i247_keys.documents import Document, Verdict, parse_document, tally
from i247_keys.identity import Identity
from i247_keys.key_folder import REQUEST_SUFFIX, fresh_seed, make_folder, write_identity
from i247_keys.keyfile import MODERATE, Cost, passphrase_from_file
from i247_keys.log import DecisionRecord, RosterStep, parse_network_file, parse_step
from i247_keys.network_file import replay
from i247_keys.trust import Trust
from i247_keys.whole_file import read_whole, write_whole
from i247_protocol import codec
from i247_protocol.errors import CallerFault, PeerFault
from i247_protocol.limits import DOCUMENT_BYTES_MAX, NETWORK_FILE_BYTES_MAX
from i247_protocol.names import KeyId
from i247_protocol.reasons import Reason

T = TypeVar("T")


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
    write_whole(directory / TERMS_FILE, msgspec.json.format(msgspec.json.encode(terms)) + b"\n")
    return [*(path for path, _ in made), pulse_path]


def draft_founding(directory: Path, members: Iterable[Path], hubs: Iterable[Path], witnesses: int = 0) -> bytes:
    """Write the first charter and roster, unsigned; return the pin that they will have."""
    doing = "founding the directory"
    if (directory / NETWORK_FILE).exists():
        raise CallerFault(doing, f"{directory} is published already: use `ceremony roster` for what comes next")
    terms = _read_terms(directory, witnesses)
    charter, roster = found(terms, _read_requests(members), _read_requests(hubs), read_clocks().wall)
    write_whole(directory / CHARTER_DRAFT, charter.to_bytes())
    write_whole(directory / ROSTER_DRAFT, roster.to_bytes())
    return charter.hash


def draft_roster(directory: Path, changes: Changes) -> RosterStep:
    """Write the step to the next roster, unsigned; a draft that was there before is replaced."""
    step = next_roster(published(directory), changes, read_clocks().wall)
    write_whole(directory / STEP_DRAFT, codec.encode(step))
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
        step = parse_step(read_whole(directory / STEP_DRAFT, DOCUMENT_BYTES_MAX))
        trust = published(directory).with_step(step, read_clocks().wall)
    else:
        charter = drafts[CHARTER].document
        trust = Trust.founded(charter.hash, charter, drafts[ROSTER].document, read_clocks().wall)
        write_whole(directory / PIN_FILE, trust.pin.hex().encode() + b"\n")
    write_whole(directory / NETWORK_FILE, trust.to_bytes())
    for name in (CHARTER_DRAFT, ROSTER_DRAFT, STEP_DRAFT):
        with suppress(FileNotFoundError):
            (directory / name).unlink()
    return trust


def publish_pulse(directory: Path, signer: Identity) -> Trust:
    """Sign a fresh pulse, and write it into the network file."""
    trust = published(directory)
    if signer.public != trust.charter.pulse_key:
        raise CallerFault("signing a pulse", "this is not the pulse key of the charter: name another keyfile")
    document = next_pulse(trust, read_clocks().wall).with_signature(contexts.PULSE, signer)
    trust = trust.with_pulse(document, read_clocks().wall)
    write_whole(directory / NETWORK_FILE, trust.to_bytes())
    return trust


def published(directory: Path) -> Trust:
    """Return what the folder has published, judged from its pin."""
    pin = parse_pin(read_whole(directory / PIN_FILE, 200).decode(errors="replace"))
    return read_network(directory / NETWORK_FILE, pin)


def read_network(path: Path, pin: bytes | None) -> Trust:
    """Return what a network file leads to. Without a pin it is taken at its own word, which proves nothing."""
    data = read_whole(path, NETWORK_FILE_BYTES_MAX)
    return replay(data, own_pin(data) if pin is None else pin, read_clocks().wall)


def read_request(path: Path) -> Document:
    """Return the document in a request file."""
    return _parsed(f"reading the request {path}", lambda: parse_document(read_whole(path, DOCUMENT_BYTES_MAX)))


def read_record(path: Path) -> DecisionRecord:
    """Return the decision and its ballots in a file."""
    return _parsed(
        f"reading the decision {path}",
        lambda: codec.decode_as(DecisionRecord, read_whole(path, DOCUMENT_BYTES_MAX), bytes_max=DOCUMENT_BYTES_MAX),
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
    step = _parsed(f"reading {path}", lambda: parse_step(read_whole(path, DOCUMENT_BYTES_MAX)))
    if not isinstance(step, RosterStep) or step.previous != trust.roster_hash:
        raise CallerFault(f"reading {path}", "it follows another roster than the published one: draft it again")
    return _Draft(
        STEP,
        step_document(trust, step),
        contexts.ROSTER,
        trust.charter.entitled,
        trust.charter.threshold,
        lambda document: write_whole(path, codec.encode(with_signatures(step, document))),
    )


def _founding_draft(directory: Path, name: str, file: str, context: bytes) -> _Draft:
    charter = parse_charter(read_request(directory / CHARTER_DRAFT).p)
    return _Draft(
        name,
        read_request(directory / file),
        context,
        charter.entitled,
        charter.threshold,
        lambda document: write_whole(directory / file, document.to_bytes()),
    )


def _make_key(directory: Path, name: str, use: str, cost: Cost) -> tuple[Path, bytes]:
    path, passphrase_path, seed = directory / f"{name}.key", directory / f"{name}.passphrase", fresh_seed()
    write_whole(passphrase_path, os.urandom(PASSPHRASE_RANDOM_BYTES).hex().encode() + b"\n")
    write_identity(path, seed, use, passphrase_from_file(passphrase_path), cost)
    return path, Identity(seed).public


def _read_terms(directory: Path, witnesses: int) -> Terms:
    path = directory / TERMS_FILE
    try:
        terms = msgspec.json.decode(read_whole(path, DOCUMENT_BYTES_MAX), type=_Terms)
        keys = tuple(bytes.fromhex(public) for public in terms.keys)
        return Terms(keys, terms.threshold, bytes.fromhex(terms.pulse_key), witnesses, usual_rules())
    except (msgspec.MsgspecError, ValueError):
        raise CallerFault(f"reading {path}", "it is damaged: `ceremony new` writes it") from None


def _read_requests(paths: Iterable[Path]) -> list[Document]:
    files: list[Path] = []
    for path in paths:
        files += sorted(path.rglob(f"*{REQUEST_SUFFIX}")) if path.is_dir() else [path]
    return [read_request(file) for file in files]


def _parsed(doing: str, parse: Callable[[], T]) -> T:
    try:
        return parse()
    except PeerFault:
        raise CallerFault(doing, "it is damaged, or another kind of file: name the right one") from None


SECRETARIAT: Final = "secretariat"
PULSE: Final = "pulse"

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
