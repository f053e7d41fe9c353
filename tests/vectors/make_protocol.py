"""Make codec.json, statements.json and frames.json: bytes to read, good and bad, with what must come of each.

Run it as `python -m tests.vectors.make_protocol` from the project's root. Every key is fixed and nothing is drawn, so
it writes the same bytes each time; tests/test_independent_reader.py holds the files against it, and the worked
examples of docs/protocol.md against the files. They are for any implementation of docs/protocol.md 3, 4, 6, 7, 8.6,
9.2 and 10; all bytes are in hexadecimal. In a JSON value, {"bytes": "…"} stands for bytes.

    codec.json       cases: name, data; then value, which must encode to data and data decode to, or reason
    statements.json  signer {seed, public}; statements: name, statement, signature, sid, fields, body; refused: name,
                     statement, reason; digests: name, of (inputs by name), digest; keycards: document, identity, then
                     keys or reason; audit: records of one chain from the first on, and end, the digest of the last
    frames.json      cases: name, data; then value or reason
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec
from tests.vectors.make_envelopes import EXP, MEMBERS, SIGNER, SIGNER_SEED, Draws, epoch_secret

from i247_keys import contexts
from i247_keys.documents import parse_document
from i247_keys.identity import Identity
from i247_keys.keycard import EpochKey, sign_keycard
from i247_keys.merkle import Tree
from i247_keys.returned import returned_payload
from i247_keys.vouching import root_of, vouch
from i247_protocol import codec, digests
from i247_protocol.audit import Chain, record_digest
from i247_protocol.bodies import Body
from i247_protocol.correspondence import Correspondence
from i247_protocol.frames import (
    Ask,
    Bounce,
    Busy,
    Cards,
    CardWant,
    Credit,
    Custody,
    DirHave,
    DirWant,
    Fate,
    Frame,
    Hello,
    Known,
    Noted,
    Pair,
    Parcel,
    Proof,
    Put,
    Reach,
    Reset,
    Returned,
    Role,
    Show,
    Shown,
    Taken,
    Told,
    encode_frame,
)
from i247_protocol.gaps import Account, End, Ended, Missing, Span
from i247_protocol.handling import Classification, Handling, Onward, Purpose
from i247_protocol.names import MemberCode, WallMs
from i247_protocol.notices import Colour, Event, Notice
from i247_protocol.priority import Lane, Priority
from i247_protocol.queries import CAUTION, Candidate, Person, Query, Reply, Status, TravelDocument, Vehicle
from i247_protocol.reasons import Reason
from i247_protocol.receipts import Outcome, Receipt
from i247_protocol.statement import Act, Statement

FOLDER: Final = Path(__file__).parent


def texts() -> dict[str, str]:
    """Return what each file must hold, by its name."""
    files = {"codec.json": _codec(), "statements.json": _statements(), "frames.json": _frames()}
    return {name: json.dumps(content, indent=1, sort_keys=True) + "\n" for name, content in files.items()}


def plain(value: object) -> Any:
    """Return a value as JSON can hold it."""
    match value:
        case bytes():
            return {"bytes": value.hex()}
        case list() | tuple():
            return [plain(one) for one in value]
        case dict():
            return {name: plain(one) for name, one in value.items()}
        case _:
            return value


# --- codec.json ---


def _codec() -> dict[str, Any]:
    return {"about": "Canonical msgpack, docs/protocol.md 3.", "cases": [*_canonical(), *_not_canonical()]}


def _canonical() -> Iterator[dict[str, Any]]:
    values: tuple[tuple[str, object], ...] = (
        ("nil", None),
        ("true", True),
        ("false", False),
        *((f"integer {n}", n) for n in INTEGERS),
        ("empty text", ""),
        ("text of 31 bytes", "a" * 31),
        ("text of 32 bytes", "a" * 32),
        ("text of 256 bytes", "a" * 256),
        ("text beyond ASCII", "Ñ中🚓"),
        ("empty bytes", b""),
        ("bytes that spell text", b"AAAA"),
        ("bytes of 256", bytes(256)),
        ("empty array", []),
        ("array of 15", [0] * 15),
        ("array of 16", [0] * 16),
        ("empty map", {}),
        ("map", {"a": 1, "aa": b"\1\2", "b": [None, True, "é"]}),
        ("keys in the order of their bytes", {"Z": 0, "a": 0, "é": 0, "ﬀ": 0, "😀": 0}),
        ("eight levels", [[[[[[[[]]]]]]]]),
    )
    for name, value in values:
        yield {"name": name, "data": codec.encode(value).hex(), "value": plain(value)}


def _not_canonical() -> Iterator[dict[str, Any]]:
    for name, data, reason in (
        ("nothing", "", Reason.MALFORMED),
        ("cut off", "92c0", Reason.MALFORMED),
        ("something behind", "c0c0", Reason.MALFORMED),
        ("a byte that means nothing", "c1", Reason.MALFORMED),
        ("1 in two bytes", "cc01", Reason.NOT_CANONICAL),
        ("1 as a signed integer", "d001", Reason.NOT_CANONICAL),
        ("-1 in two bytes", "d0ff", Reason.NOT_CANONICAL),
        ("256 in five bytes", "ce00000100", Reason.NOT_CANONICAL),
        ("a length in two bytes that fits one", "d90161", Reason.NOT_CANONICAL),
        ("bytes with a long length", "c5000100", Reason.NOT_CANONICAL),
        ("an array with a long length", "dc0000", Reason.NOT_CANONICAL),
        ("a map with a long length", "de0000", Reason.NOT_CANONICAL),
        ("keys out of order", "82a16200a16100", Reason.NOT_CANONICAL),
        ("a key twice", "82a16100a16100", Reason.NOT_CANONICAL),
        ("an integer for a key", "8101c0", Reason.MALFORMED),
        ("bytes for a key", "81c40161c0", Reason.MALFORMED),
        ("single float", "ca00000000", Reason.MALFORMED),
        ("double float", "cb0000000000000000", Reason.MALFORMED),
        ("extension", "d40100", Reason.MALFORMED),
        ("timestamp", "d6ff00000000", Reason.MALFORMED),
        ("text that is not UTF-8", "a1ff", Reason.MALFORMED),
        ("half of a surrogate pair", "a3eda080", Reason.MALFORMED),
        ("nine levels", "91" * 8 + "90", Reason.MALFORMED),
        ("a length that is not there", "c6ffffffff", Reason.MALFORMED),
        ("many elements that are not there", "ddffffffff", Reason.MALFORMED),
    ):
        yield {"name": name, "data": data, "reason": reason.value}


# --- statements.json ---


def _statements() -> dict[str, Any]:
    return {
        "about": "Statements, bodies, digests, keycards and audit records, docs/protocol.md 4, 6, 7, 8.6 and 10.",
        "signer": {"seed": SIGNER_SEED.hex(), "public": SIGNER.public.hex()},
        "statements": [_said(name, statement) for name, statement in good_statements().items()],
        "refused": list(_bad_statements()),
        "digests": list(_digests()),
        "keycards": list(_keycards()),
        "audit": _audit(),
    }


def good_statements() -> dict[str, Statement]:
    """Return one statement of each act, by a name."""
    query = _statement(Act.QUERY, BODIES["query, travel document"])
    asked = digests.evidence_id(codec.encode(query), SIGNER.sign(contexts.STATEMENT, codec.encode(query)))
    return {
        "query, travel document": query,
        "query, person": _statement(Act.QUERY, BODIES["query, person"]),
        "query, vehicle": _statement(Act.QUERY, BODIES["query, vehicle"]),
        "reply, hit": _statement(Act.REPLY, BODIES["reply, hit"], re=(asked,)),
        "reply, refused": _statement(Act.REPLY, BODIES["reply, refused"], re=(asked,)),
        "notice to many": _statement(
            Act.NOTICE, BODIES["notice"], to=tuple(MEMBERS.split()), seq=None, prio=Priority.URGENT, basis=Purpose.ALERT
        ),
        "diffusion": _statement(Act.DIFFUSION, BODIES["notice"], prio=Priority.BULK),
        "correspondence": _statement(Act.CORRESPONDENCE, BODIES["correspondence"]),
        "receipt": _statement(
            Act.RECEIPT,
            BODIES["receipt"],
            re=(asked, bytes(32)),
            prio=Priority.CONTROL,
            seq=None,
            basis=Purpose.ADMINISTRATION,
        ),
        "receipt, refused": _statement(
            Act.RECEIPT, BODIES["receipt, refused"], re=(asked,), prio=Priority.CONTROL, seq=None
        ),
        "missing": _statement(Act.MISSING, BODIES["missing"], **CONTROL),
        "account": _statement(Act.ACCOUNT, BODIES["account"], **CONTROL),
        "no pulse held": _statement(Act.QUERY, BODIES["query, person"], dir=(1, b"")),
    }


def _statement(act: Act, body: Body, **changed: Any) -> Statement:
    usual = Statement(
        act=act,
        att=(),
        basis=Purpose.BORDER_CONTROL,
        body=codec.encode(body),
        conv=bytes(range(16)),
        dir=(7, bytes(range(32))),
        exp=EXP,
        sender="BQ",
        handling=Handling(classification=Classification.OFFICIAL, exercise=True, onward=Onward.NATIONAL),
        iat=EXP * 60_000 - 3_600_000,
        id=bytes(range(16, 32)),
        prio=Priority.ROUTINE,
        re=(),
        seq=(3, 41),
        to=("FR",),
    )
    return msgspec.structs.replace(usual, **changed)


def _said(name: str, statement: Statement) -> dict[str, Any]:
    data = codec.encode(statement)
    signature = SIGNER.sign(contexts.STATEMENT, data)
    return {
        "name": name,
        "statement": data.hex(),
        "signature": signature.hex(),
        "sid": digests.evidence_id(data, signature).hex(),
        "fields": plain(codec.decode(data, bytes_max=len(data))),
        "body": plain(codec.decode(statement.body, bytes_max=len(statement.body))),
    }


def _bad_statements() -> Iterator[dict[str, Any]]:
    fields = codec.decode(codec.encode(good_statements()["query, person"]), bytes_max=4096)
    for name, changed in (
        ("unknown act", {"act": "order"}),
        ("unknown purpose", {"basis": "curiosity"}),
        ("priority that is none", {"prio": 4}),
        ("an attachment", {"att": [bytes(32)]}),
        ("no recipient", {"to": []}),
        ("recipients out of order", {"to": ["XP", "FR"]}),
        ("a recipient twice", {"to": ["FR", "FR"]}),
        ("a recipient in small letters", {"to": ["fr"]}),
        ("a sender in small letters", {"from": "bq"}),
        ("short id", {"id": bytes(15)}),
        ("long conversation", {"conv": bytes(17)}),
        ("text for bytes", {"id": "AAAAAAAAAAAAAAAAAAAAAA=="}),
        ("roster 0", {"dir": [0, bytes(32)]}),
        ("short pulse hash", {"dir": [1, bytes(31)]}),
        ("33 references", {"re": [bytes(32)] * 33}),
        ("short reference", {"re": [bytes(31)]}),
        ("negative expiry", {"exp": -1}),
        ("expiry beyond all clocks", {"exp": 2**32 + 1}),
        ("negative time", {"iat": -1}),
        ("three numbers in seq", {"seq": [1, 2, 3]}),
        ("unknown field", {"note": ""}),
        ("unknown classification", {"handling": fields["handling"] | {"classification": "secret"}}),
    ):
        yield {
            "name": name,
            "statement": codec.encode(fields | changed).hex(),
            "reason": Reason.MALFORMED.value,
        }
    for field in fields:
        left = {name: value for name, value in fields.items() if name != field}
        yield {"name": f"without {field}", "statement": codec.encode(left).hex(), "reason": Reason.MALFORMED.value}


def _digests() -> Iterator[dict[str, Any]]:
    header, body, key = b"header", b"body", bytes(range(32))
    statement, signature = b"statement", bytes(64)
    for name, of, digest in (
        ("header", {"header": header}, digests.header_hash(header)),
        ("body", {"body": body}, digests.body_hash(body)),
        ("envelope", {"header": header, "body": body}, digests.envelope_id(header, body)),
        ("sid", {"statement": statement, "signature": signature}, digests.evidence_id(statement, signature)),
        ("kid", {"key": key}, digests.key_id(key)),
        ("document", {"payload": body}, digests.document_hash(body)),
        ("next", {"key": key}, digests.next_key_hash(key)),
        ("kc", {"key": key, "header_hash": bytes(32)}, digests.content_key_commitment(key, bytes(32))),
        ("audit", {"record": body}, record_digest(body)),
    ):
        yield {"name": name, "of": {part: value.hex() for part, value in of.items()}, "digest": digest.hex()}


def _keycards() -> Iterator[dict[str, Any]]:
    data = keycard()
    keys = [plain(codec.decode(parse_document(data).p, bytes_max=4096))["keys"]]
    yield {"name": "two keys", "document": data.hex(), "identity": SIGNER.public.hex(), "keys": keys[0]}
    other = Identity(Draws("another identity")(32))
    yield {
        "name": "signed by another",
        "document": keycard(other).hex(),
        "identity": SIGNER.public.hex(),
        "reason": Reason.BAD_SIGNATURE.value,
    }
    document = parse_document(data)
    twice = codec.encode({"p": document.p, "s": [list(pair) for pair in document.s] * 2})
    yield {
        "name": "two signatures",
        "document": twice.hex(),
        "identity": SIGNER.public.hex(),
        "reason": Reason.MALFORMED.value,
    }


def keycard(identity: Identity = SIGNER) -> bytes:
    """Return the card of a member with two keys."""
    week, start = 604_800_000, EXP * 60_000 - 86_400_000
    keys = [
        EpochKey(key.kid, key.public, WallMs(start + n * (week - 86_400_000)), WallMs(start + n * 518_400_000 + week))
        for n, key in enumerate((epoch_secret("FR"), epoch_secret("JP")))
    ]
    return sign_keycard(MemberCode("FR"), 1_740_000_000, WallMs(start), keys, identity)


def _audit() -> dict[str, Any]:
    chain = Chain()
    records = [
        chain.append(what, at=EXP * 60_000 + n, peer=peer, sid=bytes([n]) * 32, conv=bytes(16), detail=detail)
        for n, (what, peer, detail) in enumerate(
            (("sent", "SG", "query"), ("received", "SG", "reply"), ("answered", "BR", "refused:policy"))
        )
    ]
    return {"records": [record.hex() for record in records], "end": chain.digest.hex()}


# --- frames.json ---


def _frames() -> dict[str, Any]:
    good = [
        {"name": name, "data": data.hex(), "value": plain(codec.decode(data, bytes_max=len(data)))}
        for name, frame in good_frames().items()
        for data in (encode_frame(frame),)
    ]
    return {"about": "Frames of a link, docs/protocol.md 9.2.", "cases": [*good, *_bad_frames()]}


def good_frames() -> dict[str, Frame]:
    """Return one frame of each kind, by a name."""
    taken = (Taken(EVE, 1, ("FR", "SG")),)
    bounce = (EVE, "FR", Reason.DEAD_KEY.value, EXP * 60_000, "lyon")
    word = Bounce(*bounce, SIGNER.sign(contexts.RETURNED, returned_payload(*bounce)))
    return {
        "hello": Hello(SESSION, Role.MEMBER, Lane.EXPRESS, 7, bytes(32), bytes(32), EXP * 60_000, 1024, 8_388_608),
        "reset": Reset(SESSION),
        "put, one recipient": Put(SESSION, (Parcel(0, b"header", b"body", ()),)),
        "put, many": Put(SESSION, (Parcel(1, b"header", b"body", (("FR", bytes(8), bytes(80)),)),)),
        "custody": Custody(SESSION, taken, vouch("lyon", SIGNER, WallMs(EXP * 60_000), [root_of(taken), bytes(32)])),
        "noted": Noted(SESSION, (Pair(EVE, ("FR",)),)),
        "show": Show(SESSION, (Pair(EVE, ("FR",)),)),
        "shown": Shown(SESSION, (_proof(taken),), (word,)),
        "returned": Returned(SESSION, (word,)),
        "busy": Busy(SESSION, (Pair(EVE, ("FR",)),), Reason.STORE_FULL.value, 5_000),
        "ask": Ask(SESSION, (Pair(EVE, ("FR",)),)),
        "told": Told(
            SESSION,
            (
                Known(EVE, "FR", Fate.PASSED, "lyon", EXP * 60_000),
                Known(EVE, "SG", Fate.HELD, "SG", 0),
                Known(EVE, "XP", Fate.UNKNOWN, "", 0),
            ),
        ),
        "credit": Credit(SESSION, 1_536, 8_500_000),
        "reach": Reach(SESSION, ("quito", "singapore")),
        "dir-want": DirWant(SESSION, 7, bytes(32)),
        "dir-have": DirHave(SESSION, b"network file"),
        "card-want": CardWant(SESSION, (("FR", 1_740_000_000),)),
        "card": Cards(SESSION, (b"keycard",)),
    }


def _proof(taken: tuple[Taken, ...]) -> Proof:
    voucher = vouch("lyon", SIGNER, WallMs(EXP * 60_000), [root_of(taken)])
    leaves = [(one.envelope, one.hops, member) for one in taken for member in one.recipients]
    tree = Tree([envelope + bytes([hops]) + member.encode() for envelope, hops, member in leaves])
    return Proof(*leaves[0], "lyon", 0, len(leaves), tree.path(0), voucher)


def _bad_frames() -> Iterator[dict[str, Any]]:
    put, pairs = [0, b"header", b"body", []], [[EVE, ["FR"]]]
    taken, voucher = [[EVE, 0, ["FR"]]], [0, [bytes(32)], bytes(64)]
    for name, value in (
        ("a map", {"kind": "reset", "session": SESSION}),
        ("an empty array", []),
        ("a kind alone", ["reset"]),
        ("unknown kind", ["blob-put", SESSION, b""]),
        ("session of 7 bytes", ["reset", SESSION[:7]]),
        ("text for a session", ["reset", "AAAAAAAAAAA="]),
        ("something behind", ["reset", SESSION, None]),
        ("put of nothing", ["put", SESSION, []]),
        ("129 parcels", ["put", SESSION, [put] * 129]),
        ("sixteen hops", ["put", SESSION, [[16, *put[1:]]]]),
        ("a parcel without wraps", ["put", SESSION, [put[:3]]]),
        ("a wrap for nobody", ["put", SESSION, [[*put[:3], [["fr", bytes(8), bytes(80)]]]]]),
        ("custody of nothing", ["custody", SESSION, [], voucher]),
        ("custody without a voucher", ["custody", SESSION, taken]),
        ("custody with nil for a voucher", ["custody", SESSION, taken, None]),
        ("custody without hops", ["custody", SESSION, pairs, voucher]),
        ("custody after sixteen hops", ["custody", SESSION, [[EVE, 16, ["FR"]]], voucher]),
        ("custody under no root", ["custody", SESSION, taken, [0, [], bytes(64)]]),
        ("custody under 17 roots", ["custody", SESSION, taken, [0, [bytes(32)] * 17, bytes(64)]]),
        ("custody under a root of 31 bytes", ["custody", SESSION, taken, [0, [bytes(31)], bytes(64)]]),
        ("a question for 65 proofs", ["show", SESSION, pairs * 65]),
        ("an envelope's id of 31 bytes", ["ask", SESSION, [[EVE[:31], ["FR"]]]]),
        ("a pair without recipients", ["ask", SESSION, [[EVE, []]]]),
        ("513 pairs", ["ask", SESSION, pairs * 513]),
        ("reaching a member", ["reach", SESSION, ["FR"]]),
        ("reaching 65 hubs", ["reach", SESSION, ["lyon"] * 65]),
        ("unknown fate", ["told", SESSION, [[EVE, "FR", "lost", "", 0]]]),
        ("unknown role", ["hello", SESSION, "guest", "express", 7, b"", b"", 0, 1, 1]),
        ("unknown lane", ["hello", SESSION, "member", "fast", 7, b"", b"", 0, 1, 1]),
        ("201 keycards", ["card", SESSION, [b""] * 201]),
        ("truth for a number", ["credit", SESSION, True, 0]),
    ):
        yield {"name": name, "data": codec.encode(value).hex(), "reason": Reason.MALFORMED.value}
    yield {"name": "a long length", "data": "dc0002a57265736574c408" + SESSION.hex(), "reason": "not-canonical"}


INTEGERS: Final = (
    0,
    127,
    128,
    255,
    256,
    65_535,
    65_536,
    2**32 - 1,
    2**32,
    2**64 - 1,
    -1,
    -32,
    -33,
    -128,
    -129,
    -(2**63),
)
SESSION: Final = bytes(range(8))
EVE: Final = bytes(range(32))
BODIES: Final[dict[str, Body]] = {
    "query, travel document": Query(
        criteria=TravelDocument(country="UTO", number="L898902C3", type="P"), register="sltd", reply_by=EXP * 60_000
    ),
    "query, person": Query(
        criteria=Person(born="1974-08-12", family="ERIKSSON", given="ANNA MARIA"),
        register="nominal",
        reply_by=EXP * 60_000,
    ),
    "query, vehicle": Query(
        criteria=Vehicle(country="", plate="", vin="1M8GDM9AXKP042788"), register="smv", reply_by=EXP * 60_000
    ),
    "reply, hit": Reply(
        as_of=EXP * 60_000 - 60_000,
        candidates=(Candidate(action="seize", fields={"status": "stolen"}, owner="FR", record="SLTD-1", score=1000),),
        caution=CAUTION,
        reason=None,
        register="sltd",
        status=Status.HIT,
    ),
    "reply, refused": Reply(
        as_of=None, candidates=(), caution=CAUTION, reason="policy", register="sltd", status=Status.REFUSED
    ),
    "notice": Notice(
        colour=Colour.ORANGE,
        event=Event.PUBLISHED,
        number="O-2026/1",
        text="Invented for an exercise.",
        title="Exercise",
        valid_until=EXP * 60_000 + 31_536_000_000,
        version=1,
    ),
    "correspondence": Correspondence(subject="Exercise", text="Invented for an exercise."),
    "receipt": Receipt(outcome=Outcome.DELIVERED, reason=None),
    "receipt, refused": Receipt(outcome=Outcome.REFUSED, reason="unknown-body"),
    "missing": Missing(spans=(Span(Priority.URGENT, 3, 1, 1), Span(Priority.ROUTINE, 3, 38, 40))),
    "account": Account(
        ended=tuple(Ended(Span(Priority.ROUTINE, 3, 10 * n, 10 * n + n), end) for n, end in enumerate(End, 1))
    ),
}
CONTROL: Final[dict[str, Any]] = {"prio": Priority.CONTROL, "seq": None, "basis": Purpose.ADMINISTRATION}


if __name__ == "__main__":
    for file_name, file_text in texts().items():
        (FOLDER / file_name).write_text(file_text, encoding="utf-8")
