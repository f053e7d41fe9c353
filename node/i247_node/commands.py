"""Name what the application may ask of a node, and what the node tells it.

Commands are events of the machine; each carries a token by which its answer is known. News leaves only
after the commit, so what is told is saved. The local interface, the embedded driver and the simulator use
the same words. docs/architecture.md 5.
"""

from __future__ import annotations

from dataclasses import dataclass

from i247_node.records import ConversationState, DeliveryState
from i247_node.registers import Finding
from i247_protocol.errors import CallerFault
from i247_protocol.handling import Handling, Purpose
from i247_protocol.names import EvidenceId, HubName, MemberCode, MessageId, WallMs
from i247_protocol.notices import Notice
from i247_protocol.priority import Priority
from i247_protocol.queries import Criteria, Reply
from i247_protocol.statement import Act


@dataclass(frozen=True, slots=True)
class AskQuestion:
    """Put a question to a register of another member; it ends within `within_ms` of now, one way or another."""

    token: int
    to: MemberCode
    register: str
    criteria: Criteria
    purpose: Purpose
    within_ms: int
    prio: Priority
    handling: Handling


@dataclass(frozen=True, slots=True)
class PublishNotice:
    """Send a notice to all other members in good standing, or a diffusion to those in `to`."""

    token: int
    notice: Notice
    to: tuple[MemberCode, ...] | None
    purpose: Purpose
    prio: Priority
    handling: Handling


@dataclass(frozen=True, slots=True)
class WriteLetter:
    """Write to one or more members; `thread` continues an earlier conversation."""

    token: int
    to: tuple[MemberCode, ...]
    subject: str
    text: str
    thread: bytes | None
    purpose: Purpose
    prio: Priority
    handling: Handling


@dataclass(frozen=True, slots=True)
class ConfirmEntry:
    """Say that the application has an inbox entry; it is not offered again."""

    token: int
    entry: int


@dataclass(frozen=True, slots=True)
class OfferEntries:
    """Note that inbox entries are being handed to the application; whoever gets one after that gets it `again`."""

    token: int
    entries: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class GatherEvidence:
    """Ask the hubs on a message's way for what was signed about it; what comes is saved."""

    token: int
    message: MessageId


@dataclass(frozen=True, slots=True)
class ReportStatus:
    """Ask how the node stands."""

    token: int


@dataclass(frozen=True, slots=True)
class LookupFinished:
    """A slow register answered the query in `entry`; `finding` says unavailable when it could not."""

    entry: int
    finding: Finding


Command = AskQuestion | PublishNotice | WriteLetter | OfferEntries | ConfirmEntry | GatherEvidence | ReportStatus


@dataclass(frozen=True, slots=True)
class Accepted:
    """The command was taken and saved. `id` and `conv` are empty where it made no message."""

    token: int
    id: MessageId
    sid: EvidenceId
    conv: bytes


@dataclass(frozen=True, slots=True)
class Declined:
    """The command cannot be carried out, and nothing was saved."""

    token: int
    fault: CallerFault


@dataclass(frozen=True, slots=True)
class ConversationMoved:
    """A query of ours was answered, or ended without an answer (then `reply` is None)."""

    conv: bytes
    query: MessageId
    to: MemberCode
    state: ConversationState
    reply: Reply | None
    entry: int | None


@dataclass(frozen=True, slots=True)
class EntryArrived:
    """Something new lies in the inbox."""

    entry: int
    act: Act
    sender: MemberCode
    prio: Priority
    exercise: bool


@dataclass(frozen=True, slots=True)
class DeliveryMoved:
    """A message of ours stands differently for one recipient."""

    id: MessageId
    recipient: MemberCode
    state: DeliveryState
    reason: str | None


@dataclass(frozen=True, slots=True)
class LookUp:
    """A slow register must be asked, off the loop; answer with `LookupFinished`."""

    entry: int
    register: str
    criteria: Criteria


@dataclass(frozen=True, slots=True)
class LinkStatus:
    """One hub and lane: whether a session is open, and since which difference of clocks (ms)."""

    hub: HubName
    lane: str
    open: bool
    clock_offset_ms: int


@dataclass(frozen=True, slots=True)
class NodeStatus:
    """How a node stands; `health` is fresh, degraded or hold."""

    token: int
    member: MemberCode
    health: str
    roster: int
    roster_expires: WallMs
    pulse_expires: WallMs | None
    links: tuple[LinkStatus, ...]
    cards: int
    card_version: int
    members: int
    waiting: int
    open_conversations: int
    missing: int
    counters: dict[str, int]


News = Accepted | Declined | ConversationMoved | EntryArrived | DeliveryMoved | LookUp | NodeStatus
