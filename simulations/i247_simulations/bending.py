"""Bend what goes into a machine and what comes out of it: the bugs that `plants` can plant there.

Each takes a program, an event, the time and the machine's own `handle`, and gives the effects as the bug would have
them. docs/simulation.md 7.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any, Final

import msgspec

from i247_hub.records import Forget
from i247_keys.keycard import parse_keycard
from i247_keys.log import parse_network_file
from i247_keys.network_file import extend, replay
from i247_keys.roster import Directory, RetiredKey
from i247_node.commands import Accepted, AskQuestion, ConversationMoved, EntryArrived
from i247_node.records import (
    ConversationState,
    EntryState,
    KeepAudit,
    KeepConversation,
    KeepEntry,
    KeepOutgoing,
)
from i247_protocol import codec
from i247_protocol.digests import envelope_id
from i247_protocol.errors import PeerFault
from i247_protocol.frames import Ask, Cards, Credit, DirHave, Fate, Frame, Hello, Known, Put, Told, parse_frame
from i247_protocol.header import parse_header
from i247_protocol.machine import Claim, Effect, Forward, FrameArrived, Persist, Tell, TimePassed
from i247_protocol.names import EvidenceId, MemberCode, MessageId, Now, WallMs
from i247_protocol.priority import Priority
from i247_protocol.reasons import Reason
from i247_simulations.hub_memory import PlainHubMemory
from i247_simulations.programs import Program

Handle = Callable[..., Iterable[Effect]]


def saves_nothing(program: Program, event: Any, now: Now, handle: Handle) -> Iterator[Effect]:  # noqa: ANN401
    """Accept a user's message without saving it."""
    for effect in handle(event, now):
        if isinstance(effect, Persist) and isinstance(effect.record, KeepOutgoing) and isinstance(event, AskQuestion):
            continue
        yield effect


def confirms_early(program: Program, event: Any, now: Now, handle: Handle) -> Iterator[Effect]:  # noqa: ANN401
    """Tell of a message that is not signed yet."""
    if isinstance(event, AskQuestion):
        yield Tell(Accepted(event.token, MessageId(bytes(16)), EvidenceId(bytes(32)), bytes(16)))
    yield from handle(event, now)


def forgets_when_put(program: Program, event: Any, now: Now, handle: Handle) -> Iterator[Effect]:  # noqa: ANN401
    """Let a hub forget what it has put before anybody has it, and say that it still does."""
    memory = program.disk.memory
    for effect in handle(event, now):
        if not isinstance(memory, PlainHubMemory):
            yield effect
        elif isinstance(effect, Claim) and isinstance(effect.frame, Told):
            known = tuple(one._replace(fate=Fate.HELD) for one in effect.frame.known)
            yield Claim(effect.link, Told(effect.frame.session, known))
        else:
            yield effect
            if isinstance(effect, Forward) and isinstance(effect.frame, Put):
                for parcel in effect.frame.parcels:
                    for row in memory.held(envelope_id(parcel.header, parcel.body)):
                        yield Persist(Forget((row.seq,)))


def hands_over(program: Program, event: Any, now: Now, handle: Handle) -> Iterator[Effect]:  # noqa: ANN401
    """Skip the look at the roster: hand over what should be withheld."""
    for effect in handle(event, now):
        if isinstance(effect, Persist) and isinstance(effect.record, KeepEntry):
            entry = effect.record.entry
            if entry.state is EntryState.WITHHELD:
                yield Persist(KeepEntry(replace(entry, state=EntryState.NEW, offered=True)))
                yield Tell(EntryArrived(entry.n, entry.act, entry.sender, entry.prio, exercise=False))
                continue
        yield effect


def names_another(program: Program, event: Any, now: Now, handle: Handle) -> Iterator[Effect]:  # noqa: ANN401
    """Write down another sender than the one that signed."""
    for effect in handle(event, now):
        if isinstance(effect, Persist) and isinstance(effect.record, KeepEntry):
            yield Persist(KeepEntry(replace(effect.record.entry, sender=MemberCode("XP"))))
        else:
            yield effect


def ignores_expiry(program: Program, event: Any, now: Now, handle: Handle) -> Iterable[Effect]:  # noqa: ANN401
    """Judge what arrives by a clock that is some minutes behind: few enough for nobody to doubt it."""
    return handle(event, Now(now.mono, WallMs(now.wall - BEHIND_MS)))


def lets_urgent_wait(program: Program, event: Any, now: Now, handle: Handle) -> Iterator[Effect]:  # noqa: ANN401
    """Let a hub put urgent envelopes only once in five seconds, with all that has come together until then."""
    kept = _WAITING.setdefault(id(program), [])
    for effect in handle(event, now):
        if (
            program.is_hub
            and isinstance(effect, Forward)
            and isinstance(effect.frame, Put)
            and parse_header(effect.frame.parcels[0].header).prio is Priority.URGENT
        ):
            kept.append(effect)
        else:
            yield effect
    if isinstance(event, TimePassed) and now.mono // 1_000 % 5 == 0:
        yield from kept
        kept.clear()


def mixes_lanes(program: Program, event: Any, now: Now, handle: Handle) -> Iterator[Effect]:  # noqa: ANN401
    """Let a node put on either connection whatever it has."""
    for effect in handle(event, now):
        if not program.is_hub and isinstance(effect, Claim) and isinstance(effect.frame, Put):
            for parcel in effect.frame.parcels:
                header = parse_header(parcel.header)
                if header.prio is Priority.BULK and effect.link.endswith(b":bulk"):
                    yield Claim(type(effect.link)(effect.link.replace(b":bulk", b":express")), effect.frame)
                    break
            else:
                yield effect
        else:
            yield effect


def leaks_credit(program: Program, event: Any, now: Now, handle: Handle) -> Iterator[Effect]:  # noqa: ANN401
    """Let a hub grant a little credit, and never more."""
    for effect in handle(event, now):
        if program.is_hub and isinstance(effect, Claim | Forward) and isinstance(effect.frame, Hello):
            hello = msgspec.structs.replace(effect.frame, window_messages=6)
            yield type(effect)(effect.link, hello)
        elif program.is_hub and isinstance(effect, Claim) and isinstance(effect.frame, Credit):
            yield Claim(effect.link, msgspec.structs.replace(effect.frame, total_messages=6))
        else:
            yield effect


def overdraws(program: Program, event: Any, now: Now, handle: Handle) -> Iterator[Effect]:  # noqa: ANN401
    """Put a thousand envelopes more for each one, whatever the credit."""
    for effect in handle(event, now):
        yield effect
        if not program.is_hub and isinstance(effect, Claim) and isinstance(effect.frame, Put):
            parcel = effect.frame.parcels[0]
            for n in range(1_100):
                more = parcel._replace(body=n.to_bytes(4) + parcel.body[4:])
                yield Claim(effect.link, Put(effect.frame.session, (more,)))


def asks_without_pause(program: Program, event: Any, now: Now, handle: Handle) -> Iterator[Effect]:  # noqa: ANN401
    """Repeat every question to a hub three times each second until it is answered."""
    asked = _WAITING.setdefault(id(program), [])
    for effect in handle(event, now):
        if isinstance(effect, Claim) and isinstance(effect.frame, Ask):
            asked.append(effect)
        yield effect
    if isinstance(event, TimePassed):
        yield from asked[-1:] * 3


def spoils(program: Program, event: Any, now: Now, handle: Handle) -> Iterator[Effect]:  # noqa: ANN401
    """Let a hub spoil the end of every body for one member."""
    for effect in handle(event, now):
        if program.is_hub and isinstance(effect, Forward) and isinstance(effect.frame, Put):
            parcels = tuple(
                one._replace(body=one.body[:-1] + bytes([one.body[-1] ^ 1]))
                if SPOILED in parse_header(one.header).to
                else one
                for one in effect.frame.parcels
            )
            yield Forward(effect.link, Put(effect.frame.session, parcels))
        else:
            yield effect


def drops_traces(program: Program, event: Any, now: Now, handle: Handle) -> Iterator[Effect]:  # noqa: ANN401
    """Leave every tenth audit record out."""
    for effect in handle(event, now):
        if not (isinstance(effect, Persist) and isinstance(effect.record, KeepAudit) and effect.record.n % 10 == 0):
            yield effect


def writes_what_was_asked(program: Program, event: Any, now: Now, handle: Handle) -> Iterator[Effect]:  # noqa: ANN401
    """Write the text of a question into the audit record, in base64."""
    for effect in handle(event, now):
        if isinstance(effect, Persist) and isinstance(effect.record, KeepAudit) and isinstance(event, AskQuestion):
            text = b64encode(repr(event.criteria).encode())
            yield Persist(replace(effect.record, data=effect.record.data + text))
        else:
            yield effect


def never_ends(program: Program, event: Any, now: Now, handle: Handle) -> Iterator[Effect]:  # noqa: ANN401
    """Say nothing when a question's time is over."""
    for effect in handle(event, now):
        match effect:
            case Persist(KeepConversation(state=ConversationState.EXPIRED)):
                continue
            case Tell(ConversationMoved(state=ConversationState.EXPIRED)):
                continue
            case _:
                yield effect


def names_authors(program: Program, event: Any, now: Now, handle: Handle) -> Iterator[Effect]:  # noqa: ANN401
    """Let a hub tell the next hub who gave it an envelope."""
    for effect in handle(event, now):
        yield effect
        if program.is_hub and isinstance(effect, Forward) and isinstance(effect.frame, Put):
            parcel = effect.frame.parcels[0]
            holdings = vars(vars(program.machine)["_carriage"])["_holdings"]
            for row in holdings.held(envelope_id(parcel.header, parcel.body)):
                if row.hop.hub is not None:
                    known = Known(row.envelope, row.recipients[0], Fate.HELD, row.source, 0)
                    yield Claim(effect.link, Told(effect.frame.session, (known,)))


def counts_by_content(program: Program, event: Any, now: Now, handle: Handle) -> Iterable[Effect]:  # noqa: ANN401
    """Let a hub count frames under names that come from them."""
    if program.is_hub and isinstance(event, FrameArrived):
        program.machine.counters.add(f"frame.{event.data[-4:].hex()}")
    return handle(event, now)


def takes_any_card(program: Program, event: Any, now: Now, handle: Handle) -> Iterable[Effect]:  # noqa: ANN401
    """Take the newest keycard of a member, whoever has signed it."""
    if isinstance(event, FrameArrived) and event.data[2:6] == b"card" and isinstance(frame := _parsed(event), Cards):
        file = vars(program.machine)["_desk"].cards
        for data in frame.cards:
            card, _ = parse_keycard(data)
            held = file.of(card.member)
            if held is not None and held.version < card.version:
                getattr(file, HELD_CARDS)[card.member] = (card, data)
    return handle(event, now)


def forgives_theft(program: Program, event: Any, now: Now, handle: Handle) -> Iterable[Effect]:  # noqa: ANN401
    """Let a node take what a stolen key has signed, as if it had been changed in the ordinary way."""
    if not program.is_hub:
        desk = vars(program.machine)["_desk"]
        roster = desk.trust.directory.roster
        if any(old.until <= roster.iat for row in roster.members for old in row.retired):
            rows = tuple(
                msgspec.structs.replace(row, retired=tuple(RetiredKey(old.public, 2**48) for old in row.retired))
                for row in roster.members
            )
            desk.trust = replace(desk.trust, directory=Directory(msgspec.structs.replace(roster, members=rows)))
    return handle(event, now)


def admits_old_links(program: Program, event: Any, now: Now, handle: Handle) -> Iterable[Effect]:  # noqa: ANN401
    """Let a hub go on hearing a link key that the roster does not list any more."""
    if program.is_hub and isinstance(event, FrameArrived):
        known = _KNOWN.setdefault(id(program), {})
        directory = program.machine.trust.directory
        row = directory.member_by_link(event.key)
        if row is not None:
            known[event.key] = row.code
        elif event.key in known and (row := directory.member(known[event.key])) is not None:
            event = FrameArrived(event.link, row.link, event.data)
    return handle(event, now)


def takes_forks(program: Program, event: Any, now: Now, handle: Handle) -> Iterable[Effect]:  # noqa: ANN401
    """Believe whatever roster of the present version comes last."""
    if (
        isinstance(event, FrameArrived)
        and event.data[2:10] == b"dir-have"
        and isinstance(frame := _parsed(event), DirHave)
    ):
        desk = vars(program.machine)["_desk"]
        try:
            extend(desk.trust, frame.data, now.wall)
        except PeerFault as fault:
            if fault.reason is Reason.FORKED:
                file = parse_network_file(frame.data)
                whole = msgspec.structs.replace(file, founding=desk.trust.log.founding, pulse=None)
                desk.trust = replay(codec.encode(whole), desk.trust.pin, now.wall)
    return handle(event, now)


def never_learns(program: Program, event: Any, now: Now, handle: Handle) -> Iterable[Effect]:  # noqa: ANN401
    """Let a node pass over every directory document."""
    is_one = isinstance(event, FrameArrived) and event.data[2:10] == b"dir-have"
    return () if is_one and not program.is_hub else handle(event, now)


def _parsed(event: FrameArrived) -> Frame | None:
    try:
        return parse_frame(event.data)
    except PeerFault:
        return None


_KNOWN: Final[dict[int, dict[bytes, MemberCode]]] = {}
_WAITING: Final[dict[int, list[Any]]] = {}
HELD_CARDS: Final = "_cards"
PAUSE_BYTES: Final = 4
BEHIND_MS: Final = 4 * 60_000
SPOILED: Final = "BR"
