"""Say in a sentence what a fault did. Pure."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import msgspec

from i247_simulations.faults import Fault
from i247_simulations.report.words import listed, size, spaced, span


def kind_of(fault: Fault) -> str:
    """Return the kind of a fault as its plan has it."""
    return str(fault.__struct_config__.tag)


def told(fault: Fault) -> str:
    """Return what a fault did, as a sentence without its full stop."""
    values = msgspec.structs.asdict(fault)
    words = {name: _field(name, value) for name, value in values.items()}
    words |= {"way": "from", "link": "to"} if values.get("one_way") else {"way": "between", "link": "and"}
    words |= {"set": "fast" if values.get("step_ms", 0) > 0 else "slow"}
    kind = kind_of(fault)
    if kind in FAULTS:
        return FAULTS[kind].format(**words)
    return f"{spaced(kind)}: " + ", ".join(f"{spaced(name)} {word}" for name, word in words.items() if name in values)


def _field(name: str, value: object) -> str:
    match value:
        case int() if name.endswith("_ms"):
            return span(abs(value))
        case int() if name.startswith("bytes"):
            return size(value)
        case tuple():
            return listed([str(one) for one in value])
        case StrEnum():
            return DEEDS.get(f"{name}.{value}", spaced(value))
        case _:
            return str(value)


FAULTS: Final = {
    "crash": "{program} was killed and started again after {down_ms}",
    "commit-fails": "a commit of {program} failed, so it ended itself and started again",
    "power-loss": "{program} lost power while it wrote, and started again after {down_ms}",
    "disk-full": "the disk of {program} was full for {for_ms}",
    "slow-disk": "each commit of {program} took {delay_ms}, for {for_ms}",
    "disk-destroyed": "{program} lost its whole disk and started again after {down_ms} with an empty one",
    "bit-rot": "the disk of {program} decayed; after {down_ms} its operator had mended it",
    "restored-copy": "{program} was put back to a copy {copy_age_ms} old and started again after {down_ms}",
    "lying-sync": "the disk of {program} confirmed and kept nothing, for {for_ms}",
    "partition": "nothing went {way} {here} {link} {there}, for {for_ms}",
    "hang-up": "all connections of {program} broke",
    "stall": "all that went from {sender} to {receiver} was held back for {for_ms}",
    "scramble": "{percent} % of what went from {sender} to {receiver} came twice, late or out of order, for {for_ms}",
    "slow-links": "the links of {program} were slow ({delay_ms} more, {bytes_per_s}/s), for {for_ms}",
    "clock-step": "the clock of {program} was {step_ms} {set}, for {for_ms}",
    "clock-drift": "the clocks of {program} began to drift by {ppm} µs a second",
    "hostile-hub": "{program} {lie} in {percent} % of the cases, for {for_ms}",
    "hostile-member": "{program} {mischief}, {per_s} a second, for {for_ms}",
    "suspension": "{member} was suspended in an emergency",
    "theft": "a thief spoke with the keys of {member}, with help of {accomplice}, for {for_ms}",
}
"""By the kind of a fault; its fields stand in braces. A kind that is newer is told by its fields alone."""
DEEDS: Final = {
    "lie.drop": "threw away what it should carry",
    "lie.replay": "sent old frames again",
    "lie.reorder": "sent frames out of order",
    "lie.swap": "swapped bodies of envelopes",
    "lie.alter": "altered headers",
    "lie.rot": "changed single bits of bodies",
    "lie.forge-custody": "gave custody for what it threw away",
    "lie.no-custody": "took mail, gave credit, and never gave custody",
    "lie.forge-cards": "handed out forged keycards",
    "lie.withhold-directory": "withheld directory and keycards",
    "lie.forge-directory": "handed out a forged directory",
    "lie.fork-directory": "handed out another directory of the same version",
    "mischief.flood": "flooded others with letters",
    "mischief.garbage": "sent garbage to its hubs",
    "mischief.replay": "sent to its hubs what it had sent before",
    "mischief.hoard": "kept what it was given without a word",
    "mischief.impersonate": "pretended to be another member",
}
