"""Let a world begin as on any day but its first: all have their epoch keys, and everybody's keycard on disk.

Else each member's card goes to every other one when the world begins, which for some hundred members is more work than
what they then say to one another. docs/simulation.md 4.
"""

from __future__ import annotations

from collections.abc import Mapping

from i247_hub.records import KeepCard as KeepCardAtHub
from i247_keys.keyring import Keyring
from i247_node.records import KeepCard, KeepKeyring
from i247_protocol.names import MemberCode
from i247_simulations.clocks import START
from i247_simulations.disk import Memory
from i247_simulations.node_memory import PlainNodeMemory
from i247_simulations.population import Authority
from i247_simulations.scenario import Scenario
from i247_simulations.streams import Entropy


def acquaint(authority: Authority, scenario: Scenario, memories: Mapping[str, Memory], seed: int) -> None:
    """Save each member's epoch keys with it, and its keycard with everybody else."""
    version = START // 1_000
    cards: dict[MemberCode, bytes] = {}
    for code in map(MemberCode, scenario.members):
        ring = Keyring().renewed(START, Entropy(seed, f"epoch keys/{code}"))
        cards[code] = ring.card(code, version, START, authority.identity(code))
        memories[code].persist(KeepKeyring(ring.to_bytes(), version, cards[code]))
    for name, memory in memories.items():
        keep = KeepCard if isinstance(memory, PlainNodeMemory) else KeepCardAtHub
        for code, card in cards.items():
            if code != name:
                memory.persist(keep(code, card))
        memory.undoing.taken()
