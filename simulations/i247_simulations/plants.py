"""Plant known bugs, to prove that each checker can fail.

A planted bug bends what goes into or comes out of a machine, its pump, its memory or its entropy; no module of the
product is changed. Each names the checker that must catch it. docs/simulation.md 7.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Final

from i247_protocol.errors import CallerFault
from i247_protocol.pump import Pump
from i247_simulations import bending, broken_parts, plots
from i247_simulations.faults import (
    Fault,
)
from i247_simulations.hub_memory import PlainHubMemory
from i247_simulations.node_memory import PlainNodeMemory
from i247_simulations.programs import Bent
from i247_simulations.scenario import Scenario

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


_ALL: Final = (
    Plant("speak-before-commit", "Claims and news leave before the commit.", ("NothingLost",), pump=broken_parts.HastyPump, faults=plots.crashes),
    Plant("save-nothing", "A question is accepted, and not saved.", ("NothingLost",), bent=bending.saves_nothing),
    Plant("confirm-early", "A message is confirmed before it exists.", ("NothingLost",), bent=bending.confirms_early),
    Plant("lying-disk", "A disk confirms what it does not keep.", ("NothingLost", "TrailHolds"), faults=plots.lying_disks),
    Plant("seen-before-entry", "The mark of what was seen is saved before the entry.", ("NothingLost",), node_memory=broken_parts.SeenAtOnce, faults=plots.crashes),
    Plant("no-replay-table", "What was seen is forgotten at a restart.", ("OnlyOnce",), node_memory=broken_parts.ForgetfulOfSeen, faults=plots.crashes),
    Plant("forget-when-put", "A hub forgets what it has put, and says that it holds it.", ("ComesToRest",), bent=bending.forgets_when_put, faults=plots.crashes),
    Plant("skip-roster", "Mail of a suspended member is handed over.", ("GoodStanding",), bent=bending.hands_over, faults=plots.suspensions),
    Plant("wrong-sender", "An entry names another sender.", ("TrueWords",), bent=bending.names_another),
    Plant("ignore-expiry", "What has expired is delivered and taken.", ("GoodStanding",), bent=bending.ignores_expiry, faults=plots.long_absence),
    Plant("urgent-waits", "A hub puts urgent mail every five seconds.", ("UrgentFirst",), bent=bending.lets_urgent_wait),
    Plant("mixed-lanes", "Bulk goes by the express connection.", ("UrgentFirst",), bent=bending.mixes_lanes),
    Plant("credit-leak", "A hub never renews its credit.", ("ComesToRest",), bent=bending.leaks_credit),
    Plant("credit-overdrawn", "A node puts more than it has credit for.", ("Bounded",), bent=bending.overdraws),
    Plant("ask-without-pause", "A node asks a hub three times a second.", ("NoStorm",), bent=bending.asks_without_pause, faults=plots.long_absence),
    Plant("retry-without-backoff", "Pauses between questions to hubs do not grow.", ("NoStorm",), entropy=broken_parts.without_jitter, faults=plots.long_absence),
    Plant("spoiled-mail", "A hub spoils all mail for one member, and says that it is delivered.", ("ComesToRest",), bent=bending.spoils),
    Plant("older-directory", "A restarted program believes its first roster.", ("TrustGrows",), forgets_directory=True, faults=plots.pulse_and_crashes),
    Plant("audit-gap", "Some acts leave no trace.", ("TrailHolds",), bent=bending.drops_traces),
    Plant("audit-tells", "An audit record holds what was asked.", ("NothingLeaks",), bent=bending.writes_what_was_asked),
    Plant("silent-expiry", "A question without answer has no end.", ("EveryQuestionEnds",), bent=bending.never_ends, faults=plots.absence),
    Plant("forgets-numbers", "A sender does not find what it has sent by its number.", ("NumbersEnd",), node_memory=broken_parts.ForgetfulOfNumbers, faults=plots.long_absence),
    Plant("hub-hoards", "A hub keeps what has expired.", ("Bounded",), hub_memory=broken_parts.NeverExpiring, faults=plots.leave),
    Plant("names-authors", "A hub tells the next one who gave it an envelope.", ("SenderUnknown",), bent=bending.names_authors),
    Plant("counts-by-content", "A hub's counters have names that come from frames.", ("TablesBounded",), bent=bending.counts_by_content),
    Plant("takes-any-card", "A keycard is believed that its member has not signed.", ("NothingLeaks",), bent=bending.takes_any_card, faults=plots.forged_cards),
    Plant("forgives-theft", "What a stolen key has signed is taken.", ("GoodStanding",), bent=bending.forgives_theft, faults=plots.thefts),
    Plant("admits-old-links", "A hub goes on hearing a stolen link key.", ("GoodStanding",), bent=bending.admits_old_links, faults=plots.thefts),
    Plant("takes-forks", "Of two rosters of one version the last is believed.", ("TrustGrows",), bent=bending.takes_forks, faults=plots.forks),
    Plant("trusts-copies", "A node goes on with the epoch keys of an old copy.", ("OnlyOnce",), trusts_copies=True, faults=plots.replayed_copies),
    Plant("never-learns", "A node passes over newer rosters.", ("ComesToRest",), bent=bending.never_learns, faults=plots.suspension),
    Plant("deaf-to-disk", "A node goes on after a commit that has failed.", ("NothingLost", "TrailHolds"), pump=broken_parts.DeafPump, faults=plots.full_disks),
    Plant("believes-torn", "Half of a torn turn is believed.", ("NothingLost", "TrailHolds", "OnlyOnce"), node_memory=broken_parts.BelievesTorn, faults=plots.torn_turns),
    Plant("process-order", "A history depends on the process's own hash seed.", ("trace",), has_no_luck=True),
)  # fmt: skip
PLANTS: Final = {plant.name: plant for plant in _ALL}
