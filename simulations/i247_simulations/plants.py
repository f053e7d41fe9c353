"""Plant known bugs, to prove that each checker can fail.

A planted bug bends what goes into or comes out of a machine, its pump, its memory or its entropy; no module of the
product is changed. Each names the checker that must catch it. docs/simulation.md 7.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Any, Final

import msgspec

from i247_hub.records import Forget, Held
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
    KeepSeen,
)
from i247_protocol import codec
from i247_protocol.bundle import Bundle
from i247_protocol.digests import envelope_id
from i247_protocol.errors import CallerFault, PeerFault
from i247_protocol.frames import Ask, Cards, Credit, DirHave, Fate, Frame, Hello, Known, Put, Told, parse_frame
from i247_protocol.header import parse_header
from i247_protocol.machine import Claim, Effect, Forward, FrameArrived, Persist, Tell, TimePassed
from i247_protocol.names import EvidenceId, MemberCode, MessageId, Minutes, Now, WallMs
from i247_protocol.priority import Priority
from i247_protocol.pump import Pump
from i247_protocol.reasons import Reason
from i247_simulations.faults import (
    Crash,
    Fault,
    HostileHub,
    HubLie,
    LyingSync,
    Partition,
    RestoredCopy,
    SlowDisk,
    Suspension,
    Theft,
)
from i247_simulations.hub_memory import PlainHubMemory
from i247_simulations.node_memory import PlainNodeMemory
from i247_simulations.programs import Bent, Program
from i247_simulations.scenarios import Scenario

Handle = Callable[..., Iterable[Effect]]
Plan = Callable[[Scenario], tuple[Fault, ...]]


def _no_more(_: Scenario) -> tuple[Fault, ...]:
    return ()


@dataclass(frozen=True, slots=True)
class Plant:
    """One bug; what it does not name is as it should be."""

    name: str
    what: str
    caught_by: tuple[str, ...]
    bent: Bent | None = None
    pump: type[Pump[Any]] = Pump
    hub_memory: type[PlainHubMemory] = PlainHubMemory
    node_memory: type[PlainNodeMemory] = PlainNodeMemory
    entropy: Callable[[Callable[[int], bytes]], Callable[[int], bytes]] | None = None
    forgets_directory: bool = False
    trusts_copies: bool = False
    """Whether a node that was put back from a copy goes on with the keys in it."""
    has_no_luck: bool = False
    """Whether the bug makes histories differ between two processes."""
    faults: Plan = _no_more
    """What must happen, beside the drawn plan, for the bug to show."""


def find_plant(name: str) -> Plant | None:
    """Return the bug of that name; None for the empty name."""
    if not name:
        return None
    found = PLANTS.get(name)
    if found is None:
        near = get_close_matches(name, PLANTS, 1)
        hint = f"did you mean `{near[0]}`?" if near else f"there are {', '.join(PLANTS)}"
        raise CallerFault(f"planting {name}", hint)
    return found


# --- the pump ---


class HastyPump(Pump[Any]):
    """Lets claims and news out before the commit."""

    def perform(self, effects: Iterable[Effect]) -> None:
        """Speak first, save then."""
        spoken, news = Bundle(), list[object]()
        for effect in effects:
            match effect:
                case Persist(record):
                    self._journal.persist(record)
                    self._dirty = True
                case Claim(link, frame) | Forward(link, frame):
                    spoken.add(link, frame)
                case Tell(one):
                    news.append(one)
        self._send(spoken.frames())
        for one in news:
            self._tell(one)
        self.commit()


# --- memories ---


class SeenAtOnce(PlainNodeMemory):
    """Saves the mark of what was seen in a commit of its own, before the entry."""

    def persist(self, record: object) -> None:
        """Save a mark so that no crash takes it back."""
        if not isinstance(record, KeepSeen):
            super().persist(record)
            return
        open_turn = self.undoing.taken()
        super().persist(record)
        self.undoing.taken()
        self.undoing.note(open_turn.undo)


class ForgetfulOfSeen(PlainNodeMemory):
    """Keeps what was seen in the process alone: it is gone after a restart."""

    def last_numbers(self) -> tuple[int, int, int]:
        """Forget, since this is asked at each start."""
        self._seen.clear()
        return super().last_numbers()


class NeverExpiring(PlainHubMemory):
    """Never finds what has expired."""

    def expired(self, minute: Minutes, limit: int) -> tuple[Held, ...]:
        """Return nothing."""
        return ()


# --- what goes in and comes out ---


def _saves_nothing(program: Program, event: Any, now: Now, handle: Handle) -> Iterator[Effect]:  # noqa: ANN401
    """Accept a user's message without saving it."""
    for effect in handle(event, now):
        if isinstance(effect, Persist) and isinstance(effect.record, KeepOutgoing) and isinstance(event, AskQuestion):
            continue
        yield effect


def _confirms_early(program: Program, event: Any, now: Now, handle: Handle) -> Iterator[Effect]:  # noqa: ANN401
    """Tell of a message that is not signed yet."""
    if isinstance(event, AskQuestion):
        yield Tell(Accepted(event.token, MessageId(bytes(16)), EvidenceId(bytes(32)), bytes(16)))
    yield from handle(event, now)


def _forgets_when_put(program: Program, event: Any, now: Now, handle: Handle) -> Iterator[Effect]:  # noqa: ANN401
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
                        yield Persist(Forget(row.seq))


def _hands_over(program: Program, event: Any, now: Now, handle: Handle) -> Iterator[Effect]:  # noqa: ANN401
    """Skip the look at the roster: hand over what should be withheld."""
    for effect in handle(event, now):
        if isinstance(effect, Persist) and isinstance(effect.record, KeepEntry):
            entry = effect.record.entry
            if entry.state is EntryState.WITHHELD:
                yield Persist(KeepEntry(replace(entry, state=EntryState.NEW, offered=True)))
                yield Tell(EntryArrived(entry.n, entry.act, entry.sender, entry.prio, exercise=False))
                continue
        yield effect


def _names_another(program: Program, event: Any, now: Now, handle: Handle) -> Iterator[Effect]:  # noqa: ANN401
    """Write down another sender than the one that signed."""
    for effect in handle(event, now):
        if isinstance(effect, Persist) and isinstance(effect.record, KeepEntry):
            yield Persist(KeepEntry(replace(effect.record.entry, sender=MemberCode("XP"))))
        else:
            yield effect


def _ignores_expiry(program: Program, event: Any, now: Now, handle: Handle) -> Iterable[Effect]:  # noqa: ANN401
    """Judge what arrives by a clock that is some minutes behind: few enough for nobody to doubt it."""
    return handle(event, Now(now.mono, WallMs(now.wall - BEHIND_MS)))


def _lets_urgent_wait(program: Program, event: Any, now: Now, handle: Handle) -> Iterator[Effect]:  # noqa: ANN401
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


def _mixes_lanes(program: Program, event: Any, now: Now, handle: Handle) -> Iterator[Effect]:  # noqa: ANN401
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


def _leaks_credit(program: Program, event: Any, now: Now, handle: Handle) -> Iterator[Effect]:  # noqa: ANN401
    """Let a hub grant a little credit, and never more."""
    for effect in handle(event, now):
        if program.is_hub and isinstance(effect, Claim | Forward) and isinstance(effect.frame, Hello):
            hello = msgspec.structs.replace(effect.frame, window_messages=6)
            yield type(effect)(effect.link, hello)
        elif program.is_hub and isinstance(effect, Claim) and isinstance(effect.frame, Credit):
            yield Claim(effect.link, msgspec.structs.replace(effect.frame, total_messages=6))
        else:
            yield effect


def _overdraws(program: Program, event: Any, now: Now, handle: Handle) -> Iterator[Effect]:  # noqa: ANN401
    """Put a thousand envelopes more for each one, whatever the credit."""
    for effect in handle(event, now):
        yield effect
        if not program.is_hub and isinstance(effect, Claim) and isinstance(effect.frame, Put):
            parcel = effect.frame.parcels[0]
            for n in range(1_100):
                more = parcel._replace(body=n.to_bytes(4) + parcel.body[4:])
                yield Claim(effect.link, Put(effect.frame.session, (more,)))


def _asks_without_pause(program: Program, event: Any, now: Now, handle: Handle) -> Iterator[Effect]:  # noqa: ANN401
    """Repeat every question to a hub three times each second until it is answered."""
    asked = _WAITING.setdefault(id(program), [])
    for effect in handle(event, now):
        if isinstance(effect, Claim) and isinstance(effect.frame, Ask):
            asked.append(effect)
        yield effect
    if isinstance(event, TimePassed):
        yield from asked[-1:] * 3


def _spoils(program: Program, event: Any, now: Now, handle: Handle) -> Iterator[Effect]:  # noqa: ANN401
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


def _drops_traces(program: Program, event: Any, now: Now, handle: Handle) -> Iterator[Effect]:  # noqa: ANN401
    """Leave every tenth audit record out."""
    for effect in handle(event, now):
        if not (isinstance(effect, Persist) and isinstance(effect.record, KeepAudit) and effect.record.n % 10 == 0):
            yield effect


def _writes_what_was_asked(program: Program, event: Any, now: Now, handle: Handle) -> Iterator[Effect]:  # noqa: ANN401
    """Write the text of a question into the audit record, in base64."""
    for effect in handle(event, now):
        if isinstance(effect, Persist) and isinstance(effect.record, KeepAudit) and isinstance(event, AskQuestion):
            text = b64encode(repr(event.criteria).encode())
            yield Persist(replace(effect.record, data=effect.record.data + text))
        else:
            yield effect


def _never_ends(program: Program, event: Any, now: Now, handle: Handle) -> Iterator[Effect]:  # noqa: ANN401
    """Say nothing when a question's time is over."""
    for effect in handle(event, now):
        match effect:
            case Persist(KeepConversation(state=ConversationState.EXPIRED)):
                continue
            case Tell(ConversationMoved(state=ConversationState.EXPIRED)):
                continue
            case _:
                yield effect


def _names_authors(program: Program, event: Any, now: Now, handle: Handle) -> Iterator[Effect]:  # noqa: ANN401
    """Let a hub tell the next hub who gave it an envelope."""
    memory = program.disk.memory
    for effect in handle(event, now):
        yield effect
        if isinstance(memory, PlainHubMemory) and isinstance(effect, Forward) and isinstance(effect.frame, Put):
            parcel = effect.frame.parcels[0]
            for row in memory.held(envelope_id(parcel.header, parcel.body)):
                if row.hop.hub is not None:
                    known = Known(row.envelope, row.recipients[0], Fate.HELD, row.source, 0)
                    yield Claim(effect.link, Told(effect.frame.session, (known,)))


def _counts_by_content(program: Program, event: Any, now: Now, handle: Handle) -> Iterable[Effect]:  # noqa: ANN401
    """Let a hub count frames under names that come from them."""
    if program.is_hub and isinstance(event, FrameArrived):
        program.machine.counters.add(f"frame.{event.data[-4:].hex()}")
    return handle(event, now)


def _takes_any_card(program: Program, event: Any, now: Now, handle: Handle) -> Iterable[Effect]:  # noqa: ANN401
    """Take the newest keycard of a member, whoever has signed it."""
    if isinstance(event, FrameArrived) and event.data[2:6] == b"card" and isinstance(frame := _parsed(event), Cards):
        file = vars(program.machine)["_desk"].cards
        for data in frame.cards:
            card, _ = parse_keycard(data)
            held = file.of(card.member)
            if held is not None and held.version < card.version:
                getattr(file, HELD_CARDS)[card.member] = (card, data)
    return handle(event, now)


def _forgives_theft(program: Program, event: Any, now: Now, handle: Handle) -> Iterable[Effect]:  # noqa: ANN401
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


def _admits_old_links(program: Program, event: Any, now: Now, handle: Handle) -> Iterable[Effect]:  # noqa: ANN401
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


def _takes_forks(program: Program, event: Any, now: Now, handle: Handle) -> Iterable[Effect]:  # noqa: ANN401
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


def _never_learns(program: Program, event: Any, now: Now, handle: Handle) -> Iterable[Effect]:  # noqa: ANN401
    """Let a node pass over every directory document."""
    is_one = isinstance(event, FrameArrived) and event.data[2:10] == b"dir-have"
    return () if is_one and not program.is_hub else handle(event, now)


def _parsed(event: FrameArrived) -> Frame | None:
    try:
        return parse_frame(event.data)
    except PeerFault:
        return None


def _without_jitter(inner: Callable[[int], bytes]) -> Callable[[int], bytes]:
    """Draw nothing but zeros for pauses, so that none of them grows."""
    return lambda length: bytes(length) if length == PAUSE_BYTES else inner(length)


# --- what must happen for a bug to show ---


def _crashes(scenario: Scenario) -> tuple[Fault, ...]:
    """Kill members again and again, a moment each, while their disks are slow: hardly a turn is safe."""
    begin, names = scenario.warm_ms, scenario.members
    slow = (SlowDisk(begin, name, scenario.chaos_ms, 250) for name in names)
    return (*slow, *(Crash(begin + 997 * n, names[n % len(names)], 300) for n in range(1, scenario.chaos_ms // 1_000)))


def _absence(scenario: Scenario) -> tuple[Fault, ...]:
    """Cut each member off for a while that is longer than most questions live."""
    pause = scenario.chaos_ms // (len(scenario.members) + 1)
    return tuple(
        Partition(scenario.warm_ms + n * pause, (name,), scenario.hubs, int(pause * 0.9), one_way=False)
        for n, name in enumerate(scenario.members)
    )


def _long_absence(scenario: Scenario) -> tuple[Fault, ...]:
    return (Crash(scenario.warm_ms, scenario.members[0], scenario.chaos_ms),)


def _suspensions(scenario: Scenario) -> tuple[Fault, ...]:
    """Suspend a member while its mail is held up between two hubs."""
    here, there = scenario.hubs[:2]
    member = next(code for code, homes in scenario.homes.items() if homes == (here,))
    span = scenario.chaos_ms // 2
    return (
        Partition(scenario.warm_ms, (here,), (there,), span, one_way=False),
        Suspension(scenario.warm_ms + span * 3 // 4, member),
    )


def _leave(scenario: Scenario) -> tuple[Fault, ...]:
    """Let a member be away and then suspended, so that its mail stays where it is."""
    member = scenario.members[0]
    return (Crash(scenario.warm_ms, member, scenario.chaos_ms), Suspension(scenario.warm_ms + 30_000, member))


def _lying_disks(scenario: Scenario) -> tuple[Fault, ...]:
    return tuple(LyingSync(scenario.warm_ms + 20_000 * n, name, 8_000, 500) for n, name in enumerate(scenario.members))


def _pulse_and_crashes(scenario: Scenario) -> tuple[Fault, ...]:
    begin, end = scenario.warm_ms, scenario.warm_ms + scenario.chaos_ms // 2
    return (Suspension(begin, scenario.members[0]), *(Crash(end, name, 500) for name in scenario.members[1:]))


def _forged_cards(scenario: Scenario) -> tuple[Fault, ...]:
    return (HostileHub(scenario.warm_ms, scenario.hubs[0], scenario.chaos_ms // 2, HubLie.FORGE_CARDS, 50),)


def _thefts(scenario: Scenario) -> tuple[Fault, ...]:
    first, second = scenario.members[:2]
    return (Theft(scenario.warm_ms, first, second, scenario.chaos_ms // 2, 1_000),)


def _forks(scenario: Scenario) -> tuple[Fault, ...]:
    """Let one hub show a fork, at the time at which the authority publishes another roster."""
    begin, last = scenario.warm_ms, scenario.members[-1]
    return (
        HostileHub(begin, scenario.hubs[0], scenario.chaos_ms // 2, HubLie.FORK_DIRECTORY, 100),
        Suspension(begin, last),
    )


def _replayed_copies(scenario: Scenario) -> tuple[Fault, ...]:
    """Put old copies back under members whose hub replays what it has carried."""
    begin, hub = scenario.warm_ms, scenario.hubs[0]
    at_home = [code for code, homes in scenario.homes.items() if homes[0] == hub]
    copies = (RestoredCopy(begin + 20_000 + 9_000 * n, code, 500, 15_000) for n, code in enumerate(at_home))
    return (HostileHub(begin, hub, scenario.chaos_ms // 2, HubLie.REPLAY, 100), *copies)


def _suspension(scenario: Scenario) -> tuple[Fault, ...]:
    return (Suspension(scenario.warm_ms, scenario.members[0]),)


_KNOWN: Final[dict[int, dict[bytes, MemberCode]]] = {}
_WAITING: Final[dict[int, list[Any]]] = {}
HELD_CARDS: Final = "_cards"
PAUSE_BYTES: Final = 4
BEHIND_MS: Final = 4 * 60_000
SPOILED: Final = "BR"

_ALL: Final = (
    Plant("speak-before-commit", "Claims and news leave before the commit.", ("NothingLost",), pump=HastyPump, faults=_crashes),
    Plant("save-nothing", "A question is accepted, and not saved.", ("NothingLost",), bent=_saves_nothing),
    Plant("confirm-early", "A message is confirmed before it exists.", ("NothingLost",), bent=_confirms_early),
    Plant("lying-disk", "A disk confirms what it does not keep.", ("NothingLost", "TrailHolds"), faults=_lying_disks),
    Plant("seen-before-entry", "The mark of what was seen is saved before the entry.", ("NothingLost",), node_memory=SeenAtOnce, faults=_crashes),
    Plant("no-replay-table", "What was seen is forgotten at a restart.", ("OnlyOnce",), node_memory=ForgetfulOfSeen, faults=_crashes),
    Plant("forget-when-put", "A hub forgets what it has put, and says that it holds it.", ("ComesToRest",), bent=_forgets_when_put, faults=_crashes),
    Plant("skip-roster", "Mail of a suspended member is handed over.", ("GoodStanding",), bent=_hands_over, faults=_suspensions),
    Plant("wrong-sender", "An entry names another sender.", ("TrueWords",), bent=_names_another),
    Plant("ignore-expiry", "What has expired is delivered and taken.", ("GoodStanding",), bent=_ignores_expiry, faults=_long_absence),
    Plant("urgent-waits", "A hub puts urgent mail every five seconds.", ("UrgentFirst",), bent=_lets_urgent_wait),
    Plant("mixed-lanes", "Bulk goes by the express connection.", ("UrgentFirst",), bent=_mixes_lanes),
    Plant("credit-leak", "A hub never renews its credit.", ("ComesToRest",), bent=_leaks_credit),
    Plant("credit-overdrawn", "A node puts more than it has credit for.", ("Bounded",), bent=_overdraws),
    Plant("ask-without-pause", "A node asks a hub three times a second.", ("NoStorm",), bent=_asks_without_pause, faults=_long_absence),
    Plant("retry-without-backoff", "Pauses between questions to hubs do not grow.", ("NoStorm",), entropy=_without_jitter, faults=_long_absence),
    Plant("spoiled-mail", "A hub spoils all mail for one member, and says that it is delivered.", ("ComesToRest",), bent=_spoils),
    Plant("older-directory", "A restarted program believes its first roster.", ("TrustGrows",), forgets_directory=True, faults=_pulse_and_crashes),
    Plant("audit-gap", "Some acts leave no trace.", ("TrailHolds",), bent=_drops_traces),
    Plant("audit-tells", "An audit record holds what was asked.", ("NothingLeaks",), bent=_writes_what_was_asked),
    Plant("silent-expiry", "A question without answer has no end.", ("EveryQuestionEnds",), bent=_never_ends, faults=_absence),
    Plant("hub-hoards", "A hub keeps what has expired.", ("Bounded",), hub_memory=NeverExpiring, faults=_leave),
    Plant("names-authors", "A hub tells the next one who gave it an envelope.", ("SenderUnknown",), bent=_names_authors),
    Plant("counts-by-content", "A hub's counters have names that come from frames.", ("TablesBounded",), bent=_counts_by_content),
    Plant("takes-any-card", "A keycard is believed that its member has not signed.", ("NothingLeaks",), bent=_takes_any_card, faults=_forged_cards),
    Plant("forgives-theft", "What a stolen key has signed is taken.", ("GoodStanding",), bent=_forgives_theft, faults=_thefts),
    Plant("admits-old-links", "A hub goes on hearing a stolen link key.", ("GoodStanding",), bent=_admits_old_links, faults=_thefts),
    Plant("takes-forks", "Of two rosters of one version the last is believed.", ("TrustGrows",), bent=_takes_forks, faults=_forks),
    Plant("trusts-copies", "A node goes on with the epoch keys of an old copy.", ("OnlyOnce",), trusts_copies=True, faults=_replayed_copies),
    Plant("never-learns", "A node passes over newer rosters.", ("ComesToRest",), bent=_never_learns, faults=_suspension),
    Plant("process-order", "A history depends on the process's own hash seed.", ("trace",), has_no_luck=True),
)  # fmt: skip
PLANTS: Final = {plant.name: plant for plant in _ALL}
