"""Gather what was refused, lost, repeated or waited for, by cause in plain words. Pure.

A counter that is in no table here, because it is newer, is shown by its own name: nothing is left out.
"""

from __future__ import annotations

from typing import Final

from i247_protocol.reasons import Reason
from i247_simulations.report.words import spaced
from i247_simulations.results import Result


def causes_of(result: Result) -> dict[str, dict[str, tuple[int, int]]]:
    """Return by group and cause how often hubs and members counted it."""
    found: dict[str, dict[str, tuple[int, int]]] = {}
    for program, counters in sorted(result.counters.items()):
        for name, number in counters.items():
            named = cause(name)
            if named is not None and number:
                group, why = named
                at_hubs, at_members = found.setdefault(group, {}).get(why, (0, 0))
                is_hub = program in result.hubs
                found[group][why] = (at_hubs + number, at_members) if is_hub else (at_hubs, at_members + number)
    return found


def cause(counter: str) -> tuple[str, str] | None:
    """Return to which group a counter belongs and what it says there; None when it counts no drop, wait or loss."""
    if counter in CAUSES:
        return CAUSES[counter]
    family, _, reason = counter.partition(".")
    group = FAMILIES.get(family)
    return None if group is None or not reason else (group, REASONS.get(reason, spaced(reason)))


NOT_TAKEN: Final = "Not taken"
CARDS: Final = "Keycards not taken"
DIRECTORIES: Final = "Directories not taken"
NOT_DELIVERED: Final = "Ended without delivery"
WAITED: Final = "Waited or repeated"
LINKS: Final = "Connections"
ALARMS: Final = "Alarms"
GROUPS: Final = {
    NOT_DELIVERED: "The sender was told of each of these.",
    NOT_TAKEN: "Frames and envelopes that a program refused, mostly a defence that worked.",
    CARDS: "Keys that a program would not believe.",
    DIRECTORIES: "Directories that a program would not believe.",
    WAITED: "Nothing of this is lost; it cost time.",
    LINKS: "What was on its way is put again in the next connection.",
    ALARMS: "What an operator would be told.",
}
FAMILIES: Final = {
    "refused": NOT_TAKEN,
    "card": CARDS,
    "directory": DIRECTORIES,
    "waiting": WAITED,
    "link": LINKS,
    "alarm": ALARMS,
}
CAUSES: Final[dict[str, tuple[str, str] | None]] = {
    "delivery.expired": (NOT_DELIVERED, "it expired before its recipient had acknowledged it"),
    "delivery.refused": (NOT_DELIVERED, "it was refused on its way or by its recipient"),
    "directory.newer": None,
    "busy-heard": (WAITED, "the next place was full and said when to come again"),
    "withheld": (WAITED, "mail of a suspended member was withheld"),
    "parked": (WAITED, "mail waited for a directory newer than the one held"),
    "waiting.no-keycard": (WAITED, "no valid keycard of the recipient was held"),
    "sent-again": (WAITED, "a sender sent its message again"),
    "held-again": (WAITED, "a hub was given what it already held"),
    "asked": (WAITED, "a sender asked a hub after its message"),
    "reply.unexpected": (NOT_TAKEN, "a reply came to a question that had ended"),
    "receipt.unknown": (NOT_TAKEN, "a receipt named nothing that was on its way"),
    "link.lost": (LINKS, "a connection was lost"),
    "link.silent": (LINKS, "a connection fell silent and was given up"),
    "link.replaced": (LINKS, "a newer connection of the same member took the place of one"),
    "alarm.cloned-node": (ALARMS, "a member came twice within a minute, as a cloned node would"),
    "alarm.card-version-exhausted": (ALARMS, "a member's keycards have no version left"),
}
REASONS: Final = {
    Reason.MALFORMED.value: "it was garbage",
    Reason.NOT_CANONICAL.value: "it was not written the one right way",
    Reason.TOO_LARGE.value: "it was too large",
    Reason.UNKNOWN_VERSION.value: "it was of another version of the protocol",
    Reason.UNKNOWN_SUITE.value: "it was sealed in a way that is not known here",
    Reason.EXPIRED.value: "it had expired",
    Reason.FUTURE_DATED.value: "it was dated in the future",
    Reason.LIFETIME_TOO_LONG.value: "it would have been valid for too long",
    Reason.DOUBTFUL_CLOCK.value: "the node did not trust its own clock",
    Reason.CANNOT_OPEN.value: "the seal could not be opened",
    Reason.BAD_SIGNATURE.value: "a signature did not verify",
    Reason.DEAD_KEY.value: "it was sealed to a key no longer in use",
    Reason.NO_KEYCARD.value: "no valid keycard of the recipient was held",
    Reason.UNKNOWN_MEMBER.value: "the directory had no such member",
    Reason.SUSPENDED.value: "the member was suspended",
    Reason.UNKNOWN_HUB.value: "the directory had no such hub",
    Reason.NOT_ADDRESSED.value: "it was for somebody else",
    Reason.HEADER_MISMATCH.value: "outside and inside of the envelope differed",
    Reason.DUPLICATE.value: "it had been accepted before",
    Reason.EVIDENCE_CONFLICT.value: "two different messages bore one number",
    Reason.NOT_NEWER.value: "it was no newer than what was held",
    Reason.FORKED.value: "two directories claimed one version",
    Reason.CHAIN_BROKEN.value: "it did not follow the one before",
    Reason.TOO_FEW_SIGNATURES.value: "too few had signed",
    Reason.NOT_JUSTIFIED.value: "a change had neither decision nor signature",
    Reason.WRONG_PIN.value: "it was of another network",
    Reason.DIRECTORY_EXPIRED.value: "the directory had expired",
    Reason.NEWER_ROSTER.value: "it named a directory newer than the one held",
    Reason.STRANGER.value: "the other side was not in the directory",
    Reason.CHOSEN_ROUTING_ID.value: "the other side chose its own address",
    Reason.UNKNOWN_SESSION.value: "its connection had ended",
    Reason.OUT_OF_TURN.value: "it came before the greeting",
    Reason.CREDIT_EXCEEDED.value: "more was sent than was asked for",
    Reason.TOO_OFTEN.value: "it came too often and brought nothing",
    Reason.TOO_MANY_HOPS.value: "it had passed through too many hubs",
    Reason.REPLACED.value: "a newer connection took its place",
    Reason.MAILBOX_FULL.value: "the mailbox was full",
    Reason.STORE_FULL.value: "the store was full",
    Reason.QUOTA_FULL.value: "the member's share of the hub was used up",
    Reason.PARKED_FULL.value: "too much waited for a newer directory",
    Reason.SEEN_FULL.value: "too many messages of this sender were remembered",
    Reason.POLICY.value: "the recipient's policy did not allow it",
    Reason.UNKNOWN_REGISTER.value: "there was no such register",
    Reason.UNKNOWN_BODY.value: "this kind of message was not known",
    Reason.REGISTER_UNAVAILABLE.value: "the register could not be reached",
}
